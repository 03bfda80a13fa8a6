"""The gateway as its clients see it: which requests it answers and how, and which it refuses.

What it passes to the control plane is in `test_gateway_passage.py`; bounds, deaths, start and end are in
`test_gateway_life.py`.
"""

from __future__ import annotations

import gzip
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from .gateway_stand_ins import (
    HOST,
    PATH,
    PROJECTS,
    Gateway,
    LoneGateways,
    Worker,
    error,
    request,
)


@pytest.fixture(scope="module", params=["uvloop", "asyncio"])
def loop(request):
    return request.param


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    with Worker(tmp_path_factory.mktemp("w") / "worker.sock") as worker:
        yield worker


@pytest.fixture(scope="module")
def gateway(loop, tmp_path_factory, worker):
    with Gateway(tmp_path_factory.mktemp("g"), loop=loop, max_body_bytes=4_000_000) as gateway:
        gateway.route({"p/m/v1": worker, "p/m/v 2": worker, "p/full/v1": worker}, {"p/m": "v1"})
        yield gateway


@pytest.fixture
def alone(tmp_path):
    with LoneGateways(tmp_path) as make:
        yield make


# Predictions.


@pytest.mark.parametrize(
    "path",
    [
        "p/models/m", "p/models/m/versions/v1", "p/models/m/versions/v%202", "%70/models/m",
        "p/models/m%3Apredict?key=", "p/models/m:predict?alt=json&key=", "p/models/m:predict?callback=&key=",
    ],
)  # fmt: skip
def test_a_prediction_goes_to_the_worker_of_its_version(gateway, worker, path):
    status, headers, body = gateway.ask(
        "POST", f"{PROJECTS}/{path}:predict", b'{"instances": [1, "\xc3\xa9"]}'
    )

    assert (status, headers["Content-Type"]) == (200, "application/json; charset=UTF-8")
    assert json.loads(body) == {"predictions": [{"instances": [1, "é"]}], "worker": worker.child.pid}


def test_the_status_of_the_worker_is_passed_on(gateway):
    assert [gateway.predict(status=status)[0] for status in (400, 413, 500)] == [400, 413, 500]


def test_a_path_without_a_route_goes_to_the_control_plane(gateway):
    for path in ("p/models/none", "p/models/m/versions/v3", "p/models/m%2Fversions%2Fv1", "q/models/m"):
        status, _, body = gateway.ask("POST", f"{PROJECTS}/{path}:predict?x=1", b"{}")

        assert (status, json.loads(body)["target"]) == (200, f"{PROJECTS}/{path}:predict?x=1")
    assert json.loads(gateway.ask("GET", PATH)[2])["method"] == "GET"


@pytest.mark.parametrize(
    "headers, body",
    [
        ((b"Transfer-Encoding: chunked",), b"4;x=y\r\n{\"a\"\r\n4\r\n: 1}\r\n0\r\nTrailer: x\r\n\r\n"),
        ((b"Transfer-Encoding: Chunked", b"Content-Length: 2"), b"8\r\n{\"a\": 1}\r\n0\r\n\r\n"),
        ((b"Content-Length: 2", b"Transfer-Encoding: chunked"), b"8\r\n{\"a\": 1}\r\n0\r\n\r\n"),
        ((b"Transfer-Encoding: identity", b"Content-Length: 8"), b'{"a": 1}'),
        ((b"Upgrade: h2c", b"Connection: Upgrade, HTTP2-Settings", b"Content-Length: 8"), b'{"a": 1}'),
        ((b"Content-Encoding: gzip", b"Content-Length: 28"), gzip.compress(b'{"a": 1}', mtime=0)),
    ],
)  # fmt: skip
def test_a_body_arrives_however_it_is_framed(gateway, headers, body):
    answer = gateway.raw(
        request(*headers, body=body), request(b"Connection: close", path="/x", method=b"GET")
    )

    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b'"predictions": [{"a": 1}]' in answer


