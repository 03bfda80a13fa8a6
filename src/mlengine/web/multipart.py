"""Multipart bodies as Google's clients write them, read piece by piece.

Our own, because the media part may be larger than memory, and because clients differ: boundaries in double,
single or no quotes, lines ending in CRLF or LF. Both kinds in use are here: `multipart/related`, a JSON part
and then the media, and `multipart/mixed`, many small requests in one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mlengine.errors import InvalidArgument

_BOUNDARY = re.compile(r"""boundary=(?:"([^"]+)"|'([^']+)'|([^\s;]+))""", re.IGNORECASE)
_LONGEST_HEAD = 64 * 1024  # bytes before the content of a part
_LONGEST_JSON = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A small part of a multipart body; header names are in small letters."""

    headers: dict[str, str]
    content: bytes


def boundary_of(content_type: str) -> str:
    """The boundary that a Content-Type header names.

    Raises:
        InvalidArgument: it names none.
    """
    match = _BOUNDARY.search(content_type)
    if not match:
        raise InvalidArgument(f"The Content-Type '{content_type[:100]}' names no boundary between the parts.")
    return next(group for group in match.groups() if group)


class MultipartReader:
    """Reads the parts of a body one after the other.

    Args:
        body: The pieces of the body, of any size.
        boundary: What stands between the parts, without the leading dashes.

    Every method raises InvalidArgument when the body breaks off or has another form.
    """

    def __init__(self, body: Iterator[bytes], boundary: str) -> None:
        self._body = body
        self._line = b"--" + boundary.encode()
        self._end = b""  # the line's end and the boundary, once we know how this client ends lines
        self._buffer = b""
        self._strip = 0  # bytes we put before the content

    def next_part(self) -> dict[str, str] | None:
        """The headers of the next part, or None after the last. The content before must have been read."""
        if not self._end:
            self._skip_preamble()
        while len(self._buffer) < 2 and self._more():
            pass
        if self._buffer.startswith(b"--"):
            return None
        self._take_line()  # the rest of the boundary's line
        headers: dict[str, str] = {}
        size = 0
        while line := self._take_line():
            size += len(line)
            if size > _LONGEST_HEAD:
                raise InvalidArgument("The headers of a part are too long.")
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        # An empty content has no line end of its own before the boundary.
        newline = self._end[: -len(self._line)]
        self._buffer = newline + self._buffer
        self._strip = len(newline)
        return headers

    def content(self) -> Iterator[bytes]:
        """The content of the part whose headers were read last, in pieces."""
        strip, keep = self._strip, len(self._end) - 1
        while (at := self._buffer.find(self._end)) < 0:
            if len(self._buffer) > keep:
                ready, self._buffer = self._buffer[:-keep], self._buffer[-keep:]
                strip, ready = _stripped(ready, strip)
                if ready:
                    yield ready
            if not self._more():
                raise InvalidArgument("The body breaks off before its last boundary.")
        ready, self._buffer = self._buffer[:at], self._buffer[at + len(self._end) :]
        _, ready = _stripped(ready, strip)
        if ready:
            yield ready

    def small(self, limit: int = _LONGEST_JSON) -> bytes:
        """The whole content of the part whose headers were read last, at most `limit` bytes."""
        pieces: list[bytes] = []
        size = 0
        for piece in self.content():
            size += len(piece)
            if size > limit:
                raise InvalidArgument(f"A part is larger than {limit} bytes.")
            pieces.append(piece)
        return b"".join(pieces)

    def parts(self, limit: int) -> Iterator[Part]:
        """All parts that are left, each at most `limit` bytes."""
        while (headers := self.next_part()) is not None:
            yield Part(headers=headers, content=self.small(limit))

    def drain(self) -> None:
        """Read whatever follows the last boundary, so that the connection can go on."""
        self._buffer = b""
        for _ in self._body:
            pass

    def _skip_preamble(self) -> None:
        while (at := self._buffer.find(self._line)) < 0 or (
            end := self._buffer.find(b"\n", at + len(self._line))
        ) < 0:
            if len(self._buffer) > _LONGEST_HEAD or not self._more():
                raise InvalidArgument(
                    "The body does not begin with the boundary that its Content-Type names."
                )
        self._end = (b"\r\n" if self._buffer[end - 1 : end] == b"\r" else b"\n") + self._line
        self._buffer = self._buffer[at + len(self._line) :]

    def _take_line(self) -> bytes:
        while (at := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > _LONGEST_HEAD or not self._more():
                raise InvalidArgument("The body breaks off within the headers of a part.")
        line, self._buffer = self._buffer[:at], self._buffer[at + 1 :]
        return line.removesuffix(b"\r")

    def _more(self) -> bool:
        piece = next(self._body, b"")
        self._buffer += piece
        return bool(piece)


def _stripped(piece: bytes, count: int) -> tuple[int, bytes]:
    """`piece` without its first `count` bytes, and how many are still to go."""
    return max(0, count - len(piece)), piece[count:]
