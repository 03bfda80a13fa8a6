"""`mlengine operations …`."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from mlengine.cli.command import Command
from mlengine.cli.grammar import Parser
from mlengine.cli.output import show, show_list
from mlengine.cli.session import Session
from mlengine.regions import REGIONS

TABLE = "table(name.basename(), metadata.operationType, done)"


def _operation(parser: Parser) -> None:
    parser.add_argument("operation", metavar="OPERATION", help="the operation's id, or its whole name")
    parser.region_flag(regions=REGIONS)


def _list_arguments(parser: Parser) -> None:
    parser.list_flags()
    parser.region_flag(regions=REGIONS)


def _list(_arguments: Namespace, session: Session) -> int:
    show_list(session, session.api.operations(), TABLE)
    return 0


def _describe(arguments: Namespace, session: Session) -> int:
    show(session, session.api.operation(arguments.operation))
    return 0


def _cancel(arguments: Namespace, session: Session) -> int:
    session.api.cancel_operation(arguments.operation)
    return 0


def _wait(arguments: Namespace, session: Session) -> int:
    from mlengine.cli.progress import wait

    operation: dict[str, Any] = session.api.operation(arguments.operation)
    return wait(session, operation, f"Waiting for operation [{operation['name'].rpartition('/')[2]}]")


COMMANDS = (
    Command(
        words="operations list",
        summary="List operations.",
        arguments=_list_arguments,
        run=_list,
        example="operations list --filter 'NOT done=true'",
    ),
    Command(
        words="operations describe",
        summary="Show one operation.",
        arguments=_operation,
        run=_describe,
        example="operations describe OPERATION",
    ),
    Command(
        words="operations cancel",
        summary="End an operation early.",
        arguments=_operation,
        run=_cancel,
        example="operations cancel OPERATION",
    ),
    Command(
        words="operations wait",
        summary="Wait until one is done.",
        arguments=_operation,
        run=_wait,
        example="operations wait OPERATION",
    ),
)
