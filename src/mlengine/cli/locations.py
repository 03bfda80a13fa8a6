"""`mlengine locations …`."""

from __future__ import annotations

from argparse import Namespace

from mlengine.cli.command import Command
from mlengine.cli.grammar import Parser
from mlengine.cli.output import show, show_list
from mlengine.cli.session import Session
from mlengine.regions import REGIONS

TABLE = "table(name, capabilities.type, capabilities.availableAccelerators.list(separator=','))"


def _location(parser: Parser) -> None:
    parser.add_argument("location", metavar="LOCATION", help="the location's id: us-central1")
    parser.region_flag(regions=REGIONS)


def _list(_arguments: Namespace, session: Session) -> int:
    show_list(session, session.api.locations(), TABLE)
    return 0


def _describe(arguments: Namespace, session: Session) -> int:
    show(session, session.api.location(arguments.location), columns="json")
    return 0


COMMANDS = (
    Command(
        words="locations list",
        summary="List the places where work is done.",
        arguments=Parser.list_flags,
        run=_list,
        example="locations list",
    ),
    Command(
        words="locations describe",
        summary="Show what is possible in a place.",
        arguments=_location,
        run=_describe,
        example="locations describe us-central1",
    ),
)
