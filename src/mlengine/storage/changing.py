"""Write transactions of storage: buckets are locked in them, what they store is counted, and blobs without an
owner are deleted after them.
"""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from mlengine.clock import Clock
from mlengine.database import Database
from mlengine.storage import store, store_usage
from mlengine.storage.blobs import Blobs
from mlengine.storage.domain import Bucket, Object
from mlengine.storage.quotas import NO_QUOTA, Ceiling, Quota, Usage


class Change:
    """A transaction that is open.

    Attributes:
        db: Its connection.
        now: When it began.
        dropped: Blobs to delete once it is committed; the empty key stands for none.
        counted: By how much what each project stores changes.
    """

    def __init__(self, db: Connection, buckets: dict[str, Bucket], now: datetime) -> None:
        self.db = db
        self.now = now
        self.dropped: list[str] = []
        self.counted: dict[str, Usage] = {}
        self._buckets = buckets

    def put(self, new: Object, old: Object | None) -> None:
        """Make `new` the live object under its name, in place of the live `old`. Its bucket is locked."""
        if old is None:
            store.add(self.db, new)
        else:
            store.save(self.db, new)
            self._let_go(old)
        self._count(new, Usage(objects=1, size=new.size))

    def retire(self, old: Object) -> None:
        """Take a live object out of sight: a versioned bucket keeps it, any other forgets it."""
        store.remove(self.db, old)
        self._let_go(old)

    def erase(self, old: Object) -> None:
        """Forget an object, live or not, for good."""
        store.remove(self.db, old)
        self._forget(old)

    def _let_go(self, old: Object) -> None:
        if self._buckets[old.bucket].versioning:
            store.add(self.db, replace(old, deleted=self.now))
        else:
            self._forget(old)

    def _forget(self, old: Object) -> None:
        self.dropped.append(store.drop_blob(self.db, old.blob))
        self._count(old, Usage(objects=-1, size=-old.size))

    def _count(self, found: Object, change: Usage) -> None:
        project = self._buckets[found.bucket].project
        self.counted[project] = self.counted.get(project, Usage()) + change


class Changes:
    """Where all writing begins. One per server: it knows which blobs are on their way, and takes marks of
    deleted ones back in passing.

    Args:
        quota: How much each project may store.
    """

    def __init__(self, database: Database, blobs: Blobs, clock: Clock, quota: Quota = NO_QUOTA) -> None:
        self._database = database
        self._blobs = blobs
        self._clock = clock
        self._quota = quota
        self._deleted: deque[str] = deque()
        self._landing: set[str] = set()

    @contextmanager
    def begin(self, *buckets: str) -> Iterator[Change]:
        """A write transaction in which nobody else changes `buckets` or what lies in them.

        Raises:
            NotFound: one of the buckets is not there.
            QuotaExceeded: at its end, a project would store more than it may; nothing has changed then.
        """
        with self._database.begin() as db:
            # Their own transaction would cost a write to the disk. A mark that stays does no harm.
            store.forget_garbage(db, [self._deleted.popleft() for _ in range(len(self._deleted))])
            locked = {bucket: store.get_bucket(db, bucket, lock=True) for bucket in sorted(set(buckets))}
            change = Change(db, locked, self._clock())
            yield change
            # Last of all: every writer of the project waits for this row until the transaction ends.
            for project, counted in sorted(change.counted.items()):
                if counted != Usage():
                    now = store_usage.add_usage(db, project, counted)
                    self._quota.check(project, used=now + -counted, change=counted)
        for blob in filter(None, change.dropped):
            self._blobs.delete(blob)
            self._deleted.append(blob)

    @contextmanager
    def landing(self) -> Iterator[str]:
        """The key of a new blob, which nobody takes for abandoned before the block ends."""
        blob = uuid.uuid4().hex
        self._landing.add(blob)
        try:
            yield blob
        finally:
            self._landing.discard(blob)

    def on_their_way(self) -> frozenset[str]:
        """Blobs whose content is arriving, or waits for its name.

        Whoever wants to know whether a blob is abandoned asks this first and the database then: what has
        landed in between is found there.
        """
        return frozenset(self._landing.copy())

    def ceiling(self, db: Connection, bucket: Bucket, old: Object | None) -> Ceiling:
        """How long a content may become that is to replace `old`."""
        return Ceiling(
            project=bucket.project,
            quota=self._quota,
            used=store_usage.usage(db, bucket.project) if self._quota else Usage(),
            replaced=Usage(objects=1, size=old.size) if old and not bucket.versioning else Usage(),
        )
