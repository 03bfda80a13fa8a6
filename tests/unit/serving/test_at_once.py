"""Batches read by one look of the parser: the same answers as one by one, whatever is among them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlengine.serving.messages import CSV, PREDICT
from mlengine.serving.worker.at_once import AtOnce
from mlengine.serving.worker.batch import Answer, Answerer

from .small_models import tensor_model

PAD = b" " * 300
GOOD = st.lists(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3), min_size=1, max_size=5)
# Bodies that are wrong alone, and of which some would be right in company.
TRICKS = [
    b'{"instances": [[1,2,3]],[[4,5,6]]}',
    b'{"instances": [[1,2,3],[4,5,6]}',
    b'{"instances": [[1,2,3]],[[4,5,6]}',
    b'{"instances": [[1,2,3]]]}',
    b'{"instances": [[[1,2,3]]}',
    b'{"instances": [[1,2,3],[4,5]]}',
    b'{"instances": [[1,2],[3,4,5,6]]}',
    b'{"instances": [[1,2,3,[4]]]}',
    b'{"instances": [[1,2,"]"]]}',
    b'{"instances": [[1,2,null]]}',
    b'{"instances": [[1,2,true]]}',
    b'{"instances": [[1,2,1e400]]}',
    b'{"instances": [[1,2,3]], "signature_name": "nobody"}',
    b'{"instances": [[1,2,3]], "signature_name": [4]}',
    b'{"instances": []}',
    b'{"instances": [[]]}',
    b'{"instances": [[1,2,3]',
    b'{"instances": [[1,2,3]]}}',
    b'{"instances": [{"x": [1,2,3]}]}',
    b'{"instances": [ [ 1 , 2 , 3 ] ] }',
    b"[[1,2,3]]",
    b"",
]


def good(rows: list[list[float]]) -> bytes:
    return json.dumps({"instances": rows}).encode() + PAD


def said(answers: list[Answer]) -> list[tuple[int, bytes]]:
    return [(answer.status, answer.body) for answer in answers]


@given(
    st.lists(GOOD.map(good) | st.sampled_from(TRICKS).map(lambda body: body + PAD), min_size=1, max_size=6)
)
def test_a_batch_is_answered_as_its_requests_are_one_by_one(bodies: list[bytes]) -> None:
    answerer = Answerer(tensor_model())

    together = answerer.answer([(PREDICT, body) for body in bodies])

    alone = [Answerer(tensor_model()).answer([(PREDICT, body)])[0] for body in bodies]
    assert said(together) == said(alone)


@pytest.mark.parametrize("trick", TRICKS[:12])
def test_nobody_gets_a_neighbours_numbers(trick: bytes) -> None:
    bodies = [good([[1, 2, 3]]), trick + PAD, good([[7, 8, 9]])]

    first, middle, last = Answerer(tensor_model()).answer([(PREDICT, body) for body in bodies])

    assert json.loads(first.body) == {"predictions": [{"y": [2, 4, 6]}]}
    assert middle.status == 400
    assert json.loads(last.body) == {"predictions": [{"y": [14, 16, 18]}]}


def test_plain_batches_are_really_asked_at_once() -> None:
    requests = [(PREDICT, good([[position, 2, 3]] * 40)) for position in range(300)]

    batch = AtOnce(tensor_model(max_batch_size=100_000)).ask(requests)

    assert batch is not None
    assert batch.counts == [40] * 300
    assert [one["y"][0] for one in batch.predictions[::40]] == [2 * position for position in range(300)]


@pytest.mark.parametrize(
    "requests",
    [
        [(PREDICT, good([[1, 2, 3]])), (CSV, b"1,2,3\n" + PAD)],
        [(PREDICT, good([[1, 2, 3]] * 11))],
        [(PREDICT, b'{"instances": [[1,2,3]]}')],
    ],
    ids=["another language", "more instances than a call may have", "short"],
)
def test_all_else_is_left_to_the_ordinary_way(requests: list[tuple[int, bytes]]) -> None:
    assert AtOnce(tensor_model(max_batch_size=10)).ask(requests) is None


@pytest.mark.filterwarnings("ignore:overflow encountered")
@pytest.mark.parametrize("rules", [{"non_finite": "TEXT"}, {"non_finite": "NULL"}])
def test_what_json_has_no_number_for_follows_the_rules(rules: dict[str, str]) -> None:
    body = good([[3e38, 1, 1], [1, 1, 1]])

    (answer,) = Answerer(tensor_model(**rules)).answer([(PREDICT, body)])

    word = {"TEXT": "Infinity", "NULL": None}[rules["non_finite"]]
    assert json.loads(answer.body)["predictions"][0]["y"][0] == word


def test_a_model_with_rules_about_values_or_several_inputs_is_asked_the_ordinary_way() -> None:
    assert AtOnce.takes(tensor_model(), "")
    assert not AtOnce.takes(tensor_model(names=2), "")
    assert not AtOnce.takes(tensor_model(), "nobody")
