"""A browser's request passed to TensorBoard and its answer passed back; apart from those who start them."""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterator

from mlengine.administration.domain import Board
from mlengine.errors import Unavailable
from mlengine.web.method import Call, Reply

# What TensorBoard has use for. Credentials are not among it: the path alone opens.
_ASKED = (
    "accept",
    "accept-encoding",
    "accept-language",
    "content-type",
    "if-modified-since",
    "if-none-match",
    "x-xsrf-protected",
    "x-tensorboard-feature-flags",
)
_ANSWERED = ("cache-control", "content-encoding", "etag", "expires", "last-modified", "vary")
_LONGEST_BODY = 16 << 20
_ANSWER_SECONDS = 300
_PIECE = 64 * 1024
_SOURCE = re.compile(r"[\w.:\[\]-]+", re.ASCII)
_ELSEWHERE = re.compile(r" https?://[^\s;]+")


def pass_on(call: Call, board: Board) -> Reply:
    """What TensorBoard answers.

    Raises:
        Unavailable: it has ended, or is not to be reached.
    """
    body = call.read(limit=_LONGEST_BODY) if call.verb == "POST" else None
    headers = {name: call.headers[name] for name in _ASKED if name in call.headers}
    is_home = call.target.partition("?")[0].endswith("/")
    if is_home:
        headers.pop("accept-encoding", None)  # it is read here
    line = http.client.HTTPConnection("127.0.0.1", board.port, timeout=_ANSWER_SECONDS)
    try:
        line.request(call.verb, call.target, body=body, headers=headers)
        answer = line.getresponse()
    except (OSError, http.client.HTTPException) as error:
        line.close()
        raise Unavailable(
            f"TensorBoard does not answer: {error}.", hint="Open it once more from the page of the job."
        ) from error
    kept = {name: value for name, value in answer.headers.items() if name.lower() in _ANSWERED}
    where = answer.headers.get("Location", "")
    if where.startswith(f"/tensorboard/{board.secret}/"):
        kept["Location"] = where
    pieces = _Pieces(line, answer)
    # Its fonts are the one thing that it does not look for below its own path.
    content = b"".join(pieces).replace(b"url(/font-", b"url(font-") if is_home else pieces
    return Reply(
        status=answer.status,
        content=content,
        length=None if is_home else answer.length,
        media_type=answer.headers.get("Content-Type", "application/octet-stream"),
        headers=kept
        | {
            "Content-Security-Policy": policy(answer.headers.get("Content-Security-Policy", ""), call, board),
            "X-Content-Type-Options": "nosniff",
            # The path is the secret.
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Opener-Policy": "same-origin",
        },
    )


def policy(own: str, call: Call, board: Board) -> str:
    """TensorBoard's own content security policy, narrowed to its path: it shows what anybody wrote into a
    bucket, and must not reach the rest of the server in the reader's name.
    """
    host = call.base_url.partition("://")[2]
    if not own or not _SOURCE.fullmatch(host):
        return "default-src 'none'; frame-ancestors 'self'"
    narrowed = _ELSEWHERE.sub("", own).replace("'self'", f"{host}/tensorboard/{board.secret}/")
    return f"{narrowed};base-uri 'none';form-action 'none';frame-ancestors 'self'"


class _Pieces(Iterator[bytes]):
    """The body of an answer, as it comes."""

    def __init__(self, line: http.client.HTTPConnection, answer: http.client.HTTPResponse) -> None:
        self._line = line
        self._answer = answer

    def __next__(self) -> bytes:
        piece = self._answer.read1(_PIECE)
        if not piece:
            self.close()
            raise StopIteration
        return piece

    def close(self) -> None:
        self._line.close()
