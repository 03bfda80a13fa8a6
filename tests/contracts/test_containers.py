"""Containers: real servers beside the worker, started, asked, started again, and ended with it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import mlengine
from mlengine.serving.messages import CSV, PREDICT
from mlengine.serving.runtimes import program
from mlengine.serving.runtimes.container import LARGEST_BODY, expanded
from mlengine.serving.runtimes.model import LoadFailed, Model
from mlengine.serving.runtimes.opening import open_model
from mlengine.serving.runtimes.options import Container, Options
from mlengine.serving.worker import golden
from mlengine.serving.worker.batch import Answerer

SERVER = """
import json, os, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

together = threading.Barrier(2)
healthy = True
connections = set()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer(200 if self.path == os.environ["AIP_HEALTH_ROUTE"] and healthy else 503, b"")

    def do_POST(self):
        global healthy
        connections.add(self.client_address)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        order = json.loads(body) if body[:1] == b"{" else {}
        if order.get("die"):
            os._exit(7)
        if order.get("together"):
            together.wait(30)
        if "healthy" in order:
            healthy = order["healthy"]
        said = order.get("say")
        if said == "environment":
            said = dict(os.environ)
        if said == "arguments":
            said = sys.argv[1:]
        if said == "connections":
            said = len(connections)
        if said == "process":
            said = os.getpid()
        answer = json.dumps({"predictions": said, "path": self.path}).encode()
        self.answer(order.get("status", 200), b"x" * order["large"] if "large" in order else answer)

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


print("starting", flush=True)
ThreadingHTTPServer(("0.0.0.0", int(os.environ["AIP_HTTP_PORT"])), Handler).serve_forever()
"""

Start = Callable[..., Model]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Serves the server above from a folder of artefacts, ended with the test."""
    (tmp_path / "server.py").write_text(SERVER)
    started: list[Model] = []

    def start(options: Options | None = None, **settings: Any) -> Model:
        settings = {"command": (sys.executable, "server.py"), "port": free_port(), **settings}
        given = Options(
            model_name="m",
            version_name="v",
            project="p",
            storage_uri="gs://b/x",
            container=Container(**settings),
        )
        started.append(open_model(tmp_path, None, options or given))
        return started[-1]

    yield start
    for model in started:
        model.source.stop()


def ask(model: Model, body: Any) -> tuple[int, Any]:
    assert model.passthrough is not None
    ((status, answer),) = model.passthrough([json.dumps(body).encode()])
    return status, json.loads(answer)


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_variables_of_the_contract_are_there_and_references_are_resolved(start: Start) -> None:
    model = start(
        args=("--port=$(AIP_HTTP_PORT)", "$(GREETING) $$(GREETING) $(UNKNOWN)"),
        env={"NAME": "you", "GREETING": "hello $(NAME)"},
        predict_route="/v1/models/m:predict",
        health_route="/v1/models/m",
    )

    status, answer = ask(model, {"say": "environment"})
    told = answer["predictions"]

    assert (status, answer["path"]) == (200, "/v1/models/m:predict")
    assert {name: value for name, value in told.items() if name.startswith("AIP_")} == {
        "AIP_FRAMEWORK": "CUSTOM_CONTAINER",
        "AIP_HEALTH_ROUTE": "/v1/models/m",
        "AIP_HTTP_PORT": str(model.source.program.port),
        "AIP_MODE": "PREDICTION",
        "AIP_MODE_VERSION": "1.0.0",
        "AIP_MODEL_NAME": "m",
        "AIP_PREDICT_ROUTE": "/v1/models/m:predict",
        "AIP_PROJECT_NUMBER": "p",
        "AIP_STORAGE_URI": "gs://b/x",
        "AIP_VERSION_NAME": "v",
    }
    assert told["GREETING"] == "hello you"
    assert Path(told["MLENGINE_MODEL_DIR"]).joinpath("server.py").exists()
    assert ask(model, {"say": "arguments"})[1]["predictions"] == [
        f"--port={model.source.program.port}",
        "hello you $(GREETING) $(UNKNOWN)",
    ]


@pytest.mark.parametrize(
    ("text", "becomes"), [("$$$(A)", "$1"), ("$(B)", "$(B)"), ("$A $", "$A $"), ("$$(A)", "$(A)")]
)
def test_references_are_resolved_as_containers_have_it(text: str, becomes: str) -> None:
    assert expanded(text, {"A": "1"}) == becomes


