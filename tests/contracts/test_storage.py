"""What storage promises on every database."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from mlengine.backends.blobs_memory import MemoryBlobs
from mlengine.backends.database import SqlDatabase
from mlengine.errors import (
    AlreadyExists,
    Conflict,
    InvalidArgument,
    NotFound,
    NotModified,
    PreconditionFailed,
    Unavailable,
)
from mlengine.names import ObjectUrl
from mlengine.storage.domain import Attributes, Conditions, Hashes, ListQuery, Object, Span
from mlengine.storage.service import Source, StorageService
from tests.conftest import HandClock

CLAIMLESS = Hashes()
DAY = timedelta(days=1)


@pytest.fixture
def blobs() -> MemoryBlobs:
    return MemoryBlobs()


@pytest.fixture
def service(database: SqlDatabase, blobs: MemoryBlobs, clock: HandClock) -> StorageService:
    made = StorageService(database, blobs, clock, small=-1)
    made.buckets.create("bucket", "demo-project")
    return made


def url(name: str) -> ObjectUrl:
    return ObjectUrl("bucket", name)


def content(service: StorageService, name: str) -> bytes:
    return b"".join(service.open_read(url(name)))


def broken(*chunks: bytes) -> Iterator[bytes]:
    yield from chunks
    raise ConnectionError("the sender went away")


def test_a_bucket_name_is_taken_once_in_the_whole_server(service: StorageService) -> None:
    with pytest.raises(AlreadyExists, match="Your project owns it"):
        service.buckets.create("bucket", "demo-project")
    with pytest.raises(AlreadyExists, match="whole server"):
        service.buckets.create("bucket", "other-project")


def test_buckets_are_listed_by_project_and_page(service: StorageService) -> None:
    for name in ("x-3", "x-1", "x-2"):
        service.buckets.create(name, "demo-project")
    service.buckets.create("x-0", "other-project")

    first = service.buckets.list("demo-project", prefix="x-", limit=2)
    second = service.buckets.list("demo-project", prefix="x-", after=first[-1].name)

    assert [bucket.name for bucket in first + second] == ["x-1", "x-2", "x-3"]


def test_only_an_empty_bucket_is_deleted(service: StorageService, blobs: MemoryBlobs) -> None:
    service.write(url("a"), [b"x"])
    with pytest.raises(Conflict, match="not empty"):
        service.buckets.delete("bucket")

    service.delete(url("a"))
    service.buckets.delete("bucket")

    with pytest.raises(NotFound):
        service.buckets.get("bucket")
    with pytest.raises(NotFound):
        service.write(url("a"), [b"x"])
    assert list(blobs.list()) == []


def test_a_new_content_replaces_the_old_and_its_blob(service: StorageService, blobs: MemoryBlobs) -> None:
    first = service.write(url("a"), [b"first"])
    second = service.write(url("a"), [b"sec", b"ond"])

    assert content(service, "a") == b"second"
    assert second.generation > first.generation
    assert (second.size, second.metageneration) == (6, 1)
    assert [blob.key for blob in blobs.list()] == [second.blob]


def test_a_sender_that_goes_away_changes_nothing(service: StorageService, blobs: MemoryBlobs) -> None:
    service.write(url("a"), [b"first"])

    with pytest.raises(ConnectionError):
        service.write(url("a"), broken(b"sec"))

    assert content(service, "a") == b"first"
    assert len(list(blobs.list())) == 1


@pytest.mark.parametrize("claim", [Hashes(crc32c=1), Hashes(md5="0" * 32)])
def test_damaged_content_is_not_stored(service: StorageService, blobs: MemoryBlobs, claim: Hashes) -> None:
    with pytest.raises(InvalidArgument, match="does not have the"):
        service.put(url("a"), [b"x"], claimed=claim)

    assert not service.exists(url("a"))
    assert list(blobs.list()) == []


def test_conditions_are_kept(service: StorageService) -> None:
    nothing, there = Conditions(generation=0), service.write(url("a"), [b"x"])
    this, other = Conditions(generation=there.generation), Conditions(generation=there.generation + 1)

    for unmet in (nothing, other, Conditions(metageneration=2), Conditions(not_generation=there.generation)):
        with pytest.raises(PreconditionFailed):
            service.put(url("a"), [b"y"], conditions=unmet)
        with pytest.raises(PreconditionFailed):
            service.delete(url("a"), conditions=unmet)
        with pytest.raises(PreconditionFailed):
            service.change(url("a"), lambda old: old, conditions=unmet)
        with pytest.raises(PreconditionFailed):
            service.copy(Source(url=url("a"), conditions=unmet), url("b"))
    with pytest.raises(NotModified):
        service.get(url("a"), conditions=Conditions(not_generation=there.generation))
    with pytest.raises(PreconditionFailed):
        service.get(url("a"), conditions=other)
    with pytest.raises(PreconditionFailed):
        service.put(url("new"), [b"y"], conditions=this)
    service.put(url("new"), [b"y"], conditions=nothing)
    assert content(service, "a") == b"x"
    assert service.get(url("a"), conditions=this) == there


def test_of_many_writers_with_the_same_condition_exactly_one_wins(service: StorageService) -> None:
    barrier = threading.Barrier(6)
    outcomes: list[str] = []

    def write(number: int) -> None:
        def chunks() -> Iterator[bytes]:
            barrier.wait(timeout=30)  # all have passed the first look by now
            yield b"%d" % number

        try:
            service.put(url("once"), chunks(), conditions=Conditions(generation=0))
            outcomes.append(str(number))
        except PreconditionFailed:
            outcomes.append("")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    winners = [outcome for outcome in outcomes if outcome]
    assert len(outcomes) == 6
    assert winners == [content(service, "once").decode()]


def test_generations_grow_though_the_clock_goes_back(service: StorageService, clock: HandClock) -> None:
    generations = [service.write(url("a"), [b"x"]).generation]
    clock.forward(-3600)
    generations.append(service.write(url("a"), [b"x"]).generation)
    service.delete(url("a"))
    generations.append(service.write(url("a"), [b"x"]).generation)

    assert generations == sorted(set(generations))


def test_a_change_keeps_the_generation(service: StorageService) -> None:
    old = service.write(url("a"), [b"x"])

    new = service.change(url("a"), lambda _: Attributes(content_type="text/plain", metadata={"k": "한"}))

    assert (new.generation, new.metageneration) == (old.generation, 2)
    assert service.get(url("a")).attributes == Attributes(content_type="text/plain", metadata={"k": "한"})


def test_a_copy_shares_the_content_until_the_last_one_goes(
    service: StorageService, blobs: MemoryBlobs
) -> None:
    service.buckets.create("other", "demo-project")
    service.write(url("a"), [b"x"])
    copy = service.copy(Source(url=url("a")), ObjectUrl("other", "b"))

    assert len(list(blobs.list())) == 1
    service.delete(url("a"))
    assert b"".join(service.open_read(copy.url)) == b"x"
    service.delete(copy.url)
    assert list(blobs.list()) == []


def test_a_copy_onto_itself_and_a_move_keep_the_content(service: StorageService, blobs: MemoryBlobs) -> None:
    first = service.write(url("a"), [b"x"])
    again = service.copy(Source(url=url("a")), url("a"))
    moved = service.copy(Source(url=url("a")), url("b"), move=True)

    assert again.generation > first.generation
    assert content(service, "b") == b"x"
    assert not service.exists(url("a"))
    assert [blob.key for blob in blobs.list()] == [moved.blob]
    with pytest.raises(InvalidArgument, match="onto itself"):
        service.copy(Source(url=url("b")), url("b"), move=True)


def test_objects_are_composed_even_into_one_of_them(service: StorageService) -> None:
    service.put(url("a"), [b"1"], attributes=Attributes(content_type="text/plain"))
    service.write(url("b"), [b"2"])

    once = service.compose(url("a"), [Source(url=url("a")), Source(url=url("b"))])
    twice = service.compose(url("a"), [Source(url=url("a")), Source(url=url("a"))])

    assert content(service, "a") == b"1212"
    assert (once.components, twice.components, twice.md5) == (2, 4, "")
    assert twice.attributes.content_type == "text/plain"
    with pytest.raises(InvalidArgument, match="1 to 32"):
        service.compose(url("x"), [Source(url=url("a"))] * 33)


def test_a_reader_is_not_disturbed_by_a_delete(service: StorageService) -> None:
    service.write(url("a"), [b"x" * 3_000_000])
    pieces = service.open_read(url("a"))

    service.delete(url("a"))

    assert sum(map(len, pieces)) == 3_000_000


@pytest.mark.parametrize("name", ["", ".", "..", "x" * 1025, "한" * 342, "\ud800", "a\0b"])
def test_a_name_that_no_object_may_have_is_refused(service: StorageService, name: str) -> None:
    with pytest.raises(InvalidArgument):
        service.write(url(name), [b"x"])


def test_existence_is_told_of_objects_and_folders(service: StorageService) -> None:
    service.write(url("d/e"), [b"x"])

    assert service.exists(url("d/e"))
    assert service.exists(url("d/"))
    assert service.exists(url(""))
    assert not service.exists(url("d"))
    assert not service.exists(url("x/"))
    assert not service.exists(ObjectUrl("nowhere", "a"))
    assert list(service.paths_under(url("d"), 5)) == ["e"]


def start(service: StorageService, name: str = "a", *, total: int | None = None, **claims: object) -> str:
    return service.uploads.start(
        url(name),
        attributes=Attributes(content_type="text/plain"),
        conditions=Conditions(**claims),  # type: ignore[arg-type]
        claimed=CLAIMLESS,
        total=total,
    )


def send(service: StorageService, upload: str, span: Span, *chunks: bytes) -> tuple[int, Object | None]:
    standing = service.uploads.send("bucket", upload, span, chunks, claimed=CLAIMLESS)
    return standing.received, standing.done


def test_an_upload_in_parts_is_seen_only_when_it_is_whole(service: StorageService) -> None:
    upload = start(service)

    assert send(service, upload, Span(start=0, end=3), b"012") == (3, None)
    assert not service.exists(url("a"))
    assert send(service, upload, Span()) == (3, None)
    received, done = send(service, upload, Span(start=3, end=5, total=5), b"34")

    assert (received, content(service, "a")) == (5, b"01234")
    assert done and done.attributes.content_type == "text/plain"
    assert send(service, upload, Span(total=5))[1] == done


def test_an_upload_in_parts_has_the_hashes_of_a_single_one(
    database: SqlDatabase, service: StorageService, blobs: MemoryBlobs, clock: HandClock
) -> None:
    single = service.write(url("single"), [b"0123456789"])
    upload = start(service)
    send(service, upload, Span(start=0, end=4), b"0123")

    # A restart: nothing is remembered in memory.
    restarted = StorageService(database, blobs, clock, small=-1)
    send(restarted, upload, Span(start=4, end=7), b"456")
    _, done = send(restarted, upload, Span(start=7, end=10, total=10), b"789")

    assert done and (done.crc32c, done.md5, done.size) == (single.crc32c, single.md5, single.size)


def test_a_part_sent_again_is_stored_once(service: StorageService) -> None:
    upload = start(service)
    send(service, upload, Span(start=0, end=4), b"0123")

    assert send(service, upload, Span(start=0, end=4), b"0123") == (4, None)
    assert send(service, upload, Span(start=2, end=6), b"23", b"45") == (6, None)
    send(service, upload, Span(total=6))
    assert content(service, "a") == b"012345"


def test_what_came_before_the_sender_went_away_is_kept(service: StorageService) -> None:
    upload = start(service, total=10)

    with pytest.raises(ConnectionError):
        service.uploads.send(
            "bucket", upload, Span(start=0, end=10), broken(b"012", b"345"), claimed=CLAIMLESS
        )

    assert send(service, upload, Span()) == (6, None)
    send(service, upload, Span(start=6, end=10, total=10), b"6789")
    assert content(service, "a") == b"0123456789"


def test_a_gap_is_refused_with_what_is_stored(service: StorageService) -> None:
    upload = start(service)
    send(service, upload, Span(start=0, end=4), b"0123")

    with pytest.raises(Unavailable, match="only 4 are stored"):
        send(service, upload, Span(start=5, end=6), b"5")
    assert send(service, upload, Span()) == (4, None)


@pytest.mark.parametrize(
    "span",
    [Span(start=4, end=5), Span(start=4, end=99, total=5), Span(start=4, end=6, total=7), Span(total=3)],
)
def test_numbers_that_contradict_each_other_are_refused_and_nothing_is_lost(
    service: StorageService, span: Span
) -> None:
    upload = start(service, total=6 if span.total == 7 else None)
    send(service, upload, Span(start=0, end=4), b"0123")

    with pytest.raises(InvalidArgument):
        send(service, upload, span, b"4567")
    assert send(service, upload, Span()) == (4, None)


def test_an_upload_without_any_range_is_the_whole_content(service: StorageService) -> None:
    assert send(service, start(service), Span(start=0, last=True), b"all")[0] == 3
    assert send(service, start(service, "empty"), Span(start=0, last=True))[0] == 0

    assert (content(service, "a"), content(service, "empty")) == (b"all", b"")


def test_a_condition_that_fails_at_the_end_ends_the_upload(
    service: StorageService, blobs: MemoryBlobs
) -> None:
    upload = start(service, generation=0)
    send(service, upload, Span(start=0, end=4), b"late")
    service.write(url("a"), [b"early"])

    with pytest.raises(PreconditionFailed):
        send(service, upload, Span(total=4))

    assert content(service, "a") == b"early"
    assert len(list(blobs.list())) == 1
    with pytest.raises(NotFound):
        send(service, upload, Span())
    with pytest.raises(PreconditionFailed):
        start(service, generation=0)


def test_damage_is_noticed_at_the_end_of_an_upload(service: StorageService, blobs: MemoryBlobs) -> None:
    upload = start(service)

    with pytest.raises(InvalidArgument, match="CRC32C"):
        service.uploads.send("bucket", upload, Span(start=0, last=True), [b"x"], claimed=Hashes(crc32c=1))

    assert list(blobs.list()) == []
    assert not service.exists(url("a"))


def test_a_cancelled_upload_leaves_nothing(service: StorageService, blobs: MemoryBlobs) -> None:
    upload = start(service)
    send(service, upload, Span(start=0, end=4), b"0123")

    service.uploads.cancel("bucket", upload)

    assert list(blobs.list()) == []
    with pytest.raises(NotFound):
        send(service, upload, Span())


def test_an_upload_belongs_to_its_bucket(service: StorageService) -> None:
    service.buckets.create("other", "demo-project")
    upload = start(service)

    with pytest.raises(NotFound):
        service.uploads.send("other", upload, Span(), (), claimed=CLAIMLESS)


def test_two_requests_for_one_upload_do_not_mix(service: StorageService) -> None:
    upload = start(service)
    sending, go_on = threading.Event(), threading.Event()

    def slow() -> Iterator[bytes]:
        yield b"01"
        sending.set()
        go_on.wait(timeout=30)
        yield b"23"

    first = threading.Thread(
        target=lambda: service.uploads.send("bucket", upload, Span(start=0, end=4), slow(), claimed=CLAIMLESS)
    )
    first.start()
    assert sending.wait(timeout=30)
    second = threading.Thread(target=lambda: send(service, upload, Span(start=0, end=4, total=4), b"0123"))
    second.start()
    go_on.set()
    first.join()
    second.join()

    assert content(service, "a") == b"0123"


def test_the_collection_takes_only_what_nobody_refers_to(
    database: SqlDatabase, service: StorageService, blobs: MemoryBlobs, clock: HandClock
) -> None:
    kept = service.write(url("a"), [b"kept"])
    blobs.write("orphan", [b"left by a crash"])
    blobs.append("half", 0, [b"left too"])
    stale = start(service, "stale")
    send(service, stale, Span(start=0, end=1), b"s")
    # All this was done "now" by the machine's clock, which the blobs go by; ours is moved past that.
    clock.now = max(blob.changed for blob in blobs.list()) + 10 * DAY
    fresh = start(service, "fresh")
    send(service, fresh, Span(start=0, end=1), b"f")

    collected = service.collect(older_than=DAY)

    assert (collected.blobs, collected.uploads) == (3, 1)
    assert content(service, "a") == b"kept"
    assert kept.blob in {blob.key for blob in blobs.list()}
    assert send(service, fresh, Span(start=1, end=2, total=2), b"f")[0] == 2
    with pytest.raises(NotFound):
        send(service, stale, Span())
    assert service.collect(older_than=DAY).blobs == 0


def test_the_collection_deletes_what_a_crash_left_marked(
    database: SqlDatabase, service: StorageService, blobs: MemoryBlobs, clock: HandClock
) -> None:
    class Dying(MemoryBlobs):
        """Blobs of a server that dies right after the commit."""

        def delete(self, key: str) -> None:
            raise SystemExit

    dying = Dying()
    doomed = StorageService(database, dying, clock, small=-1)
    doomed.write(url("a"), [b"first"])
    with pytest.raises(SystemExit):
        doomed.write(url("a"), [b"second"])

    restarted = MemoryBlobs()
    for blob in dying.list():
        restarted.write(blob.key, dying.read(blob.key))
    service = StorageService(database, restarted, clock, small=-1)
    assert content(service, "a") == b"second"
    assert len(list(restarted.list())) == 2

    service.collect(older_than=DAY)

    assert len(list(restarted.list())) == 1
    assert content(service, "a") == b"second"


def test_a_listing_of_a_missing_bucket_is_not_empty_but_an_error(service: StorageService) -> None:
    with pytest.raises(NotFound, match="Did you mean 'bucket'"):
        service.list("buckets", ListQuery())
