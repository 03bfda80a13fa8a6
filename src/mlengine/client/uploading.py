"""Sending one content: small ones in one request, large ones in pieces that a later run can go on with."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from http.client import HTTPResponse
from pathlib import Path
from typing import IO, Protocol
from urllib.parse import urlsplit

from mlengine.client.addresses import upload_path
from mlengine.client.checksum import Crc
from mlengine.client.http import Connection, Json, read
from mlengine.client.patience import PASSING, Patience
from mlengine.client.trackers import Tracker
from mlengine.errors import FailedPrecondition, Internal, InvalidArgument, NotFound
from mlengine.names import ObjectUrl

# Above this a broken upload is worth continuing: it is sent in pieces of this size.
RESUMABLE_BYTES = 8 << 20
_SLICE = 256 << 10  # how often progress is told
_SECONDS = 300.0

Tell = Callable[[int, int], None]
"""Told how a transfer stands: the position in the content, and the bytes just gone over the line."""


def untold(_position: int, _carried: int) -> None:
    """For callers that watch no progress."""


@dataclass(frozen=True, slots=True)
class Uploaded:
    """An upload that is complete.

    Attributes:
        resource: The object.
        sent: Bytes that went over the line now.
        found: Bytes that an earlier run had brought there.
    """

    resource: Json
    sent: int
    found: int


class Upload:
    """How to send contents to one object.

    Args:
        resource: What to say about the object (contentType, metadata).
        only_new: Whether an object of this name must not exist yet.
        tracker: Remembers the upload for a later run.
    """

    def __init__(
        self,
        connection: Connection,
        url: ObjectUrl,
        *,
        resource: Json,
        only_new: bool = False,
        tracker: Tracker | None = None,
        patience: Patience,
        tell: Tell = untold,
    ) -> None:
        self._connection = connection
        self._url = url
        self._resource = resource
        self._condition: dict[str, str | int] = {"ifGenerationMatch": 0} if only_new else {}
        self._tracker = tracker
        self._patience = patience
        self._tell = tell
        self._sent = 0

    def file(self, path: Path) -> Uploaded:
        """Send a file.

        Raises:
            NotFound: no such bucket.
            FailedPrecondition: the file changed meanwhile, or the object exists and must not.
            Internal: what arrived is not what was sent.
            OSError: the file cannot be read.
        """
        with path.open("rb") as source:
            before = path.stat()
            done = self._whole(_File(source, before.st_size))
            after = path.stat()
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise FailedPrecondition(
                f"{path} was changed while it was sent: {self._url} is a mixture.", hint="Send it again."
            )
        return done

    def stream(self, source: IO[bytes]) -> Uploaded:
        """Send all that `source` gives, whose length nobody knows yet. Raises as `file`."""
        return self._whole(_Pipe(source))

    def _whole(self, source: _Source) -> Uploaded:
        while True:
            found = 0
            first = b"" if source.total is not None and source.total > RESUMABLE_BYTES else source.piece(0)
            if source.total is not None and source.total <= RESUMABLE_BYTES:
                stored = self._patience.insist(partial(self._multipart, first, source.checksum()))
            else:
                stored, found = self._resumable(source)
            size, checksum = source.total or 0, source.checksum()
            if self._tracker:
                self._tracker.clear()
            if int(stored.get("size", -1)) == size and stored.get("crc32c", checksum) == checksum:
                return Uploaded(stored, self._sent, found)
            # The file may have been edited between two runs without a trace in its size and time.
            if not found:
                raise Internal(
                    f"{self._url} is not what was sent: {stored.get('size')} bytes with CRC32C "
                    f"{stored.get('crc32c')} arrived, {size} bytes with {checksum} were sent.",
                    hint="Send it again.",
                )

    # One request

    def _multipart(self, content: bytes, checksum: str) -> Json:
        boundary = f"==============={uuid.uuid4().hex}=="
        about = json.dumps(self._resource | {"crc32c": checksum, "size": str(len(content))})
        media_type = self._resource.get("contentType", "application/octet-stream")
        head = (
            f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{about}\r\n"
            f"--{boundary}\r\nContent-Type: {media_type}\r\n\r\n"
        ).encode()
        tail = f"\r\n--{boundary}--\r\n".encode()

        def body() -> Iterator[bytes | memoryview]:
            yield head
            yield from self._slices(content, start=0)
            yield tail

        response = self._send(
            "POST",
            upload_path(self._url.bucket),
            query={"uploadType": "multipart", "name": self._url.object, **self._condition},
            headers={
                "Content-Type": f'multipart/related; boundary="{boundary}"',
                "Content-Length": str(len(head) + len(content) + len(tail)),
            },
            body=body(),
        )
        stored: Json = json.loads(read(response))
        return stored

    # Many requests

    def _resumable(self, source: _Source) -> tuple[Json, int]:
        """The object, and how many of its bytes an earlier run had sent."""
        session = self._tracker.read().get("session", "") if self._tracker else ""
        resumed, found, lost = bool(session), 0, False
        standing: int | Json | None = None  # None: only the server knows
        while not isinstance(standing, dict):
            try:
                if not session:
                    session, standing = self._begin(source.total), 0
                elif standing is None:
                    standing = self._put(session, source, at=None)
                    if resumed and not found:
                        found = standing if isinstance(standing, int) else source.total or 0
                        self._tell(found, 0)
                else:
                    standing = self._put(session, source, at=standing)
                self._patience.progress()
            except PASSING as problem:
                self._patience.wait(problem)
                standing = None
            except NotFound:
                # The server has forgotten the upload, or what it made has been replaced: once more, whole.
                if lost or not session:
                    raise
                session, standing, found, resumed, lost = "", None, 0, False, True
            except InvalidArgument:
                # The file has been edited since, without changing its size and time.
                if not resumed:
                    raise
                session, standing, found, resumed = "", None, 0, False
        return standing, found

    def _begin(self, total: int | None) -> str:
        """The path of a new upload session."""
        headers = {"Content-Type": "application/json; charset=UTF-8"}
        if total is not None:
            headers["X-Upload-Content-Length"] = str(total)
        response = self._send(
            "POST",
            upload_path(self._url.bucket),
            query={"uploadType": "resumable", "name": self._url.object, **self._condition},
            headers=headers,
            body=json.dumps(self._resource).encode(),
        )
        read(response)
        location = urlsplit(response.headers.get("Location") or "")
        session = f"{location.path}?{location.query}"
        if self._tracker:
            self._tracker.write({"session": session})
        return session

    def _put(self, session: str, source: _Source, *, at: int | None) -> Json | int:
        """Send the piece at a position, or only ask: the finished object, or how many bytes are there."""
        piece = b"" if at is None else source.piece(at)
        end = (at or 0) + len(piece)
        total = "*" if source.total is None else source.total
        headers = {
            "Content-Range": f"bytes {at}-{end - 1}/{total}" if piece else f"bytes */{total}",
            "Content-Length": str(len(piece)),
        }
        if at is not None and end == source.total:
            headers["x-goog-hash"] = f"crc32c={source.checksum()}"
        body = self._slices(piece, start=at or 0) if piece else b""
        response = self._send("PUT", session, headers=headers, body=body, accepted=(308,))
        content = read(response)
        if response.status == 308:
            _, _, last = (response.headers.get("Range") or "").rpartition("-")
            return int(last) + 1 if last else 0
        stored: Json = json.loads(content)
        return stored

    def _slices(self, content: bytes, *, start: int) -> Iterator[memoryview]:
        view = memoryview(content)
        for offset in range(0, len(content), _SLICE):
            piece = view[offset : offset + _SLICE]
            yield piece
            self._sent += len(piece)
            self._tell(start + offset + len(piece), len(piece))

    def _send(
        self,
        verb: str,
        path: str,
        *,
        headers: dict[str, str],
        body: bytes | Iterator[bytes | memoryview],
        query: dict[str, str | int] | None = None,
        accepted: tuple[int, ...] = (),
    ) -> HTTPResponse:
        try:
            return self._connection.send(
                verb,
                path,
                query=query,
                headers=headers,
                body=body,  # type: ignore[arg-type]  # http.client sends anything with a buffer
                timeout=_SECONDS,
                accepted=accepted,
            )
        except BaseException:
            # Half a request may be on the line: nothing can follow it there.
            self._connection.close()
            raise


class _Source(Protocol):
    """Where a content comes from. `total` is None until its end has been seen."""

    @property
    def total(self) -> int | None: ...

    def piece(self, start: int) -> bytes:
        """The bytes from `start` on, at most `RESUMABLE_BYTES`."""

    def checksum(self) -> str:
        """Of the whole content."""


class _File:
    """A content that can be read again from anywhere."""

    def __init__(self, source: IO[bytes], total: int) -> None:
        self._source = source
        self.total: int | None = total
        self._size = total
        self._crc = Crc()
        self._hashed = 0

    def piece(self, start: int) -> bytes:
        self._hash(start)
        piece = self._read(start, min(RESUMABLE_BYTES, self._size - start))
        # A piece sent again is not counted again.
        self._crc.add(memoryview(piece)[self._hashed - start :])
        self._hashed = max(self._hashed, start + len(piece))
        return piece

    def checksum(self) -> str:
        self._hash(self._size)
        return self._crc.text

    def _hash(self, end: int) -> None:
        """Count the bytes up to `end`, which an earlier run has sent."""
        while self._hashed < end:
            piece = self._read(self._hashed, min(RESUMABLE_BYTES, end - self._hashed))
            self._crc.add(piece)
            self._hashed += len(piece)

    def _read(self, start: int, count: int) -> bytes:
        self._source.seek(start)
        piece = self._source.read(count)
        if len(piece) < count:
            raise FailedPrecondition("The file became shorter while it was sent.", hint="Send it again.")
        return piece


class _Pipe:
    """A content that comes by once: what the server has not confirmed is kept in memory."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self.total: int | None = None
        self._crc = Crc()
        self._start = 0
        self._held = b""

    def piece(self, start: int) -> bytes:
        end = self._start + len(self._held)
        if start < end or self.total is not None:
            if start < self._start:
                raise Internal("The server lost bytes that it had confirmed.", hint="Send it again.")
            return self._held[start - self._start :]
        self._start, self._held = end, self._source.read(RESUMABLE_BYTES)
        self._crc.add(self._held)
        if len(self._held) < RESUMABLE_BYTES:
            self.total = end + len(self._held)
        return self._held

    def checksum(self) -> str:
        return self._crc.text
