"""Versions that cannot be served say why; a worker that dies comes back."""

from __future__ import annotations

import json
import os
import pickle
import signal
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.stories.conftest import Server, Shell, wait_until

TRAIN = (
    "import sys, joblib, numpy\nfrom sklearn.linear_model import LinearRegression\n"
    "joblib.dump(LinearRegression().fit(numpy.array([[0.0], [1.0]]), [1.0, 3.0]), sys.argv[1])\n"
)


def deploy(shell: Shell, model: str, *words: str, code: int = 0):
    shell.run("models", "create", model, "--regions", "us-central1", code=None)
    return shell.run("versions", "create", "v1", "--model", model, *words, code=code)


@pytest.fixture
def line(shell: Shell) -> Path:
    """A folder with a model of 2x + 1."""
    python = shell.run("runtimes", "build", "2026.11-sklearn", timeout=600).stdout.split()[-1]
    folder = shell.cwd / "line"
    folder.mkdir()
    shell.program(python, "-c", TRAIN, str(folder / "model.joblib"))
    return folder


def test_a_model_that_does_not_load_fails_with_the_workers_own_traceback(shell: Shell):
    (shell.cwd / "broken").mkdir()
    (shell.cwd / "broken" / "model.pkl").write_bytes(b"\x80\x04cno_such_package\nModel\n.")

    failed = deploy(shell, "broken", "--origin", "broken", code=1)
    version = shell.json("versions", "describe", "v1", "--model", "broken")
    asked = shell.run(
        "predict", "--model", "broken", "--version", "v1", "--json-instances", "-", stdin="[1]\n", code=1
    )

    assert "Create Version failed. Bad model detected with error" in failed.stderr
    assert "Traceback (most recent call last)" in failed.stderr
    assert "ModuleNotFoundError: No module named 'no_such_package'" in failed.stderr
    assert version["state"] == "FAILED"
    assert "no_such_package" in version["errorMessage"]
    assert "no_such_package" in asked.stderr
    shell.run("versions", "delete", "v1", "--model", "broken", "-q")
    shell.run("models", "delete", "broken", "-q")


def test_what_is_no_model_is_refused_with_the_class_that_was_found(shell: Shell):
    (shell.cwd / "dict").mkdir()
    (shell.cwd / "dict" / "model.pkl").write_bytes(pickle.dumps({"a": 1}))

    failed = deploy(shell, "a_dict", "--origin", "dict", code=1)

    assert "Invalid model type detected: builtins.dict" in failed.stderr


def test_a_failed_version_does_not_become_the_default(shell: Shell, line: Path):
    (shell.cwd / "dict").mkdir()
    (shell.cwd / "dict" / "model.pkl").write_bytes(pickle.dumps({"a": 1}))
    deploy(shell, "second_try", "--origin", "dict", code=1)

    shell.run("versions", "create", "v2", "--model", "second_try", "--origin", str(line))

    assert shell.json("models", "describe", "second_try")["defaultVersion"]["name"].endswith("/v2")
    predicted = shell.run("predict", "--model", "second_try", "--json-instances", "-", stdin="[2]\n")
    assert json.loads(predicted.stdout) == pytest.approx([5.0])


def test_a_worker_that_is_killed_comes_back_by_itself(server: Server, shell: Shell, line: Path):
    deploy(shell, "phoenix", "--origin", str(line))
    serving = server.data_dir / "serving"
    mine = next(path for path in serving.glob("*/options.json") if '"phoenix"' in path.read_text()).parent
    host = json.loads((mine / "node-0.json").read_text())["host"]

    os.kill(int((serving / "hosts" / host / "pid").read_text()), signal.SIGKILL)
    wait_until(lambda: json.loads((mine / "node-0.json").read_text())["host"] != host, "a new worker")
    predicted = shell.run("predict", "--model", "phoenix", "--json-instances", "-", stdin="[3]\n")

    assert json.loads(predicted.stdout) == pytest.approx([7.0])


def test_a_query_that_would_change_the_answer_of_a_prediction_is_refused(
    server: Server, shell: Shell, line: Path
):
    deploy(shell, "queried", "--origin", str(line), "--framework", "scikit-learn")

    def ask(query: str) -> tuple[int, dict]:
        url = f"{server.endpoint}/v1/projects/local/models/queried:predict{query}"
        request = urllib.request.Request(url, b'{"instances": [[2.0]]}')
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    for idle in ("", "?alt=json", "?%24.xgafv=2&prettyPrint=false&key=x", "?quotaUser=me"):
        status, answer = ask(idle)
        assert (status, answer["predictions"]) == (200, [pytest.approx(5.0)])
    for query, named in (
        ("?fields=predictions", "fields"),
        ("?alt=media", "alt"),
        ("?vresion=v1", "vresion"),
    ):
        status, answer = ask(query)
        assert (status, named in answer["error"]["message"]) == (400, True), answer
