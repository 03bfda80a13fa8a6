"""SIGKILL of server, supervisor or trainer at any moment: what the next server finds is right and whole."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
from pathlib import Path

import pytest

from mlengine.backends import shim
from mlengine.backends.executors import LocalExecutor
from mlengine.jobs.executor import Outcome, Phase, Task
from tests.contracts.tasks import assert_nothing_is_left, kill, marked, over, server, until

ID = "job.1"
LINES = 40
# A child that hides in a session of its own and does not listen, then lines for some tenths of a second.
TRAINER = """
import os, signal, time
open({diary!r}, 'a').write('ran\\n')
if os.fork() == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.setsid()
    time.sleep(120)
    os._exit(0)
for n in range({lines}):
    print(n, flush=True)
    time.sleep(0.01)
"""
FAST, ALL = 12, 100


@pytest.mark.parametrize("victim", ["server", "supervisor", "trainer"])
@pytest.mark.parametrize(
    "first",
    [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(FAST // 3, ALL // 3 + 1, FAST // 3))],
)
def test_whoever_is_killed_the_next_server_finds_the_truth(tmp_path: Path, victim: str, first: int) -> None:
    for number in range(first, first + FAST // 3):
        place = tmp_path / str(number)
        place.mkdir()
        # Over the whole life: from before the start to after the end.
        delay = random.Random(f"{victim} {number}").uniform(0, 1.1)

        outcome, killed = one_round(place, victim=victim, delay=delay)

        check(place, outcome, killed=killed if victim != "server" else "")


def one_round(place: Path, *, victim: str, delay: float) -> tuple[Outcome, str]:
    """A life that is cut short after `delay`: how it stood in the end, and who was killed, "" for nobody."""
    source = TRAINER.format(diary=str(place / "diary"), lines=LINES)
    trigger = place / "now"
    first = server(place, trigger, source)
    killed = ""
    try:
        trigger.touch()
        threading.Event().wait(delay)
        if victim == "server" or kill_at(pid_of(place, victim)):
            killed = victim
    finally:
        kill(first)  # in each round, so that what we see is what lies on the disk
    second = LocalExecutor(place / "tasks")
    argv = (sys.executable, "-c", source)
    known = (place / "tasks" / ID / shim.TASK).exists()
    if not known or second.poll(ID).phase is Phase.PENDING:  # as the loop does after a crash
        second.start(Task(task_id=ID, argv=argv, env={}, task_name="master-replica-0"))
    return over(second, ID), killed


def check(place: Path, outcome: Outcome, *, killed: str) -> None:
    diary = place / "diary"
    folder = place / "tasks" / ID
    runs = diary.read_text() if diary.exists() else ""
    log = (folder / shim.LOG).read_bytes() if (folder / shim.LOG).exists() else b""
    whole, _, torn = log.rpartition(b"\n")
    records = [json.loads(line) for line in whole.splitlines()]
    messages = [record["message"] for record in records]

    assert [record["seq"] for record in records] == list(range(1, len(records) + 1))
    assert messages == [str(n) for n in range(len(messages))]
    assert runs in ("", "ran\n")
    if outcome.phase is Phase.LOST:
        assert killed == "supervisor"
        assert (folder / shim.RUN).exists()
    else:
        assert outcome.phase is Phase.EXITED
        assert torn == b""
        if outcome.exit_code == 0:
            assert (len(messages), runs) == (LINES, "ran\n")
        else:
            assert killed == "trainer"
            assert (outcome.signal, outcome.out_of_memory) == (signal.SIGKILL, None)
    until(lambda: not marked(folder), "the end of all its processes")
    until(lambda: not shim.is_held(str(folder)), "the end of its supervisor")
    again = LocalExecutor(place / "tasks").poll(ID)
    assert (again.phase, again.exit_code, again.signal) == (outcome.phase, outcome.exit_code, outcome.signal)
    assert_nothing_is_left(place / "tasks")


def pid_of(place: Path, victim: str) -> int | None:
    """The process to kill, if it lives: None before its start and after its end."""
    folder = place / "tasks" / ID
    if victim == "trainer":
        try:
            pid = json.loads((folder / shim.RUN).read_bytes())["pid"]
        except FileNotFoundError:
            return None
        return int(pid) if pid in marked(folder) else None
    for process in Path("/proc").glob("[1-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if os.fsencode(folder) in words and os.fsencode(shim.PROGRAM) in words:
            return int(process.name)
    return None


def kill_at(pid: int | None) -> bool:
    if pid is None:
        return False
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True
