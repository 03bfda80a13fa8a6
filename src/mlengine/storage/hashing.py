"""Digests computed while a content passes by."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import google_crc32c

from mlengine.storage.domain import Hashes


class Digest:
    """The running hashes of the bytes seen so far.

    Args:
        md5: Whether to compute MD5 too, which costs by far the most.
    """

    def __init__(self, *, md5: bool = True) -> None:
        self._crc32c = 0
        self._md5 = hashlib.md5(usedforsecurity=False) if md5 else None

    def through(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """The same chunks, hashed on their way."""
        for chunk in chunks:
            self._crc32c = google_crc32c.extend(self._crc32c, chunk)
            if self._md5:
                self._md5.update(chunk)
            yield chunk

    def read(self, chunks: Iterable[bytes]) -> Digest:
        """Hash all chunks and keep none."""
        for _ in self.through(chunks):
            pass
        return self

    def hashes(self) -> Hashes:
        """The digests of what has passed."""
        return Hashes(crc32c=self._crc32c, md5=self._md5.hexdigest() if self._md5 else None)
