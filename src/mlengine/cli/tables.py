"""`mlengine tables …`: bq's verbs. Here: the list of all, making, looking and removing."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from typing import Any

from mlengine.cli import tables_moves, tables_rows
from mlengine.cli.command import Command
from mlengine.cli.grammar import Parser, mapping
from mlengine.cli.output import Column, show, show_list
from mlengine.cli.session import Session
from mlengine.cli.tables_schema import read_schema, spelled
from mlengine.cli.tables_session import opened
from mlengine.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound

_DATASETS = (Column("datasetReference.datasetId", "DATASET"), Column("location"))
_TABLES = (
    Column("tableReference.tableId", "TABLE"),
    Column("type"),
    Column("rows"),
    Column("bytes"),
    Column("labels", show=lambda value: ",".join(f"{key}:{text}" for key, text in (value or {}).items())),
)


def _mk_arguments(parser: Parser) -> None:
    parser.add_argument("name", metavar="DATASET[.TABLE]", help="a dataset, or a table in one")
    parser.add_argument(
        "--schema", metavar="FILE|COLUMNS", help="a JSON file of fields, or name:type,… (ARRAY<FLOAT64> too)"
    )
    parser.add_argument("--view", metavar="SQL", help="make a view with this query")
    parser.add_argument("--description", metavar="TEXT", help="free text")
    parser.add_argument("--labels", type=mapping, default={}, metavar="KEY=VALUE,...", help="labels to set")
    parser.add_argument("--time-partitioning-field", metavar="COLUMN", help="a DATE, DATETIME or TIMESTAMP")
    parser.add_argument("--clustering-fields", metavar="COLUMN,...", help="kept with the table")
    parser.add_argument("-f", "--force", action="store_true", help="what is there already is no error")


def _mk(arguments: Namespace, session: Session) -> int:
    tables = opened(session)
    said: dict[str, Any] = {}
    if arguments.description:
        said["description"] = arguments.description
    if arguments.labels:
        said["labels"] = arguments.labels
    of_table = ("schema", "view", "time_partitioning_field", "clustering_fields")
    try:
        if "." not in arguments.name and ":" not in arguments.name:
            for name in of_table:
                if getattr(arguments, name):
                    flag = f"--{name.replace('_', '-')}"
                    raise InvalidArgument(f"{flag} is for a table.", hint=f"Write {arguments.name}.TABLE")
            tables.make_dataset(arguments.name, said)
            session.say(f"Dataset {session.project}:{arguments.name} is made.")
            return 0
        where = tables.name(arguments.name)
        if arguments.schema:
            said["schema"] = {"fields": read_schema(arguments.schema)}
        if arguments.view:
            said["view"] = {"query": arguments.view, "useLegacySql": False}
        if arguments.time_partitioning_field:
            said["timePartitioning"] = {"type": "DAY", "field": arguments.time_partitioning_field}
        if arguments.clustering_fields:
            said["clustering"] = {"fields": arguments.clustering_fields.split(",")}
        tables.make_table(where, said)
        session.say(f"{'View' if arguments.view else 'Table'} {where} is made.")
    except AlreadyExists:
        if not arguments.force:
            raise
    return 0


def _show_arguments(parser: Parser) -> None:
    parser.add_argument("name", metavar="DATASET[.TABLE]", help="a dataset, or a table in one")
    parser.add_argument("--schema", action="store_true", help="of a table: its columns only, one a line")


def _show(arguments: Namespace, session: Session) -> int:
    tables = opened(session)
    if "." not in arguments.name and ":" not in arguments.name:
        show(session, tables.dataset(arguments.name), columns=_DATASETS)
        return 0
    found = tables.table(tables.name(arguments.name))
    if arguments.schema and not session.format:
        for line in spelled(found["schema"]["fields"]):
            print(line)
        return 0
    show(session, found["schema"] if arguments.schema else found, columns=_TABLES)
    return 0


def _ls_arguments(parser: Parser) -> None:
    parser.add_argument("dataset", nargs="?", metavar="DATASET", help="its tables; without, the datasets")
    parser.list_flags()


def _ls(arguments: Namespace, session: Session) -> int:
    tables = opened(session)
    if not arguments.dataset:
        show_list(session, tables.datasets(), _DATASETS)
        return 0

    def found() -> Iterator[dict[str, Any]]:
        for entry in tables.tables(arguments.dataset):
            whole = tables.table(tables.name(f"{arguments.dataset}.{entry['tableReference']['tableId']}"))
            yield entry | {"rows": whole.get("numRows", ""), "bytes": whole.get("numBytes", "")}

    show_list(session, found(), _TABLES)
    return 0


def _rm_arguments(parser: Parser) -> None:
    parser.add_argument("names", nargs="+", metavar="DATASET[.TABLE]", help="datasets and tables")
    parser.add_argument("-r", "-R", "--recursive", action="store_true", help="datasets with all in them")
    parser.add_argument("-f", "--force", action="store_true", help="no question; missing is no error")


def _rm(arguments: Namespace, session: Session) -> int:
    tables = opened(session)
    told = ", ".join(arguments.names)
    if not arguments.force and not session.confirm(f"{told} will be removed."):
        return 1
    for text in arguments.names:
        try:
            if "." in text or ":" in text:
                tables.delete_table(tables.name(text))
            else:
                tables.delete_dataset(text, contents=arguments.recursive)
        except NotFound:
            if not arguments.force:
                raise
            continue
        except FailedPrecondition as problem:
            raise FailedPrecondition(
                problem.message,
                hint=f"With its tables: mlengine tables rm -r {text}",
                details=problem.details,
            ) from None
        session.say(f"Removed {text}.")
    return 0


COMMANDS = (
    Command(
        words="tables mk",
        summary="Make a dataset, a table or a view.",
        arguments=_mk_arguments,
        run=_mk,
        example="tables mk mnist.train --schema label:INT64,image:ARRAY<FLOAT64>",
    ),
    Command(
        words="tables load",
        summary="Load a file into a table: all of it or nothing.",
        arguments=tables_rows.load_arguments,
        run=tables_rows.load,
        detail=tables_rows.LOAD_DETAIL,
        example="tables load mnist.train train-images-idx3-ubyte.gz train-labels-idx1-ubyte.gz",
    ),
    Command(
        words="tables query",
        summary="Run a query in GoogleSQL and print its rows.",
        arguments=tables_rows.query_arguments,
        run=tables_rows.query,
        example='tables query "SELECT label, COUNT(*) AS n FROM mnist.train GROUP BY label"',
    ),
    Command(
        words="tables head",
        summary="Print the first rows of a table.",
        arguments=tables_rows.head_arguments,
        run=tables_rows.head,
    ),
    Command(
        words="tables insert",
        summary="Add rows from JSON, one a line.",
        arguments=tables_rows.insert_arguments,
        run=tables_rows.insert,
    ),
    Command(
        words="tables show",
        summary="Show what is known about a dataset or table.",
        arguments=_show_arguments,
        run=_show,
    ),
    Command(words="tables ls", summary="List datasets, or tables.", arguments=_ls_arguments, run=_ls),
    Command(
        words="tables update",
        summary="Change what is said of a table, or add columns.",
        arguments=tables_moves.update_arguments,
        run=tables_moves.update,
    ),
    Command(
        words="tables cp",
        summary="Copy tables, or what a table held at a time.",
        arguments=tables_moves.cp_arguments,
        run=tables_moves.cp,
        detail="DATASET.TABLE@MILLISECONDS is the table at that time, up to 7 days ago, deleted ones too.",
    ),
    Command(
        words="tables snapshot",
        summary="Keep what a table holds now as a table that never changes.",
        arguments=tables_moves.snapshot_arguments,
        run=tables_moves.snapshot,
    ),
    Command(
        words="tables extract",
        summary="Write a table into a bucket.",
        arguments=tables_moves.extract_arguments,
        run=tables_moves.extract,
        example="tables extract mnist.train gs://bucket/train.parquet",
    ),
    Command(
        words="tables split",
        summary="Deal the rows of a table out to others, the same way for the same seed.",
        arguments=tables_moves.split_arguments,
        run=tables_moves.split,
        detail=tables_moves.SPLIT_DETAIL,
        example="tables split mnist.all --seed 7 --ratios 0.8,0.2 --into mnist.train,mnist.eval",
    ),
    Command(
        words="tables shuffle",
        summary="Copy a table with its rows in an order that a seed gives.",
        arguments=tables_moves.shuffle_arguments,
        run=tables_moves.shuffle,
        detail=tables_moves.SPLIT_DETAIL,
    ),
    Command(words="tables rm", summary="Remove datasets and tables.", arguments=_rm_arguments, run=_rm),
)
