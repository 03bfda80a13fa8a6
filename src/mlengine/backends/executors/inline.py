"""Tasks run while `start` is called, for tests of what uses an executor. Same files, no supervision."""

from __future__ import annotations

import os
import subprocess
from datetime import datetime
from pathlib import Path

from mlengine.backends import shim
from mlengine.backends.executors.folder import TaskFolder
from mlengine.backends.executors.samples import read_samples
from mlengine.errors import InvalidArgument
from mlengine.jobs.executor import Outcome, Sample, Task


class InlineExecutor:
    """Runs the command to its end inside `start`. What it leaves running lives on; `stop` comes too late.

    It enforces no limits and measures nothing, so a task that has limits is refused.

    Args:
        root: Where the folders of tasks are; made if need be.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def start(self, task: Task) -> None:
        folder = TaskFolder(self._root, task.task_id)
        if task.memory_bytes is not None or task.cpus is not None:
            raise InvalidArgument(
                f"Task {task.task_id} has limits, and an inline executor enforces none.",
                hint="Use the local executor.",
            )
        folder.describe(task, enforcers=(), nvidia_smi=None)
        if folder.has(shim.CANCEL):
            folder.cancel()
        lock = shim.acquire(str(folder))
        if lock is None:
            return
        try:
            if not folder.has_begun:
                _run(task, folder)
        finally:
            os.close(lock)

    def poll(self, task_id: str) -> Outcome:
        return TaskFolder(self._root, task_id).outcome()

    def stop(self, task_id: str) -> None:
        TaskFolder(self._root, task_id).cancel()

    def forget(self, task_id: str) -> None:
        TaskFolder(self._root, task_id).remove()

    def log_file(self, task_id: str) -> Path:
        return TaskFolder(self._root, task_id).log

    def samples(self, task_id: str, since: datetime | None = None) -> list[Sample]:
        return read_samples(TaskFolder(self._root, task_id).path, since)


def _run(task: Task, folder: TaskFolder) -> None:
    started = shim.stamp()
    log = shim.Log(str(folder.log), task=task.task_name, trial=task.trial_id, give_up=lambda: False)
    shim.store(str(folder), shim.RUN, {"pid": os.getpid(), "started": started})
    if task.cwd is None:
        (folder.path / "work").mkdir(exist_ok=True)
    out, out_end = os.pipe()
    err, err_end = os.pipe()
    output = shim.Output(log, {out: "INFO", err: "ERROR"})
    problem = ""
    try:
        process = subprocess.Popen(
            task.argv,
            env={**task.env, **shim.marks(str(folder), task.task_id, phased=task.phased, gpus=task.gpus)},
            cwd=task.cwd or folder.path / "work",
            stdin=subprocess.DEVNULL,
            stdout=out_end,
            stderr=err_end,
        )
    except OSError as error:
        code = 127 if isinstance(error, FileNotFoundError) else 126
        problem = f"The command {task.argv[0]} cannot be started: {error.strerror}."
    finally:
        os.close(out_end)
        os.close(err_end)
    if not problem:
        while output.is_open and process.poll() is None:
            output.pump(0.05)
        code = process.wait()
    output.drain()
    if problem:
        log.write([("ERROR", problem)])
    log.close()
    shim.store_exit(str(folder), started=started, code=code, message=problem, lines=log.count)
