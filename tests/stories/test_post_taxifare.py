"""The second post: a package with setup.py, run as a module first, then submitted with a staging bucket."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.stories.conftest import ROOT, Shell


@pytest.fixture
def package(shell: Shell) -> Path:
    return Path(
        shutil.copytree(
            ROOT / "examples" / "taxifare",
            shell.cwd / "taxifare",
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    )


def test_a_module_with_globs_is_rehearsed_submitted_deployed_and_asked(shell: Shell, package: Path):
    before = sorted(path.relative_to(package) for path in package.rglob("*"))
    rehearsal = shell.run(
        "local", "train", "--module-name", "trainer.task",
        "--package-path", "trainer",
        "--runtime-version", "2026.11-sklearn", "--job-dir", str(shell.cwd / "out"), "--",
        "--train_data_paths=data/*train*", "--eval_data_paths=data/*valid*",
        f"--output_dir={shell.cwd / 'out'}", "--train_steps=30",
        cwd=package,
    )  # fmt: skip
    shell.run("storage", "mb", "gs://taxifare-story")
    shell.run(
        "storage", "cp", *(str(path) for path in package.glob("data/*.csv")), "gs://taxifare-story/data/"
    )
    submitted = shell.run(
        "jobs", "submit", "training", "taxifare_1",
        "--module-name=trainer.task",
        "--package-path=trainer",
        "--job-dir=gs://taxifare-story/taxifare_1",
        "--staging-bucket=gs://taxifare-story",
        "--scale-tier=BASIC",
        "--runtime-version=2026.11-sklearn",
        "--region=us-central1",
        "--stream-logs",
        "--",
        "--train_data_paths=gs://taxifare-story/data/*train*",
        "--eval_data_paths=gs://taxifare-story/data/*valid*",
        "--output_dir=gs://taxifare-story/taxifare_1",
        "--train_steps=30",
        cwd=package, timeout=600,
    )  # fmt: skip
    shell.run("models", "create", "taxifare", "--regions", "us-central1")
    shell.run(
        "versions", "create", "v1", "--model", "taxifare", "--origin", "gs://taxifare-story/taxifare_1/model",
        "--framework", "xgboost", "--runtime-version", "2026.11-sklearn",
    )  # fmt: skip
    predicted = shell.run("predict", "--model", "taxifare", "--json-instances", str(package / "test.json"))

    error = re.compile(r"Validation RMSE: [\d.]+ dollars")
    assert error.search(rehearsal.stdout)[0] == error.search(submitted.stderr)[0]
    assert re.search(
        r"gs://taxifare-story/taxifare_1/[0-9a-f]{64}/\S+\.tar\.gz",
        submitted.stdout + shell.run("jobs", "describe", "taxifare_1").stdout,
    )
    assert re.fullmatch(r"\[[\d.]+, [\d.]+\]\n", predicted.stdout)
    after = sorted(
        path.relative_to(package) for path in package.rglob("*") if "__pycache__" not in path.parts
    )
    assert after == before, "packing and rehearsing leave nothing behind in the user's folder"


def test_a_folder_that_is_no_package_is_refused_with_the_reason(shell: Shell, package: Path):
    refused = shell.run(
        "jobs", "submit", "training", "taxifare_bad", "--module-name", "trainer.task",
        "--package-path", "taxifare/data",
        "--region", "us-central1", "--staging-bucket", "gs://taxifare-none", code=1,
    )  # fmt: skip

    assert "__init__.py" in refused.stderr


def test_a_module_that_is_not_packed_is_refused_with_the_nearest(shell: Shell, package: Path):
    refused = shell.run(
        "jobs", "submit", "training", "taxifare_bad", "--module-name", "trainer.tsk",
        "--package-path", "trainer",
        "--region", "us-central1", "--staging-bucket", "gs://taxifare-none", code=1, cwd=package,
    )  # fmt: skip

    assert "trainer.task" in refused.stderr
