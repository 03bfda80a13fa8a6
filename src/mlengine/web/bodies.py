"""The body of a request, read from its connection when the handler asks for it; one class per way to end."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Protocol

import httptools

from mlengine.errors import InvalidArgument
from mlengine.web.method import Disconnected

PIECE = 1 << 20  # bytes that a handler gets at a time, at most
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Wire:
    """A connected socket, and what was read from it but not yet used.

    Attributes:
        ahead: These bytes.
    """

    def __init__(self, connection: socket.socket, ahead: bytes = b"") -> None:
        self.connection = connection
        self.ahead = ahead

    def take(self, most: int) -> bytes:
        """Between 1 and `most` bytes.

        Raises:
            Disconnected: the client has left, or has been silent for as long as the socket waits.
        """
        if self.ahead:
            taken, self.ahead = self.ahead[:most], self.ahead[most:]
            return taken
        try:
            # Waiting until all is there takes a fraction of the calls, and holds no client up: it sends on.
            data = self.connection.recv(most, socket.MSG_WAITALL)
        except OSError as error:
            raise Disconnected from error
        if not data:
            raise Disconnected
        return data


class Body(Iterator[bytes], Protocol):
    """The pieces of a body."""

    @property
    def complete(self) -> bool:
        """Whether its last byte was read."""
        ...


class NoBody:
    """Of a request that has none."""

    complete = True

    def __iter__(self) -> NoBody:
        return self

    def __next__(self) -> bytes:
        raise StopIteration


class MeasuredBody:
    """A body whose length was told.

    Args:
        expected: Whether the client waits for a word before it sends.
    """

    def __init__(self, wire: Wire, length: int, *, expected: bool) -> None:
        self._wire = wire
        self._left = length
        self._expected = expected

    @property
    def complete(self) -> bool:
        return self._left == 0

    def __iter__(self) -> MeasuredBody:
        return self

    def __next__(self) -> bytes:
        if not self._left:
            raise StopIteration
        if self._expected:
            self._expected = False
            _go_on(self._wire)
        piece = self._wire.take(min(self._left, PIECE))
        self._left -= len(piece)
        return piece


class ChunkedBody:
    """A body that comes in chunks, with the parser that has read its head.

    Attributes:
        followed: Whether more came behind its end. Where that begins is not known, so it is lost.
    """

    def __init__(self, wire: Wire, feed: Callable[[bytes], None], *, expected: bool) -> None:
        self._wire = wire
        self._feed = feed
        self._expected = expected
        self._pieces: list[bytes] = []
        self.complete = False
        self.followed = False

    def __iter__(self) -> ChunkedBody:
        return self

    def __next__(self) -> bytes:
        if self._expected:
            self._expected = False
            _go_on(self._wire)
        while not self._pieces:
            if self.complete:
                raise StopIteration
            # No waiting for all: nobody knows how much comes.
            data, self._wire.ahead = self._wire.ahead, b""
            try:
                self._feed(data or self._receive())
            except httptools.HttpParserError as error:
                raise InvalidArgument(f"The chunks of the body cannot be read: {error}.") from None
        pieces, self._pieces = self._pieces, []
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def add(self, piece: bytes) -> None:
        """What the parser found."""
        self._pieces.append(piece)

    def _receive(self) -> bytes:
        try:
            data = self._wire.connection.recv(PIECE)
        except OSError as error:
            raise Disconnected from error
        if not data:
            raise Disconnected
        return data


def _go_on(wire: Wire) -> None:
    if wire.ahead:
        return  # it did not wait
    try:
        wire.connection.sendall(_CONTINUE)
    except OSError as error:
        raise Disconnected from error
