"""What a command is, and how a line can be wrong. Apart from the parser, which only a named command loads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import Namespace

    from mlengine.cli.grammar import Parser
    from mlengine.cli.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One thing that can be asked for.

    Attributes:
        words: What is typed after `mlengine` ("jobs submit training").
        summary: One line for the list of commands.
        arguments: Declares the command's own arguments; "" as rest means that `-- ARGS` is refused.
        run: Does it; the exit code.
        rest: What stands after a bare `--` in the usage line ("USER_ARGS"), or "".
        detail: More for the command's own help.
        example: A line that does it, without `mlengine` in front.
    """

    words: str
    summary: str
    arguments: Callable[[Parser], None]
    run: Callable[[Namespace, Session], int]
    rest: str = ""
    detail: str = ""
    example: str = ""


# Commands of gcloud that are not here, and what to do instead.
ABSENT = {
    "jobs submit prediction": "Ask a deployed version: mlengine predict --model MODEL --json-instances FILE",
    "operations delete": "Operations are kept. To end one: mlengine operations cancel OPERATION",
    "init-project": "A project needs no preparation. To make one: mlengine projects create PROJECT_ID",
}


class UsageError(Exception):
    """The line itself is wrong: exit code 2."""

    def __init__(self, message: str, *, hint: str = "", usage: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.usage = usage
