"""Trying again while a server restarts or a line breaks: for how long, and with which pauses."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from mlengine.errors import DeadlineExceeded, Problem, Unavailable

Result = TypeVar("Result")
PASSING = (Unavailable, DeadlineExceeded)
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0


def unheard(_problem: Problem) -> None:
    """For callers that want to hear nothing."""


class Patience:
    """How long one transfer goes on trying.

    Args:
        seconds: Without any progress; then the last problem is raised.
        tell: Called once per outage, before the first pause.
    """

    def __init__(
        self,
        seconds: float = 60.0,
        *,
        tell: Callable[[Problem], None] = unheard,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._seconds = seconds
        self._tell = tell
        self._clock = clock
        self._sleep = sleep
        self._since: float | None = None
        self._pause = _FIRST_PAUSE

    def progress(self) -> None:
        """Something arrived: the next outage is a new one."""
        self._since = None
        self._pause = _FIRST_PAUSE

    def wait(self, problem: Problem) -> None:
        """Pause before the next attempt, longer each time; raises `problem` when it has taken too long."""
        now = self._clock()
        if self._since is None:
            self._since = now
            self._tell(problem)
        if now - self._since >= self._seconds:
            raise problem
        # Not all clients of a server that restarts should come back in the same moment.
        self._sleep(self._pause * random.uniform(0.5, 1.0))
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)

    def insist(self, action: Callable[[], Result]) -> Result:
        """The result of `action`, which must be harmless to repeat. Raises as `action`."""
        while True:
            try:
                result = action()
            except PASSING as problem:
                self.wait(problem)
            else:
                self.progress()
                return result
