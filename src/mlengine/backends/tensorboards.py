"""TensorBoard processes: each for one folder, in the environment of a runtime that has TensorBoard.

One ends with the server, whose end of a pipe it reads, and when nobody has asked it for anything for a while.
"""

from __future__ import annotations

import json
import os
import secrets
import select
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from mlengine.administration.domain import Board
from mlengine.clock import Clock
from mlengine.environments import Builder, Runtime, runtimes
from mlengine.environments.catalogue import pins
from mlengine.errors import FailedPrecondition

_PACKAGE = "tensorboard"
_START_SECONDS = 180.0
_GRACE_SECONDS = 5.0
_IDLE_SECONDS = 900.0
_LOOK_SECONDS = 15.0
# Each holds some hundred MB. One more ends the one that nobody has used for longest.
_MOST = 6
_RELOAD_SECONDS = 5
_MOST_SHOWN = 2000


class _Running(NamedTuple):
    board: Board
    process: subprocess.Popen[bytes]
    folder: Path


class TensorBoards:
    """Implements `mlengine.administration.domain.Boards`.

    Args:
        root: Folder in which each process gets one of its own.
        builder: Knows which runtimes are built.
        environment: The variables of one for a project, with its own home and folder for temporary files.
        idle_seconds: How long one lives on that nobody uses.
    """

    def __init__(
        self,
        root: Path,
        builder: Builder,
        clock: Clock,
        *,
        environment: Callable[[str, Path, Path], Mapping[str, str]],
        idle_seconds: float = _IDLE_SECONDS,
    ) -> None:
        self._root = root
        self._builder = builder
        self._clock = clock
        self._environment = environment
        self._idle_seconds = idle_seconds
        self._starting = threading.Lock()
        self._lock = threading.Lock()
        self._running: dict[str, _Running] = {}
        self._ending = threading.Event()
        self._watcher: threading.Thread | None = None
        # Of a server that was killed; its processes have ended with it.
        shutil.rmtree(root, ignore_errors=True)

    def start(self, project: str, logdir: str) -> Board:
        with self._starting:
            self.end_idle()
            for board in self.running(project):
                if board.logdir == logdir:
                    return self.find(board.secret) or board
            self._make_room()
            runtime = self._runtime()
            secret = secrets.token_urlsafe(24)
            folder = self._root / secrets.token_hex(6)
            process, port = self._launch(folder, project, logdir, secret, self._builder.interpreter(runtime))
            now = self._clock()
            board = Board(
                secret=secret,
                project=project,
                logdir=logdir,
                runtime=runtime.name,
                port=port,
                started=now,
                used=now,
            )
            with self._lock:
                self._running[secret] = _Running(board, process, folder)
            if self._watcher is None:
                self._watcher = threading.Thread(target=self._watch, name="tensorboards", daemon=True)
                self._watcher.start()
            return board

    def find(self, secret: str) -> Board | None:
        with self._lock:
            found = self._running.get(secret)
            if found is None or found.process.poll() is not None:
                return None
            board = replace(found.board, used=self._clock())
            self._running[secret] = found._replace(board=board)
            return board

    def running(self, project: str) -> list[Board]:
        with self._lock:
            boards = [found.board for found in self._running.values() if found.process.poll() is None]
        return sorted((one for one in boards if one.project == project), key=lambda one: one.started)

    def stop(self, secret: str) -> None:
        with self._lock:
            found = self._running.pop(secret, None)
        if found is not None:
            _end(found.process)
            shutil.rmtree(found.folder, ignore_errors=True)

    def end_idle(self) -> None:
        """End those that nobody has used for a while, and forget those that have ended by themselves."""
        now = self._clock()
        with self._lock:
            ended = [
                secret
                for secret, found in self._running.items()
                if found.process.poll() is not None
                or (now - found.board.used).total_seconds() > self._idle_seconds
            ]
        for secret in ended:
            self.stop(secret)

    def close(self) -> None:
        """End all of them."""
        self._ending.set()
        for secret in list(self._running):
            self.stop(secret)

    def _make_room(self) -> None:
        with self._lock:
            oldest = sorted(self._running, key=lambda secret: self._running[secret].board.used)
        for secret in oldest[: max(0, len(oldest) + 1 - _MOST)]:
            self.stop(secret)

    def _watch(self) -> None:
        while not self._ending.wait(_LOOK_SECONDS):
            self.end_idle()

    def _runtime(self) -> Runtime:
        fitting = [found for found in runtimes() if _PACKAGE in pins(found.lock_file, system=sys.platform)]
        for runtime in fitting:
            if self._builder.is_built(runtime):
                return runtime
        names = ", ".join(runtime.name for runtime in fitting)
        raise FailedPrecondition(
            f"No runtime that is built on this machine has TensorBoard; {names} have it.",
            hint=f"Build one: mlengine runtimes build {fitting[0].name}",
        )

    def _launch(
        self, folder: Path, project: str, logdir: str, secret: str, python: Path
    ) -> tuple[subprocess.Popen[bytes], int]:
        home, temporary = folder / "home", folder / "tmp"
        home.mkdir(parents=True, mode=0o700)
        temporary.mkdir()
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [str(python), "-P", str(files("mlengine").joinpath("backends/tensorboard_process.py"))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=folder,
                env=dict(self._environment(project, home, temporary)),
                start_new_session=True,
            )
        order = {"logdir": logdir, "prefix": f"/tensorboard/{secret}", "reload_seconds": _RELOAD_SECONDS}
        try:
            return process, int(json.loads(_ask(process, json.dumps(order).encode() + b"\n"))["port"])
        except (ValueError, KeyError, TypeError):
            _end(process)
            said = (folder / "log").read_text(errors="replace")[-_MOST_SHOWN:]
            shutil.rmtree(folder, ignore_errors=True)
            raise FailedPrecondition(
                f"TensorBoard did not start for {logdir}.\n{said.strip()}".strip(),
                hint="Try again; if it fails again, remove the runtime and build it anew.",
            ) from None


def _ask(process: subprocess.Popen[bytes], order: bytes) -> bytes:
    """The first line that a process says after an order; empty if it ends before, or takes too long."""
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write(order)
        process.stdin.flush()
    except BrokenPipeError:
        return b""
    said, until = b"", time.monotonic() + _START_SECONDS
    while not said.endswith(b"\n"):
        ready, _, _ = select.select([process.stdout], [], [], max(0.0, until - time.monotonic()))
        more = os.read(process.stdout.fileno(), 4096) if ready else b""
        if not more:
            break
        said += more
    return said


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
