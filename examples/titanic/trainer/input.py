"""Reads CSV files, local or in a bucket, into one table with the columns of `metadata`."""

from __future__ import annotations

from collections.abc import Sequence

import fsspec
import pandas

from trainer import metadata


def read(patterns: Sequence[str]) -> tuple[pandas.DataFrame, pandas.Series]:
    """The features and the target of every row in the files.

    Args:
        patterns: Paths or URLs (`data/train.csv`, `gs://bucket/train-*.csv`); `*` is any part of a name.
    """
    table = pandas.concat(
        [_read_csv(file) for pattern in patterns for file in _matches(pattern)], ignore_index=True
    )
    return table[metadata.FEATURES], table[metadata.TARGET]


def _matches(pattern: str) -> list[fsspec.core.OpenFile]:
    files = fsspec.open_files([pattern], "rb")
    if not files:
        raise SystemExit(f"No file matches {pattern}.")
    return list(files)


def _read_csv(file: fsspec.core.OpenFile) -> pandas.DataFrame:
    try:
        with file as content:
            table = pandas.read_csv(content, usecols=lambda name: name not in metadata.UNUSED)
    except FileNotFoundError:
        raise SystemExit(f"There is no file {file.full_name}.") from None
    missing = [name for name in [*metadata.FEATURES, metadata.TARGET] if name not in table]
    if missing:
        raise SystemExit(
            f"{file.full_name} has no column {', '.join(missing)}; it has {', '.join(table.columns)}."
        )
    return table
