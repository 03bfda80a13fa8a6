"""The gateway over time: full queues, workers that start or die, routes that move, its own start and end."""

from __future__ import annotations

import json
import os
import signal
import stat
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mlengine.errors import FailedPrecondition
from mlengine.serving.gateway import GatewaySettings, run

from .gateway_stand_ins import (
    PATH,
    Gateway,
    LoneGateways,
    Worker,
    error,
    request,
    wait_for_end,
)


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    with Worker(tmp_path_factory.mktemp("w") / "worker.sock") as worker:
        yield worker


@pytest.fixture
def old(tmp_path):
    with Worker(tmp_path / "old.sock") as worker:
        yield worker


@pytest.fixture
def alone(tmp_path):
    with LoneGateways(tmp_path) as make:
        yield make


# Too many, too slow, gone.


def test_requests_over_the_queue_limit_are_refused_without_the_worker(alone, worker):
    gateway = alone(queue_limit=3)
    gateway.route({"p/m/v1": worker}, {"p/m": "v1"})
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(gateway.predict, hold="queue") for _ in range(3)]
        worker.wait_for("queue", 3)
        status, headers, body = gateway.ask("POST", PATH, b"{}")
        worker.release("queue")
        answered = [each.result()[0] for each in waiting]

    assert (status, headers["Retry-After"], error(body)["status"]) == (429, "1", "RESOURCE_EXHAUSTED")
    assert answered == [200, 200, 200]
    assert gateway.predict(n=1)[0] == 200
    version = gateway.figures()
    assert (version["codes"], version["inFlight"]) == ({"200": 4, "429": 1}, 0)


def test_a_request_is_refused_when_the_queue_filled_up_while_its_body_came(alone, worker):
    gateway = alone(queue_limit=1)
    gateway.route({"p/m/v1": worker}, {"p/m": "v1"})
    with ThreadPoolExecutor(1) as pool, gateway.connected() as wire:
        wire.sendall(request(b"Content-Length: 2", body=b"{"))
        waiting = pool.submit(gateway.predict, hold="filled")
        worker.wait_for("filled")
        wire.sendall(b"}")
        answer = wire.recv(65536)
        worker.release("filled")

        assert waiting.result()[0] == 200
    assert answer.startswith(b"HTTP/1.1 429 ")


def test_a_client_that_sends_more_than_it_can_be_answered_is_read_no_further(alone, worker):
    gateway = alone()
    gateway.route({"p/m/v1": worker}, {"p/m": "v1"})
    body = b'{"hold": "flood"}'
    first = request(b"Content-Length: %d" % len(body), body=body)
    more = request(b"X: " + b"x" * 10_000, b"Content-Length: 2", body=b"{}") * 10
    with gateway.connected() as wire:
        wire.sendall(first)
        worker.wait_for("flood")
        wire.settimeout(0.5)
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < 60_000_000:
                sent += wire.send(more)
        worker.release("flood")
        wire.settimeout(10)

        assert wire.recv(65536).startswith(b"HTTP/1.1 200 OK")


def test_requests_over_the_limit_of_bytes_are_refused(alone, worker):
    gateway = alone(queue_bytes=10)
    gateway.route({"p/m/v1": worker}, {"p/m": "v1"})
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(gateway.predict, hold="bytes")
        worker.wait_for("bytes")
        status = gateway.predict()[0]
        worker.release("bytes")

    assert (status, waiting.result()[0], gateway.predict()[0]) == (429, 200, 200)


def test_a_request_waits_for_a_worker_that_is_starting(alone, tmp_path):
    gateway = alone()
    gateway.route({"p/m/v1": tmp_path / "late.sock"}, {"p/m": "v1"})
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(gateway.predict, n=1)
        while not gateway.figures()["held"]:
            time.sleep(0.01)  # Nothing tells that a request is held; the order of the two must be certain.
        with Worker(tmp_path / "late.sock") as worker:
            status, body = waiting.result()

    assert (status, body["worker"]) == (200, worker.child.pid)


