"""Memory and processors that a task may use, and who sees to it: the kernel's cgroups, or our own looks.

Every resource takes the best enforcer that works here: cgroup v2, then cgroup v1, then what needs no rights:
for memory the supervisor's samples, for processors the set of cores that the task may run on.
"""

from __future__ import annotations

import fcntl
import math
import os
import time
from collections.abc import Iterator

from .files import CORES

CGROUP_V2, CGROUP_V1, SAMPLER, AFFINITY = "cgroup v2", "cgroup v1", "sampler", "affinity"
_PERIOD = 100_000  # microseconds over which the kernel deals out processor time
_LEAVE_SECONDS = 0.5  # for the kernel to let go of a cgroup whose last process has just ended


class Limits:
    """What one task may use.

    Args:
        folder: The folder of the task; names its cgroup, so that whoever finds the folder finds that too.
        memory_bytes: For all processes together; None for no limit.
        cpus: Processors' worth of time; None for no limit.
        enforcers: Those that may be used, of CGROUP_V2, CGROUP_V1 and SAMPLER.
        root: Where /proc and /sys are; "" for this machine's own.
    """

    def __init__(
        self,
        folder: str,
        *,
        memory_bytes: int | None,
        cpus: float | None,
        enforcers: tuple[str, ...] = (CGROUP_V2, CGROUP_V1, SAMPLER),
        root: str = "",
    ) -> None:
        self.memory_bytes = memory_bytes
        self.cpus = cpus
        self.memory_by = ""
        self.cpus_by = ""
        self.cores: list[int] = []  # those the task is bound to, where that is how processors are limited
        self.cgroups: list[str] = []
        self._folder = folder
        self._enforcers = enforcers
        self._root = root
        self._memory_cgroup = ""
        self._claims: list[int] = []

    def apply(self, pid: int) -> None:
        """Bind `pid`, and all that will descend from it. It must have done nothing yet.

        Where nothing can enforce a limit (there is no /proc on macOS), its enforcer stays "".
        """
        if self.memory_bytes is not None:
            sampler = SAMPLER if os.path.exists("/proc/self/stat") else ""
            self.memory_by, self._memory_cgroup = self._join("memory", pid) or (sampler, "")
        if self.cpus is not None:
            self.cpus_by = (self._join("cpu", pid) or (self._bind(pid), ""))[0]

    def told(self) -> dict[str, object]:
        """What is in force, for run.json."""
        return {
            "memory_bytes": self.memory_bytes,
            "memory_by": self.memory_by,
            "cpus": self.cpus,
            "cpus_by": self.cpus_by,
            "cores": self.cores,
            "cgroups": self.cgroups,
        }

    def kills(self) -> int:
        """How many processes of the task the kernel has killed for want of memory below this limit."""
        if not self._memory_cgroup:
            return 0
        name = "memory.events" if self.memory_by == CGROUP_V2 else "memory.oom_control"
        return _count(os.path.join(self._memory_cgroup, name), "oom_kill")

    def close(self) -> None:
        """Take the cgroups away; nothing lives in them any more."""
        for cgroup in self.cgroups:
            remove_cgroup(cgroup)
        for claim in self._claims:
            os.close(claim)

    def _join(self, controller: str, pid: int) -> tuple[str, str] | None:
        """Put `pid` under the first cgroup that takes it: which kind, and where."""
        place = os.stat(self._folder)
        name = f"mlengine-{place.st_dev:x}-{place.st_ino:x}"
        for kind in (CGROUP_V2, CGROUP_V1):
            if kind not in self._enforcers:
                continue
            for parent in _parents(kind, controller, self._root):
                cgroup = os.path.join(parent, name)
                fresh = cgroup not in self.cgroups
                try:
                    if fresh:
                        _make(cgroup)
                    self._set(cgroup, controller, kind)
                    _write(os.path.join(cgroup, "cgroup.procs"), str(pid))
                except OSError:
                    if fresh:
                        remove_cgroup(cgroup, patience=0)
                    continue
                if fresh:
                    self.cgroups.append(cgroup)
                return kind, cgroup
        return None

    def _set(self, cgroup: str, controller: str, kind: str) -> None:
        needed, wished = _settings(controller, kind, self.memory_bytes or 0, self.cpus or 0)
        for name, value in needed.items():
            _write(os.path.join(cgroup, name), value)
        for name, value in wished.items():
            try:
                _write(os.path.join(cgroup, name), value)
            except OSError:
                continue  # This kernel does not have it, and the limit holds without.

    def _bind(self, pid: int) -> str:
        """Let `pid` run on as many cores as it may use, those that no other task here is bound to first."""
        if not hasattr(os, "sched_setaffinity"):
            return ""
        here = sorted(os.sched_getaffinity(0))
        count = max(1, math.ceil(self.cpus or 0))
        if count < len(here):
            free = [core for core in here if self._claim(core, wanted=count - len(self._claims))]
            turn = os.stat(self._folder).st_ino % len(here)  # who shares, shares evenly
            others = [core for core in here[turn:] + here[:turn] if core not in free]
            here = sorted((free + others)[:count])
        try:
            os.sched_setaffinity(pid, here)
        except OSError:  # Cores were taken away from all of us meanwhile.
            return ""
        self.cores = here
        return AFFINITY

    def _claim(self, core: int, *, wanted: int) -> bool:
        """Try to make `core` this task's own for as long as this process lives."""
        if wanted <= 0:
            return False
        claims = os.path.join(os.path.dirname(os.path.abspath(self._folder)), CORES)
        try:
            os.makedirs(claims, exist_ok=True)
            claim = os.open(os.path.join(claims, str(core)), os.O_RDWR | os.O_CREAT, 0o644)
        except OSError:
            return False
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(claim)
            return False
        self._claims.append(claim)
        return True


