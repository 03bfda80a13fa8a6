"""Which of two tables a request goes to."""

from __future__ import annotations

import pytest

from mlengine.web.fork import Fork
from mlengine.web.method import Call, Json, Method
from mlengine.web.routing import Router


def nothing(_: Call) -> Json:
    return {}


def row(verb: str, path: str) -> Method:
    return Method(id=path, verb=verb, path=path, handler=nothing, summary="")


@pytest.fixture
def fork() -> Fork:
    apis = Router(
        [row("GET", "/v1/projects/{project}/jobs"), row("POST", "/batch/storage/v1"), row("GET", "/readyz")]
    )
    names = Router(
        [row("GET", "/{bucket}"), row("GET", "/{bucket}/{object*}"), row("PUT", "/{bucket}/{object*}")]
    )
    return Fork(apis, names)


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("GET", "/flowers"),
        ("GET", "/flowers/"),
        ("GET", "/flowers/v1/x"),
        ("PUT", "/my%2Dbox/a%2Eb"),
        ("GET", "/v12/x"),
    ],
)
def test_a_path_that_begins_with_a_name_goes_to_the_names(fork: Fork, verb: str, path: str) -> None:
    assert fork.router(verb, path) is fork.names


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("GET", "/v1/projects/p/jobs"),
        ("GET", "/v1/no/such/thing"),
        ("PUT", "/batch/x"),
        ("GET", "/readyz"),
        ("GET", "/readyz/x"),
        ("GET", "/storage/v1/b"),
        ("GET", "/v2/entries:list"),
        ("POST", "/token"),
        ("GET", "/"),
        ("GET", "//x"),
        ("DELETE", "/flowers/a"),  # a verb that only the APIs could know
    ],
)
def test_words_of_the_api_are_never_names(fork: Fork, verb: str, path: str) -> None:
    assert fork.router(verb, path) is fork.apis
