"""The instances of a request beside their baseline, and everything between the two that a model is asked.

Instances are checked once, as for a prediction; what is made of them after that needs no check.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from mlengine.serving.runtimes.arrays import ArrayInstances
from mlengine.serving.runtimes.explanation.metadata import InputMetadata
from mlengine.serving.runtimes.model import RawInstances, Rows, Signature

Mixture = tuple[int, Any]
"""An instance's position, and boolean rows: which of its players have the instance's value."""


class Cases(Protocol):
    """See the module.

    Attributes:
        count: Number of instances.
    """

    count: int

    def players(self, at: int) -> Any:
        """The features, by number, in which an instance differs from the baseline."""
        ...

    def rows(self, mixtures: Sequence[Mixture]) -> Rows:
        """All that `mixtures` describe, in order."""
        ...

    def told(self, at: int, attributions: Any) -> dict[str, Any]:
        """The attributions of an instance's players by feature; 0 for those that do not differ."""
        ...


class TableCases:
    """Rows of a table, decoded together with the baseline so that columns have one type.

    Args:
        signature: Decodes.
        instances: Of the request.
        baseline: A list of values.
        names: Of the columns.
        ignored: Positions that the model does not look at.
    """

    def __init__(
        self,
        signature: Signature,
        instances: RawInstances,
        *,
        baseline: list[Any],
        names: Sequence[str],
        ignored: Sequence[int],
    ) -> None:
        together = RawInstances([*instances.values, baseline], True, instances.extras, instances.rules)
        # The request alone first: a fault is the caller's, and is told by his numbers.
        self.count = signature.decode(instances).count
        rows = signature.decode(together)
        array = _numbers(signature, rows, instances)
        self._plain = array is not None
        self._key = rows.key
        if array is not None:
            self._table = array
        else:
            self._table = np.empty((len(rows.data), len(names)), dtype=object)
            for at, row in enumerate(rows.data):
                self._table[at, :] = row
        self._names = list(names)
        self._ignored = set(ignored)
        self._players = [self._differing(at) for at in range(self.count)]

    def players(self, at: int) -> Any:
        """See Cases."""
        return self._players[at]

    def rows(self, mixtures: Sequence[Mixture]) -> Rows:
        """See Cases."""
        blocks = []
        for at, masks in mixtures:
            columns = self._players[at]
            # What the model ignores stays the instance's: it may not even be allowed in the baseline.
            blocks.append(_mixed(self._table[at], self._table[-1], columns, masks, rest=self._table[at]))
        table = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
        return Rows(len(table), self._key, table if self._plain else table.tolist())

    def told(self, at: int, attributions: Any) -> dict[str, Any]:
        """See Cases."""
        found = dict.fromkeys(self._names, 0.0)
        for column, value in zip(self._players[at], attributions, strict=True):
            found[self._names[column]] = float(value)
        return found

    def _differing(self, at: int) -> Any:
        pairs = enumerate(zip(self._table[at], self._table[-1], strict=True))
        return np.array(
            [n for n, (own, base) in pairs if n not in self._ignored and not _same(own, base)], dtype=np.int64
        )


class TensorCases:
    """Tensors, every element of which is a feature.

    Args:
        signature: Decodes.
        instances: Of the request.
        baselines: By input; spread over its shape.
        metadata: What inputs and their elements are called in answers.
    """

    def __init__(
        self,
        signature: Signature,
        instances: RawInstances,
        *,
        baselines: dict[str, Any],
        metadata: dict[str, InputMetadata],
    ) -> None:
        rows = signature.decode(instances)
        self.count = rows.count
        self._key = rows.key
        self.arrays: dict[str, Any] = rows.data
        self.baseline = {
            name: spread(baselines.get(name, _zero(array)), array.shape[1:], array.dtype)
            for name, array in self.arrays.items()
        }
        self._metadata = metadata
        self._flat = _side_by_side(list(self.arrays.values()))
        self._base = _side_by_side([array[None] for array in self.baseline.values()])[0]
        self._players = [_unlike(row, self._base) for row in self._flat]

    def players(self, at: int) -> Any:
        """See Cases."""
        return self._players[at]

    def rows(self, mixtures: Sequence[Mixture]) -> Rows:
        """See Cases."""
        blocks = []
        for at, masks in mixtures:
            columns = self._players[at]
            blocks.append(_mixed(self._flat[at], self._base, columns, masks, rest=self._base))
        table = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
        arrays = {
            name: np.ascontiguousarray(part).astype(self.arrays[name].dtype, copy=False)
            for name, part in self._parted(table)
        }
        return Rows(len(table), self._key, arrays)

    def told(self, at: int, attributions: Any) -> dict[str, Any]:
        """See Cases."""
        flat = np.zeros((1, len(self._base)))
        flat[0, self._players[at]] = attributions
        return self.named({name: part[0] for name, part in self._parted(flat)})

    def named(self, attributions: dict[str, Any]) -> dict[str, Any]:
        """Attributions in the shapes of the inputs, under the names of answers."""
        found: dict[str, Any] = {}
        for name, array in attributions.items():
            said = self._metadata.get(name, InputMetadata(name))
            if said.features:
                found |= zip(said.features, array.ravel().tolist(), strict=True)
            else:
                found[said.name] = array.tolist()
        return found

    def _parted(self, table: Any) -> list[tuple[str, Any]]:
        parts, start = [], 0
        for name, array in self.baseline.items():
            part = table[:, start : start + array.size].reshape(len(table), *array.shape)
            parts.append((name, part))
            start += array.size
        return parts


