"""`… get-iam-policy` and its three kin, for whatever has a policy."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlengine.cli.command import Command
from mlengine.cli.grammar import Parser
from mlengine.cli.output import show
from mlengine.cli.session import Session
from mlengine.errors import InvalidArgument

if TYPE_CHECKING:
    from mlengine.client.projects import Policies

Resource = Callable[[Namespace, Session], str]


def commands(noun: str, *, metavar: str, resource: Resource, region: bool = False) -> tuple[Command, ...]:
    """The four commands of one kind of resource.

    Args:
        noun: The group ("models").
        metavar: What its one argument is called.
        resource: The resource's name, percent-encoded, from the arguments; the argument is `name`.
        region: Whether lines written for gcloud may name a region.
    """

    def policies(arguments: Namespace, session: Session) -> Policies:
        from mlengine.client.projects import Policies

        return Policies(session.connection, resource(arguments, session))

    def name(parser: Parser) -> None:
        parser.add_argument("name", metavar=metavar, help=f"{metavar.lower().replace('_', ' ')}")
        if region:
            parser.region_flag()

    def get_arguments(parser: Parser) -> None:
        name(parser)

    def binding_arguments(parser: Parser) -> None:
        name(parser)
        parser.add_argument(
            "--member", required=True, metavar="MEMBER", help="serviceAccount:EMAIL, allUsers, …"
        )
        parser.add_argument("--role", required=True, metavar="ROLE", help="like roles/ml.developer")
        parser.later("--condition", "--condition-from-file", "--all")

    def set_arguments(parser: Parser) -> None:
        name(parser)
        parser.add_argument("policy_file", metavar="POLICY_FILE", help="the whole policy, JSON or YAML")

    def get(arguments: Namespace, session: Session) -> int:
        show(session, policies(arguments, session).get())
        return 0

    def set_(arguments: Namespace, session: Session) -> int:
        policy = policies(arguments, session).set(_read(arguments.policy_file))
        session.say(f"Updated IAM policy for {_spoken(noun)} [{arguments.name}].")
        show(session, policy)
        return 0

    def add(arguments: Namespace, session: Session) -> int:
        policy = policies(arguments, session).add(arguments.member, arguments.role)
        session.say(f"Updated IAM policy for {_spoken(noun)} [{arguments.name}].")
        show(session, policy)
        return 0

    def remove(arguments: Namespace, session: Session) -> int:
        policy = policies(arguments, session).remove(arguments.member, arguments.role)
        session.say(f"Updated IAM policy for {_spoken(noun)} [{arguments.name}].")
        show(session, policy)
        return 0

    granted = "--member serviceAccount:bot@local.iam.gserviceaccount.com --role roles/ml.developer"
    example = {"models": "titanic", "jobs": "train_7"}.get(noun, "local")
    rows = (
        ("get-iam-policy", "Show who may do what.", get_arguments, get, ""),
        ("set-iam-policy", "Replace who may do what.", set_arguments, set_, "policy.yaml"),
        ("add-iam-policy-binding", "Give a role to somebody.", binding_arguments, add, granted),
        ("remove-iam-policy-binding", "Take a role away.", binding_arguments, remove, granted),
    )
    return tuple(
        Command(
            words=f"{noun} {verb}",
            summary=summary,
            arguments=arguments,
            run=run,
            example=f"{noun} {verb} {example} {more}".strip(),
        )
        for verb, summary, arguments, run, more in rows
    )


def part(text: str) -> str:
    """One component of a resource's name; a name with a slash must not become two."""
    from urllib.parse import quote

    return quote(text, safe="")


def _spoken(noun: str) -> str:
    return noun.removesuffix("s")


def _read(path: str) -> dict[str, Any]:
    import yaml

    try:
        value = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise InvalidArgument(f"The policy file '{path}' cannot be read: {reason}.") from None
    except yaml.YAMLError as error:
        raise InvalidArgument(f"The policy file '{path}' is neither JSON nor YAML: {error}.") from None
    if not isinstance(value, dict):
        raise InvalidArgument(
            f"The policy file '{path}' holds no policy.", hint="Begin with what get-iam-policy prints."
        )
    return value
