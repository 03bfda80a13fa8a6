"""Numbers straight from text into arrays: the same arrays, and the same refusals, as the ordinary way."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlengine.serving.messages import PREDICT
from mlengine.serving.runtimes.arrays import ArrayInstances, NumberShape
from mlengine.serving.runtimes.intake import TensorIntake
from mlengine.serving.runtimes.model import RawInstances, Refused
from mlengine.serving.runtimes.tensors import Tensor
from mlengine.serving.worker import numbers
from mlengine.serving.worker.batch import Answerer
from mlengine.serving.worker.decode import read_request
from mlengine.serving.worker.numbers import read_numbers

from .small_models import tensor_model

SHAPES = {
    "vector": [NumberShape("x", (3,), whole=False)],
    "image": [NumberShape("x", (2, 2, 1), whole=False)],
    "whole": [NumberShape("x", (2,), whole=True)],
    "several": [NumberShape("x", (2,), whole=False), NumberShape("z", (), whole=False)],
}
LEAF = st.integers(-(2**70), 2**70) | st.integers(0, 5) | st.floats(width=32) | st.none() | st.booleans()
ODD: Any = st.recursive(LEAF | st.just("x"), lambda inner: st.lists(inner, max_size=3), max_leaves=8)


def values(shape: tuple[int, ...], *, whole: bool) -> Any:
    leaf: Any = st.integers(-(2**31), 2**31) if whole else st.integers(-9, 9) | st.floats(-1e6, 1e6)
    for size in reversed(shape):
        leaf = st.lists(leaf, min_size=size, max_size=size)
    return leaf


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, bytes]:
    name = draw(st.sampled_from(sorted(SHAPES)))
    fields = {one.name: values(one.shape, whole=one.whole) for one in SHAPES[name]}
    good = st.fixed_dictionaries(fields)
    if len(fields) == 1:
        good = good | fields["x"]
    instances = draw(st.lists(good, min_size=1, max_size=4))
    if draw(st.booleans()):
        instances[draw(st.integers(0, len(instances) - 1))] = draw(ODD | st.fixed_dictionaries({"x": ODD}))
    return name, json.dumps({"instances": instances}, allow_nan=False).encode() + b" " * 256


@given(st.data())
def test_whatever_is_sent_arrays_and_refusals_are_those_of_the_ordinary_way(data: st.DataObject) -> None:
    try:
        name, body = data.draw(requests())
    except ValueError:
        return  # NaN is no JSON
    shapes = SHAPES[name]
    intake = TensorIntake(
        [Tensor(one.name, "int64" if one.whole else "float32", [None, *one.shape]) for one in shapes]
    )

    def outcome(instances: RawInstances) -> Any:
        try:
            return {key: array.tolist() for key, array in intake.decode(instances).items()}
        except Refused as refused:
            return refused.violations

    try:
        ordinary = outcome(read_request(body, ignores_unknown_keys=False).instances)
    except Refused as refused:
        ordinary = refused.message
    quick = read_numbers(body, shapes, None)

    if quick is not None:
        assert isinstance(quick.instances, ArrayInstances)
        assert outcome(quick.instances) == ordinary


@pytest.mark.parametrize(
    "body",
    [
        b'{"instances": [[1, [], [2, 3]]]}',
        b'{"instances": [[1, 2, 3], [[4, 5, 6]]]}',
        b'{"instances": [[1, 2], [3, 4, 5, 6]]}',
        b'{"instances": [[1, 2, true]]}',
        b'{"instances": [[1, 2, 3]], "instances": [[4, 5, 6]]}',
        b'{"instances": [[1, 2, 3]], "other": 1}',
        b'{"instances": [[1, 2, 3]]} x',
    ],
)
def test_what_is_not_plain_is_left_to_the_ordinary_way(body: bytes) -> None:
    assert read_numbers(body + b" " * 256, SHAPES["vector"], None) is None
    good = read_numbers(b'{"instances": [[1, 2, 3]]}' + b" " * 256, SHAPES["vector"], None)
    assert good is not None
    assert good.instances.values == [[1, 2, 3]]


def test_a_model_answers_the_same_with_and_without_simdjson(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tensor_model(wide=64)
    vectors = np.random.default_rng(0).random((8, 64)).tolist()
    request = (PREDICT, json.dumps({"instances": vectors}).encode())

    ((status, quick, *_),) = Answerer(model).answer([request])
    monkeypatch.setattr(numbers, "simdjson", None)
    ((_, ordinary, *_),) = Answerer(model).answer([request])

    assert status == 200
    assert quick == ordinary
