"""What storage asks of a place for contents. Folders, object stores and memory give it in `backends`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

PIECE = 1 << 20  # bytes that are moved at a time
_KEY = re.compile(r"[a-z0-9]{1,64}", re.ASCII)


def is_key(text: str) -> bool:
    """Whether a blob can have this key."""
    return bool(_KEY.fullmatch(text))


def check_key(key: str) -> str:
    """`key` itself.

    Raises:
        ValueError: no blob can have it.
    """
    if not is_key(key):
        raise ValueError(f"{key!r} is no blob key")
    return key


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobInfo:
    """A blob that is there.

    Attributes:
        size: Length in bytes.
        changed: When its last byte was written.
        sealed: False while it is still being written, or was given up half-way.
    """

    key: str
    size: int
    changed: datetime
    sealed: bool


class Pieces(Iterator[bytes], Protocol):
    """A content that is being read; its end is reached, or it is closed."""

    def close(self) -> None:
        """Stop reading; closing twice is fine."""
        ...


class Blobs(Protocol):
    """Contents under opaque keys: 1 to 64 small letters and digits, chosen by the caller and used once.

    A blob is grown by `append` and becomes readable, whole and for good, by `seal`; what these two have
    returned survives a crash of the machine. `write` is both at once. A sealed blob never changes.
    """

    def write(self, key: str, chunks: Iterable[bytes]) -> int:
        """Store a whole content: nothing is left when `chunks` or the disk fail.

        Returns:
            Its size in bytes.
        """
        ...

    def append(self, key: str, offset: int, chunks: Iterable[bytes]) -> int:
        """Continue an unsealed blob at `offset`, at most its progress; what lies behind is cut off.

        When `chunks` fails, what came before stays, and the exception passes.

        Returns:
            Its size in bytes now.
        """
        ...

    def progress(self, key: str) -> int:
        """Bytes stored so far, sealed or not; 0 for a key never seen."""
        ...

    def partial(self, key: str) -> Pieces:
        """The bytes stored so far of an unsealed blob; none for a key never seen."""
        ...

    def seal(self, key: str) -> None:
        """Make an unsealed blob readable; a key never seen becomes an empty one. Sealing twice is fine."""
        ...

    def read(self, key: str, start: int = 0, end: int | None = None) -> Pieces:
        """The bytes from `start` up to, without, `end` (None: the last). The blob is open when this returns:
        deleting it afterwards does not disturb the reader.

        Raises:
            KeyError: there is no such sealed blob.
        """
        ...

    def size(self, key: str) -> int:
        """Length of a sealed blob in bytes.

        Raises:
            KeyError: there is no such sealed blob.
        """
        ...

    def delete(self, key: str) -> None:
        """Remove a blob, sealed or not; a key never seen is fine."""
        ...

    def list(self, prefix: str = "") -> Iterator[BlobInfo]:
        """All blobs whose key begins with `prefix`, sealed or not, in no certain order."""
        ...
