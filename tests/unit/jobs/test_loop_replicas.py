"""Jobs of several replicas in the loop: one begins with all, ends with the first, fails with any."""

from __future__ import annotations

import pytest

from mlengine.jobs.domain import Job, State
from mlengine.jobs.executor import Phase, Task
from mlengine.machines import Gpu, Machine, Role
from tests.unit.jobs.house import FOREVER, House, ended, stands, turn_until

CLUSTER = {
    "scale_tier": "CUSTOM",
    "master_type": "standard",
    "worker_type": "standard",
    "worker_count": 2,
    "parameter_server_type": "standard",
    "parameter_server_count": 1,
}
NAMES = ("master-replica-0", "worker-replica-0", "worker-replica-1", "ps-replica-0")
WAIT = "while [ ! -e {folder}/go ]; do sleep 0.02; done"


def phases(house: House) -> dict[str, Phase]:
    return {name: house.executor.poll(task).phase for name, task in house.job().task_ids.items()}


def test_all_replicas_run_and_the_job_ends_with_the_first(local: House) -> None:
    local.script = FOREVER
    local.scripts["master-replica-0"] = WAIT.format(folder=local.folder)
    local.submit(**CLUSTER)
    loop = local.loop()

    turn_until(loop, lambda: set(phases(local).values()) == {Phase.RUNNING})
    assert local.job().replica_names == NAMES
    ports = [replica.port for replica in local.job().replicas]
    assert len(set(ports)) == 4
    (local.folder / "go").touch()
    job = turn_until(loop, ended(local))

    assert (job.state, job.error_message) == (State.SUCCEEDED, "")
    assert set(phases(local).values()) == {Phase.EXITED}


def test_a_worker_that_is_done_early_ends_nothing(local: House) -> None:
    local.script = FOREVER
    local.scripts["worker-replica-0"] = "exit 0"
    local.scripts["master-replica-0"] = WAIT.format(folder=local.folder)
    local.submit(**CLUSTER)
    loop = local.loop()
    turn_until(loop, lambda: phases(local).get("worker-replica-0") is Phase.EXITED)
    for _ in range(3):
        loop.turn()

    assert local.job().state is State.RUNNING
    (local.folder / "go").touch()
    assert turn_until(loop, ended(local)).state is State.SUCCEEDED


@pytest.mark.parametrize("culprit", ["worker-replica-1", "ps-replica-0"])
def test_a_replica_that_fails_fails_the_job_and_is_named(local: House, culprit: str) -> None:
    local.script = FOREVER
    local.scripts[culprit] = "echo no more data; exit 7"
    local.submit(**CLUSTER)

    job = turn_until(local.loop(), ended(local))

    kind, _, index = culprit.partition("-replica-")
    assert job.state is State.FAILED
    assert f"The replica {kind} {index} exited with a non-zero status of 7." in job.error_message
    assert "no more data" in job.error_message
    assert set(phases(local).values()) == {Phase.EXITED}


def test_the_replica_that_failed_first_is_the_cause(local: House) -> None:
    local.script = FOREVER
    local.scripts["worker-replica-0"] = f"touch {local.folder}/go; exit 3"
    local.scripts["master-replica-0"] = f"{WAIT.format(folder=local.folder)}; sleep 0.3; exit 1"
    local.submit(**CLUSTER)

    job = turn_until(local.loop(), ended(local))

    assert "The replica worker 0 exited with a non-zero status of 3." in job.error_message


def test_when_the_machine_fails_one_replica_all_are_started_once_more(local: House) -> None:
    local.script = FOREVER
    local.scripts["worker-replica-0"] = f"[ $RESTARTS = 1 ] || kill -9 $PPID; {FOREVER}"
    local.scripts["master-replica-0"] = f'[ "$RESTARTS" = 1 ] && exit 0; {FOREVER}'
    local.submit(**CLUSTER)

    job = turn_until(local.loop(), ended(local))

    assert (job.state, job.restarts) == (State.SUCCEEDED, 1)
    assert any("The replica worker 0 was lost" in line and "1 of 2" in line for line in local.said())


def test_what_the_user_broke_is_never_started_again(local: House) -> None:
    local.script = FOREVER
    local.scripts["worker-replica-0"] = "kill -9 $$"
    local.submit(**CLUSTER)

    job = turn_until(local.loop(), ended(local))

    assert (job.state, job.restarts) == (State.FAILED, 0)
    assert "The replica worker 0 was killed by signal 9" in job.error_message


def test_cancelling_ends_every_replica(local: House) -> None:
    local.script = FOREVER
    local.submit(**CLUSTER)
    loop = local.loop()
    turn_until(loop, lambda: set(phases(local).values()) == {Phase.RUNNING})

    local.service.cancel(local.job().name)
    job = turn_until(loop, ended(local))

    assert job.state is State.CANCELLED
    assert set(phases(local).values()) == {Phase.EXITED}


def test_a_new_loop_finds_the_replicas_and_their_ports_again(local: House) -> None:
    local.script = FOREVER
    local.scripts["master-replica-0"] = WAIT.format(folder=local.folder)
    local.submit(**CLUSTER)
    turn_until(local.loop(), lambda: set(phases(local).values()) == {Phase.RUNNING})
    before = local.job().replicas

    again = local.loop()
    for _ in range(3):
        again.turn()
    assert (local.job().replicas, local.job().restarts) == (before, 0)
    (local.folder / "go").touch()

    assert turn_until(again, ended(local)).state is State.SUCCEEDED


