"""The fifth post: the smallest trainer, two files, that prints TensorFlow's version."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.stories.conftest import ROOT, Shell


@pytest.fixture
def project(shell: Shell) -> Path:
    shutil.copytree(
        ROOT / "examples" / "version_check" / "trainer",
        shell.cwd / "trainer",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    return shell.cwd


def test_the_posts_commands_print_the_version_first_here_then_as_a_job(shell: Shell, project: Path):
    rehearsal = shell.run(
        "ml-engine", "local", "train", "--module-name", "trainer.oops",
        "--package-path", "trainer",
        "--runtime-version", "2026.11-tensorflow", timeout=600,
    )  # fmt: skip
    shell.run("storage", "mb", "gs://jybaek_cloudml_test")
    submitted = shell.run(
        "ml-engine", "jobs", "submit", "training", "census_single_7",
        "--job-dir", "gs://jybaek_cloudml_test/census_single_7",
        "--module-name", "trainer.oops",
        "--package-path", "trainer/",
        "--region", "us-central1",
        "--runtime-version", "1.2",
    )  # fmt: skip
    streamed = shell.run("ml-engine", "jobs", "stream-logs", "census_single_7", timeout=600)
    described = shell.json("jobs", "describe", "census_single_7")
    listed = shell.run("jobs", "list")

    version = rehearsal.stdout.split()[-1]
    assert "Job [census_single_7] submitted successfully." in submitted.stderr
    assert "state: QUEUED" in submitted.stdout
    assert version.startswith("2.")
    # A number of the time of TensorFlow 1 means the runtime that still has tf.estimator.
    assert "\t2.15.1" in streamed.stderr + streamed.stdout
    assert described["state"] == "SUCCEEDED"
    row = next(line for line in listed.stdout.splitlines() if line.startswith("census_single_7 "))
    assert row.split()[1] == "SUCCEEDED"


def test_python_2_print_is_named_before_anything_is_sent(shell: Shell, project: Path):
    (project / "trainer" / "oops.py").write_text(
        "import tensorflow as tf\n\nif __name__ == '__main__':\n  print tf.__version__\n"
    )

    refused = shell.run(
        "jobs", "submit", "training", "python2", "--module-name", "trainer.oops",
        "--package-path", "trainer",
        "--region", "us-central1", "--runtime-version", "1.2", "--job-dir", "gs://some-bucket/python2",
        code=1,
    )  # fmt: skip

    assert "oops.py" in refused.stderr
    assert "Python 2" in refused.stderr
    assert shell.run("jobs", "describe", "python2", code=1)


def test_a_blank_behind_the_backslash_is_named_as_the_cause(shell: Shell, project: Path):
    # As the post's page has it: the shell hands over an argument of blanks and ends the command there.
    script = "mlengine ml-engine local train --module-name trainer.oops \\    \n  --package-path trainer\n"

    done = subprocess.run(["bash", "-c", script], cwd=project, env=shell.full, capture_output=True, text=True)

    assert "space" in done.stderr
    assert "backslash" in done.stderr


def test_a_failing_trainer_fails_the_job_with_its_traceback(shell: Shell, project: Path):
    (project / "trainer" / "oops.py").write_text("def main():\n    raise KeyError('Fare')\n\n\nmain()\n")
    shell.run("storage", "mb", "gs://failing-story")

    done = shell.run(
        "jobs", "submit", "training", "failing_1", "--module-name", "trainer.oops",
        "--package-path", "trainer",
        "--region", "us-central1", "--runtime-version", "2026.11-sklearn", "--job-dir", "gs://failing-story/1",
        "--stream-logs", code=1,
    )  # fmt: skip
    job = shell.json("jobs", "describe", "failing_1")

    assert job["state"] == "FAILED"
    assert "KeyError: 'Fare'" in job["errorMessage"]
    assert "The replica master 0 exited with a non-zero status of 1." in job["errorMessage"]
    assert "KeyError: 'Fare'" in done.stderr
