"""What a version did is seen at once, on every page alike, and in the ready-made board and alerts."""

from __future__ import annotations

import json
import os
import re
import signal
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.stories.conftest import ROOT, Server, Shell, wait_until
from tests.stories.test_scaling import control_plane
from tests.stories.test_versions import TRAIN

DEPLOY = ROOT / "deploy"


@pytest.fixture(scope="module")
def asked(server: Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model with a version that has answered nine requests, and refused one."""
    folder = tmp_path_factory.mktemp("monitored")
    shell = Shell(folder, dict(server.shell.environment))
    python = shell.run("runtimes", "build", "2026.11-sklearn", timeout=600).stdout.split()[-1]
    (folder / "line").mkdir()
    shell.program(python, "-c", TRAIN, str(folder / "line" / "model.joblib"))
    shell.run("models", "create", "monitored", "--regions", "us-central1")
    shell.run("versions", "create", "v1", "--model", "monitored", "--origin", "line")
    for number in range(9):
        predict(server, [[float(number)], [1.0]])
    with pytest.raises(urllib.error.HTTPError):
        predict(server, ["no number"])
    return "monitored"


def predict(server: Server, instances: list[Any], model: str = "monitored") -> Any:
    body = json.dumps({"instances": instances}).encode()
    url = f"{server.endpoint}/v1/projects/local/models/{model}:predict"
    return call(url, body)


def call(url: str, body: bytes | None = None) -> Any:
    request = urllib.request.Request(url, body, headers={"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def page(server: Server) -> list[str]:
    with urllib.request.urlopen(f"{server.endpoint}/metrics", timeout=60) as answer:
        return str(answer.read().decode()).splitlines()


def samples(server: Server, model: str) -> dict[str, float]:
    """What `/metrics` says of v1 of a model: by name and what else is said than the version."""
    labels = f'project="local",model="{model}",version="v1"'
    found = (line.rpartition(" ") for line in page(server) if labels in line)
    return {key.replace(labels, ""): float(value) for key, _, value in found}


def test_what_was_answered_is_told_at_once_by_every_page_alike(
    server: Server, shell: Shell, asked: str
) -> None:
    url = f"{server.endpoint}/mlengine/v1/projects/local/models/{asked}"
    version, model = call(f"{url}/versions/v1/metrics"), call(f"{url}/metrics")
    [row] = [
        row
        for row in call(f"{server.endpoint}/mlengine/v1/projects/local/metrics")["models"]
        if row["model"].endswith(f"/{asked}")
    ]
    told = samples(server, asked)

    for sum in (version["sum"], model["sum"], model["versions"][0]["sum"], row["sum"]):
        assert sum["codes"] == {"200": 9, "400": 1}
        assert sum["instances"] == 18
    assert told['mlengine_predictions_total{,code="200"}'] == 9
    assert told["mlengine_prediction_seconds_count{}"] == 10
    assert told["mlengine_prediction_instances_total{}"] == 18
    total = version["sum"]["totalSeconds"]
    assert total["mean"] == pytest.approx(told["mlengine_prediction_seconds_sum{}"] / 10, rel=1e-3)
    below = [
        float(key.split('le="')[1].split('"')[0])
        for key, count in told.items()
        if key.startswith("mlengine_prediction_seconds_bucket") and count >= 9.9
    ]
    assert 0 < total["p50"] <= total["p95"] <= total["p99"] <= min(below)
    assert version["now"]["nodes"] == told["mlengine_workers{}"] == 1


def test_the_command_line_shows_a_version_and_a_model_as_tables(
    server: Server, shell: Shell, asked: str
) -> None:
    rows = shell.run("versions", "metrics", "v1", "--model", asked).stdout.splitlines()
    whole = shell.run("models", "metrics", asked, "--since", "1d").stdout.splitlines()
    points = shell.json("versions", "metrics", "v1", "--model", asked, "--since", "30m", "--step", "30m")
    wrong = shell.run("versions", "metrics", "v1", "--model", asked, "--since", "soon", code=1)

    assert rows[0].split()[:4] == ["START", "REQUESTS", "PER_SECOND", "ERRORS"]
    assert [line.split()[0] for line in whole] == ["VERSION", "v1", "(all)"]
    assert whole[1].split()[1] == "10"
    assert sum(point["requests"] for point in points) == 10
    assert "'soon' is no time" in wrong.stderr


def test_memory_and_last_use_come_with_the_next_look(server: Server, shell: Shell, asked: str) -> None:
    url = f"{server.endpoint}/mlengine/v1/projects/local/models/{asked}/versions/v1/metrics"

    wait_until(lambda: int(call(url)["now"]["memoryBytes"]) > 10e6, "its memory", 40)
    wait_until(
        lambda: "lastUseTime" in shell.json("versions", "describe", "v1", "--model", asked),
        "its last use",
        40,
    )

    said = call(url)
    described = shell.json("versions", "describe", "v1", "--model", asked)
    assert described["lastUseTime"][:19] == said["now"]["lastUseTime"][:19]
    assert said["sum"]["codes"] == {"200": 9, "400": 1}
    assert any(int(point.get("memoryBytes", {}).get("most", 0)) > 10e6 for point in said["points"])


def expressions(of: Any) -> list[str]:
    """Everything in the language of Prometheus within a board, or within rules."""
    if isinstance(of, list):
        return [text for one in of for text in expressions(one)]
    if not isinstance(of, dict):
        return []
    own = [text for key, text in of.items() if key in ("expr", "definition") and isinstance(text, str)]
    return own + [text for one in of.values() for text in expressions(one)]


def test_board_and_alerts_ask_for_what_there_is(server: Server, asked: str) -> None:
    board = json.loads((DEPLOY / "grafana" / "mlengine.json").read_text())
    rules = yaml.safe_load((DEPLOY / "prometheus" / "rules.yml").read_text())
    scraped = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    there = {line.partition("{")[0] for line in page(server) if line[0] != "#"}

    for texts in (expressions(board), expressions(rules)):
        names = Counter(name for text in texts for name in re.findall(r"\bmlengine_\w+", text))
        assert len(names) > 5
        assert set(names) <= there, set(names) - there
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert scraped["rule_files"] == [Path("rules.yml").name]
    assert scraped["scrape_configs"][0]["metrics_path"] == "/metrics"
    assert {rule["alert"] for group in rules["groups"] for rule in group["rules"]} >= {
        "MlengineErrors",
        "MlengineSlow",
        "MlengineQueueNearItsBound",
        "MlengineWorkerDown",
    }


@pytest.mark.slow
def test_a_killed_control_plane_neither_loses_nor_doubles_an_answer(own_server: Server) -> None:
    shell = own_server.shell
    python = shell.run("runtimes", "build", "2026.11-sklearn", timeout=600).stdout.split()[-1]
    (shell.cwd / "line").mkdir()
    shell.program(python, "-c", TRAIN, str(shell.cwd / "line" / "model.joblib"))
    shell.run("models", "create", "monitored", "--regions", "us-central1")
    shell.run("versions", "create", "v1", "--model", "monitored", "--origin", "line")
    url = f"{own_server.endpoint}/mlengine/v1/projects/local/models/monitored/versions/v1/metrics"

    count = 0
    for _ in range(3):
        # Whole intervals pass between two kills, so that some of it is written and some is not.
        until = time.monotonic() + 11
        while time.monotonic() < until:
            predict(own_server, [[1.0]])
            count += 1
        killed = control_plane(own_server)
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda old=killed: control_plane(own_server) not in (0, old), "another control plane")
        wait_until(lambda: is_told(url), "its answer")

    assert call(url)["sum"]["codes"] == {"200": count}
    shell.run("server", "stop")
    own_server.start()
    again = url.replace(url.partition("/mlengine")[0], own_server.endpoint)
    assert call(again)["sum"]["codes"] == {"200": count}


def is_told(url: str) -> bool:
    try:
        call(url)
    except OSError:
        return False
    return True
