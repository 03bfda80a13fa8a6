"""One HTTP connection to a server, and errors as classes of `mlengine.errors`.

On `http.client` alone: importing a full client library costs more time than a whole `models list`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import IO, Any
from urllib.parse import quote, urlencode, urlsplit

from mlengine.errors import (
    AlreadyExists,
    Conflict,
    DeadlineExceeded,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    NotFound,
    OutOfRange,
    PermissionDenied,
    Problem,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
)

Json = dict[str, Any]
Body = bytes | IO[bytes] | Iterable[bytes]

# An idle connection older than this may have been closed by the other side: open a new one.
_IDLE_SECONDS = 2.0
_PAGE = 100  # resources asked for at a time, the most that the API gives


class Unimplemented(Problem):
    """The server has no such method, though the API documents it."""

    status = "UNIMPLEMENTED"


_CLASSES: dict[str, type[Problem]] = {
    kind.status: kind
    for kind in (
        InvalidArgument,
        FailedPrecondition,
        OutOfRange,
        NotFound,
        AlreadyExists,
        Conflict,
        PermissionDenied,
        ResourceExhausted,
        Unavailable,
        DeadlineExceeded,
        Internal,
        Unauthenticated,
        Unimplemented,
    )
}
_BY_CODE: dict[int, type[Problem]] = {
    400: InvalidArgument,
    401: Unauthenticated,
    403: PermissionDenied,
    404: NotFound,
    409: Conflict,
    412: FailedPrecondition,
    413: InvalidArgument,
    416: OutOfRange,
    429: ResourceExhausted,
    501: Unimplemented,
    503: Unavailable,
    504: DeadlineExceeded,
}


class Connection:
    """Requests to one server, one at a time, over one kept connection.

    Args:
        endpoint: "http://HOST:PORT", without a final slash.
        trace: Called with a line per request and answer, for `--verbosity debug`.
        log: Called with requests and answers in full, for `--log-http`.
        authorization: Value of the header that says who is calling; "" for nobody.
        warn: Called with what the server says about fields that have no effect.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        trace: Callable[[str], None] | None = None,
        log: Callable[[str], None] | None = None,
        authorization: str = "",
        warn: Callable[[str], None] | None = None,
    ) -> None:
        self.endpoint = endpoint
        self._warn = warn
        self._trace = trace
        self._log = log
        self._authorization = authorization
        self._open: HTTPConnection | None = None
        self._used = 0.0

    def call(
        self,
        verb: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: Json | None = None,
        timeout: float = 60.0,
    ) -> Json:
        """Send JSON, get JSON.

        Args:
            path: From the root, already percent-encoded.
            timeout: Seconds to wait for the answer.

        Raises:
            Problem: the server's error, as the class of its status; `Unavailable` when none answers.
        """
        raw = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json; charset=UTF-8"} if raw is not None else {}
        content = self.fetch(verb, path, query=query, headers=headers, body=raw, timeout=timeout)
        if not content.strip():
            return {}
        try:
            value = json.loads(content)
        except ValueError:
            raise Unavailable(
                f"What answers at {self.endpoint} is no mlengine server: "
                f"its answer to {verb} {path} is not JSON.",
                hint="Check --endpoint (MLENGINE_ENDPOINT).",
            ) from None
        return value if isinstance(value, dict) else {"value": value}

    def listed(self, path: str, key: str, *, limit: int | None = None) -> Iterator[Json]:
        """The resources of a list, page by page, at most `limit`. Raises Problem as `call`.

        Args:
            key: Under which name a page has them ("models").
        """
        query: dict[str, str | int] = {"pageSize": min(_PAGE, limit or _PAGE)}
        given = 0
        while True:
            page = self.call("GET", path, query=query)
            for resource in page.get(key, []):
                yield resource
                given += 1
                if given == limit:
                    return
            if not page.get("nextPageToken"):
                return
            query["pageToken"] = page["nextPageToken"]

    def fetch(
        self,
        verb: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout: float = 60.0,
    ) -> bytes:
        """The whole body of the answer to one request. Raises Problem as `call`."""
        content = read(self.send(verb, path, query=query, headers=headers, body=body, timeout=timeout))
        if self._log:
            from mlengine.client.http_log import show_body

            show_body(self._log, content)
        return content

    def send(
        self,
        verb: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        timeout: float = 60.0,
        accepted: tuple[int, ...] = (),
    ) -> HTTPResponse:
        """The answer to one request, its body unread; read it to the end before the next request.

        Args:
            body: Bytes, or a readable or iterable with its length in `headers`.
            accepted: Statuses of 300 and above that are an answer here and no error.

        Raises:
            Problem: as `call`.
        """
        target = f"{path}?{urlencode(query, quote_via=quote)}" if query else path
        response = self._exchange(verb, target, dict(headers or {}), body, timeout)
        if self._trace:
            self._trace(f"{verb} {self.endpoint}{target} -> {response.status}")
        if self._warn and (warnings := response.getheader("X-Mlengine-Warnings")):
            for warning in warnings.split("; "):
                self._warn(warning)
        if response.status < 300 or response.status in accepted:
            return response
        content = read(response)
        if self._log:
            from mlengine.client.http_log import show_body

            show_body(self._log, content)
        raise problem(response.status, response.reason, content)

    def close(self) -> None:
        """Give the socket back; a later request opens another."""
        if self._open:
            self._open.close()
            self._open = None

    def _exchange(
        self, verb: str, target: str, headers: dict[str, str], body: Body | None, timeout: float
    ) -> HTTPResponse:
        headers.setdefault("Accept-Encoding", "identity")
        headers.setdefault("User-Agent", "mlengine-cli")
        if self._authorization:
            headers.setdefault("Authorization", self._authorization)
        kept = self._open is not None and time.monotonic() - self._used < _IDLE_SECONDS
        connection = self._connected(kept=kept, timeout=timeout)
        if self._log:
            from mlengine.client import http_log

            self._log(http_log.request_text(verb, self.endpoint + target, headers, body))
        began = time.monotonic()
        try:
            connection.request(verb, target, body=body, headers=headers)
            response = connection.getresponse()
        except TimeoutError:
            self.close()
            raise DeadlineExceeded(
                f"The server at {self.endpoint} did not answer {verb} {target.partition('?')[0]} "
                f"within {timeout:g} seconds."
            ) from None
        except (OSError, HTTPException) as error:
            self.close()
            if kept and verb == "GET":  # closed by the server while idle; asking again changes nothing
                return self._exchange(verb, target, headers, body, timeout)
            raise Unavailable(
                f"The server at {self.endpoint} broke off: {error or type(error).__name__}.",
                hint="If it was stopped or restarted, try again: mlengine server status",
            ) from error
        self._used = time.monotonic()
        if self._log:
            shown = dict(response.headers.items())
            self._log(http_log.response_text(response.status, shown, self._used - began))
        return response

    def _connected(self, *, kept: bool, timeout: float) -> HTTPConnection:
        if kept and self._open and self._open.sock:
            self._open.sock.settimeout(timeout)
            return self._open
        self.close()
        parts = urlsplit(self.endpoint)
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=5.0)
        try:
            connection.connect()
        except OSError as error:
            raise no_server(self.endpoint) from error
        if connection.sock:
            connection.sock.settimeout(timeout)
        self._open = connection
        return connection