def test_each_replica_has_a_log_of_its_own(local: House) -> None:
    local.script = f"echo I am $REPLICA; {FOREVER}"
    local.scripts["master-replica-0"] = "echo I lead; sleep 0.5"
    local.submit(**CLUSTER)
    turn_until(local.loop(), ended(local))

    for name in NAMES[1:]:
        assert local.logs.tail(local.job().name, name, 5) == [f"I am {name}"]
    assert local.logs.tail(local.job().name, NAMES[0], 5) == ["I lead"]


# The queue


def test_the_more_urgent_job_goes_first_and_of_the_same_the_older_one(local: House) -> None:
    local.script = "exit 0"
    for job_id, priority in (("a", 0), ("b", 0), ("c", 7), ("d", 9), ("e", 7)):
        local.submit(job_id, priority=priority)
        local.clock.forward()
    started: list[str] = []
    local.prepare = lambda job: started.append(job.name.job) or local.tasks(job)  # type: ignore[func-returns-value]
    loop = local.loop(slots=1)

    turn_until(loop, ended(local, "b"))

    assert started == ["d", "c", "e", "a", "b"]


def test_two_hundred_jobs_all_run_once_and_in_their_order(house: House) -> None:
    priorities = [number * 7 % 5 for number in range(200)]
    for number, priority in enumerate(priorities):
        house.submit(f"j{number}", priority=priority)
        house.clock.forward(0.001)
    started: list[int] = []

    def note(job: Job) -> list[Task]:
        started.append(int(job.name.job[1:]))
        return house.tasks(job)

    house.prepare = note
    loop = house.loop(slots=2)
    turn_until(loop, lambda: not house.service.unfinished(), seconds=90)

    assert started == sorted(range(200), key=lambda number: (-priorities[number], number))
    assert house.runs() == 200
    assert {house.job(f"j{number}").state for number in range(200)} == {State.SUCCEEDED}


def test_a_job_that_waits_too_long_in_the_queue_is_cancelled_and_told_why(local: House) -> None:
    local.script = FOREVER
    local.submit("a")
    local.clock.forward()
    local.submit("b", max_wait_seconds=1800.0)
    loop = local.loop(slots=1)
    turn_until(loop, stands(local, State.RUNNING, "a"))

    local.clock.forward(1800)
    loop.turn()
    assert local.job("b").state is State.QUEUED

    local.clock.forward(1)
    loop.turn()

    assert local.job("b").state is State.CANCELLED
    assert (
        local.job("b").error_message
        == "The job waited longer than its maxWaitTime of 1800 s and was cancelled."
    )
    assert local.job("b").error_message in local.said("b")
    assert local.job("a").state is State.RUNNING


def test_a_job_whose_preparation_takes_too_long_is_cancelled_and_ends(local: House) -> None:
    local.script, local.phased = FOREVER, True
    local.submit(max_wait_seconds=1800.0)
    loop = local.loop()
    turn_until(loop, stands(local, State.PREPARING))

    local.clock.forward(1801)
    job = turn_until(loop, ended(local))

    assert job.state is State.CANCELLED
    assert "maxWaitTime of 1800 s" in job.error_message
    assert set(phases(local).values()) == {Phase.EXITED}


def test_who_waits_is_told_for_what_and_where_he_stands(local: House) -> None:
    local.script = FOREVER
    local.submit("a", scale_tier="BASIC")
    local.clock.forward()
    local.submit("b", scale_tier="BASIC")
    loop = local.loop(slots=9)
    turn_until(loop, stands(local, State.RUNNING, "a"))
    for _ in range(3):
        loop.turn()

    reason = "It waits for 15 GB of memory, of which 1 GB are free; job a has it."
    place = local.service.get(local.job("b").name)[1]
    assert (place.position, place.waits) == (1, reason)
    assert [line for line in local.said("b") if "queue." in line] == [f"Position 1 in the queue. {reason}"]


def test_a_server_started_again_greets_nobody_twice(local: House) -> None:
    local.script = FOREVER
    local.submit("a")
    local.clock.forward()
    local.submit("b")
    turn_until(local.loop(slots=1), stands(local, State.RUNNING, "a"))

    local.loop(slots=1).turn()

    assert local.said("b").count("Job b is queued.") == 1


def test_a_queued_job_whose_gpu_was_taken_out_of_the_machine_fails_and_harms_nobody(local: House) -> None:
    local.script = "exit 0"
    local.machine = Machine(cpus=8, memory_bytes=64 * 10**9, gpus=(Gpu(index=0, name="NVIDIA T4"),))
    local.loop()
    local.submit("a", scale_tier="BASIC_GPU")
    local.submit("b")
    local.machine = Machine(cpus=8, memory_bytes=64 * 10**9)

    loop = local.loop()
    turn_until(loop, ended(local, "b"))

    assert local.job("a").state is State.FAILED
    assert local.job("a").error_message == (
        "The job can no longer be run here: scaleTier BASIC_GPU needs a GPU, and this machine has none."
    )


def test_a_job_of_the_days_before_replicas_goes_on(local: House) -> None:
    local.script = "exit 0"
    local.submit()
    job = local.service.plan().starting[0]
    local.service.begin(type(job)(**{name: getattr(job, name) for name in job.__slots__} | {"replicas": ()}))

    assert turn_until(local.loop(), ended(local)).state is State.SUCCEEDED
    assert local.job().demand.cpus == 0


def test_every_role_has_a_name_in_the_logs() -> None:
    assert {role.value for role in Role} == {"master", "worker", "ps", "evaluator"}
