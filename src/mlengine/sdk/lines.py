"""The connections of a client, for `http.client`: authorized, shared out to threads, and used again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPResponse
from threading import Lock

from mlengine import __version__
from mlengine.client.http import Body, Connection, Json, read
from mlengine.client.patience import Patience
from mlengine.sdk.effects import Reply, Request

AGENT = f"mlengine-python/{__version__}"
Bearer = Callable[[], str]
"""The access token to send; "" for none. May ask a server for a fresh one."""

_ANY = tuple(range(300, 600))


class Line(Connection):
    """A connection that says who is calling, and whose GETs survive an outage.

    Args:
        patience_seconds: For how long a `call` that only reads goes on trying.
    """

    def __init__(self, endpoint: str, bearer: Bearer, *, patience_seconds: float) -> None:
        super().__init__(endpoint)
        self._bearer = bearer
        self._patience_seconds = patience_seconds
        self._heard = False

    def call(
        self,
        verb: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: Json | None = None,
        timeout: float = 60.0,
    ) -> Json:
        def once() -> Json:
            return super(Line, self).call(verb, path, query=query, body=body, timeout=timeout)

        patient = verb == "GET" and self._heard  # a server that never answered is not waited for
        return Patience(self._patience_seconds).insist(once) if patient else once()

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
        said = {"User-Agent": AGENT, **(headers or {})}
        if token := self._bearer():
            said["Authorization"] = f"Bearer {token}"
        response = super().send(
            verb, path, query=query, headers=said, body=body, timeout=timeout, accepted=accepted
        )
        self._heard = True
        return response

    def reply(self, request: Request) -> Reply:
        """The answer to a request, whatever its status. Raises Unavailable, DeadlineExceeded."""
        response = self.send(
            request.verb,
            request.path,
            query=request.query,
            headers={"Content-Type": "application/json; charset=UTF-8"} if request.body is not None else {},
            body=request.body,
            timeout=request.timeout,
            accepted=_ANY,
        )
        try:
            content = read(response)
        except BaseException:
            self.close()
            raise
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Reply(status=response.status, reason=response.reason, headers=headers, content=content)


class Lines:
    """Lends connections to one server; any number of threads may ask."""

    def __init__(self, endpoint: str, bearer: Bearer, *, patience_seconds: float) -> None:
        self._endpoint = endpoint
        self._bearer = bearer
        self._patience_seconds = patience_seconds
        self._idle: list[Line] = []
        self._lock = Lock()

    @contextmanager
    def lend(self) -> Iterator[Line]:
        """A connection that nobody else uses meanwhile."""
        with self._lock:
            line = self._idle.pop() if self._idle else None
        if line is None:
            line = Line(self._endpoint, self._bearer, patience_seconds=self._patience_seconds)
        try:
            yield line
        except BaseException:
            # Half an answer may be on the line: nothing can follow it there.
            line.close()
            raise
        with self._lock:
            self._idle.append(line)

    def close(self) -> None:
        """Close what is idle; a later request opens another."""
        with self._lock:
            idle, self._idle = self._idle, []
        for line in idle:
            line.close()
