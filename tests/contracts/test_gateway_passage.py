"""What the gateway passes to the control plane and back: every byte, in both directions, in little memory."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from .gateway_stand_ins import Gateway, LoneGateways, error, request, wait_for_end

BLOCK = bytes(range(256)) * 1024
MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module", params=["uvloop", "asyncio"])
def loop(request):
    return request.param


@pytest.fixture(scope="module")
def gateway(loop, tmp_path_factory):
    with Gateway(tmp_path_factory.mktemp("g"), loop=loop) as gateway:
        yield gateway


@pytest.fixture
def alone(tmp_path):
    with LoneGateways(tmp_path) as make:
        yield make


def test_the_names_of_fields_are_written_as_clients_look_for_them(gateway):
    """TensorFlow takes `location` for another field than `Location`."""
    answer = gateway.raw(b"GET /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")

    names = [line.partition(b":")[0] for line in answer.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]]
    assert {b"Content-Type", b"Content-Length", b"Date"} <= set(names)
    assert not [name for name in names if name.islower()]


def test_head_and_body_arrive_as_they_were_sent(gateway):
    headers = {
        "Host": "localhost:99",
        "X-Mine": "é".encode(),
        "Authorization": "Bearer x",
        "Content-Type": "a/b",
    }
    status, _, body = gateway.ask("PUT", "/a%20b/c?d=%26&e", b"hello", headers)
    seen = json.loads(body)
    names = [name for name, _ in seen["headers"]]
    values = dict(seen["headers"])

    assert (status, seen["method"], seen["target"]) == (200, "PUT", "/a%20b/c?d=%26&e")
    assert (seen["size"], seen["sha256"]) == (5, hashlib.sha256(b"hello").hexdigest())
    assert (values["host"], values["authorization"], values["content-type"]) == (
        "localhost:99",
        "Bearer x",
        "a/b",
    )
    assert values["x-mine"] == "é"
    assert (values["x-forwarded-for"], values["x-forwarded-host"]) == ("127.0.0.1", "localhost:99")
    assert values["x-forwarded-proto"] == "http"
    assert len(names) == len(set(names))


def test_a_proxy_in_front_is_believed_about_name_and_scheme(gateway):
    headers = {"X-Forwarded-For": "10.0.0.1", "X-Forwarded-Host": "ml.example", "X-Forwarded-Proto": "https"}
    seen = dict(json.loads(gateway.ask("GET", "/", headers=headers)[2])["headers"])

    assert seen["x-forwarded-for"] == "10.0.0.1, 127.0.0.1"
    assert (seen["x-forwarded-host"], seen["x-forwarded-proto"]) == ("ml.example", "https")


def test_what_speaks_of_one_connection_only_is_not_passed_on(gateway):
    headers = {
        "Connection": "X-Hop, keep-alive",
        "X-Hop": "1",
        "Keep-Alive": "9",
        "TE": "trailers",
        "Upgrade": "x",
    }
    seen = dict(json.loads(gateway.ask("GET", "/", headers=headers)[2])["headers"])

    assert not {"connection", "x-hop", "keep-alive", "te", "upgrade"} & set(seen)


def test_bodies_without_a_length_arrive_whole(gateway):
    seen = json.loads(gateway.ask("POST", "/x", iter([b"ab", b"c" * 100_000]))[2])
    both = gateway.raw(
        request(
            b"Content-Length: 3", b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\n\r\n", path="/x"
        )
    )

    assert seen["size"] == 100_002
    assert b"Connection: close\r\n" in both and b'"size":5' in both and b'"content-length"' not in both


def test_one_connection_serves_predict_paths_and_others_in_turn(gateway):
    connection = gateway.connect()
    connection.connect()
    local = connection.sock.getsockname()
    for n in range(10):
        for method, path, body in (
            ("POST", "/a", b"x" * n),
            ("GET", "/healthz", None),
            ("HEAD", "/stream?blocks=1&length=1", None),
        ):
            connection.request(method, path, body)
            answer = connection.getresponse()
            text = answer.read()
            assert answer.status == 200
            assert path != "/a" or json.loads(text)["size"] == n

    assert connection.sock.getsockname() == local
    connection.close()


@pytest.mark.parametrize("status", [204, 304])
def test_answers_without_a_body_end_with_their_head(gateway, status):
    connection = gateway.connect()
    for _ in range(2):
        connection.request("GET", f"/empty?status={status}")
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (status, b"")
    connection.close()


def test_the_head_of_an_answer_comes_without_its_body(gateway):
    connection = gateway.connect()
    for query, length in (("blocks=3&length=1", str(3 * len(BLOCK))), ("blocks=3", None)):
        connection.request("HEAD", f"/stream?{query}")
        answer = connection.getresponse()
        assert (answer.status, answer.headers["Content-Length"], answer.read()) == (200, length, b"")
    connection.close()


@pytest.mark.parametrize("query", ["", "&length=1"])
def test_a_download_streams_in_little_memory(gateway, query):
    before = gateway.memory()
    connection = gateway.connect()
    connection.request("GET", f"/stream?blocks=256{query}")
    answer = connection.getresponse()
    digest = hashlib.sha256()
    while piece := answer.read(MEGABYTE):
        digest.update(piece)
    connection.close()

    assert digest.hexdigest() == hashlib.sha256(BLOCK * 256).hexdigest()
    assert gateway.memory() - before < 20 * MEGABYTE


def test_a_client_that_does_not_read_stops_the_download_and_not_the_others(gateway):
    before = gateway.memory()
    with gateway.connected() as wire:
        wire.sendall(request(path="/stream?blocks=400", method=b"GET"))
        first = wire.recv(1000)
        for _ in range(50):
            assert gateway.ask("GET", "/x")[0] == 200

    assert first.startswith(b"HTTP/1.1 200 OK")
    assert gateway.memory() - before < 20 * MEGABYTE


@pytest.mark.parametrize("chunked", [False, True])
def test_an_upload_streams_in_little_memory(gateway, chunked):
    before = gateway.memory()
    headers = {} if chunked else {"Content-Length": str(256 * len(BLOCK))}
    seen = json.loads(gateway.ask("POST", "/upload", (BLOCK for _ in range(256)), headers)[2])

    assert (seen["size"], seen["sha256"]) == (256 * len(BLOCK), hashlib.sha256(BLOCK * 256).hexdigest())
    assert gateway.memory() - before < 20 * MEGABYTE


def test_an_answer_before_the_end_of_the_upload_reaches_the_client(gateway):
    text = gateway.raw(
        request(b"Content-Length: 1000000", path="/early"), b"x" * 500_000, b"x" * 500_000,
        request(b"Connection: close", path="/next", method=b"GET"),
    )  # fmt: skip
    refused = gateway.raw(request(b"Content-Length: 1000000", b"Expect: 100-continue", path="/early"))

    assert text.startswith(b"HTTP/1.1 403 Forbidden") and b'"target":"/next?"' in text
    assert refused.startswith(b"HTTP/1.1 403 Forbidden") and b"Connection: close" in refused


def test_pipelined_requests_are_answered_in_order(gateway):
    requests = [request(b"Content-Length: 3", body=b"abc", path=f"/{n}") for n in range(100)]
    text = gateway.raw(b"".join(requests), request(b"Connection: close", path="/last", method=b"GET"))

    targets = [part.partition('"')[0] for part in text.decode().split('"target":"')[1:]]
    assert targets == [f"/{n}?" for n in range(100)] + ["/last?"]


def test_a_client_that_leaves_is_missed_by_the_control_plane(gateway):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.settimeout(10)
        listener.bind(str(gateway.folder / "watch.sock"))
        listener.listen()
        with gateway.connected() as wire:
            wire.sendall(request(path="/watch", method=b"GET"))
            told = listener.accept()[0]
            first = told.recv(6)
        with told:
            told.settimeout(10)
            last = told.recv(6)
    (gateway.folder / "watch.sock").unlink()

    assert (first, last) == (b"asked\n", b"gone\n")


def test_a_control_plane_that_dies_over_a_request_is_reported_and_later_requests_wait_for_the_next(tmp_path):
    with Gateway(tmp_path) as gateway, ThreadPoolExecutor(4) as pool:
        connection = gateway.connect()
        connection.request("GET", "/pid")
        first = json.loads(connection.getresponse().read())
        status, headers, body = gateway.ask("POST", "/end", b"x")
        wait_for_end(first)
        later = list(pool.map(lambda n: gateway.ask("POST", f"/{n}", b"x" * 300_000)[0], range(4)))
        connection.request("GET", "/pid")
        second = json.loads(connection.getresponse().read())
        connection.close()
        code, text = gateway.stop()

    assert (status, headers["Retry-After"], error(body)["status"]) == (503, "1", "UNAVAILABLE")
    assert later == [200] * 4
    assert second != first
    assert (code, text.count("ended with exit code 4; starting it again")) == (0, 1)


def test_without_a_control_plane_requests_are_refused_after_a_while(alone):
    gateway = alone(control_seconds=0.2)
    connection = gateway.connect()
    for _ in range(2):
        connection.request("POST", "/x", b"body")
        answer = connection.getresponse()
        body = answer.read()
        assert (answer.status, error(body)["status"]) == (503, "UNAVAILABLE")
        assert "0.2 s" in error(body)["message"]
    connection.close()


class ScriptedControlPlane:
    """A Unix socket whose connections answer as a test says, byte by byte."""

    def __init__(self, path: str) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen()

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self._listener.close()

    def serve(self, *connections) -> threading.Thread:
        """In order, each connection gets a list of answers; None hangs up before the next answer.

        The next connection is served when the gateway leaves one, too.
        """

        def run() -> None:
            for answers in connections:
                with self._listener.accept()[0] as wire:
                    for answer in answers:
                        text = b""
                        while b"\r\n\r\n" not in text:
                            piece = wire.recv(65536)
                            if not piece:
                                break
                            text += piece
                        if answer is None or not text:
                            break
                        wire.sendall(answer)

        thread = threading.Thread(target=run)
        thread.start()
        return thread


@pytest.fixture
def scripted(alone):
    gateway = alone()
    with ScriptedControlPlane(gateway.settings["control_socket"]) as control:
        yield gateway, control


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def test_a_connection_that_went_stale_is_replaced_for_what_may_be_repeated(scripted):
    gateway, control = scripted
    thread = control.serve([OK, None], [OK, OK, None])

    answers = [gateway.ask("GET", "/x")[0] for _ in range(3)]
    unsafe = gateway.ask("POST", "/x", b"")
    thread.join()

    assert answers == [200, 200, 200]
    assert (unsafe[0], error(unsafe[2])["status"]) == (503, "UNAVAILABLE")


def test_an_answer_that_ends_with_its_connection_is_framed_for_the_client(scripted):
    gateway, control = scripted
    thread = control.serve([b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\nhello"])

    text = gateway.raw(
        request(path="/x", method=b"GET"), request(b"Connection: close", path="/healthz", method=b"GET")
    )
    thread.join()

    assert text.startswith(
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked"
    )
    assert b"\r\n\r\n5\r\nhello\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n" in text


def test_an_answer_that_breaks_off_is_not_passed_off_as_whole(scripted):
    gateway, control = scripted
    thread = control.serve(
        [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"],
        [b"no HTTP at all\r\n\r\n"],
    )

    short, chunked, nonsense = (
        gateway.raw(request(b"Connection: close", path="/x", method=b"GET")) for _ in range(3)
    )
    thread.join()

    assert b"Content-Length: 9" in short and not short.endswith(b"\r\n\r\nhello!!!!")
    assert short.partition(b"\r\n\r\n")[2] in (b"", b"hello")
    assert b"0\r\n\r\n" not in chunked
    assert nonsense.startswith(b"HTTP/1.1 503 ")


@pytest.mark.parametrize(
    "method, answer",
    [("GET", OK + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nwrong!"), ("HEAD", OK), ("GET", OK + b"?")],
)
def test_a_connection_with_bytes_after_its_answer_serves_no_other_client(scripted, method, answer):
    gateway, control = scripted
    thread = control.serve([answer, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno"], [OK])

    first, second = gateway.ask(method, "/1"), gateway.ask("GET", "/2")
    thread.join()

    assert (first[0], first[2]) == (200, b"ok" if method == "GET" else b"")
    assert (second[0], second[2]) == (200, b"ok")


def test_an_answer_with_two_lengths_has_one_for_the_client(scripted):
    gateway, control = scripted
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
    thread = control.serve([head + b"5\r\nhello\r\n0\r\n\r\n"])

    _, headers, body = gateway.ask("GET", "/x")
    thread.join()

    assert (headers["Content-Length"], body) == (None, b"hello")
