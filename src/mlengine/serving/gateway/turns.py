"""One request of a client connection and its answer.

Apart from `http`, which knows connections and their order and nothing of what an answer takes. What is more
than an answer known at once has its own file: `prediction`, `passage`, `connect`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlengine.serving.gateway import answers

if TYPE_CHECKING:
    from mlengine.serving.gateway.http import ClientConnection


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
        # HTTP number, body, media type, further lines of the head.
        self.answer: tuple[int, bytes, bytes, bytes] | None = None

    def begin(self) -> None:
        """All earlier answers are written: from now on this turn may write."""

    def feed(self, chunk: bytes) -> None:
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
    extra: bytes = b"",
) -> Turn:
    """A turn with this answer."""
    turn = Ready(connection, close=close, http10=http10, head_only=head_only)
    turn.answer = (status, body, kind, extra)
    return turn
