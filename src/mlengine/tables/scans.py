"""SQL that reads what a table holds: its segments as one relation, with the types of its schema."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mlengine.tables.domain import Content, Segment
from mlengine.tables.schema import Field, Schema
from mlengine.tables.types import column_type, literal, quoted


def scan(schema: Schema, content: Content, path: Callable[[str], Path]) -> str:
    """A query that gives all rows, in their order."""
    groups: list[list[Segment]] = []
    for segment in content.segments:
        # Neighbours with the same columns are read as one.
        if groups and groups[-1][0].columns == segment.columns:
            groups[-1].append(segment)
        else:
            groups.append([segment])
    if not groups:
        return f"SELECT {_columns(schema, ())} WHERE false"
    return " UNION ALL ".join(
        f"SELECT {_columns(schema, group[0].columns)} FROM {_files(group, path)}" for group in groups
    )


def scan_rows(
    schema: Schema, segment: Segment, path: Callable[[str], Path], what: str, *, start: int, stop: int
) -> str:
    """A query that gives `what` for some rows of one segment, by their place in it."""
    file = literal(str(path(segment.key)))
    source = f"read_parquet({file}, file_row_number = true)"
    chosen = f"file_row_number >= {start} AND file_row_number < {stop}"
    return f"SELECT {what} FROM (SELECT {_columns(schema, segment.columns)} FROM {source} WHERE {chosen})"


def stored(schema: Schema, source: str, *, extra: str = "") -> str:
    """A query that gives what another one gives, with the types in which segments keep it.

    Args:
        extra: A further column of it, which is left as it is.
    """
    columns = [f"{_to_store(quoted(one.name), one)} AS {quoted(one.name)}" for one in schema]
    if extra:
        columns.append(quoted(extra))
    return f"SELECT {', '.join(columns)} FROM ({source})"


def _to_store(value: str, one: Field) -> str:
    # Parquet counts the time of an interval in milliseconds.
    cast = f"CAST({value} AS {'VARCHAR' if one.type == 'INTERVAL' else column_type(one)})"
    if one.precision is not None:
        return f"CAST(CAST({value} AS DECIMAL({one.precision},{one.scale or 0})) AS {column_type(one)})"
    if one.max_length is not None:
        size = "octet_length" if one.type == "BYTES" else "length"
        words = literal(f"Field {one.name}: a value is longer than {one.max_length}")
        return f"CASE WHEN {size}({value}) > {one.max_length} THEN error({words}) ELSE {cast} END"
    return cast


def _columns(schema: Schema, there: tuple[str, ...]) -> str:
    found = {name.lower() for name in there}
    return ", ".join(
        f"CAST({quoted(one.name) if one.name.lower() in found else 'NULL'} AS {column_type(one)}) "
        f"AS {quoted(one.name)}"
        for one in schema
    )


def _files(group: list[Segment], path: Callable[[str], Path]) -> str:
    names = ", ".join(literal(str(path(segment.key))) for segment in group)
    return f"read_parquet([{names}])"
