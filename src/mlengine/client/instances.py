"""Instances for a prediction: read from what people keep in files, cut into requests, errors renumbered."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

from mlengine.client.http import Json
from mlengine.errors import InvalidArgument, Problem

SLICE = 100
_INSTANCE = re.compile(r"\b([Ii]nstances? )(\d+)")
_NAMES: dict[type, str] = {
    dict: "an object",
    str: "a string",
    int: "a number",
    float: "a number",
    bool: "a boolean",
}


@dataclass(frozen=True, slots=True)
class Instances:
    """What a file came to.

    Attributes:
        signature: The signature a request file names, or "".
        notes: How it was read, when that was not as its flag says.
    """

    values: list[Any]
    signature: str = ""
    notes: tuple[str, ...] = ()


def read(path: str, kind: str) -> Instances:
    """Read a file of instances.

    Args:
        path: The file; "-" is standard input.
        kind: "json-instances" (a JSON value a line), "text-instances" or "json-request".

    Raises:
        InvalidArgument: unreadable, empty, or not of that kind; with the line and column at fault.
    """
    name = "standard input" if path == "-" else path
    try:
        raw = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise InvalidArgument(
            f"--{kind} {path} cannot be read: {error.strerror}.", hint=f"This folder is {Path.cwd()}."
        ) from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise InvalidArgument(f"{name}, line {line}: not UTF-8 text.", hint="Save it as UTF-8.") from None
    readers = {"json-instances": _json_lines, "text-instances": _text_lines, "json-request": _request}
    found = readers[kind](text, name)
    if not found.values:
        raise InvalidArgument(f"{name} holds no instance.", hint="It needs at least one, one a line.")
    return found


def slices(values: list[Any], size: int = SLICE) -> Iterator[tuple[int, list[Any]]]:
    """`values` in runs of at most `size`, each with the number of values before it."""
    for start in range(0, len(values), size):
        yield start, values[start : start + size]


def renumbered(problem: Problem, before: int) -> Problem:
    """A problem that names an instance of a slice, naming the instance of the whole."""

    def moved(text: str) -> str:
        return _INSTANCE.sub(lambda match: f"{match[1]}{int(match[2]) + before}", text)

    return type(problem)(moved(problem.message), hint=moved(problem.hint), details=problem.details)


def _lines(text: str) -> list[str]:
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


def _text_lines(text: str, name: str) -> Instances:
    lines = _lines(text)
    _refuse_empty(lines, name)
    return Instances(list(lines))


def _json_lines(text: str, name: str) -> Instances:
    lines = _lines(text)
    values: list[Any] = []
    failure: tuple[int, json.JSONDecodeError] | None = None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            values.append(_decode(line))
        except json.JSONDecodeError as error:
            failure = number, error
            break
    if failure is None:
        _refuse_empty(lines, name)
        return _unwrapped(values)
    spread = _spread(text)
    if spread is not None:
        return spread
    raise _bad_line(lines, name, *failure)


def _unwrapped(values: list[Any]) -> Instances:
    """One line that holds all instances at once, as an array of objects or a whole request."""
    if len(values) == 1:
        only = values[0]
        if isinstance(only, list) and only and all(isinstance(item, dict) for item in only):
            return Instances(only, notes=(f"read as a JSON array of {len(only)} instances",))
        if isinstance(only, dict) and isinstance(only.get("instances"), list):
            found = _from_request(only)
            return replace(found, notes=("read as a whole request, as --json-request does", *found.notes))
    return Instances(values)


def _spread(text: str) -> Instances | None:
    """JSON over several lines: one array, one object, or objects one after the other."""
    values: list[Any] = []
    decoder = json.JSONDecoder(parse_constant=_refuse_constant)
    position = 0
    rest = text.strip()
    try:
        while position < len(rest):
            value, position = decoder.raw_decode(rest, position)
            values.append(value)
            while position < len(rest) and rest[position].isspace():
                position += 1
    except (json.JSONDecodeError, RecursionError):
        return None
    if len(values) == 1 and isinstance(values[0], list):
        return Instances(values[0], notes=(f"read as a JSON array of {len(values[0])} instances",))
    unwrapped = _unwrapped(values)
    if unwrapped.notes:
        return unwrapped
    if not all(isinstance(value, dict | list) for value in values):
        return None
    noun = "JSON value" if len(values) == 1 else "JSON values"
    return Instances(values, notes=(f"read as {len(values)} {noun} spread over several lines",))


def _request(text: str, name: str) -> Instances:
    try:
        value = _decode(text)
    except json.JSONDecodeError as error:
        raise InvalidArgument(
            f"{name}, line {error.lineno}, column {error.colno}: not JSON: {error.msg}."
        ) from None
    if not isinstance(value, dict):
        kind = "an array" if isinstance(value, list) else _NAMES.get(type(value), "null")
        raise InvalidArgument(
            f'{name} holds {kind}; a request is an object: {{"instances": [...]}}.',
            hint="For bare instances use --json-instances.",
        )
    if not isinstance(value.get("instances"), list):
        what = "is missing" if "instances" not in value else "is no list"
        raise InvalidArgument(f"{name}: the field 'instances' {what}.", hint='Write {"instances": [...]}.')
    return _from_request(value)


def _from_request(value: Json) -> Instances:
    ignored = sorted(value.keys() - {"instances", "signature_name"})
    notes = (f"only 'instances' and 'signature_name' are used; left out: {', '.join(ignored)}",)
    return Instances(value["instances"], str(value.get("signature_name") or ""), notes if ignored else ())


def _decode(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise json.JSONDecodeError("nested too deeply", text, 0) from None


def _refuse_constant(name: str) -> NoReturn:
    # Python reads NaN and Infinity; JSON has neither, and the server would refuse the whole request.
    raise json.JSONDecodeError(f"{name} is no JSON number", name, 0)


def _refuse_empty(lines: list[str], name: str) -> None:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            raise InvalidArgument(
                f"{name}, line {number} is empty.", hint="One instance a line; delete that line."
            )


def _bad_line(lines: list[str], name: str, number: int, error: json.JSONDecodeError) -> Problem:
    line = lines[number - 1]
    hint = "One JSON value a line is needed."
    if "'" in line and '"' not in line:
        hint = "JSON has double quotes, not single ones."
    elif line.rstrip().endswith(",") and line.lstrip().startswith(("{", "[")):
        hint = "Lines stand alone: leave out the comma at the end."
    elif "," in line and not line.lstrip().startswith(("{", "[", '"')):
        hint = "For lines that are not JSON use --text-instances."
    shown = line if len(line) <= 100 else line[:100] + " …"
    return InvalidArgument(
        f"{name}, line {number}, column {error.colno}: not JSON: {error.msg}.\n    {shown}", hint=hint
    )
