"""`mlengine models …`."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from mlengine.cli import policies
from mlengine.cli.command import Command, UsageError
from mlengine.cli.grammar import ENDPOINTS, Parser, comma_list, mapping
from mlengine.cli.output import show, show_list
from mlengine.cli.session import Session

TABLE = "table(name.basename(), defaultVersion.name.basename():label=DEFAULT_VERSION_NAME)"


def _model(parser: Parser) -> None:
    parser.add_argument("model", metavar="MODEL", help="the model's id")
    parser.region_flag()


def _create_arguments(parser: Parser) -> None:
    parser.add_argument("model", metavar="MODEL", help="the model's id")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--regions", type=comma_list, metavar="REGION", help="one region, kept with the model")
    where.add_argument("--region", choices=ENDPOINTS, metavar="REGION", help="the same")
    parser.add_argument("--description", default="", metavar="TEXT", help="free text")
    parser.add_argument(
        "--labels", type=mapping, default={}, metavar="KEY=VALUE,...", help="labels of the model"
    )
    parser.switch("--enable-logging", "log each prediction's request")
    parser.switch("--enable-console-logging", "log what the model's code prints")


def _create(arguments: Namespace, session: Session) -> int:
    region = "" if arguments.region == "global" else arguments.region
    regions = arguments.regions or ((region,) if region else ("us-central1",))
    if len(regions) > 1:
        raise UsageError(f"argument --regions: one region is possible, {len(regions)} are given.")
    body: dict[str, Any] = {
        "name": arguments.model,
        "regions": list(regions),
        "onlinePredictionLogging": arguments.enable_logging,
        "onlinePredictionConsoleLogging": arguments.enable_console_logging,
    }
    body |= {"description": arguments.description} if arguments.description else {}
    body |= {"labels": arguments.labels} if arguments.labels else {}
    model = session.api.create_model(body)
    session.say(f"Created ai platform model [{model['name']}].")
    return 0


def _list_arguments(parser: Parser) -> None:
    parser.list_flags()
    parser.region_flag()


def _list(_arguments: Namespace, session: Session) -> int:
    show_list(session, session.api.models(), TABLE)
    return 0


def _describe(arguments: Namespace, session: Session) -> int:
    show(session, session.api.model(arguments.model))
    return 0


def _update_arguments(parser: Parser) -> None:
    _model(parser)
    parser.add_argument("--description", metavar="TEXT", help="free text")
    parser.label_flags()


def _update(arguments: Namespace, session: Session) -> int:
    from mlengine.cli.progress import wait
    from mlengine.client.updates import Labels, nothing_asked

    labels = Labels(
        update=arguments.update_labels, remove=arguments.remove_labels, clear=arguments.clear_labels
    )
    if not labels.asked and arguments.description is None:
        raise nothing_asked()
    body: dict[str, Any] = {}
    if labels.asked:
        wanted = labels.changed(session.api.model(arguments.model).get("labels", {}))
        body |= {} if wanted is None else {"labels": wanted}
    if arguments.description is not None:
        body["description"] = arguments.description
    if not body:
        session.say("No update to perform.")
        return 0
    operation = session.api.update_model(arguments.model, body, mask=",".join(body))
    code = wait(session, operation, f"Updating model [{arguments.model}]")
    if not code:
        session.say(f"Updated ai platform model [{arguments.model}].")
    return code


def _delete(arguments: Namespace, session: Session) -> int:
    from mlengine.cli.progress import wait

    if not session.confirm(f"This will delete model [{arguments.model}]..."):
        session.say("Aborted by user.")
        return 1
    return wait(session, session.api.delete_model(arguments.model), f"Deleting model [{arguments.model}]")


COMMANDS = (
    Command(
        words="models create",
        summary="Create a model.",
        arguments=_create_arguments,
        run=_create,
        example="models create titanic --regions us-central1",
    ),
    Command(
        words="models list",
        summary="List models.",
        arguments=_list_arguments,
        run=_list,
        example="models list --filter labels.team=a --sort-by name",
    ),
    Command(
        words="models describe",
        summary="Show one model.",
        arguments=_model,
        run=_describe,
        example="models describe titanic",
    ),
    Command(
        words="models update",
        summary="Change a model's description or labels.",
        arguments=_update_arguments,
        run=_update,
        example="models update titanic --description 'who survives' --update-labels team=a",
    ),
    Command(
        words="models delete",
        summary="Delete a model that has no versions.",
        arguments=_model,
        run=_delete,
        example="models delete titanic --quiet",
    ),
    *policies.commands(
        "models",
        metavar="MODEL",
        resource=lambda arguments, session: (
            f"projects/{session.project}/models/{policies.part(arguments.name)}"
        ),
        region=True,
    ),
)
