"""The frames that gateway and model worker exchange over a Unix socket; apart, because both ends read it.

A message is a header (`"<IIHH"`: length of the body, id, kind, status) and its body. A request carries a kind
and status 0; its answer carries the same id and kind, an HTTP status number, and JSON. Many requests may be
under way on one connection; answers come in any order. Standard library only: the worker's end runs in the
Python of a runtime, which does not contain mlengine.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

HEADER = struct.Struct("<IIHH")

PREDICT = 1
"""Body: the JSON of an ml v1 predict request, as the caller sent it."""
DESCRIBE = 2
"""Body: empty. The answer is the description of the loaded model (see `runtimes/model.py`)."""

LARGEST_BODY = 64 * 1024 * 1024
"""Bytes. A longer body is skipped while it arrives, and answered with 413."""


class Frame(NamedTuple):
    """One message, taken off the wire.

    Attributes:
        id: Chosen by the caller, unique among its unanswered requests on the connection.
        kind: PREDICT or DESCRIBE.
        status: 0 in a request, an HTTP status number in an answer.
        body: JSON bytes; empty where `skipped` is not 0.
        skipped: Length in bytes of a body that was over LARGEST_BODY and therefore thrown away.
    """

    id: int
    kind: int
    status: int
    body: bytes
    skipped: int = 0


def pack(body: bytes, *, id: int, kind: int, status: int = 0) -> bytes:
    """One message as it goes over the wire."""
    return HEADER.pack(len(body), id, kind, status) + body


class FrameReader:
    """Turns bytes, cut anywhere, into frames. Keeps at most one unfinished frame."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._to_skip = 0

    @property
    def unfinished(self) -> bool:
        """Whether a frame has begun that has not ended."""
        return bool(self._buffer) or self._to_skip > 0

    def feed(self, data: bytes) -> list[Frame]:
        """Take in `data`, and return every frame that it completes."""
        buffer = self._buffer
        buffer += data
        frames: list[Frame] = []
        start = 0
        while True:
            if self._to_skip:
                skipped = min(self._to_skip, len(buffer) - start)
                start += skipped
                self._to_skip -= skipped
            if self._to_skip or len(buffer) - start < HEADER.size:
                break
            length, id, kind, status = HEADER.unpack_from(buffer, start)
            if length > LARGEST_BODY:
                # Answered at once; a sender that is told early may save itself the rest.
                frames.append(Frame(id, kind, status, b"", skipped=length))
                start += HEADER.size
                self._to_skip = length
                continue
            end = start + HEADER.size + length
            if len(buffer) < end:
                break
            frames.append(Frame(id, kind, status, bytes(memoryview(buffer)[start + HEADER.size : end])))
            start = end
        del buffer[:start]
        return frames
