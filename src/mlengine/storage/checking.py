"""The proof that rows and blobs agree ("fsck"), a page at a time, beside everything else that goes on.

What it finds it looks at twice, because the server goes on: an object deleted meanwhile is no finding.
It never touches an object: what is lost must be seen, not tidied away.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterator, Set
from contextlib import closing

from mlengine.clock import Clock
from mlengine.database import Database
from mlengine.errors import InvalidArgument
from mlengine.storage import store, store_usage
from mlengine.storage.blobs import Blobs
from mlengine.storage.collecting import ABANDONED_AFTER, abandoned
from mlengine.storage.contents import Contents
from mlengine.storage.domain import Finding, Kind, Object, Report
from mlengine.storage.hashing import Digest
from mlengine.storage.quotas import Usage

_MOST_OBJECTS = 1000  # of one page
_MOST_READ = 1 << 30  # bytes after which a page ends that reads contents
_PHASES = ("live", "noncurrent", "blobs", "usage")


class Checks:
    """Pages of the proof: live objects, noncurrent ones, blobs, and at last the counters of the quotas.

    Args:
        contents: Where those of objects are read.
        on_their_way: Tells which blobs wait for their name, see `Changes.on_their_way`.
    """

    def __init__(
        self,
        database: Database,
        blobs: Blobs,
        contents: Contents,
        clock: Clock,
        *,
        on_their_way: Callable[[], Set[str]],
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._contents = contents
        self._clock = clock
        self._on_their_way = on_their_way

    def page(self, token: str = "", *, checksums: bool = False, repair: bool = False) -> Report:
        """Look at the next thousand objects or less, or at all blobs, or at the counters.

        Args:
            checksums: Also read the contents and compare their CRC32C.
            repair: Delete abandoned blobs and set wrong counters right.

        Raises:
            InvalidArgument: the token is none of ours.
        """
        phase, place = _read_token(token)
        if phase == "blobs":
            return Report(findings=tuple(self._abandoned(repair=repair)), token=_token("usage"))
        if phase == "usage":
            return Report(findings=tuple(self._counters(repair=repair)))
        return self._objects(place, noncurrent=phase == "noncurrent", checksums=checksums)

    def _objects(
        self, place: tuple[str, str, bytes, int] | None, *, noncurrent: bool, checksums: bool
    ) -> Report:
        with self._database.read() as db:
            found = store_usage.objects_after(db, place, noncurrent=noncurrent, limit=_MOST_OBJECTS)
        findings: list[Finding] = []
        count = read = 0
        # Copies of an object stand together: their content is read once.
        last_blob, last_crc32c = "", 0
        for one in found:
            count += 1
            wrong = self._size(one)
            if checksums and wrong is None:
                if one.blob != last_blob:
                    crc32c = self._crc32c(one.blob)
                    if crc32c is None:
                        wrong = _missing(one)
                    else:
                        read += one.size
                        last_blob, last_crc32c = one.blob, crc32c
                if wrong is None and last_crc32c != one.crc32c:
                    detail = f"its CRC32C is {last_crc32c:08x}, stored was {one.crc32c:08x} (blob {one.blob})"
                    wrong = Finding(kind=Kind.WRONG_CONTENT, subject=_subject(one), detail=detail)
            if wrong and self._still_there(one):
                findings.append(wrong)
            if read >= _MOST_READ:
                break
        if count == len(found) < _MOST_OBJECTS:
            token = _token("blobs" if noncurrent else "noncurrent")
        else:
            token = _token("noncurrent" if noncurrent else "live", found[count - 1])
        return Report(objects=count, size=read, findings=tuple(findings), token=token)

    def _size(self, found: Object) -> Finding | None:
        try:
            size = self._contents.size(found.blob)
        except KeyError:
            return _missing(found)
        if size == found.size:
            return None
        detail = f"its content has {size} bytes instead of {found.size} (blob {found.blob})"
        return Finding(kind=Kind.WRONG_SIZE, subject=_subject(found), detail=detail)

    def _crc32c(self, blob: str) -> int | None:
        try:
            pieces = self._contents.read(blob)
        except KeyError:
            return None
        with closing(pieces):
            return Digest(md5=False).read(pieces).hashes().crc32c

    def _still_there(self, found: Object) -> bool:
        with self._database.read() as db:
            now = store.find(db, found.url, found.generation)
        return now is not None and now.blob == found.blob

    def _abandoned(self, *, repair: bool) -> Iterator[Finding]:
        before = self._clock() - ABANDONED_AFTER
        for blob in abandoned(self._database, self._blobs, before=before, on_their_way=self._on_their_way):
            with self._database.read() as db:
                # One that is about to be deleted is nothing wrong.
                if store.marked(db, [blob.key]):
                    continue
            if repair:
                self._blobs.delete(blob.key)
            yield Finding(
                kind=Kind.UNREFERENCED,
                subject=f"blob {blob.key}",
                detail=f"nothing refers to its {blob.size} bytes, written {blob.changed:%Y-%m-%d %H:%M} UTC",
                repaired=repair,
            )

        with self._database.begin() as db:
            for key in store.unowned_small(db):
                if repair:
                    store.drop_small(db, key)
                yield Finding(
                    kind=Kind.UNREFERENCED,
                    subject=f"blob {key}",
                    detail="nothing refers to this content in the database",
                    repaired=repair,
                )

    def _counters(self, *, repair: bool) -> Iterator[Finding]:
        with self._database.read() as db:
            counted, right = store_usage.all_usage(db), store_usage.recounted(db)
        for project in sorted({*counted, *right}):
            said, is_ = counted.get(project, Usage()), right.get(project, Usage())
            if said == is_:
                continue
            if repair:
                with self._database.begin() as db:
                    store_usage.mend_usage(db, project)
            yield Finding(
                kind=Kind.COUNT,
                subject=f"project {project}",
                detail=f"{said.objects} objects of {said.size} bytes are counted, "
                f"there are {is_.objects} of {is_.size} bytes",
                repaired=repair,
            )


def _missing(found: Object) -> Finding:
    detail = f"its content is not there (blob {found.blob})"
    return Finding(kind=Kind.MISSING, subject=_subject(found), detail=detail)


def _subject(found: Object) -> str:
    return f"{found.url}#{found.generation}"


def _token(phase: str, last: Object | None = None) -> str:
    place = [last.blob, last.bucket, last.name, last.generation] if last else None
    return base64.urlsafe_b64encode(json.dumps([phase, place]).encode()).decode()


def _read_token(token: str) -> tuple[str, tuple[str, str, bytes, int] | None]:
    if not token:
        return "live", None
    try:
        phase, place = json.loads(base64.urlsafe_b64decode(token))
        if phase not in _PHASES:
            raise ValueError(phase)
        if place is None:
            return phase, None
        blob, bucket, name, generation = place
        return phase, (str(blob), str(bucket), str(name).encode(), int(generation))
    except (binascii.Error, ValueError, TypeError):
        raise InvalidArgument("The page token is not from this check.") from None
