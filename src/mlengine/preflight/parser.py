"""Whether the trainer's own argparse parser takes the arguments, asked in a child that goes no further.

The child sees copies of the trainer's files, an empty home and an empty folder; see `rehearsal`. First with
stand-ins for all other packages, which takes a tenth of a second. What is rejected then is asked again with
the runtime's real packages, where that runtime is built here.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from mlengine.errors import nearest
from mlengine.preflight import rehearsal
from mlengine.preflight.archive import Archive
from mlengine.preflight.findings import Finding
from mlengine.preflight.imports import Sources
from mlengine.preflight.sources import uses_parser
from mlengine.preflight.surroundings import Surroundings

_STAND_IN_SECONDS, _REAL_SECONDS = 5.0, 20.0
_ARGS = "job.training_input.args"
_JOB_DIR = ("--job-dir", "--job_dir")


@dataclass(frozen=True)
class Verdict:
    """What came of asking the parser.

    Attributes:
        outcome: "accepted", "rejected" or "undecided".
        facts: What the child said: message, file, line, options, extra, reason.
    """

    outcome: str
    facts: Mapping[str, Any] = field(default_factory=dict)


def check_parser(
    sources: Sources,
    args: Sequence[str],
    job_dir: str,
    surroundings: Surroundings,
    variables: Mapping[str, str],
) -> tuple[list[Finding], str]:
    """Ask the trainer's parser.

    Args:
        args: The trainer's own; `--job-dir` is put behind them as the service does.
        variables: The environment that the trainer will find.

    Returns:
        What it rejects, and why nothing could be said ("" where something could).
    """
    ways = {uses_parser(sources.trees[module]) for module in sources.reached if module in sources.trees}
    if "argparse" not in ways:
        other = "".join(sorted(ways - {""})[:1])
        return [], (
            f"The trainer's arguments: it reads them with {other}, not argparse."
            if other
            else ("The trainer's arguments: it has no parser for them." if args else "")
        )
    words = [*args, *(("--job-dir", job_dir) if job_dir else ())]
    with tempfile.TemporaryDirectory(prefix="mlengine-parser-") as scratch:
        place = Path(os.path.realpath(scratch))
        roots = _laid_out(sources.archives, place / "packages")
        asked = _Asked(sources, words, roots, place, variables)
        verdict = asked.ask(Path(sys.executable), real=False, seconds=_STAND_IN_SECONDS)
        if surroundings.interpreter and (verdict.outcome == "rejected" or verdict.facts.get("again")):
            real = asked.ask(surroundings.interpreter, real=True, seconds=_REAL_SECONDS)
            if real.outcome != "undecided":
                verdict = real
    if verdict.outcome == "undecided":
        return [], f"The trainer's arguments: {verdict.facts.get('reason', 'its parser was not reached')}."
    where = _where(verdict, roots)
    parsers = sum(content.count(b"ArgumentParser(") for _, content in sources.files.values())
    if verdict.outcome == "accepted":
        return _ignored(verdict, where) if parsers == 1 else [], ""
    return [_rejected(verdict, where, words=words, given=args)], ""


@dataclass(frozen=True)
class _Asked:
    sources: Sources
    words: list[str]
    roots: list[Path]
    place: Path
    variables: Mapping[str, str]

    def ask(self, python: Path, *, real: bool, seconds: float) -> Verdict:
        verdict = self.place / "verdict.json"
        verdict.unlink(missing_ok=True)
        for name in ("work", "home", "tmp"):
            (self.place / name).mkdir(exist_ok=True)
        order = {
            "module": self.sources.entry,
            "args": self.words,
            "roots": [str(root) for root in self.roots],
            "own": sorted(self.sources.top_level),
            "scratch": str(self.place),
            "verdict": str(verdict),
            "real": real,
        }
        own = {
            "HOME": str(self.place / "home"),
            "TMPDIR": str(self.place / "tmp"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "CUDA_VISIBLE_DEVICES": "",
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }
        # -I: neither this folder nor PYTHONPATH; -S: no packages but those of the trainer.
        flags = ["-I"] if real else ["-I", "-S"]
        child = subprocess.Popen(
            [str(python), *flags, rehearsal.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self.place / "work",
            env={**self.variables, **own},
            start_new_session=True,
        )
        try:
            child.communicate(json.dumps(order).encode(), timeout=seconds)
        except subprocess.TimeoutExpired:
            return Verdict("undecided", {"reason": f"its parser was not reached within {seconds:g} s"})
        finally:
            _end(child)
        try:
            said = json.loads(verdict.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return Verdict("undecided", {"reason": "it ended before its parser was reached"})
        return Verdict(said.pop("outcome"), said)


def _end(child: subprocess.Popen[bytes]) -> None:
    """No process of the trainer's is left behind."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
    child.wait()


