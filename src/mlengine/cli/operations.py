"""`mlengine operations …`."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from mlengine.cli.command import Command
from mlengine.cli.grammar import Parser
from mlengine.cli.output import Column, basename, show, show_list
from mlengine.cli.session import Session

COLUMNS = (
    Column("name", show=basename),
    Column("metadata.operationType", "OPERATION_TYPE"),
    Column("done", show=lambda done: "True" if done else ""),
)


def _operation(parser: Parser) -> None:
    parser.add_argument("operation", metavar="OPERATION", help="the operation's id, or its whole name")
    parser.region_flag()


def _list_arguments(parser: Parser) -> None:
    parser.list_flags()
    parser.region_flag()


def _list(arguments: Namespace, session: Session) -> int:
    show_list(session, session.api.operations(limit=arguments.limit), COLUMNS)
    return 0


def _describe(arguments: Namespace, session: Session) -> int:
    show(session, session.api.operation(arguments.operation))
    return 0


def _wait(arguments: Namespace, session: Session) -> int:
    from mlengine.cli.progress import wait

    operation: dict[str, Any] = session.api.operation(arguments.operation)
    return wait(session, operation, f"Waiting for operation [{operation['name'].rpartition('/')[2]}]")


COMMANDS = (
    Command(words="operations list", summary="List operations.", arguments=_list_arguments, run=_list),
    Command(words="operations describe", summary="Show one operation.", arguments=_operation, run=_describe),
    Command(words="operations wait", summary="Wait until one is done.", arguments=_operation, run=_wait),
)
