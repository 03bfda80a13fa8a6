"""Write transactions of storage: buckets are locked in them, blobs without an owner deleted after them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import Connection

from mlengine.database import Database
from mlengine.storage import store
from mlengine.storage.blobs import Blobs


@dataclass(frozen=True, slots=True)
class Change:
    """A transaction that is open.

    Attributes:
        db: Its connection.
        dropped: Blobs to delete once it is committed; the empty key stands for none.
    """

    db: Connection
    dropped: list[str] = field(default_factory=list)


class Changes:
    """Where all writing begins. One per server, so that marks of deleted blobs are taken back in passing."""

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self._database = database
        self._blobs = blobs
        self._deleted: deque[str] = deque()

    @contextmanager
    def begin(self, *buckets: str) -> Iterator[Change]:
        """A write transaction in which nobody else changes `buckets` or what lies in them.

        Raises:
            NotFound: one of the buckets is not there.
        """
        with self._database.begin() as db:
            # Their own transaction would cost a write to the disk. A mark that stays does no harm.
            store.forget_garbage(db, [self._deleted.popleft() for _ in range(len(self._deleted))])
            for bucket in sorted(set(buckets)):
                store.get_bucket(db, bucket, lock=True)
            change = Change(db)
            yield change
        for blob in filter(None, change.dropped):
            self._blobs.delete(blob)
            self._deleted.append(blob)
