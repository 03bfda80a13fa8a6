"""Listings against the plainest model of them: sort all names, go through all of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, event, insert

from mlengine.backends.database import SqlDatabase
from mlengine.storage.domain import ListQuery
from mlengine.storage.service import StorageService
from mlengine.storage.store import OBJECTS
from tests.conftest import HandClock


def fill(database: SqlDatabase, clock: HandClock, names: list[str]) -> None:
    row: dict[str, Any] = {
        "bucket": "bucket",
        "generation": 1,
        "metageneration": 1,
        "blob": "b",
        "size": 0,
        "crc32c": 0,
        "md5": "",
        "components": 0,
        "created": clock(),
        "updated": clock(),
        "attributes": {},
    }
    with database.begin() as db:
        db.execute(delete(OBJECTS))
        if names:
            db.execute(insert(OBJECTS), [row | {"name": name.encode()} for name in names])


def model(names: list[str], query: ListQuery) -> tuple[list[str], list[str]]:
    items: list[str] = []
    prefixes: list[str] = []
    for name in sorted(names, key=str.encode):
        raw = name.encode()
        if not name.startswith(query.prefix) or raw < query.start.encode():
            continue
        if query.end and raw >= query.end.encode():
            continue
        at = name.find(query.delimiter, len(query.prefix)) if query.delimiter else -1
        folder = name[: at + len(query.delimiter)] if at >= 0 else ""
        if not folder or (query.trailing and name == folder):
            items.append(name)
        if folder and folder not in prefixes:
            prefixes.append(folder)
    return items, prefixes


def paged(service: StorageService, query: ListQuery) -> tuple[list[str], list[str], int]:
    items: list[str] = []
    prefixes: list[str] = []
    pages = 0
    while True:
        page = service.list("bucket", query)
        pages += 1
        items += [item.name for item in page.items]
        prefixes += page.prefixes
        assert len(page.items) + len(page.prefixes) <= query.limit + (query.limit == 1 and query.trailing)
        if not page.token:
            return items, prefixes, pages
        query = replace(query, token=page.token)


NAMES = st.text(alphabet="ab/-0한\U0001f600\uffff", min_size=1, max_size=6)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.lists(NAMES, max_size=25, unique=True),
    prefix=st.just("") | NAMES,
    delimiter=st.sampled_from(["", "/", "-", "ab", "한"]),
    start=st.just("") | NAMES,
    end=st.just("") | NAMES,
    limit=st.integers(1, 6),
    trailing=st.booleans(),
)
def test_a_paged_listing_is_the_whole_listing(
    service: StorageService,
    sqlite: SqlDatabase,
    clock: HandClock,
    names: list[str],
    prefix: str,
    delimiter: str,
    start: str,
    end: str,
    limit: int,
    trailing: bool,
) -> None:
    fill(sqlite, clock, names)
    query = ListQuery(
        prefix=prefix, delimiter=delimiter, start=start, end=end, limit=limit, trailing=trailing
    )

    items, prefixes, pages = paged(service, query)

    assert (items, prefixes) == model(names, query)
    assert pages <= len(items) + len(prefixes) + 1


def test_names_sort_by_bytes_on_every_database(database: SqlDatabase, clock: HandClock, blobs: Any) -> None:
    service = StorageService(database, blobs, clock)
    service.buckets.create("bucket", "demo-project")
    names = ["a", "B", "ä", "_", "-", "a/b", "a b", "\U0001f600", "\uffff", "한", "A", "a-b", "ab", "10", "9"]
    fill(database, clock, names)

    items, _, _ = paged(service, ListQuery(limit=4))

    assert items == sorted(names, key=str.encode)


@pytest.mark.parametrize("delimiter", ["", "/"])
def test_a_page_of_a_large_bucket_reads_few_rows(
    service: StorageService, sqlite: SqlDatabase, clock: HandClock, delimiter: str
) -> None:
    fill(sqlite, clock, [f"{folder:02d}/{position:05d}" for folder in range(10) for position in range(2_000)])
    statements: list[str] = []
    event.listen(sqlite._engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))

    page = service.list("bucket", ListQuery(prefix="", delimiter=delimiter, start="03/", limit=100))

    assert len(page.items) + len(page.prefixes) == (7 if delimiter else 100)
    assert len(statements) <= 12
    assert all("LIMIT" in text for text in statements if "storage_objects" in text)
