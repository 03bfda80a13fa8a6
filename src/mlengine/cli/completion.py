"""`mlengine completion SHELL`, and the hidden `mlengine __complete` that its scripts ask at every Tab.

What is completed is read from the commands themselves; live names come from the list commands.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import threading
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from importlib import import_module

from mlengine.cli.command import Command
from mlengine.cli.grammar import Parser
from mlengine.cli.session import VERBOSITIES, Session

# A name and what it is.
Candidate = tuple[str, str]

# A shell that hangs at Tab is worse than one that offers nothing.
_SECONDS = 1.0
# What the scripts take as: complete names of files.
_FILES: Candidate = (":files", "")
_GLOBAL_FLAGS = {
    "--project": "project id",
    "--endpoint": "the server's URL",
    "--format": "json, yaml, table(KEYS), csv(KEYS), value(KEYS), ...",
    "--flatten": "a record for each item of a list",
    "--verbosity": "how much is said",
    "--access-token-file": "file with a token",
    "--flags-file": "YAML file of flags",
}
_GLOBAL_SWITCHES = {
    "--quiet": "ask nothing",
    "--help": "help",
    "--log-http": "show requests and answers",
    "--user-output-enabled": "print results; --no-user-output-enabled: do not",
}
_FIRST_WORDS = ("beta", "alpha", "ml-engine", "ai-platform", "ml")
# What stands for a name in a command's usage, and the command that lists those names.
_NAMES = {
    "JOB": ("jobs", "list", "--format=value(jobId,state)"),
    "LOCATION": ("locations", "list", "--format=value(name.basename())"),
    "MODEL": ("models", "list", "--format=value(name.basename(),description)"),
    "OPERATION": ("operations", "list", "--format=value(name.basename(),metadata.operationType)"),
    "RUNTIME": ("runtimes", "list", "--format=value(name,summary)"),
    "VERSION": ("versions", "list", "--format=value(name.basename(),state)"),
}
_BUCKETS = ("storage", "ls", "--format=value(name)")
_OF_FILES = ("FILE", "DIR", "PATH", "SOURCE", "TARGET")
_MAKES_A_NAME = ("create", "training", "prediction")

_BASH = """\
# Completion of mlengine in bash. In ~/.bashrc: source <(mlengine completion bash)
_mlengine() {
    local line
    local -a found=()
    while IFS= read -r line; do
        found+=("$line")
    done < <("${COMP_WORDS[0]}" __complete bash "$COMP_WORDBREAKS" "${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
    COMPREPLY=()
    if [[ ${found[0]-} == ":files" ]]; then
        compopt -o default 2>/dev/null
        return
    fi
    COMPREPLY=("${found[@]}")
    if [[ ${#found[@]} -eq 1 && ${found[0]} == *[=/] ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
complete -F _mlengine mlengine
"""
_ZSH = """\
#compdef mlengine
# Completion of mlengine in zsh. In ~/.zshrc, after compinit: source <(mlengine completion zsh)
_mlengine() {
    local line value
    local -a lines whole whole_shown open open_shown
    lines=("${(@f)$("${words[1]}" __complete zsh "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ "${lines[1]}" == ":files" ]]; then
        _files
        return
    fi
    for line in "${lines[@]}"; do
        value="${line%%$'\\t'*}"
        [[ -n "$value" ]] || continue
        if [[ "$value" == *[=/] ]]; then
            open+=("$value") open_shown+=("${line/$'\\t'/  -- }")
        else
            whole+=("$value") whole_shown+=("${line/$'\\t'/  -- }")
        fi
    done
    (( $#open )) && compadd -l -S '' -d open_shown -a open
    (( $#whole )) && compadd -l -d whole_shown -a whole
    (( $#open + $#whole ))
}
compdef _mlengine mlengine
"""
_FISH = """\
# Completion of mlengine in fish. mlengine completion fish > ~/.config/fish/completions/mlengine.fish
function __mlengine_complete
    set -l before (commandline -opc)
    set -l last (commandline -ct)
    set -l found ($before[1] __complete fish $before[2..-1] "$last" 2>/dev/null)
    if test "$found[1]" = ":files"
        __fish_complete_path "$last"
    else
        printf '%s\\n' $found
    end
end
complete -c mlengine -f -a '(__mlengine_complete)'
"""
SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


@dataclass
class _Line:
    """What stands before the word that is completed.

    Attributes:
        words: Without global flags and what gcloud has in front.
        common: Global flags that decide which server and project are asked.
        waiting: A global flag whose value comes next, or "".
    """

    words: list[str] = field(default_factory=list)
    common: list[str] = field(default_factory=list)
    waiting: str = ""


def complete(arguments: Sequence[str]) -> int:
    """Print what the last word may become, a line each; never an error, and nothing after a second.

    Args:
        arguments: The shell's name; then for bash its word breaks and the line up to the cursor, for the
            others the line's words, the last of them the one to complete.
    """
    out = sys.stdout
    shell, *rest = arguments or [""]
    breaks, words = "", list(rest)
    if shell == "bash":
        breaks, line = [*rest, "", ""][:2]
        words = _split(line)[1:]
    word = words[-1] if words else ""
    found: list[Candidate] = []

    def work() -> None:
        try:
            found.extend(candidates(words))
        except (Exception, SystemExit):
            # In the middle of somebody's line there is no place for a message.
            found.clear()

    worker = threading.Thread(target=work, daemon=True)
    with redirect_stderr(io.StringIO()):
        worker.start()
        worker.join(_SECONDS)
    late = worker.is_alive()
    if not late:
        # What bash takes for the word begins after the last of its breaks: `//b` of `gs://b`.
        cut = max((word.rfind(letter) + 1 for letter in breaks if letter in word), default=0)
        for name, meaning in found:
            if name == _FILES[0]:
                print(name, file=out)
            elif name.startswith(word):
                print(name[cut:] if shell == "bash" else f"{name}\t{meaning}".rstrip(), file=out)
    out.flush()
    if late:
        os._exit(0)
    return 0


def candidates(words: Sequence[str]) -> list[Candidate]:
    """All that may stand in place of the last of `words`, whatever it begins with."""
    *before, word = words or [""]
    if "--" in before:
        return [_FILES]
    line = _read(before)
    flag, equals, _ = word.partition("=")
    if line.waiting:
        return _global_values(line.waiting)
    if equals and flag in _GLOBAL_FLAGS:
        return _behind(flag, _global_values(flag))
    command, own = _command(line.words)
    if command is None:
        return _next_words(line.words) + (_globals() if word.startswith("-") else [])
    return _arguments(command, own, word, line.common)


def _arguments(command: Command, own: Sequence[str], word: str, common: Sequence[str]) -> list[Candidate]:
    parser = Parser(command)
    flags = {flag: action for action in parser._actions for flag in action.option_strings}
    given: dict[str, str] = {}
    places = 0
    waiting: argparse.Action | None = None
    for token in own:
        name, equals, value = token.partition("=")
        if waiting is not None:
            given[waiting.dest], waiting = token, None
        elif name in flags and flags[name].nargs != 0:
            if equals:
                given[flags[name].dest] = value
            else:
                waiting = flags[name]
        elif not token.startswith("-"):
            places += 1
    if waiting is not None:
        return _values(waiting, command, given, word, common)
    flag, equals, _ = word.partition("=")
    if equals and flag in flags:
        typed = word.partition("=")[2]
        return _behind(flag, _values(flags[flag], command, given, typed, common))
    if word.startswith("-"):
        return [
            *(
                (flag, (action.help or "").partition(";")[0])
                for flag, action in flags.items()
                if flag.startswith("--") and action.help != argparse.SUPPRESS
            ),
            *_globals(),
        ]
    positionals = parser._get_positional_actions()
    if not positionals:
        return []
    if places >= len(positionals) and positionals[-1].nargs not in ("*", "+"):
        return []
    return _values(positionals[min(places, len(positionals) - 1)], command, given, word, common)


def _values(
    action: argparse.Action, command: Command, given: dict[str, str], word: str, common: Sequence[str]
) -> list[Candidate]:
    """What may be given for an argument of a command."""
    if action.choices is not None:
        return [(str(choice), "") for choice in action.choices]
    shape = action.metavar if isinstance(action.metavar, str) else ""
    if not action.option_strings and command.words.rpartition(" ")[2] in _MAKES_A_NAME:
        return []
    if action.dest == "runtime_version":
        shape = "RUNTIME"
    if shape in _NAMES:
        asked = list(_NAMES[shape])
        if shape == "VERSION":
            if not given.get("model"):
                return []
            asked.append(f"--model={given['model']}")
        return _listed([*asked, "--limit=200"], common)
    if "gs://" in shape or command.words.startswith("storage "):
        if word.startswith("gs://") or (word and "gs://".startswith(word)):
            return [(f"gs://{name}/", "") for name, _ in _listed(_BUCKETS, common)]
        return [("gs://", "")] if shape.startswith("gs://") and not word else [_FILES]
    return [_FILES] if any(part in shape.upper() for part in _OF_FILES) else []


def _listed(line: Sequence[str], common: Sequence[str]) -> list[Candidate]:
    """What a list command prints: names, and behind a tab a word about each."""
    from mlengine.cli.main import main

    out = io.StringIO()
    with redirect_stdout(out):
        code = main([*line, *common])
    if code != 0:
        return []
    pairs = (row.partition("\t") for row in out.getvalue().splitlines())
    return [(name, meaning.replace("\t", " ").strip()) for name, _, meaning in pairs if name]


def _read(words: Sequence[str]) -> _Line:
    line = _Line()
    for word in words:
        flag, equals, _ = word.partition("=")
        if line.waiting:
            line.common += [line.waiting, word] if line.waiting not in ("--format", "--flatten") else []
            line.waiting = ""
        elif flag in _GLOBAL_FLAGS:
            if not equals:
                line.waiting = flag
            elif flag not in ("--format", "--flatten"):
                line.common.append(word)
        elif flag not in (*_GLOBAL_SWITCHES, "-q", "-h"):
            line.words.append(word)
    while line.words and line.words[0] in _FIRST_WORDS:
        line.words.pop(0)
    return line


def _command(words: Sequence[str]) -> tuple[Command | None, list[str]]:
    """The command that is typed out, and what follows it."""
    found = [
        command
        for command in _commands(words)
        if words[: len(command.words.split())] == command.words.split()
    ]
    if not found:
        return None, []
    best = max(found, key=lambda command: len(command.words))
    return best, list(words[len(best.words.split()) :])


def _next_words(words: Sequence[str]) -> list[Candidate]:
    from mlengine.cli.main import GROUPS

    if not words:
        return [(word, summary) for word, (_, summary) in GROUPS.items()]
    depth = len(words)
    found: dict[str, str] = {}
    for command in _commands(words):
        own = command.words.split()
        if own[:depth] == list(words) and len(own) > depth:
            found.setdefault(own[depth], command.summary if len(own) == depth + 1 else "")
    return list(found.items())


def _commands(words: Sequence[str]) -> Sequence[Command]:
    from mlengine.cli.main import GROUPS

    if not words or words[0] not in GROUPS:
        return ()
    commands: Sequence[Command] = import_module(GROUPS[words[0]][0]).COMMANDS
    return commands


def _globals() -> list[Candidate]:
    return list((_GLOBAL_FLAGS | _GLOBAL_SWITCHES).items())


def _global_values(flag: str) -> list[Candidate]:
    if flag == "--verbosity":
        return [(level, "") for level in VERBOSITIES]
    if flag == "--format":
        from mlengine.cli.formats.projection import FORMATS

        return [(name, "") for name in FORMATS]
    return [_FILES] if flag.endswith("-file") else []


def _behind(flag: str, values: Sequence[Candidate]) -> list[Candidate]:
    return [(name if name == _FILES[0] else f"{flag}={name}", meaning) for name, meaning in values]


def _split(line: str) -> list[str]:
    """The words of an unfinished line as a shell sees them; the last one is "" after a blank."""
    words, word, quote, begun = [], "", "", False
    letters = iter(line)
    for letter in letters:
        if quote and letter == quote:
            quote = ""
        elif letter == "\\" and quote != "'":
            word += next(letters, "")
        elif quote:
            word += letter
        elif letter in "'\"":
            quote, begun = letter, True
        elif letter.isspace():
            if word or begun:
                words.append(word)
            word, begun = "", False
            continue
        else:
            word += letter
        begun = True
    return [*words, word]


def _nothing(_parser: Parser) -> None:
    """These commands take nothing."""


def _printer(shell: str) -> Command:
    def run(_arguments: argparse.Namespace, _session: Session) -> int:
        print(SCRIPTS[shell], end="")
        return 0

    where = SCRIPTS[shell].partition(f"in {shell}. ")[2].partition("\n")[0]
    return Command(
        words=f"completion {shell}",
        summary=f"Print the script that completes commands, flags and names in {shell}.",
        arguments=_nothing,
        run=run,
        detail=f"Set it up once: {where.removeprefix('In ')}",
        example=f"completion {shell}",
    )


COMMANDS = tuple(map(_printer, SCRIPTS))
