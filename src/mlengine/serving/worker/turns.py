"""Who is answered next: the requests of one version, and when its next batch is taken.

While the model computes, requests gather; the next batch is all of them. That needs no timer, and adds no
wait to a request that comes alone. But callers who ask again as soon as they are answered fall into two
halves that way, which take turns and each see two calls: so a batch waits for those just answered, for at
most a tenth of the last call.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Generic, TypeVar

from mlengine.serving.messages import LARGEST_BODY, TIME_LEFT, Frame

MOST_TAKEN = 64
"""Requests in a batch. More would make the first wait for the answers of the last."""
# The same where the call of the model is the lesser part of the work.
_FEW = 16
_LESSER_PART = 0.25
_MOST_QUEUED = 1024
_SHARE_OF_CALL = 0.1
_SHORTEST_CALL = 0.0005
_C = TypeVar("_C", bound="Caller[Any]")


class Caller(Generic[_C]):
    """The requests of one connection, in their order."""

    def __init__(self) -> None:
        self.requests: deque[Request[_C]] = deque()
        self.cancelled: set[int] = set()


class Request(Generic[_C]):
    """One request that waits.

    Attributes:
        caller: Whose it is.
        frame: What was asked.
        arrived: When, by the monotonic clock.
    """

    __slots__ = ("arrived", "caller", "frame")

    def __init__(self, caller: _C, frame: Frame, arrived: float) -> None:
        self.caller = caller
        self.frame = frame
        self.arrived = arrived

    def late(self, now: float) -> bool:
        """Whether its time is over."""
        return 0 < self.frame.status * TIME_LEFT < now - self.arrived


class Turns(Generic[_C]):
    """The waiting requests of one version. Callers take turns, so that none waits for all of another's.

    Args:
        most_taken: Requests in a batch.
        latency: Seconds that the first of a batch may wait for company; 0 never waits on purpose.
    """

    def __init__(self, *, most_taken: int = MOST_TAKEN, latency: float = 0.0) -> None:
        self.most_taken = most_taken
        self.latency = latency
        self._callers: deque[_C] = deque()
        self._count = 0
        self._bytes = 0
        self._first = 0.0
        self._expected = 0
        self._wait_until = 0.0
        self._most = most_taken

    def __len__(self) -> int:
        return self._count

    @property
    def full(self) -> bool:
        """Whether no more may be read for now: so memory stays bounded."""
        return self._count >= _MOST_QUEUED or self._bytes >= LARGEST_BODY

    def add(self, caller: _C, frame: Frame, now: float) -> None:
        """Queue a request that has just arrived."""
        if not caller.requests:
            self._callers.append(caller)
        if not self._count:
            self._first = now
        caller.requests.append(Request(caller, frame, now))
        self._count += 1
        self._bytes += len(frame.body)
        self._expected -= 1

    def forget(self, caller: _C) -> None:
        """Drop what waits of a caller who has gone."""
        if not caller.requests:
            return
        self._callers.remove(caller)
        self._count -= len(caller.requests)
        self._bytes -= sum(len(request.frame.body) for request in caller.requests)
        caller.requests.clear()

    def due(self) -> float:
        """When the next batch should be taken, by the monotonic clock; 0 for at once."""
        if self._count >= self._most or self._bytes >= LARGEST_BODY:
            return 0.0
        until = self._wait_until if self._expected > 0 else 0.0
        if self.latency:
            until = max(until, self._first + self.latency)
        return until

    def take(self) -> tuple[list[Request[_C]], list[_C]]:
        """The next batch, one request of each caller after the other; then the callers of cancelled ones."""
        batch: list[Request[_C]] = []
        dropped: list[_C] = []
        callers = self._callers
        while callers and len(batch) < self._most:
            caller = callers[0]
            request = caller.requests.popleft()
            self._count -= 1
            self._bytes -= len(request.frame.body)
            if request.frame.id in caller.cancelled:
                caller.cancelled.discard(request.frame.id)
                dropped.append(caller)
            else:
                batch.append(request)
            if not caller.requests:
                callers.popleft()
                caller.cancelled.clear()
            elif len(callers) > 1:
                callers.rotate(-1)
        if self._count:
            self._first = min(caller.requests[0].arrived for caller in callers)
        return batch, dropped

    def answered(self, count: int, call: float, now: float, *, whole: float = 0.0) -> None:
        """A batch of `count` was answered: they may soon be back.

        Args:
            call: Seconds of the model's call.
            whole: Seconds of all, reading and writing included.
        """
        # Reading a request costs the same in any company. Where that is most of the work, small batches are
        # answered sooner, and those who bring requests have something to do meanwhile.
        alike = not self.latency and call < _LESSER_PART * whole
        self._most = min(_FEW, self.most_taken) if alike else self.most_taken
        alone = count + self._count < 2
        self._expected = count
        self._wait_until = 0.0 if alone or call < _SHORTEST_CALL else now + call * _SHARE_OF_CALL
