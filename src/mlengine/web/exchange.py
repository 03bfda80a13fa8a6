"""One client connection, served in a thread of its own by plain blocking calls.

Own code on httptools, because contents have to move at the speed of the disk: bytes go from the socket to
the handler without a change of threads, and files to the socket without coming through Python at all.
"""

from __future__ import annotations

import logging
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from email.utils import formatdate
from functools import cache
from http import HTTPStatus
from urllib.parse import parse_qsl

import httptools

from mlengine.errors import InvalidArgument, Problem
from mlengine.web.bodies import Body, ChunkedBody, MeasuredBody, NoBody, Wire
from mlengine.web.envelope import refusal, to_bytes
from mlengine.web.heads import LARGEST_HEAD, KnownHeads, Request, head_too_large, understand
from mlengine.web.hosts import HostRule, foreign_page, wrong_host
from mlengine.web.method import Call, Disconnected, Reply

_LOG = logging.getLogger(__name__)
HEAD_SECONDS = 30
BODY_SECONDS = 60
IDLE_SECONDS = 300
LINGER_SECONDS = 5.0
_READ = 64 * 1024
_AT_ONCE = 256 * 1024  # bytes of a file that are sent together with the head
_MORE = getattr(socket, "MSG_MORE", 0)  # tells Linux that the body follows the head at once
_STARTS = {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status.value, status.phrase.encode()) for status in HTTPStatus
}

Answering = Callable[[Call], Reply]


