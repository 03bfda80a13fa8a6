"""Why a replica ended: from its exit and its last lines to a sentence, a place in the code, and a cure.

Pure; apart from the loop, which only asks. A hint is given where one is known, and never guessed.
"""

from __future__ import annotations

import signal as signals
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from mlengine.jobs.diagnosis import MORE_MEMORY, Kind, diagnosis, rejected_arguments
from mlengine.jobs.executor import Outcome, OutOfMemory, Phase, in_words
from mlengine.jobs.tracebacks import last_place, last_traceback

__all__ = ["LAST_LINES", "Cause", "Kind", "exit_in_words", "explain", "report"]

LAST_LINES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why a replica ended.

    Attributes:
        line: A sentence, or the exception as Python says it.
        file, lineno: In the user's code, where that can be told; else "" and 0.
        hint: What to do; "" where that is not known.
        last_lines: The end of its log.
    """

    kind: Kind
    line: str
    file: str = ""
    lineno: int = 0
    hint: str = ""
    last_lines: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """ "trainer/task.py:42", or ""."""
        return f"{self.file}:{self.lineno}" if self.file else ""


def explain(
    outcome: Outcome,
    messages: Iterable[str],
    *,
    packages: Collection[str] = (),
    time_limit_seconds: float | None = None,
) -> Cause:
    """Tell why a replica ended.

    Args:
        outcome: How it ended; not with exit code 0.
        messages: The end of its log, oldest first; some hundreds, so that a long traceback is whole.
        packages: The top-level packages that the user wrote: places are told in them.
        time_limit_seconds: If it was stopped for having run longer than that.
    """
    messages = list(messages)
    lines = [line.rstrip() for message in messages for line in message.split("\n")]
    cause = (
        _ended_by_others(outcome, time_limit_seconds)
        or _never_began(outcome, messages)
        or _raised(outcome, lines, packages)
        or _ended_by_signal(outcome, lines, packages)
        or _ended_by_itself(outcome, lines)
    )
    last = tuple([line for line in lines if line.strip()][-LAST_LINES:])
    return Cause(
        kind=cause.kind,
        line=cause.line,
        file=cause.file,
        lineno=cause.lineno,
        hint=cause.hint,
        last_lines=last,
    )


def report(cause: Cause, outcome: Outcome, *, replica: str = "master 0", job_id: str = "") -> str:
    """All of it for people: cause, place, last lines, the exit in words, hint."""
    parts = [cause.line]
    if cause.place:
        parts.append(cause.place)
    if cause.last_lines:
        count = len(cause.last_lines)
        parts += ["", "Its last line:" if count == 1 else f"Its last {count} lines:"]
        parts += [f"  {line}" for line in cause.last_lines]
        parts.append("")
    parts.append(f"The replica {replica} {exit_in_words(outcome)}.")
    if cause.hint:
        parts.append(f"Hint: {cause.hint}")
    if job_id:
        more = f"please check the logs: mlengine jobs stream-logs {job_id}"
        parts.append(f"To find out more about why your job exited {more}")
    return "\n".join(parts)


def exit_in_words(outcome: Outcome) -> str:
    """What follows "The replica master 0 ..."."""
    if outcome.phase is Phase.LOST:
        return "was lost"
    if outcome.signal:
        return f"was killed by signal {outcome.signal} ({_name(outcome.signal)})"
    if outcome.exit_code is None:
        return "was stopped before it started"
    if outcome.exit_code == 0:
        return "exited with status 0"
    text = f"exited with a non-zero status of {outcome.exit_code}"
    if 128 < outcome.exit_code < 128 + signals.NSIG:
        number = outcome.exit_code - 128
        return f"{text} (128 + {number}: a process in it was killed by {_name(number)})"
    return text


def _ended_by_others(outcome: Outcome, time_limit_seconds: float | None) -> Cause | None:
    limits = outcome.limits
    if outcome.phase is Phase.LOST:
        line = outcome.message or "Its supervisor ended without a word; was the machine restarted?"
        return Cause(kind=Kind.LOST, line=line)
    if outcome.out_of_memory is OutOfMemory.LIMIT:
        limit = in_words(limits.memory_bytes or 0)
        line = f"Out of memory: it needed more than its limit of {limit} (enforced by {limits.memory_by})."
        return Cause(kind=Kind.OUT_OF_MEMORY, line=line, hint=MORE_MEMORY)
    if outcome.out_of_memory is OutOfMemory.MACHINE:
        used = in_words(outcome.peak_memory_bytes or 0)
        line = f"Out of memory: this machine had no more, and the kernel killed it when it used {used}."
        hint = "Let fewer jobs run at once, or hold less at once: smaller batches, data read in pieces."
        return Cause(kind=Kind.OUT_OF_MEMORY, line=line, hint=hint)
    if time_limit_seconds is not None:
        line = f"It ran longer than its maxRunningTime of {time_limit_seconds:.9g} s and was stopped."
        return Cause(kind=Kind.TIME_LIMIT, line=line, hint="Give it more time in scheduling.maxRunningTime.")
    if outcome.stopped:
        return Cause(kind=Kind.CANCELLED, line="It was cancelled.")
    return None


def _never_began(outcome: Outcome, messages: Sequence[str]) -> Cause | None:
    if outcome.began:
        return None
    # What prepares it says in its last message why it cannot.
    last = next((message.strip() for message in reversed(messages) if message.strip()), "")
    line = last.partition("\n")[0] or outcome.message or "It ended before the trainer ran."
    return Cause(kind=Kind.NOT_STARTED, line=line)


def _raised(outcome: Outcome, lines: Sequence[str], packages: Collection[str]) -> Cause | None:
    if outcome.signal:
        return None  # A traceback in its log is of something that it survived.
    if outcome.exit_code == 2 and (rejected := rejected_arguments(lines)):
        return Cause(kind=Kind.ARGUMENT, line=rejected[0], hint=rejected[1])
    found = last_traceback(lines, packages)
    if found is None:
        return None
    kind, line, hint = diagnosis(found, packages)
    return Cause(kind=kind, line=line, file=found.file, lineno=found.lineno, hint=hint)


_SIGNAL_HINTS = {
    signals.SIGSEGV: "A compiled package crashed. `import faulthandler; faulthandler.enable()` at the start "
    "of the trainer shows where.",
    signals.SIGILL: "A compiled package uses instructions that this processor does not have.",
    signals.SIGBUS: "Often /dev/shm is full: use fewer loader processes, or give it more room.",
    signals.SIGKILL: "Not by mlengine. The kernel does it when memory runs out: `dmesg` tells.",
}


def _ended_by_signal(outcome: Outcome, lines: Sequence[str], packages: Collection[str]) -> Cause | None:
    if not outcome.signal:
        return None
    number = outcome.signal
    if number == signals.SIGABRT and any("std::bad_alloc" in line for line in lines[-LAST_LINES:]):
        return Cause(kind=Kind.OUT_OF_MEMORY, line="Out of memory: std::bad_alloc.", hint=MORE_MEMORY)
    crashed = number in (signals.SIGSEGV, signals.SIGBUS, signals.SIGILL, signals.SIGFPE, signals.SIGABRT)
    what = signals.strsignal(number) or "signal"
    file, lineno = last_place(lines, packages) if crashed else ("", 0)
    return Cause(
        kind=Kind.CRASHED if crashed else Kind.KILLED,
        line=f"{what} (signal {number})." if crashed else f"Killed by signal {number} ({_name(number)}).",
        file=file,
        lineno=lineno,
        hint=next((hint for known, hint in _SIGNAL_HINTS.items() if known == number), ""),
    )


def _ended_by_itself(outcome: Outcome, lines: Sequence[str]) -> Cause:
    code = outcome.exit_code
    if code in (126, 127) and outcome.message:
        return Cause(kind=Kind.NOT_STARTED, line=outcome.message)
    if code is not None and 128 < code < 128 + signals.NSIG:
        number = code - 128
        line = f"A process that it started was killed by signal {number} ({_name(number)})."
        hint = _SIGNAL_HINTS[signals.SIGKILL] if number == signals.SIGKILL else ""
        return Cause(kind=Kind.KILLED, line=line, hint=hint)
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    said = f" Its last words: {last}" if last else ""
    return Cause(
        kind=Kind.EXIT, line=f"It ended itself with exit code {code}, by sys.exit or the like.{said}"
    )


def _name(number: int) -> str:
    try:
        return signals.Signals(number).name
    except ValueError:
        return f"signal {number}"
