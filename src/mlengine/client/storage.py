"""Buckets and objects through the Storage JSON API. Every transfer is checked by its CRC32C."""

from __future__ import annotations

import base64
import json
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, urlsplit

from mlengine.client.http import Connection, Json, read
from mlengine.errors import Internal, NotFound, Unavailable
from mlengine.names import ObjectUrl

_PIECE = 1 << 20
# Above this a broken upload is worth continuing: it is sent in pieces of this size.
RESUMABLE_BYTES = 8 << 20
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Listing:
    """What lies directly below a prefix: objects, and the prefixes ("folders") below it."""

    objects: list[Json]
    prefixes: list[str]


class Storage:
    """The buckets of one server."""

    def __init__(self, connection: Connection, project: str) -> None:
        self._connection = connection
        self._project = project

    def buckets(self) -> Iterator[Json]:
        """The project's buckets by name."""
        query: dict[str, str | int] = {"project": self._project}
        while True:
            page = self._connection.call("GET", "/storage/v1/b", query=query)
            yield from page.get("items", [])
            if not page.get("nextPageToken"):
                return
            query["pageToken"] = page["nextPageToken"]

    def bucket_exists(self, bucket: str) -> bool:
        """Whether there is such a bucket."""
        try:
            self._connection.call("GET", f"/storage/v1/b/{_part(bucket)}")
        except NotFound:
            return False
        return True

    def create_bucket(self, bucket: str, *, location: str = "") -> Json:
        """Make a bucket. Raises AlreadyExists, InvalidArgument."""
        body = {"name": bucket} | ({"location": location} if location else {})
        return self._connection.call("POST", "/storage/v1/b", query={"project": self._project}, body=body)

    def stat(self, url: ObjectUrl) -> Json | None:
        """The object's resource, or None when there is no such object."""
        try:
            return self._connection.call("GET", _object_path(url))
        except NotFound:
            return None

    def list(self, url: ObjectUrl, *, recursive: bool = False) -> Listing:
        """What lies below the prefix `url`, by name. Raises NotFound when the bucket is missing."""
        found = Listing([], [])
        query: dict[str, str | int] = {"prefix": url.object}
        if not recursive:
            query["delimiter"] = "/"
        while True:
            page = self._page(url.bucket, query)
            found.objects.extend(page.get("items", []))
            found.prefixes.extend(page.get("prefixes", []))
            if not page.get("nextPageToken"):
                return found
            query["pageToken"] = page["nextPageToken"]

    def is_folder(self, url: ObjectUrl) -> bool:
        """Whether any object lies below the folder `url`. Raises NotFound when the bucket is missing."""
        prefix = url.object.rstrip("/")
        query: dict[str, str | int] = {"prefix": f"{prefix}/" if prefix else "", "maxResults": 1}
        return bool(self._page(url.bucket, query).get("items"))

    def upload(self, path: Path, url: ObjectUrl) -> Json:
        """Store a file; the object. Large files go in pieces and survive a broken connection.

        Raises:
            NotFound: no such bucket.
            Internal: what arrived is not what was sent.
        """
        size = path.stat().st_size
        with path.open("rb") as source:
            if size > RESUMABLE_BYTES:
                stored, checksum = self._resumable(source, size, url)
            else:
                stored, checksum = self._multipart(source.read(), url)
        if int(stored.get("size", -1)) != path.stat().st_size or stored.get("crc32c", checksum) != checksum:
            raise Internal(
                f"{url} does not match {path}: {stored.get('size')} bytes with CRC32C {stored.get('crc32c')} "
                f"arrived, {size} bytes with {checksum} were sent.",
                hint="Was the file changed meanwhile? Send it again.",
            )
        return stored

    def download(self, url: ObjectUrl, write: Callable[[bytes], object]) -> None:
        """Hand the object's content to `write`, piece by piece.

        Raises:
            NotFound: no such object.
            Internal: the content does not fit the stored checksum.
        """
        found = self._connection.call("GET", _object_path(url))
        crc = _Crc()
        query = {"alt": "media", "generation": found.get("generation", "")}
        response = self._connection.send(
            "GET", _object_path(url), query={key: value for key, value in query.items() if value}
        )
        received = 0
        try:
            while piece := response.read(_PIECE):
                crc.add(piece)
                write(piece)
                received += len(piece)
        except OSError as error:
            raise Unavailable(f"The server broke off after {received} bytes of {url}: {error}.") from error
        if received != int(found.get("size", received)) or found.get("crc32c", crc.text) != crc.text:
            raise Internal(
                f"{url} arrived damaged: {received} bytes with CRC32C {crc.text} in place of "
                f"{found.get('size')} bytes with {found.get('crc32c')}.",
                hint="Fetch it again.",
            )

    def download_file(self, url: ObjectUrl, path: Path) -> None:
        """Write the object to `path`, which appears only when it is whole. Raises as `download`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        try:
            with partial.open("wb") as target:
                self.download(url, target.write)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    def copy(self, source: ObjectUrl, target: ObjectUrl) -> None:
        """Copy within the server. Raises NotFound."""
        path = f"{_object_path(source)}/rewriteTo/b/{_part(target.bucket)}/o/{_part(target.object)}"
        query: dict[str, str | int] = {}
        while not (answer := self._connection.call("POST", path, query=query, body={})).get("done"):
            query["rewriteToken"] = answer["rewriteToken"]

    def delete(self, url: ObjectUrl) -> None:
        """Remove an object. Raises NotFound."""
        read(self._connection.send("DELETE", _object_path(url)))

    def _page(self, bucket: str, query: Mapping[str, str | int]) -> Json:
        try:
            return self._connection.call("GET", f"/storage/v1/b/{_part(bucket)}/o", query=query)
        except NotFound:
            raise no_bucket(bucket) from None

    def _multipart(self, content: bytes, url: ObjectUrl) -> tuple[Json, str]:
        crc = _Crc()
        crc.add(content)
        boundary = f"==============={uuid.uuid4().hex}=="
        about = json.dumps({"crc32c": crc.text, "size": str(len(content))})
        body = b"".join(
            (
                f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{about}\r\n".encode(),
                f"--{boundary}\r\nContent-Type: application/octet-stream\r\n\r\n".encode(),
                content,
                f"\r\n--{boundary}--\r\n".encode(),
            )
        )
        response = self._connection.send(
            "POST",
            f"/upload/storage/v1/b/{_part(url.bucket)}/o",
            query={"uploadType": "multipart", "name": url.object},
            headers={"Content-Type": f'multipart/related; boundary="{boundary}"'},
            body=body,
            timeout=300.0,
        )
        return json.loads(read(response)), crc.text

    def _resumable(self, source: IO[bytes], size: int, url: ObjectUrl) -> tuple[Json, str]:
        begun = self._connection.send(
            "POST",
            f"/upload/storage/v1/b/{_part(url.bucket)}/o",
            query={"uploadType": "resumable", "name": url.object},
            headers={
                "Content-Type": "application/json; charset=UTF-8",
                "X-Upload-Content-Length": str(size),
            },
            body=b"{}",
        )
        read(begun)
        location = urlsplit(begun.headers.get("Location") or "")
        session = f"{location.path}?{location.query}"
        crc = _Crc()
        hashed = sent = 0
        failures = 0
        while True:
            source.seek(sent)
            piece = source.read(RESUMABLE_BYTES)
            if sent + len(piece) > hashed:  # a piece sent again is not counted again
                crc.add(piece[hashed - sent :])
                hashed = sent + len(piece)
            headers = {"Content-Range": f"bytes {sent}-{sent + len(piece) - 1}/{size}"}
            if hashed >= size:
                headers["x-goog-hash"] = f"crc32c={crc.text}"
            try:
                answer = self._put(session, headers, piece)
            except Unavailable:
                failures += 1
                if failures == _ATTEMPTS:
                    raise
                answer = self._put(session, {"Content-Range": f"bytes */{size}"}, b"")
            if isinstance(answer, dict):
                return answer, crc.text
            sent = answer

    def _put(self, session: str, headers: dict[str, str], piece: bytes) -> Json | int:
        """Send a piece: the finished object, or how many bytes the server now has."""
        response = self._connection.send(
            "PUT", session, headers=headers, body=piece, timeout=300.0, accepted=(308,)
        )
        content = read(response)
        if response.status == 308:
            _, _, last = (response.headers.get("Range") or "").rpartition("-")
            return int(last) + 1 if last else 0
        stored: Json = json.loads(content)
        return stored


class _Crc:
    """CRC32C as the Storage API writes it: base64 of four bytes, highest first."""

    def __init__(self) -> None:
        import google_crc32c  # 10 ms that only a transfer should pay

        self._checksum: Any = google_crc32c.Checksum()

    def add(self, piece: bytes) -> None:
        self._checksum.update(piece)

    @property
    def text(self) -> str:
        return base64.b64encode(self._checksum.digest()).decode()


def no_bucket(bucket: str) -> NotFound:
    """That a bucket is missing, and how to make it."""
    return NotFound(f"There is no bucket gs://{bucket}.", hint=f"Make it: mlengine storage mb gs://{bucket}")


def _object_path(url: ObjectUrl) -> str:
    return f"/storage/v1/b/{_part(url.bucket)}/o/{_part(url.object)}"


def _part(text: str) -> str:
    return quote(text, safe="")
