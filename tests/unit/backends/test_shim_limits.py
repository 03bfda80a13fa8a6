"""Which cgroups a task is put in, on machines that are other than this one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlengine.backends.shim import CGROUP_V1, CGROUP_V2, SAMPLER
from mlengine.backends.shim import limits as limits_module
from mlengine.backends.shim.limits import Limits, machine_kills

GB = 10**9
V2_FILES = ("memory.max", "memory.swap.max", "memory.oom.group", "cpu.max", "cpu.weight", "cgroup.procs")


@pytest.fixture
def folder(tmp_path: Path) -> str:
    made = tmp_path / "task"
    made.mkdir()
    return str(made)


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Makes /proc and /sys of a machine with cgroup v2, in which this process is in `own`."""

    def make(own: str, *, controls: dict[str, str], files: tuple[str, ...] = V2_FILES) -> Path:
        root = tmp_path / "machine"
        mount = root / "sys/fs/cgroup"
        (root / "proc/self").mkdir(parents=True)
        (root / "proc/self/cgroup").write_text(f"0::{own}\n")
        (root / "proc/self/mountinfo").write_text(
            "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
        )
        for path, control in controls.items():
            place = mount / path
            place.mkdir(parents=True, exist_ok=True)
            (place / "cgroup.controllers").write_text("cpu io memory\n")
            (place / "cgroup.subtree_control").write_text(f"{control}\n")

        make_folder = os.mkdir

        def mkdir(path: str) -> None:  # as the kernel does, which fills a new cgroup with files
            make_folder(path)
            for name in files:
                Path(path, name).touch()

        monkeypatch.setattr(limits_module.os, "mkdir", mkdir)
        return root

    return make


@pytest.fixture
def child() -> Iterator[int]:
    """A process to bind: this one shall keep its cores."""
    process = subprocess.Popen(["/bin/sleep", "60"])
    yield process.pid
    process.kill()
    process.wait()


def applied(folder: str, root: Path, child: int) -> Limits:
    wanted = Limits(folder, memory_bytes=4 * GB, cpus=1.5, root=str(root))
    wanted.apply(child)
    return wanted


def test_with_cgroup_v2_one_cgroup_limits_memory_and_processors(
    folder: str, child: int, kernel: Callable[..., Path]
) -> None:
    root = kernel("/server", controls={"server": "cpu memory"})

    limits = applied(folder, root, child)

    assert (limits.memory_by, limits.cpus_by, len(limits.cgroups)) == (CGROUP_V2, CGROUP_V2, 1)
    cgroup = Path(limits.cgroups[0])
    assert cgroup.parent == root / "sys/fs/cgroup/server"
    assert {name: (cgroup / name).read_text() for name in V2_FILES} == {
        "memory.max": "4000000000",
        "memory.swap.max": "0",
        "memory.oom.group": "1",
        "cpu.max": "150000 100000",
        "cpu.weight": "150",
        "cgroup.procs": str(child),
    }


def test_where_the_own_cgroup_has_processes_its_parent_is_taken(
    folder: str, child: int, kernel: Callable[..., Path]
) -> None:
    root = kernel("/slice/server", controls={"slice": "cpu memory", "slice/server": ""})
    (root / "sys/fs/cgroup/slice/server/cgroup.subtree_control").unlink()  # cannot be written

    limits = applied(folder, root, child)

    assert limits.memory_by == CGROUP_V2
    assert Path(limits.cgroups[0]).parent == root / "sys/fs/cgroup/slice"


def test_a_kernel_without_swap_limits_limits_memory_all_the_same(
    folder: str, child: int, kernel: Callable[..., Path]
) -> None:
    root = kernel("/server", controls={"server": "cpu memory"}, files=("memory.max", "cgroup.procs"))

    limits = applied(folder, root, child)

    assert limits.memory_by == CGROUP_V2
    assert limits.cpus_by == "affinity"  # of processors it knows nothing


def test_kills_below_the_limit_are_counted(folder: str, child: int, kernel: Callable[..., Path]) -> None:
    limits = applied(folder, kernel("/server", controls={"server": "cpu memory"}), child)
    before = limits.kills()

    Path(limits.cgroups[0], "memory.events").write_text("low 0\nhigh 0\nmax 31\noom 1\noom_kill 2\n")

    assert (before, limits.kills()) == (0, 2)


@pytest.mark.parametrize("enforcers", [(CGROUP_V2,), (CGROUP_V1,), (CGROUP_V2, CGROUP_V1, SAMPLER)])
def test_on_a_machine_without_cgroups_we_look_ourselves(
    folder: str, child: int, tmp_path: Path, enforcers: tuple[str, ...]
) -> None:
    limits = Limits(folder, memory_bytes=GB, cpus=512, enforcers=enforcers, root=str(tmp_path / "nothing"))

    limits.apply(child)

    assert (limits.memory_by, limits.cpus_by, limits.cgroups) == (SAMPLER, "affinity", [])
    assert limits.cores == sorted(os.sched_getaffinity(0))
    assert limits.kills() == 0


def test_a_cgroup_that_takes_no_process_is_taken_away_again(
    folder: str, child: int, kernel: Callable[..., Path]
) -> None:
    root = kernel("/server", controls={"server": "cpu memory"}, files=())

    limits = applied(folder, root, child)

    assert limits.memory_by == SAMPLER
    assert [path.name for path in (root / "sys/fs/cgroup/server").iterdir() if path.is_dir()] == []


def test_without_limits_nothing_is_done(folder: str, child: int) -> None:
    limits = Limits(folder, memory_bytes=None, cpus=None)

    limits.apply(child)

    assert (limits.memory_by, limits.cpus_by, limits.cgroups, limits.cores) == ("", "", [], [])


def test_kills_of_the_whole_machine_are_counted(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/vmstat").write_text("pgfault 17\noom_kill 3\n")

    assert machine_kills(str(tmp_path)) == 3
    assert machine_kills(str(tmp_path / "elsewhere")) == 0
