"""The client's side: one connection, its requests in order, their answers in the same order.

Own protocol class, because a prediction's way must cost microseconds. Bytes become requests in `reading`;
what is done with one is the business of `reception`, what its answer takes that of the turns.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import cast

from mlengine.errors import InvalidArgument, Problem
from mlengine.serving.gateway import answers
from mlengine.serving.gateway.door import Door, Entrance
from mlengine.serving.gateway.reading import MOST_TURNS, RequestReading
from mlengine.serving.gateway.turns import Turn, ready

LINGER_SECONDS = 2.0
SMALL = 64 * 1024


class ClientConnection(RequestReading):
    """One client."""

    def __init__(self, door: Door, entrance: Entrance, *, ahead: bytes = b"") -> None:
        """`ahead`: what somebody else has read of the connection."""
        super().__init__()
        self._ahead = ahead
        self.door = door
        self.entrance = entrance
        self.closed = False
        self.client_address = b"unknown"
        self._transport: asyncio.Transport | None = None
        self._lingering = False
        self._reading = True
        self._choked_since = 0.0

    # From the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are not declared to be one.
        peer = transport.get_extra_info("peername")
        if peer:
            self.client_address = str(peer[0]).encode()
        self.door.connections.add(self)
        if self.door.leaving:
            self.cut()
        elif self._ahead:
            # Here, before the event loop can bring what follows it.
            self.data_received(self._ahead)
            self._ahead = b""

    def connection_lost(self, _: Exception | None) -> None:
        self.closed = True
        self._transport = None
        self._receiving = None
        turns, self._turns = self._turns, deque()
        for turn in turns:
            turn.gone()
        self.door.closed(self)

    def pause_writing(self) -> None:
        self.choked = True
        self._choked_since = self._loop.time()
        if self._turns:
            self._turns[0].choke()

    def resume_writing(self) -> None:
        self.choked = False
        if self._turns:
            self._turns[0].relieve()
        self.steer()

    # From the turns.

    def settle(
        self, turn: Turn, status: int, body: bytes, kind: bytes = answers.JSON, extra: bytes = b""
    ) -> None:
        """The answer of `turn` is known; it is written when those before it are."""
        turn.answer = (status, body, kind, extra)
        if self._turns and self._turns[0] is turn:
            self._advance()

    def finish(self, turn: Turn) -> None:
        """`turn`, the first one, has written its answer itself."""
        if self._turns and self._turns[0] is turn:
            self._turns.popleft()
            self.door.answered += 1
            if turn.close:
                self._end()
            else:
                self._advance()

    def persistence(self, turn: Turn) -> bytes:
        """What the answer of `turn` says about the connection."""
        if turn.close:
            return answers.CLOSED
        return answers.KEPT_FOR_HTTP10 if turn.http10 else answers.KEPT

    def write(self, data: bytes) -> None:
        """Send to the client."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def write_pieces(self, pieces: tuple[bytes, ...]) -> None:
        """Send to the client, without joining the pieces first."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.writelines(pieces)

    def steer(self) -> None:
        """Read, or stop reading, as those who take the bytes can follow."""
        if self._transport is None or self._transport.is_closing():
            return
        receiving = self._receiving
        full = len(self._turns) >= MOST_TURNS or (receiving is not None and receiving.overfull())
        # A client that does not take its answers gets no new ones; but it may finish what it is sending now.
        full = full or (self.choked and not (self._turns and self._turns[0] is receiving))
        wanted = (not full or self._lingering) and not self._held
        if wanted != self._reading:
            self._reading = wanted
            if wanted:
                self._heard = self._loop.time()
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    def hold(self) -> None:
        """Read no more: what comes next is for the protocol to which `hand_over` gives the connection."""
        self._held = True

    def hand_over(self) -> asyncio.Transport | None:
        """The transport, for another protocol to use; None if the client has left. Here all is over then."""
        transport, self._transport = self._transport, None
        if transport is not None:
            self.closed = True
            self._turns.clear()
            self.door.answered += 1
            self.door.closed(self)
        return transport

    def _handed_over(self, data: bytes) -> bool:
        """Whether another process serves this connection from now on."""
        bulk, transport = self.door.bulk, self._transport
        if bulk is None or transport is None or self.entrance is not self.door.plain:
            return False
        if not bulk.offer(transport, data):
            return False
        self._last = True
        transport.abort()  # our descriptor only
        return True

    def within(self, entrance: Entrance) -> ClientConnection:
        """A connection for the same client that comes in by another way, inside of this one."""
        return ClientConnection(self.door, entrance)

    def cut(self) -> None:
        """End the connection at once, for an answer that cannot be completed."""
        if self._transport is not None:
            self._transport.abort()

    # From the door.

    def check_time(self, now: float) -> None:
        """Part from a client that takes too long over something."""
        settings = self.door.settings
        silent = now - self._heard
        if self._lingering:
            return
        if self.choked and now - self._choked_since > settings.idle_seconds:
            self.cut()
        elif self._in_head:
            if now - self._head_began > settings.header_seconds:
                limit = f"The head of the request did not arrive within {settings.header_seconds:g} s."
                self._break_off(InvalidArgument(limit), 408)
        elif self._receiving is not None:
            if self._reading and silent > settings.body_seconds:
                limit = f"The body of the request stopped for more than {settings.body_seconds:g} s."
                self._break_off(InvalidArgument(limit), 408)
        elif not self._turns and silent > (
            settings.idle_seconds if self._served else settings.header_seconds
        ):
            self._end()

    def leave(self) -> None:
        """Answer what is here, then close."""
        if self._turns:
            self._last = self._more_may_come = True
            self._turns[-1].close = True
        else:
            self._end()

    # Writing.

    def _advance(self) -> None:
        """Write the answers that are due, and let the next turn begin."""
        turns = self._turns
        while turns:
            turn = turns[0]
            if turn.answer is None:
                turn.begin()
                return
            status, body, kind, extra = turn.answer
            connection = self.persistence(turn) if turn.close or turn.http10 else answers.KEPT
            head = answers.head(
                status, len(body), kind=kind, date=self.door.date, connection=connection, extra=extra
            )
            if turn.head_only:
                self.write(head)
            elif len(body) <= SMALL:
                self.write(head + body)
            else:
                self.write_pieces((head, body))
            turns.popleft()
            self.door.answered += 1
            if turn.close:
                self._end()
                return
        if not self._reading:
            self.steer()

    def _break_off(self, problem: Problem, code: int | None = None) -> None:
        """What comes in cannot be read on: say so behind the answers that are due, and close."""
        self._in_head = False
        if self._last and self._receiving is None:
            return  # The last answer is due or written already.
        self._last = self._more_may_come = True
        refusal = answers.refusal(problem, code)
        turn = self._receiving
        if turn is not None and turn in self._turns:
            turn.fail(*refusal)
        elif self._turns or turn is None:
            self._turns.append(ready(self, *refusal, close=True))
            if len(self._turns) == 1:
                self._advance()
        else:
            self._end()

    def _end(self) -> None:
        """Close once everything is written, in a way that lets the client read it."""
        self._last = True
        for turn in self._turns:
            turn.gone()
        self._turns.clear()
        transport = self._transport
        if transport is None or transport.is_closing() or self._lingering:
            return
        if self._receiving is None and not self._more_may_come:
            transport.close()
            return
        # Bytes that reach a closed socket reset the connection and take our answer with them.
        self._lingering = True
        self._receiving = None
        if transport.can_write_eof():
            transport.write_eof()
        self.steer()
        self._loop.call_later(LINGER_SECONDS, self._stop_lingering)

    def _stop_lingering(self) -> None:
        if self._transport is not None:
            self._transport.close()
