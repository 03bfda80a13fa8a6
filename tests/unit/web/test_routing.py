"""Finding the method of a request, and the whole way through a real server on a Unix socket."""

from __future__ import annotations

import hashlib
import http.client
import json
import logging
import queue
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlengine.errors import (
    AlreadyExists,
    InvalidArgument,
    NotFound,
    NotModified,
    PreconditionFailed,
    RangeNotSatisfiable,
)
from mlengine.web.method import Call, Json, Method, Reply
from mlengine.web.routing import Router
from mlengine.web.server import HttpServer

_P = "/v1/projects/{project}"


def echo(call: Call) -> Json:
    return {"path": dict(call.path), "query": dict(call.query), "body": call.read().decode("latin-1")}


def row(verb: str, path: str, handler: Any = echo) -> Method:
    return Method(id=f"{verb} {path}", verb=verb, path=path, handler=handler, summary="")


TABLE = [
    row("GET", _P + "/jobs"),
    row("POST", _P + "/jobs"),
    row("GET", _P + "/jobs/{job}"),
    row("POST", _P + "/jobs/{job}:cancel"),
    row("POST", _P + "/models/{model}:predict"),
    row("POST", _P + "/models/{model}/versions/{version}:predict"),
    row("DELETE", _P + "/models/{model}"),
    row("GET", "/storage/v1/b/{bucket}/o/{object+}"),
    row("GET", "/storage/v1/b/{bucket}/o"),
    row("GET", "/download/{rest*}"),
]


@pytest.mark.parametrize(
    ("verb", "path", "found", "variables"),
    [
        ("GET", "/v1/projects/p/jobs", "/jobs", {"project": "p"}),
        ("GET", "/v1/projects/p/jobs/j", "/jobs/{job}", {"project": "p", "job": "j"}),
        ("POST", "/v1/projects/p/jobs/j:cancel", "/jobs/{job}:cancel", {"project": "p", "job": "j"}),
        ("GET", "/v1/projects/p/jobs/a%3Ab", "/jobs/{job}", {"project": "p", "job": "a:b"}),
        ("GET", "/v1/projects/p/jobs/%C3%A4", "/jobs/{job}", {"project": "p", "job": "ä"}),
        ("GET", "/v1/projects/p/jobs/a%2Fb", "/jobs/{job}", {"project": "p", "job": "a/b"}),
        ("GET", "/storage/v1/b/x/o/a%2Fb%252F", "/o/{object+}", {"bucket": "x", "object": "a/b%2F"}),
        ("GET", "/storage/v1/b/x/o/a:b", "/o/{object+}", {"bucket": "x", "object": "a:b"}),
        ("GET", "/download/a/b/c:d", "/download/{rest*}", {"rest": "a/b/c:d"}),
    ],
)
def test_a_request_finds_its_method_and_variables(
    verb: str, path: str, found: str, variables: dict[str, str]
) -> None:
    method, values = Router(TABLE).find(verb, path)

    assert method.path.endswith(found)
    assert values == variables


@pytest.mark.parametrize("order", [1, -1])
def test_the_order_of_the_table_does_not_matter(order: int) -> None:
    router = Router(TABLE[::order])

    assert router.find("POST", "/v1/projects/p/jobs/j:cancel")[0].path.endswith("{job}:cancel")
    assert router.find("GET", "/storage/v1/b/x/o")[0].path.endswith("/o")


@pytest.mark.parametrize(
    "path",
    ["/", "/v1/projects/p/job", "/v1/projects/p/jobs/", "/v1/projects/p/jobs/j/x", "/v1/projects//jobs"],
)
def test_an_unknown_path_is_not_found(path: str) -> None:
    with pytest.raises(NotFound, match="There is nothing at"):
        Router(TABLE).find("GET", path)


def test_an_unknown_path_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(NotFound, match="Did you mean '/v1/projects/NAME/jobs'"):
        Router(TABLE).find("GET", "/v1/projects/p/job")


def test_a_wrong_verb_is_answered_with_the_right_ones() -> None:
    with pytest.raises(NotFound) as refused:
        Router(TABLE).find("PUT", "/v1/projects/p/jobs")

    assert refused.value.hint == "Use GET or POST."


def test_an_unknown_custom_verb_is_not_taken_for_a_part_of_the_name() -> None:
    with pytest.raises(NotFound):
        Router(TABLE).find("POST", "/v1/projects/p/jobs/j:destroy")


def test_a_name_with_a_nul_is_the_name_of_nothing() -> None:
    with pytest.raises(NotFound):
        Router(TABLE).find("GET", "/v1/projects/p/jobs/a%00b")


# Through a real server

