"""`mlengine versions …`."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from mlengine.cli import monitoring, version_words, versions_serving, versions_settings
from mlengine.cli.command import Command
from mlengine.cli.grammar import Parser, choice, mapping
from mlengine.cli.output import show, show_list
from mlengine.cli.session import Session

TABLE = "table(name.basename(), deploymentUri, state)"
_FRAMEWORKS = ("tensorflow", "scikit-learn", "xgboost", "lightgbm", "keras", "pytorch", "onnx")


def _version(parser: Parser) -> None:
    parser.add_argument("version", metavar="VERSION", help="the version's id")
    _of_model(parser)


def _of_model(parser: Parser) -> None:
    parser.add_argument("--model", required=True, metavar="MODEL", help="the model it belongs to")
    parser.region_flag()


def _create_arguments(parser: Parser) -> None:
    _version(parser)
    add = parser.add_argument
    add("--origin", metavar="DIR", help="folder of the exported model: gs://... or a local one")
    add("--staging-bucket", default="", metavar="gs://...", help="where a local model is uploaded to")
    add("--runtime-version", metavar="V", help="see: mlengine runtimes list")
    add("--python-version", metavar="V", help="checked against the runtime version")
    add(
        "--framework",
        type=choice(_FRAMEWORKS),
        choices=_FRAMEWORKS,
        metavar="F",
        help=f"{', '.join(_FRAMEWORKS)}; default: told by the files",
    )
    add("--description", metavar="TEXT", help="free text")
    add("--labels", type=mapping, default={}, metavar="KEY=VALUE,...", help="labels of the version")
    add("--config", metavar="FILE", help="YAML file of a Version; flags win over it")
    add("--async", action="store_true", dest="asynchronous", help="do not wait until it is ready")
    versions_settings.flags(parser)


def _create(arguments: Namespace, session: Session) -> int:
    from mlengine.cli.progress import wait
    from mlengine.client.deployment import create, read_config
    from mlengine.client.submission import over

    settings: dict[str, Any] = {
        "runtimeVersion": arguments.runtime_version,
        "pythonVersion": arguments.python_version,
        "framework": arguments.framework and arguments.framework.upper().replace("-", "_"),
        "description": arguments.description,
        "deploymentUri": arguments.origin,
    }
    body = read_config(arguments.config) if arguments.config else {}
    body |= {name: value for name, value in settings.items() if value is not None}
    body = over(body, versions_settings.settings(arguments))
    if arguments.labels:
        body["labels"] = {**(body.get("labels") or {}), **arguments.labels}
    operation = create(
        session.api,
        session.storage,
        arguments.model,
        {**body, "name": arguments.version},
        staging_bucket=arguments.staging_bucket,
        say=session.say,
    )
    if wanted := body.get("runtimeVersion"):
        from mlengine.environments import resolve

        # The same rule by which the server chose, with the framework that it found.
        found = operation.get("metadata", {}).get("version", {}).get("framework") or "TENSORFLOW"
        for note in resolve(wanted, body.get("pythonVersion") or "", found).notes:
            session.say(note)
    if arguments.asynchronous:
        session.info(f"Operation {operation['name']} goes on.")
        return 0
    return wait(
        session,
        operation,
        "Creating version (this might take a few minutes)",
        stage=lambda: _stage(session, arguments.model, arguments.version),
        then=lambda made: _tell(session, [version_words.accelerated(made.get("mlengine") or {})]),
    )


def _stage(session: Session, model: str, version: str) -> str:
    """What is being done for it now, in words."""
    from mlengine.errors import Problem

    try:
        block = session.api.version(model, version).get("mlengine") or {}
    except Problem:  # whatever it is, the operation will say it
        return ""
    return version_words.STAGES.get(str(block.get("stage", "")), "")


def _tell(session: Session, lines: list[str]) -> None:
    for line in filter(None, lines):
        session.say(line)


def _list_arguments(parser: Parser) -> None:
    parser.list_flags()
    _of_model(parser)


def _list(arguments: Namespace, session: Session) -> int:
    show_list(session, session.api.versions(arguments.model), TABLE)
    return 0


def _describe(arguments: Namespace, session: Session) -> int:
    version = session.api.version(arguments.model, arguments.version)
    show(session, version)
    _tell(session, version_words.of_version(version))
    return 0


def _set_default(arguments: Namespace, session: Session) -> int:
    show(session, session.api.set_default(arguments.model, arguments.version))
    return 0


def _update_arguments(parser: Parser) -> None:
    _version(parser)
    add = parser.add_argument
    add("--description", metavar="TEXT", help="free text")
    parser.label_flags()
    add("--config", metavar="FILE", help="YAML file with what changes; flags win over it")
    versions_serving.flags(parser)
    monitoring.logging_flags(parser)


def _update(arguments: Namespace, session: Session) -> int:
    from mlengine.cli.progress import wait
    from mlengine.client.submission import over
    from mlengine.client.updates import Labels, nothing_asked, read_version_changes, version_mask

    body: dict[str, Any] = read_version_changes(arguments.config) if arguments.config else {}
    if arguments.description is not None:
        body["description"] = arguments.description
    body = over(body, monitoring.logging(arguments))
    body = over(body, versions_serving.settings(arguments))
    labels = Labels(
        update=arguments.update_labels, remove=arguments.remove_labels, clear=arguments.clear_labels
    )
    if labels.asked:
        wanted = labels.changed(session.api.version(arguments.model, arguments.version).get("labels", {}))
        body |= {} if wanted is None else {"labels": wanted}
    elif not body:
        raise nothing_asked()
    if not body:
        session.say("No update to perform.")
        return 0
    operation = session.api.update_version(arguments.model, arguments.version, body, mask=version_mask(body))
    code = wait(session, operation, f"Updating version [{arguments.version}]")
    if not code:
        session.say(f"Updated AI Platform version [{arguments.version}].")
    return code


def _delete(arguments: Namespace, session: Session) -> int:
    from mlengine.cli.progress import wait

    if not session.confirm(f"This will delete version [{arguments.version}]..."):
        session.say("Aborted by user.")
        return 1
    operation = session.api.delete_version(arguments.model, arguments.version)
    return wait(session, operation, f"Deleting version [{arguments.version}]")


COMMANDS = (
    Command(
        words="versions create",
        summary="Deploy an exported model.",
        arguments=_create_arguments,
        run=_create,
        detail="It is ready once it has answered a prediction. A model's first version becomes its default. "
        "Where a quicker form of the model gives the same answers, that serves.",
        example="versions create v1 --model titanic --origin gs://BUCKET/export/ --runtime-version 1.15",
    ),
    Command(
        words="versions list",
        summary="List a model's versions.",
        arguments=_list_arguments,
        run=_list,
        example="versions list --model titanic",
    ),
    Command(
        words="versions describe",
        summary="Show one version.",
        arguments=_version,
        run=_describe,
        example="versions describe v1 --model titanic",
    ),
    Command(
        words="versions update",
        summary="Change a version's description, labels, scaling, or how it treats requests.",
        arguments=_update_arguments,
        run=_update,
        example="versions update v1 --model titanic --description 'with ages'",
    ),
    Command(
        words="versions set-default",
        summary="Choose the version that answers for its model.",
        arguments=_version,
        run=_set_default,
        example="versions set-default v2 --model titanic",
    ),
    Command(
        words="versions delete",
        summary="Delete a version.",
        arguments=_version,
        run=_delete,
        example="versions delete v1 --model titanic --quiet",
    ),
    *monitoring.OF_VERSIONS,
)
