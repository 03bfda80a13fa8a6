"""A story is what a person types: our command line, as child processes, against a real server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MLENGINE = Path(sys.executable).with_name("mlengine")


@dataclass
class Shell:
    """A place to type commands in.

    Attributes:
        cwd: Where commands run.
        environment: What they see besides a clean base.
    """

    cwd: Path
    environment: dict[str, str] = field(default_factory=dict)

    def run(
        self,
        *words: str,
        code: int | None = 0,
        stdin: str = "",
        cwd: Path | None = None,
        timeout: float = 240,
    ) -> subprocess.CompletedProcess[str]:
        """Run `mlengine WORDS`; its exit code must be `code` (None: any)."""
        return self.program(str(MLENGINE), *words, code=code, stdin=stdin, cwd=cwd, timeout=timeout)

    def program(
        self,
        *words: str,
        code: int | None = 0,
        stdin: str = "",
        cwd: Path | None = None,
        timeout: float = 240,
    ) -> subprocess.CompletedProcess[str]:
        """Run any program."""
        done = subprocess.run(
            words,
            cwd=cwd or self.cwd,
            env=self.full,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        if code is not None and done.returncode != code:
            pytest.fail(
                f"$ {' '.join(words)}\nexit {done.returncode}, not {code}\n{done.stdout}\n{done.stderr}"
            )
        return done

    def json(self, *words: str) -> dict:
        """The JSON that `mlengine WORDS --format json` prints."""
        return json.loads(self.run(*words, "--format", "json").stdout)

    @property
    def full(self) -> Mapping[str, str]:
        kept = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("MLENGINE_", "STORAGE_", "GOOGLE_", "PYTHON"))
            or key == "MLENGINE_CACHE_DIR"
        }
        return kept | {"PATH": f"{MLENGINE.parent}:{os.environ['PATH']}"} | self.environment


class Server:
    """A server of its own data directory, and a shell that talks to it."""

    def __init__(self, data_dir: Path, shell: Shell) -> None:
        self.data_dir = data_dir
        self.shell = shell
        shell.environment["MLENGINE_DATA_DIR"] = str(data_dir)

    def start(self) -> None:
        self.shell.run("server", "start", "--detach", "--port", "0")
        record = self.record()
        self.endpoint = f"http://127.0.0.1:{record['port']}"
        self.shell.environment["MLENGINE_ENDPOINT"] = self.endpoint

    def stop(self) -> None:
        self.shell.run("server", "stop")

    def record(self) -> dict:
        return json.loads((self.data_dir / "run" / "server.json").read_text())

    def kill(self) -> None:
        """SIGKILL, and wait until the whole server is gone."""
        pid = self.record()["pid"]
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not Path(f"/proc/{pid}").exists(), "the server's end")


def wait_until(condition, what: str, seconds: float = 60.0) -> None:
    """Look again and again until `condition()` holds; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {seconds} s in vain for {what}")
        time.sleep(0.05)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all stories; each uses names of its own."""
    running = Server(tmp_path_factory.mktemp("data"), Shell(ROOT))
    running.start()
    yield running
    running.stop()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """A server that a story may kill."""
    running = Server(tmp_path / "data", Shell(tmp_path))
    running.start()
    yield running
    running.shell.run("server", "stop", code=None)


@pytest.fixture
def shell(server: Server, tmp_path: Path) -> Shell:
    """An empty folder to type in, with the server set."""
    return Shell(tmp_path, dict(server.shell.environment))


@pytest.fixture(scope="session")
def titanic_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The passenger data, fetched as a person would."""
    return _fetch("titanic", tmp_path_factory)


@pytest.fixture(scope="session")
def mnist_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The 70,000 digits, fetched as a person would."""
    return _fetch("mnist", tmp_path_factory)


def _fetch(name: str, factory: pytest.TempPathFactory) -> Path:
    folder = factory.mktemp(name)
    command = [sys.executable, str(ROOT / "examples" / "fetch_data.py"), name, "--to", str(folder)]
    subprocess.run(command, check=True, timeout=300)
    return folder
