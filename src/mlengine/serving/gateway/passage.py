"""A request passed to the control plane and its answer passed back, as they come.

Apart from `turns` because bytes stream both ways here and nothing is kept. Heads are written anew from what
the parser understood and bodies are framed anew, so that the control plane never reads other boundaries than
ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlengine.errors import Unavailable
from mlengine.serving.gateway import answers
from mlengine.serving.gateway.turns import Turn
from mlengine.web.heads import Request

if TYPE_CHECKING:
    from mlengine.serving.gateway.http import ClientConnection
    from mlengine.serving.gateway.upstream import ControlLine

# What a request may send ahead while its connection to the control plane is being made.
MOST_AHEAD = 64 * 1024

# They speak of one connection, and the two sides of the gateway are two.
_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade")
)
_SAFE = frozenset((b"GET", b"HEAD", b"OPTIONS"))


class Passage(Turn):
    """A request for the control plane."""

    __slots__ = (
        "_ahead", "_body_sent", "_chunked", "_continued", "_done", "_ended", "_expects", "_framing", "_head",
        "_line", "_method", "_retried",
    )  # fmt: skip

    def __init__(self, connection: ClientConnection, request: Request) -> None:
        head_only = request.method == b"HEAD"
        super().__init__(connection, close=request.close, http10=request.http10, head_only=head_only)
        self._method = request.method
        self._chunked = request.chunked
        self._expects = request.has_body and request.expects_continue
        self._continued = False
        self._head: bytes = _request_head(request, connection.client_address, connection.entrance.scheme)
        self._ahead: list[bytes] = []
        self._line: ControlLine | None = None
        self._body_sent = False
        self._ended = False
        self._retried = False
        self._done = False
        # How the answer's body goes to the client; None until the answer's head was passed on.
        self._framing: bytes | None = None

    # From the client.

    def begin(self) -> None:
        self.connection.door.control.attach(self)

    def feed(self, chunk: bytes) -> None:
        if self._done:
            return
        pieces = (b"%x\r\n" % len(chunk), chunk, b"\r\n") if self._chunked else (chunk,)
        if self._line is None:
            self._ahead.extend(pieces)
        else:
            self._body_sent = True
            self._line.write(pieces)

    def end(self) -> None:
        self._ended = True
        if self._chunked and not self._done:
            if self._line is None:
                self._ahead.append(b"0\r\n\r\n")
            else:
                self._line.write((b"0\r\n\r\n",))

    def fail(self, status: int, body: bytes) -> None:
        self._drop_line()
        if self._done:
            return
        self._done = True
        self.close = self.close or not self._ended
        if self._framing is None:
            self.connection.settle(self, status, body)
        else:
            self.connection.cut()

    def gone(self) -> None:
        self._done = True
        self._ahead.clear()
        self._drop_line()

    def choke(self) -> None:
        if self._line is not None:
            self._line.pause()

    def relieve(self) -> None:
        if self._line is not None:
            self._line.resume()

    def overfull(self) -> bool:
        if self._done:
            return False
        if self._line is None:
            return sum(map(len, self._ahead)) > MOST_AHEAD
        return self._line.choked

    # From the pool.

    def wanted(self) -> bool:
        """Whether a connection would still be of use."""
        return not self._done

    def attached(self, line: ControlLine) -> None:
        """Here is the connection: send what has come so far."""
        self._line = line
        if self.connection.choked:
            line.pause()
        self._body_sent = bool(self._ahead)
        line.write((self._head, *self._ahead))
        self._ahead.clear()
        self.connection.steer()

    def no_control_plane(self, seconds: float) -> None:
        """Nobody took the connection within the time a start may take."""
        problem = Unavailable(
            f"The control plane did not come up within {seconds:g} s; predictions are answered meanwhile.",
            hint="Send the request again in a moment; the server's output tells why it does not start.",
        )
        self.fail(*answers.refusal(problem))

    # From the line.

    def steer(self) -> None:
        """The control plane takes more, or no more, for now."""
        self.connection.steer()

    def interim(self, status: int, phrase: bytes, headers: list[tuple[bytes, bytes]]) -> None:
        """An answer before the answer (100 Continue, 103 Early Hints)."""
        if status == 100:
            self._continued = True
        if not self.http10:
            lines = [b"HTTP/1.1 %d %b\r\n" % (status, phrase or answers.reason(status))]
            lines += [b"%b: %b\r\n" % header for header in headers if header[0].lower() not in _HOP]
            self.connection.write(b"".join((*lines, b"\r\n")))

    def answer_head(
        self,
        status: int,
        phrase: bytes,
        headers: list[tuple[bytes, bytes]],
        *,
        chunked: bool,
        measured: bool,
    ) -> None:
        """The head of the answer.

        Args:
            status: Its HTTP number.
            phrase: The words behind the number.
            headers: As they came.
            chunked: The control plane sends the body in chunks.
            measured: The head alone tells where the body ends: a length, or no body at all.
        """
        if self._expects and not self._continued and not self._ended:
            # Whether the body still comes is the client's choice, so the next request could not be found.
            self.close = True
        dropped = _HOP | _named_by_connection(headers)
        if chunked:
            dropped |= {b"content-length"}
        lines = [b"HTTP/1.1 %d %b\r\n" % (status, phrase)]
        lines += [
            b"%b: %b\r\n" % (_spelled(name), value) for name, value in headers if name.lower() not in dropped
        ]
        self._framing = b"measured"
        if not measured:
            if self.http10:
                self._framing = b"end"
                self.close = True
            else:
                self._framing = b"chunked"
        if self._framing == b"chunked":
            lines.append(b"Transfer-Encoding: chunked\r\n")
        lines.append(self.connection.persistence(self))
        self.connection.write(b"".join((*lines, b"\r\n")))

    def answer_body(self, chunk: bytes) -> None:
        """A piece of the answer's body."""
        if self._framing == b"chunked":
            self.connection.write_pieces((b"%x\r\n" % len(chunk), chunk, b"\r\n"))
        else:
            self.connection.write(chunk)

    def answer_end(self, *, reusable: bool) -> None:
        """The answer is complete."""
        line, self._line = self._line, None
        if line is not None:
            if reusable and self._ended:
                self.connection.door.control.release(line)
            else:
                line.close()
        self._done = True
        if self._framing == b"chunked":
            self.connection.write(b"0\r\n\r\n")
        self.connection.finish(self)

    def line_lost(self, *, reused: bool, answered: bool) -> None:
        """The connection ended before the answer did."""
        self._line = None
        untouched = self._method in _SAFE or (not self._ended and not self._body_sent)
        if reused and not answered and not self._retried and not self._body_sent and untouched:
            # It had been closed while it rested. Unsafe methods without a body are not tried again: whether
            # the control plane had begun cannot be told.
            self._retried = True
            self.connection.door.control.attach(self, fresh=True)
            return
        problem = Unavailable(
            "The control plane ended while it handled this request, and is being restarted.",
            hint="Look whether the request took effect before sending it again.",
        )
        self.fail(*answers.refusal(problem))

    def _drop_line(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            line.close()


def _request_head(request: Request, client_address: bytes, scheme: bytes) -> bytes:
    fields = request.fields
    dropped = _HOP | _named_by_connection(request.headers) | {b"x-forwarded-for", b"host"}
    if request.chunked:
        dropped |= {b"content-length"}
    lines = [b"%b %b HTTP/1.1\r\n" % (request.method, request.target), b"Host: %b\r\n" % request.host]
    lines += [b"%b: %b\r\n" % header for header in request.headers if header[0].lower() not in dropped]
    if request.chunked:
        lines.append(b"Transfer-Encoding: chunked\r\n")
    before = fields.get(b"x-forwarded-for")
    lines.append(b"X-Forwarded-For: %b\r\n" % (before + b", " + client_address if before else client_address))
    # A proxy in front of us knows better than we under which name and scheme the client sees the server.
    if b"x-forwarded-host" not in fields:
        lines.append(b"X-Forwarded-Host: %b\r\n" % request.host)
    if b"x-forwarded-proto" not in fields:
        lines.append(b"X-Forwarded-Proto: %b\r\n" % scheme)
    return b"".join((*lines, b"\r\n"))


def _spelled(name: bytes) -> bytes:
    """A field's name as it is usually written: TensorFlow looks for `Location`, finds no `location`."""
    if name.startswith(b"x-") or not name.islower():
        return name
    return b"ETag" if name == b"etag" else name.title()


def _named_by_connection(headers: list[tuple[bytes, bytes]]) -> frozenset[bytes]:
    """Further headers which the sender calls hop-by-hop; never those that carry meaning for everyone."""
    named = {
        part.strip().lower()
        for name, value in headers
        if name.lower() == b"connection"
        for part in value.split(b",")
    }
    return frozenset(named - {b"content-length", b"host", b"authorization", b"close"})
