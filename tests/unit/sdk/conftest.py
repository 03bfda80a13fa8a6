"""A small real server, and both clients asking it the same."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from mlengine import AsyncClient, Client
from tests.unit.client.small_server import SmallServer, serving

Step = Callable[[Any], Any]


class Both:
    """One of the two clients, asked in the same words.

    Attributes:
        options: For the client, besides the endpoint.
    """

    def __init__(self, endpoint: str, *, waits: bool) -> None:
        self.options: dict[str, Any] = {"endpoint": endpoint}
        self._waits = waits

    def __call__(self, *steps: Step, **options: Any) -> Any:
        """Hand the client to the first step, what comes of it to the next, and so on.

        What has to be awaited is awaited; what has to be iterated over becomes a list.
        """
        given = self.options | options
        if self._waits:
            return asyncio.run(self._awaited(steps, given))
        with Client(**given) as client:
            value: Any = client
            for step in steps:
                value = step(value)
                if isinstance(value, Iterator):
                    value = list(value)
            return value

    async def _awaited(self, steps: tuple[Step, ...], given: dict[str, Any]) -> Any:
        async with AsyncClient(**given) as client:
            value: Any = client
            for step in steps:
                value = step(value)
                if inspect.isawaitable(value):
                    value = await value
                elif isinstance(value, AsyncIterator):
                    value = [one async for one in value]
            return value


@pytest.fixture
def server() -> Iterator[SmallServer]:
    with serving() as state:
        yield state


@pytest.fixture(params=["sync", "async"])
def ask(request: pytest.FixtureRequest, server: SmallServer) -> Both:
    """Each client in turn."""
    return Both(server.endpoint, waits=request.param == "async")
