"""From the method table to an ASGI application.

Our own small matcher, because Google's paths carry `:verbs` and percent-encoded slashes that a
general router decodes too early.
"""

from __future__ import annotations

import asyncio
import logging
import re
import threading
import traceback
import uuid
from collections.abc import Iterable
from dataclasses import replace
from urllib.parse import parse_qsl, unquote

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from mlengine.errors import Internal, NotFound, Problem, nearest
from mlengine.web.envelope import envelope, http_code, to_bytes
from mlengine.web.method import Call, Method, Reply

_LOG = logging.getLogger(__name__)
_VARIABLE = re.compile(r"\{(\w+)([+*]?)\}")
_VALUES = {"": r"[^/:]+", "+": r"[^/]+", "*": r".+"}
_AT_ONCE = 1 << 20  # bytes of a request that are read ahead, or of an answer that is sent as a whole


class Router:
    """Finds the method of a request and runs its handler in a thread.

    Args:
        methods: The whole table. Paths are tried from the most literal to the least, so that
            `jobs/{job}:cancel` wins over `jobs/{job}`.
    """

    def __init__(self, methods: Iterable[Method]) -> None:
        self.methods = tuple(sorted(methods, key=_specificity))
        self._patterns = [(_compile(method.path), method) for method in self.methods]

    def find(self, verb: str, path: str) -> tuple[Method, dict[str, str]]:
        """The method for `verb` and the still encoded `path`, and the decoded path variables.

        Raises:
            NotFound: no method has such a path; or there are methods, but for other verbs.
        """
        verbs: list[str] = []
        for pattern, method in self._patterns:
            if not (match := pattern.fullmatch(path)):
                continue
            if method.verb == verb:
                variables = {key: unquote(value) for key, value in match.groupdict().items()}
                # No name of ours has a NUL, and no database can even be asked for one.
                if any("\0" in value for value in variables.values()):
                    break
                return method, variables
            verbs.append(method.verb)
        if verbs:
            raise NotFound(f"{verb} is no verb of {path}.", hint=f"Use {' or '.join(sorted(set(verbs)))}.")
        literals = sorted({_VARIABLE.sub("NAME", method.path) for method in self.methods})
        raise NotFound(f"There is nothing at {path}.", hint=nearest(path, literals))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"{scope['type']} is not served here")
        request = Request(scope, receive)
        raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
        response = await _answer(self, request, raw_path.decode("latin-1"))
        try:
            await response(scope, receive, send)
        except ClientDisconnect:
            return


async def _answer(router: Router, request: Request, path: str) -> ASGIApp:
    body = _Body(request)
    try:
        method, variables = router.find(request.method, path.partition("?")[0])
        headers = {key.lower(): value for key, value in request.headers.items()}
        query = request.scope["query_string"].decode("latin-1")
        call = Call(
            path=variables,
            verb=request.method,
            target=path.partition("?")[0] + (f"?{query}" if query else ""),
            query=dict(parse_qsl(query, keep_blank_values=True)),
            headers=headers,
            base_url=f"{headers.get('x-forwarded-proto', 'http')}://{headers.get('host', 'localhost')}",
            body=body,
        )
        body.read_ahead()
        return _response(await run_in_threadpool(_handled, method, call))
    except Problem as problem:
        return _response(Reply(content=envelope(problem), status=http_code(problem)))
    except ClientDisconnect:
        return Response(status_code=499)
    except Exception:
        # The traceback stays here; the caller gets the number that finds it.
        number = uuid.uuid4().hex[:12]
        _LOG.error(
            "Request %s %s failed, number %s\n%s", request.method, path, number, traceback.format_exc()
        )
        ours = Internal(f"The server made a mistake (number {number}).", hint="Its log has the traceback.")
        return _response(Reply(content=envelope(ours), status=500))
    finally:
        body.stop()


