"""Deleting what crashes and vanished clients left behind. Nothing that is referred to is touched."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from mlengine.database import Database
from mlengine.storage import store
from mlengine.storage.blobs import Blobs

_PORTION = 500  # keys in one question to the database


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What a collection has deleted: blobs, their bytes, and unfinished uploads."""

    blobs: int
    size: int
    uploads: int


def collect(database: Database, blobs: Blobs, *, before: datetime) -> Collected:
    """Delete marked blobs, and what is older than `before`: idle uploads and blobs nobody refers to.

    May run beside everything else, as long as no single request takes longer than from `before` to now.
    """
    with database.read() as db:
        marked = store.garbage(db)
    for key in marked:
        blobs.delete(key)
    with database.begin() as db:
        store.forget_garbage(db, marked)
        expired = store.uploads_before(db, before)
        for upload in expired:
            store.remove_upload(db, upload.id)
    count = size = 0
    # Asked for in portions after the listing, so that what has been named meanwhile is seen as used.
    unknown = (blob for blob in blobs.list() if blob.changed < before)
    while portion := list(islice(unknown, _PORTION)):
        with database.read() as db:
            used = store.in_use(db, (blob.key for blob in portion))
        for blob in portion:
            if blob.key not in used:
                blobs.delete(blob.key)
                count += 1
                size += blob.size
    unfinished = sum(upload.done_generation is None for upload in expired)
    return Collected(blobs=count + len(marked), size=size, uploads=unfinished)
