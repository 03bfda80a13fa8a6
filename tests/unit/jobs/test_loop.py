"""The job loop with real executors, log and database."""

from __future__ import annotations

import logging
import sys
import threading
import time
from typing import Any

import pytest

from mlengine.backends.executors import LocalExecutor
from mlengine.errors import InvalidArgument, Unavailable
from mlengine.jobs.domain import FINAL, Job, State
from mlengine.jobs.executor import Phase, Task
from mlengine.names import JobName
from tests.unit.jobs.house import FOREVER, House, ended, stands, turn_until

# How jobs end


def test_a_job_runs_and_succeeds(house: House) -> None:
    house.script = f"echo hello; {house.script}"
    house.submit()

    job = turn_until(house.loop(), ended(house))

    assert (job.state, job.error_message, house.runs()) == (State.SUCCEEDED, "", 1)
    assert job.started
    assert job.ended
    assert [
        house.said().count(line) for line in ("Job is preparing.", "hello", "Job completed successfully.")
    ] == [1] * 3


def test_a_job_that_raises_fails_with_its_traceback(house: House) -> None:
    lines = "print('line')\\ndef train():\\n  raise ValueError('no such column: Agee')\\ntrain()"
    house.script = f'printf "{lines}\\n" > task.py; exec {sys.executable} -S task.py'
    house.submit()

    job = turn_until(house.loop(), ended(house))

    assert job.state is State.FAILED
    cause, place, *rest = job.error_message.splitlines()
    assert cause == "ValueError: no such column: Agee"
    assert place.endswith("task.py:3")
    assert "  Traceback (most recent call last):" in rest
    assert "The replica master 0 exited with a non-zero status of 1." in rest
    assert job.error_message.endswith("please check the logs: mlengine jobs stream-logs a")
    assert job.error_message in house.said()


def test_a_job_that_fails_without_a_traceback_shows_its_last_lines(house: House) -> None:
    house.script = "for n in $(seq 30); do echo line $n; done; exit 3"
    house.submit()

    message = turn_until(house.loop(), ended(house)).error_message

    assert "non-zero status of 3" in message
    assert message.startswith("It ended itself with exit code 3, by sys.exit or the like.")
    assert "  line 11\n" in message
    assert "  line 10\n" not in message


def test_a_job_that_is_killed_fails_with_the_signal(local: House) -> None:
    local.script = "kill -9 $$"
    local.submit()

    assert "was killed by signal 9" in turn_until(local.loop(), ended(local)).error_message


def test_a_job_whose_task_nobody_knows_is_started_once_more(house: House) -> None:
    house.submit()
    house.service.move(house.service.move(house.job(), State.PREPARING), State.RUNNING)

    job = turn_until(house.loop(), ended(house))

    assert (job.state, job.restarts, house.runs()) == (State.SUCCEEDED, 1, 1)
    assert any("Starting the job once more (1 of 2)" in line for line in house.said())


def test_a_job_that_the_machine_fails_again_and_again_is_lost(local: House) -> None:
    local.script = f"echo ran >> {local.diary}; kill -9 $PPID; {FOREVER}"
    local.submit()

    job = turn_until(local.loop(), ended(local))

    assert (job.state, job.restarts, local.runs()) == (State.FAILED, 2, 3)
    assert "The replica master 0 was lost" in job.error_message


@pytest.mark.parametrize(
    "error", [InvalidArgument("The package has no module 'trainer'."), RuntimeError("surprise")]
)
def test_a_job_that_cannot_be_prepared_fails_with_the_reason(house: House, error: Exception) -> None:
    def refuse(job: Job) -> list[Task]:
        raise error

    house.prepare = refuse
    house.submit()

    job = turn_until(house.loop(), ended(house))

    assert (job.state, house.runs()) == (State.FAILED, 0)
    assert str(error) in job.error_message
    assert job.error_message in house.said()


