"""What a verb of the SDK wants done, as values: a request, a pause, blocking work, several verbs at once.

A verb is a generator that yields these and is sent what came of them. So it is written once: `blocking` does
what it asks for with threads, `nonblocking` on an event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from mlengine.client.api import Api
from mlengine.client.storage import Storage

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request. What comes of it is a `Reply` of any status, or Unavailable, or DeadlineExceeded.

    Attributes:
        path: From the root, already percent-encoded.
        body: JSON, or None for none.
        timeout: Seconds to wait for the answer.
        repeatable: Whether sending it twice is as good as once.
    """

    verb: str
    path: str
    query: Mapping[str, str | int] = field(default_factory=dict)
    body: bytes | None = None
    timeout: float = 60.0
    repeatable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a server answered; header names in lower case."""

    status: int
    reason: str
    headers: Mapping[str, str]
    content: bytes


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing for a while."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Work:
    """Something that blocks (files, packing, uploads). What comes of it is what `act` returns or raises."""

    act: Callable[[Api, Storage], Any]


@dataclass(frozen=True, slots=True)
class Together:
    """Several verbs, at most `most` at a time. What comes of it are their results in order.

    The next one is only made when there is room for it. When one fails no other is begun, and the failure
    of the first in order is raised.
    """

    verbs: Iterable[Steps[Any]]
    most: int


@dataclass(frozen=True, slots=True)
class Give:
    """A value for whoever iterates over a verb that lists or follows."""

    value: Any


Wish = Request | Pause | Work | Together | Give
Steps = Generator[Wish, Any, T]


class Course:
    """A verb on its way: hands out wishes and is told what came of each."""

    def __init__(self, steps: Steps[Any]) -> None:
        self._steps = steps
        self._value: Any = None
        self._error: Exception | None = None
        self.result: Any = None

    def next(self) -> Wish | None:
        """The next wish; None once `result` is there. Raises what the verb raises."""
        value, error = self._value, self._error
        self._value = self._error = None
        try:
            return self._steps.send(value) if error is None else self._steps.throw(error)
        except StopIteration as end:
            self.result = end.value
            return None

    def told(self, value: Any) -> None:
        """The last wish came true."""
        self._value = value

    def failed(self, error: Exception) -> None:
        """The last wish did not; the verb hears of it."""
        self._error = error

    def close(self) -> None:
        """Nobody wants the rest."""
        self._steps.close()
