from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlengine.errors import FailedPrecondition
from mlengine.models.artefacts import detect_framework
from mlengine.models.domain import NEXT, Framework, State, Version
from mlengine.names import ModelName, ObjectUrl, OperationName

ORIGIN = ObjectUrl("box", "export")
FINAL = {state for state, following in NEXT.items() if not following}


def version(state: State = State.CREATING) -> Version:
    return Version(
        name=ModelName("local", "titanic").version("v1"),
        uid="u1",
        origin=ORIGIN,
        framework=Framework.SCIKIT_LEARN,
        runtime="any",
        created=datetime(2026, 11, 2, tzinfo=UTC),
        operation=OperationName("local", "create_titanic_v1-1"),
        state=state,
    )


@given(st.lists(st.sampled_from(State), max_size=12))
def test_a_walk_only_takes_allowed_steps_and_a_final_state_never_moves_again(steps: list[State]) -> None:
    walker = version()

    for to in steps:
        if to in NEXT[walker.state]:
            walker = walker.move(to)
            continue
        with pytest.raises(FailedPrecondition, match=f"is {walker.state}; it cannot become {to}"):
            walker.move(to)


def test_there_is_a_row_for_every_state() -> None:
    assert set(NEXT) == set(State)
    assert {State.DELETING} == FINAL


def test_every_state_can_be_reached_and_reaches_a_final_one() -> None:
    assert reachable(State.CREATING) == set(State)
    assert all(reachable(state) & FINAL for state in State)


def reachable(start: State) -> set[State]:
    found, left = {start}, [start]
    while left:
        new = NEXT[left.pop()] - found
        found |= new
        left += new
    return found


@pytest.mark.parametrize(
    ("files", "framework"),
    [
        (["model.joblib"], Framework.SCIKIT_LEARN),
        (["model.pkl", "notes.txt"], Framework.SCIKIT_LEARN),
        (["model.joblib", "model.pkl"], Framework.SCIKIT_LEARN),
        (["model.bst", "old/model.joblib"], Framework.XGBOOST),
        (["saved_model.pb", "variables/variables.index"], Framework.TENSORFLOW),
        (["saved_model.pbtxt"], Framework.TENSORFLOW),
    ],
)
def test_the_framework_is_told_by_the_files_directly_in_the_folder(
    files: list[str], framework: Framework
) -> None:
    assert detect_framework(ORIGIN, files) is framework


def test_files_of_two_frameworks_are_refused_by_name() -> None:
    with pytest.raises(FailedPrecondition, match=r"Multiple model files .* model.bst, model.joblib"):
        detect_framework(ORIGIN, ["model.joblib", "model.bst"])


def test_a_model_one_folder_below_is_pointed_at() -> None:
    with pytest.raises(FailedPrecondition, match=r"There is one in gs://box/export/1700000000/: use that"):
        detect_framework(ORIGIN, ["1700000000/saved_model.pb", "1700000000/variables/x"])


@pytest.mark.parametrize(("files", "shown"), [([], "nothing"), (["a.txt", "b.txt"], "a.txt, b.txt")])
def test_a_folder_without_a_model_is_refused_with_what_it_holds(files: list[str], shown: str) -> None:
    with pytest.raises(FailedPrecondition, match=f"It holds {shown}. A model is one of saved_model.pb"):
        detect_framework(ORIGIN, files)