def test_a_request_waits_no_longer_than_it_may_for_a_worker(alone, tmp_path):
    gateway = alone(wake_seconds=0.2)
    gateway.route({"p/m/v1": tmp_path / "never.sock"}, {"p/m": "v1"})
    status, headers, body = gateway.ask("POST", PATH, b"{}")

    assert (status, headers["Retry-After"], error(body)["status"]) == (503, "1", "UNAVAILABLE")
    assert "p/m/v1" in error(body)["message"] and "0.2 s" in error(body)["message"]


def test_a_request_that_takes_too_long_is_answered_and_its_late_answer_dropped(alone, worker):
    gateway = alone(deadline_seconds=0.2)
    gateway.route({"p/m/v1": worker}, {"p/m": "v1"})
    status, body = gateway.predict(hold="late")
    worker.release("late")

    assert (status, body["error"]["status"]) == (504, "DEADLINE_EXCEEDED")
    assert gateway.predict(n=7)[1]["predictions"] == [{"n": 7}]
    assert gateway.admin(op="status")["inFlight"] == 0
    assert gateway.stop() == (0, "")


def test_the_requests_of_a_worker_that_dies_are_asked_again_of_the_next(alone, tmp_path):
    gateway = alone()
    gateway.route({"p/m/v1": tmp_path / "w.sock"}, {"p/m": "v1"})
    with ThreadPoolExecutor(8) as pool:
        with Worker(tmp_path / "w.sock") as first:
            waiting = [pool.submit(gateway.predict, hold="again") for _ in range(8)]
            first.wait_for("again", 8)
            first.child.kill()
        with Worker(tmp_path / "w.sock") as second:
            second.wait_for("again", 8)
            second.release("again")
            answers = [each.result() for each in waiting]
    figures = gateway.figures()

    assert {(status, body["worker"]) for status, body in answers} == {(200, second.child.pid)}
    assert (figures["codes"], figures["retried"], figures["inFlight"]) == ({"200": 8}, 8, 0)


def test_a_request_over_which_two_workers_die_is_refused_and_is_not_asked_of_a_third(alone, tmp_path):
    gateway = alone()
    gateway.route({"p/m/v1": tmp_path / "w.sock"}, {"p/m": "v1"})
    with ThreadPoolExecutor(1) as pool:
        with Worker(tmp_path / "w.sock") as first:
            waiting = pool.submit(gateway.ask, "POST", PATH, b'{"die": 1}')
            first.child.wait(10)
        with Worker(tmp_path / "w.sock") as second:
            second.child.wait(10)
        status, headers, body = waiting.result()
    with Worker(tmp_path / "w.sock"):
        after = gateway.predict(n=1)[0]

    assert (status, headers["Retry-After"], error(body)["status"]) == (503, "1", "UNAVAILABLE")
    assert "so did the next one" in error(body)["message"]
    assert after == 200


def test_a_client_that_leaves_leaves_nothing_behind(alone, worker):
    gateway = alone()
    gateway.route({"p/m/v1": worker}, {"p/m": "v1"})
    body = b'{"hold": "left"}'
    for _ in range(20):
        with gateway.connected() as wire:
            wire.sendall(request(b"Content-Length: %d" % len(body), body=body))
            worker.wait_for("left")
    worker.wait_for("left", 20)
    worker.release("left")

    assert gateway.predict(n=1)[0] == 200
    status = gateway.admin(op="status")
    assert status["inFlight"] == 0
    assert gateway.figures()["codes"] == {"200": 1, "499": 20}
    while status["connections"]:
        time.sleep(
            0.01
        )  # The gateway tells nobody that a connection has ended; a leak ends in the time limit.
        status = gateway.admin(op="status")


