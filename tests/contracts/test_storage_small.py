"""Contents that lie in the database beside their rows, and those that come without an MD5."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import pytest
from sqlalchemy import delete, func, insert, select, update

from mlengine.backends.blobs_memory import MemoryBlobs
from mlengine.backends.database import SqlDatabase
from mlengine.errors import InvalidArgument, NotFound, PreconditionFailed
from mlengine.names import ObjectUrl
from mlengine.storage.contents import LARGEST_SMALL
from mlengine.storage.domain import (
    ANY,
    UNCLAIMED,
    Attributes,
    Conditions,
    Finding,
    Hashes,
    Kind,
    Object,
    Span,
)
from mlengine.storage.hashing import LARGEST_WITH_MD5
from mlengine.storage.service import Source, StorageService
from mlengine.storage.store import SMALL
from tests.conftest import HandClock

PIECE = b"\7" * (1 << 20)


@pytest.fixture
def blobs() -> MemoryBlobs:
    return MemoryBlobs()


@pytest.fixture
def service(database: SqlDatabase, blobs: MemoryBlobs, clock: HandClock) -> StorageService:
    made = StorageService(database, blobs, clock)
    made.buckets.create("plain", "demo-project")
    made.buckets.create("versioned", "demo-project", versioning=True)
    return made


def url(name: str, bucket: str = "plain") -> ObjectUrl:
    return ObjectUrl(bucket, name)


def content(service: StorageService, where: ObjectUrl, generation: int | None = None) -> bytes:
    _, pieces = service.open(where, generation=generation)
    with closing(pieces):
        return b"".join(pieces)


def rows(database: SqlDatabase) -> int:
    with database.read() as db:
        return int(db.execute(select(func.count()).select_from(SMALL)).scalar_one())


def findings(service: StorageService, *, repair: bool = False) -> list[Finding]:
    found: list[Finding] = []
    token = ""
    while True:
        report = service.checks.page(token, checksums=True, repair=repair)
        found += report.findings
        if not (token := report.token):
            return found


@pytest.mark.parametrize(("size", "is_row"), [(0, True), (LARGEST_SMALL, True), (LARGEST_SMALL + 1, False)])
def test_up_to_a_size_a_content_is_a_row_and_no_blob(
    service: StorageService, database: SqlDatabase, blobs: MemoryBlobs, size: int, is_row: bool
) -> None:
    sent = b"x" * size

    new = service.write(url("a"), [sent[:7], sent[7:]])

    assert (rows(database), len(list(blobs.list()))) == ((1, 0) if is_row else (0, 1))
    assert content(service, url("a")) == sent
    assert (new.size, new.md5) == (size, hashlib.md5(sent).hexdigest())


def test_a_range_of_a_small_content_is_read(service: StorageService) -> None:
    service.write(url("a"), [b"0123456789"])

    _, pieces = service.open(url("a"), span=lambda found: (3, found.size - 2))

    assert b"".join(pieces) == b"34567"


def test_a_small_content_goes_with_its_last_object(service: StorageService, database: SqlDatabase) -> None:
    service.write(url("a"), [b"first"])
    service.copy(Source(url=url("a")), url("b"))
    service.write(url("a"), [b"second"])
    assert (content(service, url("b")), rows(database)) == (b"first", 2)

    service.delete(url("b"))
    assert (content(service, url("a")), rows(database)) == (b"second", 1)
    service.write(url("a"), [b"x" * (LARGEST_SMALL + 1)])

    assert rows(database) == 0


def test_a_reader_keeps_what_was_deleted_meanwhile(service: StorageService) -> None:
    service.write(url("a"), [b"to the end"])
    _, pieces = service.open(url("a"))

    service.delete(url("a"))

    assert b"".join(pieces) == b"to the end"


def test_an_old_generation_of_a_small_content_is_read_and_restored(service: StorageService) -> None:
    old = service.write(url("a", "versioned"), [b"old"])
    service.write(url("a", "versioned"), [b"new"])

    assert content(service, old.url, old.generation) == b"old"
    service.copy(Source(url=old.url, generation=old.generation), old.url)

    assert content(service, old.url) == b"old"


def test_small_and_large_contents_are_composed(service: StorageService) -> None:
    service.write(url("small"), [b"begin "])
    service.write(url("large"), [b"x" * 20_000])

    new = service.compose(url("all"), [Source(url=url("small")), Source(url=url("large"))])

    assert (content(service, url("all")), new.md5) == (b"begin " + b"x" * 20_000, "")


def test_a_refused_small_content_leaves_nothing(service: StorageService, database: SqlDatabase) -> None:
    with pytest.raises(InvalidArgument, match="CRC32C"):
        service.put(url("a"), [b"damaged"], claimed=Hashes(crc32c=1))
    with pytest.raises(PreconditionFailed):
        service.put(url("a"), [b"too early"], conditions=Conditions(generation=7))
    with pytest.raises(NotFound, match="no bucket"):
        service.put(url("a", "nowhere"), [b"lost"])

    assert rows(database) == 0


def test_the_collection_leaves_small_contents_alone(
    service: StorageService, clock: HandClock, database: SqlDatabase
) -> None:
    service.write(url("a"), [b"kept"])
    clock.now += timedelta(days=30)

    service.collect(timedelta(days=7))

    assert content(service, url("a")) == b"kept"


def test_the_proof_finds_small_contents_that_are_lost_cut_changed_or_left_over(
    service: StorageService, database: SqlDatabase
) -> None:
    found: dict[str, Object] = {name: service.write(url(name), [name.encode() * 9]) for name in "abc"}
    assert findings(service) == []

    with database.begin() as db:
        db.execute(delete(SMALL).where(SMALL.c.blob == found["a"].blob))
        db.execute(update(SMALL).where(SMALL.c.blob == found["b"].blob).values(content=b"b"))
        db.execute(update(SMALL).where(SMALL.c.blob == found["c"].blob).values(content=b"C" * 9))
        db.execute(insert(SMALL).values(blob="s0", content=b"nobody's"))
    seen = {finding.kind: finding for finding in findings(service, repair=True)}

    assert set(seen) == {Kind.MISSING, Kind.WRONG_SIZE, Kind.WRONG_CONTENT, Kind.UNREFERENCED}
    assert seen[Kind.UNREFERENCED].repaired
    assert Kind.UNREFERENCED not in {finding.kind for finding in findings(service)}


# Large contents


def large(pieces: int) -> Iterator[bytes]:
    for _ in range(pieces):
        yield PIECE


MOST = LARGEST_WITH_MD5 // len(PIECE)
DIGEST = hashlib.md5(b"".join(large(MOST + 1))).hexdigest()


def test_a_large_content_has_an_md5_only_if_its_sender_names_it(service: StorageService) -> None:
    assert service.put(url("a"), large(MOST)).md5 == hashlib.md5(b"".join(large(MOST))).hexdigest()
    plain = service.put(url("b"), large(MOST + 1))
    named = service.put(url("c"), large(MOST + 1), claimed=Hashes(md5=DIGEST, wants_md5=True))

    assert (plain.md5, named.md5, plain.crc32c) == ("", DIGEST, named.crc32c)
    with pytest.raises(InvalidArgument, match="MD5"):
        service.put(url("d"), large(MOST + 1), claimed=Hashes(md5="0" * 32, wants_md5=True))


@pytest.mark.parametrize("when", ["first", "last"])
def test_an_upload_in_parts_has_its_md5_checked_whenever_it_is_named(
    service: StorageService, when: str
) -> None:
    claim = Hashes(md5=DIGEST, wants_md5=True)
    for name, said in (("good", claim), ("bad", Hashes(md5="0" * 32, wants_md5=True)), ("none", UNCLAIMED)):
        session = service.uploads.start(
            url(name),
            attributes=Attributes(),
            conditions=ANY,
            claimed=said if when == "first" else UNCLAIMED,
            total=None,
        )
        half = (MOST // 2) * len(PIECE)
        service.uploads.send("plain", session, Span(start=0, end=half), large(MOST // 2), claimed=UNCLAIMED)
        total = (MOST + 1) * len(PIECE)
        rest = large(MOST + 1 - MOST // 2)
        span = Span(start=half, end=total, total=total)
        last = said if when == "last" else UNCLAIMED
        if name == "bad":
            with pytest.raises(InvalidArgument, match="MD5"):
                service.uploads.send("plain", session, span, rest, claimed=last)
            continue
        done = service.uploads.send("plain", session, span, rest, claimed=last).done
        assert done is not None
        assert done.md5 == (DIGEST if name == "good" else "")
