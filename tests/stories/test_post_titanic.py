"""The first post: five features of the Titanic's passengers, from a local rehearsal to predictions."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from google.auth.credentials import AnonymousCredentials
from googleapiclient import discovery, errors

from tests.stories.conftest import ROOT, Server, Shell

TRAINER_ARGS = ["--train-steps", "1000", "--eval-steps", "100"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, titanic_data: Path) -> Path:
    """The reader's own folder: trainer/ and data/."""
    folder = tmp_path_factory.mktemp("titanic") / "work"
    shutil.copytree(
        ROOT / "examples" / "titanic", folder, ignore=shutil.ignore_patterns("__pycache__", "output")
    )
    shutil.copytree(titanic_data, folder / "data", dirs_exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def trained(server: Server, project: Path) -> Shell:
    """The story up to a finished job, in a shell at the reader's folder."""
    shell = Shell(project, dict(server.shell.environment))
    shell.run("storage", "mb", "gs://titanic-story")
    shell.run("storage", "cp", "data/train.csv", "data/eval.csv", "gs://titanic-story/data/")
    return shell


@pytest.fixture(scope="module")
def submitted(trained: Shell):
    """The post's own command line, with `gcloud` replaced."""
    return trained.run(
        "ml-engine", "jobs", "submit", "training", "titanic_single_8",
        "--module-name", "trainer.task",
        "--package-path", "trainer/",
        "--job-dir", "gs://titanic-story/titanic_single_8",
        "--runtime-version", "1.8",
        "--region", "us-central1",
        "--stream-logs",
        "--",
        "--train-files", "gs://titanic-story/data/train.csv",
        "--eval-files", "gs://titanic-story/data/eval.csv",
        *TRAINER_ARGS,
        timeout=600,
    )  # fmt: skip


@pytest.fixture(scope="module")
def deployed(trained: Shell, submitted) -> Shell:
    trained.run("models", "create", "titanic101", "--regions", "us-central1")
    trained.run(
        "versions", "create", "titanic1", "--model", "titanic101",
        "--origin", "gs://titanic-story/titanic_single_8/model", "--runtime-version", "1.8",
    )  # fmt: skip
    return trained


def test_the_rehearsal_runs_in_the_packages_parent_and_gets_the_job_dir_last(project: Path, trained: Shell):
    done = trained.run(
        "ml-engine", "local", "train",
        "--module-name", "trainer.task", "--package-path", "trainer/", "--job-dir", "output",
        "--runtime-version", "2026.11-sklearn",
        "--",
        "--train-files", "data/train.csv", "--eval-files", "data/eval.csv", *TRAINER_ARGS,
    )  # fmt: skip

    assert re.search(r"Holdout accuracy: 0\.[78]\d+ \(n=\d+\)", done.stdout)
    assert (project / "output" / "model" / "model.joblib").exists()


def test_the_job_streams_its_log_and_ends_succeeded(submitted):
    assert "state: SUCCEEDED" in submitted.stdout
    lines = [line for line in submitted.stderr.splitlines() if line.count("\t") >= 4]
    times = [line.split("\t")[1] for line in lines]
    assert times == sorted(times)
    assert any(re.match(r"INFO\t\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}\tservice\t", line) for line in lines)
    assert any("\tmaster-replica-0\t" in line and "Holdout accuracy" in line for line in lines)
    assert any(
        "Running command: python3 -m trainer.task" in line
        and line.endswith("--job-dir gs://titanic-story/titanic_single_8")
        for line in lines
    )
    assert any("Runtime version 1.8" in line and "retired" in line for line in lines)


def test_the_same_job_id_is_refused_with_a_free_one(trained: Shell, submitted):
    again = trained.run(
        "jobs", "submit", "training", "titanic_single_8",
        "--module-name", "trainer.task", "--package-path", "trainer", "--region", "us-central1",
        "--job-dir", "gs://titanic-story/again",
        code=1,
    )  # fmt: skip

    assert "already exists" in again.stderr
    assert "titanic_single_9" in again.stderr


def test_job_folders_hold_model_and_packages(trained: Shell, submitted):
    listed = trained.run("storage", "ls", "gs://titanic-story/titanic_single_8").stdout.split()

    assert "gs://titanic-story/titanic_single_8/model/" in listed
    assert "gs://titanic-story/titanic_single_8/packages/" in listed


def test_predict_prints_class_and_probabilities(deployed: Shell):
    done = deployed.run(
        "ml-engine",
        "predict",
        "--model",
        "titanic101",
        "--version",
        "titanic1",
        "--json-instances",
        "data/test.json",
    )

    header, first, second = done.stdout.splitlines()
    assert header.split() == ["CLASS", "PROBABILITIES"]
    assert first.split()[0] == "0"
    assert second.split()[0] == "1"
    assert sum(json.loads(first.split(None, 1)[1])) == pytest.approx(1)


def test_the_default_version_answers_when_none_is_named(deployed: Shell):
    assert deployed.run("models", "list").stdout.splitlines()[0].split() == ["NAME", "DEFAULT_VERSION_NAME"]
    named = deployed.run(
        "predict", "--model", "titanic101", "--version", "titanic1", "--json-instances", "data/test.json"
    )
    default = deployed.run("predict", "--model", "titanic101", "--json-instances", "data/test.json")

    assert named.stdout == default.stdout


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            '{"Pclass": 3, "Sex": "male", "Age": 22, "SibSp": 1, "Embarked": "X"}',
            ["Embarked", "'X'", "C, Q, S"],
        ),
        (
            '{"Pclass": 3, "Sex": "male", "Age": 22, "SibSp": 1, "Embarked": "S", "Fare": 7.25}',
            ["'Fare'", "Remove it"],
        ),
        ('{"Pclass": 3, "Sex": "male", "SibSp": 1, "Embarked": "S"}', ["'Age'", "missing"]),
        ('{"Pclass": 3, "Sex": "male", "Age": "22", "SibSp": 1, "Embarked": "S"}', ["Age", "number"]),
    ],
)
def test_a_bad_instance_is_named_with_its_field_and_a_cure(deployed: Shell, line: str, words: list[str]):
    good = '{"Pclass": 1, "Sex": "female", "Age": 20, "SibSp": 0, "Embarked": "Q"}'

    done = deployed.run(
        "predict", "--model", "titanic101", "--json-instances", "-", stdin=f"{good}\n{line}\n", code=1
    )

    assert "Instance 2" in done.stderr
    for word in words:
        assert word in done.stderr
    assert "Traceback" not in done.stderr


