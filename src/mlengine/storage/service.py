"""What can be done with objects.

A content is stored as a blob first; then one transaction makes it visible under its name and marks the blob
it replaces for deletion, and only then is that one deleted. So an object is there wholly or not at all.
"""

from __future__ import annotations

import builtins
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from threading import Lock

from sqlalchemy import Connection

from mlengine.clock import Clock
from mlengine.database import Database
from mlengine.errors import Internal, InvalidArgument, NotFound, Problem
from mlengine.names import ObjectUrl
from mlengine.storage import store
from mlengine.storage.blobs import Blobs, Pieces
from mlengine.storage.buckets import BucketService
from mlengine.storage.changing import Changes
from mlengine.storage.collecting import Collected, collect
from mlengine.storage.domain import (
    ANY,
    MOST_SOURCES,
    UNCLAIMED,
    Attributes,
    Conditions,
    Hashes,
    Listing,
    ListQuery,
    Object,
    check_name,
)
from mlengine.storage.hashing import Digest
from mlengine.storage.tree import plan_tree, write_tree
from mlengine.storage.uploads import Uploads

_ATTEMPTS = 5  # to open an object that others keep replacing


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """An object that is copied or composed, and what must hold for it."""

    url: ObjectUrl
    generation: int | None = None
    conditions: Conditions = ANY


