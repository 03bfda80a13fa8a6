"""Requests, and errors as exceptions."""

from __future__ import annotations

import socket

import pytest

from mlengine.client.api import Api
from mlengine.client.http import Connection, problem
from mlengine.errors import (
    AlreadyExists,
    DeadlineExceeded,
    Internal,
    InvalidArgument,
    NotFound,
    Problem,
    ResourceExhausted,
    Unavailable,
)
from tests.unit.client.small_server import Cut, SmallServer, error

JOBS = "/v1/projects/local/jobs"


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        (404, "NOT_FOUND", NotFound),
        (409, "ALREADY_EXISTS", AlreadyExists),
        (400, "INVALID_ARGUMENT", InvalidArgument),
        (429, "RESOURCE_EXHAUSTED", ResourceExhausted),
    ],
)
def test_googles_envelope_becomes_the_class_of_its_status(
    server: SmallServer, connection: Connection, code: int, status: str, kind: type[Problem]
):
    server.answers["GET /x"] = error(code, status, "No such thing.")

    with pytest.raises(kind, match="No such thing"):
        connection.call("GET", "/x")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"error": "plain words"}', "plain words"),
        (b'[{"error": {"message": "in a list"}}]', "HTTP 500"),
        (b"<html>proxy page</html>", "HTTP 500"),
        (b"", "HTTP 500 Internal Server Error"),
    ],
)
def test_an_error_in_another_shape_keeps_what_words_it_has(body: bytes, words: str):
    found = problem(500, "Internal Server Error", body)

    assert isinstance(found, Internal)
    assert words in found.message


def test_nobody_listening_says_how_to_start_a_server():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}"

        with pytest.raises(Unavailable) as caught:
            Connection(endpoint).call("GET", "/x")

    assert caught.value.message == f"No server answers at {endpoint}."
    assert caught.value.hint == "Start one: mlengine server start --detach"


def test_a_silent_server_is_given_up_after_the_time_allowed():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        connection = Connection(f"http://127.0.0.1:{silent.getsockname()[1]}")

        with pytest.raises(DeadlineExceeded, match=r"GET /x within 0\.1 seconds"):
            connection.call("GET", "/x", timeout=0.1)


def test_a_kept_connection_that_the_server_closed_is_opened_again(
    server: SmallServer, connection: Connection
):
    def once_cut(_: object):
        server.answers["GET /x"] = (200, {"n": 2})
        raise Cut

    server.answers["GET /y"] = (200, {"n": 1})
    server.answers["GET /x"] = once_cut
    connection.call("GET", "/y")

    assert connection.call("GET", "/x") == {"n": 2}


def test_a_post_is_never_sent_twice(server: SmallServer, connection: Connection):
    def cut(_: object):
        raise Cut

    server.answers["GET /y"] = (200, {})
    server.answers["POST /x"] = cut
    connection.call("GET", "/y")

    with pytest.raises(Unavailable):
        connection.call("POST", "/x", body={})
    assert len(server.asked("POST", "/x")) == 1


def test_an_answer_that_is_no_json_is_no_mlengine_server(server: SmallServer, connection: Connection):
    server.answers["GET /x"] = (200, b"<html>")

    with pytest.raises(Unavailable, match="no mlengine server"):
        connection.call("GET", "/x")


def test_lists_follow_the_page_tokens_and_stop_at_the_limit(server: SmallServer, api: Api):
    def page(seen):
        start = int(seen.query.get("pageToken", 0))
        jobs = [{"jobId": f"j{number}"} for number in range(start, start + 3)]
        return 200, {"jobs": jobs} | ({"nextPageToken": str(start + 3)} if start < 6 else {})

    server.answers[f"GET {JOBS}"] = page

    assert [job["jobId"] for job in api.jobs()] == [f"j{number}" for number in range(9)]
    assert [job["jobId"] for job in api.jobs(limit=4)] == ["j0", "j1", "j2", "j3"]


def test_names_are_one_path_component_whatever_is_in_them(server: SmallServer, api: Api):
    with pytest.raises(NotFound):
        api.job("a/b:cancel")

    assert server.seen[-1].path == f"{JOBS}/a%2Fb%3Acancel"


def test_waiting_ends_when_the_operation_is_done(server: SmallServer, api: Api):
    name = "projects/local/operations/op1"
    server.answers[f"GET /v1/{name}"] = [(200, {"name": name}), (200, {"name": name, "done": True})]
    naps: list[float] = []

    done = api.wait({"name": name}, sleep=naps.append)

    assert done["done"] is True
    assert naps == [0.3, 0.3]


def test_an_operation_that_takes_too_long_says_how_to_wait_on(server: SmallServer, api: Api):
    name = "projects/local/operations/op1"
    server.answers[f"GET /v1/{name}"] = (200, {"name": name})

    with pytest.raises(DeadlineExceeded) as caught:
        api.wait({"name": name}, patience_seconds=0, sleep=lambda _: None)

    assert "mlengine operations wait op1" in caught.value.hint
