"""The serving loop on a real database, with workers and routes in memory that keep their contract."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlengine.backends.database import SqlDatabase
from mlengine.errors import Conflict, FailedPrecondition, NotFound, Unavailable
from mlengine.machines import Machine
from mlengine.models.domain import Model, State, Version, VersionRequest
from mlengine.models.service import ModelService
from mlengine.names import ModelName, ObjectUrl
from mlengine.operations.service import OperationService
from mlengine.serving import loop as serving_loop
from mlengine.serving.deployment import Home
from mlengine.serving.loop import ServingLoop
from mlengine.serving.workers import Environment, RouteTable, WorkerState
from tests.conftest import HandClock
from tests.unit.serving_loop.stand_ins import MemoryRoutes, MemoryWorkers

TITANIC = ModelName("local", "titanic")


class House:
    """A bucket with models, and a loop that serves them."""

    def __init__(self, database: SqlDatabase, clock: HandClock, folder: Path) -> None:
        self.folder = folder
        self.bucket = {"good": "good", "bad": "Traceback\nValueError: bad pickle", "slow": "slow"}
        self.fetched: list[str] = []
        self.workers = MemoryWorkers(folder)
        self.routes = MemoryRoutes()
        self.operations = OperationService(database, changed=lambda: self.loop.wake())
        self.time = 1000.0
        self.interpreter: Callable[[str], Path] = lambda runtime: Path("/usr/bin/python3")
        self.service = ModelService(
            database,
            clock,
            list_files=lambda url, most: ["model.joblib"],
            object_exists=lambda url: True,
            machine=Machine(cpus=4, memory_bytes=1 << 33),
            changed=lambda: self.loop.wake(),
        )
        self.loop = self.make_loop()

    def make_loop(self, start_seconds: float = 60.0) -> ServingLoop:
        return ServingLoop(
            self.service,
            self.workers,
            self.routes,
            root=self.folder / "serving",
            fetch=self.fetch,
            home=lambda version, folder: Home(
                environment=Environment(self.interpreter(version.runtime), version.framework.word)
            ),
            project="local",
            cores=4,
            start_seconds=start_seconds,
            now=lambda: self.time,
        )

    def fetch(self, origin: ObjectUrl, target: Path) -> None:
        if origin.object not in self.bucket:
            raise NotFound(f"There is nothing at {origin}.")
        self.fetched.append(origin.object)
        (target / "model.joblib").write_text(self.bucket[origin.object])

    def ask(self, version_id: str, model: str = "good", name: ModelName = TITANIC) -> Version:
        self.service.create_version(
            VersionRequest(name=name.version(version_id), origin=ObjectUrl("box", model))
        )
        return self.version(version_id, name)

    def version(self, version_id: str, name: ModelName = TITANIC) -> Version:
        return self.service.get_version(name.version(version_id))[0]

    def bring(self, version_id: str) -> Version:
        self.ask(version_id)
        self.turn_until(lambda: self.version(version_id).state is State.READY)
        return self.version(version_id)

    def turn_until(self, look: Callable[[], bool], seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.loop.turn()
            if look():
                return
            time.sleep(0.005)
        raise AssertionError(f"Not within {seconds} s")

    def settle(self) -> None:
        """Turn until nothing is under way."""
        self.turn_until(lambda: not self.loop._under_way)
        self.loop.turn()


@pytest.fixture
def house(sqlite: SqlDatabase, clock: HandClock, tmp_path: Path) -> Iterator[House]:
    made = House(sqlite, clock, tmp_path)
    made.service.create_model(Model(name=TITANIC, created=clock()))
    yield made
    made.loop.stop()


class HandTime:
    """Stands in for the module `time` in the loop: seconds pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        time.sleep(0.001)


@pytest.fixture
def hand_time(monkeypatch: pytest.MonkeyPatch) -> HandTime:
    made = HandTime()
    monkeypatch.setattr(serving_loop, "time", made)
    return made


# Deploying


def test_a_version_is_staged_served_routed_and_ready(house: House) -> None:
    version = house.bring("v1")

    spec = house.workers.specs[version.uid]
    assert (spec.name, spec.environment.framework) == ("local/titanic/v1", "scikit-learn")
    assert (spec.model_dir / "model.joblib").read_text() == "good"
    assert house.routes.table == {"local/titanic/v1": (str(house.workers.socket(version.uid)),)}
    assert house.operations.get(version.operation).done
    house.settle()
    assert house.routes.defaults == {"local/titanic": "v1"}


def test_the_route_is_there_before_the_version_is_ready(house: House) -> None:
    states: list[State] = []
    house.routes.seen = lambda table: states.append(house.version("v1").state) if table else None

    house.bring("v1")

    assert states[0] is State.CREATING


