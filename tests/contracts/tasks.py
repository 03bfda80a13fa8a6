"""Tasks for the contract of executors, and eyes for what became of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from mlengine.backends.executors import LocalExecutor
from mlengine.jobs.executor import Executor, Outcome, Phase, Task

T = TypeVar("T")
FINAL = {Phase.EXITED, Phase.LOST}


def python(source: str, *, task_id: str = "cat.1.master-replica-0", **more: Any) -> Task:
    """A task that runs a few lines of Python."""
    argv = (sys.executable, "-u", "-c", source)
    return Task(**{"task_id": task_id, "argv": argv, "env": {}, "task_name": "master-replica-0"} | more)


def until(look: Callable[[], T | None], what: str, seconds: float = 30) -> T:
    """The first true thing that `look` sees."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if seen := look():
            return seen
        time.sleep(0.01)
    raise AssertionError(f"Not within {seconds} s: {what}")


def over(executor: Executor, task_id: str) -> Outcome:
    def look() -> Outcome | None:
        outcome = executor.poll(task_id)
        return outcome if outcome.phase in FINAL else None

    return until(look, f"the end of {task_id}")


def records(executor: Executor, task_id: str) -> list[dict[str, Any]]:
    path = executor.log_file(task_id)
    return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def messages(executor: Executor, task_id: str) -> list[str]:
    return [record["message"] for record in records(executor, task_id)]


def marked(folder: Path) -> set[int]:
    """Every living process that carries the mark of a task."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"MLENGINE_TASK_FOLDER={folder}".encode() in (process / "environ").read_bytes().split(b"\0"):
                found.add(int(process.name))
        except OSError:
            continue
    return found


def assert_nothing_is_left(tasks: Path) -> None:
    """Stop all tasks below `tasks`; no process and no cgroup of any may be there then."""
    names = [path.name for path in tasks.iterdir() if path.name[0] != "."] if tasks.exists() else []
    for name in names:
        LocalExecutor(tasks).stop(name)
        over(LocalExecutor(tasks), name)
    assert {pid for name in names for pid in marked(tasks / name)} == set()
    runs = [json.loads(path.read_bytes()) for path in tasks.glob("*/run.json")]
    assert [
        cgroup for run in runs for cgroup in run.get("limits", {}).get("cgroups", ()) if Path(cgroup).exists()
    ] == []


STUBBORN_TREE = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
ready, up = os.pipe()
for session in (False, True):
    for again in (False, True):
        if os.fork() == 0:
            if session: os.setsid()
            if again and os.fork(): os._exit(0)
            os.write(up, b'.')
            time.sleep(120)
            os._exit(0)
for _ in range(4): os.read(ready, 1)
print('up', flush=True)
"""


SERVER = """
import sys, time
from pathlib import Path
from mlengine.backends.executors import LocalExecutor
from mlengine.jobs.executor import Task
root, trigger, source = sys.argv[1:]
executor = LocalExecutor(Path(root))
while not Path(trigger).exists(): pass
argv = (sys.executable, "-c", source)
executor.start(Task(task_id="job.1", argv=argv, env={}, task_name="master-replica-0"))
print("started", flush=True)
time.sleep(120)
"""


def server(tmp_path: Path, trigger: Path, source: str) -> subprocess.Popen[bytes]:
    """A real process that starts the task job.1 once `trigger` is there, as a server does."""
    argv = [sys.executable, "-c", SERVER, str(tmp_path / "tasks"), str(trigger), source]
    here = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.Popen(argv, env=here, stdout=subprocess.PIPE)


def kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def shim_of(tmp_path: Path, task_id: str) -> int:
    number = json.loads((tmp_path / "tasks" / task_id / "run.json").read_bytes())["shim"]
    assert isinstance(number, int)
    return number
