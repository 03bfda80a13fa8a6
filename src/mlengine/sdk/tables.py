"""Instances out of NumPy, pandas and Arrow, and predictions into them.

None of the three is imported unless a value of it is given, or asked for.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from itertools import islice
from typing import Any, Literal

from mlengine.errors import FailedPrecondition, InvalidArgument

Returns = Literal["list", "numpy", "pandas", "arrow"]
RETURNS = ("list", "numpy", "pandas", "arrow")
# Rows that are Python objects at one time: a table may be far larger than what Python makes of it.
_ROWS = 1024
_PACKAGES = {"numpy": "numpy", "pandas": "pandas", "arrow": "pyarrow"}
_COLUMN = "prediction"


@dataclass(frozen=True, slots=True)
class Rows:
    """Instances in order, some at a time.

    Attributes:
        index: The pandas index of what was given, or None.
    """

    parts: Iterator[list[Any]]
    index: Any = None


def rows_of(instances: Any) -> Rows:
    """The instances in a list, an iterable, an array or a table.

    A row of a DataFrame or an Arrow table is an object by column name; an array has one instance per entry
    of its first dimension, or an object per record if its type has fields.

    Raises:
        InvalidArgument: it holds no rows, or rows without proper names.
    """
    numpy, pandas, pyarrow = (sys.modules.get(name) for name in ("numpy", "pandas", "pyarrow"))
    if numpy is not None and isinstance(instances, numpy.ndarray):
        return Rows(_of_array(instances))
    if pandas is not None and isinstance(instances, pandas.DataFrame):
        return Rows(_of_frame(instances), instances.index)
    if pandas is not None and isinstance(instances, pandas.Series):
        return Rows(_cut(instances.tolist()), instances.index)
    if pyarrow is not None and isinstance(instances, pyarrow.Array | pyarrow.ChunkedArray):
        return Rows(_cut(instances.to_pylist()))
    if hasattr(instances, "__arrow_c_stream__") or (
        pyarrow is not None and isinstance(instances, pyarrow.RecordBatch)
    ):
        return Rows(_of_table(_loaded("arrow").table(instances)))
    if isinstance(instances, Mapping | str | bytes):
        raise InvalidArgument(
            f"instances is one {type(instances).__name__}; a list of instances is needed.",
            hint="For a single instance: [instance].",
        )
    if not isinstance(instances, Iterable):
        raise InvalidArgument(f"instances is a {type(instances).__name__}; a list of instances is needed.")
    return Rows(_cut(instances))


def shaped(predictions: list[Any], returns: Returns, index: Any = None) -> Any:
    """Predictions as the caller wants them.

    Objects become columns by key. Everything else is one array, or one column `prediction`.

    Args:
        index: The pandas index of the instances, or None.

    Raises:
        FailedPrecondition: the package is not installed, or the predictions do not fit into such a value.
    """
    if returns == "list":
        return predictions
    package = _loaded(returns)
    named = bool(predictions) and all(isinstance(value, dict) for value in predictions)
    try:
        if returns == "numpy":
            if not named:
                return package.asarray(predictions)
            return {key: package.asarray([value[key] for value in predictions]) for key in predictions[0]}
        records = predictions if named else [{_COLUMN: value} for value in predictions]
        if returns == "pandas":
            columns = None if predictions else [_COLUMN]
            return package.DataFrame.from_records(records, index=index, columns=columns)
        if not records:
            return package.table({_COLUMN: package.array([], package.null())})
        return package.Table.from_pylist(records)
    except (ValueError, TypeError, KeyError, getattr(package, "ArrowInvalid", ValueError)) as error:
        raise FailedPrecondition(
            f"The predictions are not alike enough for returns='{returns}': {error}.",
            hint="Use returns='list'.",
        ) from error


def _loaded(returns: str) -> Any:
    name = _PACKAGES[returns]
    try:
        return import_module(name)
    except ImportError:
        raise FailedPrecondition(f"{name} is not installed here.", hint=f"pip install {name}") from None


def _cut(values: Iterable[Any]) -> Iterator[list[Any]]:
    source = iter(values)
    while part := list(islice(source, _ROWS)):
        yield part


def _of_array(array: Any) -> Iterator[list[Any]]:
    if array.ndim == 0:
        raise InvalidArgument(
            "instances is an array without dimensions.", hint="Make it one: array.reshape(1)"
        )
    if array.dtype.kind == "m":
        raise InvalidArgument("instances is an array of durations, for which JSON has no type.")
    if array.dtype.kind == "M":
        array = array.astype("datetime64[us]")  # finer ones become bare numbers
    names = array.dtype.names

    def parts() -> Iterator[list[Any]]:
        for start in range(0, len(array), _ROWS):
            part: list[Any] = array[start : start + _ROWS].tolist()
            yield [dict(zip(names, row, strict=True)) for row in part] if names else part

    return parts()


def _of_frame(frame: Any) -> Iterator[list[Any]]:
    names = _names(list(frame.columns))

    def parts() -> Iterator[list[Any]]:
        for start in range(0, len(frame), _ROWS):
            part = frame.iloc[start : start + _ROWS]
            yield _rows(names, [part.iloc[:, at].tolist() for at in range(len(names))])

    return parts()


def _of_table(table: Any) -> Iterator[list[Any]]:
    names = _names(table.column_names)

    def parts() -> Iterator[list[Any]]:
        for start in range(0, table.num_rows, _ROWS):
            part = table.slice(start, _ROWS)
            yield _rows(names, [column.to_pylist() for column in part.columns])

    return parts()


def _rows(names: list[str], columns: list[list[Any]]) -> list[Any]:
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _names(names: list[Any]) -> list[str]:
    for name in names:
        if not isinstance(name, str):
            raise InvalidArgument(
                f"The column {name!r} has no text as its name; instances are objects by column name.",
                hint="Rename the columns, or send rows without names: frame.to_numpy()",
            )
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidArgument(f"Two columns are called '{twice}'.", hint="Rename one.")
    if not names:
        raise InvalidArgument("The table has no columns.")
    return names
