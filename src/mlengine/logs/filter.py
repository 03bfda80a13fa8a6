"""What filters of log entries mean, and imply about times and jobs. The grammar is that of `web.filter`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from mlengine.clock import from_text
from mlengine.logs.domain import FIRST, LAST, SEVERITIES, Entry
from mlengine.web.filter import ORDERS, parse

_TICK = timedelta(microseconds=1)

_TEXTS: dict[str, Callable[[Entry], str]] = {
    "resource.type": lambda _: "ml_job",
    "resource.labels.job_id": lambda entry: entry.job.job,
    "resource.labels.task_name": lambda entry: entry.task,
    "resource.labels.trial_id": lambda entry: entry.trial,
    "resource.labels.project_id": lambda entry: entry.job.project,
    "labels.job_id": lambda entry: entry.job.job,
    "labels.task_name": lambda entry: entry.task,
    "labels.trial_id": lambda entry: entry.trial,
    "logName": lambda entry: f"projects/{entry.job.project}/logs/{entry.task}",
    "insertId": lambda entry: entry.insert_id,
    "textPayload": lambda entry: entry.message,
    "jsonPayload.message": lambda entry: entry.message,
}
_JOB = ("resource.labels.job_id", "labels.job_id")
_FIELDS = [*_TEXTS, "timestamp", "severity"]


class Filter(Protocol):
    """A condition on entries, and what it implies, so that not every entry need be looked at."""

    def match(self, entry: Entry) -> bool:
        """Whether it holds for `entry`."""
        ...

    def span(self) -> tuple[datetime, datetime]:
        """A time from which, and one before which, all matching entries lie."""
        ...

    def jobs(self) -> set[str] | None:
        """The ids of the only jobs that can match; None for any."""
        ...

    def severities(self) -> frozenset[str] | None:
        """The only severities that can match; None for any, and for DEFAULT, which unknown ones become."""
        ...


@dataclass(frozen=True, slots=True)
class _Time:
    order: str
    moment: datetime

    def match(self, entry: Entry) -> bool:
        return ORDERS[self.order](entry.time, self.moment)

    def span(self) -> tuple[datetime, datetime]:
        low = self.moment if self.order in ("=", ">", ">=") else FIRST
        high = min(self.moment, LAST - _TICK) + _TICK if self.order in ("=", "<", "<=") else LAST
        return low, high

    def jobs(self) -> set[str] | None:
        return None

    def severities(self) -> frozenset[str] | None:
        return None


@dataclass(frozen=True, slots=True)
class _Severity:
    order: str
    level: int

    def match(self, entry: Entry) -> bool:
        return ORDERS[self.order](SEVERITIES[entry.severity], self.level)

    def span(self) -> tuple[datetime, datetime]:
        return FIRST, LAST

    def jobs(self) -> set[str] | None:
        return None

    def severities(self) -> frozenset[str] | None:
        names = frozenset(name for name, level in SEVERITIES.items() if ORDERS[self.order](level, self.level))
        return None if "DEFAULT" in names else names


@dataclass(frozen=True, slots=True)
class _Text:
    field: str
    order: str
    value: str

    def match(self, entry: Entry) -> bool:
        found = _TEXTS[self.field](entry)
        if self.order == ":":
            return self.value.lower() in found.lower()
        return ORDERS[self.order](found, self.value)

    def span(self) -> tuple[datetime, datetime]:
        return FIRST, LAST

    def jobs(self) -> set[str] | None:
        return {self.value} if self.field in _JOB and self.order == "=" else None

    def severities(self) -> frozenset[str] | None:
        return None


@dataclass(frozen=True, slots=True)
class _All:
    parts: tuple[Filter, ...]

    def match(self, entry: Entry) -> bool:
        return all(part.match(entry) for part in self.parts)

    def span(self) -> tuple[datetime, datetime]:
        spans = [part.span() for part in self.parts]
        return max((low for low, _ in spans), default=FIRST), min((high for _, high in spans), default=LAST)

    def jobs(self) -> set[str] | None:
        named = [jobs for part in self.parts if (jobs := part.jobs()) is not None]
        return set.intersection(*named) if named else None

    def severities(self) -> frozenset[str] | None:
        named = [names for part in self.parts if (names := part.severities()) is not None]
        return frozenset.intersection(*named) if named else None


@dataclass(frozen=True, slots=True)
class _Any:
    parts: tuple[Filter, ...]

    def match(self, entry: Entry) -> bool:
        return any(part.match(entry) for part in self.parts)

    def span(self) -> tuple[datetime, datetime]:
        spans = [part.span() for part in self.parts]
        return min(low for low, _ in spans), max(high for _, high in spans)

    def jobs(self) -> set[str] | None:
        found: set[str] = set()
        for part in self.parts:
            named = part.jobs()
            if named is None:
                return None
            found |= named
        return found

    def severities(self) -> frozenset[str] | None:
        named = [part.severities() for part in self.parts]
        return None if None in named else frozenset().union(*(names for names in named if names))


@dataclass(frozen=True, slots=True)
class _Not:
    part: Filter

    def match(self, entry: Entry) -> bool:
        return not self.part.match(entry)

    def span(self) -> tuple[datetime, datetime]:
        return FIRST, LAST

    def jobs(self) -> set[str] | None:
        return None

    def severities(self) -> frozenset[str] | None:
        return None


def parse_filter(text: str) -> Filter:
    """Read a filter; an empty one matches everything.

    Raises:
        InvalidArgument: naming the position and what is known.
    """
    return parse(text, _Entries())


class _Entries:
    """Implements `mlengine.web.filter.Meaning` for log entries."""

    fields = _FIELDS

    def field(self, spelled: str) -> str | None:
        name = spelled.replace("labels.ml.googleapis.com/", "labels.")
        return name if name in _FIELDS else None

    def comparison(self, field: str, order: str, value: str) -> Filter:
        if field == "timestamp":
            try:
                return _Time(_plain(order), from_text(value))
            except ValueError:
                raise ValueError("a time such as 2026-01-31T12:00:00Z is expected") from None
        if field == "severity":
            try:
                return _Severity(_plain(order), _level(value))
            except ValueError:
                raise ValueError("a severity is expected", f"Severities: {', '.join(SEVERITIES)}.") from None
        return _Text(field, order, value)

    def every(self, parts: tuple[Filter, ...]) -> Filter:
        return _All(parts)

    def some(self, parts: tuple[Filter, ...]) -> Filter:
        return _Any(parts)

    def negated(self, part: Filter) -> Filter:
        return _Not(part)


def _plain(order: str) -> str:
    """`:` means equality for what is no text."""
    return "=" if order == ":" else order


def _level(value: str) -> int:
    if value.isdecimal():
        return int(value)
    if value.upper() not in SEVERITIES:
        raise ValueError(value)
    return SEVERITIES[value.upper()]
