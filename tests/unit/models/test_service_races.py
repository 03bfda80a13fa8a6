"""Several who change the same model at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from mlengine.errors import (
    NotFound,
)
from mlengine.models.domain import State
from tests.unit.models.house import TITANIC, House

# Races


def race(*works: Callable[[], object]) -> list[object]:
    """What each returned or raised, all started at once."""
    barrier = threading.Barrier(len(works))

    def run(work: Callable[[], object]) -> object:
        barrier.wait()
        return work()

    with ThreadPoolExecutor(len(works)) as pool:
        futures = [pool.submit(run, work) for work in works]
        return [future.exception() or future.result() for future in futures]


@pytest.mark.parametrize("attempt", range(3))
def test_a_version_is_never_left_without_its_model(house: House, attempt: int) -> None:
    house.model()

    race(lambda: house.asked("v1"), lambda: house.service.delete_model(TITANIC))

    try:
        house.service.get_model(TITANIC)
    except NotFound:
        assert house.service.to_deploy() == []


@pytest.mark.parametrize("attempt", range(3))
def test_a_version_that_is_deleted_never_becomes_the_default(house: House, attempt: int) -> None:
    house.model()
    house.ready("v1")
    house.ready("v2")

    race(
        lambda: house.service.set_default(TITANIC.version("v2")),
        lambda: house.service.delete_version(TITANIC.version("v2")),
    )

    assert house.version(house.default()).state is State.READY


def test_of_versions_that_become_ready_at_once_one_is_the_default(house: House) -> None:
    house.model()
    names = ["v1", "v2", "v3"]
    for name in names:
        house.asked(name)

    answers = race(*(partial(house.service.ready, house.version(name)) for name in names))

    assert answers == [None, None, None]
    assert [house.version(name).state for name in names] == [State.READY] * 3
    assert house.default() in names
    claims = [house.operation(house.version(name).operation)["response"].get("isDefault") for name in names]
    assert claims.count(True) == 1
