"""What a key's value can be turned into on its way out: `name.basename()`, `createTime.date(tz=LOCAL)`, …"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from mlengine.cli.formats import moments
from mlengine.cli.formats.scanner import Scanner
from mlengine.errors import nearest

_BARE = re.compile(r"[^,()'\"\s][^,()'\"]*")
_PARAMETER = re.compile(r"([a-z_]\w*)\s*=\s*(?![=~])")


def number(text: str) -> int:
    """A whole number."""
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"'{text}' is no whole number") from None


def decimal(text: str) -> float:
    """A number."""
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"'{text}' is no number") from None


def pattern(text: str) -> re.Pattern[str]:
    """A regular expression."""
    try:
        return re.compile(text)
    except re.error as error:
        raise ValueError(f"'{text}' is no regular expression: {error}") from None


@dataclass(frozen=True, slots=True)
class Transform:
    """A transform as it is known.

    Attributes:
        run: Gets the value and the arguments by name.
        parameters: What may be given, in this order, and how its text is read.
        whole: A list is taken as one value; otherwise each element by itself.
    """

    run: Callable[..., Any]
    parameters: Mapping[str, Callable[[str], Any]] = field(default_factory=dict)
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """A transform as it was written, with its arguments."""

    name: str
    run: Callable[[Any], Any]
    whole: bool = True

    def __call__(self, value: Any) -> Any:
        if isinstance(value, list) and not self.whole:
            return [self.run(item) for item in value]
        return self.run(value)


class Coloured(str):
    """Text that a table at a terminal shows in a colour."""

    __slots__ = ("colour",)
    colour: str


def text_of(value: Any) -> str:
    """A value as text: nothing for null, numbers and lists as Python writes them."""
    return "" if value is None else value if isinstance(value, str) else str(value)


def read_call(scan: Scanner, name: str, start: int) -> Call:
    """The call of `name`, whose parenthesis comes next. Raises UsageError."""
    if name not in TRANSFORMS:
        raise scan.error(
            f"there is no transform '{name}()' (character {start + 1}).",
            at=start,
            hint=nearest(name, list(TRANSFORMS)) or f"Transforms: {', '.join(sorted(TRANSFORMS))}",
        )
    transform = TRANSFORMS[name]
    given: dict[str, Any] = {}
    order = list(transform.parameters)
    scan.need("(")
    scan.blanks()
    while not scan.take(")"):
        here = scan.position
        assigned = scan.match(_PARAMETER)
        parameter = assigned.rstrip("= \t\n") if assigned else next((p for p in order if p not in given), "")
        if parameter not in order:
            takes = f"{name}() takes {', '.join(order)}" if order else f"{name}() takes nothing"
            raise scan.error(f"{takes} (character {here + 1}).", at=here, hint=nearest(parameter, order))
        if parameter in given:
            raise scan.error(f"{parameter} is given twice (character {here + 1}).", at=here)
        value = scan.quoted()
        if value is None:
            value = scan.match(_BARE).rstrip()
            if not value and not assigned:
                raise scan.wrong("an argument or ')'")
        try:
            given[parameter] = transform.parameters[parameter](value)
        except ValueError as problem:
            raise scan.error(f"{name}({parameter}): {problem} (character {here + 1}).", at=here) from None
        scan.blanks()
        if not scan.take(",") and not scan.at(")"):
            raise scan.wrong("',' or ')'")
        scan.blanks()
    if (required := REQUIRED.get(name, "")) and required not in given:
        raise scan.error(f"{name}() needs its {required} (character {start + 1}).", at=start)
    return Call(name, partial(transform.run, **given), transform.whole)


def _basename(value: Any, undefined: str = "") -> str:
    return text_of(value).rpartition("/")[2] or undefined


def _color(value: Any, **patterns: re.Pattern[str]) -> Any:
    text = text_of(value)
    for colour, wanted in patterns.items():
        if wanted.search(text):
            shown = Coloured(text)
            shown.colour = colour
            return shown
    return value


def _count(value: Any) -> int:
    return len(value) if isinstance(value, (list, dict, str)) else 0


def _join(value: Any, sep: str = "/", undefined: str = "") -> str:
    if isinstance(value, (list, dict)):
        return sep.join(map(text_of, value)) or undefined
    return text_of(value) or undefined


def _list(value: Any, separator: str = ",", show: str = "", undefined: str = "") -> str:
    if isinstance(value, dict):
        items = sorted(value.items())
        chosen = {
            "keys": [key for key, _ in items],
            "values": [text_of(inner) for _, inner in items],
        }
        value = chosen.get(show) or [f"{key}={text_of(inner)}" for key, inner in items]
    if not isinstance(value, list):
        return text_of(value) or undefined
    return separator.join(map(text_of, value)) or undefined


def _shown(text: str) -> str:
    if text not in ("keys", "values"):
        raise ValueError(f"'{text}' is neither keys nor values")
    return text


def _notnull(value: Any) -> Any:
    return [item for item in value if item is not None] if isinstance(value, list) else value


def _segment(value: Any, index: int = -1, undefined: str = "") -> str:
    found = text_of(value).split("/")
    return found[index] if value is not None and -len(found) <= index < len(found) else undefined


def _size(value: Any, precision: int = 1, zero: str = "0", undefined: str = "") -> str:
    try:
        size = float(value)
    except (TypeError, ValueError):
        return undefined or text_of(value)
    if size == 0:
        return zero
    units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
    while abs(size) >= 1024 and len(units) > 1:
        size /= 1024
        units.pop(0)
    return f"{size:.{0 if units[0] == 'B' else max(0, precision)}f} {units[0]}"


def order(value: Any) -> tuple[int, float, str]:
    """Where a value stands when values are sorted: nothing first, then numbers by size, then text."""
    if value is None:
        return (0, 0.0, "")
    if isinstance(value, (int, float, str)):
        try:
            # The API writes 64-bit numbers as text, and "9" is before "10".
            read = float(value)
        except (ValueError, OverflowError):
            read = float("nan")
        if read == read:
            return (1, read, text_of(value))
    return (2, 0.0, text_of(value))


def _sort(value: Any, key: str = "") -> Any:
    def place(item: Any) -> tuple[int, float, str]:
        return order(item.get(key) if key and isinstance(item, dict) else item)

    return sorted(value, key=place) if isinstance(value, list) else value


def _split(value: Any, sep: str = "/") -> list[str]:
    return text_of(value).split(sep or "/") if value is not None else []


def _sub(value: Any, pattern: re.Pattern[str], replacement: str = "") -> str:
    return pattern.sub(replacement, text_of(value))


def _trailoff(value: Any, limit: int, undefined: str = "") -> str:
    text = text_of(value)
    return (text if len(text) <= limit else text[: max(0, limit - 3)] + "...") or undefined


def _yesno(value: Any, yes: str = "Yes", no: str = "No") -> str:
    return yes if value and value not in ("false", "False") else no


TRANSFORMS: Mapping[str, Transform] = {
    "basename": Transform(_basename, {"undefined": str}),
    "color": Transform(_color, dict.fromkeys(("red", "yellow", "green", "blue"), pattern)),
    "count": Transform(_count, whole=True),
    "date": Transform(moments.date, {"format": str, "tz": moments.zone, "undefined": str}),
    "duration": Transform(
        moments.duration,
        {"start": str, "end": str, "unit": decimal, "parts": number, "undefined": str},
    ),
    "join": Transform(_join, {"sep": str, "undefined": str}, whole=True),
    "len": Transform(_count, whole=True),
    "list": Transform(_list, {"separator": str, "show": _shown, "undefined": str}, whole=True),
    "lower": Transform(lambda value: text_of(value).lower()),
    "map": Transform(lambda value: value, whole=True),
    "notnull": Transform(_notnull, whole=True),
    "segment": Transform(_segment, {"index": number, "undefined": str}),
    "size": Transform(_size, {"precision": number, "zero": str, "undefined": str}),
    "sort": Transform(_sort, {"key": str}, whole=True),
    "split": Transform(_split, {"sep": str}),
    "sub": Transform(_sub, {"pattern": pattern, "replacement": str}),
    "trailoff": Transform(_trailoff, {"limit": number, "undefined": str}),
    "upper": Transform(lambda value: text_of(value).upper()),
    "yesno": Transform(_yesno, {"yes": str, "no": str}, whole=True),
}
# Those without which a transform makes no sense.
REQUIRED: Mapping[str, str] = {"sub": "pattern", "trailoff": "limit"}
