"""What `--log-http` shows: requests and answers in words, the caller's token left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping

_MOST = 65536
_SECRET = ("authorization", "proxy-authorization")


def request_text(verb: str, url: str, headers: Mapping[str, str], body: object) -> str:
    """A request as it is sent."""
    return "\n".join(
        (
            "=======================",
            "==== request start ====",
            f"uri: {url}",
            f"method: {verb}",
            "== headers start ==",
            *_headers(headers),
            "== headers end ==",
            "== body start ==",
            _body(body),
            "== body end ==",
            "==== request end ====",
        )
    )


def response_text(status: int, headers: Mapping[str, str], seconds: float) -> str:
    """An answer before its body is read."""
    return "\n".join(
        (
            "---- response start ----",
            f"status: {status}",
            "-- headers start --",
            *_headers(headers),
            "-- headers end --",
            f"round trip time: {seconds:.3f} secs",
            "---- response end ----",
        )
    )


def show_body(log: Callable[[str], None] | None, content: bytes) -> None:
    """Show an answer's body to whoever wants to see it."""
    if log:
        log(f"-- body start --\n{_body(content)}\n-- body end --")


def _headers(headers: Mapping[str, str]) -> list[str]:
    return [
        f"{name.lower()}: {'--- Token Redacted ---' if name.lower() in _SECRET else value}"
        for name, value in sorted(headers.items())
    ]


def _body(body: object) -> str:
    if body is None:
        return ""
    if not isinstance(body, bytes):
        return "(sent in pieces)"
    try:
        text = body[:_MOST].decode()
    except UnicodeDecodeError:
        return f"({len(body)} bytes)"
    return text + ("" if len(body) <= _MOST else f"… ({len(body)} bytes)")
