"""CSV: text, whose every value is checked for what it loses on its way to a number."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlengine.errors import InvalidArgument
from mlengine.tables.domain import JobError
from mlengine.tables.load_options import LoadOptions
from mlengine.tables.reading import NOTHING, BadRows, Reading, Statement, Written, changed_values, written_by
from mlengine.tables.schema import Field, Schema
from mlengine.tables.types import column_type, literal, quoted, schema_of

# A hidden column of segments: NULL where something in a row lost digits. No column of a user's is called so.
_ALIKE = "__ROOT__alike"
_MOST_TOLD = 100  # bad rows that are described
_WHOLE = r"'\s*[+-]?\d+\s*'"
_PREFIX = {"STRING": "string", "INTEGER": "int64", "FLOAT": "double", "BOOLEAN": "bool"}


def read(
    connection: Any, options: LoadOptions, files: Sequence[Path], known: Schema | None, room: Path
) -> Reading:
    """Look at CSV files."""
    del room
    skip = options.skip or 0
    schema = known
    if schema is None:
        if not options.autodetect:
            return Reading((), lambda _statement, _columns: NOTHING)
        schema, skip = _detected(connection, options, files)
    for one in schema:
        if one.repeated or one.type in ("RECORD", "INTERVAL"):
            raise InvalidArgument(
                f"CSV has no way to say field {one.name}, which is {one.mode} {one.type}.",
                hint="Load newline-delimited JSON or Parquet instead.",
            )
    table = _Table(connection, replace(options, skip=skip), files, schema)
    return Reading(schema, table.write, table.bad, table.warnings)


class _Table:
    """CSV files of a schema."""

    def __init__(self, connection: Any, options: LoadOptions, files: Sequence[Path], schema: Schema) -> None:
        self._connection = connection
        self._options = options
        self._files = files
        self._schema = schema
        self.bad: list[JobError] = []
        self.warnings: list[JobError] = []

    def write(self, statement: Statement, columns: Schema) -> Written:
        """Write the rows. Only when some cannot be read, all are looked at more closely."""
        import duckdb

        there = {one.name for one in columns}
        checks = {one.name: test for one in self._schema if one.name in there and (test := _loss(one))}
        kinds = {one.name: "VARCHAR" if one.name in checks else _read_as(one) for one in self._schema}
        # One pass: what is read as text is cast in the query, which sees so whether a row loses anything.
        alike = f"CASE WHEN {' OR '.join(checks.values())} THEN NULL ELSE true END" if checks else "true"
        source = f"{self._select(self._source(kinds), alike)}"
        try:
            written = written_by(self._connection, statement(source, extra=_ALIKE))
            if written.nulls.get(_ALIKE):
                self._audit(checks)
            return written
        except (duckdb.ConversionException, duckdb.InvalidInputException, _NotWhole):
            return self._write_carefully(statement)

    def _write_carefully(self, statement: Statement) -> Written:
        careful = {one.name: "VARCHAR" if one.type == "INTEGER" else _read_as(one) for one in self._schema}
        whole = [one.name for one in self._schema if one.type == "INTEGER"]
        source = self._source(careful, "store_rejects = true, rejects_limit = 0")
        bad = [f"({quoted(name)} IS NOT NULL AND {_no_int(quoted(name))})" for name in whole]
        chosen = f"SELECT * FROM {source}" + (f" WHERE NOT ({' OR '.join(bad)})" if bad else "")
        for name in ("reject_errors", "reject_scans"):
            self._connection.execute(f"DROP TABLE IF EXISTS {name}")
        written = written_by(self._connection, statement(self._select(f"({chosen})")))
        self.bad += self._rejects()
        for name in whole:
            self.bad += self._not_whole(source, name)
        if len(self.bad) > self._options.most_bad:
            self.bad.sort(key=lambda error: _line_of(error.location))
            raise BadRows(self.bad)
        if not self.bad:  # odd: it failed at first
            raise InvalidArgument("The file cannot be read as CSV.")
        return written

    def _source(self, kinds: dict[str, str], more: str = "") -> str:
        options = self._options
        names = ", ".join(literal(str(file)) for file in self._files)
        columns = ", ".join(f"{literal(name)}: {literal(kind)}" for name, kind in kinds.items())
        if options.ignore_unknown:
            extra = _width(self._files[0], options) - len(kinds)
            columns += "".join(f", {literal(f'extra value {number}')}: 'VARCHAR'" for number in range(extra))
        quote = literal(options.quote)
        settings = [
            "auto_detect = false",
            "header = false",
            f"skip = {options.skip or 0}",
            f"delim = {literal(options.delimiter)}",
            f"quote = {quote}, escape = {quote}",
            f"nullstr = [{', '.join(literal(text) for text in options.null)}]",
            "allow_quoted_nulls = false",
            f"null_padding = {'true' if options.jagged or options.ignore_unknown else 'false'}",
            f"encoding = {literal(options.encoding)}",
            f"compression = {literal(_compression(self._files[0]))}",
            "max_line_size = 104857600",
            f"columns = {{{columns}}}",
        ]
        if more:
            settings.append(more)
        return f"read_csv([{names}], {', '.join(settings)})"

    def _select(self, source: str, alike: str = "") -> str:
        columns = [f"{_value(one, is_text=bool(alike))} AS {quoted(one.name)}" for one in self._schema]
        if alike:
            columns.append(f"{alike} AS {quoted(_ALIKE)}")
        return f"SELECT {', '.join(columns)} FROM {source}"

    def _audit(self, checks: dict[str, str]) -> None:
        """Count the values that are not what the text said, column by column."""
        kinds = {one.name: "VARCHAR" for one in self._schema}
        counts = ", ".join(f"count_if({test})" for test in checks.values())
        found = self._connection.execute(f"SELECT {counts} FROM {self._source(kinds)}").fetchone()
        for (name, _), count in zip(checks.items(), found, strict=True):
            kind = next(one.type for one in self._schema if one.name == name)
            if count and kind == "INTEGER":
                raise _NotWhole(name)
            if count:
                self.warnings.append(changed_values(name, count, kind))

    def _rejects(self) -> list[JobError]:
        rows = self._connection.execute(
            "SELECT line, column_name, error_message, error_type FROM reject_errors "
            f"ORDER BY line LIMIT {max(_MOST_TOLD, self._options.most_bad + 1)}"
        ).fetchall()
        found: dict[int, JobError] = {}
        for line, column, message, kind in rows:
            where = f"line {line}" + (f", column {column}" if column else "")
            if kind == "TOO MANY COLUMNS":
                message = f"Too many values in line. {message}"
            found.setdefault(line, JobError(reason="invalid", message=f"{where}: {message}", location=where))
        return list(found.values())

    def _not_whole(self, source: str, name: str) -> list[JobError]:
        numbered = f"SELECT row_number() OVER () AS number, {quoted(name)} AS value FROM {source}"
        rows = self._connection.execute(
            f"SELECT number, value FROM ({numbered}) WHERE value IS NOT NULL AND {_no_int('value')} "
            f"ORDER BY number LIMIT {max(_MOST_TOLD, self._options.most_bad + 1)}"
        ).fetchall()
        rejected = sorted(_line_of(error.location) for error in self.bad)
        found = []
        for number, value in rows:
            line = number + (self._options.skip or 0)
            for other in rejected:
                line += other <= line
            where = f"line {line}, column {name}"
            message = f"{where}: Could not parse {value[:80]!r} as INT64 for field {name}."
            found.append(JobError(reason="invalid", message=message, location=where))
        return found


class _NotWhole(Exception):
    """An INTEGER column has a value that is no whole number."""


def _read_as(one: Field) -> str:
    """The type as which DuckDB reads a column."""
    return "VARCHAR" if one.type in ("BYTES", "INTERVAL") else column_type(one)


def _value(one: Field, *, is_text: bool) -> str:
    name = quoted(one.name)
    if one.type == "TIMESTAMP" and is_text:
        # Text without a zone is UTC's; so read it takes half the time.
        plain = f"length({name}) = 19 AND {name}[17] = ':'"
        utc = f"make_timestamptz(epoch_us(CAST({name} AS TIMESTAMP)))"
        return f"CASE WHEN {plain} THEN {utc} ELSE CAST({name} AS {column_type(one)}) END"
    if one.type == "BYTES":
        return f"from_base64({name})"
    return name if one.type == "STRING" else f"CAST({name} AS {column_type(one)})"


def _no_int(value: str) -> str:
    return f"(NOT regexp_full_match({value}, {_WHOLE}) OR TRY_CAST({value} AS BIGINT) IS NULL)"


def _loss(one: Field) -> str:
    """SQL: whether the text in a column says more than its type can hold; empty if it always can."""
    text = quoted(one.name)
    if one.type == "INTEGER":
        again = f"TRY_CAST({text} AS BIGINT)::VARCHAR"
        return f"CASE WHEN {text} <> {again} THEN NOT regexp_full_match({text}, {_WHOLE}) ELSE false END"
    # Cheap questions first: patterns are tried only on the few values that pass them.
    if one.type in ("NUMERIC", "BIGNUMERIC"):
        places = one.scale if one.scale is not None else {"NUMERIC": 9, "BIGNUMERIC": 18}[one.type]
        finer = f"regexp_matches({text}, '\\.\\d{{{places}}}\\d*[1-9]')"
        return f"CASE WHEN length({text}) - strpos({text}, '.') > {places} THEN {finer} ELSE false END"
    if one.type == "FLOAT":
        # 15 digits always survive. Of more, those are kept which come out again, in one of two spellings.
        number = f"{text}::DOUBLE"
        digits, shortest = _digits(text), _digits(f"{number}::VARCHAR")
        seventeen = _digits(f"printf('%.16e', {number})")
        return (
            f"CASE WHEN length({text}) <= 16 OR {text} = {number}::VARCHAR THEN false "
            f"ELSE {digits} <> {shortest} AND {digits} <> {seventeen} END"
        )
    if one.type in ("TIMESTAMP", "DATETIME", "TIME"):
        longest = 15 if one.type == "TIME" else 26
        finer = f"regexp_matches({text}, '\\.\\d{{6}}\\d*[1-9]')"
        return f"CASE WHEN length({text}) > {longest} THEN {finer} ELSE false END"
    return ""


def _digits(text: str) -> str:
    """SQL: the significant digits of a number."""
    mantissa = f"regexp_replace({text}, '[eE].*$', '')"
    return f"rtrim(ltrim(regexp_replace({mantissa}, '[^0-9]', '', 'g'), '0'), '0')"


def _detected(connection: Any, options: LoadOptions, files: Sequence[Path]) -> tuple[Schema, int]:
    """The columns that a file seems to have, and how many lines there are before its rows."""
    skip = max(0, (options.skip or 0) - 1)
    settings = [
        f"skip = {skip}",
        f"compression = {literal(_compression(files[0]))}",
        f"encoding = {literal(options.encoding)}",
        f"delim = {literal(options.delimiter)}",
        "sample_size = 20480",
    ]
    if options.skip:
        settings.append("header = true")
    source = f"{literal(str(files[0]))}, {', '.join(settings)}"
    has_header, columns = connection.execute(f"SELECT HasHeader, Columns FROM sniff_csv({source})").fetchone()
    found = schema_of([(column["name"], column["type"]) for column in columns])
    named = [
        # What has no zone is taken for UTC, as BigQuery does.
        replace(
            one, type="TIMESTAMP" if one.type == "DATETIME" else one.type, name=_name(one, index, has_header)
        )
        for index, one in enumerate(found)
    ]
    return tuple(named), skip + (1 if has_header else 0)


def _name(one: Field, index: int, has_header: bool) -> str:
    if not has_header:
        return f"{_PREFIX.get(one.type, one.type.lower())}_field_{index}"
    name = re.sub(r"\W", "_", one.name.strip())
    return name if name and not name[0].isdigit() else f"_{name}"


def _compression(file: Path) -> str:
    with file.open("rb") as opened:
        return "gzip" if opened.read(2) == b"\x1f\x8b" else "none"


def _width(file: Path, options: LoadOptions) -> int:
    """How many values the widest of the first lines has."""
    import csv
    import gzip
    from itertools import islice

    opener: Callable[..., Any] = gzip.open if _compression(file) == "gzip" else open
    with opener(file, "rt", encoding=options.encoding, newline="") as opened:
        lines: Iterator[list[str]] = csv.reader(
            opened, delimiter=options.delimiter, quotechar=options.quote or None
        )
        return max((len(line) for line in islice(lines, 10_000)), default=0)


def _line_of(location: str) -> int:
    found = re.match(r"line (\d+)", location)
    return int(found[1]) if found else 0
