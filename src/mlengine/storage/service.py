"""What can be done with objects.

A content is stored as a blob first; then one transaction makes it visible under its name and marks the blob
it replaces for deletion, and only then is that one deleted. So an object is there wholly or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain
from threading import Lock

from sqlalchemy import Connection

from mlengine.clock import Clock
from mlengine.database import Database
from mlengine.errors import Internal, InvalidArgument, NotFound, Problem
from mlengine.names import ObjectUrl
from mlengine.storage import store, store_listing
from mlengine.storage.blobs import Blobs, Pieces
from mlengine.storage.buckets import BucketService
from mlengine.storage.changing import Change, Changes
from mlengine.storage.checking import Checks
from mlengine.storage.collecting import ABANDONED_AFTER, Collected, collect
from mlengine.storage.contents import LARGEST_SMALL, Contents, HeldPieces
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
from mlengine.storage.folders import Folders
from mlengine.storage.hashing import LARGEST_WITH_MD5, Digest
from mlengine.storage.parts import Parts
from mlengine.storage.quotas import NO_QUOTA, Quota
from mlengine.storage.uploads import Uploads

_ATTEMPTS = 5  # to open an object that others keep replacing


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """An object that is copied or composed, and what must hold for it."""

    url: ObjectUrl
    generation: int | None = None
    conditions: Conditions = ANY


class StorageService(Folders):
    """Objects. Every verb raises NotFound for a bucket or object that is not there.

    A verb that takes a `generation` means the live object without one, and with one that generation, be it
    live or noncurrent.

    Args:
        quota: How much each project may store.
        project: The id of the project that a request means, as `BucketService` asks for it.
        small: Up to how many bytes a content lies in the database; below 0, none does.

    Attributes:
        buckets: What can be done with buckets themselves.
        uploads: Uploads in several requests, one after the other.
        parts: Uploads in numbered parts, which may come in any order and at once.
        checks: The proof that rows and blobs agree.
    """

    def __init__(
        self,
        database: Database,
        blobs: Blobs,
        clock: Clock,
        *,
        quota: Quota = NO_QUOTA,
        project: Callable[[str], str] = lambda asked: asked,
        small: int = LARGEST_SMALL,
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._clock = clock
        self._changes = Changes(database, blobs, clock, quota)
        self._small = small
        self._latest = 0  # generation
        self._lock = Lock()
        self.buckets = BucketService(database, self._changes, clock, project=project)
        self.uploads = Uploads(database, self._changes, blobs, clock, adopt=self.adopt)
        self.checks = Checks(
            database, blobs, Contents(database, blobs), clock, on_their_way=self._changes.on_their_way
        )
        self.parts = Parts(database, self._changes, blobs, clock, adopt=self.adopt)

    def now(self) -> datetime:
        """What this service takes for the present."""
        return self._clock()

    def get(self, url: ObjectUrl, *, generation: int | None = None, conditions: Conditions = ANY) -> Object:
        """What is known about an object.

        Raises:
            NotModified, PreconditionFailed: as `conditions` demand.
        """
        with self._database.read() as db:
            found = _found(db, url, generation)
        conditions.check(found, reading=True)
        return found

    def list(self, bucket: str, query: ListQuery) -> Listing:
        """One page of a bucket's objects, in the order of their UTF-8 bytes, then of their generations.

        Raises:
            InvalidArgument: the pattern cannot be read.
        """
        with self._database.read() as db:
            store.get_bucket(db, bucket)
            return store_listing.page(db, bucket, query)

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
            found, content = self._read(url, generation)
            conditions.check(found, reading=True)
            start, end = span(found)
            if content is not None:
                return found, HeldPieces(content[start:end])
            try:
                return found, self._blobs.read(found.blob, start, end)
            except KeyError:
                continue  # replaced between the two steps: look again
        raise Internal(
            f"The content of {url} is missing in the blob store.", hint=f"It was blob {found.blob}."
        )

    def _read(self, url: ObjectUrl, generation: int | None) -> tuple[Object, bytes | None]:
        """An object, and its content if that lies in the database."""
        if generation is None:
            with self._database.look() as db:
                if both := store.find_and_read(db, url):
                    return both
        with self._database.read() as db:
            found = _found(db, url, generation)
            return found, store.get_small(db, found.blob) if store.is_small(found.blob) else None

    def put(
        self,
        url: ObjectUrl,
        chunks: Iterable[bytes],
        *,
        attributes: Attributes | None = None,
        conditions: Conditions = ANY,
        claimed: Hashes = UNCLAIMED,
        components: int = 0,
        expected: int | None = None,
    ) -> Object:
        """Store a content under a name, in place of what was there.

        Args:
            expected: Length in bytes, if the sender tells: what does not fit is refused before it comes.
            claimed: Hashes the sender computed.
            components: See `Object`; a composed object gets no MD5.

        Raises:
            InvalidArgument: a bad name, or damaged content; nothing is stored then.
            PreconditionFailed: a condition does not hold, before or after the content has come.
            QuotaExceeded: the project may not store that much.
        """
        check_name(url.object)
        if self._small >= 0 and (expected is None or expected <= self._small):
            beginning, rest = _beginning(chunks, self._small)
            if rest is None:
                digest = Digest(md5=not components).read((beginning,))
                claimed.check(digest.hashes())
                return self.adopt(
                    url,
                    beginning,
                    size=len(beginning),
                    hashes=digest.hashes(),
                    attributes=attributes or Attributes(),
                    conditions=conditions,
                    components=components,
                )
            chunks = rest
        with self._database.read() as db:
            bucket = store.get_bucket(db, url.bucket)
            old = store.find(db, url)
            conditions.check(old)
            ceiling = self._changes.ceiling(db, bucket, old)
        ceiling.check(expected or 0)
        digest = Digest(md5=not components, most=None if claimed.wants_md5 else LARGEST_WITH_MD5)
        with self._changes.landing() as blob:
            size = self._blobs.write(blob, digest.through(ceiling.through(chunks)))
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
                # Of any other exception nobody can say whether the transaction took place: the collection
                # will.
                self._blobs.delete(blob)
                raise

    def adopt(
        self,
        url: ObjectUrl,
        blob: str | bytes,
        *,
        size: int,
        hashes: Hashes,
        attributes: Attributes,
        conditions: Conditions,
        components: int = 0,
        also: Callable[[Change, Object], None] | None = None,
    ) -> Object:
        """Give a sealed blob a name, or a content that is small enough to lie beside it.

        Args:
            blob: The key of the blob, or the content.
            also: Runs in the same transaction.

        Raises:
            PreconditionFailed: a condition does not hold.
            QuotaExceeded: the project may not store that much.
        """
        with self._changes.begin(url.bucket) as change:
            old = store.find(change.db, url)
            conditions.check(old)
            new = Object(
                bucket=url.bucket,
                name=url.object,
                generation=self._next_generation(change.db, url, old),
                blob=blob if isinstance(blob, str) else store.add_small(change.db, blob),
                size=size,
                crc32c=hashes.crc32c or 0,
                md5=hashes.md5 or "",
                components=components,
                created=change.now,
                updated=change.now,
                attributes=attributes,
            )
            change.put(new, old)
            if also:
                also(change, new)
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
        A noncurrent generation copied onto its own name is live again.

        Args:
            attributes: Those of the copy; None keeps those of the source.
            conditions: What must hold for the target.
            move: Whether the source is deleted in the same breath.

        Raises:
            InvalidArgument: a bad target name, or an object is to be moved onto itself.
            PreconditionFailed: a condition does not hold.
            QuotaExceeded: the project may not store that much.
        """
        check_name(target.object)
        if move and source.url == target:
            raise InvalidArgument(f"{target} cannot be moved onto itself.")
        with self._changes.begin(source.url.bucket, target.bucket) as change:
            found = _found(change.db, source.url, source.generation)
            source.conditions.check(found)
            old = store.find(change.db, target)
            conditions.check(old)
            new = replace(
                found,
                bucket=target.bucket,
                name=target.object,
                generation=self._next_generation(change.db, target, old),
                metageneration=1,
                created=change.now,
                updated=change.now,
                attributes=attributes or found.attributes,
                deleted=None,
            )
            change.put(new, old)
            if move and found.deleted is None:
                change.retire(found)
            elif move:
                change.erase(found)
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
                expected=sum(found.size for found, _ in opened),
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
            old = _found(open_change.db, url, generation)
            conditions.check(old)
            new = replace(
                old,
                attributes=change(old.attributes),
                metageneration=old.metageneration + 1,
                updated=open_change.now,
            )
            store.save(open_change.db, new)
        return new

    def delete(self, url: ObjectUrl, *, generation: int | None = None, conditions: Conditions = ANY) -> None:
        """Delete an object. Whoever reads it now reads on to its end.

        In a versioned bucket it becomes noncurrent, unless its generation is named: then it is gone for good.

        Raises:
            PreconditionFailed: a condition does not hold.
        """
        with self._changes.begin(url.bucket) as change:
            old = _found(change.db, url, generation)
            conditions.check(old)
            if generation is None:
                change.retire(old)
            else:
                change.erase(old)

    def collect(self, older_than: timedelta) -> Collected:
        """Delete what crashes and vanished clients left behind; may run beside everything else.

        Args:
            older_than: How long an unfinished upload is left alone.
        """
        now = self._clock()
        return collect(
            self._database,
            self._blobs,
            uploads_before=now - older_than,
            blobs_before=now - ABANDONED_AFTER,
            on_their_way=self._changes.on_their_way,
        )

    def write(self, url: ObjectUrl, chunks: Iterable[bytes], *, content_type: str = "") -> Object:
        """Store an object, for other parts of the server."""
        return self.put(url, chunks, attributes=Attributes(content_type=content_type))

    def _next_generation(self, db: Connection, url: ObjectUrl, old: Object | None) -> int:
        now = int(self._clock().timestamp() * 1_000_000)
        # A live object is younger than all of its past, even if the clock was set back since.
        before = old.generation if old else store.latest_generation(db, url)
        with self._lock:
            self._latest = max(now, self._latest + 1, before + 1)
            return self._latest


def _beginning(chunks: Iterable[bytes], most: int) -> tuple[bytes, Iterable[bytes] | None]:
    """What has at most so many bytes, and None; of anything longer b"", and the same chunks."""
    pieces: list[bytes] = []
    rest = iter(chunks)
    size = 0
    for piece in rest:
        pieces.append(piece)
        size += len(piece)
        if size > most:
            return b"", chain(pieces, rest)
    return b"".join(pieces), None


def _found(db: Connection, url: ObjectUrl, generation: int | None) -> Object:
    found = store.find(db, url, generation) if url.object else None
    if found is None:
        store.get_bucket(db, url.bucket)
        if generation is None:
            raise NotFound(f"There is no object {url}.")
        raise NotFound(f"There is no generation {generation} of {url}.")
    return found