def test_bodies_and_statuses_pass_through_and_requests_run_at_once(start: Start) -> None:
    model = start()
    assert model.passthrough is not None

    first, second = model.passthrough([b'{"together": 1, "say": 1}', b'{"together": 1, "say": 2}'])
    refused = ask(model, {"status": 418, "say": "tea"})

    assert [json.loads(answer)["predictions"] for _, answer in (first, second)] == [1, 2]
    assert refused == (418, {"predictions": "tea", "path": "/predict"})


def test_connections_are_kept(start: Start) -> None:
    model = start()
    for _ in range(5):
        ask(model, {})

    assert ask(model, {"say": "connections"})[1]["predictions"] == 1


def test_bodies_over_the_limit_are_refused_with_their_size(start: Start) -> None:
    model = start()
    assert model.passthrough is not None

    (large,) = model.passthrough([b"x" * (LARGEST_BODY + 1)])
    long_answer = ask(model, {"large": LARGEST_BODY + 1})
    (fits,) = model.passthrough([json.dumps({"large": LARGEST_BODY}).encode()])

    assert large[0] == 413
    assert f"has {LARGEST_BODY + 1} bytes; a container takes at most {LARGEST_BODY}" in large[1].decode()
    assert long_answer[0] == 500
    assert f"at most {LARGEST_BODY} are passed on" in long_answer[1]["error"]["message"]
    assert (fits[0], len(fits[1])) == (200, LARGEST_BODY)


def test_health_is_proof_enough_and_other_protocols_are_refused(start: Start) -> None:
    model = start()

    golden.prove(model)
    good, other = Answerer(model).answer([(PREDICT, b'{"say": 3}'), (CSV, b"1,2")])

    assert json.loads(good.body)["predictions"] == 3
    assert other.status != 200
    assert model.describe()["framework"] == "container"


def test_a_server_that_dies_is_started_again(start: Start) -> None:
    model = start()
    before = ask(model, {"say": "process"})[1]["predictions"]

    status, answer = ask(model, {"die": True})
    assert status in (502, 503), answer
    until(lambda: not model.source.program.healthy)
    said = ask(model, {})
    until(lambda: model.source.program.healthy)

    assert said[0] in (200, 502, 503)
    assert ask(model, {"say": "process"})[1]["predictions"] != before


def test_after_four_failures_of_health_nothing_is_sent_and_nothing_started_again(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "HEALTH_SECONDS", 0.05)
    model = start()
    before = ask(model, {"healthy": False, "say": "process"})[1]["predictions"]

    until(lambda: not model.source.program.healthy)

    status, answer = ask(model, {})
    assert (status, answer["error"]["status"]) == (503, "UNAVAILABLE")
    assert "its health route /health answered 503" in answer["error"]["message"]
    os.kill(before, 0)


def test_a_port_that_is_taken_is_replaced_by_another(start: Start) -> None:
    first = start()

    second = start(port=first.source.program.port)

    assert second.source.program.port != first.source.program.port
    assert ask(first, {"say": "process"})[1] != ask(second, {"say": "process"})[1]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"command": ()}, "The container has no command. Images are not run here"),
        ({"env": {"AIP_X": "1"}}, "AIP_X begins with AIP_"),
        ({"command": ("no-such-program",)}, "no-such-program cannot be started: No such file"),
        (
            {"command": (sys.executable, "-c", "print('no model here'); raise SystemExit(3)")},
            "ended with 3 before it was healthy",
        ),
    ],
)
def test_a_container_that_cannot_serve_says_why(start: Start, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(LoadFailed) as caught:
        start(**settings)

    assert said in str(caught.value)
    if "no model here" in str(settings):
        assert "It said:\nno model here" in str(caught.value)


def test_the_server_ends_with_its_worker_however_that_dies(tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text(SERVER)
    worker = textwrap.dedent(
        f"""
        import json, sys, time
        from pathlib import Path
        from mlengine.serving.runtimes.container import start
        from mlengine.serving.runtimes.options import Container, Options
        container = Container(command=({sys.executable!r}, "server.py"), port={free_port()})
        model = start(Path({str(tmp_path)!r}), Options(container=container))
        print(json.loads(model.passthrough([b'{{"say": "process"}}'])[0][1])["predictions"], flush=True)
        time.sleep(600)
        """
    )
    source = str(Path(mlengine.__file__).parents[1])
    process = subprocess.Popen(
        [sys.executable, "-c", worker], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": source}
    )
    assert process.stdout is not None
    number = int(process.stdout.readline())

    process.send_signal(signal.SIGKILL)
    process.wait()
    # The guardian holds the same pipe as its parent did: it ends when the server has.
    ended = threading.Thread(target=process.stdout.read)
    ended.start()
    until(lambda: not Path(f"/proc/{number}").exists())
    ended.join(timeout=60)
    process.stdout.close()
