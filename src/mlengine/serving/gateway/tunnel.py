"""Bytes from one connection to another and back, unread; apart because nothing here knows HTTP."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from mlengine.serving.gateway.door import Door

# Programs behind a tunnel may rest long; one that neither sends nor ends for so long is gone.
IDLE_SECONDS = 3600.0


class Tunnel:
    """Two ends, each writing what the other reads. A guest of the door until both are closed."""

    def __init__(self, door: Door) -> None:
        self.near = End(self)
        self.far = End(self)
        self._door = door
        self._loop = asyncio.get_running_loop()
        self._heard = self._loop.time()

    def join(self, near: asyncio.Transport, early: bytes) -> None:
        """Begin: the far end is connected, `near` is the other, `early` what that has sent already."""
        near.set_protocol(self.near)
        self.near.connection_made(near)
        self._door.connections.add(self)
        if self._door.leaving or self.far.transport is None:
            self.cut()
            return
        self.far.pair(self.near)
        self.near.pair(self.far)
        if early:
            self.near.data_received(early)
        near.resume_reading()

    def heard(self) -> None:
        """Something moves."""
        self._heard = self._loop.time()

    def close(self) -> None:
        """End once everything is written."""
        for end in (self.near, self.far):
            if end.transport is not None:
                end.transport.close()

    def lost(self, other: End) -> None:
        """One end is closed: close the `other` once it has written what is left."""
        if other.transport is None:
            self._door.closed(self)
        else:
            other.transport.close()

    # From the door.

    def check_time(self, now: float) -> None:
        """Part from two that have forgotten each other."""
        if now - self._heard > IDLE_SECONDS:
            self.cut()

    def leave(self) -> None:
        """Where an exchange ends cannot be seen from here, so there is nothing to wait for."""
        self.cut()

    def cut(self) -> None:
        """End at once."""
        for end in (self.near, self.far):
            if end.transport is not None:
                end.transport.abort()


class End(asyncio.Protocol):
    """One end of a tunnel."""

    def __init__(self, tunnel: Tunnel) -> None:
        self.transport: asyncio.Transport | None = None
        self._tunnel = tunnel
        self._other: End | None = None
        # What comes before the other end is there; a server may speak first.
        self._ahead: list[bytes] = []
        self._ended = False

    def pair(self, other: End) -> None:
        """Let what is read here be written there."""
        self._other = other
        ahead, self._ahead = self._ahead, []
        for data in ahead:
            self.data_received(data)
        if self._ended:
            self.eof_received()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's are not declared to be one.

    def data_received(self, data: bytes) -> None:
        self._tunnel.heard()
        if self._other is None:
            self._ahead.append(data)
        elif (sink := self._other.open_transport()) is not None:
            sink.write(data)

    def eof_received(self) -> bool:
        self._ended = True
        if self._other is not None and (sink := self._other.open_transport()) is not None:
            if self._other._ended:
                self._tunnel.close()
            else:
                sink.write_eof()
        return True  # The way back is still open.

    def pause_writing(self) -> None:
        if self._other is not None and (source := self._other.open_transport()) is not None:
            source.pause_reading()

    def resume_writing(self) -> None:
        self._tunnel.heard()
        if self._other is not None and (source := self._other.open_transport()) is not None:
            source.resume_reading()

    def open_transport(self) -> asyncio.Transport | None:
        """The transport, if anything may still be done with it."""
        if self.transport is None or self.transport.is_closing():
            return None
        return self.transport

    def connection_lost(self, _: Exception | None) -> None:
        self.transport = None
        if self._other is not None:
            self._tunnel.lost(self._other)
