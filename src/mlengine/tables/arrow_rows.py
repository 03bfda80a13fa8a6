"""Rows as Arrow: the bulk way out of a table, which makes no text of anything.

Types are those of BigQuery's Storage Read API, but that BIGNUMERIC has the 38 digits it has here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from mlengine.errors import FailedPrecondition, InvalidArgument
from mlengine.tables.domain import Content, Table
from mlengine.tables.engine import Engine
from mlengine.tables.scans import scan, scan_rows
from mlengine.tables.schema import Field, Schema
from mlengine.tables.segments import Segments
from mlengine.tables.types import quoted

_BATCH_BYTES = 4 << 20
_MOST_ROWS = 65_536  # of one batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which part of a table.

    Attributes:
        columns: In this order.
        start, stop: Places of the first row and of the one behind the last.
        rows: Of one batch; 0 for as many as make a few MiB.
        where: SQL of DuckDB's that is true of the rows; empty for all.
    """

    columns: Schema
    start: int
    stop: int
    rows: int = 0
    where: str = ""


class ArrowRows:
    """Reads tables as Arrow."""

    def __init__(self, segments: Segments, engine: Engine) -> None:
        self._segments = segments
        self._engine = engine

    def stream(self, table: Table, wanted: Wanted) -> Iterator[bytes]:
        """The pieces of an Arrow IPC stream.

        Raises:
            FailedPrecondition: pyarrow is not installed.
            InvalidArgument: it is a view.
        """
        opened = self._open(table, wanted)
        reader = next(opened)
        return _written(reader, opened)

    def batches(self, table: Table, wanted: Wanted) -> Iterator[Any]:
        """Its schema, and then the record batches."""
        opened = self._open(table, wanted)
        reader = next(opened)
        try:
            yield reader.schema
            yield from reader
        finally:
            opened.close()

    def _open(self, table: Table, wanted: Wanted) -> Any:
        """A generator that gives a reader, and ends what it needs when it is closed."""
        if table.kind == "VIEW":
            raise InvalidArgument(
                f"{table.reference} is a view, and has no rows of its own.", hint="Query it: SELECT * FROM …"
            )
        try:
            import pyarrow  # type: ignore[import-untyped,unused-ignore]
        except ImportError:
            raise FailedPrecondition(
                "Rows as Arrow are made by pyarrow, which this server lacks.",
                hint="pip install 'mlengine[tables]', or read them as JSON: list_rows.",
            ) from None
        with ExitStack() as stack:
            stack.enter_context(self._segments.pinned(one.key for one in table.content.segments))
            connection = stack.enter_context(self._engine.reader())
            names = ", ".join(
                f"CAST({quoted(one.name)} AS VARCHAR) AS {quoted(one.name)}"
                if one.type in ("JSON", "INTERVAL") and not one.repeated
                else quoted(one.name)
                for one in wanted.columns
            )
            query = f"SELECT {names} FROM ({self._range(table, wanted)})"
            if wanted.where:
                query += f" WHERE {wanted.where}"
            size = wanted.rows or _batch_rows(table)
            found = connection.sql(query).to_arrow_reader(size)
            shape = pyarrow.schema([_spelled(pyarrow, one) for one in found.schema])
            if shape == found.schema:
                yield found
            else:
                yield pyarrow.RecordBatchReader.from_batches(shape, (one.cast(shape) for one in found))

    def _range(self, table: Table, wanted: Wanted) -> str:
        """SQL of the rows between two places, in their order."""
        if wanted.start <= 0 and wanted.stop >= table.content.rows:
            return scan(table.schema, table.content, self._segments.path)
        parts: list[str] = []
        offset = 0
        for segment in table.content.segments:
            first, offset = offset, offset + segment.rows
            start, stop = max(wanted.start, first) - first, min(wanted.stop, offset) - first
            if start < stop:
                parts.append(
                    scan_rows(table.schema, segment, self._segments.path, "*", start=start, stop=stop)
                )
        return " UNION ALL ".join(parts) or scan(table.schema, Content(), self._segments.path)


def _written(reader: Any, opened: Any) -> Iterator[bytes]:
    import pyarrow

    sink = _Pieces()
    try:
        with pyarrow.ipc.new_stream(sink, reader.schema) as writer:
            for batch in reader:
                writer.write_batch(batch)
                yield sink.take()
        yield sink.take()
    finally:
        opened.close()


class _Pieces:
    """What a writer writes, until somebody takes it."""

    closed = False

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, piece: Any) -> int:
        self._parts.append(bytes(piece))
        return len(piece)

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing is open."""

    def take(self) -> bytes:
        """All that was written since the last time."""
        whole, self._parts = b"".join(self._parts), []
        return whole


def _batch_rows(table: Table) -> int:
    """Rows of one batch, by the size of a row on the disk."""
    width = max(1, table.content.size // max(1, table.content.rows))
    return max(1024, min(_MOST_ROWS, _BATCH_BYTES // width))


def _spelled(pyarrow: Any, one: Any) -> Any:
    """A column with the type as BigQuery has it: its zone is called UTC."""
    kind = one.type
    if pyarrow.types.is_timestamp(kind) and kind.tz:
        return pyarrow.field(one.name, pyarrow.timestamp(kind.unit, "UTC"))
    return one


def whole(table: Table, columns: Schema) -> Wanted:
    """All rows."""
    return Wanted(columns=columns, start=0, stop=table.content.rows)


def picked(schema: Schema, names: list[str]) -> tuple[Field, ...]:
    """Columns by name, in the order of the table. Raises InvalidArgument."""
    known = {one.name.lower() for one in schema}
    for name in names:
        if name.lower() not in known:
            raise InvalidArgument(f"No such field: {name}.")
    wanted = {name.lower() for name in names}
    return tuple(one for one in schema if not names or one.name.lower() in wanted)
