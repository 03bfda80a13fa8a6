"""The workers of one version and its requests: how many may wait, who gets them, what if one dies.

Apart from `routes` so that what happens to a request (held, sent, answered, late) is told without paths.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlengine.errors import DeadlineExceeded, NotFound, Problem, ResourceExhausted, Unavailable
from mlengine.serving.gateway import answers
from mlengine.serving.gateway.chances import RECORD, Chances
from mlengine.serving.gateway.figures import LEFT, Figures
from mlengine.serving.gateway.node import Asked, Node
from mlengine.serving.messages import MOST_TIME_LEFT, time_left

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlengine.serving.gateway.events import Events
    from mlengine.serving.gateway.records import Records


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How a version is served.

    Attributes:
        sockets: Of its workers; none while it sleeps.
        nodes: How many workers it should have.
        queue_limit: Requests that it may have waiting or being computed.
        queue_bytes: The same in bytes of their bodies.
        deadline_seconds: How long workers may take over one request.
        wake_seconds: How long a request waits for a worker to come up.
        log_fraction: Of its requests, how many are recorded with their answers.
    """

    sockets: tuple[str, ...]
    nodes: int
    queue_limit: int
    queue_bytes: int
    deadline_seconds: float
    wake_seconds: float
    log_fraction: float


class VersionPool:
    """All workers of one version, and the requests that are not answered yet.

    Every request taken is answered exactly once: by a worker, or here with 503 (none came up, or a second one
    ended over it), 504 (too late) or 404 (the version was deleted); or it is cancelled.

    Attributes:
        version: PROJECT/MODEL/VERSION.
        figures: What it did.
        label: The line of an answer's head that names the version.
        used: When the last request came, by `time.perf_counter`; 0 before the first.
        waiting: Requests taken and not yet answered.
    """

    figures: Figures
    waiting: int

    def __init__(
        self, version: str, terms: Terms, *, figures: Figures, events: Events, records: Records
    ) -> None:
        self.version = version
        self.figures = figures
        self.label = b"x-mlengine-version: %b\r\n" % version.rpartition("/")[2].encode("ascii", "replace")
        self.used = 0.0
        self.waiting = 0
        self._bytes = 0
        self._events = events
        self._records = records
        self._loop = asyncio.get_running_loop()
        self._nodes: dict[str, Node] = {}
        # Those that a newer order no longer names, and that still have to answer.
        self._former: set[Node] = set()
        # Those that take requests.
        self._open: list[Node] = []
        # For whom no worker was free, and how long each waits for one at most.
        self._held: dict[Asked, float] = {}
        self._deleted = False
        self._timer: asyncio.TimerHandle | None = None
        self._recording = Chances(RECORD)
        self.apply(terms)

    def apply(self, terms: Terms) -> None:
        """Serve by these terms from now on. Sockets that were there keep their connections."""
        self._terms = terms
        self._most_waiting = terms.queue_limit
        self._most_bytes = terms.queue_bytes
        self._deadline = terms.deadline_seconds
        # What the protocol cannot state, only we watch over.
        self._time_left = time_left(self._deadline) if self._deadline <= MOST_TIME_LEFT else 0
        self._log_fraction = terms.log_fraction
        self._refusals: dict[int, tuple[int, bytes]] = {}
        for path in [path for path in self._nodes if path not in terms.sockets]:
            self._dismiss(self._nodes.pop(path))
        for path in terms.sockets:
            if path not in self._nodes:
                self._nodes[path] = Node(self, path)
        self._tell_wanted()

    # For those who ask.

    @property
    def full(self) -> bool:
        """Whether one more request would be refused."""
        return self.waiting >= self._most_waiting or self._bytes >= self._most_bytes

    @property
    def most_waiting(self) -> int:
        """How many requests may be here at once."""
        return self._most_waiting

    @property
    def half_full(self) -> bool:
        """Whether what can be done without should be."""
        return 2 * self.waiting >= self._most_waiting or 2 * self._bytes >= self._most_bytes

    def ask(self, asked: Asked) -> bool:
        """Take a request and answer it once, later; False, and nothing taken, when the queue is full."""
        if self.waiting >= self._most_waiting or self._bytes >= self._most_bytes:
            self.figures.ended(429)
            return False
        self.waiting += 1
        self._bytes += len(asked.body)
        asked.began = self.used = time.perf_counter()
        node = self._free()
        if node is None:
            self._hold(asked)
        else:
            asked.until = self._loop.time() + self._deadline
            node.send(asked, self._time_left)
            if self._timer is None:
                self._set_timer()
        return True

    def cancel(self, asked: Asked) -> None:
        """Nobody waits for `asked` any more. Nothing happens where it is answered already."""
        if self._held.pop(asked, None) is not None:
            self._settle_wanted()
        elif asked.node is not None and asked.node.sent.get(asked.id) is asked:
            asked.node.cancel(asked)
        else:
            return
        self._done(asked)
        self.figures.ended(LEFT)

    # For who looks on.

    @property
    def held(self) -> int:
        """Requests that wait for a worker to be free or to come up."""
        return len(self._held)

    @property
    def connected(self) -> int:
        """Workers that take requests."""
        return len(self._open)

    @property
    def wanted_nodes(self) -> int:
        """Workers it should have."""
        return self._terms.nodes

    def overloaded(self, kind: int) -> tuple[int, bytes]:
        """The answer to a request of this kind that is refused because others fill the queue."""
        # Made once: with more requests than can be served, it is the most frequent answer.
        refusal = self._refusals.get(kind)
        if refusal is None:
            problem = ResourceExhausted(
                f"As many requests wait for version {self.version} as may: {self._most_waiting}, or "
                f"{self._most_bytes} bytes.",
                hint="Send the request again after the time in the Retry-After header.",
            )
            refusal = self._refusals[kind] = answers.spoken(kind, problem)
        return refusal

    # Ending.

    def leave(self) -> None:
        """Let what workers have end, then close. For a version that is gone."""
        self._deleted = True
        gone = NotFound(f"Version {self.version} was deleted while the request waited.")
        for held in self._take_held():
            self._fail(held, gone)
        for node in list(self._nodes.values()):
            self._dismiss(node)
        self._nodes.clear()

    def close(self) -> None:
        """End at once; what still waits is answered 503."""
        stopping = Unavailable("The server is stopping.", hint="Send the request again in a moment.")
        nodes = {*self._nodes.values(), *self._former}
        waiting = self._take_held() + [asked for node in nodes for asked in node.sent.values()]
        for node in nodes:
            node.sent.clear()
            node.close()
        self._deleted = True
        self._nodes.clear()
        self._former.clear()
        self._open.clear()
        self._stop_timer()
        for asked in waiting:
            self._fail(asked, stopping)

    # From the nodes.

    def freed(self, node: Node) -> None:
        """A worker has connected, or takes more again: send what was held."""
        if node not in self._open:
            self._open.append(node)
        while self._held and (free := self._free()) is not None:
            asked = next(iter(self._held))
            del self._held[asked]
            self._send(asked, free)
        self._settle_wanted()
        self._set_timer()

    def lost(self, node: Node, unanswered: list[Asked]) -> None:
        """A worker has ended over these requests. Asking again does no harm: a prediction changes nothing."""
        if node in self._open:
            self._open.remove(node)
        self._former.discard(node)
        # A second death may well be the request's own doing.
        doomed = [asked for asked in unanswered if asked.retried]
        for asked in unanswered:
            if asked.retried:
                continue
            asked.retried = True
            asked.node = None
            self.figures.retried += 1
            other = self._free()
            if other is not None:
                self._send(asked, other)
            elif not self._deleted:
                self._hold(asked)
            else:
                doomed.append(asked)
        ended = Unavailable(
            f"The worker of version {self.version} ended over this request"
            f"{' and so did the next one' if doomed and doomed[0].retried else ''}; it is being restarted.",
            hint="Send the request again in a moment; the version's log tells why the worker ended.",
        )
        for asked in doomed:
            self._fail(asked, ended)
        self._set_timer()

    def gone(self, node: Node) -> None:
        """A worker that had to leave has."""
        self._former.discard(node)

    def answered(
        self, asked: Asked, status: int, body: bytes, decode: int, model: int, encode: int, instances: int
    ) -> None:
        """A worker's answer; times in microseconds."""
        self.waiting -= 1
        self._bytes -= len(asked.body)
        total = time.perf_counter() - asked.began
        queue = total - (decode + model + encode) * 1e-6
        if queue < 0.0:
            queue = 0.0
        self.figures.answered(status, total=total, queue=queue, model=model * 1e-6, instances=instances)
        if self._log_fraction and self._recording.next() < self._log_fraction:
            self._records.add(self.version, asked.kind, asked.body, body)
        asked.body = b""
        timing = b"Server-Timing: queue;dur=%.3f, decode;dur=%.3f, model;dur=%.3f, encode;dur=%.3f\r\n" % (
            queue * 1e3, decode * 1e-3, model * 1e-3, encode * 1e-3,
        )  # fmt: skip
        asked.answered(status, body, timing)

    # Moving requests.

    def _free(self) -> Node | None:
        """The least busy worker that takes requests."""
        best, least = None, 0
        for node in self._open:
            # One that hangs would else look like the least busy as soon as its requests have run out of time.
            busy = len(node.sent) + node.late
            if not node.choked and (best is None or busy < least):
                best, least = node, busy
        return best

    def _send(self, asked: Asked, node: Node) -> None:
        now = self._loop.time()
        if not asked.until:
            asked.until = now + self._deadline
        left = asked.until - now
        node.send(asked, time_left(left) if left <= MOST_TIME_LEFT else 0)

    def _hold(self, asked: Asked) -> None:
        now = self._loop.time()
        until = now + (self._deadline if self._open else self._terms.wake_seconds)
        self._held[asked] = until = min(until, asked.until) if asked.until else until
        for node in self._nodes.values():
            node.hurry()
        self._tell_wanted()
        if self._timer is None or until < self._timer.when():
            self._set_timer()

    def _dismiss(self, node: Node) -> None:
        if node in self._open:
            self._open.remove(node)
        self._former.add(node)
        node.leave()

    def _tell_wanted(self) -> None:
        if self._held and not self._nodes:
            self._events.wanted(self.version)
        else:
            self._events.settled(self.version)

    def _settle_wanted(self) -> None:
        if not self._held:
            self._events.settled(self.version)

    def _take_held(self) -> list[Asked]:
        held = list(self._held)
        self._held.clear()
        self._events.settled(self.version)
        return held

    def _done(self, asked: Asked) -> None:
        self.waiting -= 1
        self._bytes -= len(asked.body)
        asked.body = b""

    def _fail(self, asked: Asked, problem: Problem) -> None:
        self._done(asked)
        status, body = answers.spoken(asked.kind, problem)
        self.figures.ended(status)
        asked.answered(status, body, b"")

    # Running out of time.

    def _waiting_nodes(self) -> Iterable[Node]:
        return (*self._nodes.values(), *self._former)

    def _set_timer(self) -> None:
        self._stop_timer()
        firsts = [asked.until for node in self._waiting_nodes() for asked in node.sent.values()]
        if self._held or firsts:
            self._timer = self._loop.call_at(min((*self._held.values(), *firsts)), self._expire)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        self._timer = None
        now = self._loop.time()
        for asked in [asked for asked, until in self._held.items() if until <= now]:
            del self._held[asked]
            self._fail(asked, self._too_late() if self._open or asked.until else self._no_worker())
        self._settle_wanted()
        for node in self._waiting_nodes():
            for asked in [asked for asked in node.sent.values() if asked.until <= now]:
                node.late += 1
                node.cancel(asked)
                self._fail(asked, self._too_late())
        self._set_timer()

    def _no_worker(self) -> Problem:
        return Unavailable(
            f"Version {self.version} has no running worker: none came up within "
            f"{self._terms.wake_seconds:g} s.",
            hint="Send the request again in a moment; the version's log tells why its worker does not start.",
        )

    def _too_late(self) -> Problem:
        return DeadlineExceeded(
            f"Version {self.version} did not answer within {self._deadline:g} s.",
            hint="Send fewer instances in a request, or look into the version's log.",
        )
