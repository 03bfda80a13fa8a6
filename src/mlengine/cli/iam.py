"""`mlengine iam service-accounts …`."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from mlengine.cli.command import Command
from mlengine.cli.grammar import Parser
from mlengine.cli.output import Column, basename, show, show_list
from mlengine.cli.session import Session
from mlengine.errors import FailedPrecondition

if TYPE_CHECKING:
    from mlengine.client.service_accounts import ServiceAccounts

ACCOUNTS = (Column("displayName", "DISPLAY NAME"), Column("email"))
KEYS = (
    Column("name", "KEY_ID", basename),
    Column("validAfterTime", "CREATED_AT"),
    Column("validBeforeTime", "EXPIRES_AT"),
)


def _accounts(session: Session) -> ServiceAccounts:
    from mlengine.client.service_accounts import ServiceAccounts

    return ServiceAccounts(session.connection, session.project)


def _name(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", help="6 to 30 small letters, digits, hyphens")
    parser.add_argument("--display-name", default="", metavar="TEXT", help="what people call it")
    parser.add_argument("--description", default="", metavar="TEXT", help="free text")


def _email(parser: Parser) -> None:
    parser.add_argument("email", metavar="EMAIL", help="NAME@PROJECT.iam.gserviceaccount.com")


def _account_flag(parser: Parser) -> None:
    parser.add_argument("--iam-account", required=True, metavar="EMAIL", help="the key's service account")


def _key_file(parser: Parser) -> None:
    parser.add_argument("file", metavar="FILE", help="where the key goes; - for standard output")
    _account_flag(parser)
    parser.add_argument("--key-file-type", choices=["json"], default="json", help="json")


def _key_id(parser: Parser) -> None:
    parser.add_argument("key", metavar="KEY_ID", help="the key's id")
    _account_flag(parser)


def _keys_list(parser: Parser) -> None:
    parser.list_flags()
    _account_flag(parser)
    parser.later("--managed-by", "--created-before")


def _create(arguments: Namespace, session: Session) -> int:
    _accounts(session).create(
        arguments.name, display_name=arguments.display_name, description=arguments.description
    )
    session.say(f"Created service account [{arguments.name}].")
    return 0


def _list(_arguments: Namespace, session: Session) -> int:
    show_list(session, _accounts(session).list(), ACCOUNTS)
    return 0


def _describe(arguments: Namespace, session: Session) -> int:
    show(session, _accounts(session).get(arguments.email))
    return 0


def _delete(arguments: Namespace, session: Session) -> int:
    if not session.confirm(f"You are about to delete service account [{arguments.email}]"):
        session.say("Aborted by user.")
        return 1
    _accounts(session).delete(arguments.email)
    session.say(f"deleted service account [{arguments.email}]")
    return 0


def _create_key(arguments: Namespace, session: Session) -> int:
    place = None if arguments.file == "-" else Path(arguments.file)
    if place and (place.is_dir() or not place.absolute().parent.is_dir()):
        # Before the key is made: nobody could ever get hold of it again.
        raise FailedPrecondition(f"'{place}' cannot be a file: there is no such folder, or it is one.")
    key, content = _accounts(session).create_key(arguments.iam_account)
    if place is None:
        sys.stdout.write(content.decode() + "\n")
    else:
        _write_private(place, content)
    session.say(
        f"created key [{basename(key['name'])}] of type [{arguments.key_file_type}] "
        f"as [{arguments.file}] for [{arguments.iam_account}]"
    )
    return 0


def _list_keys(arguments: Namespace, session: Session) -> int:
    keys = _accounts(session).keys(arguments.iam_account)
    show_list(session, keys, KEYS)
    return 0


def _delete_key(arguments: Namespace, session: Session) -> int:
    if not session.confirm(f"You are about to delete key [{arguments.key}] of [{arguments.iam_account}]"):
        session.say("Aborted by user.")
        return 1
    _accounts(session).delete_key(arguments.iam_account, arguments.key)
    session.say(f"deleted key [{arguments.key}] for service account [{arguments.iam_account}]")
    return 0


def _write_private(place: Path, content: bytes) -> None:
    """Write a file in place of what was there, readable by its owner only from the first moment on."""
    partial = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        partial.replace(place)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise FailedPrecondition(
            f"'{place}' cannot be written: {error.strerror}.",
            hint="The key was made all the same, and is of no use: delete it "
            "(mlengine iam service-accounts keys list).",
        ) from error


_WORDS = "iam service-accounts"
COMMANDS = (
    Command(words=f"{_WORDS} create", summary="Create a service account.", arguments=_name, run=_create),
    Command(
        words=f"{_WORDS} list",
        summary="List service accounts.",
        arguments=lambda parser: parser.list_flags(),
        run=_list,
    ),
    Command(words=f"{_WORDS} describe", summary="Show one account.", arguments=_email, run=_describe),
    Command(words=f"{_WORDS} delete", summary="Delete one, with its keys.", arguments=_email, run=_delete),
    Command(words=f"{_WORDS} keys create", summary="Create a key.", arguments=_key_file, run=_create_key),
    Command(words=f"{_WORDS} keys list", summary="List keys.", arguments=_keys_list, run=_list_keys),
    Command(words=f"{_WORDS} keys delete", summary="Delete a key.", arguments=_key_id, run=_delete_key),
)
