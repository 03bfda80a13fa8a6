"""A small server around the job loop, for its tests: real database, log and executor in one folder."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from mlengine.backends.database import SqlDatabase
from mlengine.backends.executors import LocalExecutor
from mlengine.backends.ports import free_ports
from mlengine.jobs.domain import FINAL, Job, JobRequest, State, TrainingInput
from mlengine.jobs.executor import Executor, Phase, Task
from mlengine.jobs.loop import JobLoop
from mlengine.jobs.service import JobService
from mlengine.logs.service import LogService
from mlengine.machines import Machine
from mlengine.names import JobName
from tests.conftest import HandClock

T = TypeVar("T")
MACHINE = Machine(cpus=4, memory_bytes=16 * 10**9)
FOREVER = "trap '' TERM; while :; do sleep 0.05; done"


class House:
    """Everything a job needs, in one folder; a new loop over the same folder is a server started again."""

    def __init__(self, database: SqlDatabase, folder: Path, clock: HandClock, executor: Executor) -> None:
        self.clock = clock
        self.folder = folder
        self.executor = executor
        self.diary = folder / "diary"
        self.script = f"echo ran >> {self.diary}"
        self.scripts: dict[str, str] = {}
        self.phased = False
        self.discarded: list[object] = []
        self.prepare: Callable[[Job], list[Task]] = self.tasks
        self.wake: Callable[[], None] = lambda: None
        self.logs = LogService(folder / "logs", clock)
        self.machine = MACHINE
        self._database = database
        self.service = self._service(slots=2)

    def _service(self, slots: int) -> JobService:
        return JobService(
            self._database,
            self.clock,
            object_exists=lambda url: True,
            find_bucket=lambda name: None,
            changed=lambda: self.wake(),
            machine=self.machine,
            slots=slots,
        )

    def tasks(self, job: Job) -> list[Task]:
        return [
            Task(
                task_id=task_id,
                argv=("/bin/sh", "-c", self.scripts.get(name, self.script)),
                env={"PATH": "/usr/bin:/bin", "REPLICA": name, "RESTARTS": str(job.restarts)},
                task_name=name,
                grace_seconds=0.2,
                phased=self.phased,
            )
            for name, task_id in job.task_ids.items()
        ]

    def loop(self, slots: int = 2) -> JobLoop:
        self.service = self._service(slots)
        return JobLoop(
            self.service,
            self.executor,
            self.logs,
            self.clock,
            prepare=lambda job: self.prepare(job),
            discard=lambda job: self.discarded.append(job.name),
            ports=free_ports,
        )

    def submit(self, job_id: str = "a", **more: Any) -> JobName:
        training = TrainingInput(
            python_module="trainer.task", package_uris=("gs://box/t.tar.gz",), region="here", runtime=""
        )
        name = JobName("local", job_id)
        self.service.submit(JobRequest(name=name, training=replace(training, **more)))
        return name

    def job(self, job_id: str = "a") -> Job:
        return self.service.get(JobName("local", job_id))[0]

    def said(self, job_id: str = "a") -> list[str]:
        return [entry.message for entry in self.logs.entries(JobName("local", job_id))]

    def runs(self) -> int:
        return len(self.diary.read_text().splitlines()) if self.diary.exists() else 0


def turn_until(loop: JobLoop, look: Callable[[], T | None], seconds: float = 30) -> T:
    """Turn the loop until `look` sees something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        loop.turn()
        if seen := look():
            return seen
        time.sleep(0.01)
    raise AssertionError(f"Not within {seconds} s")


def ended(house: House, job_id: str = "a") -> Callable[[], Job | None]:
    def look() -> Job | None:
        job = house.job(job_id)
        return job if job.state in FINAL else None

    return look


def stands(house: House, state: State, job_id: str = "a") -> Callable[[], bool]:
    return lambda: house.job(job_id).state is state


def sweep(folder: Path) -> None:
    """Whatever a test asserts, none of its tasks outlives it."""
    executor, tasks = LocalExecutor(folder / "tasks"), folder / "tasks"
    names = [path.name for path in tasks.iterdir()] if tasks.exists() else []
    for name in names:
        executor.stop(name)
    deadline = time.monotonic() + 20
    while any(executor.poll(name).phase not in (Phase.EXITED, Phase.LOST) for name in names):
        assert time.monotonic() < deadline
        time.sleep(0.01)