RAISED: dict[str, Exception] = {
    "taken": AlreadyExists("Taken.", field="job.job_id"),
    "wrong": InvalidArgument("Wrong.", hint="Mend it."),
    "same": NotModified("Unchanged."),
    "changed": PreconditionFailed("Changed."),
    "past": RangeNotSatisfiable("Past the end.", size=3),
    "bug": ZeroDivisionError("secret detail"),
}


def fail(call: Call) -> Json:
    raise RAISED[call.path["how"]]


def unread(call: Call) -> Json:
    return {"read": False}


def stream(call: Call) -> Reply:
    def pieces() -> Iterator[bytes]:
        for number in range(int(call.query["pieces"])):
            yield b"%06d" % number * 1000
        if "break" in call.query:
            raise RuntimeError("the disk is gone")

    size = 6000 * int(call.query["pieces"])
    length = size + ("break" in call.query) if "length" in call.query else None
    return Reply(content=pieces(), length=length, media_type="text/plain")


def back(call: Call) -> Reply:
    return Reply(content=call.read(), status=201, headers={"x-mine": call.headers["x-theirs"]})


def slow(call: Call) -> Json:
    digest, largest = hashlib.sha256(), 0
    for piece in call.body:
        digest.update(piece)
        largest = max(largest, len(piece))
        time.sleep(0.01)
    return {"sha256": digest.hexdigest(), "small": largest < 2 << 20}


ENDS: queue.Queue[str] = queue.Queue()


def noted(call: Call) -> Json:
    try:
        for _ in call.body:
            pass
    except Exception as error:
        ENDS.put(type(error).__name__)
        raise
    ENDS.put("whole")
    return {}


SERVED = [
    row("POST", "/slow", slow),
    row("POST", "/noted", noted),
    row("POST", "/echo/{a}/{b+}"),
    row("GET", "/fail/{how}", fail),
    row("POST", "/unread", unread),
    row("GET", "/stream", stream),
    row("POST", "/back", back),
    row("GET", "/none", lambda call: Reply(status=204)),
    row("GET", "/base", lambda call: {"base": call.base_url}),
]


