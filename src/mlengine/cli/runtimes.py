"""`mlengine runtimes …`: what there is to run on, told without a server."""

from __future__ import annotations

import sys
from argparse import Namespace
from shutil import get_terminal_size
from typing import Any

from mlengine.cli.command import Command
from mlengine.cli.grammar import Parser
from mlengine.cli.output import Column, show, show_list
from mlengine.cli.session import Session
from mlengine.environments import Builder, Resolution, Runtime, default_cache_dir, resolve, runtimes
from mlengine.environments.catalogue import pins
from mlengine.environments.lockfile import lock_hash
from mlengine.environments.progress import size


def _headline(packages: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in packages.items())


COLUMNS = (
    Column("name"),
    Column("python"),
    Column("packages", show=_headline),
    Column("built", show=lambda built: "yes" if built else "no"),
    Column("bytes", label="SIZE", show=lambda number: size(number) if number else ""),
)


def _runtime(parser: Parser) -> None:
    parser.add_argument("runtime", metavar="RUNTIME", help="its name, or an old number such as 1.15")


def _some(parser: Parser) -> None:
    parser.add_argument(
        "runtimes", metavar="RUNTIME", nargs="+", help="names, or old numbers such as 1.15; several at a time"
    )


def _list(_arguments: Namespace, session: Session) -> int:
    builder = _builder(session)
    show_list(session, [_facts(runtime, builder) for runtime in runtimes()], COLUMNS)
    return 0


def _describe(arguments: Namespace, session: Session) -> int:
    runtime = _resolve(arguments.runtime, session).runtime
    text = runtime.lock_file.read_text(encoding="utf-8")
    lock = {"sha256": lock_hash(text), "packages": pins(runtime.lock_file, system=sys.platform)}
    show(session, _facts(runtime, _builder(session)) | {"lock": lock}, columns=())
    return 0


def _build(arguments: Namespace, session: Session) -> int:
    builder = _builder(session)
    # All names first: a slip in the last one is told before the first is built.
    found = _named(arguments, session)
    live = sys.stderr.isatty() and not session.silent
    width = get_terminal_size().columns - 1
    for runtime in found:
        python = builder.build(
            runtime,
            lambda line: session.say(f"\r\033[K{line}" if live else line),
            on_tick=(lambda line: session.say(f"\r\033[K{line[:width]}", end="")) if live else None,
        )
        print(python, flush=True)
    return 0


def _remove(arguments: Namespace, session: Session) -> int:
    builder = _builder(session)
    found = _named(arguments, session)
    names = ", ".join(runtime.name for runtime in found)
    if not session.confirm(f"The environments of {names} will be removed. They are built again when needed."):
        return 1
    for runtime in found:
        gone = builder.remove(runtime)
        for directory in gone:
            session.say(f"Removed {directory}.")
        if not gone:
            session.say(f"The runtime {runtime.name} is not built on this machine.")
    return 0


def _resolve(requested: str, session: Session) -> Resolution:
    resolution = resolve(requested)
    for note in resolution.notes:
        session.say(note)
    return resolution


def _named(arguments: Namespace, session: Session) -> list[Runtime]:
    """The runtimes that the line names, each once: two numbers may mean the same."""
    found = [_resolve(name, session).runtime for name in arguments.runtimes]
    return list({runtime.name: runtime for runtime in found}.values())


def _builder(session: Session) -> Builder:
    return Builder(default_cache_dir(session.environment))


def _facts(runtime: Runtime, builder: Builder) -> dict[str, Any]:
    built = builder.facts(runtime)
    return {
        "name": runtime.name,
        "python": runtime.python,
        "summary": runtime.summary,
        "packages": dict(runtime.packages),
        "built": bool(built),
        **({"bytes": built["bytes"]} if built else {}),
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
        summary="Show what a runtime holds: each package of its lock.",
        arguments=_runtime,
        run=_describe,
        example="runtimes describe 1.15",
    ),
    Command(
        words="runtimes build",
        summary="Build environments of runtimes ahead of their first use; prints the Python of each.",
        arguments=_some,
        run=_build,
        example="runtimes build 2026.11-sklearn",
    ),
    Command(
        words="runtimes remove",
        summary="Remove the environments of runtimes from this machine.",
        arguments=_some,
        run=_remove,
        detail="Those of earlier locks and those made of the runtime for single jobs go, too. One in which a "
        "process runs stays, and the process is named.",
        example="runtimes remove 2026.11-torch",
    ),
)
