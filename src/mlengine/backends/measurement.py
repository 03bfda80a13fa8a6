"""This machine as it is now: processors, memory, disk, and what single processes hold.

Apart from `capacity`, which tells what there is for jobs and asks only once.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from mlengine.administration.domain import Measured, WorkerProcess
from mlengine.backends.capacity import cpus, memory_bytes

_PROC = Path("/proc")
# Two looks at the processors that are nearer than this make one measurement.
_SHORTEST_SECONDS = 0.9


class Measurement:
    """Measures again and again; processors are told for the time since the measurement before.

    Args:
        data_dir: On the disk that is told about.
    """

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._lock = threading.Lock()
        self._seen = _ticks()
        self._at = time.monotonic()
        self._busy: float | None = None

    def measure(self) -> Measured:
        """The machine now."""
        disk = shutil.disk_usage(self._data_dir)
        total = memory_bytes()
        available = _available_bytes()
        return Measured(
            cpus=cpus(),
            busy=self._share(),
            load=os.getloadavg() if hasattr(os, "getloadavg") else None,
            memory_bytes=total,
            memory_available_bytes=None if available is None else min(available, total),
            disk_bytes=disk.total,
            disk_free_bytes=disk.free,
        )

    def _share(self) -> float | None:
        with self._lock:
            now = time.monotonic()
            if now - self._at >= _SHORTEST_SECONDS:
                before, self._seen, self._at = self._seen, _ticks(), now
                if before is not None and self._seen is not None and self._seen[1] > before[1]:
                    idle = (self._seen[0] - before[0]) / (self._seen[1] - before[1])
                    self._busy = round(min(1.0, max(0.0, 1 - idle)), 4)
            return self._busy


def worker_processes(found: Iterable[tuple[str, int, int]]) -> list[WorkerProcess]:
    """Nodes of versions with what their processes hold.

    Args:
        found: Version's uid, node and process of each.
    """
    nodes = list(found)
    together = Counter(pid for _, _, pid in nodes)
    held = {pid: resident_bytes(pid) for pid in together}
    return [WorkerProcess(uid, node, pid, held[pid], together[pid]) for uid, node, pid in nodes]


def resident_bytes(pid: int) -> int | None:
    """What a process holds in memory; None where this system does not tell, or it has ended."""
    try:
        return int((_PROC / str(pid) / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


def _ticks() -> tuple[int, int] | None:
    """Idle and all time of the processors since the machine began."""
    try:
        first = (_PROC / "stat").read_text().partition("\n")[0].split()
        # user nice system idle iowait irq softirq steal; guest times are in the first two.
        times = [int(word) for word in first[1:9]]
        return times[3] + times[4], sum(times)
    except (OSError, ValueError, IndexError):
        return None


def _available_bytes() -> int | None:
    try:
        for line in (_PROC / "meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return None
