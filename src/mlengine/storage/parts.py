"""Uploads in numbered parts: many requests at once, joined into one object at the end.

Apart from `uploads`, whose bytes come in order: here each part is a blob of its own until the last request
says which parts, in which order, make the object. Parts and sessions outlive the server, too.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from typing import Any

from mlengine.clock import Clock
from mlengine.database import Database
from mlengine.errors import Conflict, InvalidArgument, NotFound, Problem
from mlengine.names import ObjectUrl
from mlengine.storage import store
from mlengine.storage.blobs import Blobs
from mlengine.storage.changing import Change, Changes
from mlengine.storage.domain import ANY, UNCLAIMED, Attributes, Conditions, Hashes, Object, Part, check_name
from mlengine.storage.hashing import Digest

MOST_PARTS = 10_000


class Parts:
    """Sessions of parts, each of which ends in one object. Every verb but `start` raises NotFound for one
    that is not there (any more).

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

    def start(self, url: ObjectUrl, *, attributes: Attributes, conditions: Conditions = ANY) -> str:
        """Begin an upload.

        Args:
            conditions: What must hold now, and again when the parts are joined.

        Returns:
            The id of the session.

        Raises:
            NotFound: there is no such bucket.
            InvalidArgument: a bad object name.
            PreconditionFailed: a condition does not hold.
        """
        check_name(url.object)
        request = {
            "object": url.object,
            "attributes": asdict(attributes),
            "conditions": asdict(conditions),
            "parts": True,
        }
        # Knowing it is enough to send: not to be guessed.
        upload_id = uuid.uuid4().hex + uuid.uuid4().hex[:16]
        with self._changes.begin(url.bucket) as change:
            conditions.check(store.find(change.db, url))
            store.add_upload(
                change.db,
                upload_id,
                bucket=url.bucket,
                blob=uuid.uuid4().hex,
                request=request,
                now=self._clock(),
            )
        return upload_id

    def put(
        self, url: ObjectUrl, upload_id: str, number: int, chunks: Iterable[bytes], *, claimed: Hashes
    ) -> Part:
        """Store a part, in place of one that had its number.

        Args:
            number: From 1 to 10,000.
            claimed: Hashes the sender computed.

        Raises:
            InvalidArgument: a number that cannot be, or damaged content; nothing is stored then.
            QuotaExceeded: the project may not store all the parts together.
        """
        if not 1 <= number <= MOST_PARTS:
            raise InvalidArgument(f"Parts have numbers from 1 to {MOST_PARTS}, not {number}.")
        with self._database.read() as db:
            _open(store.find_upload(db, upload_id), url)
            ceiling = self._changes.ceiling(db, store.get_bucket(db, url.bucket), store.find(db, url))
            others = store.size_of_parts(db, upload_id, without=number)
        with self._changes.landing() as blob:
            digest = Digest()
            size = self._blobs.write(blob, digest.through(ceiling.through(chunks, size=others)))
            try:
                found = digest.hashes()
                claimed.check(found)
                part = Part(
                    number=number,
                    blob=blob,
                    size=size,
                    crc32c=found.crc32c or 0,
                    md5=found.md5 or "",
                    stored=self._clock(),
                )
                with self._changes.begin(url.bucket) as change:
                    # Again: it may have been joined or dropped while the content came.
                    _open(store.find_upload(change.db, upload_id), url)
                    change.dropped.extend(store.put_part(change.db, upload_id, part))
                    store.touch_upload(change.db, upload_id, part.stored)
            except Problem:
                # Of any other exception nobody can say whether it took place: the collection will.
                self._blobs.delete(blob)
                raise
        return part

    def list(self, url: ObjectUrl, upload_id: str) -> list[Part]:
        """The parts that are stored, in the order of their numbers."""
        with self._database.read() as db:
            _open(store.find_upload(db, upload_id), url)
            return store.parts(db, upload_id)

    def join(
        self,
        url: ObjectUrl,
        upload_id: str,
        wanted: Sequence[tuple[int, str]],
        *,
        conditions: Conditions = ANY,
        claimed: Hashes = UNCLAIMED,
    ) -> Object:
        """Make the object of the parts named; all others are dropped. Asking again gives the same object.

        Args:
            wanted: Number and MD5 of each part; an empty MD5 takes whatever has the number.
            conditions: What must hold; ANY for what was asked at the start.
            claimed: Hashes of the whole that the sender computed.

        Raises:
            InvalidArgument: no parts, numbers that do not rise, a part that is not there or is another.
            PreconditionFailed: a condition does not hold. The parts stay.
        """
        with self._database.read() as db:
            upload = _found(store.find_upload(db, upload_id), url)
            if upload.done_generation is not None:
                return _done(store.find(db, url, upload.done_generation), url, upload.done_generation)
            parts = _chosen({part.number: part for part in store.parts(db, upload_id)}, wanted)

        def note(change: Change, new: Object) -> None:
            if not store.finish_upload(change.db, upload_id, generation=new.generation, now=self._clock()):
                raise Conflict("The upload was ended by somebody else meanwhile.")
            change.dropped.extend(store.remove_parts(change.db, upload_id))

        with self._changes.landing() as blob:
            # As with composed objects there is no MD5: it would cost more than all the rest.
            digest = Digest(md5=False)
            size = self._blobs.write(blob, digest.through(self._contents(parts)))
            try:
                claimed.check(digest.hashes())
                return self._adopt(
                    url,
                    blob,
                    size=size,
                    hashes=digest.hashes(),
                    attributes=Attributes(**upload.request["attributes"]),
                    conditions=Conditions(**upload.request["conditions"])
                    if conditions == ANY
                    else conditions,
                    also=note,
                )
            except Problem:
                self._blobs.delete(blob)
                raise

    def abort(self, url: ObjectUrl, upload_id: str) -> None:
        """Drop an upload and its parts."""
        with self._changes.begin(url.bucket) as change:
            _open(store.find_upload(change.db, upload_id), url)
            change.dropped.extend(store.remove_upload(change.db, upload_id))

    def _contents(self, parts: Iterable[Part]) -> Iterator[bytes]:
        for part in parts:
            try:
                pieces = self._blobs.read(part.blob)
            except KeyError:
                raise NotFound(f"Part {part.number} was replaced or dropped meanwhile.") from None
            with closing(pieces):
                yield from pieces


