"""`mlengine projects …`."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from mlengine.cli import policies
from mlengine.cli.command import Command
from mlengine.cli.grammar import Parser, mapping
from mlengine.cli.output import Column, show, show_list
from mlengine.cli.session import Session

if TYPE_CHECKING:
    from mlengine.client.projects import Projects

COLUMNS = (Column("projectId", "PROJECT_ID"), Column("name"), Column("projectNumber", "PROJECT_NUMBER"))


def _projects(session: Session) -> Projects:
    from mlengine.client.projects import Projects

    return Projects(session.connection)


def _project(parser: Parser) -> None:
    parser.add_argument("name", metavar="PROJECT_ID", help="the project's id")


def _create_arguments(parser: Parser) -> None:
    parser.add_argument("name", metavar="PROJECT_ID", help="4 to 63 small letters, digits, hyphens")
    parser.add_argument("--name", dest="display", default="", metavar="NAME", help="what people call it")
    parser.add_argument("--labels", type=mapping, default={}, metavar="KEY=VALUE,...", help="labels")
    parser.later("--folder", "--organization", "--set-as-default", "--enable-cloud-apis")


def _create(arguments: Namespace, session: Session) -> int:
    made = _projects(session).create(arguments.name, name=arguments.display, labels=arguments.labels)
    session.say(f"Created project [{made['projectId']}].")
    return 0


def _list(_arguments: Namespace, session: Session) -> int:
    show_list(session, _projects(session).list(), COLUMNS)
    return 0


def _describe(arguments: Namespace, session: Session) -> int:
    show(session, _projects(session).get(arguments.name))
    return 0


def _delete(arguments: Namespace, session: Session) -> int:
    if not session.confirm(f"Your project will be deleted.\n\n[{arguments.name}]"):
        session.say("Aborted by user.")
        return 1
    _projects(session).delete(arguments.name)
    session.say(f"Deleted project [{arguments.name}].")
    return 0


COMMANDS = (
    Command(
        words="projects create",
        summary="Create a project.",
        arguments=_create_arguments,
        run=_create,
        example="projects create team-a --name 'Team A'",
    ),
    Command(
        words="projects list",
        summary="List the projects you may see.",
        arguments=lambda parser: parser.list_flags(),
        run=_list,
        example="projects list",
    ),
    Command(
        words="projects describe",
        summary="Show one project.",
        arguments=_project,
        run=_describe,
        example="projects describe local",
    ),
    Command(
        words="projects delete",
        summary="Delete an empty project.",
        arguments=_project,
        run=_delete,
        example="projects delete team-a --quiet",
    ),
    *policies.commands(
        "projects",
        metavar="PROJECT_ID",
        resource=lambda arguments, _: f"projects/{policies.part(arguments.name)}",
    ),
)
