"""Loads: files become one segment, and the segment part of a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlengine.errors import InvalidArgument
from mlengine.tables import load_csv, load_idx, load_json, load_records
from mlengine.tables.domain import JobError, Segment, Table
from mlengine.tables.engine import Brake, Engine, write_parquet
from mlengine.tables.load_options import LoadOptions
from mlengine.tables.reading import BadRows, Reading, Written
from mlengine.tables.scans import stored
from mlengine.tables.schema import Schema
from mlengine.tables.segments import Segments
from mlengine.tables.service import TableService, planned
from mlengine.tables.types import literal, quoted

_READERS: dict[str, Callable[..., Reading]] = {
    "CSV": load_csv.read,
    "NEWLINE_DELIMITED_JSON": load_json.read,
    "PARQUET": load_records.read_parquet,
    "ORC": load_records.read_orc,
    "AVRO": load_records.read_avro,
    "IDX": load_idx.read,
}
_GROUP_BYTES = 32 << 20  # of rows that are read at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What a load did."""

    table: Table
    rows: int
    size: int
    bad: int
    warnings: tuple[JobError, ...] = field(default=())


class Loader:
    """Carries out loads."""

    def __init__(self, service: TableService, segments: Segments, engine: Engine) -> None:
        self._service = service
        self._segments = segments
        self._engine = engine

    def load(self, options: LoadOptions, files: Sequence[Path], brake: Brake) -> Loaded:
        """Load `files` into their destination: all of them or nothing.

        Raises:
            BadRows: more rows than allowed cannot be read.
            InvalidArgument, NotFound, AlreadyExists: as `TableService.write`.
        """
        base = self._service.find(options.destination)
        with (
            self._segments.room() as room,
            self._engine.reader(brake) as connection,
            self._segments.landing() as (key, path),
        ):
            known = options.schema or (None if options.autodetect else base and base.schema) or None
            reading = _READERS[options.format](connection, options, files, known, room)
            schema = planned(base, options.schema or reading.schema, options.manner, options.destination)
            columns = _matched(reading, schema, ignore=options.ignore_unknown)
            width = _row_width(files)

            def statement(source: str, /, *, extra: str = "") -> str:
                return _statement(source, columns, path, width, extra)

            written = reading.write(statement, columns)
            _check_required(connection, schema, columns, path, written)
            rows = written.rows
            size = self._segments.seal(key, path)
            segment = Segment(key=key, rows=rows, size=size, columns=tuple(one.name for one in columns))
            brake.check()
            table = self._service.write(
                options.destination,
                schema=schema,
                segments=[segment] if rows else [],
                manner=options.manner,
                base=base,
            )
        return Loaded(
            table=table, rows=rows, size=size, bad=len(reading.bad), warnings=tuple(reading.warnings)
        )


def _matched(reading: Reading, schema: Schema, *, ignore: bool) -> Schema:
    """The columns of the table that the files have."""
    there = {one.name.lower() for one in reading.schema}
    known = {one.name.lower() for one in schema}
    for one in reading.schema:
        if one.name.lower() not in known and not ignore:
            raise InvalidArgument(
                f"No such field: {one.name}.",
                hint="ignoreUnknownValues leaves it out; ALLOW_FIELD_ADDITION adds it to the table.",
            )
    return tuple(one for one in schema if one.name.lower() in there)


def _statement(source: str, columns: Schema, path: Path, width: int, extra: str) -> str:
    """The statement that writes the segment, in groups of rows small enough to read a page out of them."""
    statement = write_parquet(stored(columns, source, extra=extra), path)
    group = max(2048, min(122_880, _GROUP_BYTES // width))
    return f"{statement[:-1]}, ROW_GROUP_SIZE {group}, RETURN_STATS)"


def _row_width(files: Sequence[Path]) -> int:
    """About how many bytes a row of text has; 1 where that is not to be seen."""
    with files[0].open("rb") as file:
        start = file.read(1 << 20)
    if start[:2] == b"\x1f\x8b":
        import zlib

        start = zlib.decompressobj(wbits=31).decompress(start, 1 << 20)
    if b"\0" in start:
        return 1
    return max(1, len(start) // max(1, start.count(b"\n")))


def _check_required(connection: Any, schema: Schema, columns: Schema, path: Path, written: Written) -> None:
    """Raises BadRows if a row lacks what is required."""
    there = {one.name for one in columns}
    required = [one for one in schema if one.mode == "REQUIRED"]
    for one in required:
        if one.name not in there:
            raise InvalidArgument(f"Required field {one.name} is missing in the files.")
        lacking = written.nulls.get(one.name)
        if lacking is None:  # statistics tell nothing of records
            file = f"read_parquet({literal(str(path))})"
            counted = connection.execute(f"SELECT count_if({quoted(one.name)} IS NULL) FROM {file}")
            lacking = counted.fetchone()[0]
        if lacking:
            numbered = f"read_parquet({literal(str(path))}, file_row_number = true)"
            first = connection.execute(
                f"SELECT min(file_row_number) + 1 FROM {numbered} WHERE {quoted(one.name)} IS NULL"
            ).fetchone()[0]
            raise BadRows(
                [
                    JobError(
                        reason="invalid",
                        message=f"Required field {one.name} is NULL in row {first} and {lacking - 1} others.",
                        location=f"row {first}, column {one.name}",
                    )
                ]
            )
