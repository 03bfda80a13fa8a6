"""Deleting what crashes and vanished clients left behind. Nothing that is referred to is touched."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from mlengine.database import Database
from mlengine.storage import store
from mlengine.storage.blobs import BlobInfo, Blobs

# How long a blob that nobody refers to is left alone. Those on their way are known; this is for what a
# predecessor of this process may still be doing, and for clocks that disagree.
ABANDONED_AFTER = timedelta(hours=1)
_PORTION = 500  # keys in one question to the database


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What a collection has deleted: blobs, the bytes of abandoned ones, and unfinished uploads."""

    blobs: int
    size: int
    uploads: int


def collect(
    database: Database,
    blobs: Blobs,
    *,
    uploads_before: datetime,
    blobs_before: datetime,
    on_their_way: Callable[[], Set[str]],
) -> Collected:
    """Delete idle uploads, marked blobs, and old blobs nobody refers to. May run beside everything else.

    Args:
        uploads_before: Uploads that nobody has gone on with since then expire.
        blobs_before: Blobs written since then are left alone.
        on_their_way: Tells which blobs wait for their name, see `Changes.on_their_way`.
    """
    with database.begin() as db:
        expired = store.uploads_before(db, uploads_before)
        for upload in expired:
            store.remove_upload(db, upload.id)
    with database.read() as db:
        marked = store.garbage(db)
    for key in marked:
        blobs.delete(key)
    with database.begin() as db:
        store.forget_garbage(db, marked)
    count = size = 0
    for blob in abandoned(database, blobs, before=blobs_before, on_their_way=on_their_way):
        blobs.delete(blob.key)
        count += 1
        size += blob.size
    unfinished = sum(upload.done_generation is None for upload in expired)
    return Collected(blobs=count + len(marked), size=size, uploads=unfinished)


def abandoned(
    database: Database, blobs: Blobs, *, before: datetime, on_their_way: Callable[[], Set[str]]
) -> Iterator[BlobInfo]:
    """Blobs written before a moment that nobody refers to, nor will: names only go to blobs that have one,
    or are on their way.
    """
    old = (blob for blob in blobs.list() if blob.changed < before)
    while portion := list(islice(old, _PORTION)):
        # In this order, after the listing: what has been named meanwhile is seen as used.
        landing = on_their_way()
        with database.read() as db:
            used = store.in_use(db, (blob.key for blob in portion))
        yield from (blob for blob in portion if blob.key not in used and blob.key not in landing)
