"""`mlengine models …`."""

from __future__ import annotations

from argparse import ArgumentTypeError, Namespace
from typing import Any

from mlengine.cli import monitoring, policies
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
    _show(session, session.api.model(arguments.model))
    return 0


def _show(session: Session, model: dict[str, Any]) -> None:
    from mlengine.cli.version_words import of_traffic

    show(session, model)
    for line in of_traffic(model):
        session.say(line)


def _traffic_arguments(parser: Parser) -> None:
    _model(parser)
    parser.add_argument(
        "--split", type=_percents, metavar="VERSION=PERCENT,...", help="who answers how much; 100 together"
    )
    copies = parser.add_mutually_exclusive_group()
    copies.add_argument(
        "--shadow",
        type=_fractions,
        metavar="VERSION=SHARE,...",
        help="who gets copies of how much; their answers are counted and thrown away",
    )
    copies.add_argument("--clear-shadow", action="store_true", help="let nobody get copies")


def _set_traffic(arguments: Namespace, session: Session) -> int:
    body: dict[str, Any] = {}
    if arguments.split is not None:
        body["split"] = arguments.split
    if arguments.shadow is not None or arguments.clear_shadow:
        body["shadow"] = arguments.shadow or {}
    if not body:
        raise UsageError("argument --split: Must be specified, or --shadow, or --clear-shadow.")
    _show(session, session.api.set_traffic(arguments.model, body))
    return 0


def _roll_back(arguments: Namespace, session: Session) -> int:
    _show(session, session.api.roll_back(arguments.model))
    return 0


def _percents(text: str) -> dict[str, int]:
    """`v1=90,v2=10`, with or without signs of percent."""
    found = {}
    for version, share in mapping(text).items():
        if not share.removesuffix("%").isdecimal():
            raise ArgumentTypeError(f"[{version}={share}]: a share is a whole number of percent.")
        found[version] = int(share.removesuffix("%"))
    return found


def _fractions(text: str) -> dict[str, float]:
    """`v3=50%`, or as a fraction `v3=0.5`."""
    found = {}
    for version, share in mapping(text).items():
        try:
            part = float(share.removesuffix("%")) / (100 if share.endswith("%") else 1)
        except ValueError:
            part = -1.0
        if not 0 <= part <= 1:
            raise ArgumentTypeError(f"[{version}={share}]: write 50%, or 0.5.")
        found[version] = part
    return found


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
    Command(
        words="models set-traffic",
        summary="Divide a model's requests between versions, and copy some to others.",
        arguments=_traffic_arguments,
        run=_set_traffic,
        detail="For requests that name no version. A split of one version makes it the default.",
        example="models set-traffic titanic --split v1=90,v2=10 --shadow v3=50%",
    ),
    Command(
        words="models roll-back",
        summary="Let answer what did before the last change of default or split.",
        arguments=_model,
        run=_roll_back,
        detail="Again, it goes one change further back.",
        example="models roll-back titanic",
    ),
    *monitoring.OF_MODELS,
    *policies.commands(
        "models",
        metavar="MODEL",
        resource=lambda arguments, session: (
            f"projects/{session.project}/models/{policies.part(arguments.name)}"
        ),
        region=True,
    ),
)
