"""What supervised tasks may use and what they are seen to use, by every enforcer that works here."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from mlengine.backends import shim
from mlengine.backends.executors import LocalExecutor, read_samples
from mlengine.backends.shim.limits import Limits
from mlengine.errors import InvalidArgument
from mlengine.jobs.executor import OutOfMemory, Phase, Task
from tests.contracts.tasks import assert_nothing_is_left, messages, over, python, records, shim_of, until

ID = "cat.1.master-replica-0"
MB = 10**6
HOLDS = "held = bytearray(b'1') * {bytes}; print('held', flush=True); import time; time.sleep(60)"


def works_here(enforcer: str) -> bool:
    """Whether this machine lets us make such cgroups."""
    if enforcer == shim.SAMPLER:
        return True
    scratch = Path(os.environ.get("TMPDIR", "/tmp"))
    limits = Limits(str(scratch), memory_bytes=2**40, cpus=1, enforcers=(enforcer,))
    child = os.fork()
    if child == 0:
        signal.pause()
        os._exit(0)
    try:
        limits.apply(child)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        limits.close()
    return (limits.memory_by, limits.cpus_by) == (enforcer, enforcer)


# Which of them there are is the machine's affair; the sampler is tested on each.
ENFORCERS = [enforcer for enforcer in (shim.CGROUP_V2, shim.CGROUP_V1, shim.SAMPLER) if works_here(enforcer)]


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path) -> Iterator[None]:
    yield
    assert_nothing_is_left(tmp_path / "tasks")


@pytest.fixture(params=ENFORCERS)
def enforcer(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def limited(tmp_path: Path, enforcer: str) -> LocalExecutor:
    return LocalExecutor(tmp_path / "tasks", enforcers=(enforcer,))


@pytest.fixture
def local(tmp_path: Path) -> LocalExecutor:
    return LocalExecutor(tmp_path / "tasks")


# Memory


def test_a_task_with_more_memory_than_its_limit_is_killed_and_the_record_says_so(
    limited: LocalExecutor, enforcer: str
) -> None:
    limited.start(python(HOLDS.format(bytes=400 * MB), memory_bytes=200 * MB))

    outcome = over(limited, ID)

    assert (outcome.signal, outcome.stopped) == (signal.SIGKILL, False)
    assert outcome.out_of_memory is OutOfMemory.LIMIT
    assert outcome.peak_memory_bytes is not None and outcome.peak_memory_bytes >= 200 * MB
    assert (outcome.limits.memory_bytes, outcome.limits.memory_by) == (200 * MB, enforcer)
    assert "limit of 200 MB" in outcome.message
    last = records(limited, ID)[-1]
    assert (last["severity"], last["message"]) == ("ERROR", outcome.message)


def test_a_grandchild_with_too_much_memory_ends_the_whole_task(limited: LocalExecutor) -> None:
    source = (
        "import os, sys, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        f"    if os.fork() == 0: {HOLDS.format(bytes=400 * MB)}\n"
        "    os._exit(0)\n"
        "time.sleep(60)"
    )
    limited.start(python(source, memory_bytes=200 * MB))

    outcome = over(limited, ID)

    assert (outcome.out_of_memory, outcome.signal) == (OutOfMemory.LIMIT, signal.SIGKILL)


def test_what_processes_share_counts_once(limited: LocalExecutor) -> None:
    source = (
        "import os, time\n"
        f"held = bytearray(b'1') * {120 * MB}\n"
        "children = [os.fork() for _ in range(3)]\n"
        "time.sleep(1.5)\n"
        "if all(children): [os.waitpid(child, 0) for child in children]\n"
        "os._exit(0)"
    )
    limited.start(python(source, memory_bytes=250 * MB))

    outcome = over(limited, ID)

    assert (outcome.exit_code, outcome.out_of_memory) == (0, None)


def test_a_task_within_its_limit_is_left_alone_and_its_peak_is_known(limited: LocalExecutor) -> None:
    limited.start(python(f"held = bytearray(b'1') * {100 * MB}", memory_bytes=400 * MB))

    outcome = over(limited, ID)

    assert (outcome.exit_code, outcome.out_of_memory) == (0, None)
    assert outcome.peak_memory_bytes is not None
    assert 100 * MB < outcome.peak_memory_bytes < 200 * MB


def test_who_enforces_is_known_while_the_task_runs(limited: LocalExecutor, enforcer: str) -> None:
    limited.start(python("print('up', flush=True); __import__('time').sleep(60)", memory_bytes=400 * MB))
    until(lambda: messages(limited, ID), "up")

    assert limited.poll(ID).phase is Phase.RUNNING
    assert str(limited.poll(ID).limits) == f"memory 400 MB by {enforcer}"


# Processors


def test_a_task_takes_no_more_processors_than_it_may(limited: LocalExecutor, enforcer: str) -> None:
    source = (
        "import os, time\n"
        "end = time.monotonic() + 2\n"
        "children = [os.fork() for _ in range(2)]\n"
        "while time.monotonic() < end: pass\n"
        "if all(children): [os.waitpid(child, 0) for child in children]\n"
        "os._exit(0)"
    )
    limited.start(python(source, cpus=1))

    outcome = over(limited, ID)

    assert outcome.limits.cpus_by == ("affinity" if enforcer == shim.SAMPLER else enforcer)
    assert outcome.started and outcome.ended and outcome.cpu_seconds is not None
    assert 0.1 < outcome.cpu_seconds < 1.15 * (outcome.ended - outcome.started).total_seconds()


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="this machine has one core")
def test_tasks_bound_to_cores_are_bound_to_different_ones(tmp_path: Path) -> None:
    local = LocalExecutor(tmp_path / "tasks", enforcers=(shim.SAMPLER,))
    source = "import os, time; print(sorted(os.sched_getaffinity(0)), flush=True); time.sleep(60)"
    for task_id in ("one.1", "two.1"):
        local.start(python(source, task_id=task_id, cpus=1))
    until(lambda: messages(local, "one.1") and messages(local, "two.1"), "both")

    cores = {task_id: local.poll(task_id).limits.cores for task_id in ("one.1", "two.1")}

    assert len(cores["one.1"]) == len(cores["two.1"]) == 1
    assert cores["one.1"] != cores["two.1"]
    assert {messages(local, task_id)[0] for task_id in cores} == {f"[{core[0]}]" for core in cores.values()}


# Without limits, and after a violent end


def test_a_task_without_limits_has_none(local: LocalExecutor) -> None:
    local.start(python("print('ran')"))

    outcome = over(local, ID)

    assert str(outcome.limits) == ""
    assert outcome.cpu_seconds is not None


def test_the_cgroups_of_a_task_whose_supervisor_was_killed_are_swept(
    limited: LocalExecutor, tmp_path: Path
) -> None:
    source = (
        "import os, sys, time\n"
        "if child := os.fork(): print(child, flush=True); time.sleep(60)\n"
        "os.setsid()\n"
        "os.execve(sys.executable, [sys.executable, '-c', 'import time; time.sleep(60)'], {})"
    )
    limited.start(python(source, memory_bytes=400 * MB, cpus=1))
    stray = int(until(lambda: messages(limited, ID), "up")[0])
    variables = Path("/proc", str(stray), "environ")
    until(lambda: not variables.read_bytes(), "a stray without the mark of its task")
    run = json.loads((tmp_path / "tasks" / ID / "run.json").read_bytes())

    os.kill(shim_of(tmp_path, ID), signal.SIGKILL)
    outcome = over(limited, ID)

    assert outcome.phase is Phase.LOST
    assert outcome.limits.memory_bytes == 400 * MB
    if not run["limits"]["cgroups"]:
        os.kill(stray, signal.SIGKILL)  # With cgroups even who threw his environment away is found; not else.
    until(lambda: not Path("/proc", str(stray)).exists(), "the end of the stray")
    for cgroup in run["limits"]["cgroups"]:
        until(lambda cgroup=cgroup: limited.poll(ID) and not Path(cgroup).exists(), "the end of the cgroup")


@pytest.mark.parametrize(
    "more",
    [{"memory_bytes": 0}, {"cpus": 0}, {"cpus": float("inf")}, {"gpus": (0, 0)}, {"gpus": (-1,)}],
)
def test_limits_that_can_never_work_are_refused(more: dict[str, object]) -> None:
    with pytest.raises(InvalidArgument):
        python("", **more)


# Samples


def test_a_task_is_sampled_from_its_start_to_its_end(local: LocalExecutor, tmp_path: Path) -> None:
    before = datetime.now(UTC)
    source = (
        "import os, time\n"
        f"held = bytearray(b'1') * {100 * MB}\n"
        "end = time.monotonic() + 2.2\n"
        "while time.monotonic() < end: pass\n"
        "with open('data', 'wb') as file:\n"
        "    file.write(b'1' * 5_000_000); file.flush(); os.fsync(file.fileno())"
    )
    local.start(python(source))
    outcome = over(local, ID)

    samples = local.samples(ID)

    assert read_samples(tmp_path / "tasks" / ID) == samples
    assert len(samples) >= 4
    assert before < samples[0].time < samples[-1].time
    assert max(sample.memory_bytes for sample in samples) > 100 * MB
    assert max(sample.cpus for sample in samples) > 0.2
    assert samples[-1].disk_written_bytes >= 5_000_000
    assert samples[-1].cpu_seconds == outcome.cpu_seconds
    assert all(one.cpu_seconds <= two.cpu_seconds for one, two in pairwise(samples))
    assert samples[0].machine_received_bytes == 0
    later = local.samples(ID, samples[1].time)
    assert [sample.time for sample in later] == [sample.time for sample in samples[2:]]
    assert later[0].cpus == samples[2].cpus


def test_a_task_never_seen_has_no_samples(local: LocalExecutor) -> None:
    assert local.samples("never.1") == []


# GPUs

NVIDIA_SMI = """#!/bin/sh
echo "$@" >> {asked}
case "$*" in
*loop*) while :; do echo "1, 75, 1024"; sleep 0.2; done;;
*) echo "0, NVIDIA A100-SXM4-40GB"; echo "1, NVIDIA A100-SXM4-40GB";;
esac
"""


@pytest.fixture
def with_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalExecutor:
    """An executor on a machine whose nvidia-smi tells of two GPUs."""
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text(NVIDIA_SMI.format(asked=tmp_path / "asked"))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return LocalExecutor(tmp_path / "tasks")


def test_a_task_sees_the_gpus_it_was_given_and_they_are_sampled(
    with_gpus: LocalExecutor, tmp_path: Path
) -> None:
    source = (
        "import os, time; print(os.environ['CUDA_VISIBLE_DEVICES'], os.environ['CUDA_DEVICE_ORDER'])\n"
        "time.sleep(1.3)"
    )
    with_gpus.start(python(source, gpus=(1,)))

    outcome = over(with_gpus, ID)
    gpus = [gpu for sample in with_gpus.samples(ID) for gpu in sample.gpus]

    assert outcome.exit_code == 0
    assert messages(with_gpus, ID) == ["1 PCI_BUS_ID"]
    assert (gpus[-1].index, gpus[-1].busy, gpus[-1].memory_bytes) == (1, 0.75, 2**30)
    assert "--id=1" in (tmp_path / "asked").read_text()


def test_the_program_that_watches_gpus_neither_keeps_a_task_alive_nor_outlives_it(
    with_gpus: LocalExecutor, tmp_path: Path
) -> None:
    with_gpus.start(python("print('over')", gpus=(0, 1)))

    assert over(with_gpus, ID).exit_code == 0
    program = str(tmp_path / "bin" / "nvidia-smi").encode()
    lines = [path / "cmdline" for path in Path("/proc").glob("[1-9]*")]
    until(lambda: not any(line.exists() and program in read(line) for line in lines), "its end")


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_a_task_that_may_see_no_gpu_sees_none_and_none_is_sampled(with_gpus: LocalExecutor) -> None:
    with_gpus.start(python("import os; print(repr(os.environ['CUDA_VISIBLE_DEVICES']))", gpus=()))

    over(with_gpus, ID)

    assert messages(with_gpus, ID) == ["''"]
    assert all(sample.gpus == () for sample in with_gpus.samples(ID))


def test_a_gpu_that_is_not_here_is_refused(with_gpus: LocalExecutor, local: LocalExecutor) -> None:
    with pytest.raises(InvalidArgument, match=r"GPU 2, which is not here\. GPUs here: 0, 1"):
        with_gpus.start(python("", gpus=(0, 2)))
    with pytest.raises(InvalidArgument, match="GPUs here: none"):
        LocalExecutor(Path("/nowhere"), gpus=[]).start(python("", gpus=(0,)))


def test_a_task_of_another_interpreter_needs_no_more_than_the_standard_library(tmp_path: Path) -> None:
    local = LocalExecutor(tmp_path / "tasks", python=str(Path(sys.base_prefix, "bin", "python3")))
    task: Task = python("print('ran')", memory_bytes=400 * MB)

    local.start(task)

    assert over(local, ID).exit_code == 0
