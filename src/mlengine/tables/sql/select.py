"""A query as a whole statement: its columns as the client sees them."""

from __future__ import annotations

from typing import Any

from mlengine.tables.schema import Schema
from mlengine.tables.sql.compiler import Compiler
from mlengine.tables.sql.kinds import Type, distinct, to_field
from mlengine.tables.sql.plan import Kind, Statement
from mlengine.tables.sql.problems import InvalidQuery
from mlengine.tables.sql.query import Output, Query
from mlengine.tables.sql.values import Value, field_of
from mlengine.tables.types import literal as text_literal
from mlengine.tables.types import quoted


def select(c: Compiler, tree: Any) -> Statement:
    """A query whose rows go to the client."""
    made = c.query(tree, None)
    sql, schema = finished(made, unique=True)
    return Statement(kind=Kind.SELECT, sql=sql, reads=c.reads, schema=schema)


def spread(made: Query) -> tuple[str, tuple[Output, ...]]:
    """A value table's STRUCT as columns: SELECT AS STRUCT at the top."""
    if not made.whole or made.columns[0].kind.kind != "STRUCT":
        return made.sql, made.columns
    whole = Value(f'"q".{made.columns[0].sql}', made.columns[0].kind)
    names = whole.kind.names
    fields = [field_of(whole, at) for at in range(len(names))]
    listed = ", ".join(f"{value.sql} AS {quoted(name)}" for value, name in zip(fields, names, strict=True))
    columns = tuple(
        Output(name, quoted(internal), kind)
        for internal, (name, kind) in zip(names, whole.kind.fields, strict=True)
    )
    return f'SELECT {listed} FROM ({made.sql}) AS "q"', columns


def finished(made: Query, *, unique: bool = False) -> tuple[str, Schema]:
    """A query with the names of its columns, its arrays never NULL and without NULLs in them.

    Raises:
        InvalidQuery: `unique`, and two columns have one name.
    """
    sql, columns = spread(made)
    names = titles(columns)
    if unique:
        twice = sorted(
            {name for name in names if sum(name.casefold() == other.casefold() for other in names) > 1}
        )
        if twice:
            raise InvalidQuery(
                "Duplicate column names in the result are not supported when a destination table is "
                f"present. Found duplicate(s): {', '.join(twice)}"
            )
    texts = []
    internal = list(distinct(names, "f{}_"))
    changed = False
    for column, name, title in zip(columns, internal, names, strict=True):
        text = _array(column, title)
        changed = changed or text != column.sql or quoted(name) != column.sql
        texts.append(f"{text} AS {quoted(name)}")
    schema = tuple(to_field(name, column.kind) for name, column in zip(names, columns, strict=True))
    if changed:
        sql = f'SELECT {", ".join(texts)} FROM ({sql}) AS "q"'
    return sql, schema


def titles(columns: tuple[Output, ...]) -> list[str]:
    """The names of a result's columns: f0_, f1_ … where there is none."""
    names, unnamed = [], 0
    for column in columns:
        if column.name:
            names.append(column.name)
            continue
        names.append(f"f{unnamed}_")
        unnamed += 1
    return names


def _array(column: Output, title: str) -> str:
    if column.kind.kind == "NULL":
        return f"CAST({column.sql} AS BIGINT)"
    if column.kind.element is None or column.stored:
        return column.sql
    return no_nulls(column.sql, column.kind, title)


def no_nulls(sql: str, kind: Type, title: str) -> str:
    """An array as it may leave the query."""
    said = text_literal(f"Array cannot have a null element; error in writing field {title}")
    whole = f"coalesce({sql}, CAST([] AS {kind.sql}))"
    return f"CASE WHEN list_count({sql}) <> len({sql}) THEN error({said}) ELSE {whole} END"
