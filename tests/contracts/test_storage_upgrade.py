"""A database of the first release, with rows in it, is taken over by this one."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, text

import mlengine.backends.database
from mlengine.backends.blobs_memory import MemoryBlobs
from mlengine.backends.database import open_database
from mlengine.names import ObjectUrl
from mlengine.storage import store_usage
from mlengine.storage.domain import ListQuery
from mlengine.storage.quotas import Usage
from mlengine.storage.service import Source, StorageService
from tests.conftest import HandClock

MIGRATIONS = Path(mlengine.backends.database.__file__).parent / "migrations"
THEN = "2026-11-01T12:00:00.000000Z"


def first_release(db: Connection) -> None:
    """The tables as 0001 made them, and two projects' objects."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = db
    command.upgrade(config, "0001")
    for bucket, project in (
        ("first", "demo-project"),
        ("second", "demo-project"),
        ("third", "other-project"),
    ):
        db.execute(
            text(
                "INSERT INTO storage_buckets (name, project, created, updated, location, storage_class,"
                " labels, metageneration) VALUES (:bucket, :project, :then, :then, 'US', 'STANDARD', '{}', 1)"
            ),
            {"bucket": bucket, "project": project, "then": THEN},
        )
    for bucket, name, size in (
        ("first", "한/a", 5),
        ("first", "b", 0),
        ("second", "a", 5),
        ("third", "a", 7),
    ):
        db.execute(
            text(
                "INSERT INTO storage_objects (bucket, name, generation, metageneration, blob, size, crc32c,"
                " md5, components, created, updated, attributes) VALUES (:bucket, :name, 17, 1, :blob, :size,"
                " 2591144652, '', 0, :then, :then, '{}')"
            ),
            {"bucket": bucket, "name": name.encode(), "blob": f"blob{size}", "size": size, "then": THEN},
        )


@pytest.fixture
def old_url(empty_url: str) -> str:
    engine = create_engine(empty_url)
    with engine.begin() as db:
        first_release(db)
    engine.dispose()
    return empty_url


def test_what_was_stored_by_the_first_release_is_there_and_counted(old_url: str, clock: HandClock) -> None:
    blobs = MemoryBlobs()
    for blob, content in (("blob5", b"hello"), ("blob0", b""), ("blob7", b"goodbye")):
        blobs.write(blob, [content])

    database = open_database(old_url)
    service = StorageService(database, blobs, clock)

    found = service.get(ObjectUrl("first", "한/a"))
    assert (found.generation, found.deleted) == (17, None)
    assert found.created == datetime(2026, 11, 1, 12, tzinfo=UTC)
    assert b"".join(service.open_read(found.url)) == b"hello"
    assert not service.buckets.get("first").versioning
    with database.read() as db:
        assert store_usage.all_usage(db) == {
            "demo-project": Usage(objects=3, size=10),
            "other-project": Usage(objects=1, size=7),
        }
    database.close()


def test_a_taken_over_database_works_on(old_url: str, clock: HandClock) -> None:
    blobs = MemoryBlobs()
    for blob in ("blob5", "blob0", "blob7"):
        blobs.write(blob, [b"x" * int(blob[-1])])
    database = open_database(old_url)
    service = StorageService(database, blobs, clock)
    place = ObjectUrl("second", "a")

    service.write(place, [b"new"])
    service.copy(Source(url=ObjectUrl("first", "한/a")), ObjectUrl("third", "copy"))
    service.delete(ObjectUrl("first", "b"))

    assert [item.name for item in service.list("third", ListQuery()).items] == ["a", "copy"]
    with database.read() as db:
        assert store_usage.all_usage(db) == store_usage.recounted(db)
        assert store_usage.usage(db, "demo-project") == Usage(objects=2, size=8)
    database.close()


def test_opening_a_taken_over_database_again_changes_nothing(old_url: str) -> None:
    open_database(old_url).close()

    again = open_database(old_url)

    with again.read() as db:
        assert store_usage.all_usage(db) == store_usage.recounted(db)
    again.close()
