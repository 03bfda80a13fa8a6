"""Digests computed while a content passes by."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import google_crc32c

from mlengine.storage.domain import Hashes

# MD5 takes twice as long as everything else together, and cannot be divided: with it no upload is faster than
# 750 MB/s of one core. Larger contents have it if their sender names it or is known to look for it; all
# have their CRC32C.
LARGEST_WITH_MD5 = 64 << 20  # bytes


class Digest:
    """The running hashes of the bytes seen so far.

    Args:
        md5: Whether to compute MD5 too, which costs by far the most.
        most: Bytes behind which MD5 is given up; None to go on.
    """

    def __init__(self, *, md5: bool = True, most: int | None = None) -> None:
        self._crc32c = 0
        self._left = most
        self._md5 = hashlib.md5(usedforsecurity=False) if md5 else None

    def through(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """The same chunks, hashed on their way."""
        for chunk in chunks:
            self._crc32c = google_crc32c.extend(self._crc32c, chunk)
            if self._md5:
                self._hash(chunk)
            yield chunk

    def _hash(self, chunk: bytes) -> None:
        if self._left is not None:
            self._left -= len(chunk)
        if self._left is not None and self._left < 0:
            self._md5 = None
        elif self._md5:
            self._md5.update(chunk)

    def read(self, chunks: Iterable[bytes]) -> Digest:
        """Hash all chunks and keep none."""
        for _ in self.through(chunks):
            pass
        return self

    def hashes(self) -> Hashes:
        """The digests of what has passed."""
        return Hashes(crc32c=self._crc32c, md5=self._md5.hexdigest() if self._md5 else None)
