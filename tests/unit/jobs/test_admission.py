"""Who may start, and what is said to those who wait."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from mlengine.jobs.admission import Plan, plan
from mlengine.jobs.domain import Job, State
from mlengine.machines import Accelerators, Gpu, Machine, Role
from mlengine.names import JobName
from tests.unit.jobs.test_domain import NOW, TRAINING

GB = 10**9
MACHINE = Machine(
    cpus=16, memory_bytes=64 * GB, gpus=(Gpu(index=0, name="NVIDIA T4"), Gpu(index=1, name="NVIDIA T4"))
)


def job(job_id: str, tier: str = "", machine: str = "", *, gpus: int = 0, project: str = "local") -> Job:
    training = replace(TRAINING, scale_tier=tier or ("CUSTOM" if machine else ""), master_type=machine)
    if gpus:
        found = {Role.MASTER: Accelerators(type="NVIDIA_TESLA_T4", count=gpus)}
        training = replace(training, accelerators=found)
    return Job(name=JobName(project, job_id), uid=f"u-{job_id}", training=training, created=NOW)


def running(*jobs: Job, slots: int = 9) -> list[Job]:
    started = plan([], jobs, machine=MACHINE, slots=slots).starting
    assert len(started) == len(jobs)
    return [replace(job, state=State.RUNNING) for job in started]


def reasons(found: Plan) -> dict[str, str]:
    return {job.name.job: reason for job, reason in found.waiting}


def test_jobs_start_in_their_order_until_the_places_are_taken() -> None:
    found = plan([], [job("a"), job("b"), job("c")], machine=MACHINE, slots=2)

    assert [job.name.job for job in found.starting] == ["a", "b"]
    assert reasons(found) == {"c": "It waits for a place: at most 2 jobs run at once (max_running_jobs)."}


def test_who_waits_for_memory_is_told_how_much_and_who_has_it() -> None:
    found = plan(
        running(job("a", machine="large_model")), [job("b", machine="n1-highmem-4")], machine=MACHINE, slots=9
    )

    assert reasons(found) == {"b": "It waits for 26 GB of memory, of which 12 GB are free; job a has it."}


def test_who_waits_for_gpus_is_told_how_many_and_who_has_them() -> None:
    held = running(
        job("a", machine="n1-standard-4", gpus=1), job("x", machine="n1-standard-4", gpus=1, project="other")
    )

    found = plan(held, [job("b", machine="n1-standard-4", gpus=1)], machine=MACHINE, slots=9)

    assert reasons(found) == {
        "b": "It waits for 1 GPU, of which 0 are free; job a and a job of another project have it."
    }


def test_gpus_are_dealt_out_once() -> None:
    one, other = running(job("a", machine="n1-standard-4", gpus=1), job("b", machine="n1-standard-4", gpus=1))

    assert (one.replicas[0].gpus, other.replicas[0].gpus) == ((0,), (1,))


def test_nobody_overtakes_a_job_that_waits_for_what_he_needs_too() -> None:
    held = running(job("a", machine="large_model"))
    queue = [job("b", machine="n1-highmem-8"), job("c", machine="standard"), job("d")]

    found = plan(held, queue, machine=MACHINE, slots=9)

    # d keeps nothing for itself, so that it stands in nobody's way.
    assert [job.name.job for job in found.starting] == ["d"]
    assert reasons(found)["c"] == "It waits behind job b."


def test_a_job_larger_than_the_machine_starts_when_it_is_idle() -> None:
    huge = job("a", "PREMIUM_1")

    assert [job.name.job for job in plan([], [huge], machine=MACHINE, slots=1).starting] == ["a"]


def test_a_job_that_can_no_longer_fit_is_told_apart() -> None:
    poor = replace(MACHINE, gpus=())

    found = plan([], [job("a", "BASIC_GPU"), job("b")], machine=poor, slots=1)

    assert [(job.name.job, refusal.field) for job, refusal in found.impossible] == [("a", "scaleTier")]
    assert [job.name.job for job in found.starting] == ["b"]


@given(
    st.lists(
        st.tuples(st.sampled_from(["", "BASIC", "STANDARD_1", "BASIC_GPU"]), st.integers(0, 1)),
        max_size=9,
    ),
    st.integers(1, 9),
)
def test_whatever_is_queued_nothing_is_given_twice_and_somebody_runs(
    wanted: list[tuple[str, int]], slots: int
) -> None:
    queue = [job(f"j{number}", tier) for number, (tier, _) in enumerate(wanted)]

    found = plan([], queue, machine=MACHINE, slots=slots)

    taken = [index for job in found.starting for replica in job.replicas for index in replica.gpus]
    assert len(taken) == len(set(taken))
    assert sum(job.demand.memory_bytes for job in found.starting) <= MACHINE.memory_bytes
    assert len(found.starting) <= slots
    assert bool(found.starting) == bool(queue)
    assert len(found.starting) + len(found.waiting) == len(queue)
