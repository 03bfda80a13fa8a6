"""The gateway's proxy for jobs: who may use it, and what it does with hosts outside."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlengine.access.domain import JobTokens
from mlengine.backends.keys import job_secret

from .gateway_stand_ins import Gateway, LoneGateways, error
from .gateway_surroundings import HOST, Echo, OuterProxy, ask_for, head_from, through


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


@pytest.fixture(scope="module", params=["uvloop", "asyncio"])
def loop(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def gateway(loop: str, keys: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with Gateway(
        tmp_path_factory.mktemp("g"), loop=loop, keys=str(keys), impersonated_hosts=[HOST]
    ) as gateway:
        yield gateway


@pytest.fixture
def alone(tmp_path: Path):
    with LoneGateways(tmp_path) as make:
        yield make


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.close()


@pytest.fixture
def token(gateway: Gateway, keys: Path) -> str:
    return JobTokens(job_secret(keys)).issue("train_7")


# Who may use the proxy.


@pytest.mark.parametrize(
    "header",
    [
        None,
        "Proxy-Authorization: Basic",
        "Proxy-Authorization: Basic ###",
        "Proxy-Authorization: Bearer train_7.x",
        f"Proxy-Authorization: Basic {base64.b64encode(b'job:').decode()}",
        f"Proxy-Authorization: Basic {base64.b64encode(b'job:train_7').decode()}",
        f"Proxy-Authorization: Basic {base64.b64encode(b'job:train_7.').decode()}",
        f"Proxy-Authorization: Basic {base64.b64encode(b'job:train_7.' + b'A' * 32).decode()}",
        f"Proxy-Authorization: Basic {base64.b64encode('job:train_7.é'.encode()).decode()}",
        f"Proxy-Authorization: Basic {base64.b64encode(bytes(range(256))).decode()}",
    ],
)
@pytest.mark.parametrize("host", [f"{HOST}:443", "127.0.0.1:{echo}"])
def test_without_the_token_of_a_job_there_is_no_way_through(gateway, echo, header, host):
    answer = gateway.raw(ask_for(host.format(echo=echo.port), None, *([header] if header else [])))

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 407 ")
    assert b"\r\nProxy-Authenticate: Basic realm=" in head
    assert error(body)["code"] == 407
    assert echo.accepted == 0


def test_the_token_of_one_job_with_the_name_of_another_is_refused(gateway, echo, token):
    forged = token.replace("train_7", "train_8")

    assert gateway.raw(ask_for(f"127.0.0.1:{echo.port}", forged)).startswith(b"HTTP/1.1 407 ")
    assert echo.accepted == 0


def test_the_token_of_another_server_is_refused(gateway, echo, tmp_path):
    foreign = JobTokens(job_secret(tmp_path)).issue("train_7")

    assert gateway.raw(ask_for(f"127.0.0.1:{echo.port}", foreign)).startswith(b"HTTP/1.1 407 ")
    assert echo.accepted == 0


@pytest.mark.parametrize(
    "authority", ["x", "x:", ":1", "x:0", "x:65536", "x y:1", "http://x:1", "a@b:1", "[::1:1"]
)
def test_a_way_to_nowhere_is_refused(gateway, token, authority):
    assert gateway.raw(ask_for(authority, token)).startswith(b"HTTP/1.1 400 ")


def test_what_a_page_in_a_browser_can_send_opens_nothing(gateway, echo):
    """Pages can neither say CONNECT nor set Proxy-Authorization, but they can put either into a body."""
    body = ask_for(f"127.0.0.1:{echo.port}")
    posted = b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    absolute = f"GET http://127.0.0.1:{echo.port}/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    foreign = f"GET https://{HOST}/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    with gateway.connected() as wire:
        wire.sendall(posted)
        answer = http.client.HTTPResponse(wire)
        answer.begin()
        told = json.loads(answer.read())

    assert (told["method"], told["size"]) == ("POST", len(body))
    # A target with this machine's address is this server's own path, whatever port is written in it.
    assert json.loads(gateway.raw(absolute.encode()).partition(b"\r\n\r\n")[2])["target"] == "/?"
    assert gateway.raw(foreign).startswith(b"HTTP/1.1 403 ")
    assert echo.accepted == 0


# Other hosts.


def test_other_hosts_are_tunnelled_byte_for_byte(gateway, echo, token):
    sent = bytes(range(256)) * 40_000
    with through(gateway, f"127.0.0.1:{echo.port}", token) as wire:
        sender = threading.Thread(target=lambda: (wire.sendall(sent), wire.shutdown(socket.SHUT_WR)))
        sender.start()
        received = b""
        while data := wire.recv(65536):
            received += data
        sender.join()

    assert received == b"hello\n" + sent


def test_a_client_may_send_before_it_is_answered(gateway, echo, token):
    with gateway.connected() as wire:
        wire.sendall(ask_for(f"127.0.0.1:{echo.port}", token) + b"early")
        wire.shutdown(socket.SHUT_WR)
        head_from(wire)
        received = b""
        while data := wire.recv(100):
            received += data

    assert received == b"hello\nearly"


def test_a_reader_that_does_not_read_stops_the_sender_and_not_the_gateway(gateway, token):
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        through(gateway, f"127.0.0.1:{listener.getsockname()[1]}", token) as wire,
    ):
        far, _ = listener.accept()
        before = gateway.memory()
        wire.settimeout(1)
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < 200_000_000:
                sent += wire.send(b"x" * 1_000_000)

        assert gateway.ask("GET", "/healthz")[2] == b"ok"
        assert gateway.memory() - before < 8_000_000
        far.settimeout(20)
        received = 0
        while received < sent:
            received += len(far.recv(1 << 20))
        far.close()
        wire.settimeout(20)
        assert wire.recv(1) == b""


def test_a_host_that_cannot_be_reached_is_told(gateway, token):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    refused = gateway.raw(ask_for(f"127.0.0.1:{port}", token))
    unknown = gateway.raw(ask_for("no-such-host.invalid:443", token))

    assert refused.startswith(b"HTTP/1.1 502 ") and b"cannot be reached" in refused
    assert unknown.startswith(b"HTTP/1.1 502 ") and b"no-such-host.invalid" in unknown


def test_the_log_tells_once_where_a_job_goes_and_tunnels_do_not_hold_up_the_end(alone, echo, keys):
    gateway = alone(keys=str(keys), impersonated_hosts=[HOST])
    token = JobTokens(job_secret(keys)).issue("train_7")
    with through(gateway, f"127.0.0.1:{echo.port}", token) as one:
        assert one.recv(6) == b"hello\n"
        one.shutdown(socket.SHUT_WR)
        assert one.recv(1) == b""
    with through(gateway, f"127.0.0.1:{echo.port}", token) as two:
        assert two.recv(6) == b"hello\n"
        code, text = gateway.stop()
        assert two.recv(1) == b""

    assert (code, text.count(f"Job train_7 has a tunnel to 127.0.0.1:{echo.port}.")) == (0, 1)
    assert token not in text


def test_the_machines_own_proxy_is_asked_where_it_is_set(alone, echo, keys):
    outer = OuterProxy(echo.port)
    try:
        gateway = alone(
            keys=str(keys),
            impersonated_hosts=[HOST],
            outer_proxy=f"http://ada:s%40crit@127.0.0.1:{outer.port}",
            outer_no_proxy="intranet.example,127.0.0.1",
        )
        token = JobTokens(job_secret(keys)).issue("train_7")
        with through(gateway, "far.example:8443", token) as wire:
            assert wire.recv(6) == b"hello\n"
            wire.sendall(b"ping")
            assert wire.recv(4) == b"ping"
        with through(gateway, f"127.0.0.1:{echo.port}", token) as wire:
            assert wire.recv(6) == b"hello\n"
    finally:
        outer.close()

    login = base64.b64encode(b"ada:s@crit").decode()
    (head,) = outer.heads
    assert head.startswith(b"CONNECT far.example:8443 HTTP/1.1\r\n")
    assert f"\r\nProxy-Authorization: Basic {login}\r\n".encode() in head


def test_what_the_machines_own_proxy_refuses_is_told(alone, echo, keys):
    outer = OuterProxy(echo.port, b"HTTP/1.1 403 Not for you\r\n\r\n")
    try:
        gateway = alone(keys=str(keys), impersonated_hosts=[HOST], outer_proxy=f"127.0.0.1:{outer.port}")
        token = JobTokens(job_secret(keys)).issue("train_7")
        answer = gateway.raw(ask_for("far.example:443", token))
    finally:
        outer.close()

    assert answer.startswith(b"HTTP/1.1 502 ") and b"403 Not for you" in answer
