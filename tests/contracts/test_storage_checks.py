"""The proof that rows and blobs agree, and the collection, on every database."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, delete, event, update

from mlengine.backends.blobs_memory import MemoryBlobs
from mlengine.backends.database import SqlDatabase
from mlengine.errors import InvalidArgument
from mlengine.names import ObjectUrl
from mlengine.storage.domain import ANY, UNCLAIMED, Attributes, Finding, Kind, ListQuery, Span
from mlengine.storage.service import Source, StorageService
from mlengine.storage.store import OBJECTS, USAGE
from tests.conftest import HandClock

HOUR = timedelta(hours=1)
WEEK = timedelta(days=7)


@pytest.fixture
def blobs() -> MemoryBlobs:
    return MemoryBlobs()


@pytest.fixture
def service(database: SqlDatabase, blobs: MemoryBlobs, clock: HandClock) -> StorageService:
    made = StorageService(database, blobs, clock, small=-1)
    made.buckets.create("bucket", "demo-project", versioning=True)
    made.buckets.create("plain", "demo-project")
    return made


def url(name: str, bucket: str = "bucket") -> ObjectUrl:
    return ObjectUrl(bucket, name)


def check(
    service: StorageService, *, checksums: bool = True, repair: bool = False
) -> tuple[int, list[Finding]]:
    """All pages: how many objects were looked at, and what was found."""
    objects, findings, token = 0, [], ""
    while True:
        report = service.checks.page(token, checksums=checksums, repair=repair)
        objects += report.objects
        findings += report.findings
        token = report.token
        if not token:
            return objects, findings


def much(service: StorageService) -> int:
    """Store something of every kind; the number of objects and generations."""
    service.write(url("a"), [b"first"])
    service.write(url("a"), [b"second"])
    service.copy(Source(url=url("a")), url("copy #1", "plain"))
    service.compose(url("whole"), [Source(url=url("a")), Source(url=url("a"))])
    service.write(url("empty", "plain"), [])
    service.write(url("gone"), [b"gone"])
    service.delete(url("gone"))
    upload = service.uploads.start(
        url("open"), attributes=Attributes(), conditions=ANY, claimed=UNCLAIMED, total=None
    )
    service.uploads.send("bucket", upload, Span(start=0, end=4), [b"open"], claimed=UNCLAIMED)
    return 6


def later(clock: HandClock, blobs: MemoryBlobs, by: timedelta = 2 * HOUR) -> None:
    """Blobs go by the machine's clock: move ours past that."""
    clock.now = max(blob.changed for blob in blobs.list()) + by


def test_nothing_is_wrong_with_what_was_stored_properly(
    service: StorageService, blobs: MemoryBlobs, clock: HandClock
) -> None:
    count = much(service)
    later(clock, blobs)

    assert check(service) == (count, [])
    assert check(service, repair=True) == (count, [])
    assert len(list(blobs.list())) == 6


def test_an_empty_server_has_nothing_wrong(service: StorageService) -> None:
    assert check(service) == (0, [])


def test_a_lost_content_is_found_and_its_object_left_alone(
    service: StorageService, blobs: MemoryBlobs
) -> None:
    lost = service.write(url("a"), [b"x"])
    old = service.write(url("b"), [b"old"])
    service.write(url("b"), [b"new"])
    blobs.delete(lost.blob)
    blobs.delete(old.blob)

    _, findings = check(service, repair=True, checksums=False)

    assert [(found.kind, found.subject, found.repaired) for found in findings] == [
        (Kind.MISSING, f"gs://bucket/a#{lost.generation}", False),
        (Kind.MISSING, f"gs://bucket/b#{old.generation}", False),
    ]
    assert service.exists(url("a"))


def test_a_content_of_another_length_is_found_without_reading_it(
    service: StorageService, blobs: MemoryBlobs
) -> None:
    damaged = service.write(url("a"), [b"0123456789"])
    blobs.write(damaged.blob, [b"01234"])

    _, findings = check(service, checksums=False)

    assert [(found.kind, found.detail.partition(" (")[0]) for found in findings] == [
        (Kind.WRONG_SIZE, "its content has 5 bytes instead of 10")
    ]


def test_a_changed_content_is_found_when_it_is_read(service: StorageService, blobs: MemoryBlobs) -> None:
    damaged = service.write(url("a"), [b"0123456789"])
    service.copy(Source(url=url("a")), url("b"))
    service.write(url("c"), [b"good"])
    blobs.write(damaged.blob, [b"0123456780"])

    assert check(service, checksums=False)[1] == []
    _, findings = check(service)

    assert [found.kind for found in findings] == [Kind.WRONG_CONTENT, Kind.WRONG_CONTENT]
    assert {found.subject.partition("#")[0] for found in findings} == {"gs://bucket/a", "gs://bucket/b"}


def test_the_content_of_copies_is_read_once(service: StorageService) -> None:
    service.write(url("a"), [b"0123456789"])
    for number in range(5):
        service.copy(Source(url=url("a")), url(str(number)))

    assert service.checks.page(checksums=True).size == 10


def test_a_blob_left_over_is_found_after_an_hour_and_deleted_by_a_repair(
    service: StorageService, blobs: MemoryBlobs, clock: HandClock
) -> None:
    service.write(url("a"), [b"x"])
    blobs.write("leftover", [b"12345"])
    later(clock, blobs, HOUR / 2)
    assert check(service)[1] == []
    later(clock, blobs)

    _, found = check(service)
    _, repaired = check(service, repair=True)

    assert [(one.kind, one.subject, one.repaired) for one in found] == [
        (Kind.UNREFERENCED, "blob leftover", False)
    ]
    assert [one.repaired for one in repaired] == [True]
    assert check(service)[1] == []
    assert b"".join(service.open_read(url("a"))) == b"x"


