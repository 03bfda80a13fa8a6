"""The control plane's HTTP server: a thread per connection, on Unix sockets and on connections handed over.

Sync from the socket to the handler, because every handler is: no change of threads on the way of a request.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence

from mlengine.web.exchange import Answering, Exchange
from mlengine.web.handover import Handover, is_bulk
from mlengine.web.hosts import HostRule

_PAUSE = 0.05


class HttpServer:
    """Serves until it is stopped.

    Args:
        answer: What answers; the only thing it raises is `Disconnected`.
        hosts: Names under which connections at a loopback address are answered, beside the machine's own.
    """

    def __init__(self, answer: Answering, *, hosts: Sequence[str] = ()) -> None:
        self._answer = answer
        self._hosts = HostRule(tuple(hosts))
        self._exchanges: set[Exchange] = set()
        self._lock = threading.Lock()
        self._closers: list[Callable[[], None]] = []
        self._stopping = threading.Event()

    def listen(self, listener: socket.socket) -> None:
        """Take connections at a listening socket, whose clients may be silent for as long as they like."""
        listener.setblocking(True)
        self._closers.append(lambda: _close_listener(listener))
        self._start(lambda: self._accept(listener), "accept")

    def take_over(self, handover: Handover) -> None:
        """Take connections which the gateway hands over, and give those back that want something of it."""
        handover.setblocking(True)
        self._closers.append(handover.close)
        self._start(lambda: self._take(handover), "take over")

    def stop(self, seconds: float) -> None:
        """Take no more connections, let requests end that are being answered, for at most so long."""
        self._stopping.set()
        for close in self._closers:
            close()
        with self._lock:
            left = list(self._exchanges)
        for exchange in left:
            exchange.leave()
        until = time.monotonic() + seconds
        while time.monotonic() < until and self._exchanges:
            time.sleep(0.01)
        for exchange in list(self._exchanges):
            exchange.cut()

    def _accept(self, listener: socket.socket) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                self._stopping.wait(_PAUSE)  # out of descriptors: somebody will close one
                continue
            self._serve(Exchange(connection, self._answer, patient=True))

    def _take(self, handover: Handover) -> None:
        def give_back(connection: socket.socket, ahead: bytes) -> None:
            # The queue of such a socket is short (ten in Linux), and nobody else answers what it carries.
            handover.give(connection.fileno(), ahead, loopback=True, wait=True)

        while not self._stopping.is_set():
            try:
                taken = handover.take()
            except OSError:
                self._stopping.wait(_PAUSE)
                continue
            if taken is None:
                continue
            connection, ahead, loopback = taken
            self._serve(
                Exchange(
                    connection,
                    self._answer,
                    ahead=ahead,
                    hosts=self._hosts if loopback else None,
                    keeps=is_bulk,
                    give_back=give_back,
                )
            )

    def _serve(self, exchange: Exchange) -> None:
        def run() -> None:
            try:
                exchange.run()
            finally:
                with self._lock:
                    self._exchanges.discard(exchange)

        with self._lock:
            self._exchanges.add(exchange)
        try:
            self._start(run, "connection")
        except (
            RuntimeError
        ):  # the machine has no thread left: this client has to come again, others are served
            exchange.drop()
            with self._lock:
                self._exchanges.discard(exchange)

    def _start(self, run: Callable[[], None], name: str) -> None:
        threading.Thread(target=run, name=name, daemon=True).start()


def _close_listener(listener: socket.socket) -> None:
    try:
        listener.shutdown(socket.SHUT_RDWR)  # or the thread that waits in `accept` would wait on
    except OSError:
        pass
    listener.close()
