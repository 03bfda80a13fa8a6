"""A new version takes over step by step, and back again: split, shadow, default, roll back."""

from __future__ import annotations

import json
import urllib.request
from collections import Counter

import pytest

from tests.stories.conftest import Server, Shell

TRAIN = (
    "import sys, joblib, numpy\nfrom sklearn.linear_model import LinearRegression\n"
    "slope = float(sys.argv[2])\n"
    "joblib.dump(LinearRegression().fit(numpy.array([[0.0], [1.0]]), [0.0, slope]), sys.argv[1])\n"
)


@pytest.fixture
def two(shell: Shell) -> str:
    """A model whose versions v1 and v2 multiply by 1 and by 2."""
    python = shell.run("runtimes", "build", "2026.11-sklearn", timeout=600).stdout.split()[-1]
    shell.run("models", "create", "slope", "--regions", "us-central1")
    for slope in ("1", "2"):
        folder = shell.cwd / f"times_{slope}"
        folder.mkdir()
        shell.program(python, "-c", TRAIN, str(folder / "model.joblib"), slope)
        made = shell.run(
            "versions",
            "create",
            f"v{slope}",
            "--model",
            "slope",
            "--origin",
            str(folder),
            "--max-batch-size",
            "4",
        )
        assert "done." in made.stderr
    return "slope"


def answers(server: Server, count: int) -> Counter[float]:
    """What a model without a named version answers, `count` times."""
    found: Counter[float] = Counter()
    for _ in range(count):
        asked = urllib.request.Request(
            f"{server.endpoint}/v1/projects/local/models/slope:predict",
            data=b'{"instances": [[1.0]]}',
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(asked, timeout=60) as answer:
            found[round(json.load(answer)["predictions"][0], 6)] += 1
    return found


def test_a_version_takes_over_step_by_step_and_is_rolled_back(server: Server, shell: Shell, two: str) -> None:
    assert answers(server, 3) == {1.0: 3}

    split = shell.run("models", "set-traffic", two, "--split", "v1=50,v2=50")
    assert "Answered by: v1 50 %, v2 50 %." in split.stderr
    assert set(answers(server, 40)) == {1.0, 2.0}

    refused = shell.run("versions", "delete", "v2", "--model", two, "-q", code=1)
    assert "answers 50 % of the requests" in refused.stderr

    shell.run("models", "set-traffic", two, "--split", "v2=100")
    assert answers(server, 3) == {2.0: 3}

    shell.run("models", "roll-back", two)
    assert set(answers(server, 40)) == {1.0, 2.0}
    shell.run("models", "roll-back", two)
    assert answers(server, 3) == {1.0: 3}
    nothing = shell.run("models", "roll-back", two, code=1)
    assert "no earlier version" in nothing.stderr

    copied = shell.run("models", "set-traffic", two, "--shadow", "v2=100%")
    assert "Copies go to: v2 100 %." in copied.stderr
    assert answers(server, 10) == {1.0: 10}
    model = shell.json("models", "describe", two)
    assert model["mlengine"]["traffic"] == {"split": {"v1": 100}, "shadow": {"v2": 1.0}}
    assert [served["version"] for served in model["mlengine"]["history"]][-1] == "v1"
    shell.run("models", "set-traffic", two, "--clear-shadow")

    described = shell.run("versions", "describe", "v1", "--model", two, "--format", "json")
    block = json.loads(described.stdout)["mlengine"]
    assert block["maxBatchSize"] == 4
    assert block["schema"]["framework"] == "scikit-learn"
    assert "It takes rows of" in described.stderr
    shell.run("versions", "update", "v1", "--model", two, "--max-batch-size", "8", "--non-finite", "text")
    again = shell.json("versions", "describe", "v1", "--model", two)["mlengine"]
    assert (again["maxBatchSize"], again["nonFinite"]) == (8, "TEXT")
    assert answers(server, 3) == {1.0: 3}

    url = f"{server.endpoint}/mlengine/v1/projects/local/models/{two}/versions/v1"
    with urllib.request.urlopen(f"{url}/openapi", timeout=60) as answer:
        document = json.load(answer)
    assert f"/v1/projects/local/models/{two}/versions/v1:predict" in document["paths"]
    with urllib.request.urlopen(f"{url}/samples", timeout=60) as answer:
        sample = json.load(answer)["cli"]
    # The sample is to be typed as it is.
    copy = shell.program("sh", "-c", sample)
    assert json.loads(copy.stdout)
    with urllib.request.urlopen(f"{server.endpoint}/v1/models/{two}", timeout=60) as answer:
        status = json.load(answer)["model_version_status"]
    assert [one["state"] for one in status] == ["AVAILABLE", "AVAILABLE"]
    with urllib.request.urlopen(f"{server.endpoint}/v2/models/{two}/ready", timeout=60) as answer:
        assert json.load(answer) == {"name": two, "ready": True}
