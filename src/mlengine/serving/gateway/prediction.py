"""One request for a model worker: collect its body, hand it over, wait; and what is wrong with its body.

Apart from `turns`, of which it is the one that counts in microseconds.
"""

from __future__ import annotations

import asyncio
import zlib
from typing import TYPE_CHECKING

from mlengine.errors import InvalidArgument, NotFound, Problem
from mlengine.serving.gateway import answers
from mlengine.serving.gateway.turns import Turn
from mlengine.web.heads import Request

if TYPE_CHECKING:
    from mlengine.serving.gateway.http import ClientConnection
    from mlengine.serving.gateway.node import Node
    from mlengine.serving.gateway.pool import VersionPool
    from mlengine.serving.gateway.routes import Route

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
# What is decompressed between two other requests; the rest of a larger body is done in a thread.
INFLATED_AT_ONCE = 256 * 1024


class Prediction(Turn):
    """A request for a model worker. Also what the version's pool knows of it (see `node.Asked`)."""

    __slots__ = (
        "_chunks", "_left", "_pool", "_route", "_says_continue", "began", "body", "gzip", "id", "kind",
        "node", "retried", "until",
    )  # fmt: skip

    def __init__(
        self, connection: ClientConnection, request: Request, route: Route, *, kind: int, gzip: bool
    ) -> None:
        self.connection = connection
        self.close = request.close
        self.http10 = request.http10
        self.head_only = False
        self.answer = None
        self.kind = kind
        self.body = b""
        self.began = self.until = 0.0
        self.id = 0
        self.node: Node | None = None
        self.retried = False
        self._route = route
        self._pool: VersionPool | None = None
        self._chunks: list[bytes] | None = None
        self._left = connection.door.settings.max_body_bytes
        self.gzip = gzip
        self._says_continue = request.has_body and request.expects_continue

    # From the connection.

    def begin(self) -> None:
        if self._says_continue and self._chunks is None:
            self.connection.write(CONTINUE)

    def feed(self, chunk: bytes) -> None:
        if self.answer is not None:
            return
        self._left -= len(chunk)
        if self._left < 0:
            self._chunks = None
            self._refuse(*too_large(self.connection.door.settings.max_body_bytes))
            return
        if self._chunks is None:
            self._chunks = [chunk]
        else:
            self._chunks.append(chunk)

    def end(self) -> None:
        if self.answer is not None:
            return
        chunks, self._chunks = self._chunks, None
        self._says_continue = False
        body = b"" if not chunks else chunks[0] if len(chunks) == 1 else b"".join(chunks)
        if self.gzip:
            self._inflate(body)
        else:
            self._ask(body)

    def gone(self) -> None:
        self._chunks = None
        if self._pool is not None and self.answer is None:
            self._pool.cancel(self)

    # From the pool.

    def answered(self, status: int, body: bytes, timing: bytes) -> None:
        pool = self._pool
        lines = timing + pool.label if pool is not None else timing
        self.connection.settle(self, status, body, answers.media_type(self.kind, status), lines)

    # Asking.

    def _ask(self, body: bytes) -> None:
        # Now, not when the head came: who answers may have changed since.
        self._pool = pool = self._route.pick()
        if pool is None:
            gone = NotFound("The version was deleted while the request came in.")
            self.connection.settle(self, *answers.spoken(self.kind, gone))
            return
        self.body = body
        if not pool.ask(self):
            self.body = b""
            self.connection.settle(self, *pool.overloaded(self.kind), answers.JSON, pool.label)
            return
        shadows = self._route.shadows
        if shadows is not None:
            shadows.copy(self, pool)

    def _refuse(self, problem: Problem, code: int | None = None) -> None:
        self.fail(*answers.spoken(self.kind, problem, code))

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
            return
        wrong = too_large(self.connection.door.settings.max_body_bytes) if body is None else (body, None)
        self.connection.settle(self, *answers.spoken(self.kind, *wrong))


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


def too_large(most: int) -> tuple[Problem, int]:
    """What is wrong with a body over the limit, and its HTTP number."""
    problem = InvalidArgument(
        f"The request body is larger than the limit of {most} bytes.",
        hint="Send the instances in several requests, or use a batch prediction job.",
    )
    return problem, 413


def wrong_encoding(encoding: bytes) -> tuple[Problem, int]:
    """What is wrong with a body packed in a way that is not unpacked here, and its HTTP number."""
    problem = InvalidArgument(
        f"Content-Encoding '{encoding.decode('latin-1')}' is not known here.",
        hint="Send the body as it is, or with gzip.",
    )
    return problem, 415
