"""Copies of tables, which take no time: segments never change, so tables can share them. And extracts."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from mlengine.errors import InvalidArgument
from mlengine.names import ObjectUrl
from mlengine.tables.domain import Segment, Table
from mlengine.tables.engine import Brake, Engine
from mlengine.tables.scans import scan
from mlengine.tables.schema import Field, Schema, TableReference
from mlengine.tables.segments import Segments
from mlengine.tables.service import Manner, TableService, planned
from mlengine.tables.types import literal, quoted

_PIECE = 1 << 20
EXTRACTS = ("CSV", "NEWLINE_DELIMITED_JSON", "PARQUET")
_COMPRESSIONS = {
    "CSV": {"NONE": "none", "GZIP": "gzip"},
    "NEWLINE_DELIMITED_JSON": {"NONE": "uncompressed", "GZIP": "gzip"},
    "PARQUET": {"NONE": "uncompressed", "SNAPPY": "snappy", "ZSTD": "zstd", "GZIP": "gzip"},
}


def copy(
    service: TableService,
    sources: Sequence[TableReference],
    destination: TableReference,
    manner: Manner,
    *,
    snapshot: bool = False,
) -> Table:
    """Copy one or several tables into one.

    Args:
        snapshot: Whether the copy can never be changed.

    Raises:
        InvalidArgument: their schemas differ.
    """
    tables = [service.table(source) for source in sources]
    first = tables[0]
    for table in tables:
        if table.kind == "VIEW":
            raise InvalidArgument(f"{table.reference} is a view, and cannot be copied.")
        if _bare(table.schema) != _bare(first.schema):
            raise InvalidArgument(f"The schemas of {first.reference} and {table.reference} differ.")
    base = service.find(destination)
    schema = planned(base, first.schema, manner, destination)
    if base is None or manner.truncates:
        manner = Manner(
            write=manner.write, create=manner.create, said=dict(first.said), expires=manner.expires
        )
    segments: list[Segment] = [segment for table in tables for segment in table.content.segments]
    return service.write(
        destination,
        schema=schema,
        segments=segments,
        manner=manner,
        base=base,
        kind="SNAPSHOT" if snapshot else "TABLE",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractOptions:
    """What an extract writes.

    Attributes:
        url: Where; a `*` in it is a number of twelve digits.
    """

    url: ObjectUrl
    format: str = "CSV"
    compression: str = "NONE"
    delimiter: str = ","
    header: bool = True

    def __post_init__(self) -> None:
        if self.compression not in _COMPRESSIONS[self.format]:
            known = ", ".join(_COMPRESSIONS[self.format])
            raise InvalidArgument(f"{self.format} can be compressed by {known}, not {self.compression}.")


class Extractor:
    """Writes tables into buckets.

    Args:
        put: Stores pieces of bytes under a URL.
    """

    def __init__(
        self,
        service: TableService,
        segments: Segments,
        engine: Engine,
        put: Callable[[ObjectUrl, Iterator[bytes]], object],
    ) -> None:
        self._service = service
        self._segments = segments
        self._engine = engine
        self._put = put

    def extract(self, source: TableReference, options: ExtractOptions, brake: Brake) -> int:
        """Write a table; the number of files."""
        table = self._service.table(source)
        if table.kind == "VIEW":
            raise InvalidArgument(
                f"{table.reference} is a view.", hint="Extract a table; query into one first."
            )
        with ExitStack() as stack:
            room = stack.enter_context(self._segments.room())
            stack.enter_context(self._segments.pinned(one.key for one in table.content.segments))
            path = room / "out"
            connection = stack.enter_context(self._engine.reader(brake))
            rows = scan(table.schema, table.content, self._segments.path)
            columns = ", ".join(_out(one, options.format) for one in table.schema)
            connection.execute(
                f"COPY (SELECT {columns} FROM ({rows})) TO {literal(str(path))} ({_settings(options)})"
            )
            name = options.url.object.replace("*", "0" * 12)
            self._put(ObjectUrl(options.url.bucket, name), _pieces(path))
        return 1


def _out(one: Field, format_: str) -> str:
    name = quoted(one.name)
    if format_ == "CSV" and (one.repeated or one.type == "RECORD"):
        raise InvalidArgument(
            f"Field {one.name} is nested or repeated, which CSV cannot say.",
            hint="Extract to NEWLINE_DELIMITED_JSON or PARQUET.",
        )
    if format_ != "PARQUET" and one.type == "INTERVAL":
        raise InvalidArgument(
            f"Field {one.name} is an INTERVAL, which {format_} cannot say.", hint="Use PARQUET."
        )
    if format_ == "PARQUET":
        return f"CAST({name} AS VARCHAR) AS {name}" if one.type == "INTERVAL" else name
    value = _text(name, one, format_, 0)
    return f"{value} AS {name}" if value != name else name


def _text(value: str, one: Field, format_: str, depth: int) -> str:
    """Values as text that loads again as the very same."""
    if one.repeated:
        item = f"item{depth}"
        inner = _text(item, one.element, format_, depth + 1)
        return value if inner == item else f"list_transform({value}, lambda {item}: {inner})"
    if one.type == "RECORD":
        parts = [(part, _text(f"({value}).{quoted(part.name)}", part, format_, depth)) for part in one.fields]
        packed = ", ".join(f"{quoted(part.name)} := {inner}" for part, inner in parts)
        return f"CASE WHEN {value} IS NULL THEN NULL ELSE struct_pack({packed}) END"
    match one.type:
        case "BYTES":
            return f"to_base64({value})"
        case "TIMESTAMP":
            return f"replace(CAST({value} AS VARCHAR), '+00', ' UTC')"
        case "INTEGER" | "NUMERIC" | "BIGNUMERIC" if format_ != "CSV":
            return f"CAST({value} AS VARCHAR)"
        case "FLOAT" if format_ != "CSV":
            return f"CAST({value} AS VARCHAR)"
    return value


def _settings(options: ExtractOptions) -> str:
    compression = literal(_COMPRESSIONS[options.format][options.compression])
    if options.format == "PARQUET":
        return f"FORMAT parquet, COMPRESSION {compression}"
    if options.format == "CSV":
        header = str(options.header).lower()
        return f"FORMAT csv, HEADER {header}, DELIM {literal(options.delimiter)}, COMPRESSION {compression}"
    return f"FORMAT json, ARRAY false, COMPRESSION {compression}"


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
        while piece := file.read(_PIECE):
            yield piece


def _bare(schema: Schema) -> list[tuple[object, ...]]:
    return [(one.name.lower(), one.type, one.repeated, tuple(_bare(one.fields))) for one in schema]
