"""Real workers, many callers at once: every answer is the one that its request gets alone."""

from __future__ import annotations

import json
import random
import shutil
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from mlengine.serving.messages import CSV, PREDICT, TF_SERVING

from .worker_process import Worker, serving, train

CALLERS = 6
REQUESTS = 60
MODELS = ("forest", "ridge", "booster")
# A linear model adds up in another order when there are more rows: the last bits of a float64 may differ.
LINEAR = 1e-12
SCHEMA = {"inputs": [{"name": "Age", "min": 0, "max": 120}, {"name": "Sex", "default": "male"}]}
OPTIONS = {"unknownFields": "WARN", "maxBatchSize": 8}


@pytest.fixture(scope="module")
def workers(sklearn_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Worker]]:
    """One worker a model."""
    models = train(sklearn_python, "train_batching.py", tmp_path_factory.mktemp("models"))
    governed = models / "governed"
    shutil.copytree(models / "ridge", governed)
    (governed / "schema.json").write_text(json.dumps(SCHEMA))
    with ExitStack() as stack:
        started = {}
        for name in (*MODELS, "governed"):
            run = tmp_path_factory.mktemp("run")
            if name == "governed":
                (run / "options.json").write_text(json.dumps(OPTIONS))
            started[name] = stack.enter_context(serving(sklearn_python, models / name, run))
        yield started


def instance(source: random.Random, model: str) -> Any:
    """One that nobody else sends, and one in twenty that is wrong."""
    numbers = [source.uniform(0, 100) for _ in range(4)]
    if source.random() < 0.05:
        return ["x", None, {}]
    if model == "booster":
        return numbers
    return {"Age": numbers[0], "Fare": numbers[1] * 5, "Sex": source.choice(["male", "female"])}


def request(source: random.Random, model: str) -> tuple[int, bytes]:
    """In one of three languages."""
    instances = [instance(source, model) for _ in range(source.choice([1, 1, 2, 5]))]
    kind = source.choice([PREDICT, TF_SERVING, CSV])
    if kind == CSV:
        rows = [list(one.values()) if isinstance(one, dict) else one for one in instances]
        return kind, "\n".join(",".join(map(str, row)) for row in rows).encode()
    return kind, json.dumps({"instances": instances}).encode()


def numbers_in(value: Any) -> list[float]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [number for item in value for number in numbers_in(item)]
    return [float(value)]


def assert_same(answer: tuple[int, Any], alone: tuple[int, Any], model: str) -> None:
    if model != "ridge" or alone[0] != 200:
        assert answer == alone
        return
    ours, oracle = (numbers_in(body["predictions"]) for _, body in (answer, alone))
    assert ours == pytest.approx(oracle, rel=LINEAR, abs=0)


def test_among_many_callers_every_answer_is_the_one_of_the_request_alone(workers: dict[str, Worker]) -> None:
    found: list[tuple[str, tuple[int, bytes], tuple[int, Any]]] = []
    start = threading.Barrier(CALLERS)

    def call(seed: int) -> None:
        source = random.Random(seed)
        lines = {name: workers[name].call() for name in MODELS}
        asked = [(model, request(source, model)) for model in source.choices(MODELS, k=REQUESTS)]
        start.wait()
        # All are under way before the first answer is fetched, so that they meet in the workers.
        ids = [lines[model].send(body, kind=kind) for model, (kind, body) in asked]
        for (model, sent), number in zip(asked, ids, strict=True):
            found.append((model, sent, lines[model].receive(number)))

    threads = [threading.Thread(target=call, args=(seed,)) for seed in range(CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == CALLERS * REQUESTS
    lines = {name: worker.call() for name, worker in workers.items()}
    for model, (kind, body), answer in found:
        assert_same(answer, lines[model].ask(body, kind=kind), model)
    statuses = {answer[0] for _, _, answer in found}
    assert statuses == {200, 400}


def test_a_bad_request_between_good_ones_harms_neither(workers: dict[str, Worker]) -> None:
    line = workers["booster"].call()
    good = json.dumps({"instances": [[1.5, 2.5, 3.5, 4.5]]}).encode()
    (alone,) = line.predict([1.5, 2.5, 3.5, 4.5])

    ids = [line.send(body) for body in (good, b'{"instances": [[1, 2, "x", 4]]}', good, b"\x00", good)]
    answers = [line.receive(number) for number in ids]

    assert [status for status, _ in answers] == [200, 400, 200, 400, 200]
    for _, body in answers[::2]:
        assert struct.pack("d", body["predictions"][0]) == struct.pack("d", alone)


def test_the_rules_of_a_version_hold_in_a_real_pipeline(workers: dict[str, Worker]) -> None:
    line = workers["governed"].call()
    jack = {"Age": 22, "Fare": 7.25, "Sex": "male"}
    (alone,) = line.predict(jack)

    with_default = line.predict({"Age": 22, "Fare": 7.25, "Cabin": "C85"})
    many = line.predict(*[jack | {"Age": age} for age in range(50)])
    refused = line.refusal(jack, jack | {"Age": 121})

    assert with_default == [alone]
    assert many == pytest.approx([line.predict(jack | {"Age": age})[0] for age in range(50)], rel=LINEAR)
    assert refused == "Instance 2, field Age: 121 is above 120, the largest value allowed."
    assert [one.get("max") for one in line.describe()["inputs"]] == [120, None, None]
