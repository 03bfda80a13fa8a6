"""What the head of a request means: where its body ends, whom it is for, whether the connection outlives it.

Apart from `http` because these are the rules of RFC 9112, one by one, and nothing here waits or remembers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import httptools

from mlengine.errors import InvalidArgument, Problem
from mlengine.web.envelope import refusal

LARGEST_HEAD = 64 * 1024
_PLAIN_LINE = re.compile(rb"(GET|HEAD|DELETE) (/[!-~]*) HTTP/1\.1")
_NOT_PLAIN = frozenset((b"content-length", b"transfer-encoding", b"connection", b"upgrade", b"expect"))
_LONGEST_KNOWN = 4096
_MOST_KNOWN = 8


@dataclass(slots=True, kw_only=True)
class Request:
    """The head of a request, understood.

    `length` is the body's length where the head tells it; `chunked` says that the body itself will. With
    neither there is no body. `close`: the connection ends with this request's answer. `headers` are all that
    came, as they came; `fields` the same by lower-case name, the last one of each. The `host` of a CONNECT is
    its target.
    """

    method: bytes
    target: bytes
    headers: list[tuple[bytes, bytes]]
    fields: dict[bytes, bytes]
    host: bytes
    length: int | None
    chunked: bool
    close: bool
    http10: bool
    # The length alone ends the body, although the parser was told something else.
    by_length_only: bool

    @property
    def expects_continue(self) -> bool:
        """Whether the client waits for a word before it sends the body."""
        return (
            b"expect" in self.fields and self.fields[b"expect"].lower() == b"100-continue" and not self.http10
        )

    @property
    def has_body(self) -> bool:
        """Whether bytes follow the head."""
        return self.chunked or bool(self.length)


def understand(
    parser: httptools.HttpRequestParser, target: bytes, headers: list[tuple[bytes, bytes]], *, arrived: int
) -> Request | tuple[int, bytes]:
    """The head the parser has just read, or the answer to one that cannot be served.

    Args:
        parser: For what it alone knows: method, version, whether the connection may be kept.
        target: What stood behind the method.
        headers: All of them, as they came.
        arrived: Bytes in which the head came, at most; with something else around it, perhaps.
    """
    # Adding up is left out for the usual head, which came whole in a small piece.
    if arrived > LARGEST_HEAD and _size(target, headers) > LARGEST_HEAD:
        return refusal(head_too_large(), 431)
    version = parser.get_http_version()
    if version not in ("1.1", "1.0"):
        return refusal(InvalidArgument(f"HTTP/{version} is not spoken here, HTTP/1.1 is."), 505)
    method = parser.get_method()
    fields = {name.lower(): value for name, value in headers}
    host = fields.get(b"host")
    coding = fields.get(b"transfer-encoding")
    if len(fields) != len(headers):
        if sum(name.lower() == b"host" for name, _ in headers) > 1:
            return refusal(InvalidArgument("The request has more than one Host header."))
        if coding is not None:
            coding = b", ".join(value for name, value in headers if name.lower() == b"transfer-encoding")
    if method == b"CONNECT":
        host = target
    elif target[:1] != b"/" and target != b"*":
        scheme, _, rest = target.partition(b"://")
        if scheme.lower() not in (b"http", b"https") or not rest:
            return refusal(InvalidArgument("The request's target is neither a path nor a URL."))
        host, slash, path = rest.partition(b"/")
        target = slash + path or b"/"
    if host is None:
        if version == "1.1":
            return refusal(InvalidArgument("The request has no Host header."))
        # No browser leaves it out, so nothing can be rebound.
        host = b"localhost"
    length = int(fields[b"content-length"]) if b"content-length" in fields else None
    close = not parser.should_keep_alive()
    chunked = by_length_only = False
    if coding is not None:
        close = close or length is not None
        coding = coding.strip().lower()
        if coding == b"identity":
            # A word of HTTP/1.0's time which TensorFlow still sends: the length alone counts.
            close = True
            by_length_only = True
            headers = [header for header in headers if header[0].lower() != b"transfer-encoding"]
        elif coding == b"chunked" and version == "1.1":
            chunked, length = True, None
        else:
            return refusal(_wrong_coding(coding), 501)
    return Request(
        method=method,
        target=target,
        headers=headers,
        fields=fields,
        host=host,
        length=length,
        chunked=chunked,
        close=close,
        http10=version == "1.0",
        by_length_only=by_length_only,
    )


class KnownHeads:
    """Heads of requests without a body, told from earlier ones that differ in method and target alone.

    A client sends the same fields with every request, and reading them takes longer than all the rest of a
    small download. Not safe for several threads at once: one per connection.
    """

    def __init__(self) -> None:
        self._requests: dict[bytes, Request] = {}

    def recall(self, head: bytes) -> Request | None:
        """The request, if its fields were seen before."""
        line, _, fields = head.partition(b"\r\n")
        known = self._requests.get(fields)
        if known is None or (match := _PLAIN_LINE.fullmatch(line)) is None:
            return None
        return _with_line(known, *match.groups())

    def remember(self, head: bytes, request: Request) -> None:
        """Know its fields again, if they say nothing about a body or the connection."""
        line, _, fields = head.partition(b"\r\n")
        plain = _PLAIN_LINE.fullmatch(line) and not (request.has_body or request.close or request.http10)
        if plain and not (_NOT_PLAIN & request.fields.keys()) and len(fields) < _LONGEST_KNOWN:
            if len(self._requests) >= _MOST_KNOWN:
                self._requests.clear()
            self._requests[fields] = request


def _with_line(request: Request, method: bytes, target: bytes) -> Request:
    """A request with the same fields."""
    return Request(
        method=method,
        target=target,
        headers=request.headers,
        fields=request.fields,
        host=request.host,
        length=request.length,
        chunked=False,
        close=False,
        http10=False,
        by_length_only=False,
    )


def says_close(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether the client itself announces that it sends no further request."""
    return any(name.lower() == b"connection" and b"close" in value.lower() for name, value in headers)


def without_upgrade(
    parser: httptools.HttpRequestParser, target: bytes, headers: list[tuple[bytes, bytes]]
) -> bytes:
    """The head as it would be had the client not offered another protocol (Java's does for every request)."""
    lines = [b"%b %b HTTP/%b\r\n" % (parser.get_method(), target, parser.get_http_version().encode())]
    for name, value in headers:
        if name.lower() == b"connection":
            value = b",".join(part for part in value.split(b",") if part.strip().lower() != b"upgrade")
        if name.lower() != b"upgrade":
            lines.append(b"%b: %b\r\n" % (name, value))
    return b"".join((*lines, b"\r\n"))


def head_too_large() -> Problem:
    """What a client hears about a head over the limit."""
    return InvalidArgument(f"The request's path and headers are larger than {LARGEST_HEAD} bytes.")


def _size(target: bytes, headers: list[tuple[bytes, bytes]]) -> int:
    return len(target) + sum(len(name) + len(value) + 4 for name, value in headers)


def _wrong_coding(coding: bytes) -> Problem:
    return InvalidArgument(f"Transfer-Encoding '{coding.decode('latin-1')}' is not known here; 'chunked' is.")
