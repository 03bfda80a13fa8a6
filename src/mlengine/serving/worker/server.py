"""The worker's socket loop: one thread reads what has come in, asks the model once, and writes the answers.

While the model computes, requests gather in the sockets; the next batch is all of them, up to 64. That needs
no timer, and adds no wait to a request that comes alone. Nothing more is read while a batch is full or its
bodies are large, and nothing from a caller who does not fetch his answers: so memory stays bounded.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import stat
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from mlengine.serving.messages import DESCRIBE, LARGEST_BODY, PREDICT, Frame, FrameReader, pack
from mlengine.serving.worker import answers
from mlengine.serving.worker.batch import Answer

LARGEST_BATCH = 64
DRAIN_SECONDS = 5.0
_CHUNK = 256 * 1024
_MOST_UNREAD_ANSWERS = 16 * 1024 * 1024
# sockaddr_un holds 108 bytes on Linux, 104 elsewhere, one of them for the end.
_LONGEST_PATH = 103


class Listener:
    """A Unix socket that appears under its name only when it can be connected to.

    Args:
        path: Where it appears; another socket there is replaced.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._early = path.with_name(f"{path.name}.{os.getpid()}")
        self._inode: int | None = None
        if len(os.fsencode(self._early)) > _LONGEST_PATH:
            raise ValueError(f"The socket's path is too long for a Unix socket: {path}")

    def open(self) -> socket.socket:
        """Bind, listen, then take the name. Only the owner may connect."""
        self._early.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(self._early))
        self._early.chmod(stat.S_IRUSR | stat.S_IWUSR)
        listener.listen(128)
        listener.setblocking(False)
        self._inode = self._early.stat().st_ino
        self._early.rename(self.path)
        return listener

    def remove(self) -> None:
        """Give the name up, unless a successor has taken it."""
        try:
            if self._inode is not None and self.path.stat().st_ino == self._inode:
                self.path.unlink()
        except OSError:
            pass


