"""Serves ONNX models from `model.onnx` by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from mlengine.serving.runtimes.model import Description, LoadFailed, Model, Refused
from mlengine.serving.runtimes.tensor_signature import TensorSignature, output_of
from mlengine.serving.runtimes.tensors import Tensor

_NAME = "serving_default"
_TYPES: dict[str, Any] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int8)": np.int8,
    "tensor(int16)": np.int16,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(uint8)": np.uint8,
    "tensor(uint16)": np.uint16,
    "tensor(uint32)": np.uint32,
    "tensor(uint64)": np.uint64,
    "tensor(bool)": np.bool_,
    "tensor(string)": object,
}
# What ONNX Runtime raises for values that an operator cannot take, an unknown category for one.
_INVALID = ("InvalidArgument", "Fail")


def load(path: Path, chosen: str | None) -> Model:
    """Open a `.onnx` file. Raises LoadFailed."""
    if chosen not in (None, _NAME):
        raise LoadFailed(f"serving.json: this model has no signature '{chosen}'. It has: {_NAME}.")
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    settings.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(
            str(path), sess_options=settings, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        raise LoadFailed(f"Could not load the model: {path}. {type(error).__name__}: {error}") from error
    call = SessionCall(session, path)
    signature = TensorSignature(_NAME, call.inputs, [_output(node) for node in session.get_outputs()], call)
    return Model(
        framework="onnx",
        signatures={_NAME: signature},
        default=_NAME,
        aliases=(),
        ignores_unknown_keys=True,
        describe=lambda: signature.describe("onnx", default=_NAME, names=[_NAME]),
        samples=signature.samples(),
        sure=signature.settled,
        source=session,
    )


class SessionCall:
    """How a session is asked with arrays.

    A table that skl2onnx made has one input of one value per column: there an instance is an object of plain
    values, and not of lists of one.

    Args:
        session: Of ONNX Runtime.
        path: Where it was read, for messages.
    """

    def __init__(self, session: Any, path: Path) -> None:
        self._session = session
        nodes = session.get_inputs()
        self._table = len(nodes) > 1 and all(len(node.shape) == 2 and node.shape[1] == 1 for node in nodes)
        self.inputs = [_input(node, path, table=self._table) for node in nodes]
        self._texts = {tensor.name for tensor in self.inputs if tensor.holds_strings}
        self._outputs = [node.name for node in session.get_outputs()]

    def __call__(self, arrays: dict[str, Any]) -> dict[str, Any]:
        """Ask once. Raises Refused where ONNX Runtime finds the input invalid."""
        feed = {}
        for name, array in arrays.items():
            array = _decoded(array) if name in self._texts else array
            feed[name] = array.reshape(-1, 1) if self._table else array
        try:
            answers = self._session.run(self._outputs, feed)
        except Exception as error:
            if type(error).__name__ not in _INVALID:
                raise
            raise Refused(f"Prediction failed: Error during model execution: {error}") from error
        return dict(zip(self._outputs, answers, strict=True))


def _input(node: Any, path: Path, *, table: bool) -> Tensor:
    if node.type not in _TYPES:
        raise LoadFailed(
            f"Input {node.name} of {path.name} is a {node.type}; instances can only say tensors of numbers, "
            f"booleans and texts. Export the model with such inputs."
        )
    shape = _shape(node.shape)
    if not shape:
        raise LoadFailed(
            f"Input {node.name} of {path.name} has no dimension for a batch. Export the model with one as "
            f"the first dimension of every input."
        )
    return Tensor(node.name, _TYPES[node.type], shape[:1] if table else shape)


def _output(node: Any) -> Description:
    if node.type in _TYPES:
        # An output without a known shape says [], as a scalar does: nothing is known.
        return output_of(Tensor(node.name, _TYPES[node.type], _shape(node.shape) or None))
    return {"name": node.name, "type": "any", "shape": None}


def _shape(dimensions: Sequence[Any]) -> list[int | None]:
    """Names and negative numbers stand for dimensions that vary."""
    return [size if isinstance(size, int) and size > 0 else None for size in dimensions]


def _decoded(array: Any) -> Any:
    """Texts in place of their bytes, which is what ONNX Runtime takes."""
    texts = np.empty(array.shape, dtype=object)
    flat, given = texts.reshape(-1), array.reshape(-1)
    for index, value in enumerate(given):
        try:
            flat[index] = value.decode("utf-8")
        except UnicodeDecodeError:
            raise Refused("An input text is binary data; this model takes only texts in UTF-8.") from None
    return texts