def test_clients_that_dawdle_are_parted_from(alone, worker):
    gateway = alone(header_seconds=0.5, body_seconds=0.5)
    gateway.route({"p/m/v1": worker}, {"p/m": "v1"})

    for text in (
        b"POST /v1/",
        request(b"Content-Length: 9", body=b"{"),
        request(b"Content-Length: 9", path="/x"),
    ):
        assert gateway.raw(text).startswith(b"HTTP/1.1 408 ")
    assert gateway.raw() == b""


# Routes.


def test_moving_a_default_and_removing_the_old_version_fails_no_request(alone, old, tmp_path):
    gateway = alone()
    gateway.route({"p/m/v1": old}, {"p/m": "v1"})
    stop = threading.Event()

    def talk() -> list[tuple[int, int]]:
        connection, seen = gateway.connect(), []
        while not stop.is_set():
            connection.request("POST", PATH, b"{}")
            answer = connection.getresponse()
            seen.append((answer.status, json.loads(answer.read())["worker"]))
        connection.close()
        return seen

    with Worker(tmp_path / "second.sock") as second, ThreadPoolExecutor(5) as pool:
        held = pool.submit(gateway.predict, hold="drain")
        old.wait_for("drain")
        talkers = [pool.submit(talk) for _ in range(4)]
        both = {"p/m/v1": old, "p/m/v2": second}
        for _ in range(20):
            gateway.route(both, {"p/m": "v2"})
            gateway.predict()
            gateway.route(both, {"p/m": "v1"})
            gateway.predict()
        gateway.route({"p/m/v2": second}, {"p/m": "v2"})
        last = gateway.predict()
        stop.set()
        seen = [each for talker in talkers for each in talker.result()]
        old.release("drain")

        assert held.result() == (200, {"predictions": [{"hold": "drain"}], "worker": old.child.pid})
        old.wait_for_connections(0)
    assert {status for status, _ in seen} == {200}
    assert {pid for _, pid in seen} == {old.child.pid, second.child.pid}
    assert last[1]["worker"] == second.child.pid


def test_the_admin_socket_is_private_and_says_what_is_wrong_with_an_order(alone, tmp_path):
    gateway = alone()
    mode = stat.S_IMODE(Path(gateway.settings["admin_socket"]).stat().st_mode)
    wrong = [
        {"op": "dance"}, {"op": "routes"}, {"op": "routes", "versions": []},
        {"op": "routes", "versions": {"p/m": {"sockets": []}}}, {"op": "routes", "versions": {"p/m/v": 3}},
        {"op": "routes", "versions": {}, "models": {"p": {"split": {"v": 100}}}},
        {"op": "routes", "versions": {}, "models": {"p/m": {"split": {"v": 90}}}},
        {"op": "routes", "versions": {"p/m/v": {"sockets": "/x"}}},
        {"op": "routes", "versions": {"p/m/v": {"sockets": ["/x"], "queueLimit": 0}}},
        {"op": "routes", "versions": {"p/m/v": {"sockets": ["/x"], "logFraction": 2}}},
        {"op": "routes", "versions": {"p/m/v": {"sockets": ["/x"], "deadlineSeconds": True}}},
        {"op": "routes", "versions": {}, "foreign": {"m": "m"}}, {"op": "events"}, {"op": "records"},
    ]  # fmt: skip
    answers = [gateway.admin(**order) for order in wrong]

    assert mode == 0o600
    assert [answer["ok"] for answer in answers] == [False] * len(wrong)
    assert "PROJECT/MODEL/VERSION" in answers[3]["error"]["message"]
    assert gateway.admin(op="figures")["versions"] == {}


# Start and end.


def test_a_port_in_use_is_named_with_its_cure(alone, tmp_path):
    gateway = alone()
    settings = GatewaySettings(
        port=gateway.port, control_socket=str(tmp_path / "c"), admin_socket=str(tmp_path / "a")
    )

    with pytest.raises(FailedPrecondition, match=rf"Port {gateway.port} .* in use.*--port"):
        run(settings)