def test_a_job_waits_while_the_machine_can_start_nothing(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(job: Job) -> list[Task]:
        raise Unavailable("No process can be started.")

    house.prepare = refuse
    loop = house.loop()
    house.submit()

    with caplog.at_level(logging.WARNING):
        hurries = [loop.turn() for _ in range(5)]
    house.prepare = house.tasks

    assert hurries == [False] * 5
    assert house.job().state is State.PREPARING
    assert turn_until(loop, ended(house)).state is State.SUCCEEDED
    assert house.said().count("Job is preparing.") == 1


def test_a_job_that_cannot_even_fail_is_not_in_the_way_of_others(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    (house.folder / "logs" / "local").mkdir(parents=True)
    (house.folder / "logs" / "local" / "a").write_text("a file where the folder of the log belongs")
    house.submit("a")
    house.submit("b")
    loop = house.loop()

    assert turn_until(loop, ended(house, "b")).state is State.SUCCEEDED
    assert house.job("a").state not in FINAL

    (house.folder / "logs" / "local" / "a").unlink()
    turn_until(loop, ended(house, "a"))


def test_what_a_failed_job_left_running_is_stopped(local: House) -> None:
    local.script = FOREVER
    local.submit()
    loop = local.loop()
    turn_until(loop, stands(local, State.RUNNING))
    task = local.job().task_id

    class Blind:
        """An executor of which only `poll` breaks, once."""

        def poll(self, task_id: str) -> Any:
            loop._executor = local.executor
            raise OSError("the disk is gone")

        def __getattr__(self, name: str) -> Any:
            return getattr(local.executor, name)

    loop._executor = Blind()  # type: ignore[assignment]
    loop.turn()

    assert local.job().state is State.FAILED
    turn_until(loop, lambda: local.executor.poll(task).phase is Phase.EXITED)


# Slots and time


def test_no_more_jobs_run_than_there_are_slots_and_the_oldest_goes_first(local: House) -> None:
    local.script = f"while [ ! -e {local.folder}/go ]; do sleep 0.02; done"
    for job_id in ("a", "b", "c"):
        local.submit(job_id)
        local.clock.forward()
    loop = local.loop(slots=1)

    turn_until(loop, stands(local, State.RUNNING))
    for _ in range(3):
        loop.turn()

    assert [local.service.get(JobName("local", job_id))[1].position for job_id in ("a", "b", "c")] == [
        0,
        1,
        2,
    ]
    (local.folder / "go").touch()
    for job_id in ("a", "b", "c"):
        assert turn_until(loop, ended(local, job_id)).state is State.SUCCEEDED


def test_a_job_that_runs_too_long_is_cancelled_and_told_why(local: House) -> None:
    local.script = FOREVER
    local.submit(max_running_seconds=1234567.0)
    loop = local.loop()
    turn_until(loop, stands(local, State.RUNNING))

    local.clock.forward(1234567)
    loop.turn()
    assert local.job().state is State.RUNNING

    local.clock.forward(1)
    job = turn_until(loop, ended(local))

    assert job.state is State.CANCELLED
    assert job.error_message == "The job ran longer than its maxRunningTime of 1234567 s and was cancelled."
    assert local.executor.poll(job.task_id).phase is Phase.EXITED


# Cancelling


def test_a_job_cancelled_in_the_queue_never_runs(house: House) -> None:
    house.service.cancel(house.submit())
    loop = house.loop()

    assert loop.turn() is False
    assert (house.job().state, house.runs()) == (State.CANCELLED, 0)


def test_a_job_cancelled_before_its_task_was_started_never_runs(house: House) -> None:
    house.submit()
    house.service.move(house.job(), State.PREPARING)
    house.service.cancel(house.job().name)

    assert turn_until(house.loop(), ended(house)).state is State.CANCELLED
    assert house.runs() == 0


@pytest.mark.parametrize(("phased", "state"), [(True, State.PREPARING), (False, State.RUNNING)])
def test_a_job_cancelled_on_its_way_ends_with_its_whole_tree(
    local: House, phased: bool, state: State
) -> None:
    local.script, local.phased = f"echo begun; ({FOREVER}) & {FOREVER}", phased
    local.submit()
    loop = local.loop()
    turn_until(loop, lambda: local.job().state is state and "begun" in local.said())

    local.service.cancel(local.job().name)
    assert local.job().state is State.CANCELLING
    job = turn_until(loop, ended(local))

    assert job.state is State.CANCELLED
    assert "cancelled by its user" in job.error_message
    assert job.error_message in local.said()
    assert local.executor.poll(job.task_id).stopped


def test_a_job_that_succeeds_while_it_is_being_cancelled_has_succeeded(local: House) -> None:
    local.script = f"while [ ! -e {local.folder}/go ]; do sleep 0.02; done"
    local.submit()
    loop = local.loop()
    turn_until(loop, stands(local, State.RUNNING))
    (local.folder / "go").touch()
    idle = LocalExecutor(local.folder / "tasks")
    while idle.poll(local.job().task_id).phase is not Phase.EXITED:
        time.sleep(0.01)

    local.service.cancel(local.job().name)
    job = turn_until(loop, ended(local))

    assert (job.state, job.error_message) == (State.SUCCEEDED, "")


# The thread


def test_the_loop_in_its_thread_wakes_for_a_new_job_and_stops_when_told(house: House) -> None:
    loop = house.loop()
    house.wake = loop.wake
    thread = threading.Thread(target=loop.run)
    thread.start()
    name = house.submit()
    deadline = time.monotonic() + 30
    while house.job().state not in FINAL and time.monotonic() < deadline:
        time.sleep(0.01)

    loop.stop()
    thread.join(10)

    assert house.service.get(name)[0].state is State.SUCCEEDED
    assert not thread.is_alive()


def test_a_loop_whose_database_is_out_of_reach_goes_on_when_it_is_back(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    service, reached = house.service, threading.Event()

    class Away:
        """A service that cannot be reached the first time."""

        def __getattr__(self, name: str) -> Any:
            if reached.is_set():
                return getattr(service, name)
            reached.set()
            raise Unavailable("The database does not answer.")

    house.submit()
    loop = house.loop()
    loop._service = Away()  # type: ignore[assignment]
    thread = threading.Thread(target=loop.run)
    thread.start()
    deadline = time.monotonic() + 30
    while house.job().state not in FINAL and time.monotonic() < deadline:
        time.sleep(0.01)
    loop.stop()
    thread.join(10)

    assert house.job().state is State.SUCCEEDED
    assert "stumbled" in caplog.text
