"""What the `filter` of a list asks of a resource: comparisons with the fields it shows in its JSON.

Apart from the grammar, because logs compare otherwise. A value may hold `*` for anything. `field=x` is the
whole value, `field:x` a part of it in whatever case; of a map, `labels:team` is that there is such a key.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from mlengine.clock import from_text
from mlengine.errors import nearest
from mlengine.web.fields import camel
from mlengine.web.filter import ORDERS, parse

Condition = Callable[[Mapping[str, Any]], bool]
# What a field holds: "text", "name" (a path; its last component will do), "time", "number", "flag",
# "map" (texts by keys), or the values of an enumeration.
Kind = str | tuple[str, ...]
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


def condition(text: str, fields: Mapping[str, Kind]) -> Condition:
    """Whether a resource is wanted.

    Args:
        fields: What can be asked for, by path ("metadata.operationType").

    Raises:
        InvalidArgument: the filter cannot be read; the place, and what is known.
    """
    return parse(text, _Resources(fields))


class _Resources:
    """Implements `mlengine.web.filter.Meaning` for the resources of one list."""

    def __init__(self, fields: Mapping[str, Kind]) -> None:
        self._kinds = fields
        self.fields = list(fields)

    def field(self, spelled: str) -> str | None:
        words = spelled.split(".")
        for length in range(len(words), 0, -1):
            path = ".".join(map(camel, words[:length]))
            rest = words[length:]
            if path in self._kinds and (not rest or self._kinds[path] == "map"):
                return ".".join([path, *rest])
        return None

    def comparison(self, field: str, order: str, value: str) -> Condition:
        path, kind, key = self._taken_apart(field)
        if kind == "map":
            return _of_map(path, key, order, value)
        if kind == "time":
            return _ordered(path, order, _time(value), _time_shown)
        if kind == "number":
            return _ordered(path, order, _number(value), float)
        if kind == "flag":
            return _equal_flag(path, order, _flag(value))
        if isinstance(kind, tuple) and "*" not in value and order != ":" and value not in kind:
            raise ValueError(f"{path} is one of {', '.join(kind)}", nearest(value.upper(), kind))
        last_will_do = kind == "name" and "/" not in value
        wanted = _text_test(order, value)
        return lambda resource: wanted(_shown(resource, path, last_will_do=last_will_do))

    def every(self, parts: tuple[Condition, ...]) -> Condition:
        return lambda resource: all(part(resource) for part in parts)

    def some(self, parts: tuple[Condition, ...]) -> Condition:
        return lambda resource: any(part(resource) for part in parts)

    def negated(self, part: Condition) -> Condition:
        return lambda resource: not part(resource)

    def _taken_apart(self, field: str) -> tuple[str, Kind, str]:
        """The path of a field, its kind, and the key if it is a map."""
        if field in self._kinds:
            return field, self._kinds[field], ""
        path = next(path for path in self._kinds if field.startswith(path + "."))
        return path, self._kinds[path], field[len(path) + 1 :]


def _at(resource: Mapping[str, Any], path: str) -> Any:
    found: Any = resource
    for word in path.split("."):
        found = found.get(word) if isinstance(found, Mapping) else None
    return found


def _shown(resource: Mapping[str, Any], path: str, *, last_will_do: bool) -> str:
    found = _at(resource, path)
    text = "" if found is None else str(found)
    return text.rsplit("/", 1)[-1] if last_will_do else text


def _text_test(order: str, value: str) -> Callable[[str], bool]:
    if order in ("=", "!=", ":") and "*" in value:
        if order == ":":
            return lambda text: _alike(text.lower(), value.lower())
        return lambda text: _alike(text, value) == (order == "=")
    if order == ":":
        return lambda text: value.lower() in text.lower()
    return lambda text: ORDERS[order](text, value)


def _alike(text: str, pattern: str) -> bool:
    """Whether `text` is as `pattern` says, `*` being anything; but nothing is not like `*`.

    No regular expression: of many stars in a row, one would try every way to share the text among them.
    """
    first, *middle, last = pattern.split("*")
    if not text or len(text) < len(first) + len(last):
        return False
    if not (text.startswith(first) and text.endswith(last)):
        return False
    at, end = len(first), len(text) - len(last)
    for piece in middle:
        at = text.find(piece, at, end)
        if at < 0:
            return False
        at += len(piece)
    return True


def _of_map(path: str, key: str, order: str, value: str) -> Condition:
    if not key:
        if order != ":":
            raise ValueError(f"{path} has keys", f"Write {path}.KEY=VALUE, or {path}:KEY.")
        has_key = _text_test("=", value)
        return lambda resource: any(has_key(found) for found in _at(resource, path) or {})
    wanted = _text_test(order, value)

    def holds(resource: Mapping[str, Any]) -> bool:
        found = (_at(resource, path) or {}).get(key)
        return order == "!=" if found is None else wanted(str(found))

    return holds


def _ordered(path: str, order: str, value: Any, read: Callable[[Any], Any]) -> Condition:
    order = "=" if order == ":" else order

    def holds(resource: Mapping[str, Any]) -> bool:
        found = _at(resource, path)
        return order == "!=" if found is None else ORDERS[order](read(found), value)

    return holds


def _equal_flag(path: str, order: str, value: bool) -> Condition:
    if order not in ("=", ":", "!="):
        raise ValueError(f"{path} is true or false", f"Write {path}=true.")
    # False is left out of answers.
    return lambda resource: (bool(_at(resource, path)) == value) == (order != "!=")


def _time_shown(found: Any) -> Any:
    return from_text(str(found))


def _time(value: str) -> Any:
    try:
        return from_text(f"{value}T00:00:00Z" if _DAY.fullmatch(value) else value)
    except ValueError:
        raise ValueError("a time such as 2026-01-31T12:00:00Z is expected") from None


def _number(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise ValueError("a number is expected") from None


def _flag(value: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise ValueError("true or false is expected")
    return value.lower() == "true"
