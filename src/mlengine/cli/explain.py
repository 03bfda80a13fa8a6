"""`mlengine explain`."""

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
    input_flags(parser, signature=False)


def _run(arguments: Namespace, session: Session) -> int:
    return ask(arguments, session, lambda body: session.api.explain(arguments.model, arguments.version, body))


COMMANDS = (
    Command(
        words="explain",
        summary="Ask a deployed version what its predictions rest on.",
        arguments=_arguments,
        run=_run,
        detail="Answered by versions that were created with --explanation-method.",
        example="explain --model titanic --json-instances test.json",
    ),
)
