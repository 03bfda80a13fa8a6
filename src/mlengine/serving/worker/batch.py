"""Answers the requests of a batch with as few model calls as may be, and keeps each caller's fate his own."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from typing import Any, NamedTuple

from mlengine.serving.runtimes.model import BadOutput, Model, Refused, Rows, Signature
from mlengine.serving.worker import answers
from mlengine.serving.worker.decode import read_request


class Answer(NamedTuple):
    """What one caller gets.

    Attributes:
        status: HTTP status number.
        body: JSON.
    """

    status: int
    body: bytes


class _Asked(NamedTuple):
    """A request that has passed its checks.

    Attributes:
        place: Its position in the batch.
        signature: What it asks.
        rows: Its instances, converted.
    """

    place: int
    signature: Signature
    rows: Rows


class Answerer:
    """Answers predict requests with one model. Not for several threads at once.

    Args:
        model: The model.
        signature_name: For requests that name none; empty for the model's default.
    """

    def __init__(self, model: Model, *, signature_name: str = "") -> None:
        self._model = model
        self._signature_name = signature_name

    def answer(self, bodies: Sequence[bytes]) -> list[Answer]:
        """Answer each of `bodies`, in order. Never raises for what a caller sent or a model did."""
        found: list[Answer | None] = [None] * len(bodies)
        groups: dict[Any, list[_Asked]] = {}
        for place, body in enumerate(bodies):
            # Each is read by itself, so that a faulty one harms nobody else.
            try:
                asked = self._read(place, body)
                groups.setdefault((asked.signature.name, asked.rows.key), []).append(asked)
            except Exception as error:
                found[place] = _failure(error)
        for group in groups.values():
            for asked, answer in zip(group, self._ask(group), strict=True):
                found[asked.place] = answer
        return [answer for answer in found if answer is not None]

    def _read(self, place: int, body: bytes) -> _Asked:
        request = read_request(body, ignores_unknown_keys=self._model.ignores_unknown_keys)
        signature = self._model.signature(request.signature_name or self._signature_name)
        return _Asked(place, signature, signature.decode(request.instances))

    def _ask(self, group: list[_Asked]) -> list[Answer]:
        """One call for all of `group`; if that fails, one call each."""
        signature = group[0].signature
        try:
            rows = signature.join([asked.rows for asked in group]) if len(group) > 1 else group[0].rows
            outputs = signature.run(rows)
        except Exception as error:
            if len(group) == 1:
                return [_failure(error)]
            # Only the guilty one shall fail.
            return [self._ask([asked])[0] for asked in group]
        given: list[Answer] = []
        start = 0
        for asked in group:
            stop = start + asked.rows.count
            given.append(_write(signature, outputs, start, stop))
            start = stop
        return given


def _write(signature: Signature, outputs: Any, start: int, stop: int) -> Answer:
    try:
        return Answer(200, answers.predictions(signature.predictions(outputs, start, stop)))
    except Exception as error:
        return _failure(error)


def _failure(error: Exception) -> Answer:
    if isinstance(error, Refused):
        return Answer(400, answers.error(400, error.message, answers.bad_request(error.violations)))
    if isinstance(error, BadOutput):
        return Answer(500, answers.error(500, f"Prediction failed: {error}"))
    # The traceback is for the owner of the model, in the worker's log; it is no caller's business.
    traceback.print_exception(error, file=sys.stderr)
    sys.stderr.flush()
    return Answer(500, answers.error(500, f"Prediction failed: {type(error).__name__}: {error}"))
