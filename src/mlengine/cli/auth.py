"""`mlengine auth …`: the credentials that commands show."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path

from mlengine.cli.command import Command
from mlengine.cli.grammar import Parser
from mlengine.cli.output import Column, show_list
from mlengine.cli.session import Session
from mlengine.errors import FailedPrecondition, InvalidArgument, NotFound, nearest

COLUMNS = (Column("active"), Column("account"), Column("source"))


def _login_arguments(parser: Parser) -> None:
    parser.add_argument("--key-file", required=True, metavar="FILE", help="a service account's key")


def _revoke_arguments(parser: Parser) -> None:
    parser.add_argument("account", nargs="?", metavar="ACCOUNT", help="default: the one in use")


def _login(arguments: Namespace, session: Session) -> int:
    from mlengine.client.credentials import Logins, access_token, read_key

    key = read_key(arguments.key_file, found="--key-file")
    # Tried before it is kept: what the server does not take helps nobody later.
    access_token(key, session.environment, session.endpoint, fresh=True)
    content = (
        arguments.key_file if arguments.key_file.startswith("{") else Path(arguments.key_file).read_text()
    )
    Logins(session.environment).add(json.loads(content), session.endpoint)
    session.say(f"Activated service account credentials for: [{key.email}]")
    return 0


def _print(_arguments: Namespace, session: Session) -> int:
    from mlengine.client.credentials import access_token, find_key

    key = find_key(session.environment, session.endpoint)
    if key is None:
        raise FailedPrecondition(
            "There are no credentials.",
            hint="Set MLENGINE_CREDENTIALS to a key file, or: mlengine auth login --key-file FILE",
        )
    print(access_token(key, session.environment, session.endpoint, fresh=True))
    return 0


def _list(_arguments: Namespace, session: Session) -> int:
    from mlengine.client.credentials import Logins, find_key

    used = find_key(session.environment, session.endpoint)
    rows = []
    if used and not used.found.startswith("mlengine auth login"):
        rows.append({"active": "*", "account": used.email, "source": used.found})
    for email, endpoints in Logins(session.environment).list():
        active = used is not None and used.email == email and not rows
        source = f"login for {', '.join(endpoints)}" if endpoints else "login"
        rows.append({"active": "*" if active else "", "account": email, "source": source})
    show_list(session, iter(rows), COLUMNS)
    if not rows:
        session.say("No credentialed accounts. Log in: mlengine auth login --key-file FILE")
    return 0


def _revoke(arguments: Namespace, session: Session) -> int:
    from urllib.parse import urlencode

    from mlengine.client.credentials import Logins, access_token, find_key, forget_tokens

    key = find_key(session.environment, session.endpoint)
    logins = Logins(session.environment)
    known = [email for email, _ in logins.list()]
    email = arguments.account or (key.email if key else "")
    if not email:
        raise FailedPrecondition("There are no credentials to revoke.")
    if (key is None or key.email != email) and email not in known:
        raise NotFound(f"There are no credentials of '{email}' here.", hint=nearest(email, known))
    if key is None or key.email != email:
        raise InvalidArgument(
            f"[{email}] is not the account in use for {session.endpoint}.",
            hint="Name the server that it is for: --endpoint URL",
        )
    token = access_token(key, session.environment, session.endpoint)
    session.connection.fetch(
        "POST",
        "/revoke",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        body=urlencode({"token": token}).encode(),
    )
    forget_tokens(key, session.environment, session.endpoint)
    logins.remove(email)
    session.say(
        f"Revoked credentials: [{email}]. The key itself still opens: delete it, too, if it got lost."
    )
    return 0


COMMANDS = (
    Command(
        words="auth login",
        summary="Use a service account's key from now on.",
        arguments=_login_arguments,
        run=_login,
        example="auth login --key-file key.json",
    ),
    Command(
        words="auth print-access-token",
        summary="Print a new access token.",
        arguments=lambda _: None,
        run=_print,
        example="auth print-access-token",
    ),
    Command(
        words="auth list",
        summary="List credentials, and which are in use.",
        arguments=lambda parser: parser.list_flags(),
        run=_list,
        example="auth list",
    ),
    Command(
        words="auth revoke",
        summary="End the access token in use now, and log out.",
        arguments=_revoke_arguments,
        run=_revoke,
        example="auth revoke",
    ),
)
