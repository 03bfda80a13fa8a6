"""The bytes of the answers which the gateway gives itself; apart because every kind of turn gives some."""

from __future__ import annotations

from http import HTTPStatus

from mlengine.web.envelope import refusal

__all__ = ["CLOSED", "JSON", "KEPT", "KEPT_FOR_HTTP10", "TEXT", "head", "reason", "refusal"]

JSON = b"application/json; charset=UTF-8"
TEXT = b"text/plain; charset=UTF-8"

# What a client is told about the connection: nothing needs saying when HTTP/1.1 keeps it.
KEPT = b""
KEPT_FOR_HTTP10 = b"Connection: keep-alive\r\n"
CLOSED = b"Connection: close\r\n"

# A refusal that a second try may get past says when to try, or with what.
_CURES = {
    401: b'WWW-Authenticate: Bearer realm="mlengine"\r\n',
    407: b'Proxy-Authenticate: Basic realm="jobs of mlengine"\r\n',
    429: b"Retry-After: 1\r\n",
    503: b"Retry-After: 1\r\n",
}
_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}
_starts: dict[int, bytes] = {}


def head(status: int, length: int, *, kind: bytes, date: bytes, connection: bytes) -> bytes:
    """The head of an answer whose body has `length` bytes of the media type `kind`."""
    return b"%bContent-Type: %b\r\nContent-Length: %d\r\nDate: %b\r\n%b\r\n" % (
        _starts.get(status) or _start(status),
        kind,
        length,
        date,
        connection,
    )


def reason(status: int) -> bytes:
    """The words HTTP has for `status`, or none."""
    return _REASONS.get(status, b"")


def _start(status: int) -> bytes:
    start = b"HTTP/1.1 %d %b\r\n%b" % (status, reason(status), _CURES.get(status, b""))
    _starts[status] = start
    return start
