"""Where contents of objects are read: small ones in the database, all others in the blob store."""

from __future__ import annotations

from mlengine.database import Database
from mlengine.storage import store
from mlengine.storage.blobs import Blobs, Pieces

# A file of its own costs three waits for the disk; up to this size a row costs none beside its object's.
LARGEST_SMALL = 16 * 1024  # bytes


class Contents:
    """Contents that objects refer to, read by their keys. All methods raise KeyError for one not there.

    Args:
        blobs: Those that have a blob.
    """

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self._database = database
        self._blobs = blobs

    def read(self, key: str, start: int = 0, end: int | None = None) -> Pieces:
        """The bytes from `start` up to, without, `end`, open for as long as the reader likes."""
        if not store.is_small(key):
            return self._blobs.read(key, start, end)
        with self._database.look() as db:
            content = store.get_small(db, key)
        if content is None:
            raise KeyError(key)
        return HeldPieces(content[start:end])

    def size(self, key: str) -> int:
        """Length in bytes."""
        if not store.is_small(key):
            return self._blobs.size(key)
        with self._database.look() as db:
            content = store.get_small(db, key)
        if content is None:
            raise KeyError(key)
        return len(content)


class HeldPieces:
    """One piece, held in memory."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __iter__(self) -> HeldPieces:
        return self

    def __next__(self) -> bytes:
        content, self._content = self._content, b""
        if not content:
            raise StopIteration
        return content

    def close(self) -> None:
        self._content = b""