def test_a_wrong_count_is_found_and_set_right(database: SqlDatabase, service: StorageService) -> None:
    service.write(url("a"), [b"123"])
    with database.begin() as db:
        db.execute(update(USAGE).values(size=99, objects=-1))

    _, found = check(service)
    _, repaired = check(service, repair=True)

    assert [(one.kind, one.subject) for one in found] == [(Kind.COUNT, "project demo-project")]
    assert found[0].detail == "-1 objects of 99 bytes are counted, there are 1 of 3 bytes"
    assert repaired[0].repaired
    assert check(service)[1] == []
    with database.begin() as db:
        db.execute(delete(USAGE))
    assert [one.kind for one in check(service, repair=True)[1]] == [Kind.COUNT]
    assert check(service)[1] == []


def test_what_is_deleted_while_the_check_goes_on_is_no_finding(
    database: SqlDatabase, clock: HandClock
) -> None:
    class Watched(MemoryBlobs):
        """Blobs; the object is deleted between the look at its row and the look at its content."""

        def size(self, key: str) -> int:
            if service.exists(url("a")):
                service.delete(url("a"))
            return super().size(key)

    service = StorageService(database, Watched(), clock, small=-1)
    service.buckets.create("bucket", "demo-project")
    service.write(url("a"), [b"x"])

    assert check(service) == (1, [])


def test_all_objects_are_looked_at_whatever_the_size_of_a_page(
    service: StorageService, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = much(service)

    for size in (1, 2, count, count + 1):
        monkeypatch.setattr("mlengine.storage.checking._MOST_OBJECTS", size)
        assert check(service) == (count, [])
    monkeypatch.setattr("mlengine.storage.checking._MOST_READ", 1)
    assert check(service) == (count, [])


@pytest.mark.parametrize("token", ["!", "e30=", "WyJvdGhlciIsIG51bGxd", "WyJsaXZlIiwgMV0="])
def test_a_token_that_is_none_is_refused(service: StorageService, token: str) -> None:
    with pytest.raises(InvalidArgument, match="not from this check"):
        service.checks.page(token)


def test_idle_uploads_expire_after_a_week_with_what_was_sent(
    service: StorageService, blobs: MemoryBlobs, clock: HandClock
) -> None:
    clock.now = datetime.now(UTC)
    much(service)
    clock.now += WEEK - HOUR
    assert service.collect(WEEK).uploads == 0
    clock.now += 2 * HOUR

    collected = service.collect(WEEK)

    assert (collected.uploads, collected.blobs) == (1, 1)
    assert check(service) == (6, [])


def test_a_slow_upload_is_never_taken_for_abandoned(
    service: StorageService, blobs: MemoryBlobs, clock: HandClock
) -> None:
    def slow() -> Iterator[bytes]:
        yield b"begin"
        blobs.write("other", [b"left over"])
        later(clock, blobs, 10 * WEEK)
        assert service.collect(WEEK).blobs == 1  # the other one
        check(service, repair=True)
        yield b"end"

    service.write(url("a"), slow())

    assert b"".join(service.open_read(url("a"))) == b"beginend"


def test_a_content_that_gets_its_name_while_the_collection_asks_is_kept(
    database: SqlDatabase, clock: HandClock
) -> None:
    blobs, go_on, writers = MemoryBlobs(), threading.Event(), list[threading.Thread]()

    class Watched:
        """A database; right after the question who refers to the blobs, one of them gets its name."""

        def begin(self) -> AbstractContextManager[Connection]:
            return database.begin()

        def look(self) -> AbstractContextManager[Connection]:
            return database.look()

        @contextmanager
        def read(self) -> Iterator[Connection]:
            with database.read() as db:
                yield db
                asked = bool(db.info.pop("asked", False))
            if asked:
                go_on.set()
                writers[0].join()

    def note(connection: Connection, _cursor: object, statement: str, *_rest: object) -> None:
        if "storage_parts" in statement and not go_on.is_set():
            connection.info["asked"] = True

    def slow() -> Iterator[bytes]:
        blobs.append(next(iter(service._changes.on_their_way())), 0, [b"half"])
        arriving.set()
        go_on.wait(timeout=30)
        yield b"whole"

    arriving = threading.Event()
    service = StorageService(Watched(), blobs, clock, small=-1)
    service.buckets.create("bucket", "demo-project")
    writers.append(threading.Thread(target=lambda: service.write(url("a"), slow())))
    writers[0].start()
    assert arriving.wait(timeout=30)
    later(clock, blobs)
    event.listen(database._engine, "before_cursor_execute", note)

    service.collect(WEEK)

    assert go_on.is_set()
    assert b"".join(service.open_read(url("a"))) == b"whole"


def test_a_blob_without_a_row_is_collected_and_a_row_never(
    database: SqlDatabase, service: StorageService, blobs: MemoryBlobs, clock: HandClock
) -> None:
    service.write(url("a", "plain"), [b"x"])
    service.write(url("b", "plain"), [b"y"])
    later(clock, blobs)
    with database.begin() as db:
        db.execute(delete(OBJECTS).where(OBJECTS.c.name == b"a"))

    assert service.collect(WEEK).blobs == 1

    assert [item.name for item in service.list("plain", ListQuery()).items] == ["b"]
    assert b"".join(service.open_read(url("b", "plain"))) == b"y"
