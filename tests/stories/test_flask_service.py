"""The first post's end: a small web service in front of the model, here with a key of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.stories.conftest import ROOT, Server, Shell

ACCOUNT = "web-service@local.iam.gserviceaccount.com"
MODEL = "projects/local/models/titanic101/versions/titanic1"
ROSE = {"Pclass": 1, "Sex": "female", "Age": 20, "SibSp": 0, "Embarked": "Q"}


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory, titanic_data: Path) -> Iterator[Shell]:
    """The first owner's shell at a server that wants tokens, with the model trained and deployed on it."""
    folder = tmp_path_factory.mktemp("flask")
    project = folder / "work"
    shutil.copytree(
        ROOT / "examples" / "titanic", project, ignore=shutil.ignore_patterns("__pycache__", "output")
    )
    shutil.copytree(titanic_data, project / "data", dirs_exist_ok=True)
    shell = Shell(project, {"XDG_CONFIG_HOME": str(folder / "config"), "MLENGINE_AUTH": "required"})
    server = Server(folder / "data", shell)
    server.start()
    try:
        shell.environment["MLENGINE_CREDENTIALS"] = str(server.data_dir / "keys" / "admin.json")
        _train_and_deploy(shell)
        yield shell
    finally:
        server.stop()


def _train_and_deploy(shell: Shell) -> None:
    shell.run("storage", "mb", "gs://titanic")
    shell.run("storage", "cp", "data/train.csv", "data/eval.csv", "gs://titanic/data/")
    shell.run(
        "jobs", "submit", "training", "titanic_single_1",
        "--module-name", "trainer.task", "--package-path", "trainer/",
        "--job-dir", "gs://titanic/models/titanic_single_1",
        "--runtime-version", "1.8", "--region", "us-central1", "--stream-logs",
        "--",
        "--train-files", "gs://titanic/data/train.csv", "--eval-files", "gs://titanic/data/eval.csv",
        "--train-steps", "1000", "--eval-steps", "100",
        timeout=600,
    )  # fmt: skip
    shell.run("models", "create", "titanic101", "--regions", "us-central1")
    shell.run(
        "versions", "create", "titanic1", "--model", "titanic101",
        "--origin", "gs://titanic/models/titanic_single_1/model", "--runtime-version", "1.8",
    )  # fmt: skip


@pytest.fixture(scope="module")
def key(strict: Shell) -> Path:
    """The key of the service's own account, made as its README says."""
    strict.run("iam", "service-accounts", "create", "web-service", "--display-name", "Web service")
    strict.run("iam", "service-accounts", "keys", "create", "key.json", f"--iam-account={ACCOUNT}")
    strict.run(
        "models", "add-iam-policy-binding", "titanic101",
        f"--member=serviceAccount:{ACCOUNT}", "--role=roles/ml.modelUser",
    )  # fmt: skip
    return strict.cwd / "key.json"


@contextmanager
def running(shell: Shell, key: str) -> Iterator[str]:
    """The service as a process; its address."""
    environment = os.environ | {
        "SERVICE_KEY": key,
        "ML_ENDPOINT": shell.environment["MLENGINE_ENDPOINT"],
        "ML_MODEL": MODEL,
        "ALLOWED_ORIGINS": "https://shop.example",
        "PYTHONUNBUFFERED": "1",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "flask", "--app", "app", "run", "--port", "0"],
        cwd=ROOT / "examples" / "flask_service",
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    lines = []
    try:
        for line in process.stderr:
            lines.append(line)
            if found := re.search(r"Running on (http://\S+)", line):
                yield found[1]
                return
        pytest.fail("the service did not start:\n" + "".join(lines))
    finally:
        process.terminate()
        process.communicate()


def ask(address: str, body: Any, **headers: str) -> tuple[int, Any, dict[str, str]]:
    request = urllib.request.Request(
        f"{address}/predict",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"} | headers,
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer), dict(answer.headers)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error), dict(error.headers)


@pytest.mark.parametrize("as_content", [True, False])
def test_the_service_predicts_with_its_key_as_content_or_path(
    strict: Shell, key: Path, as_content: bool
) -> None:
    with running(strict, key.read_text() if as_content else str(key)) as address:
        status, answer, headers = ask(address, {"data": [ROSE]}, Origin="https://shop.example")

    assert status == 200
    assert answer[0]["class"] == 1
    assert sum(answer[0]["probabilities"]) == pytest.approx(1)
    assert headers["Access-Control-Allow-Origin"] == "https://shop.example"


def test_a_bad_instance_is_answered_with_the_servers_words(strict: Shell, key: Path) -> None:
    with running(strict, str(key)) as address:
        status, answer, _ = ask(address, {"data": [ROSE | {"Embarked": "X"}]})
        nothing, said, _ = ask(address, {"dat": 1})

    assert status == 400 and "Embarked" in answer["error"] and "C, Q, S" in answer["error"]
    assert nothing == 400 and "Send a list" in said["error"]


def test_a_service_whose_key_is_deleted_says_so_with_the_next_request(strict: Shell, key: Path) -> None:
    other = strict.cwd / "other.json"
    strict.run("iam", "service-accounts", "keys", "create", str(other), f"--iam-account={ACCOUNT}")
    key_id = json.loads(other.read_text())["private_key_id"]

    with running(strict, str(other)) as address:
        before, _, _ = ask(address, {"data": [ROSE]})
        strict.run("iam", "service-accounts", "keys", "delete", key_id, f"--iam-account={ACCOUNT}", "-q")
        after, answer, _ = ask(address, {"data": [ROSE]})

    assert before == 200
    assert after == 502 and "was deleted" in answer["error"]


def test_a_service_whose_role_is_taken_away_hears_the_command_that_gives_it_back(
    strict: Shell, key: Path
) -> None:
    binding = ("titanic101", f"--member=serviceAccount:{ACCOUNT}", "--role=roles/ml.modelUser")
    with running(strict, str(key)) as address:
        strict.run("models", "remove-iam-policy-binding", *binding)
        status, answer, _ = ask(address, {"data": [ROSE]})
        strict.run("models", "add-iam-policy-binding", *binding)
        again, _, _ = ask(address, {"data": [ROSE]})

    assert (status, again) == (403, 200)
    assert "mlengine models add-iam-policy-binding titanic101" in answer["error"]