class StorageService:
    """Objects. Every verb raises NotFound for a bucket or object that is not there.

    Attributes:
        buckets: What can be done with buckets themselves.
        uploads: Uploads in several requests.
    """

    def __init__(self, database: Database, blobs: Blobs, clock: Clock) -> None:
        self._database = database
        self._blobs = blobs
        self._clock = clock
        self._changes = Changes(database, blobs)
        self._latest = 0  # generation
        self._lock = Lock()
        self.buckets = BucketService(database, self._changes, clock)
        self.uploads = Uploads(database, blobs, clock, adopt=self.adopt)

    def now(self) -> datetime:
        """What this service takes for the present."""
        return self._clock()

    def get(self, url: ObjectUrl, *, generation: int | None = None, conditions: Conditions = ANY) -> Object:
        """What is known about an object.

        Raises:
            NotModified, PreconditionFailed: as `conditions` demand.
        """
        with self._database.read() as db:
            found = _live(db, url, generation)
        conditions.check(found, reading=True)
        return found

    def list(self, bucket: str, query: ListQuery) -> Listing:
        """One page of a bucket's objects, in the order of their UTF-8 bytes."""
        with self._database.read() as db:
            store.get_bucket(db, bucket)
            return store.page(db, bucket, query)

    def open(
        self,
        url: ObjectUrl,
        *,
        span: Callable[[Object], tuple[int, int]] = lambda found: (0, found.size),
        generation: int | None = None,
        conditions: Conditions = ANY,
    ) -> tuple[Object, Pieces]:
        """Open an object's content, which stays readable even when the object is deleted meanwhile.

        Args:
            span: Tells which bytes to read: from, and up to but without.

        Raises:
            NotModified, PreconditionFailed: as `conditions` demand.
        """
        for _ in range(_ATTEMPTS):
            found = self.get(url, generation=generation, conditions=conditions)
            start, end = span(found)
            try:
                return found, self._blobs.read(found.blob, start, end)
            except KeyError:
                continue  # replaced between the two steps: look again
        raise Internal(
            f"The content of {url} is missing in the blob store.", hint=f"It was blob {found.blob}."
        )

    def put(
        self,
        url: ObjectUrl,
        chunks: Iterable[bytes],
        *,
        attributes: Attributes | None = None,
        conditions: Conditions = ANY,
        claimed: Hashes = UNCLAIMED,
        components: int = 0,
    ) -> Object:
        """Store a content under a name, in place of what was there.

        Args:
            claimed: Hashes the sender computed.
            components: See `Object`; a composed object gets no MD5.

        Raises:
            InvalidArgument: a bad name, or damaged content; nothing is stored then.
            PreconditionFailed: a condition does not hold, before or after the content has come.
        """
        check_name(url.object)
        with self._database.read() as db:
            store.get_bucket(db, url.bucket)
            conditions.check(store.find(db, url))
        blob = uuid.uuid4().hex
        digest = Digest(md5=not components)
        size = self._blobs.write(blob, digest.through(chunks))
        try:
            claimed.check(digest.hashes())
            return self.adopt(
                url,
                blob,
                size=size,
                hashes=digest.hashes(),
                attributes=attributes or Attributes(),
                conditions=conditions,
                components=components,
            )
        except Problem:
            # Of any other exception nobody can say whether the transaction took place: the collection will.
            self._blobs.delete(blob)
            raise

    def adopt(
        self,
        url: ObjectUrl,
        blob: str,
        *,
        size: int,
        hashes: Hashes,
        attributes: Attributes,
        conditions: Conditions,
        components: int = 0,
        also: Callable[[Connection, Object], None] | None = None,
    ) -> Object:
        """Give a sealed blob a name.

        Args:
            also: Runs in the same transaction.

        Raises:
            PreconditionFailed: a condition does not hold.
        """
        now = self._clock()
        with self._changes.begin(url.bucket) as change:
            old = store.find(change.db, url)
            conditions.check(old)
            new = Object(
                bucket=url.bucket,
                name=url.object,
                generation=self._next_generation(old),
                blob=blob,
                size=size,
                crc32c=hashes.crc32c or 0,
                md5=hashes.md5 or "",
                components=components,
                created=now,
                updated=now,
                attributes=attributes,
            )
            change.dropped.append(store.put(change.db, new, old))
            if also:
                also(change.db, new)
        return new

    def copy(
        self,
        source: Source,
        target: ObjectUrl,
        *,
        attributes: Attributes | None = None,
        conditions: Conditions = ANY,
        move: bool = False,
    ) -> Object:
        """Copy an object, in no time whatever its size: contents never change, so two objects can share one.

        Args:
            attributes: Those of the copy; None keeps those of the source.
            conditions: What must hold for the target.
            move: Whether the source is deleted in the same breath.

        Raises:
            InvalidArgument: a bad target name, or an object is to be moved onto itself.
            PreconditionFailed: a condition does not hold.
        """
        check_name(target.object)
        if move and source.url == target:
            raise InvalidArgument(f"{target} cannot be moved onto itself.")
        now = self._clock()
        with self._changes.begin(source.url.bucket, target.bucket) as change:
            found = _live(change.db, source.url, source.generation)
            source.conditions.check(found)
            old = store.find(change.db, target)
            conditions.check(old)
            new = replace(
                found,
                bucket=target.bucket,
                name=target.object,
                generation=self._next_generation(old),
                metageneration=1,
                created=now,
                updated=now,
                attributes=attributes or found.attributes,
            )
            change.dropped.append(store.put(change.db, new, old))
            if move:
                change.dropped.append(store.remove(change.db, found))
        return new

    def compose(
        self,
        target: ObjectUrl,
        sources: Sequence[Source],
        *,
        attributes: Attributes | None = None,
        conditions: Conditions = ANY,
    ) -> Object:
        """Join up to 32 objects into one, which may be one of them.

        Raises:
            InvalidArgument: no source, or too many.
            PreconditionFailed: a condition does not hold.
        """
        if not 1 <= len(sources) <= MOST_SOURCES:
            raise InvalidArgument(
                f"An object is composed of 1 to {MOST_SOURCES} others, not of {len(sources)}."
            )
        opened = [
            self.open(source.url, generation=source.generation, conditions=source.conditions)
            for source in sources
        ]
        try:
            return self.put(
                target,
                (piece for _, pieces in opened for piece in pieces),
                attributes=attributes or replace(opened[0][0].attributes, metadata={}),
                conditions=conditions,
                components=sum(max(1, found.components) for found, _ in opened),
            )
        finally:
            for _, pieces in opened:
                pieces.close()

    def change(
        self,
        url: ObjectUrl,
        change: Callable[[Attributes], Attributes],
        *,
        generation: int | None = None,
        conditions: Conditions = ANY,
    ) -> Object:
        """Change what is said about an object; its content and generation stay.

        Raises:
            PreconditionFailed: a condition does not hold.
        """
        with self._changes.begin(url.bucket) as open_change:
            old = _live(open_change.db, url, generation)
            conditions.check(old)
            new = replace(
                old,
                attributes=change(old.attributes),
                metageneration=old.metageneration + 1,
                updated=self._clock(),
            )
            store.put(open_change.db, new, old)
        return new

    def delete(self, url: ObjectUrl, *, generation: int | None = None, conditions: Conditions = ANY) -> None:
        """Delete an object. Whoever reads it now reads on to its end.

        Raises:
            PreconditionFailed: a condition does not hold.
        """
        with self._changes.begin(url.bucket) as change:
            old = _live(change.db, url, generation)
            conditions.check(old)
            change.dropped.append(store.remove(change.db, old))

    def collect(self, older_than: timedelta) -> Collected:
        """Delete what crashes and vanished clients left behind: meant for the start of the server.

        Args:
            older_than: How long an unfinished upload, or a blob without an object, is left alone.
        """
        return collect(self._database, self._blobs, before=self._clock() - older_than)

    def open_read(self, url: ObjectUrl) -> Pieces:
        """The content of an object, for other parts of the server."""
        return self.open(url)[1]

    def write(self, url: ObjectUrl, chunks: Iterable[bytes], *, content_type: str = "") -> Object:
        """Store an object, for other parts of the server."""
        return self.put(url, chunks, attributes=Attributes(content_type=content_type))

    def exists(self, url: ObjectUrl) -> bool:
        """Whether there is such an object; of a URL with a final slash (or a bucket's), anything below it."""
        try:
            if url.object and not url.object.endswith("/"):
                self.get(url)
                return True
            return bool(self.list(url.bucket, ListQuery(prefix=url.object, limit=1)).items)
        except NotFound:
            return False

    def list_under(self, url: ObjectUrl) -> Iterator[Object]:
        """All objects below a folder, in the order of their names; the folder's own marker is one of them."""
        query = ListQuery(prefix=_folder(url))
        while True:
            page = self.list(url.bucket, query)
            yield from page.items
            if not page.token:
                return
            query = replace(query, token=page.token)

    def paths_under(self, url: ObjectUrl, most: int) -> builtins.list[str]:
        """The paths of at most `most` objects below a folder, relative to it and without folder markers."""
        start = len(_folder(url))
        names = (found.name[start:] for found in self.list_under(url))
        return list(islice((name for name in names if name and not name.endswith("/")), most))

    def fetch_tree(self, url: ObjectUrl, target: Path) -> int:
        """Download all objects below a folder into the directory `target`, which is made if need be.

        Returns:
            The number of files written.

        Raises:
            NotFound: there is nothing below `url`.
            FailedPrecondition: an object's name cannot be a file in there ("../x", "/x", "a" beside "a/b");
                nothing is written then.
            Internal: a content does not have its checksum.
        """
        plan = plan_tree(self.list_under(url), prefix=_folder(url))
        if not plan:
            raise NotFound(f"There is nothing below {url}.", hint=f"Look with 'mlengine storage ls {url}'.")
        return write_tree(plan, target, open_read=lambda found: self.open(found.url)[1])

    def _next_generation(self, old: Object | None) -> int:
        now = int(self._clock().timestamp() * 1_000_000)
        with self._lock:
            self._latest = max(now, self._latest + 1, old.generation + 1 if old else 0)
            return self._latest


def _folder(url: ObjectUrl) -> str:
    return f"{url.object.rstrip('/')}/" if url.object.strip("/") else url.object


def _live(db: Connection, url: ObjectUrl, generation: int | None) -> Object:
    found = store.find(db, url) if url.object else None
    if found is None or generation not in (None, found.generation):
        store.get_bucket(db, url.bucket)
        number = f" of generation {generation}" if generation is not None and found else ""
        raise NotFound(f"There is no object {url}{number}.")
    return found
