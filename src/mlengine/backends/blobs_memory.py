"""Blobs in memory, gone with the process: for servers that only live through a test."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from threading import Lock

from mlengine.storage.blobs import PIECE, BlobInfo, Pieces


class MemoryBlobs:
    """Implements `mlengine.storage.blobs.Blobs` in dictionaries."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._growing: dict[str, bytes] = {}
        self._sealed: dict[str, bytes] = {}
        self._changed: dict[str, datetime] = {}

    def write(self, key: str, chunks: Iterable[bytes]) -> int:
        content = b"".join(chunks)
        with self._lock:
            self._sealed[key] = content
            self._changed[key] = datetime.now(UTC)
        return len(content)

    def append(self, key: str, offset: int, chunks: Iterable[bytes]) -> int:
        content = bytearray(self._growing.get(key, b""))
        if offset > len(content):
            raise ValueError(f"blob {key} has {len(content)} bytes; it cannot go on at {offset}")
        del content[offset:]
        try:
            for chunk in chunks:
                content += chunk
        finally:
            with self._lock:
                self._growing[key] = bytes(content)
                self._changed[key] = datetime.now(UTC)
        return len(content)

    def progress(self, key: str) -> int:
        with self._lock:
            return len(self._growing.get(key, self._sealed.get(key, b"")))

    def partial(self, key: str) -> Pieces:
        return _pieces(self._growing.get(key, b""))

    def seal(self, key: str) -> None:
        with self._lock:
            if key in self._growing or key not in self._sealed:
                self._sealed[key] = self._growing.pop(key, b"")
                self._changed.setdefault(key, datetime.now(UTC))

    def read(self, key: str, start: int = 0, end: int | None = None) -> Pieces:
        return _pieces(self._sealed[key][start:end])

    def size(self, key: str) -> int:
        return len(self._sealed[key])

    def delete(self, key: str) -> None:
        with self._lock:
            for blobs in (self._growing, self._sealed):
                blobs.pop(key, None)
            self._changed.pop(key, None)

    def list(self, prefix: str = "") -> Iterator[BlobInfo]:
        with self._lock:
            found = [
                BlobInfo(key=key, size=len(content), changed=self._changed[key], sealed=sealed)
                for blobs, sealed in ((self._growing, False), (self._sealed, True))
                for key, content in blobs.items()
                if key.startswith(prefix)
            ]
        yield from found


def _pieces(content: bytes) -> Pieces:
    return (content[at : at + PIECE] for at in range(0, len(content), PIECE))
