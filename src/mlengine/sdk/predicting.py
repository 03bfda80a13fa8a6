"""A prediction of any size: instances cut into requests, sent several at a time, answers put in order."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from mlengine.client.http import problem
from mlengine.client.instances import renumbered
from mlengine.errors import Internal, InvalidArgument, Problem, nearest
from mlengine.sdk.effects import Request, Steps, Together
from mlengine.sdk.encoding import NANS, Encoder, Nan
from mlengine.sdk.retry import Retry
from mlengine.sdk.tables import RETURNS, Returns, rows_of, shaped

_NAMED = re.compile(r"\b[Ii]nstances? \d")


@dataclass(frozen=True, slots=True, kw_only=True)
class Slicing:
    """How large predictions are cut.

    Attributes:
        bytes: Largest body of one request; an instance that is larger goes by itself.
        instances: Most instances in one request.
        connections: Requests at a time.
        seconds: How long a request waits for its answer.
    """

    bytes: int
    instances: int
    connections: int
    seconds: float

    def __post_init__(self) -> None:
        for name in ("bytes", "instances", "connections"):
            if getattr(self, name) < 1:
                shown = name if name == "connections" else f"slice_{name}"
                raise InvalidArgument(f"{shown} is {getattr(self, name)}; it must be at least 1.")


@dataclass(frozen=True, slots=True)
class Slice:
    """One request's worth of instances.

    Attributes:
        start: Instances before it.
        stop: Instances before it and in it.
    """

    start: int
    stop: int
    body: bytes


def predict(
    retry: Retry,
    path: str,
    instances: Any,
    *,
    slicing: Slicing,
    signature_name: str,
    returns: Returns,
    nan: Nan,
) -> Steps[Any]:
    """Predictions for all instances, in their order.

    Args:
        path: Of the model or version.

    Raises:
        InvalidArgument: an instance, by its number in the whole.
        Problem: the server's refusal of some, with their numbers.
    """
    _check("returns", returns, RETURNS)
    _check("nan", nan, NANS)
    rows = rows_of(instances)
    cut = slices(rows.parts, Encoder(nan), slicing, signature_name)
    asked = (_ask(retry, path, some, slicing.seconds) for some in cut)
    answers: list[list[Any]] = yield Together(asked, slicing.connections)
    return shaped([value for answer in answers for value in answer], returns, rows.index)


def slices(
    parts: Iterable[list[Any]], encoder: Encoder, slicing: Slicing, signature_name: str
) -> Iterator[Slice]:
    """Requests that hold all instances in order, each as large as may be."""
    head, tail = b'{"instances":[', b"]}"
    if signature_name:
        tail = b'],"signature_name":' + json.dumps(signature_name).encode() + b"}"
    frame = len(head) + len(tail)
    pieces: list[bytes] = []
    start, size = 0, frame
    for number, instance in enumerate(instance for part in parts for instance in part):
        piece = encoder.encode(number, instance)
        if pieces and (size + len(piece) + 1 > slicing.bytes or len(pieces) == slicing.instances):
            yield Slice(start, start + len(pieces), head + b",".join(pieces) + tail)
            start, size, pieces = number, frame, []
        pieces.append(piece)
        size += len(piece) + 1
    if pieces:
        yield Slice(start, start + len(pieces), head + b",".join(pieces) + tail)


def _ask(retry: Retry, path: str, some: Slice, seconds: float) -> Steps[list[Any]]:
    request = Request(verb="POST", path=f"{path}:predict", body=some.body, timeout=seconds, repeatable=True)
    try:
        reply = yield from retry.answer(request)
        return _predictions(reply.content, some)
    except Problem as found:
        raise _placed(found, some) from found.__cause__


def _predictions(content: bytes, some: Slice) -> list[Any]:
    try:
        answer = json.loads(content)
    except ValueError:
        answer = None
    if isinstance(answer, dict) and "error" in answer:
        raise problem(400, "", content)
    predictions = answer.get("predictions") if isinstance(answer, dict) else None
    if not isinstance(predictions, list):
        shown = content[:500].decode(errors="replace")
        raise Internal(f"The answer holds no list of predictions: {shown}")
    sent = some.stop - some.start
    if len(predictions) != sent:
        raise Internal(f"{sent} instances were sent, and {len(predictions)} predictions came back.")
    return predictions


def _placed(found: Problem, some: Slice) -> Problem:
    """A problem of one request, by the numbers that its instances have in the whole, counted from 1."""
    moved = renumbered(found, some.start)
    if not _NAMED.search(moved.message):
        moved.message = f"Instances {some.start + 1} to {some.stop}: {moved.message}"
        moved.args = (moved.message,)
    moved.details = ({"instances": {"start": some.start, "stop": some.stop}}, *moved.details)
    return moved


def _check(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        hint = nearest(value, known) if isinstance(value, str) else ""
        raise InvalidArgument(f"{name} is {value!r}; it must be one of {', '.join(known)}.", hint=hint)
