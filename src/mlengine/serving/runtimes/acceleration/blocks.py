"""The columns of a batch, and the pieces of a plan that make blocks of numbers of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mlengine.serving.runtimes.acceleration.words import Unusual

# A wider table of a category's outputs is kept as positions of ones.
WIDEST_TABLE = 64


class Batch:
    """The instances of one call, column by column.

    Args:
        intake: What decoded them; makes a data frame for steps that insist on one.
        rows: The decoded instances.
    """

    def __init__(self, intake: Any, rows: Any) -> None:
        self._intake = intake
        self._rows = rows
        self._frame: Any = None
        self._columns: tuple[Sequence[Any], Sequence[str]] | None = None
        self.count: int = rows.count

    @property
    def columns(self) -> Sequence[Any]:
        """The values of each column."""
        if self._columns is None:
            self._columns = self._intake.columns(self._rows)
        return self._columns[0]

    def numbers(self, indices: Sequence[int]) -> Any:
        """A matrix of float64 of the columns at `indices`; null is NaN. Raises Unusual for texts."""
        columns = self.columns
        kinds = self._columns[1] if self._columns is not None else ()
        for index in indices:
            if kinds[index] == "o":
                # Texts that look like numbers are the original's business.
                raise Unusual("A column of numbers holds something else.")
        return np.array([columns[index] for index in indices], dtype=np.float64).T

    def all_numbers(self) -> Any:
        """As `numbers`, of all columns, each of which is known to hold numbers."""
        return np.asarray(self._rows.data, dtype=np.float64)

    def frame(self) -> Any:
        """All columns, as the original takes them."""
        if self._frame is None:
            self._frame = self._intake.matrix(self._rows)
        return self._frame


class Block:
    """A piece of a plan: some columns of numbers.

    Args:
        compute: Makes the matrix from a batch.
        width: Its number of columns.
    """

    def __init__(self, compute: Callable[[Batch], Any], width: int) -> None:
        self.compute = compute
        self.width = width

    def into(self, batch: Batch, out: Any) -> None:
        """Write the matrix into `out`."""
        out[:] = self.compute(batch)


class Codes(dict[Any, int]):
    """From values to rows of a table of outputs.

    Args:
        known: For each value its row.
        gap: The row of a missing value; None where the original must answer.
        unknown: The row of any other value; likewise.
    """

    def __init__(self, known: dict[Any, int], *, gap: int | None, unknown: int | None) -> None:
        super().__init__(known)
        self._gap = gap
        self._unknown = unknown

    def __missing__(self, value: Any) -> int:
        missing = value is None or (isinstance(value, float) and value != value)
        code = self._gap if missing else self._unknown
        if code is None:
            raise Unusual("A value that the plan does not know.")
        return code


class Encoded(Block):
    """What an encoder makes of columns whose values are few: a look-up.

    Args:
        parts: For each input column its index, the codes of its values, the table of their outputs, and the
            places of the outputs.
        width: Number of output columns.
    """

    def __init__(self, parts: Sequence[tuple[int, Codes, Any, slice]], width: int) -> None:
        super().__init__(self._fresh, width)
        # NumPy reads the method once rather than once a call.
        self._parts = [(index, codes.__getitem__, table, place) for index, codes, table, place in parts]

    def _fresh(self, batch: Batch) -> Any:
        out = np.empty((batch.count, self.width))
        self.into(batch, out)
        return out

    def into(self, batch: Batch, out: Any) -> None:
        """Write the outputs into `out`."""
        columns = batch.columns
        single = batch.count == 1
        for index, code_of, table, place in self._parts:
            row: Any = 0
            if single:
                code: Any = code_of(columns[index][0])
            else:
                code = list(map(code_of, columns[index]))
                row = slice(None)
            if table.ndim == 2:
                out[row, place] = table[code]
            else:
                _scatter(out[:, place], table[np.atleast_1d(code)])


def _scatter(out: Any, places: Any) -> None:
    out[:] = 0.0
    rows = np.flatnonzero(places >= 0)
    out[rows, places[rows]] = 1.0


class Beside(Block):
    """Blocks side by side.

    Args:
        blocks: From left to right.
        weights: A factor for each block, or None for none.
    """

    def __init__(self, blocks: Sequence[Block], weights: Sequence[float | None]) -> None:
        super().__init__(self._fresh, sum(block.width for block in blocks))
        self._parts: list[tuple[Block, slice, float | None]] = []
        start = 0
        for block, weight in zip(blocks, weights, strict=True):
            self._parts.append((block, slice(start, start + block.width), weight))
            start += block.width

    def _fresh(self, batch: Batch) -> Any:
        out = np.empty((batch.count, self.width))
        self.into(batch, out)
        return out

    def into(self, batch: Batch, out: Any) -> None:
        """Write all blocks into `out`."""
        for block, place, weight in self._parts:
            block.into(batch, out[:, place])
            if weight is not None:
                out[:, place] *= weight