def test_a_version_whose_worker_has_not_answered_is_not_ready(house: House) -> None:
    version = house.ask("v1", "slow")
    house.turn_until(lambda: version.uid in house.workers.specs)

    for _ in range(5):
        assert house.loop.turn() is True
    assert house.version("v1").state is State.CREATING
    assert house.routes.table == {}

    house.workers.answer(version.uid)
    house.turn_until(lambda: house.version("v1").state is State.READY)


@pytest.mark.parametrize(
    ("log", "message"),
    [
        (
            "Traceback\nValueError: bad pickle\n",
            'Bad model detected with error:  "ValueError: bad pickle"\nTraceback\nValueError: bad pickle',
        ),
        (
            'Traceback\nValueError: x\n{"error": "No module named \'trainer\'"}\n',
            "Bad model detected with error:  \"No module named 'trainer'\"\nTraceback\nValueError: x",
        ),
        ("[1]\n", 'Bad model detected with error:  "[1]"\n[1]'),
        ("", 'Bad model detected with error:  "the worker ended without a word"'),
    ],
)
def test_a_model_that_cannot_be_loaded_fails_with_all_its_worker_said(
    house: House, log: str, message: str
) -> None:
    house.bucket["bad"] = log
    version = house.ask("v1", "bad")

    house.turn_until(lambda: house.version("v1").state is State.FAILED)

    assert house.version("v1").error_message == f"Create Version failed. {message}"
    assert house.operations.get(version.operation).error_message == house.version("v1").error_message
    assert not (house.folder / "serving" / version.uid).exists()
    assert house.routes.table == {}


def test_a_model_that_does_not_answer_in_time_fails(house: House) -> None:
    house.loop = house.make_loop(start_seconds=0.05)
    version = house.ask("v1", "slow")

    house.turn_until(lambda: house.version("v1").state is State.FAILED)

    assert "did not answer within 0.05 s" in house.version("v1").error_message
    assert house.workers.state(version.uid) is WorkerState.ENDED


