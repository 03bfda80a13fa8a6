"""What of a list's filter the database can look for in its indices. Pure; no SQL.

A filter is true or false of a job as JSON, which nobody wants to ask of 100,000 jobs. So each filter is also
read as a `Selection` that no wanted job falls outside of: the database finds those, and the filter decides.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from mlengine.clock import from_text
from mlengine.errors import InvalidArgument
from mlengine.jobs.domain import State
from mlengine.web.conditions import Kind, condition
from mlengine.web.fields import camel
from mlengine.web.filter import parse

_EVERYTHING = frozenset(State)
# Others have no error message.
_WITH_MESSAGE = frozenset({State.FAILED, State.CANCELLING, State.CANCELLED})
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Jobs that are worth a look.

    Attributes:
        states: In one of these.
        since: Created then or later.
        until: Created then or earlier.
        labels: With all of these.
        job_id: With this id; "" for any.
        id_parts: With all of these in their ids, in whatever case.
        messages: With all of these in their error messages, in whatever case.
        exact: Whether the states say all that the filter does.
    """

    states: frozenset[State] = _EVERYTHING
    since: datetime | None = None
    until: datetime | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    job_id: str = ""
    id_parts: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()
    exact: bool = False

    @property
    def is_of_all_states(self) -> bool:
        """Whether states make no difference."""
        return self.states == _EVERYTHING


ALL = Selection()


def selection(text: str, fields: Mapping[str, Kind]) -> Selection:
    """The selection for a filter; one that cannot be read selects all, for whoever reads it to refuse.

    Args:
        fields: What a filter can ask for.
    """
    if not text.strip():
        return ALL
    try:
        return parse(text, _Jobs(list(fields)))
    except InvalidArgument:
        return ALL


class _Jobs:
    """Implements `mlengine.web.filter.Meaning`."""

    def __init__(self, fields: list[str]) -> None:
        self.fields = fields

    def field(self, spelled: str) -> str | None:
        name, dot, rest = spelled.partition(".")
        return camel(name) + dot + rest

    def comparison(self, field: str, order: str, value: str) -> Selection:
        name, _, key = field.partition(".")
        if name == "state" and not key:
            return _of_states(order, value)
        if name == "labels" and key and order == "=" and "*" not in value:
            return Selection(labels={key.strip('"'): value})
        if name == "jobId" and order == "=" and "*" not in value:
            return Selection(job_id=value)
        if name == "jobId" and order == ":" and value and "*" not in value:
            return Selection(id_parts=(value,))
        if name == "createTime":
            return _of_times(order, value)
        if name == "errorMessage" and order == ":" and value and "*" not in value:
            return Selection(states=_WITH_MESSAGE, messages=(value,))
        return ALL

    def every(self, parts: tuple[Selection, ...]) -> Selection:
        found = Selection(exact=True)
        for part in parts:
            found = Selection(
                states=found.states & part.states,
                since=_pick(max, found.since, part.since),
                until=_pick(min, found.until, part.until),
                labels={**part.labels, **found.labels},
                job_id=found.job_id or part.job_id,
                messages=(*found.messages, *part.messages),
                id_parts=(*found.id_parts, *part.id_parts),
                exact=found.exact and part.exact,
            )
        return found

    def some(self, parts: tuple[Selection, ...]) -> Selection:
        if len(parts) == 1:
            return parts[0]
        states = frozenset().union(*(part.states for part in parts))
        return Selection(states=states, exact=all(part.exact for part in parts))

    def negated(self, part: Selection) -> Selection:
        return replace(part, states=_EVERYTHING - part.states) if part.exact else ALL


def _of_states(order: str, value: str) -> Selection:
    # The filter itself tells which states it wants: so both agree whatever is written.
    try:
        wanted = condition(f'state{order}"{value}"', {"state": tuple(State)})
    except InvalidArgument:
        return ALL
    return Selection(states=frozenset(state for state in State if wanted({"state": state.value})), exact=True)


def _of_times(order: str, value: str) -> Selection:
    try:
        moment = from_text(f"{value}T00:00:00Z" if _DAY.fullmatch(value) else value)
    except ValueError:
        return ALL
    since = moment if order in ("=", ":", ">", ">=") else None
    until = moment if order in ("=", ":", "<", "<=") else None
    return Selection(since=since, until=until)


def _pick(
    choose: Callable[[datetime, datetime], datetime], one: datetime | None, other: datetime | None
) -> datetime | None:
    return choose(one, other) if one and other else one or other
