"""Uploads in several requests ("resumable"): a session in the database, and a growing blob.

Apart from single uploads, because a session outlives requests, connections and the server itself.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from itertools import chain
from threading import Lock
from typing import Any

from mlengine.clock import Clock
from mlengine.database import Database
from mlengine.errors import Conflict, InvalidArgument, NotFound, Problem, QuotaExceeded, Unavailable
from mlengine.names import ObjectUrl
from mlengine.storage import store
from mlengine.storage.blobs import Blobs
from mlengine.storage.changing import Change, Changes
from mlengine.storage.domain import Attributes, Conditions, Hashes, Object, Span, check_name
from mlengine.storage.hashing import LARGEST_WITH_MD5, Digest
from mlengine.storage.quotas import Ceiling

_PATIENCE = 10.0  # seconds a request waits for another one that still sends to the same upload
_TOUCH_EVERY = timedelta(hours=1)  # a note of progress costs a write to the disk
_MOST_DIGESTS = 256  # running hashes kept in memory; a forgotten one is computed again from the blob


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How an upload stands: the bytes that are safe, and the object once it is complete."""

    received: int
    done: Object | None = None


@dataclass(slots=True)
class _Live:
    """What is worth remembering of an upload while the server runs."""

    lock: Lock = field(default_factory=Lock)
    users: int = 0  # requests that hold the lock or wait for it
    digest: Digest | None = None
    hashed: int = 0


