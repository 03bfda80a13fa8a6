"""`mlengine audit list` and `mlengine server settings`: what the running server tells those who run it."""

from __future__ import annotations

from argparse import Namespace

from mlengine.cli.command import Command
from mlengine.cli.grammar import Parser
from mlengine.cli.output import Column, show_list
from mlengine.cli.session import Session

ENTRIES = "table(time.date(tz=LOCAL), caller, method, resource, status)"
SETTINGS = (Column("name"), Column("value"), Column("origin", "FROM"), Column("meaning"))


def _audit(_arguments: Namespace, session: Session) -> int:
    from urllib.parse import quote

    path = f"/mlengine/v1/projects/{quote(session.project, safe='')}/auditLog"
    # An entry has no address of its own.
    show_list(session, session.connection.listed(path, "entries"), ENTRIES, uri=lambda _: "")
    return 0


def _settings(_arguments: Namespace, session: Session) -> int:
    found = session.connection.call("GET", "/mlengine/v1/settings")["settings"]
    show_list(session, found, SETTINGS)
    return 0


SERVER_SETTINGS = Command(
    words="server settings",
    summary="List the settings in force, and where each came from.",
    arguments=Parser.list_flags,
    run=_settings,
    detail="A flag beats MLENGINE_NAME in the environment, which beats mlengine.toml in the data directory.",
    example="server settings --filter origin!=default",
)
COMMANDS = (
    Command(
        words="audit list",
        summary="List who changed what in a project, newest first.",
        arguments=Parser.list_flags,
        run=_audit,
        detail="Reading and predictions are not noted. Without --limit the whole log is read.",
        example="audit list --limit 20 --filter status!=OK",
    ),
)
