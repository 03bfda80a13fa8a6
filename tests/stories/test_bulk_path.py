"""Contents of buckets go past the gateway: who answers, what a connection sees of it, and what it costs."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.stories.conftest import Server, wait_until

SIZE = 64_000_000


@pytest.fixture
def address(server: Server) -> tuple[str, int]:
    parts = urlsplit(server.endpoint)
    assert parts.hostname and parts.port
    return parts.hostname, parts.port


@pytest.fixture
def connection(address: tuple[str, int]) -> Iterator[http.client.HTTPConnection]:
    made = http.client.HTTPConnection(*address, timeout=60)
    yield made
    made.close()


def ask(
    connection: http.client.HTTPConnection, verb: str, path: str, body: Any = None, **fields: str
) -> tuple[int, bytes]:
    headers = {name.replace("_", "-"): value for name, value in fields.items()}
    connection.request(verb, path, body, headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


def make_bucket(connection: http.client.HTTPConnection, name: str) -> None:
    assert ask(connection, "POST", "/storage/v1/b", json.dumps({"name": name}))[0] == 200


def bytes_moved(pid: int) -> int:
    """What a process has read and written so far, sockets too."""
    lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("rchar", "wchar")))


def control_plane(gateway: int) -> int:
    children = Path(f"/proc/{gateway}/task/{gateway}/children").read_text().split()
    named = [pid for pid in children if b"control" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")]
    return int(named[0]) if named else 0


def test_contents_do_not_pass_the_gateway(server: Server, connection: http.client.HTTPConnection) -> None:
    make_bucket(connection, "bulk")
    gateway = server.record()["pid"]
    before = bytes_moved(gateway)

    content = os.urandom(1_000_000) * (SIZE // 1_000_000)
    status, _ = ask(connection, "POST", "/upload/storage/v1/b/bulk/o?uploadType=media&name=a", content)
    down = ask(connection, "GET", "/download/storage/v1/b/bulk/o/a?alt=media")
    again = ask(connection, "GET", "/bulk/a", range="bytes=10-19")

    assert (status, down[0], down[1] == content) == (200, 200, True)
    assert again == (206, content[10:20])
    assert bytes_moved(gateway) - before < 1_000_000


def test_one_connection_may_ask_for_everything_in_any_order(connection: http.client.HTTPConnection) -> None:
    make_bucket(connection, "mixed")
    opened = connection.sock

    for _ in range(3):
        assert ask(connection, "GET", "/storage/v1/b/mixed")[0] == 200
        assert ask(connection, "GET", "/v1/projects/local/models")[0] == 200
        assert ask(connection, "GET", "/healthz") == (200, b"ok")
        status, body = ask(
            connection, "POST", "/v1/projects/local/models/none:predict", b'{"instances": [1]}'
        )
        assert (status, json.loads(body)["error"]["status"]) == (404, "NOT_FOUND")
        sent = ask(connection, "POST", "/upload/storage/v1/b/mixed/o?uploadType=media&name=x", b"y" * 300_000)
        assert sent[0] == 200

    assert connection.sock is opened


def test_nothing_is_lost_or_mixed_when_a_connection_goes_back_and_forth(
    connection: http.client.HTTPConnection,
) -> None:
    make_bucket(connection, "to-and-fro")

    for number in range(100):
        # A body in a piece of its own, behind a head that sends the connection back.
        sent = ask(connection, "POST", "/upload/storage/v1/b/to-and-fro/o?uploadType=media&name=x", b"y")
        status, body = ask(connection, "POST", "/v1/projects/local/models", b'{"name": "m-%d"}' % number)
        assert (sent[0], status, json.loads(body)["error"]["status"]) == (200, 400, "INVALID_ARGUMENT")


def test_requests_sent_ahead_are_answered_in_their_order(address: tuple[str, int]) -> None:
    paths = ["/storage/v1/b", "/healthz", "/storage/v1/b/none", "/v1/projects/local/jobs", "/storage/v1/b"]
    with socket.create_connection(address, timeout=60) as wire:
        heads = [f"GET {path} HTTP/1.1\r\nHost: localhost\r\n" for path in paths]
        heads[-1] += "Connection: close\r\n"
        wire.sendall("".join(head + "\r\n" for head in heads).encode())
        answers = b"".join(iter(lambda: wire.recv(65536), b""))

    codes = [int(part[:3]) for part in answers.split(b"HTTP/1.1 ")[1:]]
    assert codes == [200, 200, 404, 200, 200]


def test_a_foreign_host_name_is_refused_on_this_way_too(connection: http.client.HTTPConnection) -> None:
    make_bucket(connection, "private")

    status, body = ask(connection, "GET", "/storage/v1/b/private", host="evil.example")

    assert (status, "evil.example" in json.loads(body)["error"]["message"]) == (403, True)


def test_a_client_that_waits_for_a_word_sends_nothing_to_a_bucket_that_is_not_there(
    address: tuple[str, int],
) -> None:
    head = (
        "POST /upload/storage/v1/b/{}/o?uploadType=media&name=a HTTP/1.1\r\nHost: localhost\r\n"
        "Content-Length: 50000\r\nExpect: 100-continue\r\n\r\n"
    )
    with socket.create_connection(address, timeout=60) as wire:
        wire.sendall(head.format("nowhere").encode())
        assert wire.recv(65536).startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize("first", [b"GET /storage/v1/b HTTP/1.1\r\nHost: localhost\r\n", b"GET /bucket"])
def test_a_head_may_come_in_pieces(address: tuple[str, int], first: bytes) -> None:
    with socket.create_connection(address, timeout=60) as wire:
        wire.sendall(first)
        rest = b"\r\n" if first.endswith(b"\r\n") else b"/x HTTP/1.1\r\nHost: localhost\r\n\r\n"
        wire.sendall(rest)
        assert wire.recv(65536)[9:12] in (b"200", b"404")


def test_requests_wait_for_a_control_plane_that_starts_anew(own_server: Server) -> None:
    parts = urlsplit(own_server.endpoint)
    gateway = own_server.record()["pid"]
    first = http.client.HTTPConnection(parts.netloc, timeout=60)
    make_bucket(first, "stays")
    old = control_plane(gateway)

    os.kill(old, signal.SIGKILL)
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        ask(first, "GET", "/storage/v1/b/stays")
    wait_until(lambda: control_plane(gateway) not in (0, old), "the start of another control plane")
    fresh = http.client.HTTPConnection(parts.netloc, timeout=60)
    found = ask(fresh, "GET", "/storage/v1/b/stays")

    assert found[0] == 200
    first.close()
    fresh.close()


def test_a_hundred_connections_at_once_are_all_served(
    connection: http.client.HTTPConnection, address: tuple[str, int]
) -> None:
    make_bucket(connection, "many")
    several = [http.client.HTTPConnection(*address, timeout=60) for _ in range(100)]

    for number, one in enumerate(several):
        one.request("POST", f"/upload/storage/v1/b/many/o?uploadType=media&name={number}", b"x" * number)
    found = [one.getresponse() for one in several]
    sizes = [int(json.loads(answer.read())["size"]) for answer in found]

    assert sizes == list(range(100))
    for one in several:
        one.close()


def test_many_connections_that_go_back_at_once_are_all_answered(
    connection: http.client.HTTPConnection, address: tuple[str, int]
) -> None:
    make_bucket(connection, "returning")
    several = [http.client.HTTPConnection(*address, timeout=60) for _ in range(150)]
    for one in several:
        assert ask(one, "GET", "/storage/v1/b/returning")[0] == 200

    for one in several:
        one.request("GET", "/healthz")
    answers = [one.getresponse() for one in several]

    assert [(answer.status, answer.read()) for answer in answers] == [(200, b"ok")] * len(several)
    for one in several:
        one.close()
