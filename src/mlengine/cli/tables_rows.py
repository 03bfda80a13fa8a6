"""`mlengine tables load|query|head|insert`: rows on their way in and out."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import sys
import tempfile
import time
from argparse import ArgumentTypeError, Namespace
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

from mlengine.cli.command import UsageError
from mlengine.cli.grammar import Parser, at_least
from mlengine.cli.output import Column, show, show_list
from mlengine.cli.session import Session
from mlengine.cli.tables_schema import read_schema
from mlengine.cli.tables_session import opened, run
from mlengine.errors import InvalidArgument

_FORMATS = {
    "csv": "CSV",
    "json": "NEWLINE_DELIMITED_JSON",
    "parquet": "PARQUET",
    "avro": "AVRO",
    "orc": "ORC",
    "idx": "IDX",
}
_BY_ENDING = {
    ".csv": "csv",
    ".txt": "csv",
    ".tsv": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".parquet": "parquet",
    ".avro": "avro",
    ".orc": "orc",
}
LOAD_DETAIL = (
    "The format follows from the name where --source-format is not given. Values that lose digits on their "
    "way into a column are counted and warned of. IDX files (MNIST) come as several: images, then labels."
)
_MOST_ROWS = 100


def load_arguments(parser: Parser) -> None:
    """Those of `load`."""
    add = parser.add_argument
    add("table", metavar="DATASET.TABLE", help="where to; it is made if need be")
    add("sources", nargs="+", metavar="SOURCE", help="a file, or gs:// URLs (with *); for IDX several files")
    add("--source-format", choices=tuple(_FORMATS), metavar="FORMAT", help=", ".join(_FORMATS))
    add("--schema", metavar="FILE|COLUMNS", help="a JSON file of fields, or name:type,…")
    add("--autodetect", action="store_true", help="of CSV and JSON: take columns and types from the file")
    add("--replace", action="store_true", help="in the place of what the table has; else rows are added")
    add("--skip-leading-rows", type=at_least(0), metavar="N", help="of CSV: lines before the first row")
    add("-F", "--field-delimiter", metavar="SIGN", help="of CSV: what stands between values; tab is one")
    add("--null-marker", metavar="TEXT", help="of CSV: what stands for NULL")
    add("--max-bad-records", type=at_least(0), default=0, metavar="N", help="so many bad rows are left out")
    add("--allow-field-addition", action="store_true", help="new columns of the file are added to the table")


def load(arguments: Namespace, session: Session) -> int:
    """Load."""
    tables = opened(session)
    name = tables.name(arguments.table)
    kind = arguments.source_format or _guessed(arguments.sources[0])
    said: dict[str, Any] = {
        "destinationTable": name.resource,
        "sourceFormat": _FORMATS[kind],
        "writeDisposition": "WRITE_TRUNCATE" if arguments.replace else "WRITE_APPEND",
        "autodetect": arguments.autodetect,
        "maxBadRecords": arguments.max_bad_records,
    }
    if arguments.schema:
        said["schema"] = {"fields": read_schema(arguments.schema)}
    for key, value in (
        ("skipLeadingRows", arguments.skip_leading_rows),
        ("fieldDelimiter", arguments.field_delimiter or ("\t" if ".tsv" in arguments.sources[0] else None)),
        ("nullMarker", arguments.null_marker),
    ):
        if value is not None:
            said[key] = value
    if arguments.allow_field_addition:
        said["schemaUpdateOptions"] = ["ALLOW_FIELD_ADDITION"]
    began = time.monotonic()
    remote = [source for source in arguments.sources if source.startswith("gs://")]
    if remote:
        if len(remote) < len(arguments.sources):
            raise UsageError("Files and gs:// URLs cannot be mixed in one load.")
        job = run(session, tables, {"load": said | {"sourceUris": remote}})
    else:
        with _content(arguments.sources, kind) as content:
            job = _sent(session, tables, {"load": said}, content)
    figures = job["statistics"]["load"]
    bad = int(figures.get("badRecords", 0))
    left = f" {bad} bad rows were left out." if bad else ""
    seconds = time.monotonic() - began
    session.say(f"Loaded {int(figures['outputRows']):,} rows into {name} in {seconds:.1f} s.{left}")
    return 0


def query_arguments(parser: Parser) -> None:
    """Those of `query`."""
    add = parser.add_argument
    add("sql", nargs="?", metavar="SQL", help="the query; without, or as -, it is read from standard input")
    add(
        "--parameter",
        action="append",
        default=[],
        type=_parameter,
        metavar="NAME:TYPE:VALUE",
        help="@NAME in the query; without a name, the next ?; TYPE is STRING if left out",
    )
    add("--destination", metavar="DATASET.TABLE", help="keep the rows in this table")
    add("--replace", action="store_true", help="in the place of what the destination has")
    add("--append", action="store_true", help="behind what the destination has")
    add("--dry-run", action="store_true", help="only say what it would read and give")
    add(
        "-n",
        "--max-rows",
        type=at_least(0),
        default=_MOST_ROWS,
        metavar="N",
        help=f"{_MOST_ROWS} if not said",
    )


def query(arguments: Namespace, session: Session) -> int:
    """Run a query."""
    from mlengine.client.tables import values

    text = sys.stdin.read() if arguments.sql in (None, "-") else arguments.sql
    tables = opened(session)
    said: dict[str, Any] = {"query": text, "useLegacySql": False}
    if arguments.parameter:
        named = "name" in arguments.parameter[0]
        if any(("name" in one) != named for one in arguments.parameter):
            raise UsageError("argument --parameter: some have names and some have none.")
        said |= {"parameterMode": "NAMED" if named else "POSITIONAL", "queryParameters": arguments.parameter}
    if arguments.destination:
        said["destinationTable"] = tables.name(arguments.destination).resource
        if arguments.replace or arguments.append:
            said["writeDisposition"] = "WRITE_TRUNCATE" if arguments.replace else "WRITE_APPEND"
    elif arguments.replace or arguments.append:
        raise UsageError("--replace and --append need a --destination.")
    if arguments.dry_run:
        found = tables.look({"query": said})["statistics"]
        show(session, {"totalBytesProcessed": found["totalBytesProcessed"], **found["query"]})
        return 0
    job = run(session, tables, {"query": said})
    told = job["statistics"]["query"]
    if "numDmlAffectedRows" in told:
        session.say(f"{told['numDmlAffectedRows']} rows changed.")
        return 0
    if "schema" not in told:
        session.say(f"{told.get('statementType', 'The statement')} is done.")
        return 0
    fields, total, rows = tables.results(job, most=arguments.max_rows)
    _print(session, fields, (values(fields, row) for row in rows))
    if total > arguments.max_rows:
        session.say(f"{total - arguments.max_rows:,} more rows; --max-rows N shows N.")
    return 0


def head_arguments(parser: Parser) -> None:
    """Those of `head`."""
    parser.add_argument("table", metavar="DATASET.TABLE", help="the table")
    parser.add_argument("-n", "--max-rows", type=at_least(1), default=10, metavar="N", help="10 if not said")
    parser.add_argument("-s", "--start-row", type=at_least(0), default=0, metavar="N", help="rows to skip")


def head(arguments: Namespace, session: Session) -> int:
    """Print rows."""
    from mlengine.client.tables import values

    tables = opened(session)
    name = tables.name(arguments.table)
    fields = tables.table(name).get("schema", {}).get("fields", [])
    rows = tables.rows(name, start=arguments.start_row, most=arguments.max_rows)
    _print(session, fields, (values(fields, row) for row in rows))
    return 0


def insert_arguments(parser: Parser) -> None:
    """Those of `insert`."""
    parser.add_argument("table", metavar="DATASET.TABLE", help="the table")
    parser.add_argument(
        "file", nargs="?", metavar="FILE", help="JSON objects, one a line; else standard input"
    )


def insert(arguments: Namespace, session: Session) -> int:
    """Add rows."""
    tables = opened(session)
    name = tables.name(arguments.table)
    text = Path(arguments.file).read_text(encoding="utf-8") if arguments.file else sys.stdin.read()
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            raise InvalidArgument(f"Line {number} is not JSON: {error}.") from None
        if not isinstance(value, dict):
            raise InvalidArgument(f"Line {number} is no JSON object.")
        rows.append(value)
    errors = tables.insert(name, rows) if rows else []
    for one in errors:
        for found in one["errors"]:
            if found.get("reason") != "stopped":
                place = f"row {one['index'] + 1}, {found.get('location', '')}"
                session.error(f"{place}: {found.get('message', '')}")
    if errors:
        session.error("No row was inserted.")
        return 1
    session.say(f"Inserted {len(rows)} rows into {name}.")
    return 0


def _guessed(source: str) -> str:
    name = source.lower().removesuffix(".gz")
    if "ubyte" in name.rpartition("/")[2] or name.endswith(".idx"):
        return "idx"
    found = _BY_ENDING.get(Path(name).suffix)
    if found is None:
        raise UsageError(
            f"The format of {source} does not follow from its name.",
            hint=f"Say it: --source-format {'|'.join(_FORMATS)}",
        )
    return found


def _content(sources: list[str], kind: str) -> IO[bytes]:
    for source in sources:
        if not Path(source).is_file():
            raise InvalidArgument(f"There is no file {source}.")
    if kind == "idx":
        whole: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
        for source in sources:
            with Path(source).open("rb") as file:
                packed = file.read(2) == b"\x1f\x8b"
            with gzip.open(source) if packed else Path(source).open("rb") as plain:
                shutil.copyfileobj(plain, whole, 1 << 20)
        return whole
    if len(sources) > 1:
        raise UsageError(
            "Several files at once are for IDX only.",
            hint="Load one after the other, or put them into a bucket and load gs://BUCKET/*",
        )
    return Path(sources[0]).open("rb")


def _sent(session: Session, tables: Any, configuration: dict[str, Any], content: IO[bytes]) -> dict[str, Any]:
    from mlengine.cli.storage_progress import Display

    display = Display(session, total=content.seek(0, os.SEEK_END))
    try:
        return run(
            session,
            tables,
            configuration,
            content=content,
            tell=lambda position, carried: display.at(0, position, carried),
        )
    finally:
        display.close()


def _parameter(text: str) -> dict[str, Any]:
    parts = text.split(":", 2)
    if len(parts) != 3:
        raise ArgumentTypeError(f"'{text}' cannot be read. Write NAME:TYPE:VALUE, as in limit:INT64:10")
    name, kind, value = parts
    found: dict[str, Any] = {"parameterType": {"type": (kind or "STRING").upper()}}
    if value != "NULL":
        found["parameterValue"] = {"value": value}
    return {"name": name, **found} if name else found


def _print(session: Session, fields: list[dict[str, Any]], rows: Iterable[dict[str, Any]]) -> None:
    from mlengine.cli.formats.keys import quoted

    show_list(session, rows, [Column(quoted(field["name"]), field["name"], show=_shown) for field in fields])


def _shown(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | dict):
        text = json.dumps(value, ensure_ascii=False)
        return text if len(text) <= 60 else f"{text[:57]}..."
    return str(value)
