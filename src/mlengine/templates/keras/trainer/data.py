"""Reads CSV files, and derives what their columns are: nothing needs editing for another table."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import fsspec
import pandas
from pandas.api.types import is_bool_dtype, is_integer_dtype, is_numeric_dtype

# A text column with more different values is taken for free text: names, addresses, remarks.
MAX_CATEGORIES = 50
# A whole-number target with more different values is taken for a quantity, not for a label.
MAX_CLASSES = 20


@dataclass(frozen=True, kw_only=True)
class Columns:
    """What the table means: target, features, and why the rest is left out."""

    target: str
    classes: list[Any] = field(default_factory=list)  # empty: the target is a quantity
    numeric: list[str] = field(default_factory=list)
    categories: dict[str, list[str]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def features(self) -> list[str]:
        return [*self.numeric, *self.categories]

    def __str__(self) -> str:
        what = f"one of {', '.join(map(str, self.classes))}" if self.classes else "a quantity"
        lines = [f"Target {self.target}: {what}."]
        lines += [f"  {name}: a number" for name in self.numeric]
        lines += [f"  {name}: one of {', '.join(texts)}" for name, texts in self.categories.items()]
        lines += [f"  {name}: left out, {why}" for name, why in self.left_out.items()]
        return "\n".join(lines)


def read(patterns: Sequence[str]) -> pandas.DataFrame:
    """All rows of all files.

    Args:
        patterns: Paths or URLs (`data/train.csv`, `gs://bucket/train-*.csv`); `*` is any part of a name.
    """
    tables = []
    for pattern in patterns:
        files = fsspec.open_files([pattern], "rb")
        if not files:
            raise SystemExit(f"No file matches {pattern}.")
        for file in files:
            with file as content:
                # All of a column at once, or its type could change half way down a large file.
                tables.append(pandas.read_csv(content, low_memory=False))
    return pandas.concat(tables, ignore_index=True)


def derive(
    train: pandas.DataFrame, evaluation: pandas.DataFrame, target: str, ignore: Collection[str] = ()
) -> Columns:
    """Decide what each column is.

    Args:
        train: The rows to learn from.
        evaluation: The rows to measure on: their texts must not be unknown to the model.
        target: The column to predict.
        ignore: Columns to leave out whatever they are.
    """
    table = pandas.concat([train, evaluation])
    for name in [target, *ignore]:
        if name not in table:
            raise SystemExit(f"There is no column {name}; the files have {', '.join(table.columns)}.")

    numeric: list[str] = []
    categories: dict[str, list[str]] = {}
    left_out = dict.fromkeys(ignore, "as you asked")
    for name in table.columns.drop([target, *left_out]):
        values = table[name].dropna()
        distinct = values.nunique()
        if distinct < 2:
            left_out[name] = "it is the same in every row"
        elif is_integer_dtype(values) and train[name].nunique() == len(train) > MAX_CATEGORIES:
            left_out[name] = "it numbers the rows"
        elif is_numeric_dtype(values):
            numeric.append(name)
        elif distinct <= MAX_CATEGORIES:
            categories[name] = sorted(map(str, values.unique()))
        else:
            left_out[name] = f"it has {distinct} different texts"
    if not numeric and not categories:
        raise SystemExit(f"No column is left to learn {target} from.")
    return Columns(
        target=target,
        classes=_classes(labels(table, target)),
        numeric=numeric,
        categories=categories,
        left_out=left_out,
    )


def labels(table: pandas.DataFrame, target: str) -> pandas.Series:
    """The target of the rows that have one, whole numbers as such even where other rows have gaps."""
    values = table[target].dropna()
    if is_numeric_dtype(values) and not is_bool_dtype(values) and (values == values.round()).all():
        return values.astype("int64")
    return values


def features(table: pandas.DataFrame, columns: Columns) -> pandas.DataFrame:
    """The features of the rows that have a target; numbers as numbers, the rest as text, gaps as they are."""
    rows = table.loc[table[columns.target].notna(), columns.features]
    texts = {name: rows[name].map(str, na_action="ignore").astype("object") for name in columns.categories}
    return rows.assign(**texts).astype(dict.fromkeys(columns.numeric, "float64"))


def _classes(values: pandas.Series) -> list[Any]:
    if is_numeric_dtype(values) and not is_bool_dtype(values):
        distinct = values.unique()
        if not is_integer_dtype(values) or len(distinct) > MAX_CLASSES:
            return []
    return sorted(values.unique().tolist())