def test_a_second_gateway_on_the_same_data_directory_is_refused(alone):
    gateway = alone()
    settings = GatewaySettings(
        port=0, control_socket="/unused", admin_socket=gateway.settings["admin_socket"]
    )

    with pytest.raises(FailedPrecondition, match="Another server"):
        run(settings)
    assert gateway.admin(op="status")["ok"]


def test_sigterm_lets_requests_in_flight_end_then_ends_the_control_plane(tmp_path, worker):
    with Gateway(tmp_path) as gateway, ThreadPoolExecutor(1) as pool:
        control = gateway.control_pid()
        gateway.route({"p/m/v1": worker}, {"p/m": "v1"})
        idle = gateway.connect()
        idle.connect()
        waiting = pool.submit(gateway.ask, "POST", PATH, b'{"hold": "last"}')
        worker.wait_for("last")
        gateway.child.send_signal(signal.SIGTERM)
        assert idle.sock.recv(1) == b""  # The gateway has begun to leave.
        idle.close()
        with pytest.raises(ConnectionRefusedError):
            gateway.ask("GET", "/healthz")
        worker.release("last")
        status, headers, _ = waiting.result()
        _, text = gateway.child.communicate(timeout=20)
        wait_for_end(control)

    assert (status, headers["Connection"]) == (200, "close")
    assert (gateway.child.returncode, text) == (0, "")
    assert not Path(gateway.settings["admin_socket"]).exists()


def test_when_the_gateway_is_killed_the_control_plane_ends_too(tmp_path):
    with Gateway(tmp_path) as gateway:
        control = gateway.control_pid()
        told = (tmp_path / "port").read_text()
        gateway.child.kill()

        wait_for_end(control)
    assert told == str(gateway.port)
    assert gateway.ready == f"mlengine is ready at http://127.0.0.1:{gateway.port}"


def test_predictions_go_on_while_the_control_plane_is_restarted(tmp_path, worker):
    with Gateway(tmp_path) as gateway, ThreadPoolExecutor(3) as pool:
        gateway.route({"p/m/v1": worker}, {"p/m": "v1"})
        stop = threading.Event()

        def talk() -> list[int]:
            connection, seen = gateway.connect(), []
            while not stop.is_set():
                connection.request("POST", PATH, b"{}")
                answer = connection.getresponse()
                answer.read()
                seen.append(answer.status)
            connection.close()
            return seen

        talkers = [pool.submit(talk) for _ in range(3)]
        first = gateway.control_pid()
        os.kill(first, signal.SIGKILL)
        wait_for_end(first)
        second = gateway.control_pid()  # Waits for the new one.
        stop.set()
        seen = [status for talker in talkers for status in talker.result()]
        code, text = gateway.stop()

    assert second != first
    assert set(seen) == {200} and len(seen) > 10
    assert "The control plane was ended by SIGKILL; starting it again in 0.1 s." in text
    assert code == 0


def test_a_control_plane_that_was_never_ready_ends_the_gateway_with_its_words_and_its_code(alone):
    script = "import sys; sys.exit('the database is on fire') if sys.argv[1] == '1' else sys.exit(3)"
    for argument, code in (("1", 1), ("2", 3)):
        gateway = alone(control_argv=[sys.executable, "-c", script, argument])
        _, text = gateway.child.communicate(timeout=20)

        assert gateway.child.returncode == code
        assert ("the database is on fire" in text) == (argument == "1")
        assert f"ended with exit code {code} before it was ready" in text
        assert "starting it again" not in text
        assert not Path(gateway.settings["admin_socket"]).exists()


def test_a_control_plane_that_cannot_be_started_at_all_ends_the_gateway(alone, tmp_path):
    gateway = alone(control_argv=[str(tmp_path / "nowhere")])
    _, text = gateway.child.communicate(timeout=20)

    assert gateway.child.returncode == 1
    assert "nowhere" in text
