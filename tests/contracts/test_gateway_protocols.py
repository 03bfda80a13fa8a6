"""The languages in which predictions are asked, what answers say about themselves, and the figures kept."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mlengine.serving.messages import ARROW, CSV, EXPLAIN, INFER, JSON_LINES, TF_SERVING

from .gateway_stand_ins import PATH, PROJECTS, Gateway, Worker, error, request

JSON = "application/json; charset=UTF-8"


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    with Worker(tmp_path_factory.mktemp("w") / "worker.sock") as worker:
        yield worker


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, worker: Worker) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("g")) as gateway:
        one = {"sockets": [str(worker.path)], "queueLimit": 1000}
        versions = dict.fromkeys(("p/m/v1", "p/m/v2", "p/m/two"), one)
        order = {
            "versions": versions | {"p/logged/v1": one | {"logFraction": 0.5}, "p/full/v1": one},
            "models": {name: {"split": {"v1": 100}} for name in ("p/m", "p/logged", "p/full")},
            "foreign": {"m": "p/m", "other": "p/m"},
        }
        assert gateway.admin(op="routes", **order) == {"ok": True}
        yield gateway


@pytest.mark.parametrize(
    ("path", "kind", "version"),
    [
        (f"{PROJECTS}/p/models/m:explain", EXPLAIN, "v1"),
        (f"{PROJECTS}/p/models/m/versions/two:explain", EXPLAIN, "two"),
        ("/v1/models/m:predict", TF_SERVING, "v1"),
        ("/v1/models/other:predict", TF_SERVING, "v1"),
        ("/v1/models/m/versions/v2:predict", TF_SERVING, "v2"),
        ("/v1/models/m/versions/2:predict", TF_SERVING, "v2"),
        ("/v1/models/m/labels/stable:predict", TF_SERVING, "v1"),
        ("/v1/models/m/labels/two:predict", TF_SERVING, "two"),
        ("/v2/models/m/infer", INFER, "v1"),
        ("/v2/models/m/versions/2/infer", INFER, "v2"),
        ("/v2/models/m/versions/two/infer", INFER, "two"),
    ],
)
def test_each_path_is_asked_in_its_own_language(gateway: Gateway, path: str, kind: int, version: str) -> None:
    status, headers, body = gateway.ask("POST", path, b"{}")

    assert (status, headers["x-mlengine-version"], headers["Content-Type"]) == (200, version, JSON)
    assert json.loads(body) == {"bytes": 2, "kind": kind, "left": 6000}


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models/m", "/v1/models/none:predict", "/v1/models/m:classify", "/v1/models/m/versions/9:predict",
        "/v1/models/m/labels/canary:predict", "/v2/models/m", "/v2/models/none/infer", "/v2/models/m/ready",
        "/v2/models/m/versions//infer", f"{PROJECTS}/p/models/m/versions/:predict",
        f"{PROJECTS}/p/models/m:tell",
    ],
)  # fmt: skip
def test_what_no_version_answers_goes_to_the_control_plane(gateway: Gateway, path: str) -> None:
    assert json.loads(gateway.ask("POST", path, b"{}")[2])["target"] == f"{path}?"
    assert json.loads(gateway.ask("GET", path)[2])["method"] == "GET"


@pytest.mark.parametrize(
    ("media", "kind", "answered"),
    [
        ("text/csv", CSV, JSON),
        ("Text/CSV; charset=utf-8; header=present", CSV, JSON),
        ("application/x-ndjson", JSON_LINES, "application/x-ndjson"),
        ("application/jsonl", JSON_LINES, "application/x-ndjson"),
        ("application/json-lines", JSON_LINES, "application/x-ndjson"),
        ("application/vnd.apache.arrow.stream", ARROW, "application/vnd.apache.arrow.stream"),
    ],
)
def test_the_media_type_of_a_prediction_says_how_it_is_read(
    gateway: Gateway, media: str, kind: int, answered: str
) -> None:
    status, headers, body = gateway.ask("POST", PATH, b"1,2", {"Content-Type": media})

    assert (status, headers["Content-Type"], json.loads(body)["kind"]) == (200, answered, kind)


@pytest.mark.parametrize("media", ["application/json", "text/plain", "application/octet-stream", ""])
def test_every_other_media_type_is_json(gateway: Gateway, media: str) -> None:
    body = gateway.ask("POST", PATH, b'{"n": 1}', {"Content-Type": media})[2]

    assert json.loads(body)["predictions"] == [{"n": 1}]


def test_a_refusal_is_in_the_language_of_the_request(gateway: Gateway) -> None:
    wrong = {"Content-Encoding": "br"}
    for path in ("/v1/models/m:predict", "/v2/models/m/infer"):
        status, _, body = gateway.ask("POST", path, b"x", wrong)
        assert status == 415 and list(json.loads(body)) == ["error"]
        assert isinstance(json.loads(body)["error"], str)
    status, _, body = gateway.ask("POST", PATH, b"x", wrong | {"Content-Type": "text/csv"})
    assert error(body)["code"] == status == 415


def test_binary_tensors_of_open_inference_are_refused_by_name(gateway: Gateway) -> None:
    status, _, body = gateway.ask(
        "POST", "/v2/models/m/infer", b"{}", {"Inference-Header-Content-Length": "2"}
    )

    assert status == 400 and "binary tensor data" in json.loads(body)["error"]


def test_an_answer_says_where_the_time_went_and_who_gave_it(gateway: Gateway) -> None:
    _, headers, _ = gateway.ask("POST", PATH, b"{}")
    timing = dict(part.strip().split(";dur=") for part in headers["Server-Timing"].split(","))

    assert list(timing) == ["queue", "decode", "model", "encode"]
    assert [float(timing[part]) for part in ("decode", "model", "encode")] == [0.02, 0.3, 0.04]
    # The rest of the total; ours says more than it takes, and less than nothing is nothing.
    assert 0 <= float(timing["queue"]) < 5000
    assert headers["x-mlengine-version"] == "v1"


def test_figures_add_up(gateway: Gateway) -> None:
    before = gateway.figures("p/full/v1")
    path = f"{PROJECTS}/p/models/full:predict"
    for status in (200, 200, 400):
        gateway.ask("POST", path, json.dumps({"status": status}).encode())
    figures = gateway.figures("p/full/v1")
    order = gateway.admin(op="figures")

    assert before["codes"] == {} and before["lastUse"] == 0.0
    assert figures["codes"] == {"200": 2, "400": 1}
    for name, bounds in (
        ("total", "seconds"),
        ("queue", "seconds"),
        ("model", "seconds"),
        ("batch", "instances"),
    ):
        assert len(figures[name]) == len(order["bounds"][bounds]) + 1
        assert sum(figures[name]) == 3
    # Each call had two instances, and took 0.3 ms.
    assert figures["instances"] == 6
    assert figures["batch"][order["bounds"]["instances"].index(2)] == 3
    assert figures["model"][order["bounds"]["seconds"].index(0.0005)] == 3
    assert figures["modelSeconds"] == pytest.approx(0.0009)
    assert 0 <= figures["queueSeconds"] <= figures["totalSeconds"] < 3
    assert order["epoch"] == gateway.admin(op="figures")["epoch"]


def test_the_metrics_page_says_the_same_in_the_language_of_prometheus(gateway: Gateway) -> None:
    gateway.predict("p/models/full", n=1)
    figures = gateway.figures("p/full/v1")
    status, headers, body = gateway.ask("GET", "/metrics")
    lines = body.decode().splitlines()
    samples = {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line[0] != "#"}
    typed = {line.split()[2] for line in lines if line.startswith("# TYPE ")}
    labels = 'project="p",model="full",version="v1"'

    assert (status, headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert samples[f'mlengine_predictions_total{{{labels},code="200"}}'] == figures["codes"]["200"]
    buckets = [
        value
        for key, value in samples.items()
        if key.startswith(f"mlengine_prediction_seconds_bucket{{{labels}")
    ]
    assert buckets == sorted(buckets) and buckets[-1] == sum(figures["total"])
    assert samples[f"mlengine_prediction_seconds_count{{{labels}}}"] == buckets[-1]
    assert samples[f"mlengine_prediction_seconds_sum{{{labels}}}"] == pytest.approx(
        figures["totalSeconds"], abs=1e-6
    )
    for name in ("predictions_in_flight", "predictions_queue", "workers"):
        assert f"mlengine_{name}{{{labels}}}" in samples
    for key in samples:
        name = key.partition("{")[0]
        assert name in typed or name.rpartition("_")[0] in typed


def test_a_part_of_the_requests_is_recorded_with_their_answers(gateway: Gateway) -> None:
    bodies = [json.dumps({"n": n}) for n in range(20)]
    for n, body in enumerate(bodies):
        packed = {"Content-Encoding": "gzip"} if n % 2 else {}
        gateway.ask(
            "POST",
            f"{PROJECTS}/p/models/logged:predict",
            gzip.compress(body.encode()) if n % 2 else body,
            packed,
        )
    first = gateway.admin(op="records", most=4)
    rest = gateway.admin(op="records", most=200)
    records = first["records"] + rest["records"]

    assert len(first["records"]) == 4 and abs(len(records) - 10) <= 1
    assert (first["dropped"], rest["dropped"]) == (0, 0)
    for record in records:
        assert record["version"] == "p/logged/v1"
        assert record["request"] in bodies
        assert json.loads(record["response"])["predictions"] == [json.loads(record["request"])]
    assert gateway.admin(op="records", most=1)["records"] == []


# Heads that are known from before.


def _body(n: int) -> bytes:
    return b'{"n": %d}' % n


PIECES = {
    "plain": lambda n: request(b"Content-Length: 10", body=_body(100 + n)),
    "other head": lambda n: request(b"X-N: %d" % n, b"Content-Length: 10", body=_body(200 + n)),
    "chunked": lambda n: request(
        b"Transfer-Encoding: chunked", body=b"a\r\n%b\r\n0\r\n\r\n" % _body(300 + n)
    ),
    "lines": lambda n: request(b"Content-Type: application/jsonl", b"Content-Length: 4", body=b"\r\n\r\n"),
    "health": lambda n: request(path="/healthz", method=b"GET"),
    "empty": lambda n: request(b"Content-Length: 0", path="/x"),
}
FIRST = {"plain": 100, "other head": 200, "chunked": 300}


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
@given(data=st.data())
def test_requests_are_understood_alike_however_they_are_cut(gateway: Gateway, data: Any) -> None:
    names = data.draw(st.lists(st.sampled_from(sorted(PIECES)), min_size=1, max_size=12))
    stream = b"".join(PIECES[name](n) for n, name in enumerate(names)) + request(
        b"Connection: close", path="/healthz", method=b"GET"
    )
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=6))
    edges = sorted({0, len(stream), *cuts})
    answer = gateway.raw(*(stream[start:stop] for start, stop in pairwise(edges)))
    bodies = []
    while answer:
        head, _, answer = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        if b"chunked" in head:
            size, _, answer = answer.partition(b"\r\n")
            length, tail = int(size, 16), len(b"\r\n0\r\n\r\n")
        else:
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            tail = 0
        bodies.append(answer[:length])
        answer = answer[length + tail :]

    assert len(bodies) == len(names) + 1
    for n, (name, body) in enumerate(zip(names, bodies, strict=False)):
        match name:
            case "lines":
                assert json.loads(body)["kind"] == JSON_LINES
            case "health":
                assert body == b"ok"
            case "empty":
                assert json.loads(body)["size"] == 0
            case _:
                assert json.loads(body)["predictions"] == [{"n": FIRST[name] + n}]


def test_a_known_head_is_judged_by_the_routes_of_now(gateway: Gateway, worker: Worker) -> None:
    path = f"{PROJECTS}/p/models/gone:predict"
    versions = {"p/gone/v1": {"sockets": [str(worker.path)]}}
    before = gateway.admin(op="figures")["versions"].keys()
    kept = {name: {"sockets": [str(worker.path)], "queueLimit": 1000} for name in before}
    models = {name: {"split": {"v1": 100}} for name in ("p/m", "p/logged", "p/full")}
    foreign = {"m": "p/m", "other": "p/m"}
    gone = models | {"p/gone": {"split": {"v1": 100}}}
    gateway.admin(op="routes", versions=kept | versions, models=gone, foreign=foreign)
    connection = gateway.connect()

    def ask() -> dict[str, Any]:
        connection.request("POST", path, b'{"n": 1}')
        return dict(json.loads(connection.getresponse().read()))

    assert [list(ask()), list(ask())] == [["predictions", "worker"]] * 2
    gateway.admin(op="routes", versions=kept, models=models, foreign=foreign)
    assert ask()["target"] == f"{path}?"
    connection.close()
