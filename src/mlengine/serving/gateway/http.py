"""The client's side: one connection, its requests in order, their answers in the same order.

Own protocol class on httptools, because a prediction's way must cost microseconds. What is done with a
request is the business of `reception`, what its answer takes that of the turns; here is only HTTP.
"""

from __future__ import annotations

import asyncio
import sys
import traceback
from collections import deque
from typing import cast

import httptools

from mlengine.errors import Internal, InvalidArgument, Problem
from mlengine.serving.gateway import answers
from mlengine.serving.gateway.connect import Connect
from mlengine.serving.gateway.door import Door, Entrance
from mlengine.serving.gateway.reception import receive
from mlengine.serving.gateway.turns import Turn, ready
from mlengine.web.heads import (
    LARGEST_HEAD,
    Request,
    head_too_large,
    says_close,
    understand,
    without_upgrade,
)

# Requests read ahead on one connection; with more, reading waits for answers.
MOST_TURNS = 64
LINGER_SECONDS = 2.0
SMALL = 64 * 1024


class ClientConnection(asyncio.Protocol):
    """One client. Also the callbacks (`on_…`) of its parser."""

    def __init__(self, door: Door, entrance: Entrance, *, ahead: bytes = b"") -> None:
        """`ahead`: what somebody else has read of the connection."""
        self._ahead = ahead
        self.door = door
        self.entrance = entrance
        self.closed = False
        self.choked = False
        self.client_address = b"unknown"
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._turns: deque[Turn] = deque()
        # The turn whose body is being read.
        self._receiving: Turn | None = None
        # No request after those in `_turns` is answered any more.
        self._last = False
        # The client does not know yet that nobody will read what it sends from here on.
        self._more_may_come = False
        self._lingering = False
        # Another protocol is to get this connection, so what comes next is not for us.
        self._held = False
        self._reading = True
        self._heard = self._loop.time()
        self._choked_since = 0.0
        self._served = False
        self._in_head = False
        self._heads = 0
        self._piece = 0
        self._head_began = 0.0
        # Of the piece in which the head began, and of those that came whole since.
        self._head_start = 0
        self._head_size = 0
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        # What is left of a body whose end our parser does not see (`Transfer-Encoding: identity`).
        self._left: int | None = None
        self._new_parser()

    def _new_parser(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        # Both lengths in one request: llhttp then lets chunked win, and we close after the answer.
        self._parser.set_dangerous_leniencies(lenient_chunked_length=True)

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

    def data_received(self, data: bytes) -> None:
        self._heard = self._loop.time()
        if not self._turns and self._between() and self._handed_over(data):
            return
        self._piece = len(data)
        heads = self._heads
        while data and not (self._lingering or (self._last and self._receiving is None)):
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                if self._held and isinstance(self._turns[-1], Connect):
                    self._turns[-1].early = data[upgrade.args[0] :]
                if self._parser.get_method() == b"CONNECT":
                    break
                # The parser takes the body for another protocol. We speak none, which the client learns by
                # an ordinary answer, so the request is read again as if it had not offered one.
                head = without_upgrade(self._parser, self._target, self._headers)
                data = head + data[upgrade.args[0] :]
                self._new_parser()
                continue
            except httptools.HttpParserCallbackError as error:
                traceback.print_exception(error.__context__ or error, file=sys.stderr)
                self._break_off(Internal("The gateway failed at this request; its output has the traceback."))
            except httptools.HttpParserError as error:
                self._break_off(InvalidArgument(f"The request is not HTTP/1.1: {error}."))
            break
        if self._in_head and self._heads == heads:
            self._head_size += self._piece
            if self._head_size > LARGEST_HEAD:
                self._break_off(head_too_large(), 431)
        self.steer()

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

    # From the parser.

    def on_message_begin(self) -> None:
        self._in_head = True
        self._heads += 1
        self._head_began = self._heard
        self._head_size = 0
        self._head_start = self._piece
        self._target = b""
        self._headers = []

    def on_url(self, piece: bytes) -> None:
        self._target += piece

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # Afterwards they are trailers, which a proxy may leave out.
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self._parser.should_upgrade() and self._parser.get_method() != b"CONNECT":
            return
        self._in_head = False
        if self._last:
            return
        turn = self._turn_for_head()
        if turn.close:
            self._last = True
            self._more_may_come = not says_close(self._headers)
        self._served = True
        self._receiving = turn
        self._turns.append(turn)
        if self._turns[0] is turn:
            self._advance()
        if self._left == 0:
            self.on_message_complete()

    def on_body(self, chunk: bytes) -> None:
        turn = self._receiving
        if turn is None:
            return
        if self._left is None:
            turn.body(chunk)
            return
        chunk = chunk[: self._left]
        self._left -= len(chunk)
        turn.body(chunk)
        if not self._left:
            self.on_message_complete()

    def on_message_complete(self) -> None:
        turn, self._receiving = self._receiving, None
        self._left = None
        if turn is not None:
            turn.end()

    # From the turns.

    def settle(self, turn: Turn, status: int, body: bytes, kind: bytes = answers.JSON) -> None:
        """The answer of `turn` is known; it is written when those before it are."""
        turn.answer = (status, body, kind)
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

    def _between(self) -> bool:
        """Whether what comes now begins a request."""
        return not (self._in_head or self._last or self._held or self._lingering) and self._receiving is None

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

    # A request's head.

    def _turn_for_head(self) -> Turn:
        request = understand(
            self._parser,
            self._target,
            self._headers,
            arrived=self._head_start + self._head_size + self._piece,
        )
        if not isinstance(request, Request):
            return ready(self, *request, close=True, head_only=self._parser.get_method() == b"HEAD")
        if request.by_length_only:
            self._left = request.length or 0
        return receive(self, request)

    # Writing.

    def _advance(self) -> None:
        """Write the answers that are due, and let the next turn begin."""
        turns = self._turns
        while turns:
            turn = turns[0]
            if turn.answer is None:
                turn.begin()
                return
            status, body, kind = turn.answer
            head = answers.head(
                status, len(body), kind=kind, date=self.door.date, connection=self.persistence(turn)
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
