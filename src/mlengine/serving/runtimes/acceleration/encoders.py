"""Fitted encoders of categories as tables: each value goes through the fitted steps once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mlengine.serving.runtimes.acceleration.blocks import WIDEST_TABLE, Batch, Codes, Encoded
from mlengine.serving.runtimes.acceleration.words import Unsupported
from mlengine.serving.runtimes.model import Refused

ENCODERS = ("OneHotEncoder", "OrdinalEncoder", "TargetEncoder")
# Most columns of a matrix that is made for each row.
WIDEST = 4096
_MOST_CATEGORIES = 20_000
_UNKNOWN_TEXT = "\x00no such category"

MakeBatch = Callable[[Sequence[Any]], Batch]


def encoded(
    step: Any, before: Sequence[Any], columns: Sequence[int], *, sample: Sequence[Any], batch: MakeBatch
) -> Encoded:
    """The tables of a fitted encoder. Raises Unsupported.

    Args:
        step: The encoder.
        before: Fitted imputers that its columns pass first.
        columns: The positions of its columns among the inputs.
        sample: An instance.
        batch: Makes a batch of instances; raises Refused.
    """
    widths = _output_widths(step)
    if len(step.categories_) != len(columns) or sum(widths) > WIDEST:
        raise Unsupported("An encoder makes too many columns, or not those of its inputs.")
    probe = _Probe(step, before, columns, sample=sample, batch=batch)
    parts: list[tuple[int, Codes, Any, slice]] = []
    start = 0
    for at, (index, width) in enumerate(zip(columns, widths, strict=True)):
        place = slice(start, start + width)
        start += width
        codes, table = probe.tabulated(at, place)
        parts.append((index, codes, table, place))
    return Encoded(parts, start)


class _Probe:
    """Sends values of one column at a time through the fitted steps."""

    def __init__(
        self,
        step: Any,
        before: Sequence[Any],
        columns: Sequence[int],
        *,
        sample: Sequence[Any],
        batch: MakeBatch,
    ) -> None:
        self._step = step
        self._before = before
        self._columns = list(columns)
        self._batch = batch
        # The other columns hold what the encoder knows, whatever the sample has.
        self._base = list(sample)
        for index, categories in zip(columns, step.categories_, strict=True):
            known = [value for value in categories.tolist() if not _missing(value)]
            if known and self._base[index] not in known:
                self._base[index] = known[0]

    def tabulated(self, at: int, place: slice) -> tuple[Codes, Any]:
        """The codes of the values of column number `at`, and the table of their outputs."""
        categories = self._step.categories_[at].tolist()
        if len(categories) > _MOST_CATEGORIES:
            raise Unsupported(f"An encoder knows more than {_MOST_CATEGORIES} categories.")
        index = self._columns[at]
        known = [value for value in categories if not _missing(value)]
        markers = [imputer.missing_values for imputer in self._before]
        known += [value for value in markers if not _missing(value) and value not in known]
        found = self._sent(index, place, known)
        table = [row for _, row in found]
        codes = {value: number for number, (value, _) in enumerate(found)}
        gap = other = None
        for value in (None, *_unknown(known)):
            rows = self._sent(index, place, [value])
            if not rows or (value is not None and rows[0][0] != value):
                continue
            table.append(rows[0][1])
            if value is not None:
                other = len(table) - 1
                continue
            gap = len(table) - 1
            if not _missing(rows[0][0]):
                # The rows hold a marker of the model in place of null.
                codes.setdefault(rows[0][0], gap)
        if not table:
            raise Unsupported("An encoder knows no category.")
        return Codes(codes, gap=gap, unknown=other), _compact(np.array(table, dtype=np.float64))

    def _sent(self, index: int, place: slice, values: Sequence[Any]) -> list[tuple[Any, Any]]:
        """For each value, as the rows hold it, what comes out of its column; refused ones are left out."""
        if not values:
            return []
        instances = [[*self._base[:index], value, *self._base[index + 1 :]] for value in values]
        try:
            batch = self._batch(instances)
            part = batch.frame()
            part = part.iloc[:, self._columns] if hasattr(part, "iloc") else part[:, self._columns]
            for each in (*self._before, self._step):
                part = each.transform(part)
        except (Refused, ValueError, TypeError):
            if len(values) == 1:
                return []
            return [pair for value in values for pair in self._sent(index, place, [value])]
        made = part[:, place] if hasattr(part, "toarray") else np.asarray(part)[:, place]
        return list(zip(batch.columns[index], dense(made), strict=True))


def dense(made: Any) -> Any:
    """What a transformer made, as a plain matrix of numbers."""
    if hasattr(made, "toarray"):
        made = made.toarray()
    found = np.asarray(made)
    return found if found.dtype.kind in "fiub" else found.astype(np.float64)


def _unknown(known: Sequence[Any]) -> list[Any]:
    """A value beside the known ones, where there can be one."""
    if not known or all(isinstance(value, str) for value in known):
        return [_UNKNOWN_TEXT]
    if all(type(value) in (int, float) for value in known):
        return [max(float(value) for value in known) + 1.0]
    return []


def _output_widths(step: Any) -> list[int]:
    if type(step).__name__ == "OneHotEncoder":
        return [int(width) for width in step._n_features_outs]
    if type(step).__name__ == "TargetEncoder" and step.target_type_ == "multiclass":
        return [len(step.classes_)] * len(step.categories_)
    return [1] * len(step.categories_)


def _compact(table: Any) -> Any:
    """A wide table of ones and zeros as the positions of its ones, -1 where a row has none."""
    if table.shape[1] <= WIDEST_TABLE:
        return table
    if not np.isin(table, (0.0, 1.0)).all() or table.sum(axis=1).max() > 1:
        return table
    return np.where(table.any(axis=1), table.argmax(axis=1), -1)


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value) or type(value).__name__ == "NAType"
