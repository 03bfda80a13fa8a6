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
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from mlengine.backends import shim
from mlengine.backends.executors.folder import TaskFolder
from mlengine.backends.executors.gpus import nvidia_smi, present_gpus
from mlengine.backends.executors.samples import read_samples
from mlengine.errors import InvalidArgument, Unavailable
from mlengine.jobs.executor import Outcome, Phase, Sample, Task

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
        enforcers: What may be used to enforce limits; the first that works here is. A sampler always works.
        gpus: The GPUs that tasks may be given; None for those that are here.
    """

    def __init__(
        self,
        root: Path,
        python: str = sys.executable,
        *,
        enforcers: tuple[str, ...] = (shim.CGROUP_V2, shim.CGROUP_V1, shim.SAMPLER),
        gpus: Collection[int] | None = None,
    ) -> None:
        self._root = root
        self._python = python
        self._enforcers = enforcers
        self._gpus = gpus
        self._nvidia_smi = nvidia_smi()
        self._guard = threading.Lock()
        self._spawned: dict[str, subprocess.Popen[bytes]] = {}  # shims of ours that have not ended
        self._failed: dict[str, int] = {}  # exit codes of shims that broke down

    def start(self, task: Task) -> None:
        folder = TaskFolder(self._root, task.task_id)
        self._check_gpus(task)
        folder.describe(task, enforcers=self._enforcers, nvidia_smi=self._nvidia_smi)
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
            left = self._sweep(folder)
            stuck = f"{left} of its processes cannot be killed." if left else ""
            return replace(
                outcome, message=" ".join(filter(None, (outcome.message, stuck, _last_words(folder))))
            )
        return outcome

    def stop(self, task_id: str) -> None:
        folder = TaskFolder(self._root, task_id)
        folder.cancel()
        if folder.outcome().phase is Phase.LOST:
            self._sweep(folder)

    def forget(self, task_id: str) -> None:
        TaskFolder(self._root, task_id).remove()
        self._failed.pop(task_id, None)

    def log_file(self, task_id: str) -> Path:
        return TaskFolder(self._root, task_id).log

    def samples(self, task_id: str, since: datetime | None = None) -> list[Sample]:
        return read_samples(TaskFolder(self._root, task_id).path, since)

    def _check_gpus(self, task: Task) -> None:
        if not task.gpus:
            return
        if self._gpus is None:
            self._gpus = [gpu.index for gpu in present_gpus(self._nvidia_smi)]
        if missing := [index for index in task.gpus if index not in self._gpus]:
            here = ", ".join(map(str, self._gpus)) or "none"
            raise InvalidArgument(
                f"Task {task.task_id} is to see GPU {missing[0]}, which is not here. GPUs here: {here}.",
                hint="Ask for a machine without GPUs, or run the server where they are.",
            )

    def _sweep(self, folder: TaskFolder) -> int:
        cgroups = folder.cgroups()
        left = sweep(folder.path, cgroups)
        for cgroup in cgroups:
            shim.remove_cgroup(str(cgroup), patience=0)
        return left

    def _spawn(self, folder: TaskFolder) -> subprocess.Popen[bytes]:
        try:
            with (folder.path / _SHIM_ERRORS).open("ab") as errors:
                process = subprocess.Popen(
                    [self._python, "-I", "-S", shim.PROGRAM, str(folder)],
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


def sweep(folder: Path, cgroups: Collection[Path] = ()) -> int:
    """Kill every process of a task whose supervisor is gone (Linux; elsewhere none is found).

    Args:
        folder: The folder of the task, as the environment of its processes names it.
        cgroups: Those of the task: who is in one is of it, whatever its environment says.

    Returns:
        How many are still there after half a second.
    """
    patience = time.monotonic() + _SWEEP_SECONDS
    while strays := {*_marked(folder), *_within(cgroups)}:
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


def _within(cgroups: Collection[Path]) -> list[int]:
    found = []
    for cgroup in cgroups:
        try:
            found += [int(pid) for pid in (cgroup / "cgroup.procs").read_text().split()]
        except OSError:  # gone: the supervisor ended in peace, or an earlier sweep took it away
            continue
    return found


def _last_words(folder: TaskFolder) -> str:
    try:
        return (folder.path / _SHIM_ERRORS).read_text(errors="replace")[-2000:].strip()
    except FileNotFoundError:
        return ""
