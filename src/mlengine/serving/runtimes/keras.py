"""Serves Keras models from `model.keras` and `model.h5`, through a compiled function of TensorFlow.

`keras.Model.predict` is not for this: it spends 40 ms per call on what only large data sets need.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import tensorflow as tf

from mlengine.serving.runtimes.model import LoadFailed, Model
from mlengine.serving.runtimes.tensor_signature import TensorSignature, output_of
from mlengine.serving.runtimes.tensorflow import FunctionCall, tensor_of

_NAME = "serving_default"
_CONFIGURATION = re.compile(r"\s*config=\{.*?\}\.?\s*(?=Exception encountered)", re.DOTALL)


def load(path: Path, chosen: str | None) -> Model:
    """Load a `.keras` or `.h5` file. Raises LoadFailed."""
    if chosen not in (None, _NAME):
        raise LoadFailed(f"serving.json: this model has no signature '{chosen}'. It has: {_NAME}.")
    model = _read(path)
    specs = _inputs(model, path)

    def ask(*tensors: Any) -> dict[str, Any]:
        return _named(model, model(_like(model, tensors), training=False))

    function = tf.function(ask, input_signature=list(specs.values()), autograph=False)
    try:
        concrete = function.get_concrete_function()
    except Exception as error:
        raise LoadFailed(
            f"The model in {path.name} cannot be compiled by TensorFlow. {type(error).__name__}: {error}"
        ) from error
    types = {alias: spec.dtype for alias, spec in specs.items()}
    outputs = [
        output_of(tensor_of(alias, spec)) for alias, spec in sorted(concrete.structured_outputs.items())
    ]
    signature = TensorSignature(
        _NAME,
        [tensor_of(alias, spec) for alias, spec in specs.items()],
        outputs,
        FunctionCall(concrete, types, by_name=False, owner=model),
    )
    return Model(
        framework="keras",
        signatures={_NAME: signature},
        default=_NAME,
        aliases=(),
        ignores_unknown_keys=True,
        describe=lambda: signature.describe("keras", default=_NAME, names=[_NAME]),
        samples=signature.samples(),
        sure=signature.settled,
        source=model,
    )


def _read(path: Path) -> Any:
    try:
        return keras.saving.load_model(path, compile=False)
    except Exception as error:
        older = _read_by_keras_2(path) if path.suffix == ".h5" else None
        if older is not None:
            return older
        cure = ""
        # Keras puts the whole configuration into its message, which hides what it says.
        said = _CONFIGURATION.sub(" ", str(error)).strip()
        if "safe_mode" in said or "unsafe" in said.lower():
            cure = " A Lambda layer holds code as bytes: make it a layer class of your package instead."
        elif "Could not locate class" in said or "register_keras_serializable" in said:
            cure = (
                " Export it with model.export(DIRECTORY), which needs none of its code, or give the package "
                "with its classes by packageUris (--package-uris) and load it in a custom prediction routine."
            )
        raise LoadFailed(f"Could not load the model: {path}. {type(error).__name__}: {said}{cure}") from error


def _read_by_keras_2(path: Path) -> Any | None:
    """A model that only the Keras of its time understands, or None."""
    try:
        import tf_keras

        return tf_keras.models.load_model(path, compile=False)
    except Exception:
        return None


def _inputs(model: Any, path: Path) -> dict[str, Any]:
    inputs = getattr(model, "inputs", None)
    if not inputs:
        raise LoadFailed(
            f"The model in {path.name} does not tell its inputs: it is a class of its own, or it was never "
            f"called. Export it with model.export(DIRECTORY), and deploy that."
        )
    form = getattr(model, "input", None)
    # In order of the keys, as Keras flattens them.
    known = sorted(form) if isinstance(form, dict) else [tensor.name for tensor in inputs]
    names = _names(inputs, known, "input")
    return {
        name: tf.TensorSpec(tensor.shape, tf.as_dtype(tensor.dtype), name=f"input_{position}")
        for position, (name, tensor) in enumerate(zip(names, inputs, strict=True))
    }


def _like(model: Any, tensors: tuple[Any, ...]) -> Any:
    """The tensors in the form in which the model was built: one, a list, or a dictionary."""
    form = getattr(model, "input", None)
    if form is None or (len(tensors) == 1 and not isinstance(form, (dict, list, tuple))):
        return tensors[0]
    return tf.nest.pack_sequence_as(form, list(tensors)) if isinstance(form, dict) else list(tensors)


def _named(model: Any, answer: Any) -> dict[str, Any]:
    if isinstance(answer, dict):
        return {str(key): value for key, value in answer.items()}
    answers = list(answer) if isinstance(answer, (list, tuple)) else [answer]
    known = [_layer_of(tensor) for tensor in getattr(model, "outputs", None) or ()]
    names = _names(answers, known, "output")
    return dict(zip(names, answers, strict=True))


def _layer_of(tensor: Any) -> str:
    """The name of the layer that makes an output; Keras 2 says layer where Keras 3 says operation."""
    history = getattr(tensor, "_keras_history", None)
    layer = getattr(history, "operation", None) or getattr(history, "layer", None)
    return str(getattr(layer, "name", ""))


def _names(tensors: Any, known: list[str], word: str) -> list[str]:
    """Names that tell the tensors apart: the model's where it has some, else `word` and number."""
    if len(known) != len(tensors) or len(set(known)) != len(known) or "" in known:
        return [f"{word}_{position}" for position in range(len(tensors))]
    return known
