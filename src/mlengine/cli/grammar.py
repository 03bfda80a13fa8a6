"""How the arguments of one command are read: argparse with gcloud's words, and help when they are wrong."""

from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

from mlengine.cli.command import Command, UsageError
from mlengine.errors import nearest
from mlengine.regions import REGIONS

# Of every command of gcloud; said no to by name and reason, for a line must never mean less than it says.
_REFUSED_EVERYWHERE = {
    "--account": "log in with the key of an account: mlengine auth login --key-file FILE",
    "--billing-project": "nothing is billed here",
    "--configuration": "settings are variables of the environment: MLENGINE_ENDPOINT, MLENGINE_PROJECT",
    "--impersonate-service-account": "log in with its key: mlengine auth login --key-file FILE",
    "--trace-token": "it is for Google's support; to see requests: --log-http",
}
_GLOBAL_FLAGS = (
    *(
        "--access-token-file",
        "--endpoint",
        "--flags-file",
        "--flatten",
        "--format",
        "--help",
        "--log-http",
        "--project",
    ),
    *("--quiet", "--user-output-enabled", "--verbosity"),
)
# What gcloud takes for the endpoint of models and versions.
ENDPOINTS = ("global", *REGIONS)
_EVERYWHERE = (
    "Everywhere: --project P  --endpoint URL  --format F  --quiet  --verbosity V  --log-http  --help"
)


class Parser(argparse.ArgumentParser):
    """The arguments of one command."""

    def __init__(self, command: Command) -> None:
        super().__init__(
            prog=f"mlengine {command.words}",
            description=textwrap.fill(f"{command.summary} {command.detail}".strip(), width=100),
            add_help=False,
            allow_abbrev=False,
            formatter_class=_Formatter,
            epilog=(f"Example: mlengine {command.example}\n" if command.example else "") + _EVERYWHERE,
        )
        self.rest = command.rest
        command.arguments(self)
        for flag, reason in _REFUSED_EVERYWHERE.items():
            self.refuse(flag, reason)

    def later(self, *flags: str) -> None:
        """Flags of gcloud that this version cannot honour: known, and refused by name."""
        for flag in flags:
            self.add_argument(flag, action=_Later, nargs="?", default=None, help=argparse.SUPPRESS)

    def refuse(self, flag: str, reason: str) -> None:
        """A flag of gcloud that has no meaning here: known, and refused with the reason."""
        self.add_argument(
            flag, action=_Refused, nargs="?", default=None, metavar=reason, help=argparse.SUPPRESS
        )

    def list_flags(self) -> None:
        """The flags of every list command."""
        add = self.add_argument
        add("--filter", default="", metavar="EXPRESSION", help="only what it is true of: state=FAILED")
        add("--sort-by", type=comma_list, default=(), metavar="KEY,...", help="order; ~KEY the other way")
        add("--limit", type=at_least(1), metavar="N", help="show at most N")
        add("--page-size", type=at_least(1), metavar="N", help="a heading every N rows")
        add("--uri", action="store_true", help="print addresses only")

    def region_flag(self, *, regions: Sequence[str] = ENDPOINTS) -> None:
        """--region of commands that only choose an endpoint by it: checked; the server is every region."""
        self.add_argument(
            "--region",
            choices=regions,
            metavar="REGION",
            help="a region of gcloud; any will do: this server is every region",
        )

    def switch(self, flag: str, text: str) -> None:
        """A flag that is there or not; `--no-FLAG` takes back what a flags file says."""
        name = flag.removeprefix("--").replace("-", "_")
        self.add_argument(flag, action="store_true", dest=name, help=text)
        self.add_argument(f"--no-{flag[2:]}", action="store_false", dest=name, help=argparse.SUPPRESS)

    def label_flags(self) -> None:
        """The flags by which an update changes labels."""
        self.add_argument(
            "--update-labels", type=mapping, default={}, metavar="KEY=VALUE,...", help="labels to set"
        )
        less = self.add_mutually_exclusive_group()
        less.add_argument("--clear-labels", action="store_true", help="take all labels away first")
        less.add_argument(
            "--remove-labels", type=comma_list, default=(), metavar="KEY,...", help="labels to take away"
        )

    def read(self, arguments: Sequence[str], rest: Sequence[str] | None) -> argparse.Namespace:
        """The namespace; `rest` is what stood after a bare `--`, None when there was none.

        Raises:
            UsageError: with the nearest right spelling where there is one.
        """
        self._known(arguments)
        if rest is not None and not self.rest:
            raise self._wrong("nothing may follow a bare -- here.")
        namespace, unknown = self.parse_known_intermixed_args(list(arguments))
        if unknown:
            raise self._wrong(f"unrecognized arguments: {' '.join(unknown)}", hint=self._rest_hint())
        namespace.rest = None if rest is None else tuple(rest)
        return namespace

    def error(self, message: str) -> NoReturn:
        """argparse's way out, in gcloud's words."""
        missing = re.match(r"the following arguments are required: ([^,]+)", message)
        if missing:
            message = f"argument {missing[1]}: Must be specified."
        one_of = re.match(r"one of the arguments (.+) is required", message)
        if one_of:
            message = f"Exactly one of ({' | '.join(one_of[1].split())}) must be specified."
        raise self._wrong(message)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        choices = [str(choice) for choice in action.choices]
        hint = nearest(str(value), choices)
        text = f"Invalid choice: '{value}'. Valid choices are [{', '.join(choices)}]."
        raise argparse.ArgumentError(action, f"{text} {hint}".strip())

    def _known(self, arguments: Sequence[str]) -> None:
        """Look at the spelling of the flags first: a misspelt one would read as a missing one."""
        known = [flag for flag in self._option_string_actions if flag.startswith("--")]
        for token in arguments:
            flag = token.partition("=")[0]
            if not flag.startswith("--") or flag in known:
                continue
            hints = (nearest(flag, [*known, *_GLOBAL_FLAGS]), self._rest_hint())
            raise self._wrong(f"unrecognized arguments: {flag}", hint=" ".join(filter(None, hints)))

    def _rest_hint(self) -> str:
        return f"Arguments of the trainer itself go behind a bare --: … -- {self.rest}" if self.rest else ""

    def _wrong(self, message: str, hint: str = "") -> UsageError:
        usage = " ".join(self.format_usage().split())
        return UsageError(message, hint=hint, usage=usage + (f" [-- {self.rest} ...]" if self.rest else ""))


