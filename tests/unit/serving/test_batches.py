"""A batch: one call for all who can share one, and to each his own answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlengine.serving.messages import PREDICT
from mlengine.serving.runtimes.model import BadOutput, Model, RawInstances, Refused, Rows
from mlengine.serving.worker.batch import Answerer

REFUSED, BROKEN, UNSAYABLE = "refused", "broken", "unsayable"


class Doubling:
    """Doubles numbers; even and odd requests cannot share a call. Keeps the size of each call."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.calls: list[int] = []

    def decode(self, instances: RawInstances) -> Rows:
        if REFUSED in instances.values:
            raise Refused("No.")
        return Rows(len(instances.values), len(instances.values) % 2, instances.values)

    def join(self, parts: Sequence[Rows]) -> Rows:
        values = [value for part in parts for value in part.data]
        return Rows(len(values), parts[0].key, values)

    def run(self, rows: Rows) -> list[Any]:
        self.calls.append(rows.count)
        if BROKEN in rows.data:
            raise RuntimeError("broken")
        return [value * 2 if isinstance(value, int) else value for value in rows.data]

    def predictions(self, outputs: Any, start: int, stop: int) -> list[Any]:
        if UNSAYABLE in outputs[start:stop]:
            raise BadOutput("It cannot be said.")
        answers: list[Any] = outputs[start:stop]
        return answers


def model() -> tuple[Model, Doubling]:
    signature = Doubling("double")
    served = Model(
        framework="scikit-learn",
        signatures={"double": signature, "other": Doubling("other")},
        default="double",
        aliases=("serving_default",),
        ignores_unknown_keys=False,
        describe=dict,
        samples=[],
        sure=True,
    )
    return served, signature


def request(values: list[Any], **more: str) -> tuple[int, bytes]:
    return PREDICT, json.dumps({"instances": values, **more}).encode()


VALUES = st.lists(st.integers(0, 9) | st.sampled_from([REFUSED, BROKEN, UNSAYABLE]), min_size=1, max_size=4)


@given(requests=st.lists(VALUES, max_size=12))
def test_the_answer_to_a_request_does_not_depend_on_its_neighbours(requests: list[list[Any]]) -> None:
    served, _ = model()
    bodies = [request(values) for values in requests]

    together = Answerer(served).answer(bodies)
    alone = [Answerer(served).answer([body])[0] for body in bodies]

    assert [answer[:2] for answer in together] == [answer[:2] for answer in alone]
    for values, answer in zip(requests, together, strict=True):
        if all(isinstance(value, int) for value in values):
            assert json.loads(answer.body) == {"predictions": [value * 2 for value in values]}
        else:
            assert answer.status == (400 if REFUSED in values else 500)


def test_requests_that_can_share_a_call_do() -> None:
    served, signature = model()

    Answerer(served).answer(
        [request([1]), request([1, 2]), request([3]), request([4, 5, 6]), (PREDICT, b"no json")]
    )

    assert sorted(signature.calls) == [2, 5]


def test_each_signature_gets_a_call_of_its_own() -> None:
    served, signature = model()
    bodies = [
        request([1]),
        request([2], signature_name="other"),
        request([3], signature_name="serving_default"),
    ]

    answers = Answerer(served).answer(bodies)

    assert [json.loads(answer.body)["predictions"] for answer in answers] == [[2], [4], [6]]
    assert signature.calls == [2]


def test_the_traceback_of_the_model_goes_to_the_log_and_not_to_the_caller(
    capsys: pytest.CaptureFixture[str],
) -> None:
    served, _ = model()

    (answer,) = Answerer(served).answer([request([BROKEN])])

    error = json.loads(answer.body)["error"]
    assert error == {"code": 500, "message": "Prediction failed: RuntimeError: broken", "status": "INTERNAL"}
    assert "Traceback" in capsys.readouterr().err