def _laid_out(archives: Sequence[Archive], folder: Path) -> list[Path]:
    """The archives' small files below `folder`, each archive apart; the folders for the module path."""
    roots = []
    for number, archive in enumerate(archives):
        place = folder / str(number)
        for name, content in archive.contents.items():
            parts = PurePosixPath(name).parts
            if not parts or ".." in parts or name.startswith("/"):
                continue
            target = place.joinpath(*parts)
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
            except OSError:  # a name too long, or a file where a folder should be: not a module
                continue
        roots += [place / root for root in archive.roots]
    return roots


def _where(verdict: Verdict, roots: Sequence[Path]) -> str:
    file, line = verdict.facts.get("file", ""), verdict.facts.get("line", 0)
    for root in sorted(roots, key=lambda root: -len(root.parts)):
        if file and Path(file).is_relative_to(root):
            return f"{Path(file).relative_to(root)}:{line}"
    return ""


def _rejected(verdict: Verdict, where: str, *, words: Sequence[str], given: Sequence[str]) -> Finding:
    message = str(verdict.facts["message"])
    options = verdict.facts.get("options", [])
    flags = [flag for option in options for flag in option["flags"] if flag.startswith("--")]
    if unknown := re.match(r"unrecognized arguments: (.*)", message, re.DOTALL):
        extra = verdict.facts.get("extra") or unknown[1].split(" ")
        return _unknown(list(extra), where, flags=flags, given=given)
    if missing := re.match(r"(?:the following arguments are required|one of the arguments): ?(.*)", message):
        return _finding(
            "argument-missing",
            f"The trainer's own parser requires {missing[1].removesuffix(' is required')}.",
            where,
            "Arguments of the trainer go behind a bare --: … -- "
            + " ".join(f"{name.partition('/')[0]} VALUE" for name in missing[1].split(", ")[:3]),
        )
    name = re.match(r"argument ([^:]+): (.*)", message, re.DOTALL)
    plain = any(option["plain"] and name and name[1] == option["name"] for option in options) or (
        "expected" in message and "argument" in message
    )
    short = "expected one argument" in message
    blank = any(not word.strip() for word in words)
    return _finding(
        "argument-value",
        f"The trainer's own parser says: {message}.",
        where,
        "Is a variable empty?" if short or blank else "Give a value that it takes.",
        lowered=not plain,
    )


def _unknown(extra: list[str], where: str, *, flags: list[str], given: Sequence[str]) -> Finding:
    if extra[0].partition("=")[0] in _JOB_DIR and not any(
        word.partition("=")[0] == extra[0].partition("=")[0] for word in given
    ):
        return _finding(
            "job-dir-rejected",
            "The trainer's own parser does not know --job-dir, which the service hands to every trainer.",
            where,
            "Add: parser.add_argument('--job-dir')",
        )
    blank = [word for word in extra if not word.strip()]
    if blank:
        return _finding(
            "blank-argument",
            "The trainer's own parser rejects a blank argument.",
            where,
            "Is there a blank behind a backslash at the end of a line? The backslash must come last.",
        )
    flag = extra[0].partition("=")[0]
    near = nearest(flag, flags)
    known = ", ".join(flag for flag in flags if flag != "--help")
    return _finding(
        "argument-rejected",
        f"The trainer's own parser rejects: {' '.join(extra)}.",
        where,
        near or (f"It takes: {known}" if known else "It takes no arguments."),
    )


def _ignored(verdict: Verdict, where: str) -> list[Finding]:
    """Misspelt flags among those that `parse_known_args` left over."""
    flags = [flag for option in verdict.facts.get("options", []) for flag in option["flags"]]
    found = []
    for word in verdict.facts.get("extra") or ():
        flag = str(word).partition("=")[0]
        if flag.startswith("--") and flag not in _JOB_DIR and (near := nearest(flag, flags)):
            found.append(
                _finding("argument-ignored", f"The trainer's own parser does not know {flag}.", where, near)
            )
    return found


def _finding(code: str, message: str, where: str, hint: str, *, lowered: bool = False) -> Finding:
    return Finding(code=code, message=message, where=where, hint=hint, field=_ARGS, lowered=lowered)
