"""The job loop killed between any two of its steps, and continued by another one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlengine.backends.database import SqlDatabase
from mlengine.backends.executors import InlineExecutor, LocalExecutor
from mlengine.backends.ports import free_ports
from mlengine.jobs.domain import State
from mlengine.jobs.executor import Executor, Phase
from mlengine.jobs.loop import JobLoop
from tests.conftest import HandClock
from tests.unit.jobs.house import FOREVER, House, ended, stands, turn_until


class Killed(BaseException):
    """The server dies here: nothing of ours may catch it."""


class Mortal:
    """Passes every call on to a real thing, and dies before or after the n-th of all calls.

    Args:
        life: How many calls are left; shared between all that die together.
    """

    def __init__(self, inner: Any, life: dict[str, int], *, after: bool) -> None:
        self._inner = inner
        self._life = life
        self._after = after

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)

        def call(*arguments: Any, **more: Any) -> Any:
            self._life["calls"] -= 1
            dying = self._life["calls"] < 0
            if dying and not self._after:
                raise Killed
            answer = method(*arguments, **more)
            if dying:
                raise Killed
            return answer

        return call


def lives_to_the_end(house: House, job_id: str, calls: int, *, after: bool) -> bool:
    """Turn a loop that dies at one of its calls; false when it died before the job's end."""
    life = {"calls": calls}
    service, executor, logs = (
        Mortal(part, life, after=after) for part in (house.service, house.executor, house.logs)
    )
    loop = JobLoop(
        service,
        executor,
        logs,
        house.clock,
        prepare=house.prepare,
        discard=house.discarded.append,
        ports=free_ports,
    )  # type: ignore[arg-type]
    try:
        turn_until(loop, ended(house, job_id))
    except Killed:
        return False
    return True


@pytest.mark.parametrize(
    ("kind", "script", "after", "step"),
    [
        (InlineExecutor, "exit 0", False, 1),
        (InlineExecutor, "exit 0", True, 1),
        (InlineExecutor, "exit 7", True, 1),
        (LocalExecutor, "exit 0", True, 2),
    ],
)
def test_a_loop_killed_between_any_two_steps_is_continued_and_the_task_runs_once(
    sqlite: SqlDatabase,
    tmp_path: Path,
    clock: HandClock,
    kind: Callable[[Path], Executor],
    script: str,
    after: bool,
    step: int,
) -> None:
    survived, calls = False, 0
    while not survived:
        folder = tmp_path / f"life_{calls}"
        folder.mkdir()
        house = House(sqlite, folder, clock, kind(folder / "tasks"))
        house.script += f"; {script}"
        job_id = house.submit(f"a_{calls}").job

        survived = lives_to_the_end(house, job_id, calls, after=after)
        again = House(sqlite, folder, clock, kind(folder / "tasks"))
        again.script = house.script
        job = turn_until(again.loop(), ended(again, job_id))

        assert job.state is (State.SUCCEEDED if script == "exit 0" else State.FAILED), (
            f"killed at call {calls}"
        )
        assert house.runs() == 1, f"killed at call {calls}"
        assert "Job completed successfully." in house.said(job_id) or job.error_message in house.said(job_id)
        calls += step

    assert calls > 12


@pytest.mark.parametrize("after", [False, True])
def test_a_loop_killed_between_any_two_steps_of_a_cancellation_ends_the_job(
    sqlite: SqlDatabase, tmp_path: Path, clock: HandClock, after: bool
) -> None:
    for calls in range(6):
        folder = tmp_path / f"life_{calls}"
        folder.mkdir()
        house = House(sqlite, folder, clock, LocalExecutor(folder / "tasks"))
        house.script = FOREVER
        name = house.submit(f"a_{calls}")
        turn_until(house.loop(), stands(house, State.RUNNING, name.job))
        house.service.cancel(name)

        lives_to_the_end(house, name.job, calls, after=after)
        job = turn_until(house.loop(), ended(house, name.job))

        assert job.state is State.CANCELLED, f"killed at call {calls}"
        assert house.executor.poll(job.task_id).phase is Phase.EXITED
