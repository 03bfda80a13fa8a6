"""Many small requests in one body, answered in their order: `/batch` of `ml` and `/batch/storage/v1`."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import replace
from http import HTTPStatus
from urllib.parse import parse_qsl, urlsplit

from mlengine.errors import InvalidArgument, Problem
from mlengine.web.envelope import envelope, http_code, to_bytes
from mlengine.web.method import Call, Method, Reply
from mlengine.web.multipart import MultipartReader, Part, boundary_of
from mlengine.web.routing import Router

_MOST_CALLS = 1000
_LONGEST_CALL = 1 << 20
# The gateway answers them, and no batch passes there.
_ALONE = ("ml.projects.predict", "ml.projects.explain")


class Batch:
    """Runs the calls of a batch.

    Args:
        methods: What may be called; none of them may stream.
    """

    def __init__(self, methods: Iterable[Method]) -> None:
        self._router = Router(methods)

    def run(self, call: Call) -> Reply:
        """Answer all calls of a `multipart/mixed` body, also those after one that fails.

        Raises:
            InvalidArgument: the body cannot be read, or holds too many calls.
        """
        reader = MultipartReader(call.body, boundary_of(call.headers.get("content-type", "")))
        parts: list[Part] = []
        for part in reader.parts(_LONGEST_CALL):
            parts.append(part)
            if len(parts) > _MOST_CALLS:
                raise InvalidArgument(f"A batch may hold {_MOST_CALLS} calls.")
        reader.drain()
        boundary = f"batch_{uuid.uuid4().hex}"
        answers = [self._part(part, call, boundary) for part in parts]
        return Reply(
            content=b"".join([*answers, f"--{boundary}--\r\n".encode()]),
            media_type=f"multipart/mixed; boundary={boundary}",
        )

    def _part(self, part: Part, outer: Call, boundary: str) -> bytes:
        try:
            reply = self._answer(part, outer)
        except Problem as problem:  # what is no request has no method that could answer
            reply = Reply(content=envelope(problem), status=http_code(problem))
        content = to_bytes(reply.content) if isinstance(reply.content, dict) else b""
        if isinstance(reply.content, bytes):
            content = reply.content
        content_id = part.headers.get("content-id", "").lstrip("<")
        head = (
            f"--{boundary}\r\nContent-Type: application/http\r\n"
            + (f"Content-ID: <response-{content_id}\r\n" if content_id else "")
            + f"\r\nHTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}\r\n"
            + "".join(
                f"{name}: {value}\r\n"
                for name, value in reply.headers.items()
                if not name.lower().startswith("content-")
            )
            + (f"Content-Type: {reply.media_type}\r\n" if content else "")
            + f"Content-Length: {len(content)}\r\n\r\n"
        )
        return head.encode("latin-1") + content + b"\r\n"

    def _answer(self, part: Part, outer: Call) -> Reply:
        head, _, content = part.content.replace(b"\r\n", b"\n").partition(b"\n\n")
        line, *fields = head.decode("latin-1").split("\n")
        words = line.split(" ")
        if len(words) != 3:
            raise InvalidArgument(f"A call of the batch does not begin with a request line: '{line[:100]}'.")
        target = urlsplit(words[1])
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (text.partition(":") for text in fields)
        }
        # A call that does not say who it is from is from whoever sent the batch.
        if (authorization := outer.headers.get("authorization")) is not None:
            headers.setdefault("authorization", authorization)
        reply = self._router.answer(
            Call(
                path={},
                verb=words[0],
                target=target.path + (f"?{target.query}" if target.query else ""),
                query=dict(parse_qsl(target.query, keep_blank_values=True)),
                headers=headers,
                base_url=outer.base_url,
                body=iter((content,)),
            )
        )
        # Only a download has a length of its own, also when it is short and was read at once.
        if reply.length is not None or not isinstance(reply.content, (dict, bytes)):
            raise InvalidArgument("A batch cannot download contents.")
        return reply


def batches(methods: Iterable[Method]) -> list[Method]:
    """The rows by which all of `ml` can be called many times at once.

    Args:
        methods: The rows of `ml`, as they stand in the table.
    """
    run = Batch(_alone(method) if method.id in _ALONE else method for method in methods).run
    about = "Many calls in one request, answered in their order."
    return [
        Method(id="mlengine.batch", verb="POST", path="/batch", handler=run, summary=about),
        Method(id="mlengine.batch.ml", verb="POST", path="/batch/ml/v1", handler=run, summary=about),
    ]


def _alone(method: Method) -> Method:
    def refused(_call: Call) -> Reply:
        raise InvalidArgument(
            "Predictions cannot be made in a batch.",
            hint="Send each by itself: one request may hold many instances.",
        )

    return replace(method, handler=refused)
