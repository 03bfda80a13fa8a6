"""The loop of a model worker: one thread reads what has come in, asks a model once, and writes the answers.

It serves any number of versions, each at a desk with a socket of its own, one batch after the other in turn.
A desk may come or go while the others are served: `call` hands a step to the loop from another thread.
"""

from __future__ import annotations

import json
import select
import selectors
import signal
import socket
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from typing import Protocol

from mlengine.serving.messages import (
    CANCEL,
    DESCRIBE,
    EXPLAIN,
    INFER,
    LARGEST_BODY,
    PREDICT,
    TF_SERVING,
    TIMES,
    pack,
)
from mlengine.serving.worker import answers
from mlengine.serving.worker.lengthy import Done, Lengthy, Task
from mlengine.serving.worker.line import Line
from mlengine.serving.worker.listening import Listener
from mlengine.serving.worker.outcome import Answer
from mlengine.serving.worker.turns import Request, Turns

DRAIN_SECONDS = 5.0
_LOOK_SECONDS = 0.02
_MOST = 0xFFFFFFFF


class Answers(Protocol):
    """Whoever answers batches of requests, in order."""

    def __call__(self, requests: Sequence[tuple[int, bytes]], /) -> list[Answer]: ...


class Desk:
    """One version, as the loop sees it.

    Args:
        name: For messages; unique in this process.
        listener: Where callers connect.
        answer: Answers a batch.
        description: The body of the answer to DESCRIBE.
        turns: Who is answered when.
        explain: Answers one request for explanations, with a pause after each call of the model.
    """

    def __init__(
        self,
        name: str,
        listener: Listener,
        *,
        answer: Answers,
        description: bytes,
        turns: Turns[Line] | None = None,
        explain: Callable[[bytes], Generator[None, None, Answer]] | None = None,
    ) -> None:
        self.name = name
        self.listener = listener
        self.answer = answer
        self.explain = explain
        self.description = description
        self.turns: Turns[Line] = Turns() if turns is None else turns
        self.lines: set[Line] = set()
        self.listening: socket.socket | None = None
        self.queued = False

    def gone(self, line: Line) -> None:
        """A caller has hung up."""
        self.lines.discard(line)
        self.turns.forget(line)

    @property
    def idle(self) -> bool:
        """Whether every request that has begun to arrive was answered."""
        return not len(self.turns) and all(line.idle for line in self.lines)


