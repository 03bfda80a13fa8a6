"""A log entry, how grave it is, and the order in which entries are told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from mlengine.names import JobName

# By rising gravity, with the numbers of google.logging.type.LogSeverity.
SEVERITIES = {
    "DEFAULT": 0,
    "DEBUG": 100,
    "INFO": 200,
    "NOTICE": 300,
    "WARNING": 400,
    "ERROR": 500,
    "CRITICAL": 600,
    "ALERT": 700,
    "EMERGENCY": 800,
}
SERVICE = "service"  # the task name of what we say ourselves
FIRST = datetime(1, 1, 1, tzinfo=UTC)
LAST = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of one task.

    Attributes:
        file: Tells the log files of a task apart, when it ran several times.
        seq: Its number in that file.
        severity: A key of `SEVERITIES`.
        trial: The hyperparameter trial; empty outside of tuning.
    """

    job: JobName
    task: str
    file: str
    seq: int
    time: datetime
    severity: str
    message: str
    trial: str = ""

    @property
    def insert_id(self) -> str:
        """Unique within the job's project, and sorted as text like time, task, file, number."""
        return f"{micros(self.time):016x}-{self.job.job}-{self.task}-{self.file}-{self.seq:010d}"


def micros(moment: datetime) -> int:
    """Microseconds since the year 1."""
    past = moment - FIRST
    return (past.days * 86_400 + past.seconds) * 1_000_000 + past.microseconds


def time_of(insert_id: str) -> datetime:
    """The time within an insert id.

    Raises:
        ValueError: it is none.
    """
    try:
        return FIRST + timedelta(microseconds=int(insert_id[:16], 16))
    except OverflowError as error:
        raise ValueError(insert_id) from error