class Client(http.client.HTTPConnection):
    """An HTTP client on a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=20)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))

    def ask(self, verb: str, path: str, body: Any = None, **headers: str) -> tuple[int, bytes]:
        self.request(
            verb, path, body=body, headers={key.replace("_", "-"): value for key, value in headers.items()}
        )
        answer = self.getresponse()
        return answer.status, answer.read()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("web") / "web.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    running = HttpServer(Router(SERVED).answer)
    running.listen(listener)
    yield path
    running.stop(5)


@pytest.fixture
def client(server: Path) -> Iterator[Client]:
    connection = Client(server)
    yield connection
    connection.close()


def test_a_handler_gets_decoded_variables_query_and_body(client: Client) -> None:
    status, answer = client.ask("POST", "/echo/x%20y/a%2Fb?q=%C3%A4&empty=&q=last", b"body")

    assert status == 200
    assert json.loads(answer) == {
        "path": {"a": "x y", "b": "a/b"},
        "query": {"q": "last", "empty": ""},
        "body": "body",
    }


@pytest.mark.parametrize(
    ("how", "code", "status"),
    [
        ("taken", 409, "ALREADY_EXISTS"),
        ("wrong", 400, "INVALID_ARGUMENT"),
        ("changed", 412, "FAILED_PRECONDITION"),
        ("past", 416, "OUT_OF_RANGE"),
    ],
)
def test_a_problem_arrives_in_googles_envelope(client: Client, how: str, code: int, status: str) -> None:
    found, answer = client.ask("GET", f"/fail/{how}")

    error = json.loads(answer)["error"]
    assert (found, error["code"], error["status"]) == (code, code, status)


def test_the_field_at_fault_is_told_as_google_does(client: Client) -> None:
    error = json.loads(client.ask("GET", "/fail/taken")[1])["error"]

    assert error["message"] == "Field: job.job_id Error: Taken."
    assert error["details"] == [
        {
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{"field": "job.job_id", "description": "Taken."}],
        }
    ]


def test_a_304_has_no_content_and_leaves_the_connection_in_order(client: Client) -> None:
    assert client.ask("GET", "/fail/same") == (304, b"")
    assert client.ask("GET", "/base")[0] == 200


def test_a_204_has_no_content(client: Client) -> None:
    assert client.ask("GET", "/none") == (204, b"")
    assert client.ask("GET", "/base")[0] == 200


def test_our_own_mistake_shows_a_number_that_is_in_the_log_and_no_secrets(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        status, answer = client.ask("GET", "/fail/bug")

    message = json.loads(answer)["error"]["message"]
    number = message.partition("number ")[2][:12]
    assert status == 500
    assert "secret" not in message
    assert number in caplog.text
    assert "secret detail" in caplog.text


def test_an_unknown_path_arrives_as_404(client: Client) -> None:
    status, answer = client.ask("GET", "/nothing")

    assert (status, json.loads(answer)["error"]["status"]) == (404, "NOT_FOUND")


def test_a_body_that_nobody_reads_does_not_disturb_the_next_request(client: Client) -> None:
    assert client.ask("POST", "/unread", b"x" * 3_000_000)[0] == 200
    assert json.loads(client.ask("POST", "/echo/a/b", b"next")[1])["body"] == "next"


def test_a_streamed_answer_arrives_whole(client: Client) -> None:
    status, answer = client.ask("GET", "/stream?pieces=50")

    assert (status, len(answer), answer[-6:]) == (200, 300_000, b"000049")


def test_a_streamed_answer_of_known_length_says_so(client: Client) -> None:
    for pieces in (0, 3, 300):
        client.request("GET", f"/stream?pieces={pieces}&length=known")
        answer = client.getresponse()

        assert answer.getheader("content-length") == str(6000 * pieces)
        assert answer.getheader("content-type") == "text/plain"
        assert len(answer.read()) == 6000 * pieces


@pytest.mark.parametrize("query", ["pieces=3", "pieces=300&length=known"])
def test_a_stream_that_breaks_does_not_look_complete(client: Client, query: str) -> None:
    with pytest.raises(http.client.IncompleteRead):
        client.ask("GET", f"/stream?{query}&break=yes")


def test_a_short_stream_that_breaks_is_told_as_what_it_is(client: Client) -> None:
    status, answer = client.ask("GET", "/stream?pieces=3&length=known&break=yes")

    assert (status, json.loads(answer)["error"]["status"]) == (500, "INTERNAL")


def test_a_large_body_arrives_whole_however_slowly_it_is_taken(client: Client) -> None:
    body = b"".join(b"%08d" % number for number in range(1_000_000))

    status, answer = client.ask("POST", "/slow", body)

    assert status == 200
    assert json.loads(answer) == {"sha256": hashlib.sha256(body).hexdigest(), "small": True}


def test_a_client_that_waits_for_a_word_is_told_to_go_on_when_the_body_is_wanted(client: Client) -> None:
    client.connect()
    head = b"POST /%s HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\nX-Theirs: a\r\n\r\n"

    client.sock.sendall(head % b"back")
    assert client.sock.recv(1000).startswith(b"HTTP/1.1 100 ")
    client.sock.sendall(b"body")
    assert client.sock.recv(1000).startswith(b"HTTP/1.1 201 ")
    client.close()
    client.connect()
    client.sock.sendall(head % b"unread")
    assert client.sock.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_a_sender_that_goes_away_is_no_end_of_its_body(client: Client) -> None:
    client.connect()
    client.sock.sendall(
        b"POST /noted HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n" + b"x" * 2_000_000
    )
    client.close()

    assert ENDS.get(timeout=20) == "Disconnected"


def test_a_chunked_body_arrives_whole_and_a_reply_has_its_own_status_and_headers(client: Client) -> None:
    pieces = [b"a" * 70_000, b"b" * 70_000]
    client.request("POST", "/back", body=iter(pieces), headers={"x-theirs": "tick"}, encode_chunked=True)
    answer = client.getresponse()

    assert (answer.status, answer.getheader("x-mine")) == (201, "tick")
    assert answer.read() == b"".join(pieces)


@pytest.mark.parametrize("host", ["example.org:8080", "[", "a b", "127.0.0.1:99999999"])
def test_any_host_header_is_answered(client: Client, host: str) -> None:
    client.putrequest("GET", "/base?x=1", skip_host=True)
    client.putheader("Host", host)
    client.putheader("X-Forwarded-Proto", "https")
    client.endheaders()
    answer = client.getresponse()

    assert (answer.status, json.loads(answer.read())) == (200, {"base": f"https://{host}"})


def test_a_client_that_leaves_in_the_middle_of_its_body_disturbs_nobody(server: Path, client: Client) -> None:
    leaving = Client(server)
    leaving.putrequest("POST", "/echo/a/b")
    leaving.putheader("Content-Length", "1000000")
    leaving.endheaders(b"only this")
    leaving.close()

    assert client.ask("POST", "/echo/a/b", b"still here")[0] == 200


def test_a_machine_without_threads_loses_one_connection_and_serves_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "few.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    running = HttpServer(Router(SERVED).answer)
    running.listen(listener)
    start = threading.Thread.start
    refused: list[str] = []

    def starting(thread: threading.Thread) -> None:
        if thread.name == "connection" and not refused:
            refused.append(thread.name)
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", starting)
    first, second = Client(path), Client(path)

    with pytest.raises(ConnectionError):  # of which RemoteDisconnected is one
        first.ask("GET", "/base")
    assert second.ask("GET", "/base")[0] == 200
    assert refused
    first.close()
    second.close()
    running.stop(5)