class ObjectCases:
    """Objects of which only `schema.json` tells the fields.

    Args:
        signature: Decodes.
        instances: Of the request.
        baseline: An object with all fields.
    """

    def __init__(self, signature: Signature, instances: RawInstances, *, baseline: dict[str, Any]) -> None:
        self.count = signature.decode(instances).count
        self._signature = signature
        self._given = instances
        self._baseline = baseline
        self._names = list(baseline)
        self._values = [
            value if isinstance(value, dict) else dict(zip(self._names, value, strict=True))
            for value in instances.values
        ]
        self._players = [
            np.array(
                [n for n, name in enumerate(self._names) if instance.get(name, ...) != baseline[name]],
                dtype=np.int64,
            )
            for instance in self._values
        ]

    def players(self, at: int) -> Any:
        """See Cases."""
        return self._players[at]

    def rows(self, mixtures: Sequence[Mixture]) -> Rows:
        """See Cases."""
        values = []
        for at, masks in mixtures:
            own = self._values[at]
            for mask in masks:
                made = {**own, **self._baseline}
                for player, theirs in zip(self._players[at], mask, strict=True):
                    name = self._names[player]
                    if theirs and name in own:
                        made[name] = own[name]
                    elif theirs:
                        del made[name]  # so the rules for missing fields hold
                values.append(made)
        given = self._given
        return self._signature.decode(RawInstances(values, given.booleans, given.extras, given.rules))

    def told(self, at: int, attributions: Any) -> dict[str, Any]:
        """See Cases."""
        found = dict.fromkeys(self._names, 0.0)
        for player, value in zip(self._players[at], attributions, strict=True):
            found[self._names[player]] = float(value)
        return found


def _zero(array: Any) -> Any:
    """What an input is compared with of which nothing is said: one of another signature."""
    return "" if array.dtype.kind == "O" else 0.0


def _mixed(own: Any, base: Any, columns: Any, masks: Any, *, rest: Any) -> Any:
    """Rows of `own` and `base` in the `columns` that `masks` speak of, and of `rest` in all others."""
    if len(columns) == len(own):
        return np.where(masks, own, base)
    block = np.repeat(rest[None, :], len(masks), axis=0)
    block[:, columns] = np.where(masks, own[columns], base[columns])
    return block


def spread(value: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """A baseline in the shape of one instance. Raises ValueError where it does not fit."""
    if np.dtype(dtype).kind == "O":
        array: Any = np.empty((), dtype=object)
        array[()] = value.encode() if isinstance(value, str) else value
        return np.broadcast_to(array, shape)
    return np.broadcast_to(np.asarray(value, dtype=np.float64), shape).astype(dtype)


def _numbers(signature: Signature, rows: Rows, instances: RawInstances) -> Any:
    """The rows as one array, if they are finite numbers and the signature takes them so; else None."""
    if any(type(value) not in (int, float) for row in rows.data for value in row):
        return None
    array = np.array(rows.data, dtype=np.float64)
    if not np.isfinite(array).all():
        return None
    data = signature.decode(ArrayInstances({"": array}, instances.rules)).data
    return data if isinstance(data, np.ndarray) else None


def _side_by_side(arrays: Sequence[Any]) -> Any:
    """Rows of all elements; as Python has them where the types differ, for no number may lose digits."""
    alike = len({array.dtype for array in arrays}) == 1
    flat = [array.reshape(len(array), -1) for array in arrays]
    return np.concatenate(flat if alike else [array.astype(object) for array in flat], axis=1)


def _unlike(own: Any, base: Any) -> Any:
    differs = own != base
    if own.dtype.kind == "f":
        differs &= ~(np.isnan(own) & np.isnan(base))
    return np.flatnonzero(differs)


def _same(own: Any, base: Any) -> bool:
    if own is base:
        return True
    try:
        # What is not equal to itself is missing, on both sides.
        return bool(own == base) or bool(own != own and base != base)
    except TypeError:  # a marker for missing values that has no truth value
        return False
