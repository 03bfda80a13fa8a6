"""The door: from a line to an exit code. Imports little, so that help and lists come at once.

Exit codes: 0 done, 1 failed, 2 the line is wrong, 130 interrupted, 141 the reader went away.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module

from mlengine.cli.command import Command, UsageError
from mlengine.cli.session import VERBOSITIES, Session
from mlengine.errors import Problem, nearest

# word -> (module, its line in the help). A module is imported when its word is typed.
GROUPS: Mapping[str, tuple[str, str]] = {
    "server": ("mlengine.cli.server", "start, stop and look at the server of this machine"),
    "init": ("mlengine.cli.init", "make a trainer package to start from"),
    "local": ("mlengine.cli.local", "train and predict here, without a server"),
    "jobs": ("mlengine.cli.jobs", "submit trainings, watch and cancel them"),
    "models": ("mlengine.cli.models", "the models versions belong to"),
    "versions": ("mlengine.cli.versions", "deploy trained models as versions"),
    "predict": ("mlengine.cli.predict", "ask a deployed version for predictions"),
    "operations": ("mlengine.cli.operations", "long-running work of the server"),
    "runtimes": ("mlengine.cli.runtimes", "the runtime versions trainers and models run on"),
    "storage": ("mlengine.cli.storage", "buckets and objects: mb, cp, ls, rsync, cat, rm, and more"),
    "iam": ("mlengine.cli.iam", "service accounts, and the keys that sign for them"),
}
# What gcloud's lines have in front; typed out of habit and skipped.
_OLD_FIRST_WORDS = ("ml-engine", "ai-platform")
# `ls -h` is gsutil's for sizes that people read; elsewhere -h is help.
_SIZES_FOR_PEOPLE = ["storage", "ls"]
_VALUE_FLAGS = ("--project", "--endpoint", "--format", "--verbosity")
_SWITCHES = {"--quiet": "quiet", "-q": "quiet", "--help": "help", "-h": "help"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one line; the exit code."""
    for stream in (sys.stdout, sys.stderr):
        # A name in Korean must not end in a traceback where the terminal has no such letters.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    where, verbosity = "mlengine", "warning"
    try:
        line, rest, flags = _globals(list(sys.argv[1:] if arguments is None else arguments))
        verbosity = flags.get("verbosity", verbosity)
        if not line:
            return _no_words(flags)
        command, own = _find(line, flags)
        if command is None:
            return 0
        where = f"mlengine.{command.words.replace(' ', '.')}"
        return _run(command, own, rest, flags)
    except UsageError as error:
        _complain(where, error.message, error.hint)
        if error.usage:
            print(error.usage, file=sys.stderr)
        return 2
    except Problem as problem:
        # Details tell an answer of the server, which gcloud shows with its status, from a finding of our own.
        status = f"{problem.status}: " if problem.details else ""
        _complain(where, status + problem.message, problem.hint)
        if verbosity == "debug":
            raise
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # `mlengine … | head`: nobody reads on, which is no error of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        if verbosity == "debug":
            raise
        _complain(where, f"{type(error).__name__}: {error}", "More: the same line with --verbosity debug")
        return 1


def _run(command: Command, own: list[str], rest: list[str] | None, flags: Mapping[str, str]) -> int:
    from mlengine.cli.grammar import Parser

    parser = Parser(command)
    if "help" in flags:
        print(parser.format_help(), end="")
        return 0
    namespace = parser.read(own, rest)
    session = _session(command, flags)
    try:
        code = command.run(namespace, session)
        sys.stdout.flush()
        return code
    finally:
        session.close()


def _session(command: Command, flags: Mapping[str, str]) -> Session:
    from mlengine.names import check_project

    environment = dict(os.environ)
    given = flags.get("endpoint") or environment.get("MLENGINE_ENDPOINT")
    endpoint = (given or "http://127.0.0.1:8080").rstrip("/")
    if "://" not in endpoint:
        endpoint = f"http://{endpoint}"
    if not endpoint.startswith(("http://", "https://")):
        raise UsageError(f"argument --endpoint: '{endpoint}' is no URL.", hint="Like http://127.0.0.1:8080")
    verbosity = flags.get("verbosity", "warning")
    if verbosity not in VERBOSITIES:
        choices = ", ".join(VERBOSITIES)
        raise UsageError(
            f"argument --verbosity: Invalid choice: '{verbosity}'. Valid choices are [{choices}]."
        )
    return Session(
        words=command.words,
        project=check_project(flags.get("project") or environment.get("MLENGINE_PROJECT") or "local"),
        endpoint=endpoint,
        endpoint_given=bool(given),
        format=flags.get("format", ""),
        quiet="quiet" in flags,
        verbosity=verbosity,
        environment=environment,
    )


