"""Ways into a resource: `defaultVersion.name`, `args[0]`, `trials[].trialId`, `labels.'odd key'.len()`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mlengine.cli.formats.scanner import Scanner
from mlengine.cli.formats.transforms import Call, read_call

_NAME = re.compile(r"[\w@$/-]+")
_INDEX = re.compile(r"-?\d+")
_PLAIN = re.compile(r"[\w$/][\w$/-]*")

# A part of a path: a name, a place in a list, or None for every element of a list.
Part = str | int | None


@dataclass(frozen=True, slots=True)
class Path:
    """Where a value lies in a resource; no parts: the resource itself."""

    parts: tuple[Part, ...]

    @property
    def name(self) -> str:
        """The last name on the way, "" if there is none."""
        return next((part for part in reversed(self.parts) if isinstance(part, str)), "")

    def get(self, resource: Any) -> Any:
        """The value; None where the way breaks off. Through a list goes a list of values."""
        return _get(resource, self.parts)

    def __str__(self) -> str:
        text = ""
        for part in self.parts:
            if isinstance(part, str):
                text += ("." if text else "") + quoted(part)
            else:
                text += "[]" if part is None else f"[{part}]"
        return text or "@"


@dataclass(frozen=True, slots=True)
class Key:
    """A path, and what is made of the value found there."""

    path: Path
    calls: tuple[Call, ...] = ()

    def value(self, resource: Any) -> Any:
        """The value, transformed."""
        return apply(self.calls, self.path.get(resource))


def apply(calls: tuple[Call, ...], value: Any) -> Any:
    """The value after one transform after the other; `map()` sends the next one to every element."""
    rest = iter(calls)
    for call in rest:
        if call.name != "map":
            value = call(value)
        elif following := next(rest, None):
            value = [following(item) for item in value] if isinstance(value, list) else following(value)
    return value


def quoted(name: str) -> str:
    """A name as a key can be written; with quotes if it has letters that mean something there."""
    if _PLAIN.fullmatch(name):
        return name
    return "'" + name.replace("\\", "\\\\").replace("'", "\\'") + "'"


def read_key(scan: Scanner) -> Key:
    """The key that comes next. Raises UsageError."""
    start = scan.position
    parts: list[Part] = []
    calls: list[Call] = []
    while True:
        here = scan.position
        name = scan.quoted()
        bare = name is None and scan.match(_NAME)
        if name is None and not bare:
            raise scan.wrong("a key", at=here)
        if bare and scan.at("("):
            if here == start:
                raise scan.error(
                    f"'{bare}()' at character {here + 1} has nothing to work on.",
                    at=here,
                    hint=f"A transform follows a key: name.{bare}(); for the whole resource @.{bare}()",
                )
            calls.append(read_call(scan, str(bare), here))
        elif calls:
            raise scan.error(f"after a transform no key may follow (character {here + 1}).", at=here)
        elif name is not None or bare != "@" or here != start:
            parts.append(str(bare) if name is None else name)
        while not calls and scan.take("["):
            parts.append(_index(scan))
        if not scan.take("."):
            return Key(Path(tuple(parts)), tuple(calls))


def names(resource: Any) -> Iterator[str]:
    """The keys that a resource has, as they would be typed; one level of what is inside too."""
    if isinstance(resource, dict):
        for name, value in resource.items():
            yield quoted(name)
            if isinstance(value, dict):
                yield from (f"{quoted(name)}.{quoted(inner)}" for inner in value)


def camel(name: str) -> str:
    """`create_time` as `createTime`."""
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), name)


def _index(scan: Scanner) -> Part:
    scan.blanks()
    part: Part = scan.quoted()
    if part is None and (digits := scan.match(_INDEX)):
        part = int(digits)
    scan.blanks()
    if not scan.take("]"):
        raise scan.wrong("a number or ']'")
    return part


def _get(value: Any, parts: tuple[Part, ...]) -> Any:
    for position, part in enumerate(parts):
        if value is None:
            return None
        if part is None:
            return _each(value, parts[position + 1 :]) if isinstance(value, list) else None
        if isinstance(value, list):
            if isinstance(part, str):
                # As in gcloud, the name of a field goes through a list without being told to.
                return _each(value, parts[position:])
            if not -len(value) <= part < len(value):
                return None
            value = value[part]
        elif isinstance(value, dict) and isinstance(part, str):
            value = value[part] if part in value else value.get(camel(part))
        else:
            return None
    return value


def _each(values: list[Any], parts: tuple[Part, ...]) -> list[Any] | None:
    """What lies at `parts` of each; lists in lists become one, and None is left out."""
    if not parts:
        return values
    found: list[Any] = []
    for value in values:
        inner = _get(value, parts)
        if isinstance(inner, list):
            found += inner
        elif inner is not None:
            found.append(inner)
    return found or None
