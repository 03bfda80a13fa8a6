"""The part of the Logging query language that clients of jobs use.

filter     = term { ["AND"] term }          side by side means AND
term       = factor { "OR" factor }         OR binds closer than AND, as in Google's
factor     = ["NOT" | "-"] ("(" filter ")" | comparison)
comparison = field ("=" | "!=" | ">" | ">=" | "<" | "<=" | ":") value
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from mlengine.clock import from_text
from mlengine.errors import InvalidArgument, nearest
from mlengine.logs.domain import FIRST, LAST, SEVERITIES, Entry

_LONGEST, _DEEPEST = 20_000, 50
_SPACE = re.compile(r"(?:\s+|--[^\n]*)*")
_WORD = re.compile(r"(AND|OR|NOT)(?![\w.])")
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_FIELD = re.compile(r'[A-Za-z_]\w*(?:\.(?:[A-Za-z_]\w*|"[^"\\]*"))*')
_OPERATOR = re.compile(r"<=|>=|!=|=|<|>|:")
_BARE = re.compile(r'[^\s()"]+')
_TICK = timedelta(microseconds=1)

_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
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


@dataclass(frozen=True, slots=True)
class _Time:
    order: str
    moment: datetime

    def match(self, entry: Entry) -> bool:
        return _ORDERS[self.order](entry.time, self.moment)

    def span(self) -> tuple[datetime, datetime]:
        low = self.moment if self.order in ("=", ">", ">=") else FIRST
        high = min(self.moment, LAST - _TICK) + _TICK if self.order in ("=", "<", "<=") else LAST
        return low, high

    def jobs(self) -> set[str] | None:
        return None


@dataclass(frozen=True, slots=True)
class _Severity:
    order: str
    level: int

    def match(self, entry: Entry) -> bool:
        return _ORDERS[self.order](SEVERITIES[entry.severity], self.level)

    def span(self) -> tuple[datetime, datetime]:
        return FIRST, LAST

    def jobs(self) -> set[str] | None:
        return None


@dataclass(frozen=True, slots=True)
class _Text:
    field: str
    order: str
    value: str

    def match(self, entry: Entry) -> bool:
        found = _TEXTS[self.field](entry)
        if self.order == ":":
            return self.value.lower() in found.lower()
        return _ORDERS[self.order](found, self.value)

    def span(self) -> tuple[datetime, datetime]:
        return FIRST, LAST

    def jobs(self) -> set[str] | None:
        return {self.value} if self.field in _JOB and self.order == "=" else None


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


@dataclass(frozen=True, slots=True)
class _Not:
    part: Filter

    def match(self, entry: Entry) -> bool:
        return not self.part.match(entry)

    def span(self) -> tuple[datetime, datetime]:
        return FIRST, LAST

    def jobs(self) -> set[str] | None:
        return None


def parse_filter(text: str) -> Filter:
    """Read a filter; an empty one matches everything.

    Raises:
        InvalidArgument: naming the position and what is known.
    """
    if len(text) > _LONGEST:
        raise InvalidArgument(f"The filter is longer than {_LONGEST} characters.", field="filter")
    parser = _Parser(text)
    found = parser.conjunction(_DEEPEST)
    if parser.left():
        raise parser.wrong("a comparison, AND, OR or the end is expected")
    return found


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def left(self) -> str:
        """What follows, behind white space and comments."""
        if match := _SPACE.match(self._text, self._at):
            self._at = match.end()
        return self._text[self._at : self._at + 1]

    def conjunction(self, depth: int) -> Filter:
        parts: list[Filter] = []
        while self.left() not in ("", ")"):
            if parts and self._take(_WORD, "AND") and self.left() in ("", ")"):
                raise self.wrong("a comparison is expected after AND")
            parts.append(self._disjunction(depth))
        return parts[0] if len(parts) == 1 else _All(tuple(parts))

    def wrong(self, why: str, hint: str = "") -> InvalidArgument:
        """An error at the present position."""
        near = self._text[self._at : self._at + 30]
        return InvalidArgument(
            f"The filter cannot be read at character {self._at + 1} ('{near}'): {why}.",
            hint=hint or f"Known fields: {', '.join(_FIELDS)}.",
            field="filter",
        )

    def _disjunction(self, depth: int) -> Filter:
        parts = [self._factor(depth)]
        while self.left() and self._take(_WORD, "OR"):
            parts.append(self._factor(depth))
        return parts[0] if len(parts) == 1 else _Any(tuple(parts))

    def _factor(self, depth: int) -> Filter:
        if depth == 0:
            raise self.wrong(f"it is nested more than {_DEEPEST} deep", "Write it with fewer parentheses.")
        first = self.left()
        if first == "-" or self._take(_WORD, "NOT"):
            self._at += first == "-"
            return _Not(self._factor(depth - 1))
        if first != "(":
            return self._comparison()
        self._at += 1
        inner = self.conjunction(depth - 1)
        if inner == _All(()) or self.left() != ")":
            raise self.wrong("a comparison or ')' is expected")
        self._at += 1
        return inner

    def _comparison(self) -> Filter:
        match = _FIELD.match(self._text, self._at)
        name = match[0].replace('"', "").replace("labels.ml.googleapis.com/", "labels.") if match else ""
        if not match or name not in _FIELDS:
            raise self.wrong("a field is expected", nearest(name, _FIELDS))
        self._at = match.end()
        self.left()
        order = _OPERATOR.match(self._text, self._at)
        if not order:
            raise self.wrong("an operator is expected", "Use one of = != > >= < <= :")
        self._at = order.end()
        self.left()
        start = self._at
        value = self._value()
        try:
            if name == "timestamp":
                return _Time(_plain(order[0]), from_text(value))
            if name == "severity":
                return _Severity(_plain(order[0]), _level(value))
        except ValueError:
            self._at = start
            kind = "a time such as 2026-01-31T12:00:00Z" if name == "timestamp" else "a severity"
            raise self.wrong(f"{kind} is expected", f"Severities: {', '.join(SEVERITIES)}.") from None
        return _Text(name, order[0], value)

    def _value(self) -> str:
        if match := _STRING.match(self._text, self._at):
            self._at = match.end()
            return re.sub(r"\\(.)", lambda escape: {"n": "\n", "t": "\t"}.get(escape[1], escape[1]), match[1])
        if match := _BARE.match(self._text, self._at):
            self._at = match.end()
            return match[0]
        raise self.wrong("a value is expected", 'Write it in double quotes: field="value".')

    def _take(self, pattern: re.Pattern[str], word: str) -> bool:
        match = pattern.match(self._text, self._at)
        if not match or match[1] != word:
            return False
        self._at = match.end()
        return True


def _plain(order: str) -> str:
    """`:` means equality for what is no text."""
    return "=" if order == ":" else order


def _level(value: str) -> int:
    if value.isdecimal():
        return int(value)
    if value.upper() not in SEVERITIES:
        raise ValueError(value)
    return SEVERITIES[value.upper()]
