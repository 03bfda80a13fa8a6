"""The quick way through a table's checks: what objects with the same keys and types need is worked out once.

It only ever says yes. Whatever it cannot take at a glance goes the long way in `schema.py`, which finds the
words for what is wrong; so both must agree about every row that this one takes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, Protocol

from mlengine.serving.runtimes.rules import ABSENT, Rules

_MOST_REMEMBERED = 256
_KINDS: dict[str, tuple[type, ...]] = {
    "number": (int, float),
    "integer": (int,),
    "string": (str,),
    "boolean": (bool,),
    "any": (int, float, str, bool, bytes),
}
_UNSEEN: Any = object()


class Column(Protocol):
    """What is asked of a column; see `schema.Input`."""

    name: str
    type: str
    categories: tuple[Any, ...] | None
    closed: bool
    nullable: bool
    required: bool
    missing: Any
    low: float | None
    high: float | None
    fallback: Any
    optional: bool

    @property
    def checked(self) -> bool: ...


class Plan:
    """Turns objects into rows, for one table under one set of rules.

    Args:
        columns: In order.
        rules: The version's.
    """

    def __init__(self, columns: Sequence[Column], rules: Rules) -> None:
        self._columns = columns
        self._rules = rules
        self._known = frozenset(column.name for column in columns)
        self._missing = [column.missing for column in columns]
        self._get = _getter([column.name for column in columns])
        # By the keys of an object: what to fill in, or None where the long way must see it.
        self._fills: dict[tuple[str, ...], dict[str, Any] | None] = {}
        # By the types of a row: where its nulls are, or None where the long way must see it.
        self._nulls: dict[tuple[type, ...], tuple[int, ...] | None] = {}
        checked = [(place, column) for place, column in enumerate(columns) if column.checked]
        self._closed = [
            (place, frozenset([*column.categories, None] if column.nullable else column.categories))
            for place, column in checked
            if column.closed and column.categories is not None
        ]
        self._ranges = [
            (
                place,
                -float("inf") if column.low is None else column.low,
                float("inf") if column.high is None else column.high,
            )
            for place, column in checked
            if column.low is not None or column.high is not None
        ]

    def row(self, instance: dict[str, Any]) -> Sequence[Any] | None:
        """The row of an object, or None where the long way must see it."""
        keys = tuple(instance)
        fills = self._fills.get(keys, _UNSEEN)
        if fills is _UNSEEN:
            fills = _remember(self._fills, keys, self._fills_for(keys))
        if fills is None:
            return None
        row = self._get({**fills, **instance} if fills else instance)
        kinds = tuple(map(type, row))
        nulls = self._nulls.get(kinds, _UNSEEN)
        if nulls is _UNSEEN:
            nulls = _remember(self._nulls, kinds, self._nulls_for(kinds))
        if nulls is None:
            return None
        for place, allowed in self._closed:
            if row[place] not in allowed:
                return None
        for place, low, high in self._ranges:
            value = row[place]
            if value is not None and not low <= value <= high:
                return None
        if nulls:
            filled = list(row)
            for place in nulls:
                filled[place] = self._missing[place]
            return filled
        return row

    def stand_in(self, column: Column) -> Any:
        """The value of a key that is not there: a default, null, or ABSENT where it must be there."""
        if not column.required and not column.checked:
            return None
        policy = self._rules.missing_fields
        if policy == "NULL":
            return None
        if policy == "DEFAULT" and column.fallback is not ABSENT:
            return column.fallback
        if not column.required or (policy == "DEFAULT" and column.optional):
            return None
        return ABSENT

    def _fills_for(self, keys: tuple[str, ...]) -> dict[str, Any] | None:
        if not self._known.issuperset(keys) and self._rules.unknown_fields != "IGNORE":
            return None
        fills: dict[str, Any] = {}
        for column in self._columns:
            if column.name not in keys:
                value = self.stand_in(column)
                if value is ABSENT:
                    return None
                fills[column.name] = value
        return fills

    def _nulls_for(self, kinds: tuple[type, ...]) -> tuple[int, ...] | None:
        nulls = []
        for place, (column, kind) in enumerate(zip(self._columns, kinds, strict=True)):
            if kind is type(None):
                nulls.append(place)
                if column.checked and not column.nullable:
                    return None
            elif column.checked and kind not in _KINDS.get(column.type, ()):
                return None
        return tuple(nulls)


def _remember(known: dict[Any, Any], key: Any, value: Any) -> Any:
    # Callers make the keys up, so there must be an end to them.
    if len(known) < _MOST_REMEMBERED:
        known[key] = value
    return value


def _getter(names: list[str]) -> Callable[[dict[str, Any]], tuple[Any, ...]]:
    if len(names) != 1:
        return itemgetter(*names) if names else lambda _: ()
    (name,) = names
    return lambda instance: (instance[name],)
