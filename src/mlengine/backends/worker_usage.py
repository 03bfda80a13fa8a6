"""What the processes that serve versions use, as the kernel tells it; elsewhere than on Linux nothing is.

A process that serves several versions is shared out among them in equal parts: nobody can tell which byte of
it is whose.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from mlengine.monitoring.domain import Usage

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class WorkerUsage:
    """Asks about all processes of all versions at once.

    Args:
        processes: A version, the number of its node, and the process that serves it.
    """

    def __init__(self, processes: Callable[[], Iterable[tuple[str, int, int]]]) -> None:
        self._processes = processes
        # Seconds of processor by process, when last asked. Its start is in it: ids come again.
        self._seconds: dict[tuple[int, str], float] = {}

    def __call__(self) -> dict[str, Usage]:
        """By version: memory now, and processor time since the last call."""
        served: dict[int, list[str]] = {}
        for version, _, pid in self._processes():
            served.setdefault(pid, []).append(version)
        found: dict[str, Usage] = {}
        before, self._seconds = self._seconds, {}
        for pid, versions in served.items():
            memory, seconds = self._family(pid, before)
            for version in versions:
                known = found.get(version, Usage())
                found[version] = Usage(
                    memory=known.memory + memory // len(versions),
                    cpu_seconds=known.cpu_seconds + seconds / len(versions),
                )
        return found

    def _family(self, pid: int, before: dict[tuple[int, str], float]) -> tuple[int, float]:
        """Of a process and all that it has started: bytes, and seconds since `before`."""
        memory, seconds = 0, 0.0
        for one in _with_children(pid):
            held, used, began = _told(one)
            self._seconds[one, began] = used
            memory += held
            seconds += used - before.get((one, began), used)
        return memory, seconds


def _with_children(pid: int) -> Iterator[int]:
    yield pid
    for thread in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in _text(thread).split():
            yield from _with_children(int(child))


def _told(pid: int) -> tuple[int, float, str]:
    """Memory in bytes, seconds of processor, and when it began; nothing for one that is gone."""
    # After the program's name, which may hold anything, in parentheses.
    fields = _text(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    if len(fields) < 22:
        return 0, 0.0, ""
    lines = _text(Path(f"/proc/{pid}/smaps_rollup")).splitlines()
    share = [int(line.split()[1]) for line in lines if line.startswith("Pss:")]
    memory = share[0] * 1024 if share else int(fields[21]) * _PAGE
    return memory, (int(fields[11]) + int(fields[12])) / _TICK, fields[19]


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:  # gone meanwhile, another user's, or not Linux
        return ""
