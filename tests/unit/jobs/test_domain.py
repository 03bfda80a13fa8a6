from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlengine.errors import FailedPrecondition
from mlengine.jobs.domain import FINAL, NEXT, Job, State, TrainingInput
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
