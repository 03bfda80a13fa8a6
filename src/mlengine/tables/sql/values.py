"""What a piece of a query became: DuckDB's text and BigQuery's type, and the names that are seen from a place."""

# ruff: noqa: E501 (SQL is easier to read in one piece)

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from mlengine.tables.sql.kinds import BOOL, BYTES, FLOAT64, INT64, NULL, STRING, Type
from mlengine.tables.sql.problems import Place
from mlengine.tables.types import literal as text_literal

UNKNOWN: Any = object()


@dataclass(frozen=True, slots=True)
class Value:
    """An expression in DuckDB's SQL.

    Attributes:
        constant: What it is, where that is known now: of literals and parameters.
        literal: A literal or parameter, which may become another type by itself.
        parts: Of a STRUCT(…) or […] as it was written: what it is made of.
        stored: A column just as a table holds it.
    """

    sql: str
    kind: Type
    constant: Any = UNKNOWN
    literal: bool = False
    parts: tuple[Value, ...] | None = None
    stored: bool = False

    @property
    def known(self) -> bool:
        """Whether its value is known now."""
        return self.constant is not UNKNOWN


@dataclass(frozen=True, slots=True)
class Column:
    """A name that a relation offers. `hidden` ones are not part of `*`."""

    name: str
    value: Value
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Relation:
    """One item of FROM.

    Attributes:
        name: What it is called in the query; empty for none.
        whole: The value that the name itself stands for: of UNNEST and of value tables. None for a row.
    """

    name: str
    columns: tuple[Column, ...]
    whole: Value | None = None

    def find(self, name: str) -> list[Value]:
        """The columns of this name."""
        wanted = name.casefold()
        return [column.value for column in self.columns if column.name.casefold() == wanted]

    def row(self) -> Value:
        """All of a row, as a STRUCT."""
        if self.whole is not None:
            return self.whole
        seen = [column for column in self.columns if not column.hidden]
        kind = Type("STRUCT", fields=tuple((column.name, column.value.kind) for column in seen))
        return structure(kind, tuple(column.value for column in seen))


@dataclass(slots=True)
class Scope:
    """The names seen from inside one SELECT.

    Attributes:
        merged: Columns joined by USING, which stand for both sides.
        aliases: What the select list names, where a clause may use it.
        arguments: Parameters of a function or names of pipe values, seen before columns.
        grouped: Texts of the grouping expressions; None before they are known.
        loose: Columns used outside aggregates, and where.
        forbids: The clause that may hold no aggregate functions; empty elsewhere.
    """

    parent: Scope | None = None
    relations: list[Relation] = field(default_factory=list)
    merged: dict[str, Value] = field(default_factory=dict)
    merged_order: list[tuple[str, Value]] = field(default_factory=list)
    orders: list[str] = field(default_factory=list)
    aliases: Mapping[str, Callable[[], Value]] = field(default_factory=dict)
    arguments: Mapping[str, Value] = field(default_factory=dict)
    ctes: Mapping[str, Any] = field(default_factory=dict)
    windows: dict[str, Any] = field(default_factory=dict)
    grouped: set[str] = field(default_factory=set)
    loose: list[tuple[str, str, Place | None]] = field(default_factory=list)
    aggregated: bool = False
    analytic: bool = False
    forbids: str = ""

    def cte(self, name: str) -> Any:
        """The WITH query of this name, or None."""
        scope: Scope | None = self
        while scope is not None:
            if name.casefold() in scope.ctes:
                return scope.ctes[name.casefold()]
            scope = scope.parent
        return None


def structure(kind: Type, parts: tuple[Value, ...]) -> Value:
    """STRUCT(…)."""
    inside = ", ".join(
        f"{text_literal(name)}: {part.sql}" for name, part in zip(kind.names, parts, strict=True)
    )
    if not parts:
        return Value("NULL", kind, parts=parts)
    return Value("{" + inside + "}", kind, parts=parts, literal=all(part.literal for part in parts))


def field_of(value: Value, position: int) -> Value:
    """One field of a STRUCT."""
    name, kind = value.kind.names[position], value.kind.fields[position][1]
    if value.parts is not None:
        return value.parts[position]
    return Value(f"struct_extract({value.sql}, {text_literal(name)})", kind, stored=value.stored)


def number(value: int) -> Value:
    """A literal INT64."""
    return Value(f"CAST('{value}' AS BIGINT)" if value < 0 else f"{value}::BIGINT", INT64, value, True)


def real(text: str) -> Value:
    """A literal FLOAT64; its digits are kept, in case it becomes NUMERIC."""
    return Value(f"CAST('{text}' AS DOUBLE)", FLOAT64, Decimal(text) if _finite(text) else float(text), True)


def string(text: str) -> Value:
    """A literal STRING."""
    if "\0" in text:
        pieces = (f"{text_literal(piece)}" for piece in text.split("\0"))
        return Value("(" + " || chr(0) || ".join(pieces) + ")", STRING, text, True)
    return Value(text_literal(text), STRING, text, True)


def octets(data: bytes) -> Value:
    """A literal BYTES."""
    return Value(f"unhex('{data.hex()}')", BYTES, data, True)


def truth(value: bool) -> Value:
    """TRUE or FALSE."""
    return Value("true" if value else "false", BOOL, value, True)


NOTHING = Value("NULL", NULL, None, True)


def typed(value: Value) -> Value:
    """`value`, with a bare NULL given BigQuery's type for it."""
    if value.kind.kind == "NULL":
        return Value("CAST(NULL AS BIGINT)", INT64, None, True)
    return value


def renamed(value: Value, sql: str) -> Value:
    """The same type under another text."""
    return replace(value, sql=sql, constant=UNKNOWN, literal=False, parts=None)


def _finite(text: str) -> bool:
    return text.lower().strip("+-") not in ("inf", "infinity", "nan")
