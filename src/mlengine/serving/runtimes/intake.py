"""Checks instances that are tensors, an array per input, with the same words for every framework."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlengine.serving.runtimes.arrays import ArrayInstances
from mlengine.serving.runtimes.faults import Faults, listed, shown
from mlengine.serving.runtimes.model import RawInstances, nearest
from mlengine.serving.runtimes.rules import ABSENT, DEFAULT_RULES, Rules
from mlengine.serving.runtimes.tensors import Tensor, is_binary


class TensorIntake:
    """Makes one stacked array per input of instances that are objects, or bare values for a single input.

    Args:
        inputs: What the model takes.
    """

    def __init__(self, inputs: Sequence[Tensor]) -> None:
        self.inputs = list(inputs)
        self.names = [tensor.name for tensor in inputs]

    def decode(self, instances: RawInstances) -> dict[str, Any]:
        """The arrays by name, all with a leading dimension of the number of instances. Raises Refused."""
        rules: Rules = instances.rules or DEFAULT_RULES
        arrays = self._at_once(instances)
        if arrays is None:
            arrays = self._one_by_one(instances, rules)
        if rules.declared:
            self._check_declared(arrays, rules)
        return arrays

    def _at_once(self, instances: RawInstances) -> dict[str, Any] | None:
        if not isinstance(instances, ArrayInstances):
            return None
        given = instances.arrays
        if len(self.names) == 1 and list(given) == [""]:
            given = {self.names[0]: given[""]}
        if set(given) != set(self.names):
            return None
        arrays: dict[str, Any] = {}
        for tensor in self.inputs:
            array = tensor.cast(given[tensor.name])
            if array is None:
                return None
            arrays[tensor.name] = array
        return arrays

    def _one_by_one(self, instances: RawInstances, rules: Rules) -> dict[str, Any]:
        faults = Faults()
        columns: dict[str, list[Any]] = {name: [] for name in self.names}
        for position, instance in enumerate(instances.values):
            if len(self.names) == 1:
                self._take_only(position, instance, columns, rules, faults)
            else:
                self._take_each(position, instance, columns, rules, faults)
        faults.raise_if_any()
        arrays: dict[str, Any] = {}
        for tensor in self.inputs:
            values = columns[tensor.name]
            array = tensor.stack(values, booleans=instances.booleans)
            if array is None:
                _explain(tensor, values, faults)
            arrays[tensor.name] = array
        faults.raise_if_any()
        return arrays

    def _take_only(
        self, position: int, instance: Any, columns: dict[str, list[Any]], rules: Rules, faults: Faults
    ) -> None:
        tensor = self.inputs[0]
        name = tensor.name
        bare = type(instance) is not dict or (tensor.holds_strings and name != "b64" and is_binary(instance))
        value = instance if bare else instance.get(name, _stand_in(name, rules))
        if value is ABSENT:
            words = (
                f"Instance {position + 1}: Expected tensor name: {name}, got tensor name: {list(instance)}. "
                f"Name the key '{name}', or send the bare value."
            )
            faults.add(position, f".{name}", words)
            return
        columns[name].append(value)
        if not bare and set(instance) != {name}:
            self._pass_over(position, instance, rules, faults)

    def _take_each(
        self, position: int, instance: Any, columns: dict[str, list[Any]], rules: Rules, faults: Faults
    ) -> None:
        if type(instance) is not dict:
            words = (
                f"Instance {position + 1} is {shown(instance)}, but the model has several inputs. Send an "
                f"object with the keys {listed(self.names)}."
            )
            faults.add(position, "", words)
            return
        for tensor in self.inputs:
            value = instance.get(tensor.name, ABSENT)
            if value is ABSENT:
                value = _stand_in(tensor.name, rules)
            if value is not ABSENT:
                columns[tensor.name].append(value)
            else:
                words = (
                    f"Instance {position + 1}: Input {tensor.name} was missing in at least one input "
                    f"instance. Send {tensor.wanted()}."
                )
                faults.add(position, f".{tensor.name}", words)
        if not set(self.names).issuperset(instance):
            self._pass_over(position, instance, rules, faults)

    def _pass_over(self, position: int, instance: dict[str, Any], rules: Rules, faults: Faults) -> None:
        """Deal with unknown keys as the rules have it."""
        for name in instance:
            if name in self.names:
                continue
            if rules.unknown_fields != "REJECT":
                rules.passed_over(name)
                continue
            hint = nearest(name, [known for known in self.names if known not in instance])
            inputs = "only input is" if len(self.names) == 1 else "inputs are"
            words = (
                f"Instance {position + 1}: Unexpected tensor name: {name}. The model's {inputs} "
                f"{listed(self.names)}. {hint or 'Remove it.'}"
            )
            faults.add(position, f".{name}", words)

    def _check_declared(self, arrays: dict[str, Any], rules: Rules) -> None:
        """Ranges and categories of `schema.json`, down to every number of a tensor."""
        faults = Faults()
        for name, array in arrays.items():
            declared = rules.declared.get(name)
            if declared is None:
                continue
            for bound, wrong, word, most in (
                (declared.low, np.less, "below", "smallest"),
                (declared.high, np.greater, "above", "largest"),
            ):
                if bound is None:
                    continue
                for position, place in _first_wrong(wrong(array, bound)):
                    value = array[(position, *place)].item()
                    words = (
                        f"Instance {position + 1}, input {name}: {shown(value)}{_at(place)} is {word} "
                        f"{shown(bound)}, the {most} value allowed."
                    )
                    faults.add(position, f".{name}", words)
            if declared.categories is not None:
                known = [c.encode() if isinstance(c, str) else c for c in declared.categories]
                for position, place in _first_wrong(~np.isin(array, np.array(known, dtype=array.dtype))):
                    value = array[(position, *place)]
                    value = value.decode("utf-8", "replace") if isinstance(value, bytes) else value.item()
                    names = [c for c in declared.categories if isinstance(c, str)]
                    hint = nearest(value, names) if isinstance(value, str) else ""
                    words = (
                        f"Instance {position + 1}, input {name}: {shown(value)}{_at(place)} is not one of "
                        f"{listed(declared.categories)}.{' ' if hint else ''}{hint}"
                    )
                    faults.add(position, f".{name}", words)
        faults.raise_if_any()


def join(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The arrays of several requests, end to end."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def shapes(arrays: dict[str, Any]) -> tuple[tuple[int, ...], ...]:
    """What must be equal for two requests to share a call: the shapes of one instance."""
    return tuple(array.shape[1:] for array in arrays.values())


def _stand_in(name: str, rules: Rules) -> Any:
    declared = rules.declared.get(name)
    if declared is None or rules.missing_fields != "DEFAULT":
        return ABSENT
    return declared.default


def _first_wrong(wrong: Any) -> list[tuple[int, tuple[int, ...]]]:
    """Each instance with something wrong, and where in it the first of that is."""
    found: dict[int, tuple[int, ...]] = {}
    for position, *place in np.argwhere(wrong).tolist():
        found.setdefault(position, tuple(place))
    return list(found.items())


def _at(place: tuple[int, ...]) -> str:
    return " at " + "".join(f"[{index}]" for index in place) if place else ""


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
