"""Tables on both databases: versions, time travel, jobs that a stop ended, segments that nobody needs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mlengine.backends.database import SqlDatabase
from mlengine.errors import AlreadyExists, Conflict, FailedPrecondition, InvalidArgument, NotFound
from mlengine.names import ObjectUrl
from mlengine.storage.domain import Span
from mlengine.tables.domain import State
from mlengine.tables.engine import Engine
from mlengine.tables.jobs import Files, JobService
from mlengine.tables.loop import KeepingLoop
from mlengine.tables.rows import Inserter, RowPages
from mlengine.tables.schema import Field, TableReference
from mlengine.tables.segments import Segments
from mlengine.tables.service import Manner, TableService
from mlengine.tables.uploads import Uploads
from tests.conftest import HandClock

T = TableReference(project="p", dataset="d", table="t")
SCHEMA = (Field(name="i", type="INTEGER"),)
NONE = timedelta(0)


class House:
    """Everything about tables but the URLs."""

    def __init__(self, database: SqlDatabase, folder: Path, clock: HandClock) -> None:
        self.database = database
        self.segments = Segments(folder)
        self.engine = Engine(self.segments)
        self.service = TableService(database, clock)
        self.inserter = Inserter(self.service, self.segments, self.engine)
        self.pages = RowPages(self.segments, self.engine)
        self.loop = KeepingLoop(self.service, self.segments, self.engine)
        self.jobs = JobService(database, clock, self.service, self.segments, self.engine, no_files())
        self.uploads = Uploads(database, clock, self.segments.uploads, find=self.jobs.get)

    def insert(self, *numbers: int) -> None:
        rows = [{"json": {"i": number}} for number in numbers]
        assert self.inserter.insert(T, rows, skip_invalid=False, ignore_unknown=False) == []

    def rows(self, reference: TableReference = T) -> str:
        table = self.service.table(reference)
        return "".join(self.pages.page(table, table.schema, start=0, most=None).rows)

    def ask(self, text: str) -> str:
        job = self.run({"query": {"query": text, "useLegacySql": False}})
        assert job.error is None, job.error
        table = self.jobs.results(job)
        assert table is not None
        return "".join(self.pages.page(table, table.schema, start=0, most=None).rows)

    def run(self, configuration: dict[str, Any], **options: Any) -> Any:
        return self.jobs.insert("p", configuration, may=lambda *_: None, seconds=60, **options)


def no_files() -> Files:
    def find(url: str) -> list[ObjectUrl]:
        raise NotFound(url)

    return Files(find=find, fetch=lambda *_: None, put=lambda *_: None, project=lambda _: "p")


@pytest.fixture
def house(database: SqlDatabase, tmp_path: Path, clock: HandClock) -> Iterator[House]:
    made = House(database, tmp_path / "tables", clock)
    made.service.create_dataset("p", "d")
    made.service.create_table(T, schema=SCHEMA)
    yield made
    made.jobs.close()
    made.engine.close()


def cells(*numbers: int) -> str:
    return "".join(f'{{"f":[{{"v":"{number}"}}]}}' for number in numbers)


def test_each_change_is_a_version_and_the_past_stays(house: House, clock: HandClock) -> None:
    moments = []
    for number in (1, 2):
        clock.forward()
        house.insert(number)
        moments.append(clock())
    clock.forward()

    past = [house.rows(TableReference(project="p", dataset="d", table="t", at=at)) for at in moments]

    assert past == [cells(1), cells(1, 2)]
    assert house.service.table(T).version == 3
    with pytest.raises(InvalidArgument, match="past 7 days"):
        house.service.table(
            TableReference(project="p", dataset="d", table="t", at=clock() - timedelta(days=8))
        )


def test_two_rewrites_of_one_version_do_not_both_happen(house: House) -> None:
    house.insert(1)
    seen = house.service.table(T)
    house.service.rewrite(seen, segments=[])

    with pytest.raises(Conflict):
        house.service.rewrite(seen, segments=seen.content.segments)

    assert house.rows() == ""


def test_a_write_for_another_schema_is_refused(house: House) -> None:
    base = house.service.table(T)
    wider = (*SCHEMA, Field(name="s", type="STRING"))
    house.service.change_table(T, lambda old: type(old)(**{**_fields(old), "schema": wider}))

    with pytest.raises(Conflict):
        house.service.write(T, schema=SCHEMA, segments=[], manner=Manner(), base=base)


def _fields(table: Any) -> dict[str, Any]:
    return {name: getattr(table, name) for name in table.__slots__}


def test_names_are_taken_once(house: House) -> None:
    with pytest.raises(AlreadyExists):
        house.service.create_dataset("p", "d")
    with pytest.raises(AlreadyExists):
        house.service.create_table(T, schema=SCHEMA)
    with pytest.raises(FailedPrecondition):
        house.service.delete_dataset("p", "d")

    house.service.delete_table(T)
    house.service.create_table(T, schema=SCHEMA)
    house.service.delete_dataset("p", "d", contents=True)

    with pytest.raises(NotFound, match="Dataset p:d"):
        house.service.table(T)


def test_small_segments_are_merged_and_no_row_moves(house: House) -> None:
    for number in range(12):
        house.insert(number)
    version = house.service.table(T).version

    house.loop.work(collect=False)

    after = house.service.table(T)
    assert len(after.content.segments) == 1 and after.version == version
    assert house.rows() == cells(*range(12))


def test_files_are_deleted_when_no_version_has_them(house: House, clock: HandClock, tmp_path: Path) -> None:
    house.insert(1)
    house.service.rewrite(house.service.table(T), segments=[])
    files = lambda: list((tmp_path / "tables" / "segments").rglob("*.parquet"))  # noqa: E731

    house.loop.work(collect=True, young=NONE)
    kept = len(files())
    clock.forward(8 * 24 * 3600)
    house.insert(2)
    clock.forward(8 * 24 * 3600)
    house.loop.work(collect=True, young=NONE)

    assert (kept, len(files())) == (1, 1)
    assert house.rows() == cells(2)


def test_a_segment_that_is_read_is_not_deleted(house: House) -> None:
    with house.segments.landing() as (key, path):
        path.write_bytes(b"x")
        house.segments.seal(key, path)
        house.loop.work(collect=True, young=NONE)
        during = house.segments.path(key).exists()
    house.loop.work(collect=True, young=NONE)

    assert during and not house.segments.path(key).exists()


def test_a_table_goes_when_its_time_is_over(house: House, clock: HandClock) -> None:
    short = TableReference(project="p", dataset="d", table="short")
    house.service.create_table(short, schema=SCHEMA, expires=clock() + timedelta(hours=1))
    house.loop.work(collect=False)
    assert house.service.find(short)

    clock.forward(3601)
    house.loop.work(collect=False)

    assert house.service.find(short) is None


def test_a_job_that_ran_when_the_server_stopped_has_failed(house: House, clock: HandClock) -> None:
    job = house.run({"query": {"query": "SELECT 1"}}, job_id="one")
    with house.database.begin() as db:
        from mlengine.tables import job_store

        job_store.remove_job(db, "p", "one")
        job_store.add_job(
            db, type(job)(**{**_fields(job), "state": State.RUNNING, "ended": None, "source": "gone"})
        )

    House(house.database, house.segments.uploads.parent, clock).jobs.recover()

    found = house.jobs.get("p", "one")
    assert found.state is State.DONE and found.error and found.error.reason == "backendError"


def test_an_upload_goes_on_after_a_restart(house: House, clock: HandClock) -> None:
    said = {
        "destinationTable": {"projectId": "p", "datasetId": "d", "tableId": "t"},
        "writeDisposition": "WRITE_APPEND",
    }
    begin = lambda resource, key: house.run(resource["configuration"], source=key)  # noqa: E731
    upload = house.uploads.start("p", {"configuration": {"load": said}})
    first = house.uploads.send("p", upload, Span(start=0, end=4, total=8), [b"1\n2\n"], begin)

    again = House(house.database, house.segments.uploads.parent, clock).uploads
    asked = again.send("p", upload, Span(total=8), [], begin)
    # What has come is passed over.
    done = again.send("p", upload, Span(start=2, end=8, total=8), [b"2\n3\n4\n"], begin)

    assert (first.received, asked.received) == (4, 4)
    assert done.job and done.job.error is None
    assert house.rows() == cells(1, 2, 3, 4)
    assert again.send("p", upload, Span(total=8), [], begin).job == done.job


def test_queries_read_and_change_tables(house: House) -> None:
    house.insert(3, 1, 2)

    house.run({"query": {"query": "UPDATE d.t SET i = i * 10 WHERE i > 1"}})

    assert house.ask("SELECT i FROM d.t ORDER BY i") == cells(1, 20, 30)


def test_rows_of_a_query_are_kept_for_a_day(house: House, clock: HandClock) -> None:
    job = house.run({"query": {"query": "SELECT 1 AS i"}}, job_id="kept")
    assert house.jobs.results(job)

    clock.forward(9 * 24 * 3600)
    house.loop.work(collect=False)

    with pytest.raises(NotFound, match="expired"):
        house.jobs.results(house.jobs.get("p", "kept"))


def test_jobs_are_listed_newest_first_a_page_at_a_time(house: House, clock: HandClock) -> None:
    for name in ("a", "b", "c"):
        clock.forward()
        house.run({"query": {"query": "SELECT 1"}}, job_id=name)

    first = house.jobs.list("p", limit=2)
    rest = house.jobs.list("p", limit=2, after=(first[-1].created, first[-1].job_id))

    assert [job.job_id for job in (*first, *rest)] == ["c", "b", "a"]


def test_segments_without_rows_are_none(house: House) -> None:
    house.run({"query": {"query": "DELETE FROM d.t WHERE TRUE"}})

    assert house.service.table(T).content.segments == ()
