from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mlengine.errors import InvalidArgument
from mlengine.models.domain import Scaling, State
from mlengine.models.scaling import scaled
from tests.unit.models.test_domain import version

CORES = 4


def bounds(**asked: Any) -> tuple[int, int, int]:
    found = scaled(version(State.CREATING), Scaling(**asked), cores=CORES)
    return found.nodes, found.min_nodes, found.max_nodes


def test_without_a_word_a_version_has_one_process() -> None:
    assert bounds() == (0, 1, 1)


def test_manual_nodes_are_neither_more_nor_less() -> None:
    assert bounds(nodes=3) == (3, 3, 3)


def test_automatic_scaling_may_sleep_and_use_the_whole_machine() -> None:
    assert bounds(automatic=True) == (0, 0, CORES)
    assert bounds(automatic=True, min_nodes=1, max_nodes=2) == (0, 1, 2)


def test_a_machine_of_compute_engine_does_not_sleep_by_itself() -> None:
    n1 = replace(version(State.CREATING), machine_type="n1-standard-4")

    assert scaled(n1, Scaling(automatic=True), cores=CORES).min_nodes == 1
    assert scaled(n1, Scaling(automatic=True, min_nodes=0), cores=CORES).min_nodes == 0


def test_a_change_leaves_the_other_bound_alone() -> None:
    was = scaled(version(State.READY), Scaling(automatic=True, min_nodes=1, max_nodes=3), cores=CORES)

    now = scaled(was, Scaling(automatic=True, min_nodes=2), cores=CORES)

    assert (now.min_nodes, now.max_nodes) == (2, 3)
    assert scaled(now, Scaling(nodes=2), cores=CORES).scales is False


@pytest.mark.parametrize(
    ("asked", "words", "field"),
    [
        ({"nodes": 5}, "this machine has 4 cores", "version.manual_scaling.nodes"),
        ({"nodes": 0}, "at least 1", "version.manual_scaling.nodes"),
        ({"automatic": True, "min_nodes": 5}, "this machine has 4 cores", "version.auto_scaling.min_nodes"),
        ({"automatic": True, "min_nodes": -2}, "at least 0", "version.auto_scaling.min_nodes"),
        ({"automatic": True, "max_nodes": 0}, "at least one", "version.auto_scaling.max_nodes"),
        (
            {"automatic": True, "min_nodes": 3, "max_nodes": 2},
            "is 2, and minNodes is 3",
            "version.auto_scaling.max_nodes",
        ),
    ],
)
def test_what_the_machine_cannot_give_is_refused_with_its_number(
    asked: dict[str, Any], words: str, field: str
) -> None:
    with pytest.raises(InvalidArgument, match=words) as refused:
        bounds(**asked)

    assert refused.value.field == field
