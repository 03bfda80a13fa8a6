"""What the stories about buckets share: large files, commands to interrupt, and a line that can be cut."""

from __future__ import annotations

import base64
import os
import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import google_crc32c

from tests.stories.conftest import MLENGINE, Shell

MB = 1_000_000
BIG = 200 * MB


@contextmanager
def own_bucket(shell: Shell, title: str) -> Iterator[str]:
    """An empty bucket, removed in the end; and a place of its own for unfinished transfers."""
    shell.environment["MLENGINE_CACHE_DIR"] = str(shell.cwd / "cache")
    url = "gs://" + re.sub(r"[^a-z0-9]+", "-", title.lower())[:60].strip("-")
    shell.run("storage", "mb", url)
    yield url
    shell.run("storage", "rm", "-r", url)


def big_file(path: Path, size: int = BIG) -> str:
    """Write `size` bytes that repeat nowhere; their checksum as the API writes it."""
    block = os.urandom(MB)
    checksum = google_crc32c.Checksum()
    with path.open("wb") as target:
        for number in range(size // MB):
            piece = number.to_bytes(8, "big") + block[8:]
            target.write(piece)
            checksum.update(piece)
    return base64.b64encode(checksum.digest()).decode()


def checksum_of(path: Path) -> str:
    """As the API writes it."""
    checksum = google_crc32c.Checksum()
    with path.open("rb") as source:
        while piece := source.read(MB):
            checksum.update(piece)
    return base64.b64encode(checksum.digest()).decode()


@contextmanager
def running(shell: Shell, *words: str, **options) -> Iterator[subprocess.Popen]:
    """`mlengine WORDS` as a process of its own."""
    process = subprocess.Popen(
        [str(MLENGINE), *words], cwd=shell.cwd, env=shell.full, stdin=subprocess.DEVNULL, **options
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream:
                stream.close()


class Tap:
    """A line to the server that a test can hold in the middle of an answer, and cut.

    Attributes:
        hold_at: So many bytes come from the server, and then nothing until `cut`; None to hold nothing.
        held: Set when that has happened.
    """

    def __init__(self, endpoint: str) -> None:
        parts = urlsplit(endpoint)
        self._server = (parts.hostname, parts.port)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.hold_at: int | None = None
        self.held = threading.Event()
        self._cut = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def shell(self, shell: Shell) -> Shell:
        """The same place, with this line to the server."""
        return Shell(shell.cwd, shell.environment | {"MLENGINE_ENDPOINT": self.endpoint})

    def cut(self) -> None:
        self._cut.set()

    def close(self) -> None:
        self.cut()
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            far = socket.create_connection(self._server)
            for one, other in ((near, far), (far, near)):
                thread = threading.Thread(target=self._pump, args=(one, other, one is far))
                self._threads.append(thread)
                thread.start()

    def _pump(self, one: socket.socket, other: socket.socket, counted: bool) -> None:
        count = 0
        try:
            while piece := one.recv(1 << 16):
                count += len(piece)
                if counted and self.hold_at is not None and count > self.hold_at:
                    self.held.set()
                    self._cut.wait()
                    self.hold_at = None
                    break
                other.sendall(piece)
        except OSError:
            pass
        for end in (one, other):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        if counted:
            one.close()
            other.close()
