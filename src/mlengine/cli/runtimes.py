"""`mlengine runtimes …`: what there is to run on, told without a server."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from mlengine.cli.command import Command
from mlengine.cli.grammar import Parser
from mlengine.cli.output import Column, show, show_list
from mlengine.cli.session import Session
from mlengine.environments import Builder, Runtime, default_cache_dir, resolve, runtimes

COLUMNS = (
    Column("name"),
    Column("python"),
    Column("built", show=lambda built: "yes" if built else "no"),
    Column("summary"),
)


def _runtime(parser: Parser) -> None:
    parser.add_argument("runtime", metavar="RUNTIME", help="its name, or an old number such as 1.15")


def _list(_arguments: Namespace, session: Session) -> int:
    builder = _builder(session)
    show_list(session, [_facts(runtime, builder) for runtime in runtimes()], COLUMNS)
    return 0


def _describe(arguments: Namespace, session: Session) -> int:
    resolution = resolve(arguments.runtime)
    for note in resolution.notes:
        session.say(note)
    show(session, _facts(resolution.runtime, _builder(session)), columns=())
    return 0


def _build(arguments: Namespace, session: Session) -> int:
    resolution = resolve(arguments.runtime)
    for note in resolution.notes:
        session.say(note)
    python = _builder(session).build(resolution.runtime, session.say)
    print(python)
    return 0


def _builder(session: Session) -> Builder:
    return Builder(default_cache_dir(session.environment))


def _facts(runtime: Runtime, builder: Builder) -> dict[str, Any]:
    built = builder.is_built(runtime)
    return {
        "name": runtime.name,
        "python": runtime.python,
        "summary": runtime.summary,
        "packages": dict(runtime.packages),
        "built": built,
        "directory": str(builder.directory(runtime)),
    }


COMMANDS = (
    Command(
        words="runtimes list",
        summary="List runtime versions.",
        arguments=Parser.list_flags,
        run=_list,
        example="runtimes list",
    ),
    Command(
        words="runtimes describe",
        summary="Show what a runtime holds.",
        arguments=_runtime,
        run=_describe,
        example="runtimes describe 1.15",
    ),
    Command(
        words="runtimes build",
        summary="Build a runtime's environment ahead of its first use; prints its Python.",
        arguments=_runtime,
        run=_build,
        example="runtimes build 2026.11-sklearn",
    ),
)
