"""The first submit succeeds, or says in seconds why it cannot, whoever sends it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.stories.conftest import Server, Shell
from tests.trainer_package import trainer_package

TASK = """\
import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--job-dir")
parser.add_argument("--train-files", required=True)
parser.add_argument("--train-steps", type=int, default=10)
print("steps", parser.parse_args().train_steps)
"""


@pytest.fixture
def trainer(shell: Shell) -> Path:
    folder = shell.cwd / "trainer"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "task.py").write_text(TASK)
    return folder


def test_every_slip_is_told_at_once_and_the_mended_line_succeeds(shell: Shell, trainer: Path):
    shell.run("storage", "mb", "gs://preflight-story")
    (shell.cwd / "train.csv").write_text("a,b\n1,2\n")
    shell.run("storage", "cp", "train.csv", "gs://preflight-story/data/train.csv")
    line = ("jobs", "submit", "training", "first_1", "--module-name", "trainer.task",
            "--package-path", "trainer", "--region", "us-central1",
            "--runtime-version", "2026.11-sklearn")  # fmt: skip
    began = time.monotonic()

    refused = shell.run(
        *line, "--job-dir", "gs://preflight-story/", "--scale-tier", "basic-gpu", "--",
        "--train-files", "gs://preflight-story/data/trian.csv", "--train-step=3", "more", code=1,
    )  # fmt: skip
    seconds = time.monotonic() - began
    left = shell.run("storage", "ls", "-r", "gs://preflight-story").stdout
    dry = shell.run(
        *line, "--job-dir", "gs://preflight-story/out", "--dry-run", "--",
        "--train-files", "gs://preflight-story/data/train.csv", "--train-steps=3",
    )  # fmt: skip
    missing = shell.run("jobs", "describe", "first_1", code=1)
    done = shell.run(
        *line, "--job-dir", "gs://preflight-story/out", "--stream-logs", "--",
        "--train-files", "gs://preflight-story/data/train.csv", "--train-steps=3", timeout=600,
    )  # fmt: skip
    again = shell.run(*line, "--job-dir", "gs://preflight-story/out", "--", "--train-files=x", code=1)

    for words in ("[job-dir-bucket-root]", "[data-missing]", "[argument-rejected]", "trainer/task.py:7"):
        assert words in refused.stderr
    assert seconds < 20
    assert "packages" not in left
    assert "trainer-0.0.0.tar.gz" in dry.stdout
    assert "Nothing was sent" in dry.stderr
    assert "first_1" in missing.stderr
    assert "state: SUCCEEDED" in done.stdout
    assert "steps 3" in done.stderr
    assert "first_2" in again.stderr
    assert "[duplicate-job]" in again.stderr


def test_a_job_of_another_client_is_checked_by_the_server(shell: Shell, server: Server):
    shell.run("storage", "mb", "gs://preflight-other")
    (shell.cwd / "t-1.tar.gz").write_bytes(trainer_package("import no_such_framework\nprint 'x'\n"))
    shell.run("storage", "cp", "t-1.tar.gz", "gs://preflight-other/t-1.tar.gz")
    job = {
        "jobId": "preflight_other_1",
        "trainingInput": {
            "packageUris": ["gs://preflight-other/t-1.tar.gz"],
            "pythonModule": "trainer.task",
            "region": "us-central1",
            "runtimeVersion": "1.15",
        },
    }
    request = Request(
        f"{server.endpoint}/v1/projects/local/jobs",
        json.dumps(job).encode(),
        {"Content-Type": "application/json"},
    )

    with pytest.raises(HTTPError) as caught:
        urlopen(request)
    error = json.load(caught.value)["error"]

    assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")
    assert "trainer/task.py:2" in error["message"]
    assert error["details"][0]["fieldViolations"][0]["reason"] == "python2"


def test_a_finding_can_be_gone_past_by_its_code(shell: Shell, trainer: Path):
    shell.run("storage", "mb", "gs://preflight-skip")
    line = ("jobs", "submit", "training", "skip_1", "--module-name", "trainer.task",
            "--package-path", "trainer", "--region", "us-central1",
            "--runtime-version", "2026.11-sklearn", "--job-dir", "gs://preflight-skip/out")  # fmt: skip

    mistyped = shell.run(*line, "--skip-preflight", "argument-mising", "--dry-run", code=1)
    stopped = shell.run(*line, "--dry-run", code=1)
    skipped = shell.run(*line, "--skip-preflight", "argument-missing", "--dry-run")

    assert "Did you mean 'argument-missing'?" in mistyped.stderr
    assert "[argument-missing]" in stopped.stderr
    assert "[argument-missing] Skipped." in skipped.stderr
    assert "jobId: skip_1" in skipped.stdout
