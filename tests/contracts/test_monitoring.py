"""What versions did, in both databases: nothing lost, nothing twice, whichever process ends and when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from mlengine.backends.database import SqlDatabase
from mlengine.errors import NotFound, Unavailable
from mlengine.monitoring import store
from mlengine.monitoring.domain import DAY, HOUR, Figures, History, Interval, Span, Usage, total
from mlengine.monitoring.methods import methods
from mlengine.monitoring.service import MonitoringService
from mlengine.names import ModelName
from mlengine.web.method import Call, Json
from tests.conftest import HandClock
from tests.unit.models import house as models

KEY = "local/titanic/v1"
SECONDS = (0.001, 0.01, 0.1)
INSTANCES = (1, 8)


class Gateway:
    """Counts as the real one does, and can be restarted or out of reach."""

    def __init__(self) -> None:
        self.epoch = 1
        self.silent = False
        self.versions: dict[str, dict[str, Any]] = {}

    def serve(self, key: str, *, connected: int = 1) -> None:
        self.versions[key] = {
            "codes": {}, "instances": 0, "shadowed": 0, "retried": 0, "lastUse": 0.0,
            "inFlight": 0, "held": 0, "connected": connected,
            "total": [0] * 4, "queue": [0] * 4, "model": [0] * 4, "batch": [0] * 3,
            "totalSeconds": 0.0, "queueSeconds": 0.0, "modelSeconds": 0.0, "batchInstances": 0,
        }  # fmt: skip

    def restart(self) -> None:
        self.epoch += 1
        for key in list(self.versions):
            self.serve(key)

    def answer(self, key: str, at: float, *, code: int = 200, count: int = 1, bucket: int = 1) -> None:
        one = self.versions[key]
        one["codes"][str(code)] = one["codes"].get(str(code), 0) + count
        for name in ("total", "queue", "model"):
            one[name][bucket] += count
            one[f"{name}Seconds"] += 0.005 * count
        one["batch"][0] += count
        one["instances"] += count
        one["batchInstances"] += count
        one["lastUse"] = at

    def figures(self) -> Mapping[str, Any]:
        if self.silent:
            raise Unavailable("The gateway does not answer.")
        bounds = {"seconds": SECONDS, "instances": INSTANCES}
        return {"epoch": str(self.epoch), "bounds": bounds, "versions": self.versions}


class House:
    """A model with a version, a gateway that serves it, and monitoring."""

    def __init__(self, database: SqlDatabase, clock: HandClock) -> None:
        self.database = database
        self.clock = clock
        self.models = models.House(database, clock)
        self.models.model()
        self.models.ready("v1")
        self.gateway = Gateway()
        self.gateway.serve(KEY)
        self.usage = {KEY: Usage(memory=1000, cpu_seconds=0.5)}
        self.service = self.another()

    def another(self) -> MonitoringService:
        """As the next control plane has it."""
        return MonitoringService(
            self.database,
            self.clock,
            self.models.service,
            figures=self.gateway.figures,
            usage=lambda: self.usage,
        )

    def answer(self, count: int = 1, *, code: int = 200, key: str = KEY) -> None:
        self.gateway.answer(key, self.clock().timestamp(), count=count, code=code)

    def turn(self, seconds: float = 10.0) -> None:
        self.clock.forward(seconds)
        self.service.collect()

    def history(self, since: float = HOUR) -> History:
        now = self.clock().timestamp()
        name = models.TITANIC.version("v1")
        return self.service.version(name, Span(since=now - since, until=now))[0]

    def get(self, noun: str, **query: str) -> Json:
        row = next(row for row in methods(self.service, self.clock) if row.id == f"mlengine.{noun}.metrics")
        answer = row.handler(
            Call(path={"project": "local", "model": "titanic", "version": "v1"}, query=query)
        )
        assert isinstance(answer, dict)
        return answer

    def rows(self) -> list[Interval]:
        with self.database.read() as db:
            found = store.intervals(db, "local", since=0, until=1e12)
        return found.get(KEY, [])


@pytest.fixture
def house(database: SqlDatabase, clock: HandClock) -> House:
    return House(database, clock)


def test_an_answer_is_in_the_figures_at_once_and_after_it_was_written(house: House) -> None:
    house.turn()
    house.clock.forward()
    house.answer(3)
    at_once = house.history().figures

    house.turn(9)

    assert at_once.codes == house.history().figures.codes == {"200": 3}
    assert house.history().live.last_use == house.clock() - timedelta(seconds=9)


def test_intervals_are_written_only_when_something_happened(house: House) -> None:
    house.turn()
    house.turn()
    house.turn()
    idle = len(house.rows())

    house.answer()
    house.turn()
    house.gateway.versions[KEY]["connected"] = 2
    house.turn()
    house.turn()

    assert idle == 1
    assert [one.figures.requests for one in house.rows()] == [0, 1, 0]
    assert [one.figures.most_nodes for one in house.rows()] == [1, 1, 2]


def test_no_count_is_lost_or_doubled_whichever_process_is_restarted(house: House) -> None:
    house.answer(2)
    house.turn()
    house.answer(3)
    house.service = house.another()
    house.turn()
    house.answer(4)
    house.turn()

    house.gateway.restart()
    house.answer(5)
    house.turn()
    house.service = house.another()
    house.answer(1, code=503)
    house.turn()

    figures = total(one.figures for one in house.rows())
    assert figures.codes == {"200": 14, "503": 1}
    assert sum(figures.total.values()) == figures.batch_instances == 15
    assert house.history().figures.codes == figures.codes


def test_a_gateway_out_of_reach_costs_nothing_but_the_newest(house: House) -> None:
    house.answer(2)
    house.turn()
    house.answer(3)
    house.gateway.silent = True

    with pytest.raises(Unavailable):
        house.turn()
    assert house.history().figures.requests == 2

    house.gateway.silent = False
    house.turn()
    assert total(one.figures for one in house.rows()).requests == 5


def test_thinning_joins_old_intervals_and_keeps_their_counts(house: House) -> None:
    for _ in range(12):
        house.answer(2)
        house.turn()
    tens = house.rows()
    fine = total(one.figures for one in tens)

    house.clock.forward(2 * HOUR)
    assert house.service.thin() == len(tens) > 10
    minutes = house.rows()
    house.clock.forward(40 * DAY)
    while house.service.thin():
        pass
    hours = house.rows()

    assert {one.width for one in minutes} == {60} and len(minutes) in (2, 3)
    assert [one.width for one in hours] == [HOUR] * len(hours)
    for kept in (minutes, hours):
        joined = total(one.figures for one in kept)
        assert (joined.codes, joined.total, joined.instances) == (fine.codes, fine.total, fine.instances)
        assert joined.cpu_seconds == pytest.approx(fine.cpu_seconds)
    house.clock.forward(400 * DAY)
    while house.service.thin():
        pass
    assert house.rows() == []


def test_an_interval_that_is_there_already_is_added_to(house: House) -> None:
    one = Interval(start=100, width=10, figures=Figures(codes={"200": 1}, total={(0.0, 0.1): 1}))
    with house.database.begin() as db:
        store.add(db, {KEY: [one]})
        store.add(db, {KEY: [replace(one, figures=Figures(codes={"200": 2, "404": 1}))]})

    [kept] = house.rows()
    assert kept.figures == Figures(codes={"200": 3, "404": 1}, total={(0.0, 0.1): 1})


def test_what_was_asked_of_an_earlier_version_of_the_name_is_not_told(house: House) -> None:
    house.answer(2)
    house.turn()
    house.models.service.delete_version(models.TITANIC.version("v1"))
    house.models.service.gone(house.models.version("v1"))
    house.clock.forward(60)
    house.turn()
    house.models.ready("v1")
    house.answer(1)
    house.turn()

    assert house.history().figures.requests == 1
    assert house.get("models")["sum"]["requests"] == 3


def test_the_answer_of_a_version(house: House) -> None:
    house.turn()
    house.turn()
    house.answer(9)
    house.answer(1, code=429)
    house.turn()

    said = house.get("versions", since="1m", step="10s")
    [point] = [one for one in said["points"] if one["requests"]]

    assert said["version"] == "projects/local/models/titanic/versions/v1"
    assert said["step"] == "10s"
    assert point["requestsPerSecond"] == 1.0
    assert (point["errors"], point["codes"]) == (1, {"200": 9, "429": 1})
    assert point["totalSeconds"] == {"mean": 0.005, "p50": 0.0055, "p95": 0.00955, "p99": 0.00991}
    assert point["batch"] == {"mean": 1.0, "counts": [{"upTo": 1, "requests": 10}]}
    assert point["nodes"] == {"mean": 1.0, "most": 1}
    assert point["memoryBytes"] == {"mean": "1000", "most": "1000"}
    assert point["cpus"] == 0.05
    assert said["sum"]["requests"] == 10
    assert said["now"] == {
        "inFlight": 0, "held": 0, "nodes": 1, "memoryBytes": "1000", "lastUseTime": "2026-11-02T09:30:21Z"
    }  # fmt: skip


def test_the_answer_of_a_model_adds_its_versions_up(house: House) -> None:
    house.models.ready("v2")
    house.gateway.serve("local/titanic/v2", connected=3)
    house.usage["local/titanic/v2"] = Usage(memory=500)
    house.turn()
    house.answer(2)
    house.answer(5, key="local/titanic/v2")
    house.turn()

    said = house.get("models")
    table = house.get("projects")

    assert said["sum"]["requests"] == 7
    assert {one["version"][-2:]: one["sum"]["requests"] for one in said["versions"]} == {"v1": 2, "v2": 5}
    last = [point for point in said["points"] if point["requests"]][-1]
    assert last["nodes"] == {"mean": 4.0, "most": 4}
    assert last["memoryBytes"]["most"] == "1500"
    [row] = table["models"]
    assert (row["model"], row["servedVersions"]) == ("projects/local/models/titanic", 2)
    assert row["sum"]["requests"] == 7 and row["now"]["nodes"] == 4


def test_a_version_tells_when_it_was_last_used_also_after_a_restart(house: House) -> None:
    house.answer()
    used = house.clock()
    house.turn()
    assert house.models.service.last_use(house.models.version("v1")) == used

    again = models.House(house.database, house.clock)
    house.gateway.restart()
    house.models = again
    house.service = house.another()
    house.service.begin()
    house.turn()

    assert again.service.last_use(again.version("v1")) == used
    assert house.history().live.last_use == used


def test_what_is_not_there_is_not_found(house: House) -> None:
    with pytest.raises(NotFound):
        house.service.version(models.TITANIC.version("v9"), Span(since=0, until=10))
    with pytest.raises(NotFound):
        house.service.model(ModelName("local", "other"), Span(since=0, until=10))