def _found(upload: Any, url: ObjectUrl) -> Any:
    if (
        upload is None
        or "parts" not in upload.request
        or (upload.bucket, upload.request["object"]) != (url.bucket, url.object)
    ):
        raise NotFound(
            f"There is no such upload of {url}.", hint="It expired, was ended or aborted: begin again."
        )
    return upload


def _open(upload: Any, url: ObjectUrl) -> Any:
    if _found(upload, url).done_generation is not None:
        raise NotFound(f"The upload has become {url} already.")
    return upload


def _done(found: Object | None, url: ObjectUrl, generation: int) -> Object:
    if found is None or found.generation != generation:
        raise NotFound(f"The upload made {url} of generation {generation}, which has been replaced since.")
    return found


def _chosen(parts: dict[int, Part], wanted: Sequence[tuple[int, str]]) -> list[Part]:
    if not wanted:
        raise InvalidArgument("No parts are named.", hint="Name each with its number and ETag.")
    chosen: list[Part] = []
    for number, md5 in wanted:
        if chosen and number <= chosen[-1].number:
            raise InvalidArgument(
                f"Part {number} stands behind part {chosen[-1].number}.",
                hint="Name the parts in the order of their numbers, each once.",
            )
        part = parts.get(number)
        if part is None:
            raise InvalidArgument(f"There is no part {number}.", hint=f"{len(parts)} parts are stored.")
        if md5 not in ("", part.md5):
            raise InvalidArgument(
                f"Part {number} has the ETag {part.md5}, not {md5[:80]}.", hint="Send the part again."
            )
        chosen.append(part)
    return chosen
