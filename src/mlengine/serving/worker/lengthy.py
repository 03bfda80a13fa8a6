"""Requests that take many calls of a model, answered a step at a time between the batches of all others.

While predictions are asked for, steps get a quarter of the time; else all of it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator
from typing import TYPE_CHECKING, NamedTuple

from mlengine.serving.worker.outcome import Answer
from mlengine.serving.worker.turns import Request

if TYPE_CHECKING:
    from mlengine.serving.worker.line import Line
    from mlengine.serving.worker.server import Desk

_REST = 3.0
"""Seconds that belong to those who ask for predictions, for each second of a step."""
_QUIET_SECONDS = 0.05
"""After so long without a prediction nobody else is there: who asks again and again is back sooner."""


class Task(NamedTuple):
    """One such request.

    Attributes:
        desk: Whose version it asks.
        request: As it came.
        steps: What remains to be done.
        began: When it was taken, by the monotonic clock.
    """

    desk: Desk
    request: Request[Line]
    steps: Generator[None, None, Answer]
    began: float


class Done(NamedTuple):
    """One that has come to its end.

    Attributes:
        task: Which.
        answer: What its caller gets; None where nobody wants it any more, or its time is over.
        late: Whether its time is over.
    """

    task: Task
    answer: Answer | None
    late: bool = False


class Lengthy:
    """The requests of that kind in one process: a version's one after the other, versions in turn."""

    def __init__(self) -> None:
        self._tasks: dict[Desk, deque[Task]] = {}
        self._cancelled: set[tuple[Line, int]] = set()
        self._rest_until = 0.0
        self._last_batch = -_QUIET_SECONDS

    def __len__(self) -> int:
        return sum(map(len, self._tasks.values()))

    def add(self, task: Task) -> None:
        """Take one in."""
        self._tasks.setdefault(task.desk, deque()).append(task)

    def cancel(self, line: Line, id: int) -> None:
        """Its caller no longer wants it."""
        for task in self._tasks.get(line.desk, ()):
            if task.request.caller is line and task.request.frame.id == id:
                self._cancelled.add((line, id))

    def served(self, now: float) -> None:
        """A batch of others was answered at `now`."""
        self._last_batch = now

    def wait(self, now: float) -> float | None:
        """Seconds until a step should be taken; None where there is none to take."""
        if not self._tasks:
            return None
        if now - self._last_batch > _QUIET_SECONDS:
            return 0.0
        return max(0.0, self._rest_until - now)

    @property
    def next(self) -> Task:
        """Whose turn it is."""
        return next(iter(self._tasks.values()))[0]

    def step(self) -> Done | None:
        """Take a step of the next one; tells if that was its last."""
        began = time.monotonic()
        task = self.next
        done = self._taken(task, began)
        tasks = self._tasks.pop(task.desk)
        if done is not None:
            tasks.popleft()
            self._cancelled.discard((task.request.caller, task.request.frame.id))
        if tasks:
            self._tasks[task.desk] = tasks
        now = time.monotonic()
        self._rest_until = now + _REST * (now - began)
        return done

    def _taken(self, task: Task, now: float) -> Done | None:
        caller = task.request.caller
        if caller.closed or (caller, task.request.frame.id) in self._cancelled:
            task.steps.close()
            return Done(task, None)
        if task.request.late(now):
            task.steps.close()
            return Done(task, None, late=True)
        try:
            next(task.steps)
        except StopIteration as end:
            return Done(task, end.value)
        return None
