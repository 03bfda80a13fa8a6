"""`mlengine predict`."""

from __future__ import annotations

from argparse import Namespace

from mlengine.cli.command import Command
from mlengine.cli.grammar import Parser
from mlengine.cli.predictions import ask, input_flags
from mlengine.cli.session import Session


def _arguments(parser: Parser) -> None:
    parser.add_argument("--model", required=True, metavar="MODEL", help="the model")
    parser.add_argument(
        "--version", default="", metavar="VERSION", help="default: the model's default version"
    )
    parser.region_flag()
    input_flags(parser)


def _run(arguments: Namespace, session: Session) -> int:
    return ask(arguments, session, lambda body: session.api.predict(arguments.model, arguments.version, body))


COMMANDS = (
    Command(
        words="predict",
        summary="Ask a deployed version for predictions.",
        arguments=_arguments,
        run=_run,
        detail="Any number of instances: they are sent in runs of 100.",
        example="predict --model titanic --json-instances test.json",
    ),
)
