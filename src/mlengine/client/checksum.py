"""CRC32C, by which every transfer is checked. Apart, because its library is loaded only when needed."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

_READ = 1 << 20


class Crc:
    """CRC32C as the Storage API writes it: base64 of four bytes, highest first."""

    def __init__(self) -> None:
        import google_crc32c  # 10 ms that only a transfer should pay

        self._checksum: Any = google_crc32c.Checksum()

    def add(self, piece: bytes | memoryview) -> None:
        """Count the next bytes."""
        self._checksum.update(bytes(piece) if isinstance(piece, memoryview) else piece)

    @property
    def text(self) -> str:
        """Of all bytes so far."""
        return base64.b64encode(self._checksum.digest()).decode()


def of_file(path: Path) -> str:
    """The checksum of a file's content. Raises OSError."""
    crc = Crc()
    with path.open("rb") as source:
        while piece := source.read(_READ):
            crc.add(piece)
    return crc.text
