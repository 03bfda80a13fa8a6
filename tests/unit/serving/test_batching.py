"""Batches against the unbatched oracle: mixed languages, sizes and mistakes, and limits that cut requests."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mlengine.serving.messages import CSV, INFER, JSON_LINES, PREDICT, TF_SERVING
from mlengine.serving.runtimes.model import Model
from mlengine.serving.worker.batch import Answerer

from .small_models import table_model, tensor_model

Request = tuple[int, bytes]

ROW = st.fixed_dictionaries(
    {
        # None of a kind: an answer in the wrong place would not go unseen.
        "Age": st.none() | st.floats(0, 1e6, allow_subnormal=False) | st.integers(0, 10**6),
        "Embarked": st.sampled_from(["C", "Q", "S", "S", "S", "X"]),
        "Old": st.booleans() | st.just(1),
    }
)
VECTOR = st.lists(
    st.integers(-(10**6), 10**6) | st.floats(-1e6, 1e6), min_size=3, max_size=3
) | st.sampled_from([[1, 2], "x", [1, 2, None], {"x": [1, 2, 3]}])


def rows_as(kind: int, rows: list[dict[str, Any]]) -> bytes:
    if kind == CSV:
        cells = [[row["Age"], row["Embarked"], row["Old"]] for row in rows]
        return "\n".join(
            ",".join("" if c is None else str(c).lower() if c is True or c is False else str(c) for c in line)
            for line in cells
        ).encode()
    if kind == JSON_LINES:
        return b"\n".join(json.dumps(row).encode() for row in rows)
    if kind == TF_SERVING and len(rows) > 1:
        return json.dumps({"inputs": {name: [row[name] for row in rows] for name in rows[0]}}).encode()
    return json.dumps({"instances": rows}).encode()


def vectors_as(kind: int, vectors: list[Any]) -> bytes:
    if kind == INFER:
        flat = [number for vector in vectors for number in vector]
        tensor = {"name": "x", "shape": [len(vectors), 3], "datatype": "FP32", "data": flat}
        return json.dumps({"inputs": [tensor]}).encode()
    if kind == JSON_LINES:
        return b"\n".join(json.dumps(vector).encode() for vector in vectors)
    return json.dumps({"instances": vectors}).encode()


def equal_to_the_oracle(make: Callable[..., Model], requests: list[Request], most: int) -> None:
    together = Answerer(make(max_batch_size=most)).answer(requests)
    oracle = Answerer(make(max_batch_size=10**6))
    alone = [oracle.answer([request])[0] for request in requests]

    assert [answer[:2] for answer in together] == [answer[:2] for answer in alone]


@given(
    asked=st.lists(
        st.tuples(
            st.sampled_from([PREDICT, TF_SERVING, CSV, JSON_LINES]), st.lists(ROW, min_size=1, max_size=5)
        ),
        max_size=10,
    ),
    most=st.integers(1, 8),
)
def test_rows_get_the_bytes_that_they_get_alone(
    asked: list[tuple[int, list[dict[str, Any]]]], most: int
) -> None:
    equal_to_the_oracle(table_model, [(kind, rows_as(kind, rows)) for kind, rows in asked], most)


@given(
    asked=st.lists(
        st.tuples(
            st.sampled_from([PREDICT, TF_SERVING, INFER, JSON_LINES]),
            st.lists(VECTOR, min_size=1, max_size=5),
        ),
        max_size=10,
    ),
    most=st.integers(1, 8),
)
def test_tensors_get_the_bytes_that_they_get_alone(asked: list[tuple[int, list[Any]]], most: int) -> None:
    requests = [(kind, vectors_as(kind, vectors)) for kind, vectors in asked]

    equal_to_the_oracle(tensor_model, requests, most)


def test_no_call_of_the_model_is_larger_than_the_version_wants_and_times_are_those_of_all_calls() -> None:
    model = table_model(max_batch_size=4)
    rows = [{"Age": n, "Embarked": "C", "Old": False} for n in range(11)]
    requests = [(PREDICT, rows_as(PREDICT, part)) for part in (rows[:3], rows[3:10], rows[10:])]

    answers = Answerer(model).answer(requests)

    calls = model.signatures["predict"].calls  # type: ignore[attr-defined]
    assert [json.loads(answer.body)["predictions"] for answer in answers] == [
        [n * 2 for n in part] for part in (range(3), range(3, 10), range(10, 11))
    ]
    assert sum(calls) == 11
    assert max(calls) <= 4
    assert all(answer.instances in (3, 4) for answer in answers)