class Exchange:
    """Requests of one connection and their answers, one after the other.

    Args:
        connection: Is closed at the end.
        answer: What answers; the only thing it raises is `Disconnected`.
        ahead: What was read of the connection before.
        hosts: Which names are answered; None where somebody else has looked.
        keeps: Whether a head begins a request for us; None if all do.
        give_back: Gets the connection, with what was read of it, when one does not.
        patient: Whether the other side is one of us, which may be silent for as long as it likes.
    """

    def __init__(
        self,
        connection: socket.socket,
        answer: Answering,
        *,
        ahead: bytes = b"",
        hosts: HostRule | None = None,
        keeps: Callable[[bytes], bool] | None = None,
        give_back: Callable[[socket.socket, bytes], None] | None = None,
        patient: bool = False,
    ) -> None:
        self.idle = False
        self._connection = connection
        self._wire = Wire(connection, ahead)
        self._answer = answer
        self._hosts = hosts
        self._keeps = keeps
        self._give_back = give_back
        self._patient = patient
        self._leaving = False
        self._known = KnownHeads()

    def run(self) -> None:
        """Serve until one of the two sides leaves."""
        try:
            self._connection.setblocking(True)
            _set_timeout(self._connection, socket.SO_SNDTIMEO, IDLE_SECONDS)
            if self._connection.family != socket.AF_UNIX:
                self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while (head := self._head()) is not None:
                if self._keeps and self._give_back and not self._keeps(head):
                    self._give_back(self._connection, head + self._wire.ahead)
                    return
                if not self._turn(head):
                    return
        except (Disconnected, OSError):
            return  # the client has left; nobody is there to be told
        except Exception:
            _LOG.exception("An answer broke off; its client sees a connection that ends too early.")
        finally:
            self._connection.close()

    def leave(self) -> None:
        """End after the request that is being answered, if there is one. Called from another thread."""
        self._leaving = True
        if self.idle:
            self.cut()

    def drop(self) -> None:
        """Close a connection that nobody serves."""
        self._connection.close()

    def cut(self) -> None:
        """End at once. Called from another thread."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    # A request.

    def _head(self) -> bytes | None:
        """The next head, up to and with its blank line; None if the client has left or is to leave."""
        self.idle = True
        try:
            if self._leaving:
                return None
            return self._read_head()
        finally:
            self.idle = False

    def _read_head(self) -> bytes | None:
        data = self._wire.ahead.lstrip(b"\r\n")
        began = 0.0
        looked = 0
        while (end := data.find(b"\r\n\r\n", max(0, looked - 3))) < 0:
            if len(data) > LARGEST_HEAD:
                self._refuse(head_too_large(), 431)
                return None
            if data and not began:
                began = time.monotonic()
            if not self._patient:
                if began and time.monotonic() - began > HEAD_SECONDS:
                    self._too_slow()
                    return None
                _set_timeout(self._connection, socket.SO_RCVTIMEO, HEAD_SECONDS if began else IDLE_SECONDS)
            looked = len(data)
            try:
                more = self._connection.recv(_READ)
            except BlockingIOError:  # what a timeout in the kernel is called
                if data:
                    self._too_slow()
                return None
            if not more:
                return None
            data = data + more if data else more.lstrip(b"\r\n")
        self._wire.ahead = data[end + 4 :]
        return data[: end + 4]

    def _turn(self, head: bytes) -> bool:
        """Answer the request; whether the connection goes on."""
        parsing = None
        request = self._known.recall(head)
        if request is None:
            parsing = _Parsing()
            try:
                parsing.feed(head)
            except httptools.HttpParserUpgrade:
                pass  # we speak no other protocol, which the client learns by an ordinary answer
            except httptools.HttpParserError as error:
                return self._refuse(InvalidArgument(f"The request is not HTTP/1.1: {error}."))
            found = understand(parsing.parser, parsing.target, parsing.headers, arrived=len(head))
            if not isinstance(found, Request):
                return self._send_refusal(*found)
            request = found
            self._known.remember(head, request)
        if self._hosts is not None and not self._hosts.allows(request.host):
            return self._refuse(wrong_host(request.host))
        if self._keeps is not None and (foreign := foreign_page(request)):
            return self._refuse(foreign)
        if request.has_body and not self._patient:
            _set_timeout(self._connection, socket.SO_RCVTIMEO, BODY_SECONDS)
        body = self._body(request, parsing) if parsing else NoBody()
        reply = self._answer(_call(request, body))
        goes_on = self._send(request, reply, close=request.close or self._leaving)
        return self._drained(request, body) and goes_on

    def _body(self, request: Request, parsing: _Parsing) -> Body:
        if request.chunked:
            parsing.body = ChunkedBody(self._wire, parsing.feed, expected=request.expects_continue)
            return parsing.body
        if request.length:
            return MeasuredBody(self._wire, request.length, expected=request.expects_continue)
        return NoBody()

    def _drained(self, request: Request, body: Body) -> bool:
        """Whether the next request can be found: the rest of this one's body is read away."""
        if isinstance(body, ChunkedBody) and body.followed:
            return False
        if body.complete:
            return True
        if request.expects_continue:
            return False  # whether the body still comes is the client's choice
        until = time.monotonic() + LINGER_SECONDS
        with suppress(Problem):
            for _ in body:
                if time.monotonic() > until:
                    break
        return body.complete

    def _refuse(self, problem: Problem, code: int | None = None) -> bool:
        return self._send_refusal(*refusal(problem, code))

    def _send_refusal(self, status: int, content: bytes) -> bool:
        fields = b"Content-Type: application/json; charset=UTF-8\r\nConnection: close\r\n"
        head = _STARTS[status] + _date() + fields + b"Content-Length: %d\r\n\r\n" % len(content)
        self._connection.sendall(head + content)
        # Bytes that reach a closed socket reset the connection and take our answer with them.
        self._connection.shutdown(socket.SHUT_WR)
        _set_timeout(self._connection, socket.SO_RCVTIMEO, 1)
        until = time.monotonic() + LINGER_SECONDS
        with suppress(OSError):
            while time.monotonic() < until and self._connection.recv(_READ):
                pass
        return False

    def _too_slow(self) -> None:
        problem = InvalidArgument(f"The head of the request did not arrive within {HEAD_SECONDS} s.")
        self._refuse(problem, 408)

    # An answer.

    def _send(self, request: Request, reply: Reply, *, close: bool) -> bool:
        """Send the answer; whether the connection can go on."""
        headers = {"content-type": reply.media_type, **reply.headers}
        content, length = reply.content, reply.length
        if reply.status in (204, 304):  # which have no content, whatever the error envelope would say
            _close(content)
            content, length = b"", None
            headers = dict(reply.headers)
        elif isinstance(content, dict):
            content = to_bytes(content)
        chunked = False
        if isinstance(content, bytes):
            if reply.status not in (204, 304):
                headers.setdefault("content-length", str(len(content)))
                if not content and "content-type" not in reply.headers:
                    del headers["content-type"]
        elif length is not None:
            headers["content-length"] = str(length)
        elif request.http10:
            close = True
        else:
            chunked = True
            headers["transfer-encoding"] = "chunked"
        if close:
            headers["connection"] = "close"
        elif request.http10:
            headers["connection"] = "keep-alive"
        head = _head_of(reply.status, headers)
        if request.method == b"HEAD":
            _close(content)
            self._connection.sendall(head)
        elif isinstance(content, bytes):
            self._send_all(head, content)
        else:
            self._stream(head, content, length, chunked=chunked)
        return not close

    def _stream(self, head: bytes, content: Iterator[bytes], length: int | None, *, chunked: bool) -> None:
        try:
            if length is not None and (descriptor := getattr(content, "descriptor", -1)) >= 0:
                self._send_file(head, descriptor, length)
                return
            self._connection.sendall(head, _MORE)
            for piece in content:
                if chunked:
                    self._send_all(b"%x\r\n" % len(piece), piece + b"\r\n") if piece else None
                else:
                    self._connection.sendall(piece)
                    length = (length or 0) - len(piece)
            if chunked:
                self._connection.sendall(b"0\r\n\r\n")
            elif length:
                raise Disconnected  # fewer bytes than were promised: it must not look complete
        finally:
            _close(content)

    def _send_file(self, head: bytes, descriptor: int, length: int) -> None:
        position = os.lseek(descriptor, 0, os.SEEK_CUR)
        if length <= _AT_ONCE:
            content = os.pread(descriptor, length, position)
            self._send_all(head, content)
            if len(content) < length:
                raise Disconnected
            return
        self._connection.sendall(head, _MORE)
        out = self._connection.fileno()
        while length:
            sent = os.sendfile(out, descriptor, position, length)
            if not sent:
                raise Disconnected  # the file is shorter than its row says
            position += sent
            length -= sent

    def _send_all(self, head: bytes, content: bytes) -> None:
        if len(content) <= _READ:
            self._connection.sendall(head + content)
            return
        sent = self._connection.sendmsg((head, content))
        if sent < len(head):
            self._connection.sendall(head[sent:])
            sent = len(head)
        if sent < len(head) + len(content):
            self._connection.sendall(memoryview(content)[sent - len(head) :])


