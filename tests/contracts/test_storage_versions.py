"""Versioned buckets, on every database: what is replaced or deleted stays until its generation is deleted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mlengine.backends.blobs_memory import MemoryBlobs
from mlengine.backends.database import SqlDatabase
from mlengine.errors import Conflict, NotFound, PreconditionFailed
from mlengine.names import ObjectUrl
from mlengine.storage.domain import Attributes, Conditions, ListQuery, Object
from mlengine.storage.service import Source, StorageService
from tests.conftest import HandClock


@pytest.fixture
def blobs() -> MemoryBlobs:
    return MemoryBlobs()


@pytest.fixture
def service(database: SqlDatabase, blobs: MemoryBlobs, clock: HandClock) -> StorageService:
    made = StorageService(database, blobs, clock, small=-1)
    made.buckets.create("bucket", "demo-project", versioning=True)
    return made


def url(name: str) -> ObjectUrl:
    return ObjectUrl("bucket", name)


def content(service: StorageService, name: str, generation: int | None = None) -> bytes:
    return b"".join(service.open(url(name), generation=generation)[1])


def everything(service: StorageService, **query: object) -> list[tuple[str, int, bool]]:
    """Name, generation and whether it is live, page by page."""
    asked = ListQuery(versions=True, **query)  # type: ignore[arg-type]
    found: list[Object] = []
    while True:
        page = service.list("bucket", asked)
        found += page.items
        if not page.token:
            return [(item.name, item.generation, item.deleted is None) for item in found]
        asked = replace(asked, token=page.token)


def test_what_is_replaced_can_still_be_read_by_its_generation(
    service: StorageService, clock: HandClock
) -> None:
    first = service.write(url("a"), [b"first"])
    clock.forward()
    second = service.write(url("a"), [b"second"])

    assert content(service, "a") == b"second"
    assert content(service, "a", first.generation) == b"first"
    assert content(service, "a", second.generation) == b"second"
    old = service.get(url("a"), generation=first.generation)
    assert (old.deleted, old.created) == (clock.now, first.created)
    assert service.get(url("a")).deleted is None
    with pytest.raises(NotFound, match="no generation 7"):
        service.get(url("a"), generation=7)


def test_a_deleted_object_is_out_of_sight_but_not_gone(service: StorageService) -> None:
    only = service.write(url("a"), [b"x"])

    service.delete(url("a"))

    assert not service.exists(url("a"))
    assert service.list("bucket", ListQuery()).items == ()
    assert content(service, "a", only.generation) == b"x"
    assert everything(service) == [("a", only.generation, False)]
    with pytest.raises(NotFound):
        service.delete(url("a"))


def test_a_generation_that_is_named_is_deleted_for_good(service: StorageService, blobs: MemoryBlobs) -> None:
    first, second, third = (service.write(url("a"), [b"%d" % number]) for number in range(3))

    service.delete(url("a"), generation=second.generation)
    service.delete(url("a"), generation=third.generation)

    assert everything(service) == [("a", first.generation, False)]
    assert [blob.key for blob in blobs.list()] == [first.blob]
    with pytest.raises(NotFound):
        service.delete(url("a"), generation=third.generation)
    with pytest.raises(PreconditionFailed):
        service.delete(
            url("a"), generation=first.generation, conditions=Conditions(generation=third.generation)
        )


def test_an_old_generation_is_restored_by_copying_it(service: StorageService, blobs: MemoryBlobs) -> None:
    first = service.put(url("a"), [b"first"], attributes=Attributes(content_type="text/first"))
    second = service.write(url("a"), [b"second"])

    restored = service.copy(Source(url=url("a"), generation=first.generation), url("a"))

    assert content(service, "a") == b"first"
    assert (restored.deleted, restored.attributes.content_type) == (None, "text/first")
    assert everything(service) == [
        ("a", first.generation, False),
        ("a", second.generation, False),
        ("a", restored.generation, True),
    ]
    assert len(list(blobs.list())) == 2
    service.delete(url("a"), generation=first.generation)
    assert content(service, "a") == b"first"


def test_a_move_leaves_the_source_as_a_noncurrent_generation(service: StorageService) -> None:
    source = service.write(url("a"), [b"x"])

    target = service.copy(Source(url=url("a")), url("b"), move=True)

    assert everything(service) == [("a", source.generation, False), ("b", target.generation, True)]


def test_an_old_generation_can_be_moved_away(service: StorageService) -> None:
    first = service.write(url("a"), [b"first"])
    second = service.write(url("a"), [b"second"])

    moved = service.copy(Source(url=url("a"), generation=first.generation), url("b"), move=True)

    assert everything(service) == [("a", second.generation, True), ("b", moved.generation, True)]
    assert content(service, "b") == b"first"


def test_what_is_said_about_an_old_generation_can_be_changed(service: StorageService) -> None:
    first = service.write(url("a"), [b"first"])
    service.write(url("a"), [b"second"])

    service.change(url("a"), lambda _: Attributes(content_type="text/x"), generation=first.generation)

    changed = service.get(url("a"), generation=first.generation)
    assert (changed.attributes.content_type, changed.metageneration) == ("text/x", 2)
    assert changed.deleted is not None
    assert service.get(url("a")).metageneration == 1


def test_old_generations_are_composed(service: StorageService) -> None:
    first = service.write(url("a"), [b"1"])
    service.write(url("a"), [b"2"])

    service.compose(url("c"), [Source(url=url("a"), generation=first.generation), Source(url=url("a"))])

    assert content(service, "c") == b"12"


def test_a_bucket_with_noncurrent_generations_is_not_empty(service: StorageService) -> None:
    only = service.write(url("a"), [b"x"])
    service.delete(url("a"))

    with pytest.raises(Conflict, match="noncurrent"):
        service.buckets.delete("bucket")
    service.delete(url("a"), generation=only.generation)
    service.buckets.delete("bucket")


def test_versioning_can_be_switched_off_and_keeps_what_is_kept(service: StorageService) -> None:
    first = service.write(url("a"), [b"first"])
    second = service.write(url("a"), [b"second"])

    service.buckets.change("bucket", lambda bucket: replace(bucket, versioning=False))
    third = service.write(url("a"), [b"third"])
    service.delete(url("a"))

    assert everything(service) == [("a", first.generation, False)]
    assert third.generation > second.generation
    service.buckets.change("bucket", lambda bucket: replace(bucket, versioning=True))
    service.write(url("b"), [b"x"])
    service.delete(url("b"))
    assert len(everything(service)) == 2


def test_generations_grow_past_the_noncurrent_ones_though_the_clock_was_set_back(
    database: SqlDatabase, service: StorageService, blobs: MemoryBlobs, clock: HandClock
) -> None:
    first = service.write(url("a"), [b"first"])
    service.delete(url("a"))

    clock.forward(-3600)
    restarted = StorageService(database, blobs, clock, small=-1)

    assert restarted.write(url("a"), [b"second"]).generation > first.generation


def test_an_upload_in_parts_is_known_after_its_object_became_noncurrent(service: StorageService) -> None:
    from mlengine.storage.domain import UNCLAIMED, Span

    upload = service.uploads.start(
        url("a"), attributes=Attributes(), conditions=Conditions(), claimed=UNCLAIMED, total=1
    )
    done = service.uploads.send("bucket", upload, Span(start=0, end=1), [b"x"], claimed=UNCLAIMED).done
    assert done
    service.write(url("a"), [b"y"])

    again = service.uploads.send("bucket", upload, Span(), [], claimed=UNCLAIMED).done

    assert again and again.generation == done.generation


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_a_listing_of_versions_goes_by_name_and_generation(service: StorageService, limit: int) -> None:
    expected = []
    for name in ("b", "a", "d/", "d/x", "한"):
        generations = [service.write(url(name), [b"x"]).generation for _ in range(3)]
        if name != "a":
            service.delete(url(name))
        expected += [(name, number, name == "a" and number == generations[-1]) for number in generations]

    assert everything(service, limit=limit) == sorted(expected, key=lambda item: (item[0].encode(), item[1]))


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
@pytest.mark.parametrize("trailing", [False, True])
def test_a_listing_of_versions_folds_names_once(service: StorageService, limit: int, trailing: bool) -> None:
    for name in ("a", "d/", "d/x", "d/y", "e"):
        service.write(url(name), [b"1"])
        service.write(url(name), [b"2"])
    query = ListQuery(versions=True, delimiter="/", limit=limit, trailing=trailing)
    names: list[str] = []
    prefixes: list[str] = []

    while True:
        page = service.list("bucket", query)
        names += [item.name for item in page.items]
        prefixes += page.prefixes
        if not page.token:
            break
        query = replace(query, token=page.token)

    assert names == ["a", "a", *(["d/", "d/"] if trailing else []), "e", "e"]
    assert prefixes == ["d/"]


def test_a_plain_bucket_keeps_nothing(service: StorageService, blobs: MemoryBlobs) -> None:
    service.buckets.create("plain", "demo-project")
    plain = ObjectUrl("plain", "a")
    first = service.write(plain, [b"first"])
    service.write(plain, [b"second"])

    service.delete(plain)

    assert service.list("plain", ListQuery(versions=True)).items == ()
    assert list(blobs.list()) == []
    with pytest.raises(NotFound):
        service.get(plain, generation=first.generation)
