"""Rows as boosters take them: an array of numbers, in which categories stand as the codes of the training.

LightGBM and XGBoost keep the categories of a data frame they were trained on. A value that is none of them is
as good as missing to them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mlengine.serving.runtimes.model import Description, RawInstances, Rows
from mlengine.serving.runtimes.schema import Input, Table, sample_of


class CodedIntake:
    """Makes arrays of instances that are rows.

    Args:
        names: Of the columns.
        named: Whether training knew them.
        categories: What stands for 0, 1, 2 … in a column, by its position.
    """

    instance = "row"

    def __init__(self, names: Sequence[str], *, named: bool, categories: Mapping[int, Sequence[Any]]) -> None:
        self.named = named
        self._codes = {
            index: {value: float(code) for code, value in enumerate(values)}
            for index, values in categories.items()
        }
        self.table = Table(
            [_column(name, self._codes.get(index)) for index, name in enumerate(names)], named=named
        )

    def decode(self, instances: RawInstances) -> Rows:
        """Check against the columns. Raises Refused."""
        rows = self.table.rows(instances)
        if self._codes:
            rows = [list(row) for row in rows]
            for row in rows:
                for index, codes in self._codes.items():
                    row[index] = codes.get(row[index], math.nan)
        return Rows(len(rows), None, rows)

    def join(self, parts: Sequence[Rows]) -> Rows:
        """All rows in one list."""
        rows = [row for part in parts for row in part.data]
        return Rows(len(rows), None, rows)

    def matrix(self, rows: Rows) -> Any:
        """A NumPy array."""
        return np.array(rows.data, dtype=np.float64)

    def describe(self) -> list[Description]:
        """The columns."""
        return [column.describe() for column in self.table.inputs]

    def samples(self) -> list[Any]:
        """Instances to try the model with."""
        return [sample_of(self.table), sample_of(self.table, filler=1)]


def _column(name: str, codes: Mapping[Any, float] | None) -> Input:
    if codes is None:
        return Input(name, type="number")
    texts = all(isinstance(value, str) for value in codes)
    return Input(name, type="string" if texts else "any", categories=tuple(codes))