@pytest.mark.parametrize(
    "error", [FailedPrecondition("Runtime x cannot be built."), OSError("No space left on device")]
)
def test_a_version_whose_runtime_cannot_be_had_fails_with_the_reason(
    house: House, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(runtime: str) -> Path:
        raise error

    house.interpreter = broken
    house.ask("v1")

    house.turn_until(lambda: house.version("v1").state is State.FAILED)

    assert str(error) in house.version("v1").error_message


def test_a_model_that_vanished_meanwhile_fails_by_its_origin(house: House) -> None:
    house.ask("v1", "vanished")

    house.turn_until(lambda: house.version("v1").state is State.FAILED)

    assert "There is nothing at gs://box/vanished" in house.version("v1").error_message


def test_versions_are_deployed_beside_each_other_and_a_slow_one_holds_nobody_up(house: House) -> None:
    slow = house.ask("slow", "slow")
    house.turn_until(lambda: slow.uid in house.workers.specs)

    for number in range(6):
        house.ask(f"v{number}")
    house.turn_until(lambda: all(house.version(f"v{number}").state is State.READY for number in range(6)))

    assert house.version("slow").state is State.CREATING
    assert len(house.workers.starts) == 7
    assert set(house.routes.table) == {f"local/titanic/v{number}" for number in range(6)}


def test_a_server_that_stops_in_the_middle_leaves_the_version_to_the_next_one(house: House) -> None:
    version = house.ask("v1", "slow")
    house.turn_until(lambda: version.uid in house.workers.specs)

    house.loop.stop()
    deadline = time.monotonic() + 10
    while house.loop._under_way and time.monotonic() < deadline:
        time.sleep(0.005)

    assert house.version("v1").state is State.CREATING
    house.loop = house.make_loop()
    house.workers.answer(version.uid)
    house.turn_until(lambda: house.version("v1").state is State.READY)
    assert house.workers.starts == [version.uid]
    assert house.fetched == ["slow"]


def test_while_the_gateway_does_not_answer_nothing_is_ready_and_nothing_fails(
    house: House, hand_time: HandTime, caplog: pytest.LogCaptureFixture
) -> None:
    house.ask("v1")
    tries = []

    class Away(MemoryRoutes):
        def publish(self, table: RouteTable) -> None:
            tries.append(dict(table.versions))
            raise Unavailable("The gateway does not answer.")

    reachable, house.loop._routing._routes = house.loop._routing._routes, Away()
    for _ in range(10):
        with pytest.raises(Unavailable):
            house.loop.turn()
        while house.loop._under_way:
            time.sleep(0.001)

    assert house.version("v1").state is State.CREATING
    assert sum("local/titanic/v1" in table for table in tries) == 1, (
        "a step that failed is not repeated at once"
    )

    house.loop._routing._routes = reachable
    hand_time.now += 1
    house.turn_until(lambda: house.version("v1").state is State.READY)


def test_a_version_asked_for_while_an_earlier_server_was_down_is_deployed(house: House) -> None:
    house.bring("v1")
    house.loop.stop()
    house.ask("v2")

    house.loop = house.make_loop()
    house.turn_until(lambda: house.version("v2").state is State.READY)

    assert set(house.routes.table) == {"local/titanic/v1", "local/titanic/v2"}
    assert len(house.workers.starts) == 2, "the worker of v1 lived on"


# Deleting


def test_a_deleted_version_loses_its_route_before_its_worker_and_then_its_files(house: House) -> None:
    version = house.bring("v1")
    house.settle()
    alive: list[WorkerState] = []
    house.routes.seen = lambda table: alive.append(house.workers.state(version.uid)) if not table else None

    operation = house.service.delete_version(version.name)
    house.turn_until(lambda: house.operations.get(operation.name).done)

    assert alive[0] is WorkerState.SERVING
    assert house.workers.state(version.uid) is WorkerState.ENDED
    assert not (house.folder / "serving" / version.uid).exists()
    assert house.routes.table == {}
    with pytest.raises(NotFound):
        house.version("v1")


def test_a_failed_version_can_be_deleted_and_made_again(house: House) -> None:
    first = house.ask("v1", "bad")
    house.turn_until(lambda: house.version("v1").state is State.FAILED)
    operation = house.service.delete_version(first.name)
    house.turn_until(lambda: house.operations.get(operation.name).done)

    again = house.bring("v1")

    assert again.uid != first.uid
    assert house.routes.table == {"local/titanic/v1": (str(house.workers.socket(again.uid)),)}


def test_another_default_is_routed_at_the_next_turn(house: House) -> None:
    house.bring("v1")
    house.bring("v2")
    house.settle()
    assert house.routes.defaults == {"local/titanic": "v1"}

    house.service.set_default(TITANIC.version("v2"))
    house.loop.turn()

    assert house.routes.defaults == {"local/titanic": "v2"}


def test_a_table_that_has_not_changed_is_not_published_again(house: House) -> None:
    house.bring("v1")
    house.settle()
    count = len(house.routes.tables)

    for _ in range(5):
        house.loop.turn()

    assert len(house.routes.tables) == count


# Keeping alive


def test_a_worker_that_died_comes_back_from_its_own_copy_of_the_model(house: House) -> None:
    version = house.bring("v1")
    house.settle()
    del house.bucket["good"]

    house.workers.die(version.uid)
    house.turn_until(lambda: house.workers.state(version.uid) is WorkerState.SERVING)

    assert house.workers.starts == [version.uid] * 2
    assert house.fetched == ["good"]
    assert house.version("v1").state is State.READY


def test_a_worker_that_keeps_dying_is_started_less_and_less_often(
    house: House, hand_time: HandTime, caplog: pytest.LogCaptureFixture
) -> None:
    version = house.bring("v1")
    house.settle()
    (house.folder / "serving" / version.uid / "model" / "model.joblib").write_text("broken now")
    house.workers.die(version.uid)
    begun, starts = hand_time.now, []

    with caplog.at_level(logging.CRITICAL):
        for _ in range(130):
            count = len(house.workers.starts)
            house.settle()
            if len(house.workers.starts) > count:
                starts.append(hand_time.now - begun)
            hand_time.now += 1

    assert starts == [0, 1, 3, 7, 15, 31, 61, 91, 121]
    assert house.version("v1").state is State.READY


def test_a_worker_that_served_for_a_while_is_restarted_at_once(house: House, hand_time: HandTime) -> None:
    version = house.bring("v1")
    for _ in range(3):
        house.workers.die(version.uid)
        house.settle()
        hand_time.now += 100

    assert house.workers.starts == [version.uid] * 4


# The thread


def test_the_loop_in_its_thread_wakes_for_a_new_version_and_stops_when_told(house: House) -> None:
    thread = threading.Thread(target=house.loop.run)
    thread.start()
    house.ask("v1")
    deadline = time.monotonic() + 20
    while house.version("v1").state is State.CREATING and time.monotonic() < deadline:
        time.sleep(0.01)

    house.loop.stop()
    thread.join(10)

    assert house.version("v1").state is State.READY
    assert not thread.is_alive()


def test_a_table_that_is_read_while_a_version_becomes_ready_has_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready, to_deploy = house.service.ready, house.service.to_deploy
    published, reading, turner = threading.Event(), threading.Event(), threading.current_thread()

    def late_ready(version: Version, description: dict[str, Any]) -> None:
        published.set()
        assert reading.wait(20)
        ready(version, description)

    def slow_rows() -> list[Version]:
        rows = to_deploy()
        if threading.current_thread() is turner and house.loop._routing._lock.locked() and published.is_set():
            reading.set()
            deadline = time.monotonic() + 20
            while house.loop._answering and time.monotonic() < deadline:
                time.sleep(0.001)
        return rows

    monkeypatch.setattr(house.service, "ready", late_ready)
    monkeypatch.setattr(house.service, "to_deploy", slow_rows)

    version = house.bring("v1")

    assert house.routes.table == {"local/titanic/v1": (str(house.workers.socket(version.uid)),)}
    assert [set(table.versions) for table in house.routes.tables].count({"local/titanic/v1"}) == 1


# Cancelling


def cancel(house: House, version_id: str) -> Version:
    version = house.version(version_id)
    house.operations.cancel(version.operation)
    return version


def test_a_creation_that_is_cancelled_ends_its_worker_and_its_operation(house: House) -> None:
    version = house.ask("v1", "slow")
    house.turn_until(lambda: house.workers.starts == [version.uid])
    folder = house.folder / "serving" / version.uid

    cancel(house, "v1")
    house.turn_until(lambda: house.version("v1").state is State.FAILED)
    house.settle()

    operation = house.operations.get(version.operation)
    assert (operation.done, operation.error_status, operation.cancelling) == (True, "CANCELLED", True)
    assert house.workers.state(version.uid) is WorkerState.ENDED
    assert not folder.exists()
    assert "cancelled" in house.version("v1").error_message
    assert house.service.get_model(TITANIC)[0].default_version == ""
    assert house.routes.table == {}


def test_a_creation_is_cancelled_also_while_others_keep_every_thread_busy(house: House) -> None:
    versions = [house.ask(f"v{number}", "slow") for number in range(6)]
    house.turn_until(lambda: len(house.workers.starts) == 4)

    for version in versions:
        house.operations.cancel(version.operation)
    house.turn_until(lambda: all(house.version(f"v{number}").state is State.FAILED for number in range(6)))
    house.settle()

    assert all(house.operations.get(version.operation).error_status == "CANCELLED" for version in versions)
    assert all(house.workers.state(version.uid) is WorkerState.ENDED for version in versions)
    assert len(house.workers.starts) == 4


def test_a_creation_that_is_cancelled_before_its_worker_starts_never_starts_one(house: House) -> None:
    building, built = threading.Event(), threading.Event()

    def build(runtime: str) -> Path:
        building.set()
        assert built.wait(20)
        return Path("/usr/bin/python3")

    house.interpreter = build
    version = house.ask("v1")
    house.turn_until(building.is_set)

    cancel(house, "v1")
    house.turn_until(lambda: house.version("v1").state is State.FAILED)
    assert house.operations.get(version.operation).error_status == "CANCELLED"
    built.set()
    house.settle()

    assert house.workers.starts == []
    assert not (house.folder / "serving" / version.uid).exists()


def test_a_creation_that_was_cancelled_before_the_server_died_ends_with_the_next_one(house: House) -> None:
    version = house.ask("v1", "slow")
    house.turn_until(lambda: house.workers.starts == [version.uid])
    house.loop.stop()
    cancel(house, "v1")

    house.loop = house.make_loop()
    house.turn_until(lambda: house.version("v1").state is State.FAILED)

    assert house.workers.state(version.uid) is WorkerState.ENDED


def test_a_creation_that_was_cancelled_never_becomes_ready(house: House) -> None:
    version = house.ask("v1")
    cancel(house, "v1")

    with pytest.raises(Conflict, match="was cancelled"):
        house.service.ready(version)
    assert house.version("v1").state is State.CREATING


def test_a_version_that_is_ready_stays_so_when_its_operation_is_cancelled(house: House) -> None:
    version = house.bring("v1")

    cancel(house, "v1")
    house.loop.turn()
    house.settle()

    assert house.version("v1") == version
    assert house.operations.get(version.operation).error_status == ""
    assert house.workers.state(version.uid) is WorkerState.SERVING


def test_the_name_of_a_cancelled_version_is_free_once_it_is_deleted(house: House) -> None:
    house.ask("v1", "slow")
    cancel(house, "v1")
    house.turn_until(lambda: house.version("v1").state is State.FAILED)
    house.service.delete_version(TITANIC.version("v1"))
    house.turn_until(lambda: not house.service.to_deploy())

    assert house.bring("v1").state is State.READY
