"""What jobs ask of a machine: to run tasks. Apart, for backends fulfil it and import nothing else of jobs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from mlengine.errors import InvalidArgument

_TASK_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")


class OutOfMemory(StrEnum):
    """Whose memory it was that a task needed more of."""

    LIMIT = "limit"
    """Its own: `Task.memory_bytes`."""
    MACHINE = "machine"
    """The machine's, which had no more for anybody."""


class Phase(StrEnum):
    """How far a task has come."""

    PENDING = "PENDING"
    """Asked for, not yet supervised. Calling `start` again is safe, and after a crash necessary."""
    PREPARING = "PREPARING"
    """Supervised; the user's code does not run yet."""
    RUNNING = "RUNNING"
    """The user's code runs."""
    EXITED = "EXITED"
    """Over, by itself or because we asked; nothing of it lives any more. Final."""
    LOST = "LOST"
    """Never seen, forgotten, or its supervisor is gone: nobody will ever know how it ended. Final."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One process tree to run, once.

    Args:
        task_id: Our name for it, unique for ever: up to 200 of A-Z, a-z, 0-9, ".", "_", "-"; no "." in front.
        argv: The command; the first word is looked up in `env["PATH"]` when it has no slash.
        env: The whole environment of the command. Nothing else is inherited; only variables whose names
            begin with `MLENGINE_`, and CUDA's where GPUs are given, are added by the executor.
        cwd: Working directory, which must exist; None for an empty one in the task's own folder.
        task_name: What its log lines are labelled with ("master-replica-0").
        trial_id: The tuning trial it belongs to, or "".
        grace_seconds: How long after SIGTERM the rest of the tree is killed.
        phased: Whether the command says itself when the user's code begins, by writing "RUNNING" into the
            file that the variable MLENGINE_PHASE_FILE names. It is PREPARING until then.
        memory_bytes: What all its processes may hold together; with more it is killed. None for no limit.
        cpus: How many processors' worth of time it may take; None for no limit.
        gpus: Indices of the GPUs that it may see, as nvidia-smi counts them; () for none of them, None to
            say nothing about GPUs.

    Raises:
        InvalidArgument: The id, the command, the grace or a limit can never work.
    """

    task_id: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path | None = None
    task_name: str
    trial_id: str = ""
    grace_seconds: float = 10
    phased: bool = False
    memory_bytes: int | None = None
    cpus: float | None = None
    gpus: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        check_task_id(self.task_id)
        if not self.argv or not self.argv[0]:
            raise InvalidArgument(
                f"Task {self.task_id} has no command.", hint="Give at least one word in argv."
            )
        if any("\0" in word for word in (*self.argv, *self.env.keys(), *self.env.values())):
            raise InvalidArgument(
                f"Task {self.task_id}: a NUL character stands in its arguments or environment.",
                hint="No process can be given one; remove it.",
            )
        if any(not name or "=" in name for name in self.env):
            raise InvalidArgument(
                f"Task {self.task_id}: an environment variable has an empty name or one with '='."
            )
        if not 0 <= self.grace_seconds < float("inf"):
            raise InvalidArgument(
                f"Task {self.task_id}: a grace of {self.grace_seconds} seconds is not possible.",
                hint="Give 0 or more seconds.",
            )
        if self.memory_bytes is not None and self.memory_bytes <= 0:
            raise InvalidArgument(
                f"Task {self.task_id}: {self.memory_bytes} bytes of memory are not possible.",
                hint="Give at least one byte, or no limit.",
            )
        if self.cpus is not None and not 0 < self.cpus < float("inf"):
            raise InvalidArgument(
                f"Task {self.task_id}: {self.cpus} processors are not possible.",
                hint="Give more than 0, or no limit.",
            )
        if self.gpus is not None and (len(set(self.gpus)) < len(self.gpus) or min(self.gpus, default=0) < 0):
            raise InvalidArgument(
                f"Task {self.task_id}: {', '.join(map(str, self.gpus))} cannot be the indices of its GPUs.",
                hint="Give each once, from 0 on.",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is in force for a task that was started.

    Args:
        memory_bytes: Its limit; None for none.
        memory_by: Who sees to it: "cgroup v2", "cgroup v1" or "sampler"; "" without a limit, or where
            nobody can (off Linux).
        cpus: Its limit; None for none.
        cpus_by: Who sees to it: "cgroup v2", "cgroup v1" or "affinity"; "" as above.
        cores: The cores that it is bound to, where processors are limited that way: then it has whole ones.
    """

    memory_bytes: int | None = None
    memory_by: str = ""
    cpus: float | None = None
    cpus_by: str = ""
    cores: tuple[int, ...] = ()

    def __str__(self) -> str:
        """In words: "memory 15.0 GB by cgroup v2, 4 CPUs by cgroup v2"."""
        parts = []
        if self.memory_bytes is not None:
            parts.append(f"memory {in_words(self.memory_bytes)} by {self.memory_by or 'nobody'}")
        if self.cpus is not None:
            where = f" (cores {', '.join(map(str, self.cores))})" if self.cores else ""
            cpus = f"{self.cpus:g} CPU{'' if self.cpus == 1 else 's'}"
            parts.append(f"{cpus} by {self.cpus_by or 'nobody'}{where}")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuSample:
    """One GPU at one moment; all that use it count, not the task alone.

    Args:
        index: As nvidia-smi counts.
        busy: From 0 to 1.
        memory_bytes: That are taken.
    """

    index: int
    busy: float
    memory_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What a task used at one moment, or, of what is counted, since it began.

    Args:
        time: When, UTC.
        cpus: Processors' worth of time taken since the sample before.
        cpu_seconds: Processor time since it began.
        memory_bytes: That all its processes held together, what they share counted once; the most of the
            moments that this sample stands for.
        processes: How many there were; the most, too.
        disk_read_bytes: Read from disks since it began (what the kernel had in memory does not count).
        disk_written_bytes: Written to disks since it began.
        machine_received_bytes: By the whole machine since the first sample: networks know no tasks.
        machine_sent_bytes: The same, sent.
        gpus: Those that it may see.
    """

    time: datetime
    cpus: float
    cpu_seconds: float
    memory_bytes: int
    processes: int
    disk_read_bytes: int
    disk_written_bytes: int
    machine_received_bytes: int
    machine_sent_bytes: int
    gpus: tuple[GpuSample, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a task stands, as far as anyone can know.

    Args:
        phase: How far it has come.
        exit_code: What the command returned (0-255); None before the end, and when a signal ended it.
        signal: The signal that ended the command; None otherwise.
        stopped: Whether it ended because `stop` asked; True for a task stopped before it started.
        started: When the command was started, UTC.
        ended: When nothing of it lived any more, UTC.
        message: A sentence for people about an end that was not a plain exit, or "".
        began: Whether the user's code was reached; True unless a phased command ended while it was PREPARING.
        limits: What is in force since the start.
        out_of_memory: Whether it ended for want of memory, and whose; None otherwise.
        peak_memory_bytes: The most memory that was seen; None before the end.
        cpu_seconds: The processor time that it took; None before the end.
    """

    phase: Phase
    exit_code: int | None = None
    signal: int | None = None
    stopped: bool = False
    started: datetime | None = None
    ended: datetime | None = None
    message: str = ""
    began: bool = True
    limits: Limits = Limits()
    out_of_memory: OutOfMemory | None = None
    peak_memory_bytes: int | None = None
    cpu_seconds: float | None = None


class Executor(Protocol):
    """Somewhere to run tasks, addressed by our ids so that nothing is lost in a crash.

    Nobody waits inside: only `poll` tells how a task stands. Every call may be repeated, also by another
    server process at the same time. All raise InvalidArgument for an id that can name no task.
    """

    def start(self, task: Task) -> None:
        """Have `task` run. The same id again is the same task: it runs once, ever, as first described.

        Raises:
            Unavailable: This machine can start nothing at present; the same call may succeed later.
            InvalidArgument: It has not the GPUs that the task is to see.
        """
        ...

    def poll(self, task_id: str) -> Outcome:
        """Tell how a task stands; an id never seen is LOST."""
        ...

    def stop(self, task_id: str) -> None:
        """Ask for the end of the whole process tree. It is over when `poll` says so.

        Stopping twice is fine. A task that was never started is EXITED from now on and will never run.
        """
        ...

    def forget(self, task_id: str) -> None:
        """Remove what is left of a task, its log too, and its id: it is LOST from now on.

        Call it when the outcome and the log are stored elsewhere. An unknown id is fine.

        Raises:
            FailedPrecondition: The task is not over.
        """
        ...

    def log_file(self, task_id: str) -> Path:
        """Where the task's log is, or will be, until `forget`.

        One JSON object per line: `seq` (1, 2, 3, ...), `time` (RFC 3339, UTC, microseconds, never going
        back), `severity`, `task`, `trial` (left out when there is none) and `message`.
        Every line is there before `poll` says EXITED; the last line of a LOST task may be cut short.
        """
        ...

    def samples(self, task_id: str, since: datetime | None = None) -> list[Sample]:
        """What the task used, oldest first, until `forget`; every second at first, thinned with age.

        Args:
            since: Those after this moment alone; None for all.
        """
        ...


def in_words(size: int) -> str:
    """A number of bytes for people: "327 MB", "15.0 GB"."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def check_task_id(task_id: str) -> None:
    """Refuse what cannot be the name of a folder everywhere.

    Raises:
        InvalidArgument: `task_id` has characters other than the allowed ones, or too many.
    """
    if not _TASK_ID.fullmatch(task_id):
        raise InvalidArgument(
            f"'{task_id}' cannot be the id of a task.",
            hint="Use up to 200 of A-Z, a-z, 0-9, '.', '_' and '-', with no '.' in front.",
        )
