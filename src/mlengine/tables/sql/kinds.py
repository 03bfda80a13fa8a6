"""BigQuery's types as the SQL sees them, and how each is written in DuckDB.

Apart from `schema`, which knows columns of tables: a query has types that no column has (NULL, unnamed fields).
"""

# ruff: noqa: E501 (SQL is easier to read in one piece)

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from mlengine.tables.schema import Field
from mlengine.tables.types import BIGNUMERIC as BIGNUMERIC_SQL
from mlengine.tables.types import NUMERIC as NUMERIC_SQL
from mlengine.tables.types import quoted

_SQL = {
    "INT64": "BIGINT",
    "FLOAT64": "DOUBLE",
    "NUMERIC": NUMERIC_SQL,
    "BIGNUMERIC": BIGNUMERIC_SQL,
    "BOOL": "BOOLEAN",
    "STRING": "VARCHAR",
    "BYTES": "BLOB",
    "DATE": "DATE",
    "TIME": "TIME",
    "DATETIME": "TIMESTAMP",
    "TIMESTAMP": "TIMESTAMPTZ",
    "JSON": "JSON",
    "INTERVAL": "INTERVAL",
    "NULL": "BIGINT",
}
_FIELD = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN", "NULL": "INTEGER", "STRUCT": "RECORD"}
_OF_FIELD = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}


@dataclass(frozen=True, slots=True)
class Type:
    """A type of BigQuery's.

    Attributes:
        kind: INT64, STRING, … ARRAY, STRUCT; NULL for a bare NULL, which becomes whatever is needed.
        element: Of an ARRAY.
        fields: Of a STRUCT: names (empty for an unnamed field) and types.
        limits: Parameters: precision and scale, or a length.
    """

    kind: str
    element: Type | None = None
    fields: tuple[tuple[str, Type], ...] = ()
    limits: tuple[int, ...] = ()

    @property
    def sql(self) -> str:
        """The DuckDB type."""
        if self.element is not None:
            return f"{self.element.sql}[]"
        if self.kind == "STRUCT":
            named = zip(self.names, self.fields, strict=True)
            return "STRUCT(" + ", ".join(f"{quoted(name)} {part.sql}" for name, (_, part) in named) + ")"
        return _SQL[self.kind]

    @property
    def names(self) -> tuple[str, ...]:
        """What the fields of a STRUCT are called in DuckDB: all named, none twice."""
        return tuple(distinct((name for name, _ in self.fields), "_field_{}"))

    def __str__(self) -> str:
        if self.element is not None:
            return f"ARRAY<{self.element}>"
        if self.kind == "STRUCT":
            return "STRUCT<" + ", ".join(f"{name} {part}".strip() for name, part in self.fields) + ">"
        return "INT64" if self.kind == "NULL" else self.kind

    @property
    def numeric(self) -> bool:
        """Whether one can calculate with it."""
        return self.kind in NUMBERS or self.kind == "NULL"

    @property
    def bare(self) -> Type:
        """Without parameters."""
        return replace(self, limits=())


def distinct(names: Iterable[str], unnamed: str) -> Iterator[str]:
    """`names` with unnamed ones numbered from 1 on and repeated ones made different."""
    seen: set[str] = set()
    for number, given in enumerate(names, start=1):
        name = given or unnamed.format(number)
        extra = 0
        while name.casefold() in seen:
            extra += 1
            name = f"{given or unnamed.format(number)}_{extra}"
        seen.add(name.casefold())
        yield name


INT64, FLOAT64, NUMERIC, BIGNUMERIC = Type("INT64"), Type("FLOAT64"), Type("NUMERIC"), Type("BIGNUMERIC")
BOOL, STRING, BYTES, JSON, INTERVAL = (
    Type("BOOL"),
    Type("STRING"),
    Type("BYTES"),
    Type("JSON"),
    Type("INTERVAL"),
)
DATE, TIME, DATETIME, TIMESTAMP, NULL = (
    Type("DATE"),
    Type("TIME"),
    Type("DATETIME"),
    Type("TIMESTAMP"),
    Type("NULL"),
)
NUMBERS = ("INT64", "NUMERIC", "BIGNUMERIC", "FLOAT64")
NAMED = {
    **{
        kind.kind: kind for kind in (INT64, FLOAT64, NUMERIC, BIGNUMERIC, BOOL, STRING, BYTES, JSON, INTERVAL)
    },
    **{kind.kind: kind for kind in (DATE, TIME, DATETIME, TIMESTAMP)},
    **dict.fromkeys(("INTEGER", "INT", "SMALLINT", "BIGINT", "TINYINT", "BYTEINT"), INT64),
    **dict.fromkeys(("FLOAT", "DOUBLE"), FLOAT64),
    "DECIMAL": NUMERIC,
    "BIGDECIMAL": BIGNUMERIC,
    "BOOLEAN": BOOL,
}


def array(element: Type) -> Type:
    """ARRAY<element>."""
    return Type("ARRAY", element=element)


def struct(*fields: tuple[str, Type]) -> Type:
    """STRUCT<…>."""
    return Type("STRUCT", fields=fields)


@lru_cache(maxsize=4096)
def of_field(field: Field) -> Type:
    """The type of a column."""
    if field.repeated:
        return array(of_field(field.element))
    if field.type == "RECORD":
        return struct(*((part.name, of_field(part)) for part in field.fields))
    kind = NAMED[_OF_FIELD.get(field.type, field.type)]
    if field.precision is not None:
        return replace(kind, limits=(field.precision, field.scale or 0))
    return replace(kind, limits=(field.max_length,)) if field.max_length is not None else kind


def to_field(name: str, kind: Type, *, required: bool = False) -> Field:
    """A column of this type."""
    if kind.element is not None:
        inner = to_field(name, kind.element)
        return replace(inner, mode="REPEATED")
    if kind.kind == "STRUCT":
        parts = tuple(
            to_field(part, of) for part, of in zip(kind.names, (of for _, of in kind.fields), strict=True)
        )
        return Field(name=name, type="RECORD", fields=parts, mode="REQUIRED" if required else "NULLABLE")
    numeric = kind.kind in ("NUMERIC", "BIGNUMERIC") and bool(kind.limits)
    return Field(
        name=name,
        type=_FIELD.get(kind.kind, kind.kind),
        mode="REQUIRED" if required else "NULLABLE",
        precision=kind.limits[0] if numeric else None,
        scale=(kind.limits[1] if len(kind.limits) > 1 else 0) if numeric else None,
        max_length=kind.limits[0] if kind.limits and not numeric else None,
    )
