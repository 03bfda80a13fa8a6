from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlengine.errors import FailedPrecondition
from mlengine.jobs.domain import FINAL, MACHINES, NEXT, SCALE_TIERS, Job, State, TrainingInput, machine_notes
from mlengine.names import JobName

NOW = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)
TRAINING = TrainingInput(
    python_module="trainer.task", package_uris=("gs://box/trainer.tar.gz",), region="here", runtime="any"
)


def job(job_id: str = "train_1", **more: object) -> Job:
    return Job(**{"name": JobName("local", job_id), "uid": "u1", "training": TRAINING, "created": NOW} | more)  # type: ignore[arg-type]


@given(st.lists(st.sampled_from(State), max_size=14))
def test_a_walk_only_takes_allowed_steps_and_a_finished_job_never_moves_again(steps: list[State]) -> None:
    walker, now = job(), NOW

    for to in steps:
        now += timedelta(seconds=1)
        if to not in NEXT[walker.state]:
            with pytest.raises(FailedPrecondition, match=f"is {walker.state}; it cannot become {to}"):
                walker.move(to, now)
            continue
        before, walker = walker, walker.move(to, now)

        assert walker.state is to
        assert walker.ended == (now if to in FINAL else None)
        assert walker.started == (before.started or (now if to in (State.RUNNING, State.SUCCEEDED) else None))


def test_there_is_a_row_for_every_state_and_three_are_final() -> None:
    assert set(NEXT) == set(State)
    assert {State.SUCCEEDED, State.FAILED, State.CANCELLED} == FINAL


def test_every_state_can_be_reached_and_reaches_a_final_one() -> None:
    assert reachable(State.QUEUED) == set(State)
    assert all(reachable(state) & FINAL for state in State)


def test_every_unfinished_job_can_be_cancelled() -> None:
    assert all(State.CANCELLED in reachable(state) for state in State if state not in FINAL)


def reachable(start: State) -> set[State]:
    found, left = {start}, [start]
    while left:
        new = NEXT[left.pop()] - found
        found |= new
        left += new
    return found


def test_an_error_message_does_not_outlive_the_state_it_explains() -> None:
    cancelling = job(state=State.RUNNING).move(State.CANCELLING, NOW, error_message="Cancelled.")

    assert cancelling.move(State.SUCCEEDED, NOW).error_message == ""


@pytest.mark.parametrize(
    ("tier", "machine", "note"),
    [
        ("", "", None),
        ("BASIC", "", "n1-standard-4 (4 CPUs, 15 GB) is mapped to this machine: 2 CPUs, 8 GB, no GPU."),
        ("BASIC_GPU", "", "standard_gpu (8 CPUs, 30 GB, 1 K80) is mapped"),
        ("CUSTOM", "standard_p100", "standard_p100 (8 CPUs, 30 GB, 1 P100) is mapped"),
        ("CUSTOM", "complex_model_s", "complex_model_s (8 CPUs, 7.2 GB) is mapped"),
    ],
)
def test_a_machine_that_was_asked_for_is_compared_with_the_one_that_is_here(
    tier: str, machine: str, note: str | None
) -> None:
    asked = TrainingInput(
        python_module="m", package_uris=(), region="r", runtime="any", scale_tier=tier, master_type=machine
    )

    notes = machine_notes(asked, cpus=2, memory=8.1)

    assert len(notes) == (note is not None)
    assert all(found.startswith(note or "") for found in notes)


def test_every_tier_of_one_replica_has_a_known_machine() -> None:
    assert all(machine in MACHINES for tier, machine in SCALE_TIERS.items() if tier != "CUSTOM")
