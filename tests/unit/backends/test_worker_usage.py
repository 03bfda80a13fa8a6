"""Memory and processor time of workers, shared out among the versions that they serve."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from mlengine.backends.worker_usage import WorkerUsage

# Takes 64 MiB, in a child of its own, and computes when it is told to.
PROGRAM = """
import os, sys
if os.fork():
    os.wait()
else:
    held = bytearray(b"x") * (64 << 20)
    print("ready", flush=True)
    for line in sys.stdin:
        before = os.times()
        while sum(os.times()[:2]) - sum(before[:2]) < 0.2:
            pass
        print("done", flush=True)
"""


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    started = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert started.stdout and started.stdin
    assert started.stdout.readline() == "ready\n"
    yield started
    started.stdin.close()
    started.wait(10)
    started.stdout.close()


def test_a_process_and_its_children_are_shared_out_among_its_versions(process: subprocess.Popen[str]) -> None:
    served = [("a", 0, process.pid), ("b", 0, process.pid)]
    usage = WorkerUsage(lambda: served)
    first = usage()
    assert process.stdin and process.stdout

    process.stdin.write("compute\n")
    process.stdin.flush()
    process.stdout.readline()
    second = usage()
    served[:] = [("a", 0, process.pid)]
    alone = usage()

    assert first["a"] == first["b"] and first["a"].cpu_seconds == 0.0
    assert 0.09 <= second["a"].cpu_seconds < 2.0
    assert 32 << 20 <= second["a"].memory < 60 << 20
    assert alone["a"].memory >= 2 * second["a"].memory * 0.95
    assert "b" not in alone


def test_a_process_that_is_gone_uses_nothing() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()

    [used] = WorkerUsage(lambda: [("a", 0, gone.pid)])().values()

    assert (used.memory, used.cpu_seconds) == (0, 0.0)
