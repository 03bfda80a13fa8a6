"""How much a tree of processes uses now, and has used in all, from what the kernel tells about each."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterable

from .processes import Process, accompany

_LINUX = sys.platform == "linux"
_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_REST = 50  # after looking closely at memory, for how many times as long we do not do it again


class Meter:
    """The use of one task.

    Args:
        nvidia_smi: The program that tells about GPUs; "" for none.
        gpus: Indices of the task's own; None for all that are here.
    """

    def __init__(self, *, nvidia_smi: str = "", gpus: list[int] | None = None) -> None:
        self.peak_bytes = 0
        self.cpu_seconds = 0.0
        self._reaped_seconds = 0.0
        self._reaped_disk = (0, 0)
        self._disk = (0, 0)
        self._shared = 0  # bytes that several processes hold together, when last looked at closely
        self._close_look = 0.0
        self._gpus = _Gpus(nvidia_smi, gpus) if nvidia_smi and gpus != [] else None

    @property
    def helpers(self) -> frozenset[int]:
        """Children of this process that are none of the task."""
        return frozenset() if self._gpus is None else frozenset({self._gpus.pid})

    def reap(self) -> tuple[int, int] | None:
        """Take leave of a dead child of ours, if there is one, and add what it used.

        Returns:
            Its process id and status, as `os.waitpid` does; None when nobody has died.

        Raises:
            ChildProcessError: There are no children at all.
        """
        pid, disk = -1, (0, 0)
        if _LINUX:
            # What it read and wrote is told only as long as nobody has waited for it.
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if found is None:
                return None
            pid, disk = found.si_pid, _disk(found.si_pid)
        pid, status, used = os.wait4(pid, os.WNOHANG)
        if pid == 0:
            return None
        if pid in self.helpers:
            self._gpus = None
            return pid, status
        self._reaped_disk = _sum(self._reaped_disk, disk)
        self._reaped_seconds += used.ru_utime + used.ru_stime
        # Between two looks it may have been larger than ever seen.
        self.peak_bytes = max(self.peak_bytes, used.ru_maxrss * (1024 if _LINUX else 1))
        return pid, status

    def memory(self, family: list[Process], *, limit: int | None) -> int:
        """Bytes that the processes hold together.

        What they share (a data set that workers got by fork) counts once. To know that costs the kernel
        time, so it is asked now and then, and at once where it decides about the limit.
        """
        living = [process for process in family if not process.is_dead]
        held = sum(process.pages for process in living) * _PAGE
        over = limit is not None and held > limit and held - self._shared > limit
        if len(living) > 1 and (over or time.monotonic() >= self._close_look):
            self._look_closely(living, held)
        largest = max((process.pages * _PAGE for process in living), default=0)
        memory = held if len(living) <= 1 else max(held - self._shared, largest)
        self.peak_bytes = max(self.peak_bytes, memory)
        return memory

    def sample(self, family: list[Process], memory: int) -> dict[str, object]:
        """All figures now, as they are written."""
        self._count(family)
        received, sent = _machine_network()
        sample: dict[str, object] = {
            "cpu_seconds": round(self.cpu_seconds, 2),
            "memory_bytes": memory,
            "processes": sum(not process.is_dead for process in family),
            "disk_read_bytes": self._disk[0],
            "disk_written_bytes": self._disk[1],
            "machine_received_bytes": received,
            "machine_sent_bytes": sent,
        }
        if self._gpus is not None:
            sample["gpus"] = self._gpus.figures()
        return sample

    def close(self) -> None:
        """End the helper."""
        if self._gpus is not None:
            self._gpus.close()
            self._gpus = None

    def _count(self, family: list[Process]) -> None:
        # The counters of the dead go to whoever waits for them; a parent that never does loses them.
        ticks = sum(process.ticks for process in family)
        self.cpu_seconds = max(self.cpu_seconds, self._reaped_seconds + ticks / _TICK)
        disk = self._reaped_disk
        for process in family:
            disk = _sum(disk, _disk(process.pid))
        self._disk = (max(self._disk[0], disk[0]), max(self._disk[1], disk[1]))

    def _look_closely(self, living: list[Process], held: int) -> None:
        began = time.monotonic()
        shares = [_proportional_bytes(process.pid) for process in living]
        ended = time.monotonic()
        self._close_look = ended + _REST * (ended - began)
        if all(share is not None for share in shares):
            self._shared = max(0, held - sum(share or 0 for share in shares))


class _Gpus:
    """`nvidia-smi`, which prints a line for each GPU every second."""

    def __init__(self, program: str, gpus: list[int] | None) -> None:
        chosen = [] if gpus is None else [f"--id={','.join(map(str, gpus))}"]
        query = "--query-gpu=index,utilization.gpu,memory.used"
        self.pid, self._pipe = accompany(
            [program, query, "--format=csv,noheader,nounits", "--loop=1", *chosen]
        )
        self._text = b""
        self._figures: dict[int, list[float]] = {}

    def figures(self) -> list[list[float]]:
        """For each GPU its index, how busy it is (0 to 1), and the bytes of its memory that are taken."""
        while True:
            try:
                portion = os.read(self._pipe, 65536)
            except BlockingIOError:
                break
            if not portion:
                self._figures = {}  # It has ended: what it said last is no longer true.
                break
            self._text += portion
        *lines, self._text = self._text.split(b"\n")
        for line in lines:
            words = line.decode(errors="replace").split(",")
            with contextlib.suppress(ValueError):  # "[N/A]", or an error in words
                index, busy, mebibytes = (float(word) for word in words)
                self._figures[int(index)] = [int(index), busy / 100, int(mebibytes * 2**20)]
        return [self._figures[index] for index in sorted(self._figures)]

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)
        os.close(self._pipe)


def _proportional_bytes(pid: int) -> int | None:
    """Memory of a process in which shared pages count by their share; None where we may not know."""
    for line in _lines(f"/proc/{pid}/smaps_rollup"):
        if line.startswith(b"Pss:"):
            return int(line.split()[1]) * 1024
    return None


def _disk(pid: int) -> tuple[int, int]:
    """Bytes a process read from and wrote to disks, with those of the children it waited for."""
    fields = dict(line.split(b": ", 1) for line in _lines(f"/proc/{pid}/io"))
    return int(fields.get(b"read_bytes", 0)), int(fields.get(b"write_bytes", 0))


def _machine_network() -> tuple[int, int]:
    """Bytes received and sent by this machine, or the container we are in; itself it does not count."""
    received = sent = 0
    for line in _lines("/proc/net/dev")[2:]:
        name, _, numbers = line.partition(b":")
        fields = numbers.split()
        if name.strip() != b"lo":
            received, sent = received + int(fields[0]), sent + int(fields[8])
    return received, sent


def _lines(path: str) -> list[bytes]:
    try:
        with open(path, "rb") as file:
            return file.read().splitlines()
    except OSError:  # gone meanwhile, another user's, or not Linux
        return []


def _sum(one: Iterable[int], other: Iterable[int]) -> tuple[int, int]:
    first, second = (sum(pair) for pair in zip(one, other, strict=True))
    return first, second
