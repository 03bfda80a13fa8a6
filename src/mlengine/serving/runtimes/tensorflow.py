"""Serves TensorFlow SavedModels through their signatures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from mlengine.serving.runtimes.faults import Faults, listed, shown
from mlengine.serving.runtimes.model import (
    BadOutput,
    Description,
    LoadFailed,
    Model,
    RawInstances,
    Refused,
    Rows,
    Signature,
    nearest,
)
from mlengine.serving.runtimes.outputs import binary, place, text
from mlengine.serving.runtimes.tensors import Tensor, is_binary

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
    served = {name: ServedFunction(name, function, loaded) for name, function in functions.items()}
    if chosen is not None and chosen not in served:
        names = ", ".join(sorted(served))
        raise LoadFailed(f"serving.json: this model has no signature '{chosen}'. It has: {names}.")
    default = chosen
    if default is None and len(served) == 1:
        default = next(iter(served))
    if default is None and _SERVING_DEFAULT in served:
        default = _SERVING_DEFAULT
    shown_first = served[default or min(served)]

    def describe() -> Description:
        return {
            "framework": "tensorflow",
            "signature": default,
            "signatures": sorted(served),
            "instance": "tensor",
            "named": True,
            "inputs": [tensor.describe() for tensor in shown_first.inputs],
            "outputs": shown_first.outputs,
            "sample": shown_first.sample("zeros"),
            "sure": shown_first.settled,
        }

    signatures: dict[str, Signature] = dict(served)
    return Model(
        framework="tensorflow",
        signatures=signatures,
        default=default,
        aliases=(),
        ignores_unknown_keys=True,
        describe=describe,
        samples=[shown_first.sample(fill) for fill in ("zeros", "ones", "ramp")],
        sure=shown_first.settled,
    )


class ServedFunction:
    """One signature of a SavedModel.

    Args:
        name: Its name.
        function: The concrete function.
        owner: The loaded SavedModel; its variables live as long as it is kept.
    """

    def __init__(self, name: str, function: Any, owner: Any) -> None:
        self.name = name
        self._function = function
        self._owner = owner
        specs = function.structured_input_signature[1]
        self.inputs = [_tensor(alias, specs[alias]) for alias in sorted(specs)]
        self._types = {alias: spec.dtype for alias, spec in specs.items()}
        self._aliases = [tensor.name for tensor in self.inputs]
        self._fixed_batch = any(tensor.batch is not None for tensor in self.inputs)
        self.outputs = [
            {
                "name": alias,
                "type": tensor.type,
                "shape": None if tensor.shape is None else list(tensor.shape),
            }
            for alias, spec in sorted(function.structured_outputs.items())
            for tensor in [_tensor(alias, spec)]
        ]
        self.settled = not self._fixed_batch and all(tensor.settled for tensor in self.inputs)

    def sample(self, fill: str) -> dict[str, Any]:
        """A made-up instance; see `Tensor.sample`."""
        return {tensor.name: tensor.sample(fill) for tensor in self.inputs}

    def decode(self, instances: RawInstances) -> Rows:
        """Check, and stack per input. Raises Refused."""
        faults = Faults()
        columns: dict[str, list[Any]] = {alias: [] for alias in self._aliases}
        for position, instance in enumerate(instances.values):
            if len(self._aliases) == 1:
                self._take_only(position, instance, columns, faults)
            else:
                self._take_each(position, instance, columns, faults)
        faults.raise_if_any()
        arrays: dict[str, Any] = {}
        for tensor in self.inputs:
            values = columns[tensor.name]
            array = tensor.stack(values, booleans=instances.booleans)
            if array is None:
                _explain(tensor, values, faults)
            arrays[tensor.name] = array
        faults.raise_if_any()
        # A model with a fixed batch takes exactly what one caller sent, or nothing.
        key = object() if self._fixed_batch else tuple(array.shape[1:] for array in arrays.values())
        return Rows(len(instances.values), key, arrays)

    def join(self, parts: Sequence[Rows]) -> Rows:
        """All arrays end to end."""
        arrays = {alias: np.concatenate([part.data[alias] for part in parts]) for alias in self._aliases}
        return Rows(sum(part.count for part in parts), parts[0].key, arrays)

    def run(self, rows: Rows) -> dict[str, Any]:
        """One call of the function. Raises Refused where the model itself finds the input invalid."""
        tensors = {alias: tf.constant(array, dtype=self._types[alias]) for alias, array in rows.data.items()}
        try:
            answers = self._function(**tensors)
        except tf.errors.InvalidArgumentError as error:
            raise Refused(f"Prediction failed: Error during model execution: {error.message}") from error
        arrays: dict[str, Any] = {}
        for alias, answer in sorted(answers.items()):
            array = np.asarray(answer.numpy())
            arrays[alias] = array.reshape(1) if array.ndim == 0 else array
        for alias, array in arrays.items():
            if len(array) != rows.count:
                raise BadOutput(
                    f"There was a problem processing the outputs: output {alias} has {len(array)} rows for "
                    f"{rows.count} instances. (Error code: 3)"
                )
        return arrays

    def predictions(self, outputs: Any, start: int, stop: int) -> list[Any]:
        """One object per instance, with a key per output."""
        columns = [_column(alias, array[start:stop]) for alias, array in outputs.items()]
        return [dict(zip(outputs, values, strict=True)) for values in zip(*columns, strict=True)]

    def _take_only(self, position: int, instance: Any, columns: dict[str, list[Any]], faults: Faults) -> None:
        tensor = self.inputs[0]
        alias = tensor.name
        bare = type(instance) is not dict or (tensor.holds_strings and alias != "b64" and is_binary(instance))
        if not bare and alias not in instance:
            words = (
                f"Instance {position + 1}: Expected tensor name: {alias}, got tensor name: {list(instance)}. "
                f"Name the key '{alias}', or send the bare value."
            )
            faults.add(position, f".{alias}", words)
            return
        columns[alias].append(instance if bare else instance[alias])
        if not bare and len(instance) > 1:
            self._refuse_others(position, instance, faults)

    def _take_each(self, position: int, instance: Any, columns: dict[str, list[Any]], faults: Faults) -> None:
        if type(instance) is not dict:
            words = (
                f"Instance {position + 1} is {shown(instance)}, but the model has several inputs. Send an "
                f"object with the keys {listed(self._aliases)}."
            )
            faults.add(position, "", words)
            return
        for tensor in self.inputs:
            if tensor.name in instance:
                columns[tensor.name].append(instance[tensor.name])
            else:
                words = (
                    f"Instance {position + 1}: Input {tensor.name} was missing in at least one input "
                    f"instance. Send {tensor.wanted()}."
                )
                faults.add(position, f".{tensor.name}", words)
        if len(instance) > len(self._aliases) or not set(self._aliases).issuperset(instance):
            self._refuse_others(position, instance, faults)

    def _refuse_others(self, position: int, instance: dict[str, Any], faults: Faults) -> None:
        for name in instance:
            if name not in self._aliases:
                hint = nearest(name, [alias for alias in self._aliases if alias not in instance])
                inputs = "only input is" if len(self._aliases) == 1 else "inputs are"
                words = (
                    f"Instance {position + 1}: Unexpected tensor name: {name}. The model's {inputs} "
                    f"{listed(self._aliases)}. {hint or 'Remove it.'}"
                )
                faults.add(position, f".{name}", words)


def _explain(tensor: Tensor, values: list[Any], faults: Faults) -> None:
    """Find which of the values that do not stack is at fault."""
    guilty = False
    for position, value in enumerate(values):
        sentence = tensor.fault(value)
        if sentence is not None:
            guilty = True
            faults.add(
                position, f".{tensor.name}", f"Instance {position + 1}, input {tensor.name}: {sentence}"
            )
    if not guilty:
        # Each is fine alone; the first that cannot stand beside instance 1 is where a request must be cut.
        for position, value in enumerate(values):
            if tensor.stack([values[0], value], booleans=True) is None:
                words = (
                    f"Instance {position + 1}, input {tensor.name}: its shape differs from that of instance "
                    f"1. Send instances of different shapes in separate requests."
                )
                faults.add(position, f".{tensor.name}", words)
                return


def _tensor(alias: str, spec: Any) -> Tensor:
    dtype = object if spec.dtype == tf.string else spec.dtype.as_numpy_dtype
    shape = None if spec.shape.rank is None else spec.shape.as_list()
    return Tensor(alias, dtype, shape)


def _column(alias: str, array: Any) -> list[Any]:
    if array.dtype.kind in "OSU":
        values: list[Any] = array.tolist()
        if alias.endswith("_bytes"):
            return [binary(value) for value in values]
        return [_texts(alias, position, value) for position, value in enumerate(values)]
    if array.dtype.kind not in "iub":
        # float16 and bfloat16 widen without loss.
        array = array if array.dtype.kind == "f" else array.astype(np.float32)
        sound = np.isfinite(array)
        if not sound.all():
            position = int(np.argwhere(~sound)[0][0])
            what = "NaN (not a number)" if np.isnan(array[position]).any() else "an infinite number"
            raise BadOutput(f"{place(position, alias)}: the model answered {what}, which JSON cannot say.")
    numbers: list[Any] = array.tolist()
    return numbers


def _texts(alias: str, position: int, value: Any) -> Any:
    if isinstance(value, list):
        return [_texts(alias, position, item) for item in value]
    try:
        return text(value)
    except BadOutput as error:
        raise BadOutput(f"{place(position, alias)}: {error}") from None
