"""Connections to model workers: one per version, many requests in flight, a bound on how many.

Apart from `routes` so that what happens to a request (held, sent, answered, late) is told without paths.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, cast

from mlengine.errors import DeadlineExceeded, Internal, Problem, Unavailable
from mlengine.serving.gateway import answers
from mlengine.serving.gateway.settings import GatewaySettings
from mlengine.serving.messages import HEADER, LARGEST_BODY, PREDICT, FrameReader, pack

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 1.0
# Up to here copying a body behind its header is cheaper than handing two pieces to the kernel.
SMALL = 64 * 1024


class Asker(Protocol):
    """Whoever waits for a prediction."""

    def answered(self, status: int, body: bytes) -> None:
        """Take the one answer: an HTTP number and JSON, from the worker or in its stead."""


@dataclass(slots=True)
class Counters:
    """What a version did since its route was first applied; `seconds` add up the time its answers took."""

    requests: int = 0
    errors: int = 0
    refused: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class _Waiting:
    until: float
    asker: Asker
    size: int
    # Empty once it was sent: the worker has it, and we need not keep it too.
    body: bytes


class WorkerLink:
    """The way to the worker of one version. It connects by itself, and again whenever the worker ends.

    Every request taken is answered exactly once: by the worker, or here with 503 (no worker, worker ended)
    or 504 (too late).
    """

    def __init__(self, version: str, path: str, settings: GatewaySettings, counters: Counters) -> None:
        self.version = version
        self.path = path
        self.counters = counters
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._wire: _Wire | None = None
        # All entries of a dict get the same time, so each is in the order in which it runs out.
        self._held: dict[int, _Waiting] = {}
        self._sent: dict[int, _Waiting] = {}
        self._bytes = 0
        self._last_id = 0
        self._leaving = False
        self._timer: asyncio.TimerHandle | None = None
        self._wanted = asyncio.Event()
        self._task = self._loop.create_task(self._stay_connected())

    @property
    def connected(self) -> bool:
        """Whether the worker takes requests now."""
        return self._wire is not None

    @property
    def held(self) -> int:
        """Requests that wait for a worker to connect."""
        return len(self._held)

    @property
    def in_flight(self) -> int:
        """Requests taken and not yet answered."""
        return len(self._held) + len(self._sent)

    @property
    def full(self) -> bool:
        """Whether one more request would be refused."""
        waiting = len(self._held) + len(self._sent)
        return waiting >= self._settings.queue_limit or self._bytes >= self._settings.queue_bytes

    def ask(self, body: bytes, asker: Asker) -> bool:
        """Take a request and answer `asker` once, later; False, and nothing taken, when the queue is full."""
        if self.full:
            return False
        self.counters.requests += 1
        self._bytes += len(body)
        request_id = self._next_id()
        if self._wire is not None:
            self._send(self._wire, request_id, body, asker)
        else:
            if not self._held:
                self._wanted.set()
            until = self._loop.time() + self._settings.wake_seconds
            self._held[request_id] = _Waiting(until, asker, len(body), body)
        if self._timer is None:
            self._set_timer()
        return True

    def leave(self) -> None:
        """Let what is in flight end, then close. For a route that is gone."""
        self._leaving = True
        self._close_if_done()

    def close(self) -> None:
        """End at once; what still waits is answered 503."""
        self._leaving = True
        self._answer_all(Unavailable("The server is stopping.", hint="Send the request again in a moment."))

    # From the wire.

    def received(self, request_id: int, status: int, body: bytes) -> None:
        """The worker's answer to `request_id`."""
        sent = self._sent.pop(request_id, None)
        if sent is None:
            return  # Its deadline has passed; the caller has been told.
        self._bytes -= sent.size
        counters = self.counters
        counters.seconds += self._loop.time() - sent.until + self._settings.deadline_seconds
        if status >= 500:
            counters.errors += 1
        sent.asker.answered(status, body)
        if self._leaving:
            self._close_if_done()

    def lost(self, wire: _Wire) -> None:
        """The worker has ended, or closed the connection."""
        if self._wire is not wire:
            return
        self._wire = None
        waiting = list(self._sent.values())
        self._sent.clear()
        self._set_timer()
        problem = Unavailable(
            f"The worker of version {self.version} ended; it is being restarted.",
            hint="Send the request again in a moment.",
        )
        for sent in waiting:
            self._bytes -= sent.size
            self._fail(sent.asker, problem)
        if self._leaving:
            self._close_if_done()

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
                self._connected(wire)
                await wire.ended.wait()
                if self._loop.time() - began > LONGEST_PAUSE:
                    pause = FIRST_PAUSE
            await self._rest(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _connected(self, wire: _Wire) -> None:
        if wire.ended.is_set():
            return
        self._wire = wire
        held = list(self._held.items())
        self._held.clear()
        for request_id, entry in held:
            self._send(wire, request_id, entry.body, entry.asker)
        self._set_timer()

    async def _rest(self, pause: float) -> None:
        """Wait before the next try: shortly while somebody waits, and not at all for the first who comes."""
        self._wanted.clear()
        try:
            async with asyncio.timeout(FIRST_PAUSE if self._held else pause):
                await self._wanted.wait()
        except TimeoutError:
            pass

    def _send(self, wire: _Wire, request_id: int, body: bytes, asker: Asker) -> None:
        until = self._loop.time() + self._settings.deadline_seconds
        self._sent[request_id] = _Waiting(until, asker, len(body), b"")
        wire.send(request_id, body)

    def _next_id(self) -> int:
        while True:
            self._last_id = (self._last_id + 1) & 0xFFFFFFFF
            if self._last_id not in self._sent and self._last_id not in self._held:
                return self._last_id

    # Running out of time.

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        firsts = [next(iter(entries.values())).until for entries in (self._held, self._sent) if entries]
        if firsts:
            self._timer = self._loop.call_at(min(firsts), self._expire)

    def _expire(self) -> None:
        self._timer = None
        now = self._loop.time()
        for held in _take_late(self._held, now):
            self._bytes -= held.size
            self._fail(held.asker, self._no_worker())
        for sent in _take_late(self._sent, now):
            self._bytes -= sent.size
            self._fail(sent.asker, self._too_late())
        self._set_timer()
        if self._leaving:
            self._close_if_done()

    def _no_worker(self) -> Problem:
        return Unavailable(
            f"Version {self.version} has no running worker: none came up within "
            f"{self._settings.wake_seconds:g} s.",
            hint="Send the request again in a moment; the version's log tells why its worker does not start.",
        )

    def _too_late(self) -> Problem:
        return DeadlineExceeded(
            f"Version {self.version} did not answer within {self._settings.deadline_seconds:g} s.",
            hint="Send fewer instances in a request, or look into the version's log.",
        )

    # Ending.

    def _fail(self, asker: Asker, problem: Problem) -> None:
        self.counters.errors += 1
        asker.answered(*answers.refusal(problem))

    def _close_if_done(self) -> None:
        if not self._held and not self._sent:
            self._shut()

    def _answer_all(self, problem: Problem) -> None:
        waiting = [*self._held.values(), *self._sent.values()]
        self._held.clear()
        self._sent.clear()
        self._bytes = 0
        for entry in waiting:
            self._fail(entry.asker, problem)
        self._shut()

    def _shut(self) -> None:
        self._task.cancel()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()


class _Wire(asyncio.Protocol):
    """One connection to a worker: frames out, frames in."""

    def __init__(self, link: WorkerLink) -> None:
        self.ended = asyncio.Event()
        self._link = link
        self._frames = FrameReader()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are not declared to be one.

    def connection_lost(self, _: Exception | None) -> None:
        self._transport = None
        self.ended.set()
        self._link.lost(self)

    def send(self, request_id: int, body: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return  # `lost` is on its way and answers whoever waits.
        if len(body) <= SMALL:
            self._transport.write(pack(body, id=request_id, kind=PREDICT))
        else:
            self._transport.writelines((HEADER.pack(len(body), request_id, PREDICT, 0), body))

    def data_received(self, data: bytes) -> None:
        for frame in self._frames.feed(data):
            if frame.skipped:
                self._link.received(frame.id, *answers.refusal(_too_long(frame.skipped)))
            else:
                self._link.received(frame.id, frame.status, frame.body)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def _same(wire: _Wire) -> Callable[[], _Wire]:
    return lambda: wire


def _too_long(size: int) -> Problem:
    return Internal(
        f"The prediction has {size} bytes; the server passes on at most {LARGEST_BODY}.",
        hint="Send fewer instances in a request.",
    )


def _take_late(entries: dict[int, _Waiting], now: float) -> list[_Waiting]:
    """Remove and return those of `entries` whose time is over; the first entries run out first."""
    late = []
    for request_id, entry in entries.items():
        if entry.until > now:
            break
        late.append(request_id)
    return [entries.pop(request_id) for request_id in late]
