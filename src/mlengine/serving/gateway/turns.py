"""One request of a client connection and its answer: refused at once, or predicted by a worker.

Apart from `http`, which knows connections and their order and nothing of what an answer takes. The third
kind, a request passed to the control plane, has its own file, `passage`.
"""

from __future__ import annotations

import asyncio
import zlib
from typing import TYPE_CHECKING

from mlengine.errors import InvalidArgument, ResourceExhausted
from mlengine.serving.gateway import answers
from mlengine.web.heads import Request

if TYPE_CHECKING:
    from mlengine.serving.gateway.http import ClientConnection
    from mlengine.serving.gateway.pool import WorkerLink

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
# What is decompressed between two other requests; the rest of a larger body is done in a thread.
INFLATED_AT_ONCE = 256 * 1024


class Turn:
    """A request in the queue of its connection, and the answer once it is known.

    The connection calls these methods; a turn calls `settle` of the connection when its answer is known.
    """

    __slots__ = ("answer", "close", "connection", "head_only", "http10")

    def __init__(
        self, connection: ClientConnection, *, close: bool, http10: bool, head_only: bool = False
    ) -> None:
        self.connection = connection
        self.close = close
        self.http10 = http10
        # The answer has no body, whatever its head says of one.
        self.head_only = head_only
        self.answer: tuple[int, bytes, bytes] | None = None

    def begin(self) -> None:
        """All earlier answers are written: from now on this turn may write."""

    def body(self, chunk: bytes) -> None:
        """A piece of the request's body. Nothing is done with it unless a turn says so."""

    def end(self) -> None:
        """The request is complete."""

    def fail(self, status: int, body: bytes) -> None:
        """The rest of the request cannot be understood: answer with this, and close."""
        self.close = True
        if self.answer is None:
            self.connection.settle(self, status, body)

    def gone(self) -> None:
        """The client has left: nobody waits for the answer any more."""

    def choke(self) -> None:
        """The client takes no more bytes for now."""

    def relieve(self) -> None:
        """The client takes bytes again."""

    def overfull(self) -> bool:
        """Whether reading more of the body has to wait."""
        return False


class Ready(Turn):
    """A request whose answer was known when its head was read; a body is thrown away."""

    __slots__ = ()


def ready(
    connection: ClientConnection,
    status: int,
    body: bytes,
    *,
    close: bool,
    kind: bytes = answers.JSON,
    http10: bool = False,
    head_only: bool = False,
) -> Turn:
    """A turn with this answer."""
    turn = Ready(connection, close=close, http10=http10, head_only=head_only)
    turn.answer = (status, body, kind)
    return turn


class Prediction(Turn):
    """A request for a model worker: collect the body, hand it over, wait."""

    __slots__ = ("_chunks", "_gzip", "_left", "_link", "_says_continue")

    def __init__(
        self, connection: ClientConnection, request: Request, link: WorkerLink, *, gzip: bool
    ) -> None:
        super().__init__(connection, close=request.close, http10=request.http10)
        self._link = link
        self._chunks: list[bytes] = []
        self._left = connection.door.settings.max_body_bytes
        self._gzip = gzip
        self._says_continue = request.has_body and request.expects_continue

    def begin(self) -> None:
        if self._says_continue and not self._chunks:
            self.connection.write(CONTINUE)

    def body(self, chunk: bytes) -> None:
        if self.answer is not None:
            return
        self._left -= len(chunk)
        if self._left < 0:
            self._chunks.clear()
            self.fail(*too_large(self.connection.door.settings.max_body_bytes))
            return
        self._chunks.append(chunk)

    def end(self) -> None:
        if self.answer is not None:
            return
        body = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._says_continue = False
        if self._gzip:
            self._inflate(body)
        else:
            self._ask(body)

    def answered(self, status: int, body: bytes) -> None:
        """The worker's answer, or the one in its stead. A client that has left is not looked for."""
        self.connection.settle(self, status, body)

    def gone(self) -> None:
        self._chunks.clear()

    def _ask(self, body: bytes) -> None:
        if not self._link.ask(body, self):
            self.connection.settle(self, *overloaded(self._link))

    def _inflate(self, body: bytes) -> None:
        most = self.connection.door.settings.max_body_bytes
        if len(body) <= INFLATED_AT_ONCE // 64:
            # At most a thousandfold of this comes out, which takes less than a switch of threads.
            self._inflated(inflate(body, most))
            return
        work = asyncio.get_running_loop().run_in_executor(None, inflate, body, most)
        work.add_done_callback(lambda done: None if done.cancelled() else self._inflated(done.result()))

    def _inflated(self, body: bytes | InvalidArgument | None) -> None:
        if self.connection.closed:
            return
        if isinstance(body, bytes):
            self._ask(body)
        elif body is None:
            self.connection.settle(self, *too_large(self.connection.door.settings.max_body_bytes))
        else:
            self.connection.settle(self, *answers.refusal(body))


def inflate(body: bytes, most: int) -> bytes | InvalidArgument | None:
    """What gzip packed into `body`; None when it is more than `most` bytes, a problem when it is not gzip."""
    pieces: list[bytes] = []
    while body:
        unpacker = zlib.decompressobj(wbits=31)
        try:
            piece = unpacker.decompress(body, most + 1)
        except zlib.error as error:
            return InvalidArgument(f"The body is announced as gzip and is not: {error}.")
        most -= len(piece)
        if most < 0:
            return None
        if not unpacker.eof:
            return InvalidArgument("The body is announced as gzip and ends too early.")
        pieces.append(piece)
        body = unpacker.unused_data
    return b"".join(pieces)


def too_large(most: int) -> tuple[int, bytes]:
    """The answer to a body over the limit."""
    problem = InvalidArgument(
        f"The request body is larger than the limit of {most} bytes.",
        hint="Send the instances in several requests, or use a batch prediction job.",
    )
    return answers.refusal(problem, 413)


def overloaded(link: WorkerLink) -> tuple[int, bytes]:
    """The answer while as many requests wait for a version as may."""
    link.counters.refused += 1
    problem = ResourceExhausted(
        f"Version {link.version} already has {link.in_flight} requests waiting.",
        hint="Send the request again after the time in the Retry-After header.",
    )
    return answers.refusal(problem)


def wrong_encoding(encoding: bytes) -> tuple[int, bytes]:
    """The answer to a body packed in a way that is not unpacked here."""
    problem = InvalidArgument(
        f"Content-Encoding '{encoding.decode('latin-1')}' is not known here.",
        hint="Send the body as it is, or with gzip.",
    )
    return answers.refusal(problem, 415)