def remove_cgroup(cgroup: str, *, patience: float = _LEAVE_SECONDS) -> None:
    """Take a cgroup away, if it is there and empty or soon will be."""
    deadline = time.monotonic() + patience
    while True:
        try:
            os.rmdir(cgroup)
            return
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic() >= deadline:
                return
            time.sleep(0.01)


def machine_kills(root: str = "") -> int:
    """How many processes the kernel has killed for want of memory since this machine started."""
    return _count(f"{root}/proc/vmstat", "oom_kill")


def _settings(
    controller: str, kind: str, memory_bytes: int, cpus: float
) -> tuple[dict[str, str], dict[str, str]]:
    """The files of a cgroup that make the limit, and those that are good to have."""
    quota = max(1000, round(cpus * _PERIOD))
    if controller == "memory" and kind == CGROUP_V2:
        # The whole task ends, not some worker of it for whose answer the others would wait for ever.
        return {"memory.max": str(memory_bytes)}, {"memory.swap.max": "0", "memory.oom.group": "1"}
    if controller == "memory":
        limit = str(memory_bytes)
        return {"memory.limit_in_bytes": limit}, {"memory.memsw.limit_in_bytes": limit}
    if kind == CGROUP_V2:
        weight = min(10_000, max(1, round(100 * cpus)))
        return {"cpu.max": f"{quota} {_PERIOD}"}, {"cpu.weight": str(weight)}
    settings = {"cpu.cfs_period_us": str(_PERIOD), "cpu.cfs_quota_us": str(quota)}
    return settings, {"cpu.shares": str(max(2, round(1024 * cpus)))}


def _parents(kind: str, controller: str, root: str) -> Iterator[str]:
    """Cgroups below which one for a task may be made, the best first."""
    mount = _mount(kind, controller, root)
    own = _own(kind, controller, root)
    if mount is None or own is None:
        return
    point, top = mount
    if own != top and not own.startswith(top.rstrip("/") + "/"):
        return
    inside = own[len(top.rstrip("/")) :].strip("/")
    home = os.path.join(point, inside) if inside else point
    if kind == CGROUP_V1:
        yield home
        return
    # A cgroup with processes, such as this one, can have none below it that is limited; its parent may.
    for parent in (home, os.path.dirname(home)) if inside else (home,):
        if _offers(parent, controller):
            yield parent


def _offers(parent: str, controller: str) -> bool:
    if controller not in _words(os.path.join(parent, "cgroup.controllers")):
        return False
    switches = os.path.join(parent, "cgroup.subtree_control")
    if controller in _words(switches):
        return True
    try:
        _write(switches, f"+{controller}")
    except OSError:
        return False
    return controller in _words(switches)


def _mount(kind: str, controller: str, root: str) -> tuple[str, str] | None:
    """Where a hierarchy is mounted, and which of its cgroups is the top there."""
    for line in _lines(f"{root}/proc/self/mountinfo"):
        front, _, back = line.partition(" - ")
        fields, (filesystem, *_, options) = front.split(), back.split()
        if kind == CGROUP_V2 and filesystem != "cgroup2":
            continue
        if kind == CGROUP_V1 and (filesystem != "cgroup" or controller not in options.split(",")):
            continue
        return root + fields[4], fields[3]
    return None


def _own(kind: str, controller: str, root: str) -> str | None:
    for line in _lines(f"{root}/proc/self/cgroup"):
        number, controllers, path = line.split(":", 2)
        if number == "0" if kind == CGROUP_V2 else controller in controllers.split(","):
            return path
    return None


def _make(cgroup: str) -> None:
    try:
        os.mkdir(cgroup)
    except FileExistsError:  # of a task whose folder had the same number and is gone
        os.rmdir(cgroup)
        os.mkdir(cgroup)


def _count(path: str, word: str) -> int:
    for line in _lines(path):
        name, _, number = line.partition(" ")
        if name == word:
            return int(number)
    return 0


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read().splitlines()
    except OSError:
        return []


def _words(path: str) -> list[str]:
    return " ".join(_lines(path)).split()


def _write(path: str, value: str) -> None:
    # Never makes a file: the kernel has made those it understands.
    file = os.open(path, os.O_WRONLY)
    try:
        os.write(file, value.encode())
    finally:
        os.close(file)
