"""From a client's bytes to its requests: the parser, its callbacks, and heads that are known without it.

Apart from `http`, which puts answers in their order and knows when a connection ends.
"""

from __future__ import annotations

import asyncio
import sys
import traceback
from abc import abstractmethod
from collections import deque
from typing import TYPE_CHECKING, cast

import httptools

from mlengine.errors import Internal, InvalidArgument, Problem
from mlengine.serving.gateway.connect import Connect
from mlengine.serving.gateway.known import END, LONGEST_KNOWN
from mlengine.serving.gateway.prediction import Prediction
from mlengine.serving.gateway.reception import again, receive
from mlengine.serving.gateway.turns import Turn, ready
from mlengine.web.heads import (
    LARGEST_HEAD,
    Request,
    head_too_large,
    says_close,
    understand,
    without_upgrade,
)

if TYPE_CHECKING:
    from mlengine.serving.gateway.door import Door, Entrance
    from mlengine.serving.gateway.http import ClientConnection

# Requests read ahead on one connection; with more, reading waits for answers.
MOST_TURNS = 64


class RequestReading(asyncio.Protocol):
    """The half of a client's connection that reads. Its `on_…` are the callbacks of its parser."""

    door: Door
    entrance: Entrance

    def __init__(self) -> None:
        self.choked = False
        self._loop = asyncio.get_running_loop()
        self._heard = self._loop.time()
        self._turns: deque[Turn] = deque()
        # The turn whose body is being read.
        self._receiving: Turn | None = None
        # No request after those in `_turns` is answered any more.
        self._last = False
        # The client does not know yet that nobody will read what it sends from here on.
        self._more_may_come = False
        # Another protocol is to get this connection, so what comes next is not for us.
        self._held = False
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
        # What is left of a body whose head was known, and so is not for the parser.
        self._known_left = 0
        # The bytes of the head that is being read, where they came in one piece.
        self._head = b""
        self._new_parser()

    def _new_parser(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        # Both lengths in one request: llhttp then lets chunked win, and we close after the answer.
        self._parser.set_dangerous_leniencies(lenient_chunked_length=True)

    # What the other half does.

    @abstractmethod
    def steer(self) -> None:
        """Read, or stop reading, as those who take the bytes can follow."""

    @abstractmethod
    def _advance(self) -> None:
        """Write the answers that are due, and let the next turn begin."""

    @abstractmethod
    def _break_off(self, problem: Problem, code: int | None = None) -> None:
        """What comes in cannot be read on: say so behind the answers that are due, and close."""

    @abstractmethod
    def _handed_over(self, data: bytes) -> bool:
        """Whether another process serves this connection from now on."""

    # From the event loop.

    def data_received(self, data: bytes) -> None:
        self._heard = self._loop.time()
        if self._between() or self._known_left:
            try:
                data = self._swallow(data)
            except Exception as error:
                self._failed(error)
                return
            if not data:
                if self._receiving is not None or self.choked or len(self._turns) >= MOST_TURNS:
                    self.steer()
                return
            if not self._turns and self._between() and self._handed_over(data):
                return
            self._head = data[: data.find(END, 0, LONGEST_KNOWN) + len(END)]
        self._piece = len(data)
        heads = self._heads
        while data and not (self._last and self._receiving is None):
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                if self._held and isinstance(self._turns[-1], Connect):
                    self._turns[-1].early = data[upgrade.args[0] :]
                if self._parser.get_method() == b"CONNECT":
                    break
                # The parser takes the body for another protocol. We speak none, which the client learns by
                # an ordinary answer, so the request is read again as if it had not offered one.
                self._head = b""
                head = without_upgrade(self._parser, self._target, self._headers)
                data = head + data[upgrade.args[0] :]
                self._new_parser()
                continue
            except httptools.HttpParserCallbackError as error:
                self._failed(error.__context__ or error)
            except httptools.HttpParserError as error:
                self._break_off(InvalidArgument(f"The request is not HTTP/1.1: {error}."))
            break
        if self._in_head and self._heads == heads:
            self._head_size += self._piece
            if self._head_size > LARGEST_HEAD:
                self._break_off(head_too_large(), 431)
        self._head = b""
        self.steer()

    def _failed(self, error: BaseException) -> None:
        traceback.print_exception(error, file=sys.stderr)
        self._break_off(Internal("The gateway failed at this request; its output has the traceback."))

    def _swallow(self, data: bytes) -> bytes:
        """Take predictions whose heads are known, and the bodies behind them; the rest is for the parser."""
        client = cast("ClientConnection", self)
        position, size = 0, len(data)
        while position < size:
            turn = self._receiving
            if not self._known_left:
                end = data.find(END, position, position + LONGEST_KNOWN) + len(END)
                known = self.entrance.known.recall(data[position:end])
                if known is None or self._last:
                    break
                position = end
                turn = again(client, known)
                self._served = True
                self._turns.append(turn)
                self._receiving = turn
                self._known_left = known.length
                if type(turn) is not Prediction and self._turns[0] is turn:
                    self._advance()
            stop = min(position + self._known_left, size)
            self._known_left -= stop - position
            if turn is not None and turn is self._receiving:  # else it was broken off
                turn.feed(data[position:stop])
                if not self._known_left:
                    self._receiving = None
                    turn.end()
            position = stop
        return data[position:] if position else data

    def _between(self) -> bool:
        """Whether what comes now begins a request."""
        return not (self._in_head or self._last or self._held) and self._receiving is None

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
            turn.feed(chunk)
            return
        chunk = chunk[: self._left]
        self._left -= len(chunk)
        turn.feed(chunk)
        if not self._left:
            self.on_message_complete()

    def on_message_complete(self) -> None:
        turn, self._receiving = self._receiving, None
        self._left = None
        if turn is not None:
            turn.end()

    def _turn_for_head(self) -> Turn:
        request = understand(
            self._parser,
            self._target,
            self._headers,
            arrived=self._head_start + self._head_size + self._piece,
        )
        client = cast("ClientConnection", self)
        if not isinstance(request, Request):
            return ready(client, *request, close=True, head_only=self._parser.get_method() == b"HEAD")
        if request.by_length_only:
            self._left = request.length or 0
        turn = receive(client, request)
        if self._head:
            self.entrance.known.remember(self._head, turn, request)
            self._head = b""
        return turn
