"""Nodes that come and go: the loop on a real database, with workers and routes in memory."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from mlengine.backends.database import SqlDatabase
from mlengine.models import store
from mlengine.models.domain import Version
from mlengine.serving.workers import Load, WorkerState
from tests.unit.serving_loop.test_loop import House, house

__all__ = ["house"]

NAME = "local/titanic/v1"


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway is asked at every turn, and every step may be tried at once."""
    monkeypatch.setattr("mlengine.serving.loop._IDLE_SECONDS", 0.0)
    monkeypatch.setattr("mlengine.serving.loop._CALM_SECONDS", 0.0)
    monkeypatch.setattr("mlengine.serving.loop._FIRST_PAUSE", 0.0)


def scaled(house: House, sqlite: SqlDatabase, **fields: Any) -> Version:
    """v1, READY and with other bounds."""
    version = house.bring("v1")
    with sqlite.begin() as db:
        store.save_version(db, replace(house.version("v1"), **fields))
    return version


def sockets(house: House, version: Version, count: int) -> tuple[str, ...]:
    return tuple(str(house.workers.socket(version.uid, node)) for node in range(count))


def standing(house: House, version: Version) -> tuple[int, int, bool]:
    said = house.service.moment(version.uid)[1]
    assert said is not None
    return said.wanted, said.serving, said.asleep


def test_a_version_with_three_nodes_is_routed_to_three(house: House, sqlite: SqlDatabase) -> None:
    version = scaled(house, sqlite, nodes=3, min_nodes=3, max_nodes=3)

    house.turn_until(lambda: house.routes.table.get(NAME) == sockets(house, version, 3))
    house.settle()

    assert standing(house, version) == (3, 3, False)


def test_one_node_of_two_that_dies_is_replaced_while_the_other_serves(
    house: House, sqlite: SqlDatabase
) -> None:
    version = scaled(house, sqlite, min_nodes=2, max_nodes=2)
    house.turn_until(lambda: house.routes.table.get(NAME) == sockets(house, version, 2))
    house.settle()

    house.workers.die(version.uid, 1)
    house.turn_until(lambda: house.workers.state(version.uid, 1) is WorkerState.SERVING)

    assert house.workers.starts == [version.uid] * 3


def test_a_waiting_queue_brings_a_node_and_quiet_takes_it_away_after_its_route(
    house: House, sqlite: SqlDatabase
) -> None:
    version = scaled(house, sqlite, max_nodes=2, scales=True)
    house.routes.asked[NAME] = Load(in_flight=30, last_use=house.time)

    def busy() -> bool:
        house.time += 1
        return house.routes.table.get(NAME) == sockets(house, version, 2)

    house.turn_until(busy)
    house.settle()
    alive: list[WorkerState] = []
    house.routes.seen = lambda table: alive.append(house.workers.state(version.uid, 1))
    house.routes.asked[NAME] = Load(in_flight=0, last_use=house.time)

    def quiet() -> bool:
        house.time += 10
        return house.workers.nodes(version.uid) == [0]

    house.turn_until(quiet)

    assert alive[0] is WorkerState.SERVING, "nobody is sent there before it ends"
    assert house.routes.table == {NAME: sockets(house, version, 1)}


def test_a_version_that_sleeps_has_a_route_without_sockets_and_wakes_for_a_request(
    house: House, sqlite: SqlDatabase
) -> None:
    version = scaled(house, sqlite, min_nodes=0, scales=True)
    house.routes.asked[NAME] = Load(last_use=house.time)
    house.settle()
    house.time += 301

    house.turn_until(lambda: house.workers.nodes(version.uid) == [])
    house.settle()
    assert house.routes.table == {NAME: ()}
    assert standing(house, version) == (0, 0, True)

    thread = threading.Thread(target=house.loop.run)
    thread.start()
    house.routes.want(NAME)
    deadline = time.monotonic() + 20
    while house.routes.table != {NAME: sockets(house, version, 1)} and time.monotonic() < deadline:
        time.sleep(0.005)
    house.loop.stop()
    thread.join(10)

    assert house.routes.table == {NAME: sockets(house, version, 1)}
    assert house.workers.starts == [version.uid] * 2


def test_a_request_that_waits_wakes_a_version_also_when_its_event_was_lost(
    house: House, sqlite: SqlDatabase
) -> None:
    version = scaled(house, sqlite, min_nodes=0, scales=True)
    house.settle()
    house.routes.asked[NAME] = Load()
    house.time += 301
    house.turn_until(lambda: house.workers.nodes(version.uid) == [])

    house.routes.asked[NAME] = Load(held=1, in_flight=1)

    house.turn_until(lambda: house.routes.table == {NAME: sockets(house, version, 1)})


def test_standbys_wait_for_versions_that_may_sleep_only(house: House, sqlite: SqlDatabase) -> None:
    house.bring("v0")
    house.settle()
    assert house.workers.standbys == (set(), 1)

    version = scaled(house, sqlite, min_nodes=0, scales=True)
    house.turn_until(lambda: house.workers.standbys[0] != set())

    assert house.workers.standbys == ({house.workers.specs[version.uid].environment}, 1)


def test_workers_hear_of_changed_settings_once(house: House, sqlite: SqlDatabase) -> None:
    version = house.bring("v1")
    house.settle()
    assert house.workers.reloads == []

    known = house.version("v1")
    changed = replace(
        known,
        settings=replace(known.settings, max_latency_ms=7),
        settings_generation=known.settings_generation + 1,
    )
    with sqlite.begin() as db:
        store.save_version(db, changed)
    house.turn_until(lambda: bool(house.workers.reloads))
    house.settle()

    assert house.workers.reloads == [version.uid]
