"""Columns and their types, and how a table is referred to: what engine, SQL and wire all speak of.

Apart from `domain`, because the SQL needs nothing else of this flat. No I/O.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self

# BigQuery's older names, which its JSON uses, by every name that it understands.
TYPES = {
    "STRING": "STRING",
    "BYTES": "BYTES",
    "INTEGER": "INTEGER",
    "INT64": "INTEGER",
    "INT": "INTEGER",
    "SMALLINT": "INTEGER",
    "BIGINT": "INTEGER",
    "TINYINT": "INTEGER",
    "BYTEINT": "INTEGER",
    "FLOAT": "FLOAT",
    "FLOAT64": "FLOAT",
    "NUMERIC": "NUMERIC",
    "DECIMAL": "NUMERIC",
    "BIGNUMERIC": "BIGNUMERIC",
    "BIGDECIMAL": "BIGNUMERIC",
    "BOOLEAN": "BOOLEAN",
    "BOOL": "BOOLEAN",
    "TIMESTAMP": "TIMESTAMP",
    "DATE": "DATE",
    "TIME": "TIME",
    "DATETIME": "DATETIME",
    "JSON": "JSON",
    "INTERVAL": "INTERVAL",
    "RECORD": "RECORD",
    "STRUCT": "RECORD",
}
MODES = ("NULLABLE", "REQUIRED", "REPEATED")


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A column, or a field of a RECORD.

    Attributes:
        type: One of the values of `TYPES`.
        mode: One of `MODES`.
        fields: Of a RECORD.
        default: SQL of the value for rows that bring none; empty for NULL.
        precision: Digits of a NUMERIC or BIGNUMERIC; None for all it can have.
        scale: Those of them behind the point.
        max_length: Characters of a STRING, bytes of BYTES.
    """

    name: str
    type: str
    mode: str = "NULLABLE"
    fields: tuple[Field, ...] = ()
    description: str = ""
    default: str = ""
    precision: int | None = None
    scale: int | None = None
    max_length: int | None = None
    rounding: str = ""

    @property
    def repeated(self) -> bool:
        """Whether it is an array."""
        return self.mode == "REPEATED"

    @property
    def element(self) -> Field:
        """Of an array: one of its elements."""
        return replace(self, mode="NULLABLE")


Schema = tuple[Field, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableReference:
    """A table, or what it held at a time.

    Attributes:
        at: The moment whose content is meant; None for the present.
        partition: What follows a `$` in the name ("20260101"); empty for the whole.
    """

    project: str
    dataset: str
    table: str
    at: datetime | None = None
    partition: str = ""

    def __str__(self) -> str:
        return f"{self.project}:{self.dataset}.{self.table}"

    @property
    def now(self) -> Self:
        """The whole table at present."""
        return replace(self, at=None, partition="")
