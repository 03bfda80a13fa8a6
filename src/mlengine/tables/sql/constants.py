"""The values of expressions that need no table, worked out while a statement is translated."""

from __future__ import annotations

from threading import local
from typing import Any

from mlengine.tables.sql.problems import InvalidQuery, in_bigquery_words

_OWN = local()


def evaluate(sql: str) -> Any:
    """What an expression of DuckDB's, made by us, is.

    Raises:
        InvalidQuery: it has no value (a division by zero …).
    """
    import duckdb

    from mlengine.tables.sql.session import prepare

    if not hasattr(_OWN, "connection"):
        _OWN.connection = duckdb.connect(config={"enable_external_access": "false", "threads": "1"})
        prepare(_OWN.connection)
    try:
        row = _OWN.connection.execute(f"SELECT {sql}").fetchone()
    except duckdb.Error as problem:
        raise InvalidQuery(in_bigquery_words(problem)) from None
    return row[0] if row else None
