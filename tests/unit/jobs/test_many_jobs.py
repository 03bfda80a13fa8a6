"""100,000 finished jobs: an index leads to what a list or a turn of the loop reads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, event, insert, text

from mlengine.backends.database import SqlDatabase, open_database
from mlengine.jobs import store
from mlengine.jobs.domain import Job, State
from mlengine.jobs.selection import ALL, Selection, selection
from mlengine.jobs.wire import FILTERED
from tests.unit.jobs.test_domain import NOW, job

MANY = 100_000
FAILED_EVERY, TEAM_EVERY = 1000, 500


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def crowded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SqlDatabase]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('crowd') / 'mlengine.db'}"
    else:
        server = request.getfixturevalue("postgresql")
        url = server.url(server.create())
    database = open_database(url)
    with database.begin() as db:
        fill(db)
        db.execute(text("ANALYZE"))
    yield database
    database.close()


def fill(db: Connection) -> None:
    one = store._row(job())
    for start in range(0, MANY, 10_000):
        rows, labels = [], []
        for number in range(start, start + 10_000):
            state = State.FAILED if number % FAILED_EVERY == 0 else State.SUCCEEDED
            created = NOW + timedelta(seconds=number)
            uid = f"{number:016x}"
            own = {"project": "local", "job": f"j{number}", "uid": uid, "created": created, "ended": created}
            label = {"team": "rare"} if number % TEAM_EVERY == 0 else {"team": "many"}
            rows.append(one | own | {"state": state.value, "labels": label})
            labels.append(
                {"uid": uid, "key": "team", "value": label["team"], "project": "local", "created": created}
            )
        db.execute(insert(store.JOBS), rows)
        db.execute(insert(store.LABELS), labels)


class Reading:
    """The statements of one piece of work, to be explained afterwards."""

    def __init__(self, db: Connection) -> None:
        self._db = db
        self._seen: list[tuple[str, Any]] = []
        event.listen(db, "before_cursor_execute", self._note)

    def _note(self, _db: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        self._seen.append((statement, parameters))

    def plans(self) -> list[str]:
        event.remove(self._db, "before_cursor_execute", self._note)
        prefix = (
            "EXPLAIN QUERY PLAN " if self._db.dialect.name == "sqlite" else "EXPLAIN (ANALYZE, FORMAT JSON) "
        )
        found = []
        for statement, parameters in self._seen:
            rows = self._db.exec_driver_sql(prefix + statement, parameters).all()
            found.append(json.dumps([list(row) for row in rows], default=str))
        return found


def rows_read(plan: str) -> int:
    """The most rows that any step of a PostgreSQL plan touched, those it threw away too."""

    def most(node: dict[str, Any]) -> int:
        own = (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
        return max([int(own), *map(most, node.get("Plans", []))])

    return most(json.loads(plan)[0][0][0]["Plan"])


def check(db: Connection, reading: Reading, *, at_most: int) -> None:
    for plan in reading.plans():
        if db.dialect.name == "sqlite":
            assert "SCAN" not in plan, plan
            assert "TEMP B-TREE" not in plan, plan
        else:
            assert rows_read(plan) <= at_most, plan


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        ("", 20),
        ("state=FAILED", 20),
        ("state=FAILED OR state=CANCELLED", 20),
        ("NOT state=SUCCEEDED", 20),
        ("labels.team=rare", 20),
        ("labels.team=many", 20),
        ("labels.team=nobody", 0),
        ("jobId=j77", 1),
        ("state=RUNNING", 0),
        ("errorMessage:disk", 0),
        ("createTime<2026-11-02T09:30:10Z", 10),
    ],
)
def test_the_first_page_of_a_list_reads_little_more_than_it_shows(
    crowded: SqlDatabase, wanted: str, count: int
) -> None:
    with crowded.read() as db:
        reading = Reading(db)
        found = store.page(db, "local", after="", limit=20, wanted=selection(wanted, FILTERED))

        check(db, reading, at_most=100)

    assert len(found) in (count, count + 1)
    assert found == sorted(found, key=lambda job: job.created, reverse=True)


@pytest.mark.parametrize("wanted", [ALL, selection("labels.team=many state=SUCCEEDED", FILTERED)])
def test_a_page_in_the_middle_costs_no_more_than_the_first(crowded: SqlDatabase, wanted: Selection) -> None:
    middle = f"{MANY // 2:016x}"

    with crowded.read() as db:
        reading = Reading(db)
        found = store.page(db, "local", after=middle, limit=20, wanted=wanted)

        check(db, reading, at_most=60)

    assert len(found) == 20
    assert all(job.uid < middle for job in found)


def test_a_turn_of_the_loop_reads_none_of_the_finished(crowded: SqlDatabase) -> None:
    with crowded.read() as db:
        reading = Reading(db)
        found: list[Job] = [
            *store.moving(db),
            *store.queue(db, limit=4),
            *store.queued_since(db, NOW),
            *store.out_of_patience(db, NOW),
        ]
        places = store.queue_positions(db)

        plans = reading.plans()

    assert (found, places) == ([], {})
    for plan in plans:
        if crowded._engine.dialect.name == "sqlite":
            assert "SCAN" not in plan
        else:
            assert rows_read(plan) == 0
