"""Doing what a verb wants on an event loop, with aiohttp; files and packing in threads beside it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from mlengine.client.api import Api
from mlengine.client.http import no_server
from mlengine.client.storage import Storage
from mlengine.errors import DeadlineExceeded, FailedPrecondition, Unavailable
from mlengine.sdk.effects import Course, Give, Pause, Reply, Request, Steps, Together, Wish, Work
from mlengine.sdk.lines import AGENT, Bearer, Lines

if TYPE_CHECKING:
    from aiohttp import ClientSession

T = TypeVar("T")
_CONNECT_SECONDS = 5.0
_END = object()


class Nonblocking:
    """Runs verbs on the event loop of its first use.

    Args:
        lines: Connections for what has to be done in a thread.
        bearer: May block; it is asked in a thread.
    """

    def __init__(self, lines: Lines, project: str, *, endpoint: str, bearer: Bearer | None) -> None:
        self._lines = lines
        self._project = project
        self._endpoint = endpoint
        self._bearer = bearer
        self._session: ClientSession | None = None

    async def run(self, steps: Steps[T]) -> T:
        """The result of a verb; what it gives on the way is dropped. Raises what the verb raises."""
        course = Course(steps)
        try:
            while wish := course.next():
                await self._settle(course, wish)
        finally:
            course.close()
        result: T = course.result
        return result

    async def stream(self, steps: Steps[None]) -> AsyncIterator[Any]:
        """What a verb gives, as it comes. Raises what the verb raises."""
        course = Course(steps)
        try:
            while wish := course.next():
                if isinstance(wish, Give):
                    yield wish.value
                else:
                    await self._settle(course, wish)
        finally:
            course.close()

    async def close(self) -> None:
        """Close the connections; a later request opens others."""
        session, self._session = self._session, None
        if session:
            await session.close()

    async def _settle(self, course: Course, wish: Wish) -> None:
        try:
            course.told(await self._fulfil(wish))
        except Exception as error:  # the verb decides what it means
            course.failed(error)

    async def _fulfil(self, wish: Wish) -> Any:
        match wish:
            case Request():
                return await self._reply(wish)
            case Pause():
                await asyncio.sleep(wish.seconds)
            case Work():
                return await asyncio.to_thread(self._work, wish)
            case Together():
                return await self._together(wish)
        return None

    def _work(self, wish: Work) -> Any:
        with self._lines.lend() as line:
            return wish.act(Api(line, self._project), Storage(line, self._project))

    async def _reply(self, request: Request) -> Reply:
        session = self._open()
        import aiohttp
        from yarl import URL

        url = URL(self._endpoint + request.path, encoded=True)
        headers = {"User-Agent": AGENT}
        if request.body is not None:
            headers["Content-Type"] = "application/json; charset=UTF-8"
        if self._bearer and (token := await asyncio.to_thread(self._bearer)):
            headers["Authorization"] = f"Bearer {token}"
        try:
            async with session.request(
                request.verb,
                url.extend_query(request.query) if request.query else url,
                data=request.body,
                headers=headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=request.timeout, sock_connect=_CONNECT_SECONDS),
            ) as response:
                return Reply(
                    status=response.status,
                    reason=response.reason or "",
                    headers={name.lower(): value for name, value in response.headers.items()},
                    content=await response.read(),
                )
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise no_server(self._endpoint) from error
        except TimeoutError:
            raise DeadlineExceeded(
                f"The server at {self._endpoint} did not answer {request.verb} {request.path} "
                f"within {request.timeout:g} seconds."
            ) from None
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable(
                f"The server at {self._endpoint} broke off: {error or type(error).__name__}.",
                hint="If it was stopped or restarted, try again: mlengine server status",
            ) from error

    async def _together(self, wish: Together) -> list[Any]:
        source = enumerate(wish.verbs)
        results: dict[int, Any] = {}
        failures: dict[int, Exception] = {}
        turn = asyncio.Lock()

        async def work() -> None:
            while True:
                async with turn:
                    if failures:
                        return
                    try:
                        # Making one encodes a piece of a table, which would hold up the loop.
                        found = await asyncio.to_thread(_next, source)
                    except Exception as error:  # a verb that cannot even be made comes after all others
                        failures[len(results) + wish.most] = error
                        return
                if found is _END:
                    return
                number, steps = found
                try:
                    results[number] = await self.run(steps)
                except Exception as error:
                    failures[number] = error

        async with asyncio.TaskGroup() as group:
            for _ in range(wish.most):
                group.create_task(work())
        if failures:
            raise failures[min(failures)]
        return [results[number] for number in sorted(results)]

    def _open(self) -> ClientSession:
        if self._session is None:
            try:
                import aiohttp
            except ImportError:
                raise FailedPrecondition(
                    "AsyncClient needs aiohttp, which is not installed here.",
                    hint="pip install 'mlengine[async]'",
                ) from None
            self._session = aiohttp.ClientSession()
        return self._session


def _next(source: Iterator[Any]) -> Any:
    return next(source, _END)
