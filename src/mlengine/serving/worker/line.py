"""One caller's connection: frames in, answers out, and what the selector should watch it for."""

from __future__ import annotations

import selectors
import socket
from typing import TYPE_CHECKING

from mlengine.serving.messages import Frame, FrameReader
from mlengine.serving.worker.turns import Caller

if TYPE_CHECKING:
    from mlengine.serving.worker.server import Desk

_CHUNK = 256 * 1024
_MOST_UNREAD_ANSWERS = 16 * 1024 * 1024


class Line(Caller["Line"]):
    """A connected socket, registered with `selector` for what it can do now.

    Nothing is read from a caller who does not fetch his answers, so memory stays bounded.
    """

    def __init__(self, connected: socket.socket, desk: Desk, selector: selectors.BaseSelector) -> None:
        super().__init__()
        self.desk = desk
        self.outgoing = bytearray()
        self.unanswered = 0
        self.closed = False
        self._socket = connected
        self._reader = FrameReader()
        self._selector = selector
        self._ended = False
        self._events = selectors.EVENT_READ
        selector.register(connected, self._events, self)

    def read(self) -> list[Frame]:
        """The frames that have arrived; closes the line, or notes its end, where there are no more."""
        try:
            data = self._socket.recv(_CHUNK)
        except BlockingIOError:
            return []
        except OSError:
            self.close()
            return []
        if not data:
            self._ended = True
            self.watch()
            return []
        return self._reader.feed(data)

    @property
    def idle(self) -> bool:
        """Whether nothing is half read, waiting or half written."""
        return not (self._reader.unfinished or self.outgoing or self.unanswered)

    def flush(self) -> None:
        """Write what the caller takes now."""
        if self.closed:
            return
        if self.outgoing:
            try:
                sent = self._socket.send(self.outgoing)
                del self.outgoing[:sent]
            except BlockingIOError:
                pass
            except OSError:
                self.close()
                return
        self.watch()

    def watch(self) -> None:
        """Ask the selector for what this connection can do now; let it go when nothing is left."""
        if self.closed:
            return
        if self._ended and not self.unanswered and not self.outgoing:
            self.close()
            return
        reads = not self._ended and len(self.outgoing) < _MOST_UNREAD_ANSWERS
        events = (selectors.EVENT_READ if reads else 0) | (selectors.EVENT_WRITE if self.outgoing else 0)
        if events == self._events:
            return
        if not self._events:
            self._selector.register(self._socket, events, self)
        elif not events:
            self._selector.unregister(self._socket)
        else:
            self._selector.modify(self._socket, events, self)
        self._events = events

    def close(self) -> None:
        """End it; what waits of this caller is dropped."""
        if self.closed:
            return
        self.closed = True
        if self._events:
            self._selector.unregister(self._socket)
        self._socket.close()
        self.desk.gone(self)