def no_server(endpoint: str) -> Unavailable:
    """That nobody listens at `endpoint`, and what to do about it."""
    return Unavailable(f"No server answers at {endpoint}.", hint="Start one: mlengine server start --detach")


def read(response: HTTPResponse) -> bytes:
    """The rest of the body.

    Raises:
        Unavailable: the server stopped in the middle.
    """
    try:
        return response.read()
    except (OSError, HTTPException) as error:
        raise Unavailable(f"The server broke off in the middle of its answer: {error}.") from error


def problem(status: int, reason: str, content: bytes) -> Problem:
    """An answer of 300 or above as an exception; Google's envelope, a bare text, or no body at all.

    Its `details` are never empty: they end with the HTTP status, which tells it from a problem of our own.
    """
    message, name = "", ""
    try:
        value = json.loads(content)
        error = value.get("error", value) if isinstance(value, dict) else value
        if isinstance(error, dict):
            message, name = str(error.get("message") or ""), str(error.get("status") or "")
        elif isinstance(error, str):
            message = error
    except ValueError:
        message = content[:500].decode(errors="replace").strip() if b"<" not in content[:1] else ""
    kind = _CLASSES.get(name) or _BY_CODE.get(status) or Internal
    return kind(message or f"HTTP {status} {reason}".strip(), details=({"httpStatus": status},))