def test_an_empty_line_is_named_by_its_number(deployed: Shell):
    good = '{"Pclass": 1, "Sex": "female", "Age": 20, "SibSp": 0, "Embarked": "Q"}'

    done = deployed.run(
        "predict", "--model", "titanic101", "--json-instances", "-", stdin=f"{good}\n\n{good}\n", code=1
    )

    assert re.search(r"[Ll]ine 2", done.stderr)


def test_an_array_in_place_of_lines_is_understood(deployed: Shell):
    lines = (deployed.cwd / "data" / "test.json").read_text().splitlines()
    array = json.dumps([json.loads(line) for line in lines], indent=2)

    done = deployed.run("predict", "--model", "titanic101", "--json-instances", "-", stdin=array)

    assert "array of 2 instances" in done.stderr
    assert len(done.stdout.splitlines()) == 3


def test_googles_own_client_predicts_as_in_the_posts_flask_service(server: Server, deployed: Shell):
    body = {"instances": [{"Pclass": 1, "Sex": "female", "Age": 20, "SibSp": 0, "Embarked": "Q"}]}
    with discovery.build(
        "ml", "v1", credentials=AnonymousCredentials(), client_options={"api_endpoint": server.endpoint}
    ) as client:
        projects = client.projects()
        answer = projects.predict(
            name="projects/local/models/titanic101/versions/titanic1", body=body
        ).execute()
        with pytest.raises(errors.HttpError) as mistyped:
            projects.predict(name="projects/local/models/titanic_101", body=body).execute()
        projects.close()

    assert answer["predictions"][0]["class"] == 1
    assert mistyped.value.status_code == 404
    assert "Did you mean 'titanic101'?" in str(mistyped.value)


def test_local_predict_agrees_with_the_deployed_version(deployed: Shell):
    online = deployed.run("predict", "--model", "titanic101", "--json-instances", "data/test.json")
    deployed.run("storage", "cp", "-r", "gs://titanic-story/titanic_single_8/model", ".")

    local = deployed.run(
        "local",
        "predict",
        "--model-dir",
        "model",
        "--framework",
        "scikit-learn",
        "--json-instances",
        "data/test.json",
    )

    assert local.stdout == online.stdout