def _globals(arguments: list[str]) -> tuple[list[str], list[str] | None, dict[str, str]]:
    """Take the global flags out of the line, wherever they stand; what follows a bare `--` stays apart."""
    _refuse_blank(arguments)
    rest: list[str] | None = None
    if "--" in arguments:
        cut = arguments.index("--")
        arguments, rest = arguments[:cut], arguments[cut + 1 :]
    line: list[str] = []
    flags: dict[str, str] = {}
    tokens = iter(arguments)
    for token in tokens:
        flag, equals, value = token.partition("=")
        if flag in _VALUE_FLAGS:
            found = value if equals else next(tokens, "")
            if not found or (not equals and found.startswith("--")):
                raise UsageError(f"argument {flag}: expected one argument")
            flags[flag[2:]] = found
        elif token in _SWITCHES and not (token == "-h" and line[:2] == _SIZES_FOR_PEOPLE):
            flags[_SWITCHES[token]] = token
        elif token == "--version" and not line:
            flags["version"] = token
        else:
            line.append(token)
    if line and line[0] in _OLD_FIRST_WORDS:
        line.pop(0)
    if line[:2] == ["storage", "-m"]:
        # gsutil has it before the verb.
        line[1:3] = [*line[2:3], "-m"]
    return line, rest, flags


def _refuse_blank(arguments: list[str]) -> None:
    """A backslash followed by blanks, copied from some page, is no line continuation for the shell."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    for position, token in enumerate(arguments):
        if not token or token.strip():
            continue
        before = arguments[position - 1] if position else "mlengine"
        # A trainer may well take a blank as a value, but not one that hangs at the end.
        if position > end and (position + 1 < len(arguments) or (before.startswith("--") and before != "--")):
            continue
        raise UsageError(
            f"An argument is blank (the one after '{before}'): "
            "is there a space after a backslash at a line's end?",
            hint="The shell ends the command there and takes the next line for a command of its own. "
            "Delete the spaces after the backslash.",
        )


def _no_words(flags: Mapping[str, str]) -> int:
    if "version" in flags:
        from mlengine import __version__

        print(f"mlengine {__version__}")
        return 0
    print(_overview(), end="", file=sys.stdout if "help" in flags else sys.stderr)
    return 0 if "help" in flags else 2


def _find(line: list[str], flags: Mapping[str, str]) -> tuple[Command | None, list[str]]:
    """The command that the first words name, and its own arguments; None after printing a group's help."""
    word = line[0]
    if word.startswith("-"):
        raise UsageError(
            f"unrecognized arguments: {word}", hint="The command comes first: mlengine jobs list"
        )
    if word not in GROUPS:
        raise UsageError(
            f"Invalid choice: '{word}'.", hint=nearest(word, list(GROUPS)) or "See: mlengine --help"
        )
    commands: Sequence[Command] = import_module(GROUPS[word][0]).COMMANDS
    best = max(
        (command for command in commands if line[: command.words.count(" ") + 1] == command.words.split()),
        key=lambda command: len(command.words),
        default=None,
    )
    if best:
        return best, line[best.words.count(" ") + 1 :]
    if "help" in flags and len(line) <= 2:
        print(_group_help(word, commands), end="")
        return None, []
    depth = 1
    while any(command.words.split()[:depth] == line[:depth] for command in commands):
        depth += 1
    said = " ".join(line[: depth - 1])
    known = sorted(
        {c.words.split()[depth - 1] for c in commands if c.words.split()[: depth - 1] == line[: depth - 1]}
    )
    typed = line[depth - 1] if len(line) >= depth else ""
    problem = (
        f"'{typed}' is no command of `mlengine {said}`." if typed else f"`mlengine {said}` needs a command."
    )
    hint = nearest(typed, known) if typed else ""
    raise UsageError(problem, hint=hint or f"One of: {', '.join(known)}")


def _overview() -> str:
    width = max(map(len, GROUPS))
    lines = [f"  {word:<{width}}  {summary}" for word, (_, summary) in GROUPS.items()]
    return (
        "Train, deploy and predict: the commands of gcloud ml-engine on your own server.\n\n"
        "Usage: mlengine GROUP COMMAND [flags]\n\n" + "\n".join(lines) + "\n\n"
        "Everywhere:\n"
        "  --project P       project id (MLENGINE_PROJECT; default local)\n"
        "  --endpoint URL    the server (MLENGINE_ENDPOINT; default http://127.0.0.1:8080)\n"
        "  --format F        json, yaml, table, csv(KEYS), value(KEYS)\n"
        "  --quiet, -q       ask nothing\n"
        f"  --verbosity V     {', '.join(VERBOSITIES)}\n"
        "  --help, --version\n\n"
        "Start here: mlengine init DIR; mlengine server start --detach\n"
    )


def _group_help(word: str, commands: Sequence[Command]) -> str:
    width = max(len(command.words) for command in commands)
    lines = [f"  {command.words:<{width}}  {command.summary}" for command in commands]
    return (
        f"mlengine {word}: {GROUPS[word][1]}\n\n" + "\n".join(lines) + "\n\nMore: mlengine COMMAND --help\n"
    )


def _complain(where: str, message: str, hint: str) -> None:
    print(f"ERROR: ({where}) {message}", file=sys.stderr)
    if hint:
        print(hint, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