def _handled(method: Method, call: Call) -> Reply:
    """What the handler answers; of streams, short ones are read here and now, in the thread that is there."""
    reply = method.handler(call)
    if not isinstance(reply, Reply):
        return Reply(content=reply)
    if isinstance(reply.content, dict | bytes) or reply.length is None or reply.length > _AT_ONCE:
        return reply
    # An empty content has its type and length said, too.
    fields = {"content-type": reply.media_type, "content-length": str(reply.length), **reply.headers}
    return replace(reply, content=b"".join(reply.content), headers=fields)


def _response(reply: Reply) -> ASGIApp:
    headers = dict(reply.headers)
    content = reply.content
    if reply.status in (204, 304):  # which have no content, whatever the error envelope would say
        return Response(status_code=reply.status, headers=headers)
    if isinstance(content, dict):
        return Response(to_bytes(content), reply.status, headers, reply.media_type)
    if isinstance(content, bytes):
        response = Response(content, reply.status, headers)
        if content:
            response.headers.setdefault("content-type", reply.media_type)
        return response
    if reply.length is not None:
        headers["content-length"] = str(reply.length)
    headers.setdefault("content-type", reply.media_type)  # given as such, a text would get a charset
    return StreamingResponse(content, reply.status, headers)


class _Body:
    """The body of a request as a sync iterator for its handler's thread.

    The event loop reads ahead while the handler works, and the handler takes at once all that has come:
    handing over every 64 KiB of a large body took more time than hashing and writing them.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self._loop = asyncio.get_running_loop()
        self._reading: asyncio.Task[None] | None = None
        self._room = asyncio.Event()
        # Guards the rest, which both threads use.
        self._news = threading.Condition()
        self._pieces: list[bytes] = []
        self._size = 0
        self._ended = False
        self._failure: Exception | None = None

    def __iter__(self) -> _Body:
        return self

    def read_ahead(self) -> None:
        """Begin before the handler asks: a change of threads and back costs as much as a small request."""
        headers = self._request.headers
        if headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers:
            self._ended = True
        # A client that waits for "100 Continue" sends nothing to a handler that refuses.
        elif "expect" not in headers:
            self._begin()

    def __next__(self) -> bytes:
        if self._reading is None and not self._ended:
            self._loop.call_soon_threadsafe(self._begin)
        with self._news:
            while not (self._pieces or self._ended):
                self._news.wait()
            pieces, self._pieces = self._pieces, []
            full, self._size = self._size >= _AT_ONCE, 0
        if full:
            self._loop.call_soon_threadsafe(self._room.set)
        if pieces:
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if self._failure:
            raise self._failure
        raise StopIteration

    def stop(self) -> None:
        """Read no more: the handler has returned, or the server ends and no part may pass for the whole."""
        if self._reading:
            self._reading.cancel()
        if not self._ended:
            self._end(ClientDisconnect())

    def _begin(self) -> None:
        self._reading = self._reading or self._loop.create_task(self._read())

    async def _read(self) -> None:
        while not self._ended:
            while self._size >= _AT_ONCE:
                self._room.clear()
                await self._room.wait()
            await self._take()

    async def _take(self) -> None:
        try:
            message = await self._request.receive()
        except Exception as failure:
            return self._end(failure)
        if message["type"] == "http.disconnect":
            return self._end(ClientDisconnect())
        with self._news:
            if piece := message.get("body", b""):
                self._pieces.append(piece)
                self._size += len(piece)
            self._ended = not message.get("more_body", False)
            self._news.notify()
        return None

    def _end(self, failure: Exception) -> None:
        with self._news:
            self._ended = True
            self._failure = failure
            self._news.notify()


def _compile(template: str) -> re.Pattern[str]:
    parts: list[str] = []
    position = 0
    for match in _VARIABLE.finditer(template):
        parts += [re.escape(template[position : match.start()]), f"(?P<{match[1]}>{_VALUES[match[2]]})"]
        position = match.end()
    return re.compile("".join([*parts, re.escape(template[position:])]))


def _specificity(method: Method) -> tuple[int, int, int, str]:
    wildcards = [kind for _, kind in _VARIABLE.findall(method.path)]
    # A `{rest*}` last of all, then fewer variables first, then custom verbs before plain paths.
    return (wildcards.count("*"), len(wildcards), -method.path.count(":"), method.path)