class _Formatter(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=32, width=100)


class _Later(argparse.Action):
    def __call__(self, *given: object) -> NoReturn:
        *_, flag = given  # parser, namespace, values, and the flag as it was typed
        raise UsageError(f"{flag} is not available in this version of mlengine.")


class _Refused(argparse.Action):
    def __call__(self, *given: object) -> NoReturn:
        *_, flag = given
        raise UsageError(f"{flag} is not available in this version of mlengine: {self.metavar}.")


def comma_list(text: str) -> tuple[str, ...]:
    """`a,b`; as in gcloud `^;^a;b` changes the delimiter."""
    return tuple(part for part in _split(text) if part)


def mapping(text: str) -> dict[str, str]:
    """`KEY=VALUE,KEY=VALUE`."""
    found: dict[str, str] = {}
    for part in _split(text):
        key, equals, value = part.partition("=")
        if not equals or not key:
            raise argparse.ArgumentTypeError(f"Bad syntax for dict arg: [{part}]. Write KEY=VALUE.")
        found[key] = value
    return found


def truth(text: str) -> bool:
    """`true` or `false`, as in a flag that takes the word."""
    if text.lower() not in ("true", "false", "yes", "no", "1", "0"):
        raise argparse.ArgumentTypeError(f"Value must be true or false; received: {text}")
    return text.lower() in ("true", "yes", "1")


def within(least: float, most: float) -> Callable[[str], float]:
    """A number between two others, both of them allowed."""

    def number(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"Value must be a number; received: {text}") from None
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(
                f"Value must be between {least:g} and {most:g}; received: {text}"
            )
        return value

    return number


def keyed(*, required: Sequence[str], known: Sequence[str]) -> Callable[[str], dict[str, str]]:
    """`type=…,count=…`: a mapping of which the keys are given."""

    def read(text: str) -> dict[str, str]:
        found = mapping(text)
        for key in found:
            if key not in known:
                hint = nearest(key, list(known))
                raise argparse.ArgumentTypeError(
                    f"valid keys are [{', '.join(known)}]; received: {key}. {hint}".strip()
                )
        for key in required:
            if not found.get(key):
                raise argparse.ArgumentTypeError(f"Key [{key}] required in dict arg but not provided")
        return found

    return read


def at_least(least: int) -> Callable[[str], int]:
    """A whole number from `least` on."""

    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"Value must be an integer; received: {text}") from None
        if value < least:
            raise argparse.ArgumentTypeError(f"Value must be at least {least}; received: {text}")
        return value

    return number


def choice(names: Iterable[str]) -> Callable[[str], str]:
    """One of `names` in either spelling: `basic-gpu` or BASIC_GPU. Give `choices` too."""

    def normal(text: str) -> str:
        return text.lower().replace("_", "-")

    normal.__name__ = "choice of " + ", ".join(names)
    return normal


def _split(text: str) -> list[str]:
    if match := re.match(r"\^(.*?)\^", text):
        return text[match.end() :].split(match[1])
    return text.split(",")
