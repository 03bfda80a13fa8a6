"""The JSON of a predict request, read strictly; apart, as its mistakes are the callers' most common ones."""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

from mlengine.serving.runtimes.faults import shown
from mlengine.serving.runtimes.model import RawInstances, Refused, Violation, nearest
from mlengine.serving.runtimes.rules import Rules
from mlengine.serving.worker.protocols.protocol import Request

try:
    import orjson
except ImportError:  # an old or foreign environment: slower, else the same
    orjson = None

KNOWN_KEYS = ("instances", "signature_name")
_WRAP = 'Send {"instances": [ … ]}, with one entry per instance.'


def read_request(
    body: bytes, *, ignores_unknown_keys: bool, takes_extras: bool = False, rules: Rules | None = None
) -> Request:
    """Take a request body apart. Raises Refused.

    Args:
        body: As the caller sent it.
        ignores_unknown_keys: Whether other keys than the known ones are passed over.
        takes_extras: Whether they are handed on with the instances.
        rules: The version's, which go with the instances.
    """
    request = request_object(body, _WRAP)
    _check_keys(request, passes=ignores_unknown_keys or takes_extras)
    instances = instance_list(request, "instances", _WRAP)
    name = signature_name(request)
    # No text that lacks these words holds a boolean; most requests need no search for one.
    booleans = b"true" in body or b"false" in body
    extras: dict[str, Any] = {}
    if takes_extras:
        extras = {key: value for key, value in request.items() if key not in KNOWN_KEYS}
        extras["signature_name"] = name or None
    return Request(RawInstances(instances, booleans, extras, rules), name)


def request_object(body: bytes, cure: str) -> dict[str, Any]:
    """The object that a request in JSON is. Raises Refused.

    Args:
        body: As the caller sent it.
        cure: What to send instead of something else.
    """
    request = loads(body)
    if isinstance(request, list):
        refuse("", f"The request is a list, but an object is needed. {cure} Wrap the list you sent.")
    if not isinstance(request, dict):
        refuse("", f"The request is {shown(request)}, but an object is needed. {cure}")
    return request


def instance_list(request: dict[str, Any], key: str, cure: str) -> list[Any]:
    """The non-empty list under `key`. Raises Refused."""
    instances = request[key]
    if not isinstance(instances, list):
        refuse(key, f"'{key}' is {shown(instances)}, but a list is needed. Put it in brackets. {cure}")
    if not instances:
        refuse(key, f"'{key}' is an empty list: there is nothing to predict. {cure}")
    return instances


def signature_name(request: dict[str, Any]) -> str:
    """The name under `signature_name`, or nothing. Raises Refused."""
    name = request.get("signature_name")
    if name is not None and not isinstance(name, str):
        refuse("signature_name", f"'signature_name' is {shown(name)}, but a text is needed.")
    return name or ""


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
        refuse("", f"The request is not UTF-8 text: {error.reason} at byte {error.start}.")
    if not text.strip():
        refuse("", f"The request is empty. {_WRAP}")
    try:
        return json.loads(text, parse_constant=_no_constant, parse_float=_number, parse_int=_whole_number)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        cure = ""
        if error.msg == "Extra data" and text.lstrip().startswith("{"):
            cure = f" One object per line is the form of a file; a request is one object. {_WRAP}"
        elif "'" in text[error.pos : error.pos + 2]:
            cure = " JSON wants double quotes."
        refuse("", f"The request is not JSON: {error.msg} at {where}.{cure}")
    except RecursionError:
        refuse("", "The request is not usable: its lists are nested too deeply.")


def _check_keys(request: dict[str, Any], *, passes: bool) -> None:
    for key in request:
        if key in KNOWN_KEYS:
            continue
        absent = [known for known in KNOWN_KEYS if known not in request]
        hint = nearest(re.sub("(?<!^)([A-Z])", r"_\1", key).lower(), absent)
        if hint:
            refuse(key, f"Unknown key '{key}' in the request. {hint}")
        if "instances" in request and not passes:
            refuse(
                key, f"Unknown key '{key}' in the request. Known keys: {', '.join(KNOWN_KEYS)}. Remove it."
            )
    if "instances" not in request:
        cure = _WRAP
        if request:
            cure = f'Wrap what you sent: {{"instances": [{{{_first_key(request)}: …}}]}}.'
        refuse("instances", f"'instances' is missing. {cure}")


def _first_key(request: dict[str, Any]) -> str:
    return json.dumps(next(iter(request)), ensure_ascii=False)


def _no_constant(name: str) -> NoReturn:
    refuse("", f"The request is not JSON: {name} is no JSON number. Send null for a missing value.")


def _number(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        refuse("", f"The request holds the number {text[:40]}, which is too large.")
    return number


def _whole_number(text: str) -> int | float:
    # Past 64 bits a float, as other JSON readers have it.
    return int(text) if len(text) < 19 else _long_whole_number(text)


def _long_whole_number(text: str) -> int | float:
    number = _number(text)
    whole = int(text)
    return whole if -(2**63) <= whole < 2**64 else number


def refuse(field: str, message: str) -> NoReturn:
    """Raise Refused for a fault of the request as a whole, or of one top-level field."""
    raise Refused(message, [Violation(field, message)] if field else ())
