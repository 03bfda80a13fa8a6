"""What each function of BigQuery's is in DuckDB. A function without a rule here cannot be called."""

from __future__ import annotations

from mlengine.tables.sql.rules import (
    aggregates,
    arrays,
    conditions,
    dates,
    formats,
    hashes,
    intervals,
    json,
    numbers,
    regexps,
    strings,
    structs,
    times,
    windows,
)

__all__ = [
    "aggregates",
    "arrays",
    "conditions",
    "dates",
    "formats",
    "hashes",
    "intervals",
    "json",
    "numbers",
    "regexps",
    "strings",
    "structs",
    "times",
    "windows",
]
