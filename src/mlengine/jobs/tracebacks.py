"""Reads a Python traceback out of the last lines of a log: what was raised, and on which line of whose code.

Pure; apart from `causes`, which knows what to say about it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

_START = "Traceback (most recent call last):"
_FRAME = re.compile(r'^[\s|+]*File "(?P<file>[^"]+)", line (?P<line>\d+)')
_RAISED = re.compile(r"^[\s|+]*(?P<name>[A-Za-z_]\w*(?:\.\w+)*)(?:: (?P<text>.*))?$")
# A name that an exception has: what a trainer prints between the lines of a traceback seldom looks so.
_EXCEPTION = re.compile(r"(?:Error|Exception|Exit|Interrupt|Warning|Iteration|Group|Timeout|Expired|Fault)$")
_INSTALLED = re.compile(r".*/(?:site|dist)-packages/")
_LIBRARY = re.compile(r"/lib/python3[^/]*/|^<")


@dataclass(frozen=True, slots=True, kw_only=True)
class Traceback:
    """An exception that nobody caught.

    Attributes:
        name: Of its class, without the module.
        text: The first line of what it says; "" for nothing.
        file: Of the last frame in the user's package, as he knows it ("trainer/task.py"), else of the last
            frame at all; "" where there is none.
        lineno: The line in that file; 0 where there is none.
    """

    name: str
    text: str
    file: str = ""
    lineno: int = 0

    def __str__(self) -> str:
        return f"{self.name}: {self.text}" if self.text else self.name


def last_traceback(lines: Sequence[str], packages: Collection[str]) -> Traceback | None:
    """The last traceback among `lines`, if its end is there.

    Args:
        packages: The top-level packages that the user wrote.
    """
    # Within a line, too: a progress bar leaves none behind it.
    starts = [position for position, line in enumerate(lines) if _START in line]
    frames: list[tuple[str, int]] = []
    raised: re.Match[str] | None = None
    for line in lines[starts[-1] + 1 :] if starts else lines:
        if frame := _FRAME.match(line):
            frames.append((frame["file"], int(frame["line"])))
            raised = None
        elif raised is None and frames and (found := _RAISED.match(line)) and _is_exception(found, line):
            raised = found
    # A module that cannot be compiled has a traceback without the first line if it is the main one.
    if raised is None or (not starts and not raised["name"].endswith(("SyntaxError", "Error"))):
        return None
    name = raised["name"].rpartition(".")[2]
    # Where the syntax is wrong, the last place named is the cause, whoever wrote it.
    own = frames if name in _SYNTAX else [frame for frame in frames if is_own(frame[0], packages)]
    file, lineno = (own or frames)[-1]
    return Traceback(
        name=name, text=(raised["text"] or "").strip(), file=_INSTALLED.sub("", file), lineno=lineno
    )


_SYNTAX = ("SyntaxError", "IndentationError", "TabError")


def _is_exception(found: re.Match[str], line: str) -> bool:
    if line[:1].isspace() and not line.lstrip().startswith("|"):
        return False  # the source of a frame
    return bool(_EXCEPTION.search(found["name"])) or found["text"] is not None or "." in found["name"]


def is_own(file: str, packages: Collection[str]) -> bool:
    """Whether `file` belongs to the user's code and not to a library."""
    installed = _INSTALLED.match(file)
    if installed:
        return file[installed.end() :].partition("/")[0].removesuffix(".py") in packages
    return not _LIBRARY.search(file)


def last_place(lines: Sequence[str], packages: Collection[str]) -> tuple[str, int]:
    """Where it crashed, if `faulthandler` said so: the innermost own frame; ("", 0) if not."""
    starts = [position for position, line in enumerate(lines) if line.startswith("Fatal Python error")]
    frames = [match for line in lines[starts[-1] :] if (match := _FRAME.match(line))] if starts else []
    # The most recent call comes first here.
    own = [frame for frame in frames if is_own(frame["file"], packages)] or frames
    return (_INSTALLED.sub("", own[0]["file"]), int(own[0]["line"])) if own else ("", 0)
