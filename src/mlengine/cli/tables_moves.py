"""`mlengine tables cp|snapshot|extract|split|shuffle|update`: tables that come of tables."""

from __future__ import annotations

from argparse import ArgumentTypeError, Namespace
from typing import Any

from mlengine.cli.grammar import Parser, at_least, comma_list, mapping
from mlengine.cli.session import Session
from mlengine.cli.tables_schema import read_schema
from mlengine.cli.tables_session import opened, run
from mlengine.errors import InvalidArgument

SPLIT_DETAIL = (
    "Which part a row goes to, and its place in an order, follow from the MD5 of SEED:PLACE, where PLACE "
    "counts the rows from 0. The same content, seed and ratios give the same parts everywhere."
)
_FORMATS = {"csv": "CSV", "json": "NEWLINE_DELIMITED_JSON", "parquet": "PARQUET"}
_ENDINGS = {".csv": "csv", ".json": "json", ".jsonl": "json", ".ndjson": "json", ".parquet": "parquet"}


def cp_arguments(parser: Parser) -> None:
    """Those of `cp`."""
    parser.add_argument("sources", nargs="+", metavar="DATASET.TABLE[@MS]", help="tables of the same columns")
    parser.add_argument("target", metavar="DATASET.TABLE", help="the copy")
    _disposition(parser)


def cp(arguments: Namespace, session: Session) -> int:
    """Copy."""
    return _copy(arguments.sources, arguments.target, session, said=_written(arguments))


def snapshot_arguments(parser: Parser) -> None:
    """Those of `snapshot`."""
    parser.add_argument("source", metavar="DATASET.TABLE[@MS]", help="the table")
    parser.add_argument("target", metavar="DATASET.TABLE", help="the snapshot")


def snapshot(arguments: Namespace, session: Session) -> int:
    """Keep a table as it is."""
    return _copy([arguments.source], arguments.target, session, said={"operationType": "SNAPSHOT"})


def _copy(sources: list[str], target: str, session: Session, *, said: dict[str, Any]) -> int:
    tables = opened(session)
    name = tables.name(target)
    found = [tables.name(source).resource for source in sources]
    job = run(session, tables, {"copy": {"sourceTables": found, "destinationTable": name.resource, **said}})
    session.say(f"Copied {int(job['statistics']['copy']['copiedRows']):,} rows to {name}.")
    return 0


def extract_arguments(parser: Parser) -> None:
    """Those of `extract`."""
    add = parser.add_argument
    add("table", metavar="DATASET.TABLE", help="the table")
    add("url", metavar="gs://BUCKET/OBJECT", help="where to")
    add("--destination-format", choices=tuple(_FORMATS), metavar="FORMAT", help=", ".join(_FORMATS))
    add("--compression", metavar="KIND", help="gzip; of Parquet snappy and zstd, too")
    add("-F", "--field-delimiter", metavar="SIGN", help="of CSV: what stands between values")
    parser.switch("--print-header", "of CSV: a first line with the names, which is written unless --no-…")
    parser.set_defaults(print_header=True)


def extract(arguments: Namespace, session: Session) -> int:
    """Write into a bucket."""
    tables = opened(session)
    name = tables.name(arguments.table)
    plain = arguments.url.removesuffix(".gz")
    kind = arguments.destination_format or _ENDINGS.get(plain[plain.rfind(".") :], "csv")
    packed = "GZIP" if arguments.url.endswith(".gz") else "NONE"
    said: dict[str, Any] = {
        "sourceTable": name.resource,
        "destinationUris": [arguments.url],
        "destinationFormat": _FORMATS[kind],
        "compression": arguments.compression.upper() if arguments.compression else packed,
        "printHeader": arguments.print_header,
    }
    if arguments.field_delimiter:
        said["fieldDelimiter"] = arguments.field_delimiter
    run(session, tables, {"extract": said})
    session.say(f"Wrote {name} to {arguments.url}.")
    return 0