class _Parsing:
    """A parser and what it found."""

    def __init__(self) -> None:
        self.target = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.body: ChunkedBody | None = None
        self.parser = httptools.HttpRequestParser(self)
        # Both lengths in one request: llhttp then lets chunked win, and we close after the answer.
        self.parser.set_dangerous_leniencies(lenient_chunked_length=True)
        self._begun = False
        self._in_head = True

    def feed(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_begin(self) -> None:
        if self._begun and self.body is not None:
            self.body.followed = True
        self._begun = True

    def on_url(self, piece: bytes) -> None:
        if self._in_head:
            self.target += piece

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # afterwards they are trailers, which may be left out
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._in_head = False

    def on_body(self, piece: bytes) -> None:
        if self.body is not None and not self.body.complete:
            self.body.add(piece)

    def on_message_complete(self) -> None:
        if self.body is not None:
            self.body.complete = True


def _call(request: Request, body: Body) -> Call:
    target = request.target.decode("latin-1")
    path, _, query = target.partition("?")
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.fields.items()}
    host = headers.get("host", "localhost")
    return Call(
        path={},
        verb=request.method.decode("latin-1"),
        target=f"{path}?{query}" if query else path,
        query=_query(query),
        headers=headers,
        base_url=f"{headers.get('x-forwarded-proto', 'http')}://{host}",
        body=body,
    )


def _query(text: str) -> dict[str, str]:
    if "%" in text or "+" in text:
        return dict(parse_qsl(text, keep_blank_values=True))
    # Most have nothing encoded, and are read in a fraction of the time.
    return dict(pair.partition("=")[::2] for pair in text.split("&") if pair)


def _head_of(status: int, headers: dict[str, str]) -> bytes:
    start = _STARTS.get(status) or b"HTTP/1.1 %d \r\n" % status
    lines = "".join(f"{_spelled(name)}: {value}\r\n" for name, value in headers.items())
    return start + _date() + lines.encode("latin-1") + b"\r\n"


@cache
def _spelled(name: str) -> str:
    """A field's name as it is usually written: TensorFlow looks for `Location`, finds no `location`."""
    if name.startswith("x-"):
        return name
    return "ETag" if name == "etag" else name.title()


_dates: dict[int, bytes] = {}


def _date() -> bytes:
    now = int(time.time())
    line = _dates.get(now)
    if line is None:
        line = f"Date: {formatdate(now, usegmt=True)}\r\n".encode()
        _dates.clear()
        _dates[now] = line
    return line


def _close(content: object) -> None:
    close = getattr(content, "close", None)
    if close is not None:
        close()


def _set_timeout(connection: socket.socket, which: int, seconds: int) -> None:
    """In the kernel: Python's own timeouts would ask before every call whether it can go on."""
    connection.setsockopt(socket.SOL_SOCKET, which, struct.pack("@ll", seconds, 0))
