"""The JSON of a predict request, read strictly; apart, as its mistakes are the callers' most common ones."""

from __future__ import annotations

import json
import math
import re
from typing import Any, NamedTuple, NoReturn

from mlengine.serving.runtimes.faults import shown
from mlengine.serving.runtimes.model import RawInstances, Refused, Violation, nearest

try:
    import orjson
except ImportError:  # an old or foreign environment: slower, else the same
    orjson = None

KNOWN_KEYS = ("instances", "signature_name")
_WRAP = 'Send {"instances": [ … ]}, with one entry per instance.'


class Request(NamedTuple):
    """A predict request, its instances not yet checked against the model.

    Attributes:
        instances: One or more.
        signature_name: Empty where the request names none.
    """

    instances: RawInstances
    signature_name: str


def read_request(body: bytes, *, ignores_unknown_keys: bool) -> Request:
    """Take a request body apart. Raises Refused.

    Args:
        body: As the caller sent it.
        ignores_unknown_keys: Whether other keys than the known ones are passed over.
    """
    request = loads(body)
    if isinstance(request, list):
        _refuse("", f"The request is a list, but an object is needed. {_WRAP} Wrap the list you sent.")
    if not isinstance(request, dict):
        _refuse("", f"The request is {shown(request)}, but an object is needed. {_WRAP}")
    _check_keys(request, ignores_unknown_keys=ignores_unknown_keys)
    instances = request["instances"]
    if not isinstance(instances, list):
        _refuse(
            "instances",
            f"'instances' is {shown(instances)}, but a list is needed. Put it in brackets. {_WRAP}",
        )
    if not instances:
        _refuse("instances", f"'instances' is an empty list: there is nothing to predict. {_WRAP}")
    name = request.get("signature_name")
    if name is not None and not isinstance(name, str):
        _refuse("signature_name", f"'signature_name' is {shown(name)}, but a text is needed.")
    # No text that lacks these words holds a boolean; most requests need no search for one.
    booleans = b"true" in body or b"false" in body
    return Request(RawInstances(instances, booleans), name or "")


def loads(body: bytes) -> Any:
    """JSON to values. NaN and Infinity are no JSON. Raises Refused, with the position of the fault."""
    if orjson is not None:
        try:
            return orjson.loads(body)
        except ValueError:
            pass  # read once more by the standard library, whose words are the same everywhere
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        _refuse("", f"The request is not UTF-8 text: {error.reason} at byte {error.start}.")
    if not text.strip():
        _refuse("", f"The request is empty. {_WRAP}")
    try:
        return json.loads(text, parse_constant=_no_constant, parse_float=_number, parse_int=_whole_number)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        cure = ""
        if error.msg == "Extra data" and text.lstrip().startswith("{"):
            cure = f" One object per line is the form of a file; a request is one object. {_WRAP}"
        elif "'" in text[error.pos : error.pos + 2]:
            cure = " JSON wants double quotes."
        _refuse("", f"The request is not JSON: {error.msg} at {where}.{cure}")
    except RecursionError:
        _refuse("", "The request is not usable: its lists are nested too deeply.")


def _check_keys(request: dict[str, Any], *, ignores_unknown_keys: bool) -> None:
    for key in request:
        if key in KNOWN_KEYS:
            continue
        absent = [known for known in KNOWN_KEYS if known not in request]
        hint = nearest(re.sub("(?<!^)([A-Z])", r"_\1", key).lower(), absent)
        if hint:
            _refuse(key, f"Unknown key '{key}' in the request. {hint}")
        if "instances" in request and not ignores_unknown_keys:
            _refuse(
                key, f"Unknown key '{key}' in the request. Known keys: {', '.join(KNOWN_KEYS)}. Remove it."
            )
    if "instances" not in request:
        cure = _WRAP
        if request:
            cure = f'Wrap what you sent: {{"instances": [{{{_first_key(request)}: …}}]}}.'
        _refuse("instances", f"'instances' is missing. {cure}")


def _first_key(request: dict[str, Any]) -> str:
    return json.dumps(next(iter(request)), ensure_ascii=False)


def _no_constant(name: str) -> NoReturn:
    _refuse("", f"The request is not JSON: {name} is no JSON number. Send null for a missing value.")


def _number(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        _refuse("", f"The request holds the number {text[:40]}, which is too large.")
    return number


def _whole_number(text: str) -> int | float:
    # Past 64 bits a float, as other JSON readers have it.
    return int(text) if len(text) < 19 else _long_whole_number(text)


def _long_whole_number(text: str) -> int | float:
    number = _number(text)
    whole = int(text)
    return whole if -(2**63) <= whole < 2**64 else number


def _refuse(field: str, message: str) -> NoReturn:
    raise Refused(message, [Violation(field, message)] if field else ())
