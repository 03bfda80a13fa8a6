"""Newline-delimited JSON, in files and as rows that are inserted one by one."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from mlengine.tables.domain import JobError
from mlengine.tables.json_rows import RowError, prepared
from mlengine.tables.load_options import LoadOptions
from mlengine.tables.reading import NOTHING, BadRows, Reading, Statement, Written, written_by
from mlengine.tables.schema import Field, Schema
from mlengine.tables.types import column_type, element_type, literal, quoted, schema_of

_MOST_TOLD = 100
_EXACT = {
    "INTEGER": ("INTEGER",),
    "NUMERIC": ("INTEGER",),
    "BIGNUMERIC": ("INTEGER",),
    "TIMESTAMP": ("TIMESTAMP", "DATE"),
}


def read(
    connection: Any, options: LoadOptions, files: Sequence[Path], known: Schema | None, room: Path
) -> Reading:
    """Look at files with a JSON object in each line."""
    found = _detected(connection, files)
    if known is None and not options.autodetect:
        return Reading((), lambda _statement, _columns: NOTHING)
    schema = found or () if known is None else known
    rows = _Rows(connection, options, files, schema, room)
    direct = found is not None and _within(found, schema)
    return Reading(schema, rows.write if direct else rows.write_carefully, rows.bad, rows.warnings)


def source(schema: Schema, names: Sequence[Path]) -> str:
    """A query that gives the rows of such files, with the types of `schema`."""
    files = ", ".join(literal(str(name)) for name in names)
    kinds = ", ".join(f"{literal(one.name)}: {literal(_read_as(one))}" for one in schema)
    values = ", ".join(f"{_value(quoted(one.name), one, 0)} AS {quoted(one.name)}" for one in schema)
    options = f"format = 'newline_delimited', columns = {{{kinds}}}, maximum_object_size = 104857600"
    return f"SELECT {values} FROM read_json([{files}], {options}, compression = 'auto_detect')".replace(
        "'auto_detect'", literal("gzip" if _is_gzip(names[0]) else "uncompressed")
    )


class _Rows:
    """Such files of a schema."""

    def __init__(
        self, connection: Any, options: LoadOptions, files: Sequence[Path], schema: Schema, room: Path
    ) -> None:
        self._connection = connection
        self._options = options
        self._files = files
        self._schema = schema
        self._room = room
        self.bad: list[JobError] = []
        self.warnings: list[JobError] = []

    def write(self, statement: Statement, columns: Schema) -> Written:
        """Write the rows. Only when some cannot be read, each is looked at."""
        import duckdb

        try:
            return written_by(self._connection, statement(source(self._schema, self._files)))
        except (duckdb.ConversionException, duckdb.InvalidInputException):
            return self.write_carefully(statement, columns)

    def write_carefully(self, statement: Statement, columns: Schema) -> Written:
        """Look at each row: what is bad is told with its line, what is exact in the text stays so."""
        del columns
        clean = self._room / "rows.json"
        with clean.open("w") as out:
            for row in self._good():
                out.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")
        if len(self.bad) > self._options.most_bad:
            raise BadRows(self.bad)
        return written_by(self._connection, statement(source(self._schema, [clean])))

    def _good(self) -> Iterator[dict[str, Any]]:
        most = max(_MOST_TOLD, self._options.most_bad + 1)
        for file in self._files:
            for number, line in enumerate(_lines(file), start=1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line, parse_float=Decimal)
                    yield prepared(row, self._schema, ignore_unknown=self._options.ignore_unknown)
                except RowError as error:
                    where = f"line {number}" + (f", column {error.field}" if error.field else "")
                    self._note(where, error.words)
                except (ValueError, RecursionError) as error:
                    self._note(f"line {number}", f"no JSON: {error}")
                if len(self.bad) >= most:
                    return

    def _note(self, where: str, words: str) -> None:
        self.bad.append(JobError(reason="invalid", message=f"{where}: {words}", location=where))


def _detected(connection: Any, files: Sequence[Path]) -> Schema | None:
    """The columns that files seem to have; None if they cannot be read."""
    import duckdb

    from mlengine.errors import InvalidArgument

    names = ", ".join(literal(str(file)) for file in files)
    pack = literal("gzip" if _is_gzip(files[0]) else "uncompressed")
    source_ = (
        f"read_json([{names}], format = 'newline_delimited', sample_size = -1, maximum_depth = 16, "
        f"map_inference_threshold = -1, maximum_object_size = 104857600, compression = {pack})"
    )
    try:
        rows = connection.execute(f"DESCRIBE SELECT * FROM {source_}").fetchall()
        return tuple(_zoned(one) for one in schema_of([(row[0], row[1]) for row in rows]))
    except (duckdb.Error, InvalidArgument):
        return None


def _zoned(one: Field) -> Field:
    fields = tuple(_zoned(part) for part in one.fields)
    return replace(one, fields=fields, type="TIMESTAMP" if one.type == "DATETIME" else one.type)


def _within(found: Schema, schema: Schema) -> bool:
    """Whether all names are known, and DuckDB reads every value exactly."""
    known = {one.name.lower(): one for one in schema}
    names = {one.name.lower() for one in found}
    if any(one.mode == "REQUIRED" and one.name.lower() not in names for one in schema):
        return False
    for one in found:
        mine = known.get(one.name.lower())
        if mine is None or mine.repeated != one.repeated or mine.type == "INTERVAL":
            return False
        if mine.type == "RECORD" and not _within(one.fields, mine.fields):
            return False
        # It would take 1.5 for a 2, and decimals by way of a double.
        if mine.type in _EXACT and one.type not in _EXACT[mine.type]:
            return False
    return True


def _read_as(one: Field) -> str:
    """The type as which DuckDB reads a value."""
    if one.type == "RECORD":
        parts = ", ".join(f"{quoted(part.name)} {_read_as(part)}" for part in one.fields)
        kind = f"STRUCT({parts})"
    else:
        kind = "VARCHAR" if one.type in ("BYTES", "INTERVAL") else element_type(one)
    return f"{kind}[]" if one.repeated else kind


def _value(value: str, one: Field, depth: int) -> str:
    """SQL: what was read, with its real type."""
    if not _has_bytes(one):
        return value
    if one.repeated:
        item = f"item{depth}"
        return f"list_transform({value}, lambda {item}: {_value(item, one.element, depth + 1)})"
    if one.type == "RECORD":
        parts = ", ".join(
            f"{quoted(part.name)} := {_value(f'({value}).{quoted(part.name)}', part, depth)}"
            for part in one.fields
        )
        packed = f"CAST(struct_pack({parts}) AS {column_type(one)})"
        return f"CASE WHEN {value} IS NULL THEN NULL ELSE {packed} END"
    return f"from_base64({value})"


def _has_bytes(one: Field) -> bool:
    return one.type == "BYTES" or any(_has_bytes(part) for part in one.fields)


def _lines(file: Path) -> Iterator[str]:
    opener: Callable[..., Any] = gzip.open if _is_gzip(file) else open
    with opener(file, "rt", encoding="utf-8") as opened:
        yield from opened


def _is_gzip(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(2) == b"\x1f\x8b"
