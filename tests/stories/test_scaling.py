"""Versions that sleep when nobody asks, wake for a request, get more nodes: no prediction is lost."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.stories.conftest import Server, Shell, wait_until
from tests.stories.test_versions import TRAIN

OPERATION_SECONDS = 120.0


class Api:
    """The server's REST methods for one model."""

    def __init__(self, server: Server, model: str) -> None:
        self.endpoint = server.endpoint
        self.model = f"{server.endpoint}/v1/projects/local/models/{model}"

    def call(self, verb: str, url: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, method=verb)
        request.add_header("content-type", "application/json")
        with urllib.request.urlopen(request, timeout=90) as answer:
            return json.load(answer)

    def finish(self, operation: Any) -> None:
        def done() -> bool:
            found = self.call("GET", f"{self.endpoint}/v1/{operation['name']}")
            assert "error" not in found, found
            return bool(found.get("done"))

        wait_until(done, "an operation", OPERATION_SECONDS)

    def create(self, origin: str, **fields: Any) -> None:
        version = {"name": "v1", "deploymentUri": origin, "framework": "SCIKIT_LEARN"} | fields
        self.finish(self.call("POST", f"{self.model}/versions", version))

    def patch(self, mask: str, **fields: Any) -> None:
        self.finish(self.call("PATCH", f"{self.model}/versions/v1?updateMask={mask}", fields))

    def nodes(self) -> dict[str, Any]:
        return dict(self.call("GET", f"{self.model}/versions/v1")["mlengine"])

    def serving(self) -> int:
        return int(self.nodes()["nodes"]["serving"])

    def predict(self, number: float) -> float:
        return float(self.call("POST", f"{self.model}:predict", {"instances": [[number]]})["predictions"][0])


@contextmanager
def asking(api: Api, threads: int = 4) -> Iterator[list[str]]:
    """Predictions without a pause; every one that fails, or is wrong, is in the list."""
    failures: list[str] = []
    ended = threading.Event()

    def ask() -> None:
        while not ended.is_set():
            try:
                if abs(api.predict(3.0) - 7.0) > 1e-6:
                    failures.append("wrong")
            except urllib.error.HTTPError as error:
                failures.append(f"{error.code} {error.read()[:300]!r}")
            except OSError as error:
                failures.append(repr(error))

    workers = [threading.Thread(target=ask) for _ in range(threads)]
    for worker in workers:
        worker.start()
    try:
        yield failures
    finally:
        ended.set()
        for worker in workers:
            worker.join(60)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    """A server whose versions sleep early, and a bucket folder with a model of 2x + 1."""
    folder = tmp_path_factory.mktemp("scaling")
    shell = Shell(folder, {"MLENGINE_IDLE_SECONDS": "2"})
    server = Server(folder / "data", shell)
    server.start()
    python = shell.run("runtimes", "build", "2026.11-sklearn", timeout=600).stdout.split()[-1]
    (folder / "line").mkdir()
    shell.program(python, "-c", TRAIN, str(folder / "line" / "model.joblib"))
    shell.run("storage", "mb", "gs://scaling")
    shell.run("storage", "cp", str(folder / "line" / "model.joblib"), "gs://scaling/line/model.joblib")
    yield server, "gs://scaling/line"
    shell.run("server", "stop", code=None)


def api_of(server: Server, model: str) -> Api:
    server.shell.run("models", "create", model, "--regions", "us-central1")
    return Api(server, model)


def host_pids(server: Server, model: str) -> list[int]:
    """The processes that serve the only version of a model."""
    serving = server.data_dir / "serving"
    mine = next(path for path in serving.glob("*/options.json") if f'"{model}"' in path.read_text()).parent
    hosts = [json.loads(file.read_text())["host"] for file in sorted(mine.glob("node-*.json"))]
    files = [serving / "hosts" / host / "pid" for host in hosts]
    return [int(file.read_text()) for file in files if file.exists()]


def test_a_version_without_a_least_number_of_nodes_sleeps_and_wakes_for_a_request(
    ground: tuple[Server, str],
) -> None:
    server, origin = ground
    api = api_of(server, "sleeper")
    api.create(origin, autoScaling={"minNodes": 0})
    assert api.predict(1) == pytest.approx(3.0)

    for number in (2, 3):
        wait_until(lambda: api.nodes()["asleep"], "its sleep", 30)
        assert api.serving() == 0
        assert api.predict(number) == pytest.approx(2 * number + 1)
    wait_until(lambda: api.serving() == 1, "what is told of it")


def test_nodes_come_and_go_by_a_patch_without_a_failed_prediction(ground: tuple[Server, str]) -> None:
    server, origin = ground
    api = api_of(server, "patched")
    api.create(origin)

    with asking(api) as failures:
        api.patch("manualScaling.nodes", manualScaling={"nodes": 2})
        wait_until(lambda: api.serving() == 2, "a second node")
        api.patch("manualScaling.nodes", manualScaling={"nodes": 1})
        wait_until(lambda: len(host_pids(server, "patched")) == 1, "its end")
        time.sleep(0.2)

    assert failures == []


@pytest.mark.slow
def test_when_one_of_two_nodes_is_killed_no_prediction_fails(ground: tuple[Server, str]) -> None:
    server, origin = ground
    api = api_of(server, "chaos")
    api.create(origin, manualScaling={"nodes": 2})
    wait_until(lambda: api.serving() == 2, "a second node")

    with asking(api) as failures:
        for round in range(4):
            pids = host_pids(server, "chaos")
            os.kill(pids[round % 2], signal.SIGKILL)
            wait_until(lambda old=pids: set(host_pids(server, "chaos")) - set(old), "its successor")
            wait_until(lambda: api.serving() == 2, "two nodes")

    assert failures == []


@pytest.mark.slow
def test_while_the_control_plane_is_dead_predictions_go_on(ground: tuple[Server, str]) -> None:
    server, origin = ground
    api = api_of(server, "orphan")
    api.create(origin)
    before = host_pids(server, "orphan")

    with asking(api) as failures:
        for _ in range(3):
            control = control_plane(server)
            os.kill(control, signal.SIGKILL)
            wait_until(lambda old=control: control_plane(server) not in (0, old), "another control plane")
            wait_until(lambda: answers(api), "its answer")

    assert failures == []
    assert host_pids(server, "orphan") == before


@pytest.mark.slow
def test_when_the_gateway_is_killed_every_worker_ends(tmp_path: Path, ground: tuple[Server, str]) -> None:
    shell = Shell(tmp_path, {})
    server = Server(tmp_path / "data", shell)
    server.start()
    shell.run("storage", "mb", "gs://ending")
    line = ground[0].shell.cwd / "line" / "model.joblib"
    shell.run("storage", "cp", str(line), "gs://ending/line/model.joblib")
    api = api_of(server, "ending")
    api.create("gs://ending/line")
    pids = host_pids(server, "ending")

    server.kill()

    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), "the workers' end")


def control_plane(server: Server) -> int:
    """Its process; 0 while there is none."""
    gateway = server.record()["pid"]
    for child in Path(f"/proc/{gateway}/task/{gateway}/children").read_text().split():
        try:
            if b"control" in Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0"):
                return int(child)
        except FileNotFoundError:
            continue
    return 0


def answers(api: Api) -> bool:
    try:
        api.nodes()
    except OSError:
        return False
    return True
