"""Tasks as supervised processes of this machine that outlive the server.

Apart from `folder`, which reads and writes files, this is where processes are spawned and killed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

from mlengine.backends import shim
from mlengine.backends.executors.folder import TaskFolder
from mlengine.errors import Unavailable
from mlengine.jobs.executor import Outcome, Phase, Task

_SWEEP_SECONDS = 0.5  # A killed process is gone in microseconds; only one stuck in the kernel takes longer.
_SHIM_ERRORS = "shim.err"


class LocalExecutor:
    """Runs each task under a detached shim; every answer is read from the disk.

    A server that was killed is replaced by another one on the same `root`: tasks went on meanwhile. A task
    is PENDING when it was described but the server died before the shim had its lock, so whoever still
    wants it calls `start` again. A task whose shim failed before it ran anything is LOST while this object
    lives, with the shim's last words as the message.

    When a shim is killed its command dies with it (Linux); other processes of the task are found by the
    variable MLENGINE_TASK_FOLDER in their environment and killed by the next `poll` or `stop`.

    Args:
        root: Where the folders of tasks are; made if need be.
        python: The interpreter for shims, 3.11 or newer.
    """

    def __init__(self, root: Path, python: str = sys.executable) -> None:
        self._root = root
        self._python = python
        self._guard = threading.Lock()
        self._spawned: dict[str, subprocess.Popen[bytes]] = {}  # shims of ours that have not ended
        self._failed: dict[str, int] = {}  # exit codes of shims that broke down

    def start(self, task: Task) -> None:
        folder = TaskFolder(self._root, task.task_id)
        folder.describe(task)
        with self._guard:
            if folder.has_begun or task.task_id in self._spawned or shim.is_held(str(folder)):
                return
            if folder.has(shim.CANCEL):
                folder.cancel()  # The server that was asked to stop it died before it could see to it.
                return
            self._failed.pop(task.task_id, None)
            self._spawned[task.task_id] = self._spawn(folder)

    def poll(self, task_id: str) -> Outcome:
        folder = TaskFolder(self._root, task_id)
        outcome = folder.outcome()
        if outcome.phase is Phase.PENDING and task_id in self._failed:
            message = f"Its supervisor failed with exit code {self._failed[task_id]}. {_last_words(folder)}"
            return replace(outcome, phase=Phase.LOST, message=message.strip())
        if outcome.phase is Phase.LOST and folder.has(shim.RUN):
            left = sweep(folder.path)
            stuck = f"{left} of its processes cannot be killed." if left else ""
            return replace(
                outcome, message=" ".join(filter(None, (outcome.message, stuck, _last_words(folder))))
            )
        return outcome

    def stop(self, task_id: str) -> None:
        folder = TaskFolder(self._root, task_id)
        folder.cancel()
        if folder.outcome().phase is Phase.LOST:
            sweep(folder.path)

    def forget(self, task_id: str) -> None:
        TaskFolder(self._root, task_id).remove()
        self._failed.pop(task_id, None)

    def log_file(self, task_id: str) -> Path:
        return TaskFolder(self._root, task_id).log

    def _spawn(self, folder: TaskFolder) -> subprocess.Popen[bytes]:
        try:
            with (folder.path / _SHIM_ERRORS).open("ab") as errors:
                process = subprocess.Popen(
                    [self._python, "-I", "-S", shim.__file__, str(folder)],
                    env={},
                    cwd="/",
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    start_new_session=True,
                )
        except OSError as error:
            raise Unavailable(
                f"Task {folder.path.name}: its supervisor cannot be started with {self._python}: {error}.",
                hint="Free some processes or memory, or repair that Python; then try again.",
            ) from error
        # A thread of its own, asleep until then: a shim becomes no zombie even if nobody polls.
        threading.Thread(
            target=self._reap, args=(folder.path.name, process), name=f"reap {folder.path.name}", daemon=True
        ).start()
        return process

    def _reap(self, task_id: str, process: subprocess.Popen[bytes]) -> None:
        code = process.wait()
        with self._guard:  # not before `start` has noted it
            del self._spawned[task_id]
            if code != 0:
                self._failed[task_id] = code


def sweep(folder: Path) -> int:
    """Kill every process of a task whose supervisor is gone (Linux; elsewhere none is found).

    Args:
        folder: The folder of the task, as the environment of its processes names it.

    Returns:
        How many are still there after half a second.
    """
    patience = time.monotonic() + _SWEEP_SECONDS
    while strays := _marked(folder):
        for pid in strays:
            try:
                os.kill(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass
        if time.monotonic() > patience:
            return len(strays)
        time.sleep(0.005)
    return 0


def _marked(folder: Path) -> list[int]:
    mark = os.fsencode(f"{shim.FOLDER_VARIABLE}={folder}")
    found = []
    for process in Path("/proc").glob("[1-9]*"):
        try:
            variables = (process / "environ").read_bytes().split(b"\0")
        except OSError:  # gone meanwhile, or another user's
            continue
        if mark in variables and int(process.name) != os.getpid():
            found.append(int(process.name))
    return found


def _last_words(folder: TaskFolder) -> str:
    try:
        return (folder.path / _SHIM_ERRORS).read_text(errors="replace")[-2000:].strip()
    except FileNotFoundError:
        return ""
