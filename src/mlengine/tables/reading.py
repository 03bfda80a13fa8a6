"""What a format knows of files that are to be loaded: their columns, and a query that gives their rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from mlengine.errors import InvalidArgument
from mlengine.tables.domain import JobError
from mlengine.tables.schema import Schema


class BadRows(InvalidArgument):
    """Rows that cannot be read, more than may be.

    Args:
        errors: One for each of the first of them.
    """

    def __init__(self, errors: list[JobError]) -> None:
        first = errors[0]
        more = f" {len(errors)} rows in all cannot be read." if len(errors) > 1 else ""
        super().__init__(f"Error while reading data, error message: {first.message}{more}")
        self.errors = errors


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a statement has written.

    Attributes:
        nulls: How many rows have NULL, by column; of columns that are no records or arrays.
    """

    rows: int
    nulls: Mapping[str, int]


NOTHING = Written(rows=0, nulls={})


class Statement(Protocol):
    """The statement that writes the rows a query gives; `extra` is a column of it that is to be kept, too."""

    def __call__(self, source: str, /, *, extra: str = "") -> str: ...


class Write(Protocol):
    """Runs `statement` of a query that gives the rows, with the columns that are wanted of them."""

    def __call__(self, statement: Statement, columns: Schema, /) -> Written: ...


def written_by(connection: Any, statement: str) -> Written:
    """Run a statement of `engine.write_parquet` with RETURN_STATS."""
    _, rows, _, _, columns, *_ = connection.execute(statement).fetchone()
    nulls = {
        name[1:-1].replace('""', '"'): int(told["null_count"])
        for name, told in dict(columns or {}).items()
        if "null_count" in told
    }
    return Written(rows=rows, nulls=nulls)


@dataclass(slots=True)
class Reading:
    """Files of one format, looked at.

    Attributes:
        schema: Their columns.
        write: Writes their rows.
        bad: Rows that were left out.
        warnings: What is odd: values that lost digits.
    """

    schema: Schema
    write: Write
    bad: list[JobError] = field(default_factory=list)
    warnings: list[JobError] = field(default_factory=list)


def changed_values(column: str, count: int, kind: str) -> JobError:
    """The warning about values that are not what the file says."""
    return JobError(
        reason="invalid",
        message=(
            f"Column {column}: {count} value{'s' if count > 1 else ''} lost digits, because {kind} cannot "
            "hold all that the file says. Load it as STRING, or as a wider type, to keep them."
        ),
        location=f"column {column}",
    )
