"""The bytes of the answers which the gateway gives itself; apart because every kind of turn gives some."""

from __future__ import annotations

import json
from http import HTTPStatus

from mlengine.errors import Problem
from mlengine.serving.messages import ARROW, INFER, JSON_LINES, TF_SERVING
from mlengine.web.envelope import refusal

__all__ = [
    "CLOSED", "JSON", "KEPT", "KEPT_FOR_HTTP10", "TEXT", "head", "media_type", "reason", "refusal", "spoken",
]  # fmt: skip

JSON = b"application/json; charset=UTF-8"
TEXT = b"text/plain; charset=UTF-8"
# Of answers that are no errors; the other kinds answer in JSON always.
_MEDIA_TYPES = {JSON_LINES: b"application/x-ndjson", ARROW: b"application/vnd.apache.arrow.stream"}

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
_starts: dict[tuple[int, bytes], bytes] = {}


def head(
    status: int, length: int, *, kind: bytes, date: bytes, connection: bytes, extra: bytes = b""
) -> bytes:
    """The head of an answer whose body has `length` bytes of type `kind`; `extra` are whole lines."""
    start = _starts.get((status, kind)) or _start(status, kind)
    return b"%b%d\r\nDate: %b\r\n%b%b\r\n" % (start, length, date, extra, connection)


def media_type(kind: int, status: int) -> bytes:
    """In what a worker answers a request of this kind."""
    return _MEDIA_TYPES.get(kind, JSON) if status == 200 else JSON


def spoken(kind: int, problem: Problem, code: int | None = None) -> tuple[int, bytes]:
    """HTTP number and body of `problem`, in the language in which a request of this kind was asked."""
    status, body = refusal(problem, code)
    if kind in (TF_SERVING, INFER):
        body = json.dumps({"error": str(problem)}).encode()
    return status, body


def reason(status: int) -> bytes:
    """The words HTTP has for `status`, or none."""
    return _REASONS.get(status, b"")


def _start(status: int, kind: bytes) -> bytes:
    start = b"HTTP/1.1 %d %b\r\n%bContent-Type: %b\r\nContent-Length: " % (
        status,
        reason(status),
        _CURES.get(status, b""),
        kind,
    )
    _starts[status, kind] = start
    return start
