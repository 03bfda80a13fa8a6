"""One worker socket of a version: connected again whenever it ends, many requests under way on it.

Apart from `pool`, which has several of these and decides what becomes of a request; here are frames.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, cast

from mlengine.errors import Internal
from mlengine.serving.gateway import answers
from mlengine.serving.messages import CANCEL, HEADER, LARGEST_BODY, TIMES, Frame, FrameReader

if TYPE_CHECKING:
    from mlengine.serving.gateway.pool import VersionPool

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 1.0
# Up to here copying a body behind its header is cheaper than handing two pieces to the kernel.
SMALL = 64 * 1024
# What may wait in our memory for a busy worker; beyond it requests wait in the version's queue.
MOST_UNSENT = 4 * 1024 * 1024

_ANSWER = struct.Struct(HEADER.format + TIMES.format.lstrip("<"))


class Asked(Protocol):
    """A request on its way, as pool and nodes see it.

    Attributes:
        kind: One of the kinds of `serving.messages`.
        body: What is asked; kept until the answer is there, for a second try.
        began: When it was taken, by the clock `time.perf_counter`.
        until: When it must be answered, by the loop's clock; 0 before a worker has it.
        node: The worker that has it; None before.
        id: Under which that worker knows it.
        retried: Whether a worker has died over it.
    """

    kind: int
    body: bytes
    began: float
    until: float
    node: Node | None
    id: int
    retried: bool

    def answered(self, status: int, body: bytes, timing: bytes) -> None:
        """Take the one answer: an HTTP number and a body, from a worker or in its stead.

        Args:
            status: The HTTP number.
            body: In the language of the kind.
            timing: The line of the head that says where the time went; empty where no worker answered.
        """


class Node:
    """The way to one worker.

    Attributes:
        sent: What the worker has and has not answered, by id.
        choked: Whether it has more in its socket than it reads.
        late: How many requests have run out of time there since its last answer.
    """

    __slots__ = (
        "_alone", "_asked", "_frames", "_last_id", "_leaving", "_loop", "_run", "_task", "_transport",
        "_unsent", "_wanted", "choked", "late", "path", "pool", "sent",
    )  # fmt: skip

    def __init__(self, pool: VersionPool, path: str) -> None:
        self.pool = pool
        self.path = path
        self.sent: dict[int, Asked] = {}
        self.choked = False
        self.late = 0
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._frames = FrameReader()
        self._unsent: list[bytes] = []
        # How many messages went, or go, in one write; and whether it was one the last time.
        self._asked = 0
        self._alone = True
        self._last_id = 0
        self._leaving = False
        # The model call whose answers come in: its time, its instances, how many answers it can still have.
        self._run = (0, 0, 0)
        self._wanted = asyncio.Event()
        self._task = self._loop.create_task(self._stay_connected())

    # For the pool.

    def send(self, asked: Asked, time_left: int) -> None:
        """Let the worker answer `asked` within `time_left`, in units of the protocol."""
        sent = self.sent
        request_id = (self._last_id + 1) & 0xFFFFFFFF
        while request_id in sent:
            request_id = (request_id + 1) & 0xFFFFFFFF
        self._last_id = asked.id = request_id
        asked.node = self
        sent[request_id] = asked
        body = asked.body
        header = HEADER.pack(len(body), request_id, asked.kind, time_left)
        if len(body) <= SMALL:
            self._write(header + body)
        else:
            self._write(header, body)

    def cancel(self, asked: Asked) -> None:
        """Nobody waits for `asked` any more: the worker need not begin with it."""
        if self.sent.pop(asked.id, None) is None:
            return
        self._write(HEADER.pack(0, asked.id, CANCEL, 0))
        self._close_if_done()

    def hurry(self) -> None:
        """Somebody waits for the connection: try now."""
        self._wanted.set()

    def leave(self) -> None:
        """Take no more; close once all is answered."""
        self._leaving = True
        self._close_if_done()

    def close(self) -> None:
        """End at once; the pool knows, and looks after what is unanswered."""
        self._leaving = True
        self._task.cancel()
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()

    # Writing.

    def _write(self, *pieces: bytes) -> None:
        # What comes in one turn of the event loop goes in one call of the kernel, and makes one batch. Who
        # asks alone need not wait for the turn's end.
        unsent = self._unsent
        if not unsent:
            if self._alone and len(self.sent) <= 1:
                unsent += pieces
                self._flush()
                return
            self._loop.call_soon(self._flush)
            self._asked = 0
        self._asked += 1
        unsent += pieces

    def _flush(self) -> None:
        unsent, self._unsent = self._unsent, []
        self._alone = self._asked <= 1
        transport = self._transport
        # Otherwise `lost` is on its way and finds the requests among those sent.
        if unsent and transport is not None and not transport.is_closing():
            if len(unsent) == 1:
                transport.write(unsent[0])
            else:
                transport.writelines(unsent)

    # Connecting.

    async def _stay_connected(self) -> None:
        pause = FIRST_PAUSE
        while True:
            began = self._loop.time()
            wire = _Wire(self)
            try:
                await self._loop.create_unix_connection(_same(wire), self.path)
            except OSError:
                pass
            else:
                await wire.ended.wait()
                if self._loop.time() - began > LONGEST_PAUSE:
                    pause = FIRST_PAUSE
            await self._rest(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _rest(self, pause: float) -> None:
        """Wait before the next try: shortly while somebody waits, and not at all for the first who comes."""
        self._wanted.clear()
        try:
            async with asyncio.timeout(FIRST_PAUSE if self.pool.held else pause):
                await self._wanted.wait()
        except TimeoutError:
            pass

    # From the wire.

    def made(self, transport: asyncio.Transport) -> None:
        """The worker takes requests."""
        transport.set_write_buffer_limits(high=MOST_UNSENT)
        self._transport = transport
        self._frames = FrameReader()
        self.choked = False
        self.late = 0
        if self._leaving:
            self._close_if_done()
        else:
            self.pool.freed(self)

    def lost(self) -> None:
        """The worker has ended, or closed the connection."""
        self._transport = None
        self.choked = False
        self._unsent = []
        unanswered = list(self.sent.values())
        self.sent.clear()
        if self._leaving:
            self._task.cancel()
        self.pool.lost(self, unanswered)

    def choke(self, choked: bool) -> None:
        """The worker reads no more for now, or does again."""
        self.choked = choked
        if not choked and self._transport is not None and not self._leaving:
            self.pool.freed(self)

    def received(self, data: bytes) -> None:
        """Answers, cut anywhere."""
        if self._frames.unfinished:
            self._pieced(data)
        else:
            self._run = (0, 0, 0)
            position, end = 0, len(data)
            # Whole frames, which most are, need no buffer.
            while end - position >= _ANSWER.size:
                length, request_id, _, status, _, decode, model, encode, many = _ANSWER.unpack_from(
                    data, position
                )
                stop = position + HEADER.size + length
                if stop > end or not TIMES.size <= length <= LARGEST_BODY:
                    break
                body = data[position + _ANSWER.size : stop]
                self._answered(request_id, status, body, decode, model, encode, many)
                position = stop
            if position < end:
                self._pieced(data[position:] if position else data)
        if self._leaving:
            self._close_if_done()

    def _pieced(self, data: bytes) -> None:
        for frame in self._frames.feed(data):
            if frame.skipped:
                self._too_long(frame)
            elif len(frame.body) < TIMES.size:
                # What speaks another language is no worker of ours.
                if self._transport is not None:
                    self._transport.abort()
                return
            else:
                _, *times = TIMES.unpack_from(frame.body)
                self._answered(frame.id, frame.status, frame.body[TIMES.size :], *times)

    def _answered(
        self, request_id: int, status: int, body: bytes, decode: int, model: int, encode: int, many: int
    ) -> None:
        self.late = 0
        # Every answer of a model call names all of its instances; they come together, and count once.
        model_before, many_before, left = self._run
        if left and model == model_before and many == many_before:
            self._run = (model, many, left - 1)
        elif many:
            self._run = (model, many, many - 1)
            self.pool.figures.instances += many
        asked = self.sent.pop(request_id, None)
        if asked is not None:  # else its time had passed, or its client had gone
            self.pool.answered(asked, status, body, decode, model, encode, many)

    def _too_long(self, frame: Frame) -> None:
        asked = self.sent.pop(frame.id, None)
        if asked is not None:
            problem = Internal(
                f"The prediction has {frame.skipped} bytes; the server passes on at most {LARGEST_BODY}.",
                hint="Send fewer instances in a request.",
            )
            status, body = answers.spoken(asked.kind, problem)
            self.pool.answered(asked, status, body, 0, 0, 0, 0)

    def _close_if_done(self) -> None:
        if self._leaving and not self.sent:
            self.close()
            self.pool.gone(self)


class _Wire(asyncio.Protocol):
    """One connection of a node's life."""

    def __init__(self, node: Node) -> None:
        self.ended = asyncio.Event()
        self._node = node

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._node.made(cast(asyncio.Transport, transport))  # uvloop's are not declared to be one.

    def connection_lost(self, _: Exception | None) -> None:
        self.ended.set()
        self._node.lost()

    def data_received(self, data: bytes) -> None:
        self._node.received(data)

    def pause_writing(self) -> None:
        self._node.choke(True)

    def resume_writing(self) -> None:
        self._node.choke(False)


def _same(wire: _Wire) -> Callable[[], _Wire]:
    return lambda: wire
