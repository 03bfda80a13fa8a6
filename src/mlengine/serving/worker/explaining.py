"""Answers to requests for explanations; apart from `batch`, for one takes many calls of the model.

It is a generator that pauses after each call, so that predictions can be answered meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Generator

from mlengine.serving.runtimes.model import LoadFailed, Model, Refused
from mlengine.serving.worker.outcome import Answer, failure
from mlengine.serving.worker.protocols.explain import PROTOCOL

Explaining = Generator[None, None, Answer]


def explain(model: Model, body: bytes, *, signature_name: str = "") -> Explaining:
    """Explain the predictions that the request `body` asks about. Never raises for what a caller sent.

    Args:
        model: Whose predictions.
        body: JSON, as of a prediction.
        signature_name: For a request that names none; empty for the model's default.
    """
    if model.explainer is None:
        return Answer(400, PROTOCOL.unexplained(model))
    began = time.perf_counter_ns()
    spent = 0
    try:
        request = PROTOCOL.read(body, model)
        name = "" if model.takes_extras else request.signature_name or signature_name
        signature = model.signature(name)
        read = time.perf_counter_ns()
        steps = model.explainer.explain(model, signature, request.instances)
        while True:
            resumed = time.perf_counter_ns()
            try:
                next(steps)
            except StopIteration as end:
                explanations = end.value
                break
            finally:
                spent += time.perf_counter_ns() - resumed
            yield
        computed = time.perf_counter_ns()
        written = PROTOCOL.written(explanations, model)
    except LoadFailed as error:
        # The signature that the request names is not the one that was tried when the model was loaded.
        return failure(Refused(error.detail), PROTOCOL)
    except Exception as error:
        return failure(error, PROTOCOL, what="Explanation")
    return Answer(
        200,
        written,
        decode_us=(read - began) // 1000,
        model_us=spent // 1000,
        encode_us=(time.perf_counter_ns() - computed) // 1000,
        instances=len(explanations),
    )


def at_once(steps: Explaining) -> Answer:
    """The answer, without pauses."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            answer: Answer = end.value
            return answer
