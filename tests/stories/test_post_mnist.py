"""The fourth post: a Keras network on MNIST, with config.yaml and setup.py, up to a table of ten digits."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.stories.conftest import ROOT, Server, Shell


@pytest.fixture(scope="module")
def shell(server: Server, tmp_path_factory: pytest.TempPathFactory, mnist_data: Path) -> Shell:
    folder = tmp_path_factory.mktemp("mnist") / "work"
    shutil.copytree(
        ROOT / "examples" / "mnist", folder, ignore=shutil.ignore_patterns("__pycache__", "mnist")
    )
    # The post's own settings: a GPU type, an old Python, and counts of 0.
    (folder / "trainer" / "config.yaml").write_text(
        'trainingInput:\n  pythonVersion: "3.5"\n  scaleTier: CUSTOM\n  masterType: standard_p100\n'
        "  workerType: standard_p100\n  parameterServerType: large_model\n  workerCount: 0\n"
        "  parameterServerCount: 0\n"
    )
    shell = Shell(folder, dict(server.shell.environment))
    shell.run("storage", "mb", "gs://anderson-mnist")
    shell.run(
        "storage", "cp", *(str(path) for path in sorted(mnist_data.glob("*.gz"))), "gs://anderson-mnist"
    )
    return shell


@pytest.fixture(scope="module")
def trained(shell: Shell):
    return shell.run(
        "ml-engine", "jobs", "submit", "training", "mnist_train_1",
        "--job-dir", "gs://anderson-mnist/mnist_train_1",
        "--runtime-version", "1.8",
        "--module-name", "trainer.task",
        "--package-path", "./trainer",
        "--region", "us-east1",
        "--config", "trainer/config.yaml",
        "--stream-logs",
        "--",
        "--train-file", "gs://anderson-mnist",
        timeout=600,
    )  # fmt: skip


def test_the_bucket_lists_the_four_files(shell: Shell):
    listed = shell.run("storage", "ls", "gs://anderson-mnist").stdout.splitlines()

    assert {line for line in listed if line.endswith(".gz")} == {
        f"gs://anderson-mnist/{part}-ubyte.gz"
        for part in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    }


def test_the_network_learns_the_digits_and_the_log_says_what_was_mapped(trained):
    accuracy = float(re.search(r"Test Accuracy: ([\d.]+)", trained.stderr)[1])

    assert accuracy > 0.94
    assert "standard_p100 (8 CPUs, 30 GB, 1 P100) is mapped to this machine" in trained.stderr
    assert "state: SUCCEEDED" in trained.stdout


def test_online_and_local_predictions_are_one_table_of_ten_digits(shell: Shell, trained, mnist_data: Path):
    sample = str(mnist_data / "sample.json")
    shell.run("models", "create", "mnist", "--regions", "us-east1")
    shell.run(
        "ml-engine", "versions", "create", "v1", "--model", "mnist",
        "--origin", "gs://anderson-mnist/mnist_train_1/model/", "--runtime-version", "1.8",
    )  # fmt: skip
    shell.run("storage", "cp", "-r", "gs://anderson-mnist/mnist_train_1/model", "checkpoints/")

    models = shell.run("ml-engine", "models", "list").stdout
    online = shell.run(
        "ml-engine", "predict", "--model", "mnist", "--version", "v1", "--json-instances", sample
    )
    local = shell.run(
        "ml-engine", "local", "predict", "--model-dir", "checkpoints/model", "--json-instances", sample,
        "--verbosity", "debug",
    )  # fmt: skip

    assert re.search(r"^mnist +v1$", models, re.MULTILINE)
    header, *rows = online.stdout.splitlines()
    assert header.split() == ["CLASS", "PROBABILITIES"]
    assert sum(int(row.split()[0]) == digit for digit, row in enumerate(rows)) >= 9
    assert len(rows) == 10
    assert [row.split()[0] for row in local.stdout.splitlines()] == [
        row.split()[0] for row in online.stdout.splitlines()
    ]


def test_an_image_with_a_pixel_missing_is_refused_by_number(shell: Shell, trained):
    instance = '{"image": [' + ", ".join(["0"] * 783) + "]}"
    shell.run("models", "create", "mnist_short", "--regions", "us-east1")
    shell.run(
        "versions", "create", "v1", "--model", "mnist_short", "--origin", "gs://anderson-mnist/mnist_train_1/model",
    )  # fmt: skip

    refused = shell.run("predict", "--model", "mnist_short", "--json-instances", "-", stdin=instance, code=1)

    assert "Instance 1" in refused.stderr
    assert "783" in refused.stderr
    assert "784" in refused.stderr


def test_a_flag_that_the_trainer_does_not_know_is_refused_before_anything_is_sent(shell: Shell):
    line = (
        "jobs", "submit", "training", "mnist_checkpoint", "--module-name", "trainer.task",
        "--package-path", "trainer", "--region", "us-east1", "--job-dir", "gs://anderson-mnist/slip",
        "--runtime-version", "2026.11-tensorflow", "--stream-logs",
    )  # fmt: skip

    refused = shell.run(*line, "--", "--checkpoint=checkpoints", code=1)

    assert "trainer/task.py:" in refused.stderr
    assert "--checkpoint=checkpoints" in refused.stderr
    assert "[argument-rejected]" in refused.stderr
    shell.run("jobs", "describe", "mnist_checkpoint", code=1)


def test_told_to_go_on_the_job_fails_with_the_parsers_words(shell: Shell):
    done = shell.run(
        "jobs", "submit", "training", "mnist_checkpoint", "--module-name", "trainer.task",
        "--package-path", "trainer", "--region", "us-east1", "--job-dir", "gs://anderson-mnist/slip",
        "--runtime-version", "2026.11-tensorflow", "--stream-logs",
        "--skip-preflight", "argument-rejected", "--", "--checkpoint=checkpoints",
        code=1, timeout=600,
    )  # fmt: skip

    assert "unrecognized arguments: --checkpoint=checkpoints" in done.stderr
    assert "FAILED" in done.stdout