def split_arguments(parser: Parser) -> None:
    """Those of `split`."""
    add = parser.add_argument
    add("table", metavar="DATASET.TABLE[@MS]", help="the table")
    add("--into", required=True, type=comma_list, metavar="DATASET.TABLE,...", help="the parts")
    add("--ratios", type=_ratios, metavar="0.8,0.2", help="the share of each; equal ones if not said")
    add("--seed", type=at_least(0), default=0, metavar="N", help="another seed, another split; 0 if not said")
    add("--shuffle", action="store_true", help="the rows of each part in the order of their ranks")
    _disposition(parser)


def split(arguments: Namespace, session: Session) -> int:
    """Deal rows out."""
    said = {"ratios": arguments.ratios} if arguments.ratios else {}
    return _split(arguments, session, into=arguments.into, said=said, shuffle=arguments.shuffle)


def shuffle_arguments(parser: Parser) -> None:
    """Those of `shuffle`."""
    add = parser.add_argument
    add("table", metavar="DATASET.TABLE[@MS]", help="the table")
    add("target", metavar="DATASET.TABLE", help="the copy; may be the table itself with --replace")
    add("--seed", type=at_least(0), default=0, metavar="N", help="another seed, another order; 0 if not said")
    _disposition(parser)


def shuffle(arguments: Namespace, session: Session) -> int:
    """Put rows into another order."""
    return _split(arguments, session, into=[arguments.target], said={}, shuffle=True)


def _split(
    arguments: Namespace, session: Session, *, into: list[str], said: dict[str, Any], shuffle: bool
) -> int:
    tables = opened(session)
    targets = [tables.name(text) for text in into]
    configuration = {
        "sourceTable": tables.name(arguments.table).resource,
        "destinationTables": [target.resource for target in targets],
        "seed": str(arguments.seed),
        "shuffle": shuffle,
        **said,
        **_written(arguments),
    }
    job = run(session, tables, {"split": configuration})
    for target, rows in zip(targets, job["statistics"]["split"]["outputRows"], strict=True):
        session.say(f"{target}: {int(rows):,} rows")
    return 0


def update_arguments(parser: Parser) -> None:
    """Those of `update`."""
    parser.add_argument("table", metavar="DATASET.TABLE", help="the table")
    parser.add_argument("--description", metavar="TEXT", help="free text")
    parser.add_argument(
        "--add-columns", metavar="FILE|COLUMNS", help="as --schema of mk; rows have NULL there"
    )
    parser.add_argument(
        "--set-labels", type=mapping, default={}, metavar="KEY=VALUE,...", help="labels to set"
    )


def update(arguments: Namespace, session: Session) -> int:
    """Change what is said of a table."""
    tables = opened(session)
    name = tables.name(arguments.table)
    said: dict[str, Any] = {}
    if arguments.description is not None:
        said["description"] = arguments.description
    if arguments.set_labels:
        said["labels"] = arguments.set_labels
    if arguments.add_columns:
        fields = tables.table(name)["schema"]["fields"]
        said["schema"] = {"fields": [*fields, *read_schema(arguments.add_columns)]}
    if not said:
        raise InvalidArgument(
            "There is nothing to change.", hint="--description, --set-labels or --add-columns"
        )
    tables.change_table(name, said)
    session.say(f"Changed {name}.")
    return 0


def _disposition(parser: Parser) -> None:
    parser.add_argument("--replace", action="store_true", help="in the place of what is there")
    parser.add_argument("--append", action="store_true", help="behind what is there")


def _written(arguments: Namespace) -> dict[str, Any]:
    if arguments.replace and arguments.append:
        raise InvalidArgument("--replace and --append exclude each other.")
    if arguments.replace or arguments.append:
        return {"writeDisposition": "WRITE_TRUNCATE" if arguments.replace else "WRITE_APPEND"}
    return {}


def _ratios(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise ArgumentTypeError(f"'{text}' is no list of numbers. Like 0.8,0.2") from None
