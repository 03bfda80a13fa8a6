"""A server process beside the worker: started, asked for its health, and started again when it ends.

Apart from `container.py`, which speaks with it, since this half knows nothing of predictions.
"""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from mlengine.serving.runtimes import guardian
from mlengine.serving.runtimes.model import LoadFailed

LOOPBACK = "127.0.0.1"
HEALTH_SECONDS = 10.0
"""How often a healthy server is asked, and how long it may take to answer."""
MOST_FAILURES = 4
"""So many failures one after the other, and the server gets no requests, or is started again."""

_FIRST_WAIT, _LONGEST_WAIT = 0.02, 0.5
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
_FORGIVEN_SECONDS = 60.0
_LAST_LINES = 40


def take_port(wanted: int) -> tuple[int, int]:
    """A port to listen on, the wanted one if it is free, and what keeps it from others like us.

    Returns:
        The port, and the descriptor of a lock that is held until the worker ends: between our look and the
        server's listening, another version of the same port must not take it for free.
    """
    folder = Path(tempfile.gettempdir()) / f"mlengine-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    candidate = wanted
    while True:
        lock = os.open(folder / str(candidate), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("", candidate))
            return candidate, lock
        except OSError:
            os.close(lock)
        with socket.socket() as probe:
            probe.bind((LOOPBACK, 0))
            candidate = probe.getsockname()[1]


class Program:
    """A server process.

    Args:
        command: What to start.
        variables: All of its environment.
        folder: Its working directory.
        port: Where it is to listen.
        health_route: Path that answers 200 once it can serve.
        kept: The descriptor that keeps the port.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        variables: Mapping[str, str],
        folder: Path,
        port: int,
        health_route: str,
        kept: int,
    ) -> None:
        self.port = port
        self.healthy = False
        self.trouble = "it has not started yet."
        self._command = list(command)
        self._variables = dict(variables)
        self._folder = folder
        self._route = health_route if health_route.startswith("/") else f"/{health_route}"
        self._kept = kept
        # Its writing end is held for as long as we live; the guardian ends the server when it closes.
        self._reading, self._writing = os.pipe()
        self._process: subprocess.Popen[bytes] | None = None
        self._lines: deque[str] = deque(maxlen=_LAST_LINES)
        self._reader: threading.Thread | None = None
        self._watcher: threading.Thread | None = None
        self._ended = threading.Event()

    def start(self) -> None:
        """Start it, and return once it is healthy; how long that may take is for the caller's caller to say.

        Raises:
            LoadFailed: It ended before.
        """
        self._run()
        wait = _FIRST_WAIT
        while not self._is_healthy():
            if self._code() is not None:
                assert self._reader is not None
                self._reader.join(timeout=1.0)
                why = self._why_ended()
                self.stop()
                raise LoadFailed(why)
            time.sleep(wait)
            wait = min(wait * 1.5, _LONGEST_WAIT)
        self.healthy, self.trouble = True, ""
        self._watcher = threading.Thread(target=self._watch, name="container-health", daemon=True)
        self._watcher.start()

    def stop(self) -> None:
        """End it, and with it all that it started."""
        if self._ended.is_set():
            return
        self._ended.set()
        if self._watcher is not None:
            self._watcher.join()
        os.close(self._writing)
        if self._process is not None:
            self._process.wait()
        if self._reader is not None:
            self._reader.join()
        os.close(self._reading)
        os.close(self._kept)

    def _run(self) -> None:
        words = [sys.executable, "-I", str(Path(guardian.__file__)), str(self._reading), "--", *self._command]
        self._process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self._folder,
            env=self._variables,
            pass_fds=(self._reading,),
            # Whatever ends a whole group of processes must not end the guardian before its child.
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self._reader = threading.Thread(target=self._hear, args=(self._process.stdout,), daemon=True)
        self._reader.start()

    def _hear(self, output: IO[bytes]) -> None:
        """Pass on what it says, and remember the end of it."""
        with output:
            for line in output:
                text = line.decode("utf-8", "replace")
                self._lines.append(text)
                sys.stderr.write(text)
                sys.stderr.flush()

    def _code(self) -> int | None:
        assert self._process is not None
        return self._process.poll()

    def _why_ended(self) -> str:
        last = "".join(self._lines).strip()
        said = f" It said:\n{last}" if last else " It said nothing."
        return (
            f"The container's command ended with {self._code()} before it was healthy: "
            f"{' '.join(self._command)}.{said}"
        )

    def _is_healthy(self) -> bool:
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=HEALTH_SECONDS)
        try:
            connection.request("GET", self._route)
            answer = connection.getresponse()
            answer.read(65536)
        except (OSError, http.client.HTTPException) as error:
            self.trouble = f"it is not reached on port {self.port} ({error})."
            return False
        finally:
            connection.close()
        self.trouble = f"its health route {self._route} answered {answer.status}."
        return answer.status == 200

    def _listens(self) -> bool:
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=HEALTH_SECONDS):
                return True
        except OSError:
            return False

    def _watch(self) -> None:
        """Ask for its health for ever; start it again when it has ended, or listens no more."""
        unhealthy, silent, pause, started = 0, 0, _FIRST_PAUSE, time.monotonic()
        listened = True  # what starts again may take as long as it did at first
        while not self._ended.wait(self._next_look()):
            if self._code() is None and silent < MOST_FAILURES:
                if self._is_healthy():
                    self.healthy, self.trouble, unhealthy, silent, listened = True, "", 0, 0, True
                    continue
                unhealthy += 1
                listens = self._listens()
                listened = listened or listens
                silent = 0 if listens or not listened else silent + 1
                if unhealthy >= MOST_FAILURES:
                    self.healthy = False
                continue
            self.healthy = False
            self._restart_due(silent)
            if time.monotonic() - started > _FORGIVEN_SECONDS:
                pause = _FIRST_PAUSE
            if self._ended.wait(pause):
                return
            pause, started, listened = min(pause * 2, _LONGEST_PAUSE), time.monotonic(), False
            unhealthy = silent = 0
            with contextlib.suppress(OSError):
                self._run()

    def _next_look(self) -> float:
        """Soon while it is not healthy or may have died; at the contract's pace else."""
        if not self.healthy:
            return _LONGEST_WAIT
        deadline = time.monotonic() + HEALTH_SECONDS
        while time.monotonic() < deadline:
            if self._code() is not None:
                return 0.0
            if self._ended.wait(_LONGEST_WAIT):
                return 0.0
        return 0.0

    def _restart_due(self, silent: int) -> None:
        why = f"it ended with {self._code()}" if silent < MOST_FAILURES else "it listens no more"
        self.trouble = f"{why}, and is started again."
        sys.stderr.write(f"The container's command is started again: {why}.\n")
        sys.stderr.flush()
        if self._code() is None and self._process is not None:
            # Its guardian ends it: a new pipe for the next one.
            os.close(self._writing)
            self._process.wait()
            os.close(self._reading)
            self._reading, self._writing = os.pipe()
