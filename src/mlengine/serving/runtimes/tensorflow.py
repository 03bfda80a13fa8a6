"""Serves TensorFlow SavedModels through their signatures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from mlengine.serving.runtimes.model import LoadFailed, Model, Refused, Signature
from mlengine.serving.runtimes.tensor_signature import TensorSignature, output_of
from mlengine.serving.runtimes.tensors import Tensor

_SERVING_DEFAULT = "serving_default"


def load(model_dir: Path, chosen: str | None) -> Model:
    """Load the SavedModel in `model_dir`. Raises LoadFailed.

    Args:
        model_dir: The directory with saved_model.pb.
        chosen: The signature that `serving.json` makes the default, if any.
    """
    for library in sorted(model_dir.glob("assets.extra/*.so")):
        tf.load_op_library(str(library))
    try:
        loaded = tf.saved_model.load(str(model_dir), tags=["serve"])
    except Exception as error:
        raise LoadFailed(f"Could not load the model: {model_dir}. {type(error).__name__}: {error}") from error
    functions = dict(loaded.signatures)
    if not functions:
        raise LoadFailed(
            f"The SavedModel in {model_dir} has no signature, so it cannot be asked. Export it with "
            f"model.export(DIRECTORY), or give tf.saved_model.save the argument signatures."
        )
    served = {name: _signature(name, function, loaded) for name, function in functions.items()}
    if chosen is not None and chosen not in served:
        names = ", ".join(sorted(served))
        raise LoadFailed(f"serving.json: this model has no signature '{chosen}'. It has: {names}.")
    default = chosen
    if default is None and len(served) == 1:
        default = next(iter(served))
    if default is None and _SERVING_DEFAULT in served:
        default = _SERVING_DEFAULT
    shown_first = served[default or min(served)]
    signatures: dict[str, Signature] = dict(served)
    return Model(
        framework="tensorflow",
        signatures=signatures,
        default=default,
        aliases=(),
        ignores_unknown_keys=True,
        describe=lambda: shown_first.describe("tensorflow", default=default, names=list(served)),
        samples=shown_first.samples(),
        sure=shown_first.settled,
        source=loaded,
    )


def tensor_of(alias: str, spec: Any) -> Tensor:
    """An input or output as its `tf.TensorSpec` says."""
    dtype = object if spec.dtype == tf.string else spec.dtype.as_numpy_dtype
    shape = None if spec.shape.rank is None else spec.shape.as_list()
    return Tensor(alias, dtype, shape)


class FunctionCall:
    """How a function of TensorFlow is asked with arrays.

    Args:
        function: Answers tensors by output.
        types: The type of each input, in their order.
        by_name: Whether it takes its inputs by name.
        owner: What was loaded; its variables live as long as it is kept.
    """

    def __init__(self, function: Any, types: Mapping[str, Any], *, by_name: bool, owner: Any) -> None:
        self._function = function
        self._types = dict(types)
        self._by_name = by_name
        self._owner = owner

    def __call__(self, arrays: dict[str, Any]) -> dict[str, Any]:
        """Ask once. Raises Refused where the model itself finds the input invalid."""
        tensors = {alias: tf.constant(arrays[alias], dtype=dtype) for alias, dtype in self._types.items()}
        try:
            answers = self._function(**tensors) if self._by_name else self._function(*tensors.values())
        except tf.errors.InvalidArgumentError as error:
            raise Refused(f"Prediction failed: Error during model execution: {error.message}") from error
        return {alias: np.asarray(answer.numpy()) for alias, answer in sorted(answers.items())}


def _signature(name: str, function: Any, owner: Any) -> TensorSignature:
    specs = function.structured_input_signature[1]
    inputs = [tensor_of(alias, specs[alias]) for alias in sorted(specs)]
    outputs = [
        output_of(tensor_of(alias, spec)) for alias, spec in sorted(function.structured_outputs.items())
    ]
    types = {alias: specs[alias].dtype for alias in sorted(specs)}
    return TensorSignature(name, inputs, outputs, FunctionCall(function, types, by_name=True, owner=owner))