class Server:
    """Serves desks until told to stop. All but `call` is for the thread that runs it.

    Args:
        before: Told the desk whose model is about to compute.
    """

    def __init__(self, *, before: Callable[[Desk], None] | None = None) -> None:
        self._before = before
        self._selector = selectors.DefaultSelector()
        self._desks: list[Desk] = []
        # Those with requests, the one that has waited longest for its turn first.
        self._waiting: deque[Desk] = deque()
        self._lengthy = Lengthy()
        self._steps: deque[Callable[[], None]] = deque()
        self._ends: list[Callable[[], None]] = []
        self._stopping = False
        self._wake, self._waker = socket.socketpair()
        for end in (self._wake, self._waker):
            end.setblocking(False)
        self._selector.register(self._wake, selectors.EVENT_READ, self._wake)

    def call(self, step: Callable[[], None]) -> None:
        """Have the loop take `step` soon; from any thread."""
        self._steps.append(step)
        try:
            self._waker.send(b"x")
        except BlockingIOError:
            pass  # it is awake anyhow

    def watch(self, source: socket.socket, readable: Callable[[], None]) -> None:
        """Call `readable` whenever `source` can be read."""
        self._selector.register(source, selectors.EVENT_READ, readable)

    def unwatch(self, source: socket.socket) -> None:
        """Look at `source` no more."""
        self._selector.unregister(source)

    def open(self, desk: Desk) -> None:
        """Begin to serve: its socket appears."""
        desk.listening = desk.listener.open()
        listening = desk.listening
        self._selector.register(listening, selectors.EVENT_READ, lambda: self._welcome(desk, listening))
        self._desks.append(desk)

    def close(self, desk: Desk, closed: Callable[[], None], *, seconds: float = 2 * DRAIN_SECONDS) -> None:
        """Let nobody in any more, answer whoever is there, and call `closed` once all have hung up.

        Args:
            seconds: After which callers who stay without asking anything are cut off.
        """
        self._hide(desk)
        until = time.monotonic() + seconds

        def end() -> None:
            if desk not in self._desks:
                return
            if desk.lines and not (time.monotonic() > until and desk.idle):
                self._ends.append(end)
                return
            self._drop(desk)
            closed()

        self._ends.append(end)

    def run(self) -> None:
        """Serve until SIGTERM or `stop`; then answer what has been asked, and return. Main thread only."""
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, lambda *_: self.stop())
        while not self._stopping:
            self._step()
        self._drain()
        signal.set_wakeup_fd(-1)
        self._selector.close()
        self._wake.close()
        self._waker.close()

    def stop(self) -> None:
        """End `run` soon."""
        self._stopping = True

    def _step(self) -> None:
        """Wait for what comes in, answer one batch if one is due, and take a step of what takes many."""
        desk, due = self._next()
        now = time.monotonic()
        pause = self._lengthy.wait(now)
        if desk is None:
            self._collect(pause if pause is not None else _LOOK_SECONDS if self._ends else None)
        elif (wait := due - now) > 0:
            self._collect(wait if pause is None else min(wait, pause))
        else:
            # What has arrived meanwhile joins; it costs one look.
            self._collect(0)
            self._answer_batch(desk)
        if self._lengthy.wait(time.monotonic()) == 0:
            self._advance()
        while self._steps:
            self._steps.popleft()()
        if self._ends:
            ends, self._ends = self._ends, []
            for end in ends:
                end()

    def _next(self) -> tuple[Desk | None, float]:
        """The desk whose batch is due first, in turn; and when it is."""
        found: Desk | None = None
        first = 0.0
        for _ in range(len(self._waiting)):
            desk = self._waiting[0]
            if not len(desk.turns):
                self._waiting.popleft()
                desk.queued = False
                continue
            self._waiting.rotate(-1)
            due = desk.turns.due()
            if not due:
                return desk, 0.0
            if found is None or due < first:
                found, first = desk, due
        return found, first

    def _collect(self, timeout: float | None) -> None:
        """Wait for sockets, and read what they hold."""
        if timeout is not None and 0 < timeout < 0.01:
            # A selector rounds up to milliseconds, which is longer than many a model takes.
            timeout = self._wait_finely(timeout)
        for key, mask in self._selector.select(timeout):
            line = key.data
            if not isinstance(line, Line):
                if line is self._wake:
                    self._wake.recv(4096)
                else:
                    line()
                continue
            if mask & selectors.EVENT_WRITE:
                line.flush()
            if mask & selectors.EVENT_READ and not line.closed and not line.desk.turns.full:
                self._take_in(line)

    def _wait_finely(self, timeout: float) -> float:
        fd = self._selector.fileno() if hasattr(self._selector, "fileno") else -1
        if not 0 <= fd < 1024:
            return timeout
        select.select([fd], (), (), timeout)
        return 0.0

    def _take_in(self, line: Line) -> None:
        now = time.monotonic()
        turns = line.desk.turns
        for frame in line.read():
            if frame.kind == CANCEL:
                if line.requests:
                    line.cancelled.add(frame.id)
                self._lengthy.cancel(line, frame.id)
                continue
            line.unanswered += 1
            turns.add(line, frame, now)
        if len(turns) and not line.desk.queued:
            line.desk.queued = True
            self._waiting.append(line.desk)

    def _welcome(self, desk: Desk, listening: socket.socket) -> None:
        try:
            connected, _ = listening.accept()
        except OSError:
            return  # the caller has gone again
        connected.setblocking(False)
        desk.lines.add(Line(connected, desk, self._selector))

    def _answer_batch(self, desk: Desk) -> None:
        """Answer one batch of requests: one model call where possible, one write per caller."""
        batch, dropped = desk.turns.take()
        for line in dropped:
            line.unanswered -= 1
            line.watch()
        if not batch:
            return
        began = time.monotonic()
        batch = self._set_aside(desk, batch, began)
        if not batch:
            return
        ours = [_own_answer(desk, request, began) for request in batch]
        asked = [request.frame for request, own in zip(batch, ours, strict=True) if own is None]
        answered: list[Answer] = []
        if asked:
            if self._before is not None:
                self._before(desk)
            answered = desk.answer([(frame.kind, frame.body) for frame in asked])
        whole = time.monotonic() - began
        call = max((answer.model_us for answer in answered), default=0) / 1e6
        given = iter(answered)
        # Whoever came during the call is counted apart from those who are about to be answered.
        self._collect(0)
        for request, own in zip(batch, ours, strict=True):
            _put(request, own or next(given), began)
        now = time.monotonic()
        desk.turns.answered(len(batch), call, now, whole=whole)
        self._lengthy.served(now)
        for line in {request.caller for request in batch}:
            line.flush()

    def _set_aside(self, desk: Desk, batch: list[Request[Line]], now: float) -> list[Request[Line]]:
        """Those of `batch` that are answered at once; what takes many calls is put with its like."""
        if desk.explain is None or not any(request.frame.kind == EXPLAIN for request in batch):
            return batch
        rest = []
        for request in batch:
            if request.frame.kind == EXPLAIN and _own_answer(desk, request, now) is None:
                self._lengthy.add(Task(desk, request, desk.explain(request.frame.body), now))
            else:
                rest.append(request)
        return rest

    def _advance(self) -> None:
        """Take a step of a request that takes many, and answer it if that was the last."""
        if self._before is not None:
            self._before(self._lengthy.next.desk)
        done = self._lengthy.step()
        if done is not None:
            _finish(done)

    def _drain(self) -> None:
        """Finish what was asked before the end, within DRAIN_SECONDS."""
        for desk in self._desks:
            self._hide(desk)
        until = time.monotonic() + DRAIN_SECONDS
        quiet = 0
        while quiet < 2 and time.monotonic() < until:
            self._collect(0)
            for desk in self._desks:
                self._answer_batch(desk)
            if self._lengthy:
                self._advance()
            quiet = quiet + 1 if all(desk.idle for desk in self._desks) else 0
            if not quiet and not self._lengthy and not any(len(desk.turns) for desk in self._desks):
                self._collect(_LOOK_SECONDS)
        for desk in list(self._desks):
            self._drop(desk)

    def _hide(self, desk: Desk) -> None:
        if desk.listening is not None:
            self._selector.unregister(desk.listening)
            desk.listener.remove()
            desk.listening.close()
            desk.listening = None

    def _drop(self, desk: Desk) -> None:
        self._desks.remove(desk)
        for line in list(desk.lines):
            line.close()


