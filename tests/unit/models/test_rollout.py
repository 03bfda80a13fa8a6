"""What answers for a model: the default, a split, shadow copies, and the way back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlengine.errors import FailedPrecondition, InvalidArgument
from mlengine.models.domain import Model
from mlengine.models.rollout import rolled_back, with_default, with_traffic, without
from mlengine.names import ModelName

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
NEW = Model(name=ModelName("local", "titanic"), created=NOON)
V1 = with_default(NEW, "v1", NOON)
ALL = frozenset({"v1", "v2", "v3"})


def at(minutes: int) -> datetime:
    return NOON + timedelta(minutes=minutes)


def answering(model: Model) -> tuple[str, dict[str, int]]:
    return model.default_version, model.traffic.split


def test_a_default_answers_all_requests() -> None:
    assert answering(V1) == ("v1", {"v1": 100})
    assert V1.before == ()


def test_a_split_leaves_the_default_alone() -> None:
    split = with_traffic(V1, {"v1": 90, "v2": 10}, None, at(1))

    assert answering(split) == ("v1", {"v1": 90, "v2": 10})


def test_a_split_of_one_makes_it_the_default() -> None:
    split = with_traffic(V1, {"v1": 50, "v2": 50}, None, at(1))

    assert answering(with_traffic(split, {"v2": 100}, None, at(2))) == ("v2", {"v2": 100})


def test_another_default_ends_the_split_and_its_own_shadow() -> None:
    split = with_traffic(V1, {"v1": 50, "v2": 50}, {"v3": 0.5}, at(1))

    changed = with_default(split, "v3", at(2))

    assert answering(changed) == ("v3", {"v3": 100})
    assert changed.shadow == {}


def test_a_shadow_stays_when_only_the_split_changes_and_ends_at_nothing() -> None:
    copied = with_traffic(V1, {}, {"v3": 0.5}, at(1))

    split = with_traffic(copied, {"v1": 90, "v2": 10}, None, at(2))

    assert split.shadow == {"v3": 0.5}
    assert with_traffic(split, {}, {}, at(3)).shadow == {}
    assert with_traffic(split, {}, {"v3": 0}, at(3)).shadow == {}
    assert with_traffic(split, {}, {}, at(3)).split == split.split


@pytest.mark.parametrize(
    ("split", "shadow", "field", "words"),
    [
        ({"v1": 90, "v2": 20}, None, "split", "make 110 %"),
        ({"v1": 100, "v2": 0}, None, "split", "'v2' is given 0 %"),
        ({}, {"v2": 1.5}, "shadow", "'v2' is given 1.5"),
        ({}, {"v1": 0.5}, "shadow", "'v1' answers requests already"),
        ({"v1": 90, "v2": 10}, {"v2": 0.1}, "shadow", "'v2' answers requests already"),
    ],
)
def test_what_makes_no_whole_is_refused(
    split: dict[str, int], shadow: dict[str, float] | None, field: str, words: str
) -> None:
    with pytest.raises(InvalidArgument, match=words) as refused:
        with_traffic(V1, split, shadow, at(1))

    assert refused.value.field == field


def test_what_answers_already_is_no_change() -> None:
    assert with_default(V1, "v1", at(5)) == V1
    assert with_traffic(V1, {"v1": 100}, None, at(5)) == V1


def test_each_roll_back_goes_one_step_further_back() -> None:
    split = with_traffic(V1, {"v1": 90, "v2": 10}, None, at(1))
    v2 = with_default(split, "v2", at(2))
    v3 = with_default(v2, "v3", at(3))

    found = [v3]
    for step in range(3):
        found.append(rolled_back(found[-1], at(4 + step), ready=ALL))

    assert [answering(model) for model in found[1:]] == [answering(v2), answering(split), answering(V1)]
    with pytest.raises(FailedPrecondition, match="no earlier version"):
        rolled_back(found[-1], at(9), ready=ALL)


def test_the_history_keeps_what_was_rolled_back() -> None:
    back = rolled_back(with_default(V1, "v2", at(1)), at(2), ready=ALL)

    assert [(served.version, served.since) for served in back.history] == [
        ("v1", NOON),
        ("v2", at(1)),
        ("v1", at(2)),
    ]


def test_a_roll_back_passes_over_what_cannot_answer_any_more() -> None:
    v3 = with_default(with_default(V1, "v2", at(1)), "v3", at(2))

    assert rolled_back(v3, at(3), ready=frozenset({"v1", "v3"})).default_version == "v1"
    assert rolled_back(without(v3, "v2"), at(3), ready=ALL).default_version == "v1"


@given(st.lists(st.sampled_from(["v1", "v2", "v3", "split", "back"]), max_size=30))
def test_whatever_is_done_the_whole_is_answered_and_the_history_ends_in_what_answers(
    deeds: list[str],
) -> None:
    model = V1
    for minute, deed in enumerate(deeds):
        if deed == "split":
            model = with_traffic(model, {"v1": 70, "v2": 30}, {"v3": 0.1}, at(minute))
        elif deed == "back":
            try:
                model = rolled_back(model, at(minute), ready=ALL)
            except FailedPrecondition:
                assert not model.before
        else:
            model = with_default(model, deed, at(minute))

    assert sum(model.traffic.split.values()) == 100
    assert not model.traffic.split.keys() & model.shadow.keys()
    assert (model.history[-1].version, model.history[-1].split) == (model.default_version, model.split)
