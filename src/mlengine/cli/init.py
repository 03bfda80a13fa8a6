"""`mlengine init`: a trainer package to start from."""

from __future__ import annotations

import shutil
from argparse import Namespace
from pathlib import Path

from mlengine.cli.command import Command, UsageError
from mlengine.cli.grammar import Parser
from mlengine.cli.session import Session
from mlengine.errors import AlreadyExists, nearest

_TEMPLATES = Path(__file__).parents[1] / "templates"


def _known() -> list[str]:
    return sorted(path.name for path in _TEMPLATES.iterdir() if (path / "trainer").is_dir())


def _arguments(parser: Parser) -> None:
    parser.add_argument("folder", metavar="DIR", help="folder to make; may exist if nothing is overwritten")
    parser.add_argument(
        "--template", default="sklearn", metavar="T", help=f"{', '.join(_known())}; default sklearn"
    )


def _run(arguments: Namespace, session: Session) -> int:
    if arguments.template not in _known():
        choices = ", ".join(_known())
        raise UsageError(
            f"argument --template: Invalid choice: '{arguments.template}'. Valid choices are [{choices}].",
            hint=nearest(arguments.template, _known()),
        )
    source, target = _TEMPLATES / arguments.template, Path(arguments.folder)
    files = [
        path.relative_to(source)
        for path in sorted(source.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    ]
    taken = [str(target / path) for path in files if (target / path).exists()]
    if taken:
        raise AlreadyExists(f"{taken[0]} exists and is left as it is.", hint="Name another folder.")
    for path in files:
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / path, target / path)
    for path in files:
        print(target / path)
    session.say(f"Made a trainer in {target}. What to do next: {target / 'README.md'}")
    return 0


COMMANDS = (
    Command(
        words="init",
        summary="Make a trainer package to start from.",
        arguments=_arguments,
        run=_run,
        example="init titanic --template sklearn",
    ),
)