def _put(request: Request[Line], answer: Answer, began: float) -> None:
    """Write what the caller of a request gets that was taken at `began`; his line is to be flushed."""
    status, body, *spent = answer
    waited = int((began - request.arrived) * 1e6)
    times = TIMES.pack(*[min(max(part, 0), _MOST) for part in (waited, *spent[:4])])
    line, frame = request.caller, request.frame
    line.outgoing += pack(times + body, id=frame.id, kind=frame.kind, status=status)
    line.unanswered -= 1


def _finish(done: Done) -> None:
    """Answer a request that took many steps, if its caller is still there."""
    task = done.task
    line = task.request.caller
    answer = _own_answer(task.desk, task.request, time.monotonic()) if done.late else done.answer
    if answer is None or line.closed:
        line.unanswered -= 1
        line.watch()
        return
    _put(task.request, answer, task.began)
    line.flush()


def _own_answer(desk: Desk, request: Request[Line], now: float) -> Answer | None:
    """What is answered without asking the model; None where it must be asked."""
    frame = request.frame
    if frame.skipped:
        message = (
            f"The request has {frame.skipped} bytes; at most {LARGEST_BODY} are taken. "
            f"Send fewer instances in one request."
        )
        return Answer(413, _error(frame.kind, 413, message))
    if frame.kind == DESCRIBE:
        return Answer(200, desk.description)
    if not PREDICT <= frame.kind < CANCEL:
        return Answer(400, answers.error(400, f"The model worker knows no message of kind {frame.kind}."))
    if request.late(now):
        message = (
            f"The request waited {now - request.arrived:.2f} s for the model, longer than it may take. "
            f"Send it again later, or give the version more nodes."
        )
        return Answer(504, _error(frame.kind, 504, message))
    return None


def _error(kind: int, code: int, message: str) -> bytes:
    if kind in (TF_SERVING, INFER):
        return json.dumps({"error": message}).encode("ascii")
    return answers.error(code, message)
