"""One way to ask a model that takes named tensors and answers named tensors, whatever its framework.

TensorFlow, Keras, PyTorch and ONNX share it: how requests are joined and, where a model takes only batches of
one size, cut and filled up; how answers become JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mlengine.serving.runtimes.intake import TensorIntake, join, shapes
from mlengine.serving.runtimes.model import BadOutput, Description, RawInstances, Rows
from mlengine.serving.runtimes.outputs import binary, place, plain, text
from mlengine.serving.runtimes.tensors import Tensor

Call = Callable[[dict[str, Any]], Mapping[str, Any]]

_FILLS = ("zeros", "ones", "ramp")
# For dimensions that may vary: what a convolution can work with, and a sentence may have.
_ROOMY = 32


class TensorSignature:
    """One way to ask a model.

    Args:
        name: Its name.
        inputs: In the order of the description.
        outputs: Their descriptions.
        call: Asks the model once: arrays by input, answered by arrays (or lists, one entry per instance) by
            output. Raises Refused, BadOutput, or whatever the framework raises.
    """

    def __init__(
        self, name: str, inputs: Sequence[Tensor], outputs: Sequence[Description], call: Call
    ) -> None:
        self.name = name
        self.inputs = list(inputs)
        self.outputs = list(outputs)
        self._call = call
        self._intake = TensorIntake(self.inputs)
        fixed = {tensor.batch for tensor in self.inputs} - {None}
        self._batch = fixed.pop() if len(fixed) == 1 else None
        # Inputs of two sizes: not rows of a table, so a request stands for itself.
        self._strict = bool(fixed)
        self.settled = not self._strict and all(tensor.settled for tensor in self.inputs)

    def sample(self, fill: str, *, varying: int = 1) -> dict[str, Any]:
        """A made-up instance; see `Tensor.sample`."""
        return {tensor.name: tensor.sample(fill, varying=varying) for tensor in self.inputs}

    def samples(self) -> list[dict[str, Any]]:
        """Instances to try the model with."""
        made = [self.sample(fill) for fill in _FILLS]
        return made if self.settled else [*made, self.sample("ramp", varying=_ROOMY)]

    def describe(self, framework: str, *, default: str | None, names: Sequence[str]) -> Description:
        """The description of a model of which this is the signature to show.

        Args:
            framework: Its name.
            default: The signature for requests that name none.
            names: Of all signatures.
        """
        return {
            "framework": framework,
            "signature": default,
            "signatures": sorted(names),
            "instance": "tensor",
            "named": True,
            "inputs": [tensor.describe() for tensor in self.inputs],
            "outputs": self.outputs,
            "sample": self.sample("zeros"),
            "sure": self.settled,
        }

    def decode(self, instances: RawInstances) -> Rows:
        """Check, and stack per input. Raises Refused."""
        arrays = self._intake.decode(instances)
        key = object() if self._strict else shapes(arrays)
        return Rows(len(next(iter(arrays.values()))), key, arrays)

    def join(self, parts: Sequence[Rows]) -> Rows:
        """All arrays end to end."""
        return Rows(sum(part.count for part in parts), parts[0].key, join([part.data for part in parts]))

    def run(self, rows: Rows) -> dict[str, Any]:
        """Ask the model; once, or as often as its only size of batch needs. Raises what the call raises."""
        size = self._batch
        if size is None or size == rows.count:
            return self._ask(rows.data, rows.count)
        answers = []
        for start in range(0, rows.count, size):
            count = min(size, rows.count - start)
            cut = {alias: array[start : start + size] for alias, array in rows.data.items()}
            if count < size:
                cut = {
                    alias: np.concatenate([array, np.repeat(array[-1:], size - count, axis=0)])
                    for alias, array in cut.items()
                }
            whole = self._ask(cut, size)
            answers.append({alias: column[:count] for alias, column in whole.items()})
        return {alias: _end_to_end([answer[alias] for answer in answers]) for alias in answers[0]}

    def predictions(self, outputs: Any, start: int, stop: int) -> list[Any]:
        """One object per instance, with a key per output. Raises BadOutput."""
        columns = [_column(alias, column[start:stop]) for alias, column in outputs.items()]
        return [dict(zip(outputs, values, strict=True)) for values in zip(*columns, strict=True)]

    def _ask(self, arrays: dict[str, Any], count: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for alias, answer in self._call(arrays).items():
            column = answer if isinstance(answer, list) else np.asarray(answer)
            found[alias] = column.reshape(1) if not isinstance(column, list) and column.ndim == 0 else column
        for alias, column in found.items():
            if len(column) != count:
                raise BadOutput(
                    f"There was a problem processing the outputs: output {alias} has {len(column)} rows for "
                    f"{count} instances. (Error code: 3)"
                )
        return found


def output_of(tensor: Tensor) -> Description:
    """The description of an output that looks like `tensor`."""
    shape = None if tensor.shape is None else list(tensor.shape)
    return {"name": tensor.name, "type": tensor.type, "shape": shape}


def _end_to_end(parts: list[Any]) -> Any:
    if isinstance(parts[0], list):
        return [value for part in parts for value in part]
    return np.concatenate(parts)


def _column(alias: str, column: Any) -> list[Any]:
    """One output as JSON values, one per instance."""
    if isinstance(column, list):
        values: list[Any] = plain(column)
        return values
    if column.dtype.kind in "OSU":
        values = column.tolist()
        if alias.endswith("_bytes"):
            return [binary(value) for value in values]
        return [_texts(alias, position, value) for position, value in enumerate(values)]
    # float16 and bfloat16 widen without loss. Left as arrays: they are written faster than lists are made.
    kept = column.dtype.kind in "iub" or column.dtype in (np.float32, np.float64)
    wide = column if kept else column.astype(np.float32)
    return list(np.ascontiguousarray(wide))


def _texts(alias: str, position: int, value: Any) -> Any:
    if isinstance(value, list):
        return [_texts(alias, position, item) for item in value]
    try:
        return text(value)
    except BadOutput as error:
        raise BadOutput(f"{place(position, alias)}: {error}") from None