class _Connection:
    """One caller's socket."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self.reader = FrameReader()
        self.outgoing = bytearray()
        self.waiting = 0
        self.ended = False
        self.events = selectors.EVENT_READ


class Server:
    """Serves one model until told to stop.

    Args:
        listener: Where callers connect.
        answer: Answers a batch of predict bodies, in order.
        description: The body of the answer to DESCRIBE.
    """

    def __init__(
        self,
        listener: Listener,
        *,
        answer: Callable[[Sequence[bytes]], list[Answer]],
        description: bytes,
    ) -> None:
        self._listener = listener
        self._answer = answer
        self._description = description
        self._selector = selectors.DefaultSelector()
        self._connections: set[_Connection] = set()
        self._queue: deque[tuple[_Connection, Frame]] = deque()
        self._queued_bytes = 0
        self._turn = 0
        self._stopping = False

    def run(self, ready: Callable[[], None]) -> None:
        """Serve until SIGTERM; then answer what has been asked, and return. Main thread only.

        Args:
            ready: Called once callers can connect.
        """
        wake, waker = socket.socketpair()
        wake.setblocking(False)
        waker.setblocking(False)
        signal.set_wakeup_fd(waker.fileno())
        signal.signal(signal.SIGTERM, self._stop)
        self._selector.register(wake, selectors.EVENT_READ, wake)
        listener = self._listener.open()
        self._selector.register(listener, selectors.EVENT_READ, listener)
        ready()
        while not self._stopping:
            self._collect(timeout=0 if self._queue else None)
            self._answer_batch()
        self._selector.unregister(listener)
        self._listener.remove()
        listener.close()
        self._drain()

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _drain(self) -> None:
        """Finish what was asked before the end, within DRAIN_SECONDS."""
        deadline = time.monotonic() + DRAIN_SECONDS
        while time.monotonic() < deadline:
            asked = len(self._queue)
            self._collect(timeout=0)
            self._answer_batch()
            unfinished = any(c.reader.unfinished or c.outgoing for c in self._connections)
            if not asked and not self._queue and not unfinished:
                break
            if unfinished and not self._queue:
                self._collect(timeout=0.05)
        for connection in list(self._connections):
            self._close(connection)

    @property
    def _full(self) -> bool:
        return len(self._queue) >= LARGEST_BATCH or self._queued_bytes >= LARGEST_BODY

    def _collect(self, timeout: float | None) -> None:
        """Wait for sockets, and read what they hold."""
        events = self._selector.select(timeout)
        # Whoever is first when the batch fills up must not be first every time.
        self._turn += 1
        start = self._turn % len(events) if events else 0
        for key, mask in events[start:] + events[:start]:
            if not isinstance(key.data, _Connection):
                self._welcome_or_wake(key.data)
                continue
            if mask & selectors.EVENT_WRITE:
                self._flush(key.data)
            if mask & selectors.EVENT_READ and not self._full:
                self._read(key.data)

    def _welcome_or_wake(self, source: socket.socket) -> None:
        try:
            if source.family == socket.AF_UNIX and source.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                connected, _ = source.accept()
                connected.setblocking(False)
                connection = _Connection(connected)
                self._connections.add(connection)
                self._selector.register(connected, selectors.EVENT_READ, connection)
            else:
                source.recv(4096)
        except OSError:
            pass  # the caller has gone again

    def _read(self, connection: _Connection) -> None:
        while not self._full:
            try:
                data = connection.socket.recv(_CHUNK)
            except BlockingIOError:
                return
            except OSError:
                self._close(connection)
                return
            if not data:
                connection.ended = True
                self._watch(connection)
                return
            for frame in connection.reader.feed(data):
                connection.waiting += 1
                self._queue.append((connection, frame))
                self._queued_bytes += len(frame.body)
            if len(data) < _CHUNK:
                return

    def _answer_batch(self) -> None:
        """Answer up to LARGEST_BATCH queued requests: one model call, one write per connection."""
        if not self._queue:
            return
        batch = [self._queue.popleft() for _ in range(min(len(self._queue), LARGEST_BATCH))]
        self._queued_bytes -= sum(len(frame.body) for _, frame in batch)
        # A caller who has gone wants no answer.
        batch = [(connection, frame) for connection, frame in batch if connection in self._connections]
        asked = [frame for _, frame in batch if frame.kind == PREDICT and not frame.skipped]
        answered = iter(self._answer([frame.body for frame in asked]) if asked else ())
        for connection, frame in batch:
            is_predict = frame.kind == PREDICT and not frame.skipped
            status, body = next(answered) if is_predict else self._other(frame)
            connection.outgoing += pack(body, id=frame.id, kind=frame.kind, status=status)
            connection.waiting -= 1
        for connection in {connection for connection, _ in batch}:
            self._flush(connection)

    def _other(self, frame: Frame) -> Answer:
        if frame.skipped:
            message = (
                f"The request has {frame.skipped} bytes; at most {LARGEST_BODY} are taken. "
                f"Send fewer instances in one request."
            )
            return Answer(413, answers.error(413, message))
        if frame.kind == DESCRIBE:
            return Answer(200, self._description)
        return Answer(400, answers.error(400, f"The model worker knows no message of kind {frame.kind}."))

    def _flush(self, connection: _Connection) -> None:
        if connection.outgoing:
            try:
                sent = connection.socket.send(connection.outgoing)
                del connection.outgoing[:sent]
            except BlockingIOError:
                pass
            except OSError:
                self._close(connection)
                return
        self._watch(connection)

    def _watch(self, connection: _Connection) -> None:
        """Ask the selector for what this connection can do now; let it go when nothing is left."""
        if connection.ended and not connection.waiting and not connection.outgoing:
            self._close(connection)
            return
        reads = not connection.ended and len(connection.outgoing) < _MOST_UNREAD_ANSWERS
        events = (selectors.EVENT_READ if reads else 0) | (
            selectors.EVENT_WRITE if connection.outgoing else 0
        )
        if events == connection.events:
            return
        if not connection.events:
            self._selector.register(connection.socket, events, connection)
        elif not events:
            self._selector.unregister(connection.socket)
        else:
            self._selector.modify(connection.socket, events, connection)
        connection.events = events

    def _close(self, connection: _Connection) -> None:
        if connection in self._connections:
            self._connections.discard(connection)
            if connection.events:
                self._selector.unregister(connection.socket)
            connection.socket.close()
