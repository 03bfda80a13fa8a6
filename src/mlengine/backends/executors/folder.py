"""A task's folder as the server sees it: written before the start, read at any time, removed at the end.

Apart from the executors because all that supervise with files share it. What lies in the folder, and who
writes what, is told in `mlengine.backends.shim`.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Collection
from datetime import datetime
from pathlib import Path
from typing import Any

from mlengine.backends import shim
from mlengine.errors import FailedPrecondition
from mlengine.jobs.executor import Limits, Outcome, OutOfMemory, Phase, Task, check_task_id

_LEAVE_SECONDS = 2  # for a shim to be gone after it wrote exit.json; takes milliseconds on a healthy disk


class TaskFolder:
    """The folder of one task below `root`. Holds no state: two servers may look at the same one.

    Raises:
        InvalidArgument: `task_id` can name no task.
    """

    def __init__(self, root: Path, task_id: str) -> None:
        check_task_id(task_id)
        self.path = root.resolve() / task_id

    def __str__(self) -> str:
        return str(self.path)

    def has(self, name: str) -> bool:
        """Whether the file `name` is there."""
        return shim.exists(str(self), name)

    @property
    def log(self) -> Path:
        return self.path / shim.LOG

    @property
    def has_begun(self) -> bool:
        """Whether the command was started or never may be: nobody need do anything any more."""
        return self.has(shim.RUN) or self.has(shim.EXIT)

    def describe(self, task: Task, *, enforcers: Collection[str], nvidia_smi: str | None) -> None:
        """Write what to run. Only the first description of an id counts.

        Args:
            enforcers: What may be used to enforce its limits.
            nvidia_smi: The program that tells about GPUs; None where there is none.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        if self.has(shim.TASK):
            return
        draft = f"{shim.TASK}.{os.getpid()}.{os.urandom(4).hex()}"
        shim.store(
            str(self),
            draft,
            {
                "task_id": task.task_id,
                "argv": list(task.argv),
                "env": dict(task.env),
                "cwd": None if task.cwd is None else str(task.cwd.absolute()),
                "task_name": task.task_name,
                "trial_id": task.trial_id,
                "grace_seconds": task.grace_seconds,
                "phased": task.phased,
                "memory_bytes": task.memory_bytes,
                "cpus": task.cpus,
                "gpus": None if task.gpus is None else list(task.gpus),
                "enforcers": list(enforcers),
                "nvidia_smi": nvidia_smi,
            },
        )
        try:
            os.link(self.path / draft, self.path / shim.TASK)  # unlike a rename, never replaces
        except FileExistsError:
            pass  # Another thread or server asked for the same task just before us.
        finally:
            (self.path / draft).unlink()
        _sync(self.path)
        _sync(self.path.parent)

    def cancel(self) -> None:
        """Ask for the end. If nobody supervises and nothing ran yet, see to it that it never will."""
        if self.has(shim.EXIT):
            return
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / shim.CANCEL).touch()
        # With the lock in our hand no shim can be between its look for `cancel` and the start.
        lock = shim.acquire(str(self))
        if lock is None:
            return
        try:
            if not self.has_begun:
                shim.store_exit(str(self), stopped=True, message="It was stopped before it started.")
        finally:
            os.close(lock)

    def outcome(self) -> Outcome:
        """What the files tell. PENDING: described, but nobody supervises it and nothing ran."""
        ended = self._read(shim.EXIT)
        if ended is None and shim.is_held(str(self)):
            return self._running()
        ended = ended or self._read(shim.EXIT)  # It may have come before the lock was let go.
        if ended is not None:
            task = self._read(shim.TASK) or {}
            return Outcome(
                phase=Phase.EXITED,
                exit_code=ended["exit_code"],
                signal=ended["signal"],
                stopped=ended["stopped"],
                started=_time(ended["started"]),
                ended=_time(ended["ended"]),
                message=ended["message"],
                began=not task.get("phased") or self._said_running(),
                limits=_limits(ended),
                out_of_memory=OutOfMemory(ended["out_of_memory"]) if ended.get("out_of_memory") else None,
                peak_memory_bytes=ended.get("peak_memory_bytes"),
                cpu_seconds=ended.get("cpu_seconds"),
            )
        begun = self._read(shim.RUN)
        if begun is not None:
            return Outcome(
                phase=Phase.LOST,
                started=_time(begun["started"]),
                message="Its supervisor ended before it did: killed, out of memory, or the machine stopped.",
                limits=_limits(begun),
            )
        if self.has(shim.TASK):
            return Outcome(phase=Phase.PENDING)
        return Outcome(phase=Phase.LOST, message=f"No task {self.path.name} is known here.")

    def _running(self) -> Outcome:
        begun, task = self._read(shim.RUN), self._read(shim.TASK)
        if begun is None or task is None:
            return Outcome(phase=Phase.PREPARING)
        running = not task["phased"] or self._said_running()
        return Outcome(
            phase=Phase.RUNNING if running else Phase.PREPARING,
            started=_time(begun["started"]),
            limits=_limits(begun),
        )

    def cgroups(self) -> list[Path]:
        """Those that were made for the task; they are gone when its supervisor ended in peace."""
        begun = self._read(shim.RUN) or {}
        return [Path(cgroup) for cgroup in begun.get("limits", {}).get("cgroups", ())]

    def _said_running(self) -> bool:
        try:
            return b"RUNNING" in (self.path / shim.PHASE).read_bytes()
        except OSError:  # not written yet, or the command made something odd of it
            return False

    def remove(self) -> None:
        """Delete the folder.

        Raises:
            FailedPrecondition: The task is not over, or its supervisor hangs in its last step.
        """
        if not self.path.exists():
            return
        patience = time.monotonic() + _LEAVE_SECONDS
        # The lock keeps out a shim that was spawned and has not looked around yet.
        while (lock := shim.acquire(str(self))) is None and self.has(shim.EXIT):
            if time.monotonic() > patience:
                break
            time.sleep(0.002)
        if lock is None and self.path.exists():
            raise FailedPrecondition(
                f"Task {self.path.name} is still running; nothing of it can be removed.",
                hint="Stop it and wait until it has ended.",
            )
        if lock is None:
            return
        try:
            # First the name, at once, for readers must never meet half a folder; no id starts with a dot.
            doomed = self.path.with_name(f".{self.path.name}.{os.urandom(4).hex()}")
            self.path.rename(doomed)
        finally:
            os.close(lock)
        _delete(doomed)

    def _read(self, name: str) -> Any:
        try:
            return json.loads((self.path / name).read_bytes())
        except FileNotFoundError:
            return None


def _delete(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except PermissionError:  # The command may have made folders in which even we may not delete.
        for place, names, _ in os.walk(folder):
            for path in (Path(place, name) for name in names):
                if not path.is_symlink():
                    path.chmod(0o700)
        shutil.rmtree(folder)


def _sync(folder: Path) -> None:
    """Bring the names in `folder` to the disk."""
    place = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(place)
    finally:
        os.close(place)


def _limits(record: dict[str, Any]) -> Limits:
    told = record.get("limits")
    if told is None:  # written by a supervisor that knew no limits
        return Limits()
    return Limits(
        memory_bytes=told["memory_bytes"],
        memory_by=told["memory_by"],
        cpus=told["cpus"],
        cpus_by=told["cpus_by"],
        cores=tuple(told["cores"]),
    )


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
