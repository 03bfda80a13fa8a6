"""Connections to the control plane: a few idle ones to use again, new ones made as soon as it is there.

Apart from `passage`, which follows one request; here a connection outlives many of them.
"""

from __future__ import annotations

import asyncio
import select
from typing import TYPE_CHECKING, cast

import httptools

if TYPE_CHECKING:
    from mlengine.serving.gateway.passage import Passage

FIRST_PAUSE = 0.02
LONGEST_PAUSE = 0.25
MOST_IDLE = 16
_NO_BODY = frozenset((204, 304))


class ControlPool:
    """Connections to the control plane: idle ones are used again, new ones made while it is there."""

    def __init__(self, path: str, wait_seconds: float) -> None:
        """`wait_seconds`: how long a request waits for a control plane that is not up."""
        self._path = path
        self._wait_seconds = wait_seconds
        self._idle: list[ControlLine] = []
        self._connecting: set[asyncio.Task[None]] = set()

    def attach(self, passage: Passage, *, fresh: bool = False) -> None:
        """Give `passage` a connection, now or once there is one; with `fresh` none that was used before."""
        if fresh:
            while self._idle:
                self._idle.pop().close()
        while self._idle:
            line = self._idle.pop()
            if line.quiet():
                line.take(passage, reused=True)
                return
            line.close()
        task = asyncio.get_running_loop().create_task(self._connect(passage))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    def release(self, line: ControlLine) -> None:
        """Take back a connection whose exchange is complete."""
        line.rest()
        if line.closing or len(self._idle) >= MOST_IDLE:
            line.close()
        else:
            self._idle.append(line)

    def lost(self, line: ControlLine) -> None:
        """An idle connection has ended."""
        if line in self._idle:
            self._idle.remove(line)

    async def reachable(self) -> bool:
        """Whether the control plane takes connections now."""
        try:
            _, line = await asyncio.get_running_loop().create_unix_connection(self._line, self._path)
        except OSError:
            return False
        self.release(line)
        return True

    def close(self) -> None:
        """End idle connections and stop making new ones."""
        while self._idle:
            self._idle.pop().close()
        for task in self._connecting:
            task.cancel()

    async def _connect(self, passage: Passage) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + self._wait_seconds
        pause = FIRST_PAUSE
        while passage.wanted():
            try:
                _, line = await loop.create_unix_connection(self._line, self._path)
            except OSError:
                if loop.time() >= until:
                    passage.no_control_plane(self._wait_seconds)
                    return
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
                continue
            if passage.wanted():
                line.take(passage, reused=False)
            else:
                self.release(line)
            return

    def _line(self) -> ControlLine:
        return ControlLine(self)


class ControlLine(asyncio.Protocol):
    """One connection to the control plane, for one exchange at a time."""

    def __init__(self, pool: ControlPool) -> None:
        self.choked = False
        self._pool = pool
        self._transport: asyncio.Transport | None = None
        self._passage: Passage | None = None
        self._paused = False
        self._expect_answer(reused=False)

    def _expect_answer(self, *, reused: bool) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(lenient_chunked_length=True)
        self._reused = reused
        self._answered = False
        self._phrase = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._in_body = False
        self._until_end = False
        self._complete = False
        self._reusable = False
        # More came than one answer, or something else.
        self._excess = False

    # For the pool.

    def take(self, passage: Passage, *, reused: bool) -> None:
        """Serve `passage` from now on."""
        self._passage = passage
        self._expect_answer(reused=reused)
        passage.attached(self)

    def rest(self) -> None:
        """The exchange is over; wait for the next."""
        self._passage = None
        self.resume()

    def quiet(self) -> bool:
        """Whether the other end still listens: nothing unread, not even its end, is in the socket."""
        if self.closing or self._transport is None:
            return False
        poll = select.poll()
        poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return not poll.poll(0)

    @property
    def closing(self) -> bool:
        """Whether it is of no further use."""
        return self._transport is None or self._transport.is_closing()

    def close(self) -> None:
        """End it; its passage, if any, is not told."""
        self._passage = None
        if self._transport is not None:
            self._transport.abort()

    # For the passage.

    def write(self, pieces: tuple[bytes, ...]) -> None:
        """Send these bytes on."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.writelines(pieces)

    def pause(self) -> None:
        """Take in no more for now."""
        if not self._paused and not self.closing and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Take in again."""
        if self._paused and not self.closing and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()

    # From the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are not declared to be one.

    def data_received(self, data: bytes) -> None:
        if self._passage is None:
            self.close()  # Bytes nobody asked for: whose answer they are cannot be told.
            return
        self._answered = True
        passage = self._passage
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._excess = True
        # Only now: the next exchange must not begin while the parser is still busy with this one.
        if self._complete and self._passage is passage:
            self._passage = None
            passage.answer_end(reusable=self._reusable and not self._excess)
        elif self._excess and self._passage is passage:
            self._passage = None
            self.close()
            passage.line_lost(reused=self._reused, answered=True)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._pool.lost(self)
        passage, self._passage = self._passage, None
        if passage is None:
            return
        if self._until_end and exc is None:
            passage.answer_end(reusable=False)
        else:
            passage.line_lost(reused=self._reused, answered=self._answered)

    def pause_writing(self) -> None:
        self._set_choked(True)

    def resume_writing(self) -> None:
        self._set_choked(False)

    def _set_choked(self, choked: bool) -> None:
        self.choked = choked
        if self._passage is not None:
            self._passage.steer()

    # From the parser.

    def on_message_begin(self) -> None:
        if self._complete:
            self._excess = True
        self._phrase = b""
        self._headers = []
        self._in_body = False

    def on_status(self, phrase: bytes) -> None:
        self._phrase += phrase

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_body:  # Afterwards they are trailers, which a proxy may leave out.
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._in_body = True
        if self._passage is None or self._complete:
            return
        status = self._parser.get_status_code()
        if status < 200:
            self._passage.interim(status, self._phrase, self._headers)
            return
        names = {name.lower() for name, _ in self._headers}
        bodyless = self._passage.head_only or status in _NO_BODY
        chunked = b"transfer-encoding" in names and not bodyless
        length = b"content-length" in names
        self._until_end = not (bodyless or chunked or length)
        self._passage.answer_head(
            status,
            self._phrase,
            self._headers,
            chunked=chunked,
            measured=bodyless or (length and not chunked),
        )
        if self._passage is not None and self._passage.head_only:
            # The parser would wait for the body which the head describes.
            self._end()

    def on_body(self, chunk: bytes) -> None:
        if self._complete:
            self._excess = True
        elif self._passage is not None:
            self._passage.answer_body(chunk)

    def on_message_complete(self) -> None:
        if self._parser.get_status_code() >= 200:
            self._end()

    def _end(self) -> None:
        if not self._complete:
            self._complete = True
            self._until_end = False
            self._reusable = self._parser.should_keep_alive()
