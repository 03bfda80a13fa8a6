"""The door: from a line to an exit code. Imports little, so that help and lists come at once.

Exit codes: 0 done, 1 failed, 2 the line is wrong, 130 interrupted, 141 the reader went away.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from importlib import import_module
from typing import TYPE_CHECKING

from mlengine.cli.command import ABSENT, Command, UsageError
from mlengine.cli.session import VERBOSITIES, Listing, Session
from mlengine.errors import Problem, nearest

if TYPE_CHECKING:
    from argparse import Namespace

# word -> (module, its line in the help). A module is imported when its word is typed.
GROUPS: Mapping[str, tuple[str, str]] = {
    "server": ("mlengine.cli.server", "start, stop and look at the server of this machine"),
    "init": ("mlengine.cli.init", "make a trainer package to start from"),
    "local": ("mlengine.cli.local", "train and predict here, without a server"),
    "jobs": ("mlengine.cli.jobs", "submit trainings, watch and cancel them"),
    "models": ("mlengine.cli.models", "the models versions belong to"),
    "versions": ("mlengine.cli.versions", "deploy trained models as versions"),
    "predict": ("mlengine.cli.predict", "ask a deployed version for predictions"),
    "explain": ("mlengine.cli.explain", "ask what a prediction rests on"),
    "operations": ("mlengine.cli.operations", "long-running work of the server"),
    "locations": ("mlengine.cli.locations", "where work is done, and what is possible there"),
    "runtimes": ("mlengine.cli.runtimes", "the runtime versions trainers and models run on"),
    "machine-types": ("mlengine.cli.machine_types", "the machines jobs can ask for, and what they get"),
    "storage": ("mlengine.cli.storage", "buckets and objects: mb, cp, ls, rsync, cat, rm, and more"),
    "tables": ("mlengine.cli.tables", "tables in the manner of BigQuery: load, query, look, split"),
    "projects": ("mlengine.cli.projects", "projects, and who may do what in them"),
    "iam": ("mlengine.cli.iam", "service accounts, and the keys that sign for them"),
    "audit": ("mlengine.cli.administration", "who changed what"),
    "auth": ("mlengine.cli.auth", "the credentials that commands show"),
    "completion": ("mlengine.cli.completion", "what completes these words in bash, zsh and fish"),
}
# What gcloud's lines have in front; typed out of habit and skipped.
_TRACKS = ("beta", "alpha")
_OLD_FIRST_WORDS = ("ml-engine", "ai-platform", "ml")
# `ls -h` is gsutil's for sizes that people read; elsewhere -h is help.
_SIZES_FOR_PEOPLE = ["storage", "ls"]
_VALUE_FLAGS = ("--project", "--endpoint", "--format", "--verbosity", "--access-token-file", "--flatten")
_SWITCHES = {"--quiet": "quiet", "-q": "quiet", "--help": "help", "-h": "help"}
# Flags that are there, or not, or told so by a word.
_TRUTHS = ("--log-http", "--user-output-enabled")
_YES, _NO = ("true", "yes", "1"), ("false", "no", "0")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one line; the exit code."""
    for stream in (sys.stdout, sys.stderr):
        # A name in Korean must not end in a traceback where the terminal has no such letters.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if list(arguments or sys.argv[1:2])[:1] == ["__complete"]:
        from mlengine.cli.completion import complete

        return complete(list(sys.argv[1:] if arguments is None else arguments)[1:])
    where, verbosity = "mlengine", "warning"
    try:
        line, rest, flags = _globals(_typed(list(sys.argv[1:] if arguments is None else arguments)))
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
    session = _session(command, flags, namespace)
    try:
        with _nothing_printed() if session.silent else nullcontext():
            code = command.run(namespace, session)
            sys.stdout.flush()
        return code
    finally:
        session.close()


@contextmanager
def _nothing_printed() -> Iterator[None]:
    with os.fdopen(os.open(os.devnull, os.O_WRONLY), "w") as nowhere, redirect_stdout(nowhere):
        yield


def _session(command: Command, flags: Mapping[str, str], arguments: Namespace) -> Session:
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
        # Unchecked: the server knows whose number or name it is, and says which id is meant.
        project=flags.get("project") or environment.get("MLENGINE_PROJECT") or "local",
        endpoint=endpoint,
        endpoint_given=bool(given),
        format=flags.get("format", ""),
        quiet="quiet" in flags,
        verbosity=verbosity,
        environment=environment,
        listing=_listing(arguments, flags.get("flatten", "")),
        track=flags.get("track", ""),
        log_http=flags.get("log-http", "") == "true",
        silent=flags.get("user-output-enabled") == "false",
        access_token_file=flags.get("access-token-file", ""),
    )


def _listing(arguments: Namespace, flatten: str) -> Listing:
    keys = tuple(key for key in flatten.split(",") if key)
    names = ("filter", "sort_by", "limit", "page_size", "uri")
    if not all(hasattr(arguments, name) for name in names):
        return Listing(flatten=keys)
    return Listing(flatten=keys, **{name: getattr(arguments, name) for name in names})


def _typed(arguments: list[str]) -> list[str]:
    """The line with what flags files hold."""
    if not any(token.startswith("--flags-file") for token in arguments):
        return arguments
    from mlengine.cli.flags_file import expand

    return expand(arguments)


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
        elif flag.replace("--no-", "--", 1) in _TRUTHS:
            name = flag.replace("--no-", "--", 1)
            flags[name[2:]] = _truth(name, value.lower() if equals else "true", denied=name != flag)
        elif token in _SWITCHES and not (token == "-h" and line[:2] == _SIZES_FOR_PEOPLE):
            flags[_SWITCHES[token]] = token
        elif token == "--version" and not line:
            flags["version"] = token
        else:
            line.append(token)
    if line and line[0] in _TRACKS:
        flags["track"] = line.pop(0)
    if line and line[0] in _OLD_FIRST_WORDS:
        line.pop(0)
    if line[:2] == ["storage", "-m"]:
        # gsutil has it before the verb.
        line[1:3] = [*line[2:3], "-m"]
    return line, rest, flags


def _truth(flag: str, word: str, *, denied: bool) -> str:
    if word not in (*_YES, *_NO):
        raise UsageError(f"argument {flag}: Value must be true or false; received: {word}")
    return "true" if (word in _YES) != denied else "false"


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
            "Delete the spaces after the backslash. [blank-argument]",
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
    for words, instead in ABSENT.items():
        if line[: words.count(" ") + 1] == words.split():
            raise UsageError(
                f"`mlengine {words}` is not available in this version of mlengine.", hint=instead
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
        "  --flatten KEY     a record for each item of a list\n"
        "  --log-http        show requests and answers\n"
        "  --flags-file F    flags from a YAML file\n"
        "  --access-token-file F, --user-output-enabled=false\n"
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
