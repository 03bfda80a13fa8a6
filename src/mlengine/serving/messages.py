"""The frames that gateway and model worker exchange over a Unix socket; apart, because both ends read it.

A message is a header (`"<IIHH"`: length of the body, id, kind, status) and its body. The status of a request
is the time it may still take, in units of 10 ms; 0 sets no limit. Its answer carries the same id and kind, an
HTTP status number, and a body that begins with TIMES: where the time went. Many requests may be under way on
one connection; answers come in any order. Standard library only: the worker's end runs in the Python of a
runtime, which does not contain mlengine.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

HEADER = struct.Struct("<IIHH")
TIMES = struct.Struct("<5I")
"""First bytes of an answer's body: microseconds that the request waited in the worker, that its decoding, the
model and its encoding took, and how many instances the model call that answered it had."""

PREDICT = 1
"""Body: the JSON of an ml v1 predict request, as the caller sent it."""
DESCRIBE = 2
"""Body: empty. The answer is the description of the loaded model (see `runtimes/model.py`)."""
EXPLAIN = 3
"""Body: the JSON of an ml v1 explain request."""
TF_SERVING = 4
"""Body: the JSON of TensorFlow Serving's REST predict request; answered in the same language."""
INFER = 5
"""Body: the JSON of an Open Inference v2 request; answered in the same language."""
CSV = 6
"""Body: CSV, a row an instance; answered as PREDICT is."""
JSON_LINES = 7
"""Body: an instance a line; answered with a prediction a line."""
ARROW = 8
"""Body: an Arrow IPC stream; answered with one."""
CANCEL = 9
"""Body: empty; the id is that of a request to drop if it still waits. There is no answer."""

TIME_LEFT = 0.01
"""Seconds in a unit of a request's status."""
MOST_TIME_LEFT = 0xFFFF * TIME_LEFT
"""The longest limit that a request can state, in seconds."""

LARGEST_BODY = 64 * 1024 * 1024
"""Bytes. A longer body is skipped while it arrives, and answered with 413."""


class Frame(NamedTuple):
    """One message, taken off the wire.

    Attributes:
        id: Chosen by the caller, unique among its unanswered requests on the connection.
        kind: One of the kinds above.
        status: The time left in a request, an HTTP status number in an answer.
        body: What the kind says, in an answer behind TIMES; empty where `skipped` is not 0.
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


def time_left(seconds: float) -> int:
    """`seconds` as the status of a request; never 0, which would mean no limit."""
    return max(1, min(0xFFFF, round(seconds / TIME_LEFT)))


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
