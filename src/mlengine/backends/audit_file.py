"""Who did what, as JSON lines in DATA/audit, a file a month; apart from those who decide what is noted."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mlengine.administration.domain import Place

_PIECE = 64 * 1024


class AuditFile:
    """Appends records, each whole or not at all, and reads them from the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writing = threading.Lock()

    def append(self, record: dict[str, Any]) -> None:
        """Write one record; it has a `time` in RFC 3339. Raises OSError."""
        line = json.dumps(record, ensure_ascii=False).encode() + b"\n"
        with self._writing:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            path = self._folder / f"{record['time'][:7]}.jsonl"
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(descriptor, line)
            finally:
                os.close(descriptor)

    def backwards(self, before: Place | None) -> Iterator[tuple[Place, Mapping[str, Any]]]:
        """Implements `mlengine.administration.domain.Trail`."""
        for path in sorted(self._folder.glob("????-??.jsonl"), reverse=True):
            month = path.stem
            if before is not None and month > before.month:
                continue
            end = before.end if before is not None and month == before.month else path.stat().st_size
            for start, line in _lines_backwards(path, end):
                try:
                    record = json.loads(line)
                except ValueError:
                    continue  # cut short by a full disk
                if isinstance(record, dict):
                    yield Place(month, start), record


def _lines_backwards(path: Path, end: int) -> Iterator[tuple[int, bytes]]:
    """The lines of a file before `end` from the last to the first, each with where it begins."""
    with path.open("rb") as file:
        rest = b""
        while end > 0:
            size = min(_PIECE, end)
            end -= size
            file.seek(end)
            pieces = (file.read(size) + rest).split(b"\n")
            rest = pieces[0]
            at = end + sum(len(piece) + 1 for piece in pieces)
            for piece in reversed(pieces[1:]):
                at -= len(piece) + 1
                if piece:
                    yield at, piece
        if rest:
            yield 0, rest
