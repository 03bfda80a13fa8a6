"""Blobs in an object store: S3 and what speaks like it, Google Cloud Storage, Azure. The library is obstore.

    STORE/ab/abcdef…   readable contents, named as in the folder, so that one can be copied to the other
    SPOOL/…            contents on their way, on the local disk

Object stores cannot append, and their multipart uploads take no part below 5 MiB and keep nothing of a part
that broke off. So a blob grows in a local folder, where every acknowledged byte survives a crash, and goes up
when it is sealed. `write` acknowledges nothing before its end, needs no such memory, and streams up at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from datetime import timedelta
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import from_url

from mlengine.backends.blobs_folder import FolderBlobs
from mlengine.errors import FailedPrecondition, InvalidArgument, Unavailable, nearest
from mlengine.storage.blobs import PIECE, BlobInfo, Pieces, check_key, is_key

if TYPE_CHECKING:
    from obstore import GetOptions
    from obstore.store import ObjectStore

_PART = 8 << 20  # bytes of one part of a multipart upload
_MOST_PARTS = 10_000  # what S3 takes
_AT_ONCE = 2  # parts under way; with one being filled they bound the memory of an upload

# Options of a blobs_url, and what obstore calls them. Secrets stay out of URLs, which end up in logs.
_OPTIONS = {
    "s3": {
        "endpoint": "endpoint",
        "region": "region",
        "virtual_hosted_style": "virtual_hosted_style_request",
    },
    "gs": {"endpoint": "base_url"},
    "az": {"endpoint": "endpoint", "account": "account_name"},
}
# No limit for a whole transfer, which takes what its client takes; but the store must not fall silent.
_CLIENT: Any = {"allow_http": True, "timeout": timedelta(days=7), "read_timeout": timedelta(minutes=5)}
_RETRY: Any = {"max_retries": 5, "retry_timeout": timedelta(minutes=1)}
_Result = TypeVar("_Result")


def open_object_store(url: str, *, spool: Path) -> ObjectStoreBlobs:
    """Blobs under the bucket and prefix of `url`.

    Args:
        url: `s3://BUCKET/PREFIX`, `gs://…` or `az://CONTAINER/…`; `?endpoint=…` and `?region=…` (S3) or
            `?account=…` (Azure) may follow. Whatever else is needed, above all credentials, obstore takes
            from the variables of each provider (`AWS_…`, `GOOGLE_…`, `AZURE_…`).
        spool: Folder for unfinished uploads, on a disk with room for them.

    Raises:
        InvalidArgument: `url` is wrong.
        FailedPrecondition: the store does not let us in, or does not answer.
    """
    place = urlsplit(url)
    options = _OPTIONS[place.scheme]
    shown = place._replace(netloc=place.hostname or "", query="").geturl()
    if not place.hostname or place.username or place.password:
        raise InvalidArgument(
            f"blobs_url {shown} must be {place.scheme}://BUCKET/PREFIX, without user or password.",
            hint="Credentials come from the environment of the server.",
        )
    config: dict[str, Any] = {}
    for name, value in parse_qsl(place.query, keep_blank_values=True):
        if name not in options:
            raise InvalidArgument(
                f"blobs_url {shown} has an unknown option '{name}'.",
                hint=nearest(name, [*options]) or f"Known are: {', '.join(options)}.",
            )
        config[options[name]] = value
    bare = place._replace(query="", fragment="").geturl().rstrip("/")
    try:
        store = from_url(bare, config=config, client_options=_CLIENT, retry_config=_RETRY)  # type: ignore[call-overload]
    except (BaseError, ValueError) as error:
        raise InvalidArgument(f"blobs_url {shown} cannot be used: {_reason(error)}") from None
    try:
        next(iter(obstore.list(store, chunk_size=1)), None)
    except (BaseError, OSError) as error:
        raise FailedPrecondition(
            f"The object store {shown} cannot be used: {_reason(error)}",
            hint="Check that the bucket exists, and credentials, region and endpoint in the environment.",
        ) from None
    return ObjectStoreBlobs(store, spool=spool)


class ObjectStoreBlobs:
    """Implements `mlengine.storage.blobs.Blobs`. All verbs raise Unavailable when the store does not answer.

    Args:
        store: Bucket and prefix.
        spool: Folder for blobs that grow; made if need be.
    """

    def __init__(self, store: ObjectStore, *, spool: Path) -> None:
        self._store = store
        self._spool = FolderBlobs(spool)

    def write(self, key: str, chunks: Iterable[bytes]) -> int:
        path = _path(key)
        sender = _Sender(chunks, most=_PART * _MOST_PARTS)
        self._upload(path, sender, part=_PART)
        return sender.size

    def append(self, key: str, offset: int, chunks: Iterable[bytes]) -> int:
        return self._spool.append(key, offset, chunks)

    def progress(self, key: str) -> int:
        if size := self._spool.progress(key):
            return size
        try:
            return self.size(key)
        except KeyError:
            return 0

    def partial(self, key: str) -> Pieces:
        return self._spool.partial(key)

    def seal(self, key: str) -> None:
        path = _path(key)
        try:
            self.size(key)
        except KeyError:
            size = self._spool.progress(key)
            with closing(self._spool.partial(key)) as pieces:
                self._upload(path, _Sender(pieces, most=size), part=max(_PART, -(-size // _MOST_PARTS)))
        # Only now: until the store has the whole of it, this is the only copy.
        self._spool.delete(key)

    def read(self, key: str, start: int = 0, end: int | None = None) -> Pieces:
        path = _path(key)
        if end is not None and end <= start:
            self.size(key)
            return _Stream(None)
        options: GetOptions = {}
        if end is not None:
            options = {"range": (start, end)}
        elif start:
            options = {"range": {"offset": start}}
        try:
            found = obstore.get(self._store, path, options=options)
        except FileNotFoundError:
            raise KeyError(key) from None
        except BaseError as error:
            if start >= self.size(key):  # for which stores have an error of their own
                return _Stream(None)
            raise _unavailable(error) from error
        return _Stream(iter(found.stream(min_chunk_size=PIECE)))

    def size(self, key: str) -> int:
        path = _path(key)
        try:
            return _asked(lambda: obstore.head(self._store, path))["size"]
        except FileNotFoundError:
            raise KeyError(key) from None

    def delete(self, key: str) -> None:
        path = _path(key)
        self._spool.delete(key)
        try:
            _asked(lambda: obstore.delete(self._store, path))
        except FileNotFoundError:
            pass

    def list(self, prefix: str = "") -> Iterator[BlobInfo]:
        yield from self._spool.list(prefix)
        # Stores list by whole components of a path.
        folder = prefix[:2] if len(prefix) >= 2 else None
        pages = iter(obstore.list(self._store, folder, chunk_size=1000))
        while (page := _asked(lambda: next(pages, None))) is not None:
            for found in page:
                key = found["path"].rpartition("/")[2]
                if key.startswith(prefix) and is_key(key):
                    yield BlobInfo(key=key, size=found["size"], changed=found["last_modified"], sealed=True)

    def _upload(self, path: str, chunks: _Sender, *, part: int) -> None:
        """Store all chunks: in parts, if they are more than one part; an object is never seen half."""
        begin = bytearray()
        for chunk in chunks:
            begin += chunk
            if len(begin) >= part:
                break
        try:
            if len(begin) < part:
                obstore.put(self._store, path, bytes(begin), use_multipart=False)
            else:
                content = chain((bytes(begin),), chunks)
                obstore.put(self._store, path, content, chunk_size=part, max_concurrency=_AT_ONCE)
        except (BaseError, OSError) as error:
            if chunks.failed:
                raise
            raise _unavailable(error) from error


class _Sender:
    """Chunks on their way up: counted, and their failures told from those of the store.

    Args:
        most: Bytes that fit into the parts.
    """

    def __init__(self, chunks: Iterable[bytes], *, most: int) -> None:
        self._chunks = iter(chunks)
        self._most = most
        self.size = 0
        self.failed = False

    def __iter__(self) -> _Sender:
        return self

    def __next__(self) -> bytes:
        self.failed = True
        chunk = next(self._chunks, None)
        if chunk is not None:
            self.size += len(chunk)
            if self.size > self._most:
                raise InvalidArgument(
                    f"One request can bring at most {self._most} bytes to this server's object store.",
                    hint="Send the content as a resumable upload, which has no such limit.",
                )
        self.failed = False
        if chunk is None:
            raise StopIteration
        return chunk


class _Stream:
    """The bytes of a GET under way, as far as the reader has come; nothing is read ahead."""

    def __init__(self, stream: Iterator[bytes] | None) -> None:
        self._stream = stream

    def __iter__(self) -> _Stream:
        return self

    def __next__(self) -> bytes:
        stream = self._stream
        piece = _asked(lambda: next(stream, None)) if stream is not None else None
        if piece is None:
            self.close()
            raise StopIteration
        return piece

    def close(self) -> None:
        self._stream = None  # which ends its connection


def _path(key: str) -> str:
    return f"{check_key(key)[:2]}/{key}"


def _asked(question: Callable[[], _Result]) -> _Result:
    """What the store answers; that something is not there passes as FileNotFoundError."""
    try:
        return question()
    except FileNotFoundError:
        raise
    except (BaseError, OSError) as error:
        raise _unavailable(error) from error


def _unavailable(error: Exception) -> Unavailable:
    return Unavailable(f"The object store does not serve: {_reason(error)}", hint="Try again in a moment.")


def _reason(error: Exception) -> str:
    """The message in one line, without the dump that obstore adds below it."""
    return " ".join(str(error).partition("\n\nDebug source")[0].split())[:500]
