"""A storage service in memory, and its methods called without a network."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qsl

import pytest

from mlengine.backends.blobs_memory import MemoryBlobs
from mlengine.backends.database import SqlDatabase
from mlengine.errors import Problem
from mlengine.names import ObjectUrl
from mlengine.storage.methods import methods
from mlengine.storage.service import StorageService
from mlengine.web.envelope import envelope, http_code
from mlengine.web.method import Call, Reply
from mlengine.web.routing import Router
from tests.conftest import HandClock

Ask = Callable[..., Reply]


@pytest.fixture
def blobs() -> MemoryBlobs:
    return MemoryBlobs()


@pytest.fixture
def service(sqlite: SqlDatabase, blobs: MemoryBlobs, clock: HandClock) -> StorageService:
    made = StorageService(sqlite, blobs, clock, small=-1)
    made.buckets.create("bucket", "demo-project")
    return made


@pytest.fixture
def ask(service: StorageService) -> Ask:
    """Call a method as the web door does: verb, path with query, body in pieces, header fields."""
    router = Router(methods(service))

    def call(verb: str, target: str, body: bytes | list[bytes] = b"", **fields: str) -> Reply:
        path, _, query = target.partition("?")
        try:
            method, variables = router.find(verb, path)
            answer = method.handler(
                Call(
                    path=variables,
                    query=dict(parse_qsl(query, keep_blank_values=True)),
                    headers={name.replace("_", "-"): value for name, value in fields.items()},
                    base_url="https://storage.example:8443",
                    body=iter([body] if isinstance(body, bytes) else body),
                )
            )
        except Problem as problem:
            return Reply(content=envelope(problem), status=http_code(problem))
        return answer if isinstance(answer, Reply) else Reply(content=answer)

    return call


def url(name: str) -> ObjectUrl:
    return ObjectUrl("bucket", name)
