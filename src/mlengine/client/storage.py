"""Buckets and objects through the Storage JSON API. Every transfer is checked by its CRC32C."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mlengine.client import downloading
from mlengine.client.addresses import bucket_path, object_path, part
from mlengine.client.http import Connection, Json, read
from mlengine.client.patience import PASSING, Patience
from mlengine.client.uploading import Upload
from mlengine.errors import NotFound
from mlengine.names import ObjectUrl

_PATIENT_SECONDS = 300.0
# What a transfer needs to know; of a million objects the rest would be most of the memory.
_TREE_FIELDS = "items(name,size,crc32c,generation,timeCreated,contentEncoding,metadata),nextPageToken"


@dataclass(frozen=True, slots=True)
class Listing:
    """What lies directly below a prefix: objects, and the prefixes ("folders") below it."""

    objects: list[Json]
    prefixes: list[str]


class Storage:
    """The buckets of one server, for one thread.

    Attributes:
        connection: The line to the server.
    """

    def __init__(self, connection: Connection, project: str) -> None:
        self.connection = connection
        self._project = project

    # Buckets

    def buckets(self) -> Iterator[Json]:
        """The project's buckets by name."""
        query: dict[str, str | int] = {"project": self._project}
        while True:
            page = self.connection.call("GET", "/storage/v1/b", query=query)
            yield from page.get("items", [])
            if not page.get("nextPageToken"):
                return
            query["pageToken"] = page["nextPageToken"]

    def bucket_exists(self, bucket: str) -> bool:
        """Whether there is such a bucket."""
        try:
            self.connection.call("GET", bucket_path(bucket))
        except NotFound:
            return False
        return True

    def create_bucket(self, bucket: str, *, location: str = "") -> Json:
        """Make a bucket. Raises AlreadyExists, InvalidArgument."""
        body = {"name": bucket} | ({"location": location} if location else {})
        return self.connection.call("POST", "/storage/v1/b", query={"project": self._project}, body=body)

    def delete_bucket(self, bucket: str) -> None:
        """Remove an empty bucket. Raises NotFound, Conflict when something is in it."""
        try:
            read(self.connection.send("DELETE", bucket_path(bucket)))
        except NotFound:
            raise no_bucket(bucket) from None

    # Looking at objects

    def stat(self, url: ObjectUrl) -> Json | None:
        """The object's resource, or None when there is no such object."""
        try:
            return self.connection.call("GET", object_path(url))
        except NotFound:
            return None

    def list(self, url: ObjectUrl, *, recursive: bool = False) -> Listing:
        """What lies below the prefix `url`, by name. Raises NotFound when the bucket is missing."""
        found = Listing([], [])
        for page in self._pages(url, {} if recursive else {"delimiter": "/"}):
            found.objects.extend(page.get("items", []))
            found.prefixes.extend(page.get("prefixes", []))
        return found

    def tree(self, url: ObjectUrl, *, whole: bool = False) -> Iterator[Json]:
        """Every object whose name begins with `url`, by name and page by page.

        Args:
            whole: Whether the resources must hold more than a transfer needs.

        Raises:
            NotFound: the bucket is missing.
        """
        for page in self._pages(url, {} if whole else {"fields": _TREE_FIELDS}):
            yield from page.get("items", [])

    def is_folder(self, url: ObjectUrl) -> bool:
        """Whether any object lies below the folder `url`. Raises NotFound when the bucket is missing."""
        query: dict[str, str | int] = {"prefix": folder(url).object, "maxResults": 1}
        return bool(self._page(url.bucket, query).get("items"))

    # Moving contents

    def upload(self, path: Path, url: ObjectUrl) -> Json:
        """Store a file; the object. Large files go in pieces and survive a broken connection.

        Raises:
            NotFound: no such bucket.
            FailedPrecondition: the file was changed meanwhile.
            Internal: what arrived is not what was sent.
        """
        return Upload(self.connection, url, resource={}, patience=Patience()).file(path).resource

    def download(self, url: ObjectUrl, write: Callable[[bytes], object]) -> None:
        """Hand the object's content to `write`, piece by piece; what is stored packed comes unpacked.

        Raises:
            NotFound: no such object.
            Internal: the content does not fit the stored checksum.
        """
        found = self._found(url)
        checked = downloading.Checked(url, found)

        def stored() -> Iterator[bytes]:
            whole = int(found.get("size", 0))
            for piece in downloading.pieces(
                self.connection, url, found, start=0, end=whole, patience=Patience()
            ):
                checked.add(piece)
                yield piece

        packed = found.get("contentEncoding") == "gzip"
        for piece in downloading.unpacked(stored()) if packed else stored():
            write(piece)
        checked.verify()

    def download_file(self, url: ObjectUrl, path: Path) -> None:
        """Write the object to `path`, which appears only when it is whole. Raises as `download`."""
        downloading.Download(self.connection, url, self._found(url), patience=Patience()).file(path)

    # Changing objects

    def copy(
        self, source: ObjectUrl, target: ObjectUrl, *, generation: str = "", only_new: bool = False
    ) -> None:
        """Copy within the server, whatever its size.

        Args:
            generation: Of the source; "" for the present one.
            only_new: Whether the target must not exist yet.

        Raises:
            NotFound: no such object, or no bucket to copy to.
            FailedPrecondition: the target exists and must not.
        """
        path = f"{object_path(source)}/rewriteTo/b/{part(target.bucket)}/o/{part(target.object)}"
        query: dict[str, str | int] = {"ifGenerationMatch": 0} if only_new else {}
        if generation:
            query["sourceGeneration"] = generation
        while True:
            answer = self.connection.call("POST", path, query=query, body={}, timeout=_PATIENT_SECONDS)
            if answer.get("done"):
                return
            query["rewriteToken"] = answer["rewriteToken"]

    def delete(self, url: ObjectUrl, *, generation: str = "", patience: Patience | None = None) -> None:
        """Remove an object.

        Args:
            generation: Remove it only while it is this one; "" for the present one.

        Raises:
            NotFound: no such object.
            FailedPrecondition: it has been replaced.
        """
        query: dict[str, str | int] = {"ifGenerationMatch": generation} if generation else {}
        repeated = False
        while True:
            try:
                read(self.connection.send("DELETE", object_path(url), query=query))
                return
            except NotFound:
                if repeated:  # the answer to the first time was lost
                    return
                raise
            except PASSING as problem:
                if patience is None:
                    raise
                patience.wait(problem)
                repeated = True

    def describe(self, url: ObjectUrl, metadata: Mapping[str, str], *, generation: str) -> None:
        """Add to an object's metadata. Raises NotFound, FailedPrecondition when it has been replaced."""
        self.connection.call(
            "PATCH",
            object_path(url),
            query={"ifGenerationMatch": generation} if generation else {},
            body={"metadata": dict(metadata)},
        )

    def _found(self, url: ObjectUrl) -> Json:
        return self.connection.call("GET", object_path(url))

    def _pages(self, url: ObjectUrl, more: Mapping[str, str]) -> Iterator[Json]:
        query: dict[str, str | int] = {"prefix": url.object, **more}
        while True:
            page = self._page(url.bucket, query)
            yield page
            if not page.get("nextPageToken"):
                return
            query["pageToken"] = page["nextPageToken"]

    def _page(self, bucket: str, query: Mapping[str, str | int]) -> Json:
        try:
            return self.connection.call("GET", f"{bucket_path(bucket)}/o", query=query)
        except NotFound:
            raise no_bucket(bucket) from None


def folder(url: ObjectUrl) -> ObjectUrl:
    """`url` as the prefix of what lies below it: with a final slash, or empty for the bucket."""
    if not url.object or url.object.endswith("/"):
        return url
    return ObjectUrl(url.bucket, f"{url.object}/")


def no_bucket(bucket: str) -> NotFound:
    """That a bucket is missing, and how to make it."""
    return NotFound(f"There is no bucket gs://{bucket}.", hint=f"Make it: mlengine storage mb gs://{bucket}")
