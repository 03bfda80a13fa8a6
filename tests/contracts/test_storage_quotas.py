"""What a project may store, on every database: counted with each change, and refused when it is too much."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from mlengine.backends.blobs_memory import MemoryBlobs
from mlengine.backends.database import SqlDatabase
from mlengine.errors import InvalidArgument, NotFound, QuotaExceeded
from mlengine.names import ObjectUrl
from mlengine.projects.service import ProjectService
from mlengine.storage import store_usage
from mlengine.storage.domain import ANY, UNCLAIMED, Attributes, Object, Span
from mlengine.storage.quotas import Quota, Usage
from mlengine.storage.service import Source, StorageService
from tests.conftest import HandClock


@pytest.fixture
def blobs() -> MemoryBlobs:
    return MemoryBlobs()


@pytest.fixture
def service(database: SqlDatabase, blobs: MemoryBlobs, clock: HandClock) -> StorageService:
    made = StorageService(database, blobs, clock, small=-1, quota=Quota(size=100, objects=4))
    made.buckets.create("bucket", "demo-project")
    return made


def url(name: str) -> ObjectUrl:
    return ObjectUrl("bucket", name)


def counted(database: SqlDatabase) -> Usage:
    """What the counter says, which must be what there is."""
    with database.read() as db:
        said, is_ = store_usage.usage(db, "demo-project"), store_usage.recounted(db)
    assert said == is_.get("demo-project", Usage())
    return said


def start(service: StorageService, total: int | None = None) -> str:
    return service.uploads.start(
        url("up"), attributes=Attributes(), conditions=ANY, claimed=UNCLAIMED, total=total
    )


def send(service: StorageService, upload: str, span: Span, *chunks: bytes) -> Object | None:
    return service.uploads.send("bucket", upload, span, chunks, claimed=UNCLAIMED).done


def test_every_change_is_counted(service: StorageService, database: SqlDatabase) -> None:
    service.write(url("a"), [b"x" * 10])
    assert counted(database) == Usage(objects=1, size=10)
    service.write(url("a"), [b"x" * 4])
    assert counted(database) == Usage(objects=1, size=4)
    service.copy(Source(url=url("a")), url("b"))
    assert counted(database) == Usage(objects=2, size=8)
    service.copy(Source(url=url("b")), url("c"), move=True)
    assert counted(database) == Usage(objects=2, size=8)
    service.compose(url("d"), [Source(url=url("a")), Source(url=url("c"))])
    assert counted(database) == Usage(objects=3, size=16)
    service.change(url("d"), lambda old: old)
    service.delete(url("d"))
    assert counted(database) == Usage(objects=2, size=8)
    send(service, start(service), Span(start=0, last=True), b"12345")
    assert counted(database) == Usage(objects=3, size=13)


def test_noncurrent_generations_count_until_they_are_deleted(
    service: StorageService, database: SqlDatabase
) -> None:
    service.buckets.create("versioned", "demo-project", versioning=True)
    place = ObjectUrl("versioned", "a")
    first = service.write(place, [b"x" * 10])
    service.write(place, [b"x" * 4])
    assert counted(database) == Usage(objects=2, size=14)
    service.delete(place)
    assert counted(database) == Usage(objects=2, size=14)
    service.delete(place, generation=first.generation)
    assert counted(database) == Usage(objects=1, size=4)


def test_what_does_not_fit_is_refused_with_the_numbers_and_leaves_nothing(
    service: StorageService, database: SqlDatabase, blobs: MemoryBlobs
) -> None:
    service.write(url("a"), [b"x" * 60])

    with pytest.raises(QuotaExceeded, match="stores 60 bytes of the 100 it may") as refused:
        service.write(url("b"), [b"x" * 41])

    assert "storage_quota_bytes" in refused.value.hint
    assert len(list(blobs.list())) == 1
    service.write(url("b"), [b"x" * 40])
    assert counted(database) == Usage(objects=2, size=100)


def test_a_known_length_is_refused_before_the_first_byte(service: StorageService) -> None:
    def untouched() -> Iterator[bytes]:
        raise AssertionError("was read")
        yield b""

    with pytest.raises(QuotaExceeded):
        service.put(url("a"), untouched(), expected=101)
    with pytest.raises(QuotaExceeded):
        start(service, total=101)


def test_an_unknown_length_is_refused_where_it_becomes_too_much(service: StorageService) -> None:
    taken: list[int] = []

    def endless() -> Iterator[bytes]:
        while True:
            taken.append(30)
            yield b"x" * 30

    with pytest.raises(QuotaExceeded):
        service.write(url("a"), endless())

    assert len(taken) == 4


def test_objects_are_limited_in_number_too(service: StorageService, database: SqlDatabase) -> None:
    for number in range(4):
        service.write(url(str(number)), [b""])

    with pytest.raises(QuotaExceeded, match="4 objects of the 4"):
        service.write(url("more"), [b""])
    with pytest.raises(QuotaExceeded):
        service.copy(Source(url=url("0")), url("more"))
    service.write(url("3"), [b"replaced"])
    service.copy(Source(url=url("0")), url("1"))
    service.delete(url("0"))
    service.write(url("more"), [b""])
    assert counted(database) == Usage(objects=4, size=8)


def test_whoever_stores_too_much_already_may_still_make_it_less(
    database: SqlDatabase, service: StorageService, blobs: MemoryBlobs, clock: HandClock
) -> None:
    service.write(url("a"), [b"x" * 80])
    service.write(url("b"), [b"x" * 10])
    lowered = StorageService(database, blobs, clock, small=-1, quota=Quota(size=50))

    with pytest.raises(QuotaExceeded):
        lowered.write(url("c"), [b"x"])
    lowered.write(url("a"), [b"x" * 80])
    lowered.write(url("a"), [b"x" * 70])
    lowered.change(url("a"), lambda _: Attributes(content_type="text/x"))
    lowered.delete(url("a"))
    lowered.write(url("c"), [b"x" * 40])
    assert counted(database) == Usage(objects=2, size=50)


def test_an_upload_that_does_not_fit_goes_on_when_there_is_room(
    service: StorageService, database: SqlDatabase
) -> None:
    service.write(url("a"), [b"x" * 60])
    upload = start(service)
    send(service, upload, Span(start=0, end=40), b"x" * 40)
    with pytest.raises(QuotaExceeded):
        send(service, upload, Span(start=40, end=50, total=50), b"y" * 10)

    service.delete(url("a"))
    done = send(service, upload, Span(start=40, end=50, total=50), b"y" * 10)

    assert done and b"".join(service.open_read(url("up"))) == b"x" * 40 + b"y" * 10
    assert counted(database) == Usage(objects=1, size=50)


def test_an_upload_that_was_refused_at_its_very_end_is_sealed_and_can_be_sent_again(
    service: StorageService, database: SqlDatabase
) -> None:
    upload = start(service)

    def late() -> Iterator[bytes]:
        yield b"x" * 50
        service.write(url("a"), [b"x" * 60])  # somebody else is quicker

    with pytest.raises(QuotaExceeded):
        service.uploads.send("bucket", upload, Span(start=0, end=50, total=50), late(), claimed=UNCLAIMED)
    service.delete(url("a"))

    assert send(service, upload, Span(start=0, end=50, total=50), b"x" * 50)
    assert counted(database) == Usage(objects=1, size=50)


def test_of_many_who_take_the_last_room_at_once_only_as_many_get_it_as_fit(
    service: StorageService, database: SqlDatabase
) -> None:
    service.buckets.create("other", "demo-project")
    barrier = threading.Barrier(6)
    outcomes: list[str] = []

    def write(number: int) -> None:
        def chunks() -> Iterator[bytes]:
            barrier.wait(timeout=30)  # all have passed the first look by now
            yield b"x" * 40

        try:
            service.write(ObjectUrl(("bucket", "other")[number % 2], str(number)), chunks())
            outcomes.append("stored")
        except QuotaExceeded:
            outcomes.append("refused")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["refused"] * 4 + ["stored"] * 2
    assert counted(database) == Usage(objects=2, size=80)


def test_without_a_quota_all_is_counted_and_nothing_refused(
    database: SqlDatabase, blobs: MemoryBlobs, clock: HandClock
) -> None:
    free = StorageService(database, blobs, clock, small=-1)
    free.buckets.create("bucket", "demo-project")

    free.write(url("a"), [b"x" * 1000])

    assert counted(database) == Usage(objects=1, size=1000)


def test_only_the_projects_of_the_server_have_buckets(
    database: SqlDatabase, blobs: MemoryBlobs, clock: HandClock
) -> None:
    projects = ProjectService(database, clock, first="demo-project")
    service = StorageService(database, blobs, clock, project=projects.meant)
    number = projects.create("second-project").number

    with pytest.raises(NotFound, match=r"no project 'third-project'"):
        service.buckets.create("new-bucket", "third-project")
    with pytest.raises(NotFound, match="third-project"):
        service.buckets.list("third-project")

    assert service.buckets.create("new-bucket", "").project == "demo-project"
    assert service.buckets.create("other-bucket", number).project == "second-project"
    assert [bucket.name for bucket in service.buckets.list("")] == ["new-bucket"]
    with pytest.raises(InvalidArgument):
        service.buckets.create("No", "demo-project")
