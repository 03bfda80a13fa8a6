"""Instances that arrived as whole arrays of numbers; apart, since only some protocols and bodies give them.

Whoever does not know them reads `values`, which are made when they are first asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from mlengine.serving.runtimes.model import Description, RawInstances


class NumberShape(NamedTuple):
    """What one instance of an input is.

    Attributes:
        name: Of the input; empty for the whole of a row.
        shape: Without the batch.
        whole: Whether only whole numbers will do.
    """

    name: str
    shape: tuple[int, ...]
    whole: bool


def number_shapes(description: Description) -> tuple[NumberShape, ...]:
    """The inputs of the default signature, if all are numbers and of a fixed shape; else nothing.

    Args:
        description: Of the model.
    """
    inputs = description.get("inputs") or []
    if not inputs or any(one["type"] not in ("number", "integer") or one.get("closed") for one in inputs):
        return ()
    if description.get("instance") == "row":
        return (NumberShape("", (len(inputs),), whole=False),)
    if description.get("instance") != "tensor" or any(
        one["shape"] is None or None in one["shape"] for one in inputs
    ):
        return ()
    return tuple(
        NumberShape(one["name"], tuple(one["shape"]), whole=one["type"] == "integer") for one in inputs
    )


class ArrayInstances(RawInstances):
    """The instances of one request, as arrays by input.

    Args:
        arrays: NumPy arrays of numbers by the name of the input; under the empty name where an instance is a
            bare value. The first dimension is the instance, equal in all.
        rules: The version's rules.
    """

    arrays: dict[str, Any]
    _values: list[Any] | None

    def __init__(self, arrays: Mapping[str, Any], rules: Any = None) -> None:
        set_ = object.__setattr__  # the base is frozen
        set_(self, "arrays", dict(arrays))
        set_(self, "booleans", any(array.dtype.kind == "b" for array in arrays.values()))
        set_(self, "extras", {})
        set_(self, "rules", rules)
        set_(self, "_values", None)

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    @property
    def values(self) -> list[Any]:
        """The same as JSON values: bare ones, or an object each."""
        made: list[Any] | None = self._values
        if made is None:
            columns = {name: array.tolist() for name, array in self.arrays.items()}
            if list(columns) == [""]:
                made = columns[""]
            else:
                made = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
            object.__setattr__(self, "_values", made)
        return made

    def part(self, start: int, stop: int) -> ArrayInstances:
        """Some of them."""
        return ArrayInstances({name: array[start:stop] for name, array in self.arrays.items()}, self.rules)
