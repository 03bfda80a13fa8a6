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
            begin with `MLENGINE_` are added by the executor.
        cwd: Working directory, which must exist; None for an empty one in the task's own folder.
        task_name: What its log lines are labelled with ("master-replica-0").
        trial_id: The tuning trial it belongs to, or "".
        grace_seconds: How long after SIGTERM the rest of the tree is killed.
        phased: Whether the command says itself when the user's code begins, by writing "RUNNING" into the
            file that the variable MLENGINE_PHASE_FILE names. It is PREPARING until then.

    Raises:
        InvalidArgument: The id, the command or the grace can never work.
    """

    task_id: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path | None = None
    task_name: str
    trial_id: str = ""
    grace_seconds: float = 10
    phased: bool = False

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
    """

    phase: Phase
    exit_code: int | None = None
    signal: int | None = None
    stopped: bool = False
    started: datetime | None = None
    ended: datetime | None = None
    message: str = ""


class Executor(Protocol):
    """Somewhere to run tasks, addressed by our ids so that nothing is lost in a crash.

    Nobody waits inside: only `poll` tells how a task stands. Every call may be repeated, also by another
    server process at the same time. All raise InvalidArgument for an id that can name no task.
    """

    def start(self, task: Task) -> None:
        """Have `task` run. The same id again is the same task: it runs once, ever, as first described.

        Raises:
            Unavailable: This machine can start nothing at present; the same call may succeed later.
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
