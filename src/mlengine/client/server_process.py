"""The server of this machine as a process: started, looked at, stopped. Nothing here imports server code."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlengine.client.http import Connection
from mlengine.errors import FailedPrecondition, Problem

_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
_REAP_SECONDS = 3.0
_LAST_LINES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A server as its own DATA/run/server.json tells of it."""

    pid: int
    host: str
    port: int
    started: str
    version: str
    tls_port: int = 0
    ca_file: str = ""
    auth: str = ""

    @property
    def endpoint(self) -> str:
        """Where a client on this machine reaches it."""
        return f"http://{self._reachable_host}:{self.port}"

    @property
    def tls_endpoint(self) -> str:
        """The same for clients that insist on https; they have to trust `ca_file`. "" where there is none."""
        return f"https://{self._reachable_host}:{self.tls_port}" if self.tls_port else ""

    @property
    def _reachable_host(self) -> str:
        host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(self.host, self.host)
        return f"[{host}]" if ":" in host else host


def default_data_dir(environment: Mapping[str, str]) -> Path:
    """MLENGINE_DATA_DIR, else `mlengine` in the user's data folder; as the server itself decides."""
    if chosen := environment.get("MLENGINE_DATA_DIR"):
        return Path(chosen).expanduser().absolute()
    return (Path(environment.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "mlengine").absolute()


def command(data_dir: Path, options: Sequence[str]) -> list[str]:
    """The server's own entry. `-P`: the folder somebody stands in must not lend it modules."""
    return [sys.executable, "-P", "-m", "mlengine.app", "serve", "--data-dir", str(data_dir), *options]


def find(data_dir: Path) -> Running | None:
    """The server that has this data directory, if one lives."""
    running = _record(data_dir)
    # The file may outlive its server, and the process number may have gone to another program since.
    return running if running and _alive(running.pid) and _locked(data_dir) else None


def _record(data_dir: Path) -> Running | None:
    try:
        facts = json.loads((data_dir / "run" / "server.json").read_text())
        return Running(
            pid=int(facts["pid"]),
            host=str(facts["host"]),
            port=int(facts["port"]),
            started=str(facts.get("started", "")),
            version=str(facts.get("version", "")),
            tls_port=int(facts.get("tlsPort", 0)),
            ca_file=str(facts.get("caFile", "")),
            auth=str(facts.get("auth", "")),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def healthy(running: Running) -> bool:
    """Whether it answers and is ready for requests."""
    connection = Connection(running.endpoint)
    try:
        for path in ("/healthz", "/readyz"):
            connection.send("GET", path, timeout=2.0).read()
    except (Problem, OSError):
        return False
    finally:
        connection.close()
    return True


def start(data_dir: Path, options: Sequence[str]) -> Running:
    """Start a server that outlives this process, and wait until it is ready.

    Args:
        options: Flags of the server's entry, without --data-dir.

    Raises:
        FailedPrecondition: it ended, with its last log lines, or is not ready within a minute.
    """
    log = data_dir / "run" / "server.log"
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        sink = log.open("ab")
    except OSError as error:
        raise FailedPrecondition(
            f"{log.parent} cannot be written: {error.strerror}.", hint="Choose another: --data-dir DIR"
        ) from None
    with sink:
        begin = sink.tell()
        child = subprocess.Popen(
            command(data_dir, options),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            start_new_session=True,
            cwd=data_dir,
        )
    deadline = time.monotonic() + _START_SECONDS
    while child.poll() is None and time.monotonic() < deadline:
        # Not `find`: it tries the lock, and might be holding it just when the server wants it.
        running = _record(data_dir)
        if running and running.pid == child.pid and healthy(running):
            # It goes on without us: tell the interpreter not to warn of a child that still runs.
            child.returncode = 0
            return running
        time.sleep(0.05)
    if child.poll() is None:
        child.terminate()
        child.wait()
        reason = f"The server was not ready within {_START_SECONDS:g} seconds."
    else:
        reason = f"The server ended with status {child.returncode}."
    with log.open("rb") as source:
        source.seek(begin)
        said = source.read().decode(errors="replace").strip().splitlines()
    raise FailedPrecondition("\n".join([reason, *said[-_LAST_LINES:]]), hint=f"Its log: {log}")


def stop(data_dir: Path, running: Running) -> bool:
    """Ask the server to end, and wait up to half a minute for it; whether it is gone.

    Raises:
        FailedPrecondition: the process belongs to somebody else.
    """
    try:
        os.kill(running.pid, signal.SIGTERM)
    except ProcessLookupError:
        return True
    except PermissionError:
        raise FailedPrecondition(f"Process {running.pid} belongs to another user.") from None
    if not _comes_true(lambda: not _alive(running.pid) and not _locked(data_dir), within=_STOP_SECONDS):
        return False
    # Then until its number is free as well; some containers' first process takes its time to see to that.
    _comes_true(lambda: not _exists(running.pid), within=_REAP_SECONDS)
    return True


def _comes_true(condition: Callable[[], bool], *, within: float) -> bool:
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _locked(data_dir: Path) -> bool:
    """Whether a server holds the data directory: it keeps a lock on run/server.lock as long as it lives."""
    try:
        with (data_dir / "run" / "server.lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _alive(pid: int) -> bool:
    if not _exists(pid):
        return False
    try:
        # After "pid (name) ": a zombie has ended, though nobody has fetched its status.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return not Path("/proc/self").exists()