def test_a_request_with_two_lengths_smuggles_no_other(gateway):
    before = gateway.figures()["codes"]["200"]
    smuggled = request(b"Content-Length: 2", body=b"{}")
    answer = gateway.raw(
        request(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"2\r\n{}\r\n0\r\n\r\n" + smuggled)
    )

    assert gateway.figures()["codes"]["200"] == before + 1
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"Connection: close\r\n" in answer


def test_a_connection_ended_by_the_gateway_is_not_reset_under_a_client_that_goes_on_sending(gateway):
    both = request(b"Content-Length: 2", b"Transfer-Encoding: chunked", body=b"2\r\n{}\r\n0\r\n\r\n")
    with gateway.connected() as wire:
        wire.sendall(both)
        answer = wire.recv(65536)
        wire.sendall(both)
        wire.sendall(both)

        assert answer.startswith(b"HTTP/1.1 200 OK") and wire.recv(65536) == b""


def test_many_requests_share_a_connection_and_answers_keep_their_order(gateway, worker):
    with gateway.connected() as wire:
        bodies = [b'{"hold": "first", "n": 0}', *(b'{"n": %d}' % n for n in range(1, 150))]
        wire.sendall(b"".join(request(b"Content-Length: %d" % len(body), body=body) for body in bodies))
        wire.sendall(
            request(path="/in-between", method=b"GET")
            + request(b"Connection: close", path="/healthz", method=b"GET")
        )
        worker.wait_for("first")
        worker.release("first")
        answers = b""
        while data := wire.recv(65536):
            answers += data

    parts = answers.split(b"HTTP/1.1 200 OK\r\n")[1:]
    seen = [json.loads(part.partition(b"\r\n\r\n")[2])["predictions"][0]["n"] for part in parts[:150]]
    assert seen == list(range(150))
    assert json.loads(parts[150].partition(b"\r\n\r\n")[2])["target"] == "/in-between?"
    assert parts[151].endswith(b"\r\n\r\nok")


def test_two_hundred_connections_each_get_their_own_answer(gateway):
    start = threading.Barrier(200)

    def talk(n: int) -> list[int]:
        connection = gateway.connect()
        connection.connect()
        start.wait(20)
        seen = []
        for turn in range(5):
            connection.request("POST", PATH, json.dumps({"n": n * 10 + turn}))
            seen.append(json.loads(connection.getresponse().read())["predictions"][0]["n"])
        connection.close()
        return seen

    with ThreadPoolExecutor(200) as pool:
        answers = list(pool.map(talk, range(200)))

    assert answers == [[n * 10 + turn for turn in range(5)] for n in range(200)]


