"""Answers the requests of a batch with as few model calls as may be, and keeps each caller's fate his own."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from mlengine.serving.messages import EXPLAIN, PREDICT
from mlengine.serving.runtimes.arrays import ArrayInstances
from mlengine.serving.runtimes.model import Model, RawInstances, Refused, Rows, Signature
from mlengine.serving.runtimes.rules import DEFAULT_RULES, Rules
from mlengine.serving.worker import answers
from mlengine.serving.worker.at_once import AtOnce, Batch
from mlengine.serving.worker.explaining import Explaining, at_once, explain
from mlengine.serving.worker.outcome import Answer, failure
from mlengine.serving.worker.protocols import protocol_of
from mlengine.serving.worker.protocols.protocol import GoogleErrors, NotOffered, Protocol, Request


class _Part(NamedTuple):
    """What the model said to some rows of a request, among those of others.

    Attributes:
        outputs: Of the whole call.
        start: The first of them that is ours.
        stop: The first that is not.
        model_us: Microseconds of the call.
        instances: Of the call.
    """

    outputs: Any
    start: int
    stop: int
    model_us: int
    instances: int


@dataclass
class _Asked:
    """A request that has passed its checks.

    Attributes:
        place: Its position in the batch.
        protocol: Its language.
        request: As it was read.
        signature: What it asks.
        rows: Its instances, converted; in several pieces where they are too many for one call.
        decode_us: Microseconds that took.
        parts: The answers to `rows`, so far.
        error: What the model raised, if it did.
    """

    place: int
    protocol: Protocol
    request: Request
    signature: Signature
    rows: list[Rows]
    decode_us: int
    parts: list[_Part] = field(default_factory=list)
    error: Exception | None = None


class Answerer:
    """Answers requests of every kind with one model. Not for several threads at once.

    Args:
        model: The model.
        signature_name: For requests that name none; empty for the model's default.
    """

    def __init__(self, model: Model, *, signature_name: str = "") -> None:
        self._model = model
        self._signature_name = signature_name
        self._rules: Rules = model.rules or DEFAULT_RULES
        self._at_once = AtOnce(model) if AtOnce.takes(model, signature_name) else None

    def answer(self, requests: Sequence[tuple[int, bytes]], /) -> list[Answer]:
        """Answer each of `requests`, a kind of message and a body, in order.

        Never raises for what a caller sent or a model did.
        """
        if self._model.passthrough is not None:
            return self._passed_through(requests)
        batch = self._at_once.ask(requests) if self._at_once is not None and requests else None
        if batch is not None and (plain := self._written(batch)) is not None:
            return plain
        found: list[Answer | None] = [None] * len(requests)
        groups: dict[Any, list[_Asked]] = {}
        for place, (kind, body) in enumerate(requests):
            began = time.perf_counter_ns()
            if kind == EXPLAIN:
                found[place] = at_once(self.explain(body))
                continue
            protocol = protocol_of(kind)
            if protocol is None:
                found[place] = Answer(
                    501, _ERRORS.error(501, f"The model worker knows no message of kind {kind}.")
                )
                continue
            # Each is read by itself, so that a faulty one harms nobody else.
            try:
                asked = self._read(place, protocol, body)
            except Exception as error:
                found[place] = failure(error, protocol)._replace(decode_us=_since(began))
                continue
            asked.decode_us = _since(began)
            groups.setdefault((asked.signature.name, asked.rows[0].key), []).append(asked)
        for group in groups.values():
            self._ask(group)
            for asked in group:
                found[asked.place] = self._write(asked)
        return [answer for answer in found if answer is not None]

    def explain(self, body: bytes) -> Explaining:
        """Answer a request for explanations, with a pause after each call of the model."""
        return explain(self._model, body, signature_name=self._signature_name)

    def _read(self, place: int, protocol: Protocol, body: bytes) -> _Asked:
        request = protocol.read(body, self._model)
        # What takes extras gets the name as one of them, whatever it is.
        name = "" if self._model.takes_extras else request.signature_name or self._signature_name
        signature = self._model.signature(name)
        try:
            rows = signature.decode(request.instances)
        except Refused as refused:
            raise protocol.located(refused, request) from refused
        pieces = [rows]
        if rows.count > self._rules.max_batch_size and not self._model.takes_extras:
            pieces = self._cut(signature, rows, request.instances)
        return _Asked(place, protocol, request, signature, pieces, 0)

    def _cut(self, signature: Signature, rows: Rows, instances: RawInstances) -> list[Rows]:
        """Pieces of the most that one call may have; all in one where the model wants them together."""
        most = self._rules.max_batch_size
        pieces = []
        for start in range(0, rows.count, most):
            piece = signature.decode(_part(instances, start, start + most))
            # Equal keys say that rows may share a call, so they may be asked in several, too.
            if piece.key != rows.key:
                return [rows]
            pieces.append(piece)
        return pieces

    def _ask(self, group: list[_Asked]) -> None:
        """As few calls as may be; where one fails, each of its requests is asked alone."""
        for call in _calls(group, self._rules.max_batch_size):
            call = [(asked, rows) for asked, rows in call if asked.error is None]
            if not call or self._run(call):
                continue
            if len({id(asked) for asked, _ in call}) == 1:
                continue
            # Only the guilty one shall fail.
            for asked, _ in call:
                asked.error = None
            for asked, rows in call:
                if asked.error is None:
                    self._run([(asked, rows)])

    def _run(self, call: list[tuple[_Asked, Rows]]) -> bool:
        """One call of the model; whether it went well. Leaves its outcome with those who asked."""
        signature = call[0][0].signature
        try:
            rows = signature.join([rows for _, rows in call]) if len(call) > 1 else call[0][1]
            began = time.perf_counter_ns()
            outputs = signature.run(rows)
            model_us = _since(began)
        except Exception as error:
            for asked, _ in call:
                asked.error = error
            return False
        start = 0
        for asked, piece in call:
            stop = start + piece.count
            asked.parts.append(_Part(outputs, start, stop, model_us, rows.count))
            start = stop
        return True

    def _write(self, asked: _Asked) -> Answer:
        if asked.error is not None:
            return failure(asked.error, asked.protocol)._replace(decode_us=asked.decode_us)
        began = time.perf_counter_ns()
        try:
            predictions: list[Any] = []
            for part in asked.parts:
                said = asked.signature.predictions(part.outputs, part.start, part.stop)
                predictions = said if len(asked.parts) == 1 else [*predictions, *said]
            body = asked.protocol.write(predictions, asked.request, self._model, asked.signature)
            answer = Answer(200, body)
        except Exception as error:
            answer = failure(error, asked.protocol)
        return answer._replace(
            decode_us=asked.decode_us,
            model_us=sum(part.model_us for part in asked.parts),
            encode_us=_since(began),
            instances=max(part.instances for part in asked.parts),
        )

    def _written(self, batch: Batch) -> list[Answer] | None:
        """The answers of a batch that was asked at once; None where one of them cannot be written."""
        non_finite = self._rules.non_finite
        count = len(batch.counts)
        decode_us, total = batch.decode_us // count, len(batch.predictions)
        began = time.perf_counter_ns()
        try:
            bodies: list[bytes] = []
            start = 0
            for size in batch.counts:
                said = batch.predictions[start : start + size]
                bodies.append(answers.predictions(said, non_finite=non_finite))
                start += size
        except Exception:
            return None
        encode_us = _since(began) // count
        return [Answer(200, body, decode_us, batch.model_us, encode_us, total) for body in bodies]

    def _passed_through(self, requests: Sequence[tuple[int, bytes]]) -> list[Answer]:
        """Bodies as they came, to a server of the user's own."""
        assert self._model.passthrough is not None
        bodies = [body for kind, body in requests if kind == PREDICT]
        began = time.perf_counter_ns()
        try:
            given = iter(self._model.passthrough(bodies) if bodies else [])
            model_us = _since(began)
            return [
                Answer(*next(given), model_us=model_us, instances=1)
                if kind == PREDICT
                else failure(NotOffered(_OWN_SERVER), protocol_of(kind) or _ERRORS)
                for kind, _ in requests
            ]
        except Exception as error:
            return [failure(error, protocol_of(kind) or _ERRORS) for kind, _ in requests]


_ERRORS = GoogleErrors()
_OWN_SERVER = (
    "This version is a container, which understands only what its own server does. Send the request that it "
    "wants to :predict."
)


def _calls(group: list[_Asked], most: int) -> list[list[tuple[_Asked, Rows]]]:
    """The pieces of all requests, in order, as calls of at most `most` instances (or one larger piece)."""
    calls: list[list[tuple[_Asked, Rows]]] = [[]]
    count = 0
    for asked in group:
        for rows in asked.rows:
            if calls[-1] and count + rows.count > most:
                calls.append([])
                count = 0
            calls[-1].append((asked, rows))
            count += rows.count
    return calls


def _part(instances: RawInstances, start: int, stop: int) -> RawInstances:
    if isinstance(instances, ArrayInstances):
        return instances.part(start, stop)
    return RawInstances(instances.values[start:stop], instances.booleans, instances.extras, instances.rules)


def _since(began: int) -> int:
    return (time.perf_counter_ns() - began) // 1000
