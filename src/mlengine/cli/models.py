"""`mlengine models …`."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from mlengine.cli.command import Command, UsageError
from mlengine.cli.grammar import Parser, comma_list, mapping
from mlengine.cli.output import Column, basename, show, show_list
from mlengine.cli.session import Session

COLUMNS = (
    Column("name", show=basename),
    Column("defaultVersion.name", "DEFAULT_VERSION_NAME", basename),
)


def _model(parser: Parser) -> None:
    parser.add_argument("model", metavar="MODEL", help="the model's id")
    parser.region_flag()


def _create_arguments(parser: Parser) -> None:
    parser.add_argument("model", metavar="MODEL", help="the model's id")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--regions", type=comma_list, metavar="REGION", help="one region, kept with the model")
    where.add_argument("--region", metavar="REGION", help="the same")
    parser.add_argument("--description", default="", metavar="TEXT", help="free text")
    parser.add_argument(
        "--labels", type=mapping, default={}, metavar="KEY=VALUE,...", help="labels of the model"
    )
    parser.later("--enable-logging", "--enable-console-logging")


def _create(arguments: Namespace, session: Session) -> int:
    regions = arguments.regions or ((arguments.region,) if arguments.region else ("us-central1",))
    if len(regions) > 1:
        raise UsageError(f"argument --regions: one region is possible, {len(regions)} are given.")
    body: dict[str, Any] = {
        "name": arguments.model,
        "regions": list(regions),
        "onlinePredictionLogging": False,
        "onlinePredictionConsoleLogging": False,
    }
    body |= {"description": arguments.description} if arguments.description else {}
    body |= {"labels": arguments.labels} if arguments.labels else {}
    model = session.api.create_model(body)
    session.say(f"Created ai platform model [{model['name']}].")
    return 0


def _list_arguments(parser: Parser) -> None:
    parser.list_flags()
    parser.region_flag()


def _list(arguments: Namespace, session: Session) -> int:
    show_list(session, session.api.models(limit=arguments.limit), COLUMNS)
    return 0


def _describe(arguments: Namespace, session: Session) -> int:
    show(session, session.api.model(arguments.model))
    return 0


def _delete(arguments: Namespace, session: Session) -> int:
    from mlengine.cli.progress import wait

    if not session.confirm(f"This will delete model [{arguments.model}]..."):
        session.say("Aborted by user.")
        return 1
    return wait(session, session.api.delete_model(arguments.model), f"Deleting model [{arguments.model}]")


COMMANDS = (
    Command(words="models create", summary="Create a model.", arguments=_create_arguments, run=_create),
    Command(words="models list", summary="List models.", arguments=_list_arguments, run=_list),
    Command(words="models describe", summary="Show one model.", arguments=_model, run=_describe),
    Command(
        words="models delete", summary="Delete a model that has no versions.", arguments=_model, run=_delete
    ),
)