def test_a_client_that_waits_for_continue_gets_it(gateway):
    for path in (PATH, "/upload"):
        with gateway.connected() as wire:
            wire.sendall(
                request(b"Expect: 100-continue", b"Content-Length: 2", b"Connection: close", path=path)
            )
            first = wire.recv(65536)
            wire.sendall(b"{}")
            answer = wire.recv(65536)

        assert (first, answer[:15]) == (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK")


def test_an_http10_client_is_served(gateway):
    closing = gateway.raw(b"POST %b HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}" % PATH.encode())
    kept = gateway.raw(
        b"POST %b HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}" % PATH.encode(),
        b"GET /stream?blocks=1 HTTP/1.0\r\n\r\n",
    )

    assert b"Connection: close\r\n" in closing
    assert kept.count(b"HTTP/1.1 200 OK") == 2 and kept.endswith(bytes(range(256)))
    assert b"Connection: keep-alive\r\n" in kept and b"chunked" not in kept


# Refusals.


@pytest.mark.parametrize("framing", ["length", "chunked", "gzip"])
def test_a_body_over_the_limit_is_refused(gateway, framing):
    body = b" " * 4_000_001
    headers = {"Content-Encoding": "gzip"} if framing == "gzip" else {}
    sent = {
        "length": body,
        "chunked": iter([body[:2_000_000], body[2_000_000:]]),
        "gzip": gzip.compress(body),
    }
    status, _, answer = gateway.ask("POST", PATH, sent[framing], headers)

    assert (status, error(answer)["code"]) == (413, 413)
    assert "4000000" in error(answer)["message"]


def test_a_body_of_the_limit_is_passed_on(gateway):
    for headers, body in (
        ({}, b" " * 4_000_000),
        ({"Content-Encoding": "gzip"}, gzip.compress(b" " * 4_000_000)),
    ):
        assert json.loads(gateway.ask("POST", PATH, body, headers)[2])["bytes"] == 4_000_000


def test_a_body_that_is_not_gzip_is_refused(gateway):
    for body in (b"plain", gzip.compress(b"{}")[:-3]):
        status, _, answer = gateway.ask("POST", PATH, body, {"Content-Encoding": "gzip"})

        assert (status, error(answer)["status"]) == (400, "INVALID_ARGUMENT")
    assert gateway.ask("POST", PATH, b"x", {"Content-Encoding": "br"})[0] == 415


def test_a_large_answer_arrives_whole(gateway):
    body = gateway.ask("POST", PATH, b'{"length": 5000000}')[2]

    assert len(body) == 5_000_000


@pytest.mark.parametrize(
    "text, code",
    [
        (b"NONSENSE\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: localhost\r\n\r\n", 505),
        (request(b"Host: localhost"), 400),
        (request(b"Content-Length: 1", b"Content-Length: 2"), 400),
        (request(b"Transfer-Encoding: gzip, chunked"), 501),
        (request(b"Transfer-Encoding: chunked", body=b"zz\r\n"), 400),
        (request(b"Transfer-Encoding: chunked", body=b"zz\r\n", path="/x"), 400),
        (request(b"Long: " + b"x" * 66_000), 431),
        (request(b"Long: " + b"x" * 1_000_000), 431),
        (b"GET /" + b"x" * 66_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 431),
        (b"CONNECT localhost:1 HTTP/1.1\r\n" + HOST + b"\r\n", 405),
    ],
)
def test_what_is_not_proper_http_is_refused_and_the_connection_closed(gateway, text, code):
    head, _, body = gateway.raw(text).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 %d " % code)
    assert b"Connection: close" in head
    assert error(body)["code"] == code


def test_a_gateway_on_a_loopback_address_answers_to_the_names_of_the_machine_only(gateway):
    asked = {
        host: gateway.ask("GET", "/healthz", headers={"Host": host})[0]
        for host in (
            "localhost", "LOCALHOST:80", "127.0.0.1:1234", "[::1]", "[::1]:9", "evil.example",
            "localhost.evil:80", "127.0.0.1.evil", "[::1].evil", "localhost:80:80", "", "[::2]",
        )
    }  # fmt: skip

    assert [host for host, status in asked.items() if status == 200] == list(asked)[:5]
    assert set(list(asked.values())[5:]) == {403}
    assert "'evil.example'" in error(gateway.ask("POST", PATH, b"{}", {"Host": "evil.example"})[2])["message"]
    assert b"HTTP/1.1 403" in gateway.raw(b"GET http://evil.example/ HTTP/1.1\r\n" + HOST + b"\r\n")


def test_further_names_can_be_allowed(alone):
    gateway = alone(allowed_hosts=["ml.example"])

    assert gateway.ask("GET", "/healthz", headers={"Host": "ML.example:8080"})[0] == 200
    assert gateway.ask("GET", "/healthz", headers={"Host": "other.example"})[0] == 403


def test_health_is_answered_by_the_gateway_itself(alone):
    gateway = alone()
    status, _, body = gateway.ask("GET", "/healthz")
    _, headers, nothing = gateway.ask("HEAD", "/healthz?verbose")

    assert (status, body, headers["Content-Length"], nothing) == (200, b"ok", "2", b"")
