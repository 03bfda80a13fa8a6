"""Values against the inputs of a TensorFlow signature; NumPy is enough for that."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mlengine.serving.runtimes.tensors import Tensor

TYPES = ["float32", "float64", "int32", "int64", "uint8", "bool"]


@given(
    data=st.data(),
    dtype=st.sampled_from(TYPES),
    shape=arrays.array_shapes(min_dims=0, max_dims=3, max_side=3),
)
def test_every_array_of_the_right_type_and_shape_comes_back_equal(
    data: st.DataObject, dtype: str, shape: tuple[int, ...]
) -> None:
    elements = {"allow_nan": False, "allow_infinity": False} if dtype.startswith("float") else None
    array = data.draw(arrays.arrays(dtype, (2, *shape), elements=elements))
    tensor = Tensor("x", dtype, (None, *shape))

    stacked = tensor.stack(array.tolist(), booleans=True)

    assert stacked is not None
    assert stacked.dtype == array.dtype
    assert np.array_equal(stacked, array)
    assert [tensor.fault(value) for value in array.tolist()] == [None, None]


@given(
    dtype=st.sampled_from(TYPES),
    shape=st.lists(st.integers(1, 3) | st.none(), max_size=2),
    fill=st.sampled_from(["zeros", "ones", "ramp"]),
)
def test_a_sample_passes_the_check_of_its_own_tensor(dtype: str, shape: list[int | None], fill: str) -> None:
    for kind in (dtype, object):
        tensor = Tensor("x_bytes", kind, [None, *shape])

        assert tensor.fault(tensor.sample(fill)) is None


@given(
    value=st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(max_size=3)
        | st.just({"b64": "YQ=="}),
        lambda inner: st.lists(inner, max_size=3),
        max_leaves=6,
    ),
    dtype=st.sampled_from([*TYPES, "O"]),
)
def test_whatever_does_not_stack_gets_a_sentence(value: Any, dtype: str) -> None:
    tensor = Tensor("x", dtype, (None, 2))

    sentence = tensor.fault(value)

    assert (sentence is None) == (tensor.stack([value], booleans=True) is not None)
    assert sentence is None or sentence.endswith(".")


@pytest.mark.parametrize(
    ("dtype", "value"),
    [("float32", True), ("float32", 1e300), ("int32", 0.5), ("int32", 2**31), ("uint8", -1), ("bool", 1)],
)
def test_nothing_is_bent_to_fit(dtype: str, value: Any) -> None:
    assert Tensor("x", dtype, (None,)).fault(value) is not None
