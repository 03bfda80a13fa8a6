"""Which worker answers: several of one version, sleeping versions, splits, shadows, changes under load."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from .gateway_stand_ins import PATH, PROJECTS, Gateway, LoneGateways, Worker, error, request


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Worker]]:
    folder = tmp_path_factory.mktemp("workers")
    with Worker(folder / "0.sock") as first, Worker(folder / "1.sock") as second:
        yield [first, second]


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[LoneGateways]:
    with LoneGateways(tmp_path) as make:
        yield make


def version(*workers: Worker | Path, **terms: Any) -> dict[str, Any]:
    return {"sockets": [str(getattr(worker, "path", worker)) for worker in workers], **terms}


def route(gateway: Gateway, versions: dict[str, Any], split: dict[str, int], **shadow: float) -> None:
    named = {f"p/m/{name}": terms for name, terms in versions.items()}
    models = {"p/m": {"split": split, "shadow": shadow}}
    assert gateway.admin(op="routes", versions=named, models=models) == {"ok": True}


def until(gateway: Gateway, name: str, **wanted: Any) -> None:
    """Return when the figures are like this; nothing tells when they become it."""
    while {key: gateway.figures(name)[key] for key in wanted} != wanted:
        time.sleep(0.01)


# Several workers of one version.


def test_the_least_busy_worker_gets_the_next_request(alone: LoneGateways, workers: list[Worker]) -> None:
    gateway = alone()
    route(gateway, {"v1": version(*workers)}, {"v1": 100})
    until(gateway, "p/m/v1", connected=2)
    with ThreadPoolExecutor(3) as pool:
        held = [pool.submit(gateway.predict, hold="busy")]
        until(gateway, "p/m/v1", inFlight=1)
        others = {gateway.predict(n=n)[1]["worker"] for n in range(5)}
        for worker in workers:
            worker.release("busy")
        pids = {each.result()[1]["worker"] for each in held}

    assert len(pids) == len(others) == 1
    assert pids | others == {worker.child.pid for worker in workers}


def test_a_worker_that_dies_hands_its_requests_to_its_neighbour(
    alone: LoneGateways, workers: list[Worker], tmp_path: Path
) -> None:
    gateway = alone()
    with Worker(tmp_path / "dying.sock") as dying, ThreadPoolExecutor(4) as pool:
        route(gateway, {"v1": version(dying)}, {"v1": 100})
        waiting = [pool.submit(gateway.predict, hold="moved") for _ in range(4)]
        dying.wait_for("moved", 4)
        route(gateway, {"v1": version(dying, workers[0])}, {"v1": 100})
        until(gateway, "p/m/v1", connected=2)
        dying.child.kill()
        workers[0].wait_for("moved", 4)
        workers[0].release("moved")
        answers = [each.result() for each in waiting]

    assert {(status, body["worker"]) for status, body in answers} == {(200, workers[0].child.pid)}
    assert gateway.figures()["retried"] == 4


def test_a_worker_taken_out_of_the_route_finishes_what_it_has(
    alone: LoneGateways, workers: list[Worker], tmp_path: Path
) -> None:
    gateway = alone()
    with Worker(tmp_path / "leaving.sock") as leaving, ThreadPoolExecutor(1) as pool:
        route(gateway, {"v1": version(leaving)}, {"v1": 100})
        waiting = pool.submit(gateway.predict, hold="drained")
        leaving.wait_for("drained")
        route(gateway, {"v1": version(workers[0])}, {"v1": 100})
        after = gateway.predict(n=1)
        leaving.release("drained")

        assert waiting.result()[1]["worker"] == leaving.child.pid
        leaving.wait_for_connections(0)
    assert after[1]["worker"] == workers[0].child.pid


def test_the_worker_hears_that_a_client_has_gone(alone: LoneGateways, tmp_path: Path) -> None:
    gateway = alone()
    body = b'{"hold": "left"}'
    with Worker(tmp_path / "w.sock") as worker:
        route(gateway, {"v1": version(worker)}, {"v1": 100})
        with gateway.connected() as wire:
            wire.sendall(request(b"Content-Length: %d" % len(body), body=body))
            worker.wait_for("left")
        worker.wait_for("cancelled")
        until(gateway, "p/m/v1", inFlight=0)

    assert gateway.figures()["codes"] == {"499": 1}


def test_for_a_worker_that_reads_no_more_requests_wait_here_and_others_get_them(
    alone: LoneGateways, workers: list[Worker], tmp_path: Path
) -> None:
    gateway = alone(queue_bytes=64_000_000)
    body = b'{"n": "' + b"x" * 2_000_000 + b'"}'
    path = f"{PROJECTS}/p/models/m/versions/v1:predict"
    with socket.socket(socket.AF_UNIX) as deaf, ThreadPoolExecutor(8) as pool:
        deaf.bind(str(tmp_path / "deaf.sock"))
        deaf.listen()
        route(gateway, {"v1": version(tmp_path / "deaf.sock"), "v2": version(workers[0])}, {"v2": 100})
        until(gateway, "p/m/v1", connected=1)
        waiting = [pool.submit(gateway.ask, "POST", path, body) for _ in range(8)]
        until(gateway, "p/m/v1", inFlight=8)
        held = gateway.figures()["held"]
        other = gateway.predict(n=1)[0]
        # What it has not read it never had; the rest is asked again once it is gone.
        route(gateway, {"v1": version(workers[0]), "v2": version(workers[0])}, {"v2": 100})
        deaf.close()
        statuses = {each.result()[0] for each in waiting}

    assert held >= 4 and other == 200
    assert statuses == {200}
    figures = gateway.figures()
    assert (figures["inFlight"], figures["retried"]) == (0, 8 - held)


# Versions that sleep.


def test_a_sleeping_version_is_wanted_by_its_first_request_and_answers_once_awake(
    alone: LoneGateways, workers: list[Worker]
) -> None:
    gateway = alone()
    route(gateway, {"v1": version()}, {"v1": 100})
    with ThreadPoolExecutor(4) as pool:
        listening = pool.submit(gateway.admin, op="events", after=0, seconds=20)
        waiting = [pool.submit(gateway.predict, n=n) for n in range(3)]
        heard = listening.result()
        until(gateway, "p/m/v1", held=3)
        route(gateway, {"v1": version(workers[0])}, {"v1": 100})
        answers = [each.result() for each in waiting]

    assert heard["events"] == [{"kind": "wanted", "version": "p/m/v1"}]
    assert [(status, body["predictions"]) for status, body in answers] == [
        (200, [{"n": n}]) for n in range(3)
    ]
    now = gateway.admin(op="events", after=0, seconds=0)
    assert now == {"ok": True, "at": heard["at"], "events": []}
    assert abs(gateway.figures()["lastUse"] - time.time()) < 60


def test_requests_for_a_sleeping_version_have_the_same_bounds(alone: LoneGateways) -> None:
    gateway = alone()
    route(gateway, {"v1": version(queueLimit=2, wakeSeconds=0.5)}, {"v1": 100})
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(gateway.predict, n=n) for n in range(2)]
        until(gateway, "p/m/v1", held=2)
        refused = gateway.predict()
        late = [each.result() for each in waiting]

    assert refused[0] == 429
    assert [status for status, _ in late] == [503, 503]
    assert "0.5 s" in late[0][1]["error"]["message"]


def test_who_waits_for_a_version_that_is_deleted_is_told(alone: LoneGateways) -> None:
    gateway = alone()
    route(gateway, {"v1": version()}, {"v1": 100})
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(gateway.ask, "POST", PATH, b"{}")
        until(gateway, "p/m/v1", held=1)
        assert gateway.admin(op="routes", versions={}) == {"ok": True}
        status, _, body = waiting.result()

    assert (status, error(body)["status"]) == (404, "NOT_FOUND")


# Splits and shadows.


def talk(gateway: Gateway, count: int, path: str = PATH) -> Counter[str]:
    """How many of `count` requests each version answered."""
    seen: Counter[str] = Counter()
    connection = gateway.connect()
    for _ in range(count):
        connection.request("POST", path, b"{}")
        answer = connection.getresponse()
        answer.read()
        seen[f"{answer.status} {answer.headers['x-mlengine-version']}"] += 1
    connection.close()
    return seen


def test_a_split_is_kept_to_within_one_request_in_a_hundred(
    alone: LoneGateways, workers: list[Worker]
) -> None:
    gateway = alone()
    versions = {"v1": version(workers[0]), "v2": version(workers[1]), "v3": version(workers[1])}
    route(gateway, versions, {"v1": 90, "v2": 10, "v3": 0})
    seen = talk(gateway, 200)

    assert seen.keys() == {"200 v1", "200 v2"}
    assert abs(seen["200 v2"] - 20) <= 1
    assert talk(gateway, 5, f"{PROJECTS}/p/models/m/versions/v3:predict") == {"200 v3": 5}


def test_shadows_get_their_part_and_change_no_answer(alone: LoneGateways, workers: list[Worker]) -> None:
    gateway = alone()
    route(gateway, {"v1": version(workers[0]), "v2": version(workers[1])}, {"v1": 100}, v2=0.25)
    seen = talk(gateway, 100)
    until(gateway, "p/m/v2", inFlight=0)
    shadow = gateway.figures("p/m/v2")

    assert seen == {"200 v1": 100}
    assert abs(shadow["shadowed"] - 25) <= 1
    assert shadow["codes"] == {"200": shadow["shadowed"]}
    assert gateway.figures()["shadowed"] == 0


def test_a_shadow_that_does_not_answer_or_dies_disturbs_nobody(alone: LoneGateways, tmp_path: Path) -> None:
    gateway = alone()
    with Worker(tmp_path / "v1.sock") as good, Worker(tmp_path / "v2.sock") as bad:
        shadow = version(bad, queueLimit=10)
        route(gateway, {"v1": version(good), "v2": shadow}, {"v1": 100}, v2=1.0)
        with ThreadPoolExecutor(8) as pool:
            good.release("slow")
            statuses = {each[0] for each in pool.map(lambda _: gateway.predict(hold="slow"), range(40))}
        full = gateway.figures("p/m/v2")
        bad.child.kill()
        until(gateway, "p/m/v2", inFlight=0)
        after = gateway.predict(n=1)

    assert statuses == {200} and after[0] == 200
    # Half of its queue is the most that copies may take.
    assert (full["inFlight"], full["shadowed"]) == (5, 5)
    assert gateway.figures("p/m/v2")["codes"]["503"] == 5


# Changes under load.


def test_no_request_fails_while_defaults_splits_and_versions_change(
    alone: LoneGateways, workers: list[Worker], tmp_path: Path
) -> None:
    gateway = alone()
    with Worker(tmp_path / "third.sock") as third:
        v1, v2, v3 = version(workers[0]), version(workers[1]), version(third, workers[0])
        route(gateway, {"v1": v1, "v2": v2}, {"v1": 100})
        stop = threading.Event()

        def load(n: int) -> Counter[int]:
            connection, seen = gateway.connect(), Counter[int]()
            while not stop.is_set():
                # Different lengths, and so different heads.
                body = json.dumps({"n": [n] * (seen.total() % 7)})
                connection.request("POST", PATH, body)
                answer = connection.getresponse()
                said = json.loads(answer.read())
                assert answer.status != 200 or said["predictions"] == [json.loads(body)]
                seen[answer.status] += 1
            connection.close()
            return seen

        with ThreadPoolExecutor(8) as pool:
            talkers = [pool.submit(load, n) for n in range(8)]
            for turn in range(50):
                route(gateway, {"v1": v1, "v2": v2}, {"v2" if turn % 2 else "v1": 100})
                gateway.predict()
            for weight in (1, 20, 50, 99):
                route(gateway, {"v1": v1, "v2": v2}, {"v1": 100 - weight, "v2": weight}, v2=0.5)
                gateway.predict()
            for _ in range(10):
                route(gateway, {"v1": v1, "v2": v2, "v3": v3}, {"v1": 50, "v3": 50}, v2=0.1)
                gateway.predict()
                route(gateway, {"v2": v2, "v3": version(third)}, {"v3": 100})
                gateway.predict()
                route(gateway, {"v1": v1, "v2": v2}, {"v2": 100})
                gateway.predict()
            stop.set()
            seen = sum((talker.result() for talker in talkers), Counter[int]())

    assert seen.keys() == {200}
    assert seen[200] > 500
    assert gateway.admin(op="status")["inFlight"] == 0
    assert gateway.stop() == (0, "")
