from __future__ import annotations

import pytest

from mlengine.errors import (
    AlreadyExists,
    Conflict,
    FailedPrecondition,
    NotFound,
    Problem,
)
from mlengine.models.domain import Framework, State, Traffic
from mlengine.models.intake import MOST_FILES
from mlengine.names import ModelName, ObjectUrl
from tests.unit.models.house import TITANIC, House, bring

# Models


def test_a_model_is_found_again(house: House) -> None:
    made = house.model()

    assert house.service.get_model(TITANIC) == (made, None)


def test_a_second_model_of_the_same_name_is_refused(house: House) -> None:
    house.model()

    with pytest.raises(AlreadyExists, match="already exists"):
        house.model()


def test_an_unknown_model_is_answered_with_the_nearest(house: House) -> None:
    house.model()

    with pytest.raises(NotFound, match=r"no model 'titanik'.* Did you mean 'titanic'\?"):
        house.service.get_model(ModelName("local", "titanik"))


def test_a_model_without_versions_is_deleted_at_once(house: House) -> None:
    house.model()

    operation = house.service.delete_model(TITANIC)

    assert house.operation(operation.name)["response"] == {
        "@type": "type.googleapis.com/google.protobuf.Empty"
    }
    with pytest.raises(NotFound):
        house.service.get_model(TITANIC)


def test_a_model_with_versions_is_not_deleted_and_they_are_named(house: House) -> None:
    house.model()
    for version_id in ("v1", "v2", "v3", "v4"):
        house.ready(version_id)

    with pytest.raises(
        FailedPrecondition, match=r"still has versions: v1, v2, v3 and more. Delete them first"
    ):
        house.service.delete_model(TITANIC)

    assert house.service.get_model(TITANIC)[0].default_version == "v1"


def test_models_are_listed_with_their_default_versions(house: House) -> None:
    house.model("other")
    house.model()
    v1 = house.ready("v1")

    found = house.service.page_models("local", after="", limit=10)

    assert [(model.name.model, version) for model, version in found] == [("other", None), ("titanic", v1)]
    assert [m.name.model for m, _ in house.service.page_models("local", after="other", limit=1)] == [
        "titanic"
    ]


# Versions


def test_a_version_is_asked_for_and_then_ready(house: House) -> None:
    house.model()

    operation = house.asked("v1", description="First", labels={"a": "b"})

    assert house.version("v1").state is State.CREATING
    assert "done" not in house.operation(operation.name)
    assert house.woken == 1

    house.service.ready(house.version("v1"))

    answer = house.operation(operation.name)
    assert answer["done"] is True
    assert "error" not in answer
    assert answer["response"]["name"] == "projects/local/models/titanic/versions/v1"
    assert (answer["response"]["state"], answer["response"]["isDefault"]) == ("READY", True)


def test_the_first_ready_version_becomes_the_default_and_later_ones_do_not(house: House) -> None:
    house.model()
    house.failed("v0")
    assert house.default() == ""

    house.ready("v1")
    house.ready("v2")

    assert house.default() == "v1"
    assert house.service.traffic() == {TITANIC: Traffic(split={"v1": 100})}


def test_a_failed_creation_tells_why_in_version_and_operation(house: House) -> None:
    house.model()
    operation = house.asked("v1")

    house.service.fail(house.version("v1"), "Traceback:\nValueError: \0 bad pickle")

    answer = house.operation(operation.name)
    assert "response" not in answer
    assert answer["error"]["code"] == 9
    assert "ValueError" in answer["error"]["message"]
    assert house.version("v1").state is State.FAILED
    assert house.version("v1").error_message == answer["error"]["message"]


def test_a_version_is_ready_or_failed_once(house: House) -> None:
    house.model()
    house.asked("v1")
    seen = house.version("v1")
    house.service.ready(seen)

    with pytest.raises(Conflict):
        house.service.fail(seen, "Too late.")

    assert house.version("v1").state is State.READY


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        ({"origin": ObjectUrl("box", "empty")}, "no model directly in gs://box/empty"),
        ({"origin": ObjectUrl("none", "x")}, "There is no bucket 'none'"),
        ({"runtime_version": "77.7"}, "77.7"),
        ({"name": ModelName("local", "nothing").version("v1")}, "There is no model 'nothing'"),
    ],
)
def test_what_cannot_be_deployed_is_refused_and_leaves_nothing(
    house: House, more: dict[str, object], complaint: str
) -> None:
    house.model()

    with pytest.raises(Problem, match=complaint):
        house.asked("v1", **more)

    assert house.service.page_versions(TITANIC, after="", limit=5) == []
    assert house.operations.page("local", after="", limit=5) == []


