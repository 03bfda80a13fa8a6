"""BigQuery's types and DuckDB's, in both directions.

BIGNUMERIC has 76 digits and DuckDB's decimals have 38: it is DECIMAL(38, 18) here, and what
does not fit is refused, never rounded off in silence.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mlengine.errors import InvalidArgument
from mlengine.tables.schema import Field, Schema

NUMERIC = "DECIMAL(38,9)"
BIGNUMERIC = "DECIMAL(38,18)"
_SCALARS = {
    "STRING": "VARCHAR",
    "BYTES": "BLOB",
    "INTEGER": "BIGINT",
    "FLOAT": "DOUBLE",
    "BOOLEAN": "BOOLEAN",
    "TIMESTAMP": "TIMESTAMP WITH TIME ZONE",
    "DATE": "DATE",
    "TIME": "TIME",
    "DATETIME": "TIMESTAMP",
    "JSON": "JSON",
    "INTERVAL": "INTERVAL",
    "NUMERIC": NUMERIC,
    "BIGNUMERIC": BIGNUMERIC,
}
_FROM_DUCKDB = {
    "VARCHAR": "STRING",
    "UUID": "STRING",
    "ENUM": "STRING",
    "BLOB": "BYTES",
    "BIT": "STRING",
    "TINYINT": "INTEGER",
    "SMALLINT": "INTEGER",
    "INTEGER": "INTEGER",
    "BIGINT": "INTEGER",
    "UTINYINT": "INTEGER",
    "USMALLINT": "INTEGER",
    "UINTEGER": "INTEGER",
    "UBIGINT": "NUMERIC",
    "HUGEINT": "INTEGER",
    "UHUGEINT": "BIGNUMERIC",
    "FLOAT": "FLOAT",
    "DOUBLE": "FLOAT",
    "BOOLEAN": "BOOLEAN",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP",
    "TIMESTAMPTZ": "TIMESTAMP",
    "TIMESTAMP": "DATETIME",
    "TIMESTAMP_S": "DATETIME",
    "TIMESTAMP_MS": "DATETIME",
    "TIMESTAMP_NS": "DATETIME",
    "DATE": "DATE",
    "TIME": "TIME",
    "TIME_NS": "TIME",
    "JSON": "JSON",
    "INTERVAL": "INTERVAL",
    "NULL": "INTEGER",
    '"NULL"': "INTEGER",
}
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")
_ARRAY = re.compile(r"\[\d*\]$")


def column_type(field: Field) -> str:
    """The DuckDB type of a column."""
    return f"{element_type(field)}[]" if field.repeated else element_type(field)


def element_type(field: Field) -> str:
    """The DuckDB type of a value of `field`, or of one element if it is an array."""
    if field.type == "RECORD":
        return (
            "STRUCT(" + ", ".join(f"{quoted(part.name)} {column_type(part)}" for part in field.fields) + ")"
        )
    return _SCALARS[field.type]


def quoted(name: str) -> str:
    """`name` as an identifier in DuckDB's SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """`text` as a string in DuckDB's SQL."""
    return "'" + text.replace("'", "''") + "'"


def field_of(name: str, duckdb_type: str) -> Field:
    """The column that a result of DuckDB's becomes.

    Raises:
        InvalidArgument: BigQuery has no such type (MAP, UNION, an array of arrays).
    """
    text = duckdb_type.strip()
    if found := _ARRAY.search(text):
        inner = field_of(name, text[: found.start()])
        if inner.repeated:
            raise InvalidArgument(
                f"Column {name} is an array of arrays.",
                hint="Put a STRUCT between the two, as BigQuery asks.",
            )
        return Field(name=name, type=inner.type, mode="REPEATED", fields=inner.fields)
    if text.startswith("STRUCT("):
        parts = [field_of(*_named(part)) for part in _split(text[7:-1])]
        return Field(name=name, type="RECORD", fields=tuple(parts))
    if found := _DECIMAL.fullmatch(text):
        precision, scale = int(found[1]), int(found[2])
        narrow = scale <= 9 and precision - scale <= 29
        return Field(name=name, type="NUMERIC" if narrow else "BIGNUMERIC")
    kind = _FROM_DUCKDB.get("ENUM" if text.startswith("ENUM(") else text)
    if kind is None:
        raise InvalidArgument(f"Column {name} has the type {text}, which BigQuery does not know.")
    return Field(name=name, type=kind)


def schema_of(columns: Sequence[tuple[str, str]]) -> Schema:
    """The columns of a result, given as names and DuckDB types."""
    return tuple(field_of(name, kind) for name, kind in columns)


def _split(text: str) -> list[str]:
    """Pieces between the commas that stand in no bracket and no quotes."""
    pieces, depth, inside, start = [], 0, False, 0
    for place, sign in enumerate(text):
        if sign == '"':
            inside = not inside
        elif not inside and sign in "(":
            depth += 1
        elif not inside and sign in ")":
            depth -= 1
        elif sign == "," and not inside and not depth:
            pieces.append(text[start:place].strip())
            start = place + 1
    return [*pieces, text[start:].strip()]


def _named(text: str) -> tuple[str, str]:
    if text.startswith('"'):
        end = 1
        while text[end] != '"' or text[end + 1 : end + 2] == '"':
            end += 2 if text[end] == '"' else 1
        return text[1:end].replace('""', '"'), text[end + 1 :].strip()
    name, _, kind = text.partition(" ")
    return name, kind
