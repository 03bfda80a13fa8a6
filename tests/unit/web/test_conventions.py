"""Overrides of the verb, and batches, around a small table."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mlengine.errors import NotFound
from mlengine.web.conventions import with_conventions
from mlengine.web.method import Call, Json, Method, Parameter, Reply
from mlengine.web.routing import Router

FORM = {"content-type": "application/x-www-form-urlencoded"}


def router() -> Router:
    def list_(call: Call) -> Json:
        return {"verb": call.verb, "filter": call.query.get("filter", "")}

    def create(call: Call) -> Json:
        return {"made": call.json()}

    def get(call: Call) -> Json:
        if call.path["job"] == "none":
            raise NotFound("There is no job 'none'.")
        if call.path["job"] == "broken":
            raise ZeroDivisionError
        return {"job": call.path["job"]}

    def row(name: str, verb: str, path: str, handler: Any, *parameters: Parameter) -> Method:
        return Method(
            id=f"ml.{name}", verb=verb, path=path, handler=handler, summary="", parameters=parameters
        )

    return Router(
        with_conventions(
            [
                row("list", "GET", "/v1/jobs", list_, Parameter(name="filter")),
                row("create", "POST", "/v1/jobs", create),
                row("get", "GET", "/v1/jobs/{job}", get),
            ]
        )
    )


def ask(verb: str, target: str, body: bytes = b"", **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    query = target.partition("?")[2]
    pairs = dict(pair.split("=") for pair in query.split("&") if pair)
    return router().answer(
        Call(path={}, verb=verb, target=target, query=pairs, headers=named, body=iter([body]))
    )


def test_a_post_that_says_get_is_a_get_with_its_query_in_the_body() -> None:
    long = "a" * 5000
    reply = ask("POST", "/v1/jobs", f"filter={long}".encode(), x_http_method_override="GET", **FORM)

    assert reply.content == {"verb": "GET", "filter": long}


def test_a_path_without_a_post_of_its_own_takes_one_that_says_get() -> None:
    assert ask("POST", "/v1/jobs/a", x_http_method_override="GET").content == {"job": "a"}
    assert ask("GET", "/v1/jobs/a").content == {"job": "a"}


def test_a_post_that_says_nothing_is_a_post() -> None:
    assert ask("POST", "/v1/jobs", b'{"a": 1}').content == {"made": {"a": 1}}
    assert ask("POST", "/v1/jobs/a").status == 404


def test_a_verb_that_the_path_does_not_have_is_refused() -> None:
    reply = ask("POST", "/v1/jobs", x_http_method_override="DELETE")

    assert reply.status == 404
    assert "DELETE is no verb of /v1/jobs. Use GET or POST." in json.dumps(reply.content)


def batch(*calls: str, path: str = "/batch") -> list[tuple[int, Any]]:
    """The statuses and JSON contents that a batch of requests is answered with."""
    parts = "".join(
        f"--x\r\nContent-Type: application/http\r\nContent-ID: <u + {number}>\r\n\r\n{call}\r\n\r\n"
        for number, call in enumerate(calls)
    )
    reply = ask("POST", path, f"{parts}--x--".encode(), content_type='multipart/mixed; boundary="x"')
    assert reply.status == 200
    assert isinstance(reply.content, bytes)
    found = []
    for number, part in enumerate(reply.content.decode().split("--batch_")[1:-1]):
        assert f"Content-ID: <response-u + {number}>" in part
        _, _, inner = part.partition("HTTP/1.1 ")
        found.append((int(inner[:3]), json.loads(inner.partition("\r\n\r\n")[2])))
    return found


@pytest.mark.parametrize("path", ["/batch", "/batch/ml/v1"])
def test_a_batch_answers_every_call_in_its_order_also_after_one_that_fails(path: str) -> None:
    answers = batch(
        "GET /v1/jobs/none HTTP/1.1",
        "GET /v1/jobs/a?prettyPrint=false HTTP/1.1",
        'POST /v1/jobs?alt=json HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{"a": 1}',
        "GET /v1/jobs/broken HTTP/1.1",
        "GET /v1/job HTTP/1.1",
        "hello",
        "GET http://host:1/v1/jobs?filter=b HTTP/1.1",
        path=path,
    )

    assert [status for status, _ in answers] == [404, 200, 200, 500, 404, 400, 200]
    assert answers[0][1]["error"]["message"] == "There is no job 'none'."
    assert answers[1][1] == {"job": "a"}
    assert answers[2][1] == {"made": {"a": 1}}
    assert answers[6][1] == {"verb": "GET", "filter": "b"}


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"--x\r\n\r\nGET /v1/jobs HTTP/1.1\r\n\r\n", "multipart/mixed; boundary=x"),
        (b"", "multipart/mixed; boundary=x"),
        (b"{}", "application/json"),
    ],
)
def test_a_batch_that_breaks_off_or_is_none_is_refused(body: bytes, content_type: str) -> None:
    assert ask("POST", "/batch", body, content_type=content_type).status == 400
