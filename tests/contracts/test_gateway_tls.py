"""The gateway's port for https, and its proxy for jobs: what is answered, tunnelled, refused."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlengine.access.domain import JobTokens
from mlengine.backends.keys import job_secret

from .gateway_stand_ins import PATH, Gateway, LoneGateways, Worker, error
from .gateway_surroundings import HOST, ask_for, head_from, through, wire_to


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
def token(gateway: Gateway, keys: Path) -> str:
    return JobTokens(job_secret(keys)).issue("train_7")


@pytest.fixture
def trusting(gateway: Gateway, keys: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(keys / "roots.pem"))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


def inside(gateway: Gateway, token: str, trusting: ssl.SSLContext) -> http.client.HTTPConnection:
    """An HTTP connection to HOST through the proxy."""
    connection = http.client.HTTPConnection(HOST, timeout=20)
    connection.sock = trusting.wrap_socket(through(gateway, f"{HOST}:443", token), server_hostname=HOST)
    return connection


# The port for https.


def test_requests_on_the_tls_port_are_answered_and_passed_on_as_https(gateway, trusting):
    connection = http.client.HTTPSConnection("localhost", gateway.tls_port, context=trusting, timeout=20)
    connection.request("PUT", "/a%2Fb?c", b"x" * 300_000)
    told = json.loads(connection.getresponse().read())
    connection.request("GET", "/healthz")
    health = connection.getresponse().read()
    connection.close()

    headers = dict(told["headers"])
    assert (told["target"], told["size"], health) == ("/a%2Fb?c", 300_000, b"ok")
    assert headers["x-forwarded-proto"] == "https"
    assert headers["host"] == f"localhost:{gateway.tls_port}"
    assert gateway.ask("GET", "/x")[2].count(b'"http"') == 1


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_the_certificate_is_good_for_every_name_of_this_machine(gateway, trusting, name):
    with (
        wire_to(gateway.tls_port) as wire,
        trusting.wrap_socket(wire, server_hostname=name) as secured,
    ):
        assert secured.version() == "TLSv1.3"


def test_who_was_not_told_to_trust_us_does_not(gateway):
    with (
        pytest.raises(ssl.SSLCertVerificationError),
        wire_to(gateway.tls_port) as wire,
    ):
        ssl.create_default_context().wrap_socket(wire, server_hostname="localhost")


def test_a_prediction_is_answered_on_the_tls_port(gateway, trusting, tmp_path):
    with Worker(tmp_path / "w.sock") as worker:
        gateway.route({"p/m/v1": worker}, {"p/m": "v1"})
        connection = http.client.HTTPSConnection("localhost", gateway.tls_port, context=trusting, timeout=20)
        connection.request("POST", PATH, b'{"n": 1}')
        answer = json.loads(connection.getresponse().read())
        connection.close()
        gateway.route({})

    assert answer["predictions"] == [{"n": 1}]


def test_plain_words_on_the_tls_port_harm_nobody_else(gateway, trusting):
    with wire_to(gateway.tls_port) as wire:
        wire.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert not wire.recv(100).startswith(b"HTTP/1.1 2")

    connection = http.client.HTTPSConnection("localhost", gateway.tls_port, context=trusting, timeout=20)
    connection.request("GET", "/healthz")
    assert connection.getresponse().read() == b"ok"
    connection.close()


def test_other_names_are_not_answered_on_the_tls_port(gateway, trusting):
    connection = http.client.HTTPSConnection("localhost", gateway.tls_port, context=trusting, timeout=20)
    for name in (HOST, "evil.example"):
        connection.request("GET", "/x", headers={"Host": name})
        answer = connection.getresponse()

        assert (answer.status, error(answer.read())["status"]) == (403, "PERMISSION_DENIED")
        connection.close()


def test_the_tls_port_is_a_fixed_step_above_the_plain_one_unless_that_is_taken(alone, keys):
    # Below those which the system hands out to anybody.
    port = next(port for port in range(20_000, 30_000) if is_free(port) and is_free(port + 363))
    first = alone(port=port, keys=str(keys), impersonated_hosts=[HOST])
    first.stop()
    with socket.create_server(("127.0.0.1", port + 363)):
        second = alone(port=port, keys=str(keys), impersonated_hosts=[HOST])
        with pytest.raises(AssertionError, match=r"Port \d+ on 127.0.0.1 is in use.*--tls-port"):
            alone(port=0, tls_port=port + 363, keys=str(keys), impersonated_hosts=[HOST])

    assert (first.port, first.tls_port) == (port, port + 363)
    assert second.port == port
    assert second.tls_port not in (0, port + 363)


def is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


# Hosts that we stand in for.


def test_a_host_we_stand_in_for_is_answered_by_us_under_its_name(gateway, token, trusting):
    connection = inside(gateway, token, trusting)
    told = []
    for number in range(3):
        connection.request("GET", f"/bucket/{number}", headers={"Authorization": "Bearer x"})
        told.append(json.loads(connection.getresponse().read()))
    connection.close()

    assert [one["target"] for one in told] == ["/bucket/0?", "/bucket/1?", "/bucket/2?"]
    headers = dict(told[0]["headers"])
    assert (headers["host"], headers["x-forwarded-proto"]) == (HOST, "https")
    assert headers["authorization"] == "Bearer x"
    assert "proxy-authorization" not in headers


def test_what_tensorflow_sends_is_understood(gateway, token, trusting):
    """Both lengths, a coding of the past, and the wish to be asked for the body."""
    connection = inside(gateway, token, trusting)
    connection.sock.sendall(
        b"PUT /x HTTP/1.1\r\nHost: %b\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n"
        b"Expect: 100-continue\r\n\r\n" % HOST.encode()
    )
    assert head_from(connection.sock) == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.sock.sendall(b"5\r\nhello\r\n0\r\n\r\n")
    answer = http.client.HTTPResponse(connection.sock)
    answer.begin()
    assert json.loads(answer.read())["size"] == 5
    connection.close()

    connection = inside(gateway, token, trusting)
    connection.sock.sendall(
        b"POST /x HTTP/1.1\r\nHost: %b\r\nContent-Length: 5\r\nTransfer-Encoding: identity\r\n\r\nhello"
        % HOST.encode()
    )
    answer = http.client.HTTPResponse(connection.sock)
    answer.begin()
    assert json.loads(answer.read())["size"] == 5
    connection.close()


def test_other_names_are_not_answered_inside(gateway, token, trusting):
    connection = inside(gateway, token, trusting)
    connection.request("GET", "/x", headers={"Host": "evil.example"})

    assert connection.getresponse().status == 403
    connection.close()


def test_the_name_of_a_host_we_stand_in_for_opens_nothing_without_the_proxy(gateway):
    assert gateway.ask("GET", "/x", headers={"Host": HOST})[0] == 403


def test_a_client_that_speaks_no_tls_inside_harms_nobody_else(gateway, token, trusting):
    with through(gateway, f"{HOST}:443", token) as wire:
        wire.sendall(b"GET / HTTP/1.1\r\n\r\n" * 100)
        while wire.recv(65536):
            pass
    hasty = gateway.raw(ask_for(f"{HOST}:443", token) + b"too early")
    assert hasty.startswith(b"HTTP/1.1 400 ")

    connection = inside(gateway, token, trusting)
    connection.request("GET", "/x")
    assert connection.getresponse().status == 200
    connection.close()


def test_the_proxy_is_on_the_plain_port_only(gateway, trusting, token):
    with (
        wire_to(gateway.tls_port) as wire,
        trusting.wrap_socket(wire, server_hostname="localhost") as secured,
    ):
        secured.sendall(ask_for("127.0.0.1:1", token))
        assert secured.recv(100).startswith(b"HTTP/1.1 405 ")

    nested = inside(gateway, token, trusting)
    nested.sock.sendall(ask_for("127.0.0.1:1", token))
    assert nested.sock.recv(100).startswith(b"HTTP/1.1 405 ")
    nested.close()
