"""Gradients of a score by the inputs, asked of the framework that can tell them.

Apart, as it knows how the adapters of TensorFlow, Keras and PyTorch call their models.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mlengine.serving.runtimes.model import LoadFailed, Model, Signature

Gradients = Callable[[dict[str, Any], list[int]], dict[str, Any]]
"""Stacked points by input, and the label of each point; answered by the gradients of those labels' scores."""

_FRAMEWORKS = ("tensorflow", "keras", "pytorch")
_INSTEAD = "Use sampledShapleyAttribution (sampled-shapley), which works with any model."


def refuse_without_gradients(model: Model) -> None:
    """Raise LoadFailed for models of frameworks that have none."""
    if model.framework not in _FRAMEWORKS:
        raise LoadFailed(
            f"integratedGradientsAttribution needs a model with gradients: of TensorFlow, Keras or PyTorch. "
            f"This is a {model.framework} model. {_INSTEAD}"
        )


def gradients_of(model: Model, signature: Signature, output: str) -> Gradients:
    """How to ask for gradients. Raises LoadFailed where inputs have none.

    Args:
        model: The loaded model.
        signature: Of it.
        output: The key of the output whose values are the scores.
    """
    described: Any = signature
    ask = (_pytorch if model.framework == "pytorch" else _tensorflow)(signature, output)
    for tensor in described.inputs:
        if tensor.type != "number":
            raise LoadFailed(
                f"integratedGradientsAttribution needs inputs of real numbers; input {tensor.name} is of "
                f"type {tensor.type}. {_INSTEAD}"
            )
    return _in_batches(ask, described._batch)


def check(found: dict[str, Any]) -> None:
    """Raise LoadFailed where gradients that were asked for reach no input."""
    if not found:
        raise LoadFailed(
            f"No gradient reaches the inputs: something in the model, such as rounding or a lookup, cuts it "
            f"off. {_INSTEAD}"
        )


def _in_batches(ask: Gradients, size: int | None) -> Gradients:
    """Cut and filled up where a model takes only batches of one size."""
    if size is None:
        return ask
    whole = size

    def asked(points: dict[str, Any], labels: list[int]) -> dict[str, Any]:
        parts = []
        for start in range(0, len(labels), whole):
            cut = {name: array[start : start + whole] for name, array in points.items()}
            chosen = labels[start : start + whole]
            short = whole - len(chosen)
            filled = {
                name: np.concatenate([array, np.repeat(array[-1:], short, axis=0)]) if short else array
                for name, array in cut.items()
            }
            found = ask(filled, chosen + chosen[-1:] * short)
            parts.append({name: array[: len(chosen)] for name, array in found.items()})
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    return asked


def _tensorflow(signature: Any, output: str) -> Gradients:
    import tensorflow as tf

    call = signature._call
    types: dict[str, Any] = call._types

    def ask(points: dict[str, Any], labels: list[int]) -> dict[str, Any]:
        tensors = {
            name: tf.constant(points[name].astype(dtype.as_numpy_dtype), dtype=dtype)
            for name, dtype in types.items()
        }
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(list(tensors.values()))
            answers = call._function(**tensors) if call._by_name else call._function(*tensors.values())
            table = tf.reshape(answers[output], [len(labels), -1])
            chosen = tf.gather(table, labels, axis=1, batch_dims=1)
        found = tape.gradient(chosen, tensors)
        return {
            name: tf.convert_to_tensor(gradient).numpy()
            for name, gradient in found.items()
            if gradient is not None
        }

    return ask


def _pytorch(signature: Any, output: str) -> Gradients:
    import torch

    from mlengine.serving.runtimes.pytorch import named

    call = signature._call
    types: dict[str, Any] = call._types

    def ask(points: dict[str, Any], labels: list[int]) -> dict[str, Any]:
        tensors = {
            name: torch.as_tensor(points[name]).to(dtype).requires_grad_() for name, dtype in types.items()
        }
        given = [tensor for name, tensor in tensors.items() if name not in call._by_name]
        with torch.enable_grad():
            answers = named(
                call.module(*given, **{name: tensors[name] for name in tensors if name in call._by_name})
            )
            if call._names is not None:
                answers = dict(zip(call._names, answers.values(), strict=True))
            table = answers[output].reshape(len(labels), -1)
            chosen = table[torch.arange(len(labels)), torch.tensor(labels)]
            if not chosen.requires_grad:
                return {}
            found = torch.autograd.grad(chosen.sum(), list(tensors.values()), allow_unused=True)
        return {
            name: gradient.float().numpy() if gradient.dtype == torch.bfloat16 else gradient.numpy()
            for name, gradient in zip(tensors, found, strict=True)
            if gradient is not None
        }

    return ask