class Uploads:
    """Sessions, each of which ends in one object.

    Args:
        adopt: Gives a sealed blob its name; see `StorageService.adopt`.
    """

    def __init__(
        self,
        database: Database,
        changes: Changes,
        blobs: Blobs,
        clock: Clock,
        *,
        adopt: Callable[..., Object],
    ) -> None:
        self._database = database
        self._changes = changes
        self._blobs = blobs
        self._clock = clock
        self._adopt = adopt
        self._live: dict[str, _Live] = {}
        self._lock = Lock()

    def start(
        self,
        url: ObjectUrl,
        *,
        attributes: Attributes,
        conditions: Conditions,
        claimed: Hashes,
        total: int | None,
    ) -> str:
        """Begin an upload.

        Args:
            total: Length of the content in bytes, if the client tells.

        Returns:
            The id of the session.

        Raises:
            NotFound: there is no such bucket.
            InvalidArgument: a bad object name.
            PreconditionFailed: a condition does not hold.
            QuotaExceeded: the project may not store that much.
        """
        check_name(url.object)
        request = {
            "object": url.object,
            "attributes": asdict(attributes),
            "conditions": asdict(conditions),
            "claimed": asdict(claimed),
            "total": total,
        }
        upload_id = (
            uuid.uuid4().hex + uuid.uuid4().hex[:16]
        )  # knowing it is enough to send: not to be guessed
        with self._database.begin() as db:
            bucket = store.get_bucket(db, url.bucket, lock=True)
            old = store.find(db, url)
            conditions.check(old)
            self._changes.ceiling(db, bucket, old).check(total or 0)
            blob = uuid.uuid4().hex
            store.add_upload(db, upload_id, bucket=url.bucket, blob=blob, request=request, now=self._clock())
        return upload_id

    def send(
        self, bucket: str, upload_id: str, span: Span, chunks: Iterable[bytes], *, claimed: Hashes
    ) -> Standing:
        """Bring some bytes, the last ones, or none to ask how it stands.

        Bytes that are stored already are passed over, so sending a part again does no harm. When `chunks`
        fails, what came before is kept.

        Raises:
            NotFound: there is no such upload (any more).
            Unavailable: bytes before these are missing, or another request is sending to this upload.
            InvalidArgument: the numbers contradict each other (what is stored stays), or the content is not
                what the client's hashes say (the upload is over then).
            PreconditionFailed: a condition does not hold at the end (the upload is over then).
            QuotaExceeded: the project may not store that much. What has come stays: once there is room, the
                upload can go on.
        """
        with self._alone(upload_id) as live:
            upload = self._find(bucket, upload_id)
            url = ObjectUrl(bucket, upload.request["object"])
            if upload.done_generation is not None:
                return self._done(url, upload.done_generation)
            total = _agreed(upload.request["total"], span)
            received = self._blobs.progress(upload.blob)
            if span.start is not None:
                received = self._append(live, upload, url, span, chunks, received=received, total=total)
            if total is not None and received > total:
                raise InvalidArgument(
                    f"{received} bytes are stored, more than the {total} of the whole content."
                )
            if received != total and not (span.last and total is None):
                return Standing(received=received)
            return self._finish(live, url, upload, received, claimed)

    def cancel(self, bucket: str, upload_id: str) -> None:
        """Drop an upload and what was sent.

        Raises:
            NotFound: there is no such upload.
        """
        with self._alone(upload_id):
            self._drop(self._find(bucket, upload_id))

    def _find(self, bucket: str, upload_id: str) -> Any:
        with self._database.read() as db:
            upload = store.find_upload(db, upload_id)
        # One in numbered parts is another kind, see `parts`.
        if upload is None or upload.bucket != bucket or "parts" in upload.request:
            raise NotFound("There is no such upload.", hint="It expired or was cancelled: begin again.")
        return upload

    def _done(self, url: ObjectUrl, generation: int) -> Standing:
        with self._database.read() as db:
            found = store.find(db, url, generation)
        if found is None:
            raise NotFound(
                f"The upload made {url} of generation {generation}, which has been replaced since."
            )
        return Standing(received=found.size, done=found)

    def _append(
        self,
        live: _Live,
        upload: Any,
        url: ObjectUrl,
        span: Span,
        chunks: Iterable[bytes],
        *,
        received: int,
        total: int | None,
    ) -> int:
        start = span.start or 0
        if start > received:
            raise Unavailable(
                f"The bytes begin at {start}, but only {received} are stored.",
                hint="Ask how the upload stands and go on from there.",
            )
        digest = live.digest if live.digest and live.hashed == received else None
        if received == 0:
            digest = _fresh_digest(Hashes(**upload.request["claimed"]))
        # Until this part is stored, nobody knows what has been hashed of it.
        live.digest = None
        most = min((bound for bound in (span.end, total) if bound is not None), default=None)
        fresh = _bounded(_skipped(chunks, received - start), None if most is None else most - received)
        first = next(fresh, None)
        if first is None:
            # Nothing new. It may be sealed already, if we died just before it got its name.
            live.digest, live.hashed = digest, received
            return received
        fresh = self._ceiling(url).through(chain((first,), fresh), size=received)
        try:
            size = self._blobs.append(upload.blob, received, digest.through(fresh) if digest else fresh)
        except InvalidArgument:
            self._blobs.append(upload.blob, received, ())
            raise
        live.digest, live.hashed = digest, size
        now = self._clock()
        if now - upload.touched > _TOUCH_EVERY:
            with self._database.begin() as db:
                store.touch_upload(db, upload.id, now)
        return size

    def _ceiling(self, url: ObjectUrl) -> Ceiling:
        with self._database.read() as db:
            return self._changes.ceiling(db, store.get_bucket(db, url.bucket), store.find(db, url))

    def _finish(self, live: _Live, url: ObjectUrl, upload: Any, size: int, claimed: Hashes) -> Standing:
        request = upload.request
        claimed = claimed.and_also(Hashes(**request["claimed"]))
        digest = live.digest if live.digest and live.hashed == size else None
        if digest is None or (claimed.wants_md5 and not digest.hashes().md5):
            # The server was restarted meanwhile, or only the last request tells the MD5.
            digest = self._digest(upload.blob, claimed)

        def note(change: Change, new: Object) -> None:
            if not store.finish_upload(change.db, upload.id, generation=new.generation, now=self._clock()):
                raise Conflict("The upload was cancelled meanwhile.")

        try:
            claimed.check(digest.hashes())
            self._blobs.seal(upload.blob)
            new = self._adopt(
                url,
                upload.blob,
                size=size,
                hashes=digest.hashes(),
                attributes=Attributes(**request["attributes"]),
                conditions=Conditions(**request["conditions"]),
                also=note,
            )
        except QuotaExceeded:
            raise
        except Problem:
            self._drop(upload)
            raise
        live.digest = None
        return Standing(received=size, done=new)

    def _digest(self, blob: str, claimed: Hashes) -> Digest:
        # Sealed already, when the server died between sealing and naming it.
        try:
            pieces = self._blobs.read(blob)
        except KeyError:
            pieces = self._blobs.partial(blob)
        with closing(pieces):
            return _fresh_digest(claimed).read(pieces)

    def _drop(self, upload: Any) -> None:
        with self._database.begin() as db:
            store.remove_upload(db, upload.id)
        if upload.done_generation is None:
            self._blobs.delete(upload.blob)

    @contextmanager
    def _alone(self, upload_id: str) -> Iterator[_Live]:
        with self._lock:
            live = self._live.pop(upload_id, None) or _Live()
            self._live[upload_id] = live  # now the youngest
            live.users += 1
            idle = [key for key, old in self._live.items() if not old.users]
            for key in idle[: max(0, len(self._live) - _MOST_DIGESTS)]:
                del self._live[key]
        try:
            if not live.lock.acquire(timeout=_PATIENCE):
                raise Unavailable(
                    "Another request is still sending to this upload.", hint="Try again in a moment."
                )
            try:
                yield live
            finally:
                live.lock.release()
        finally:
            with self._lock:
                live.users -= 1


def _fresh_digest(claimed: Hashes) -> Digest:
    return Digest(most=None if claimed.wants_md5 else LARGEST_WITH_MD5)


def _agreed(known: int | None, span: Span) -> int | None:
    """The length of the whole content, of what the session and this request say about it."""
    if known is not None and span.total is not None and known != span.total:
        raise InvalidArgument(
            f"The content was announced with {known} bytes, and now is said to have {span.total}."
        )
    return span.total if known is None else known


def _skipped(chunks: Iterable[bytes], count: int) -> Iterator[bytes]:
    """`chunks` without the first `count` bytes."""
    for chunk in chunks:
        if count < len(chunk):
            yield chunk[count:]
        count = max(0, count - len(chunk))


def _bounded(chunks: Iterable[bytes], most: int | None) -> Iterator[bytes]:
    """`chunks`, which must not have more than `most` bytes."""
    left = most
    for chunk in chunks:
        if left is not None:
            left -= len(chunk)
            if left < 0:
                raise InvalidArgument("The request brings more bytes than its Content-Range says.")
        yield chunk
