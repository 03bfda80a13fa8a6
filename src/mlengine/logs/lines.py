"""Reading a file of time-ordered JSON lines from any moment on, forward or backward.

Apart, because a log may be large and is polled: the place is found by bisection over byte offsets, never by
reading from the start. Files are opened for a moment only, since a project may have thousands.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from itertools import takewhile
from pathlib import Path
from typing import Any

from mlengine.clock import from_text

_BLOCK = 1 << 18
_PROBE = 1 << 13  # bytes read at once while a place is looked for
_CLOSE = 1 << 14  # bytes that are read rather than bisected further
Record = tuple[datetime, dict[str, Any]]


class LineFile:
    """A file that somebody else may be appending to. One that is not there is empty.

    A last line without its end is still being written, and a line that is no record was cut off by a crash:
    both are passed over.

    Args:
        marks: Only lines with one of these in them are read; all, without any.
    """

    def __init__(self, path: Path, marks: tuple[bytes, ...] = ()) -> None:
        self._path = path
        self._marked = re.compile(b"|".join(map(re.escape, marks))).search if marks else bool

    def forward(self, since: datetime) -> Iterator[Record]:
        """Records from the moment `since` on, oldest first."""
        for _, line in self._lines(self._place(since)):
            record = _record(line) if self._marked(line) else None
            if record and record[0] >= since:
                yield record

    def backward(self, until: datetime) -> Iterator[Record]:
        """Records before the moment `until`, newest first."""
        end = self._place(until)
        # The place is a little early: what lies between is read forward.
        between = (record for _, line in self._lines(end) if (record := _record(line)))
        yield from reversed(list(takewhile(lambda record: record[0] < until, between)))
        rest = b""
        while end > 0:
            start = max(0, end - _BLOCK)
            block = self._read(start, end - start) + rest
            end = start
            # The first line may have begun in the block before.
            first = block.find(b"\n") + 1 if start else 0
            if start and not first:
                rest = block
                continue
            rest, block = block[:first], block[first:]
            if not self._marked(block):
                continue
            for line in reversed(block.split(b"\n")):
                if self._marked(line) and (record := _record(line)):
                    yield record

    def _place(self, moment: datetime) -> int:
        """The start of a line a little before the first record that is not older than `moment`."""
        low, high = 0, self._size()
        while high - low > _CLOSE:
            middle = (low + high) // 2
            found = next(self._records(middle, high), None)
            if found is None or found[1] >= moment:
                high = middle
            else:
                low = found[0]
        return low

    def _records(self, position: int, bound: int) -> Iterator[tuple[int, datetime]]:
        """The ends and times of the records whose lines begin in [position, bound)."""
        for offset, line in self._lines(self._line_start(position), _PROBE):
            if offset >= bound:
                return
            if record := _record(line):
                yield offset + len(line) + 1, record[0]

    def _line_start(self, position: int) -> int:
        """The first line start at or after `position`."""
        if position == 0:
            return 0
        at = position - 1  # a line that begins exactly here is preceded by a line's end
        while block := self._read(at, _PROBE):
            if (found := block.find(b"\n")) >= 0:
                return at + found + 1
            at += len(block)
        return at

    def _lines(self, offset: int, portion: int = _BLOCK) -> Iterator[tuple[int, bytes]]:
        """Complete lines from the line start `offset` on, with their own offsets."""
        rest = b""
        while block := self._read(offset + len(rest), portion):
            *lines, rest = (rest + block).split(b"\n")
            for line in lines:
                yield offset, line
                offset += len(line) + 1

    def _read(self, offset: int, length: int) -> bytes:
        try:
            with self._path.open("rb", buffering=0) as file:
                file.seek(offset)
                return file.read(length)
        except FileNotFoundError:
            return b""

    def _size(self) -> int:
        try:
            return self._path.stat().st_size
        except FileNotFoundError:
            return 0


def _record(line: bytes) -> Record | None:
    try:
        value = json.loads(line)
        return from_text(value["time"]), value
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