def test_a_folder_of_far_too_many_files_is_refused(house: House) -> None:
    house.model()
    house.files["gs://box/sk"] = ["model.joblib", *(f"f{number}" for number in range(MOST_FILES))]

    with pytest.raises(FailedPrecondition, match="more than 1000 files"):
        house.asked("v1")


def test_the_framework_comes_from_the_files_unless_it_is_named(house: House) -> None:
    house.model()
    house.asked("v1", origin=ObjectUrl("box", "xgb"))
    house.asked("v2", framework=Framework.TENSORFLOW)

    assert house.version("v1").framework is Framework.XGBOOST
    assert house.version("v2").framework is Framework.TENSORFLOW


def test_a_second_version_of_the_same_name_is_refused_and_the_first_goes_on(house: House) -> None:
    house.model()
    house.asked("v1")
    first = house.version("v1")

    with pytest.raises(AlreadyExists, match="has a version 'v1' already"):
        house.asked("v1")

    assert house.version("v1") == first
    assert len(house.operations.page("local", after="", limit=5)) == 1


def test_another_version_can_be_made_the_default(house: House) -> None:
    house.model()
    house.ready("v1")
    house.ready("v2")

    house.service.set_default(TITANIC.version("v2"))
    house.service.set_default(TITANIC.version("v2"))

    assert house.default() == "v2"
    assert house.service.page_versions(TITANIC, after="", limit=5) == [
        (house.version("v1"), False),
        (house.version("v2"), True),
    ]


@pytest.mark.parametrize("state", [State.CREATING, State.FAILED, State.DELETING])
def test_only_a_ready_version_can_be_made_the_default(house: House, state: State) -> None:
    house.model()
    house.ready("v1")
    bring(house, "v2", state)

    with pytest.raises(FailedPrecondition, match=f"'v2' is {state}; only a READY one"):
        house.service.set_default(TITANIC.version("v2"))

    assert house.default() == "v1"


def test_the_default_is_not_deleted_while_there_are_others(house: House) -> None:
    house.model()
    house.ready("v1")
    house.failed("a_failed_one")
    with pytest.raises(FailedPrecondition, match="delete a_failed_one first"):
        house.service.delete_version(TITANIC.version("v1"))
    house.ready("v2")

    with pytest.raises(FailedPrecondition, match="versions set-default v2 --model titanic"):
        house.service.delete_version(TITANIC.version("v1"))

    assert house.version("v1").state is State.READY


def test_the_last_version_is_deleted_even_if_it_is_the_default(house: House) -> None:
    house.model()
    house.ready("v1")

    operation = house.service.delete_version(TITANIC.version("v1"))

    assert house.version("v1").state is State.DELETING
    assert house.default() == ""
    assert "done" not in house.operation(operation.name)

    house.service.gone(house.version("v1"))

    assert house.operation(operation.name)["response"] == {
        "@type": "type.googleapis.com/google.protobuf.Empty"
    }
    with pytest.raises(NotFound, match="has no version 'v1'"):
        house.version("v1")


@pytest.mark.parametrize("state", [State.CREATING, State.DELETING])
def test_a_version_on_its_way_is_not_deleted(house: House, state: State) -> None:
    house.model()
    bring(house, "v1", state)

    with pytest.raises(FailedPrecondition, match=f"is {state}"):
        house.service.delete_version(TITANIC.version("v1"))


def test_taking_a_version_away_twice_spares_its_successor_of_the_same_name(house: House) -> None:
    house.model()
    house.ready("v1")
    house.service.delete_version(TITANIC.version("v1"))
    old = house.version("v1")
    house.service.gone(old)
    house.asked("v1")

    house.service.gone(old)

    assert house.version("v1").state is State.CREATING


def test_the_loop_is_told_of_versions_to_make_to_keep_and_to_take_away(house: House) -> None:
    house.model()
    for version_id, state in [
        ("a", State.READY),
        ("b", State.CREATING),
        ("c", State.FAILED),
        ("d", State.DELETING),
    ]:
        bring(house, version_id, state)

    assert [version.name.version for version in house.service.to_deploy()] == ["a", "b", "d"]
