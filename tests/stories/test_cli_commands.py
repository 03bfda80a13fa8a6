"""Every group of commands that gcloud has, typed against a real server."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

from tests.stories.conftest import MLENGINE, Shell

TASK = (
    "import json, os, sys\n"
    "told = json.loads(os.environ['TF_CONFIG'])\n"
    "print('arguments', sys.argv[1:], flush=True)\n"
    "print('one\\ntwo', flush=True)\n"
)


@pytest.fixture
def trainer(shell: Shell) -> Path:
    folder = shell.cwd / "trainer"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "task.py").write_text(TASK)
    return folder


def test_a_model_from_create_to_delete(shell: Shell):
    created = shell.run("models", "create", "story_m", "--regions", "us-central1", "--labels", "team=a,old=x")
    shell.run("models", "create", "story_n")
    updated = shell.run(
        "beta", "ai-platform", "models", "update", "story_m",
        "--description", "told", "--update-labels", "team=b", "--remove-labels", "old",
    )  # fmt: skip
    again = shell.run("models", "update", "story_m", "--update-labels", "team=b")
    nothing = shell.run("models", "update", "story_m", code=1)
    model = shell.json("models", "describe", "story_m")
    table = shell.run("models", "list", "--filter", "name~story_", "--sort-by", "~name")
    values = shell.run("models", "list", "--filter", "labels.team=b", "--format", "value(name.basename())")
    addresses = shell.run("models", "list", "--uri", "--filter", "name~story_m")
    mistyped = shell.run("models", "describe", "story_mm", code=1)
    taken = shell.run("models", "create", "story_m", code=1)
    shell.run("models", "delete", "story_n", "-q")
    kept = shell.run("models", "delete", "story_m", stdin="n\n", code=1)
    deleted = shell.run("models", "delete", "story_m", stdin="y\n")

    assert (created.stdout, created.stderr) == (
        "",
        "Created ai platform model [projects/local/models/story_m].\n",
    )
    assert updated.stderr.endswith("Updated ai platform model [story_m].\n")
    assert again.stderr == "No update to perform.\n"
    assert "No updates requested." in nothing.stderr
    assert (model["labels"], model["description"]) == ({"team": "b"}, "told")
    assert table.stdout == "NAME     DEFAULT_VERSION_NAME\nstory_n\nstory_m\n"
    assert values.stdout == "story_m\n"
    assert addresses.stdout == f"{shell.environment['MLENGINE_ENDPOINT']}/v1/projects/local/models/story_m\n"
    assert "Did you mean 'story_m'?" in mistyped.stderr
    assert "story_m" in taken.stderr
    assert "Do you want to continue (Y/n)?" in kept.stderr
    assert "Aborted by user." in kept.stderr
    assert (deleted.returncode, deleted.stdout) == (0, "")
    assert "story_m" not in shell.run("models", "list").stdout


def test_a_job_from_submit_to_its_summary(shell: Shell, trainer: Path):
    shell.run("storage", "mb", "gs://cli-story")
    (shell.cwd / "config.yaml").write_text("labels: {from: file}\ntrainingInput: {args: [--ignored]}\n")
    submitted = shell.run(
        "jobs", "submit", "training", "cli_story_1", "--module-name", "trainer.task",
        "--package-path", "trainer/", "--staging-bucket", "gs://cli-story",
        "--job-dir", "gs://cli-story/out", "--region", "us-central1", "--config", "config.yaml",
        "--labels", "team=a", "--stream-logs", "--", "--epochs", "3",
        timeout=600,
    )  # fmt: skip
    updated = shell.run(
        "jobs", "update", "cli_story_1", "--update-labels", "team=b", "--remove-labels", "from"
    )
    job = shell.json("jobs", "describe", "cli_story_1")
    summary = shell.run("jobs", "describe", "cli_story_1", "--summarize")
    lines = shell.run("jobs", "stream-logs", "cli_story_1", "--task-name", "master-replica-0")
    listed = shell.run("jobs", "list", "--filter", "jobId=cli_story_1", "--limit", "1")
    (uploaded,) = job["trainingInput"]["packageUris"]

    assert "state: SUCCEEDED" in submitted.stdout
    assert "jobId: cli_story_1" in submitted.stdout
    assert "Job [cli_story_1] submitted successfully." in submitted.stderr
    assert updated.stderr == "Updated ml engine job [cli_story_1].\n"
    assert job["labels"] == {"team": "b"}
    assert job["trainingInput"]["args"] == ["--epochs", "3"]
    bucket, job_id, digest, name = uploaded.removeprefix("gs://").split("/")
    assert (bucket, job_id, len(digest), name) == ("cli-story", "cli_story_1", 64, "trainer-0.0.0.tar.gz")
    messages = [line.split("\t") for line in lines.stdout.splitlines()]
    assert {(severity, task) for severity, _, task, _, _ in messages} <= {
        (severity, "master-replica-0") for severity in ("INFO", "WARNING", "ERROR")
    }
    assert "arguments ['--epochs', '3', '--job-dir', 'gs://cli-story/out']" in [text for *_, text in messages]
    assert "Job Overview" in summary.stdout
    assert [line.split()[:2] for line in listed.stdout.splitlines()] == [
        ["JOB_ID", "STATUS"],
        ["cli_story_1", "SUCCEEDED"],
    ]


def test_ctrl_c_leaves_the_job_running_and_says_so(shell: Shell, trainer: Path):
    shell.run("storage", "mb", "gs://cli-watched")
    (trainer / "task.py").write_text("import time\nprint('it runs', flush=True)\ntime.sleep(600)\n")
    shell.run(
        "jobs", "submit", "training", "cli_watched_1", "--module-name", "trainer.task",
        "--package-path", "trainer/", "--job-dir", "gs://cli-watched/out",
    )  # fmt: skip

    watching = subprocess.Popen(
        [str(MLENGINE), "jobs", "stream-logs", "cli_watched_1"],
        cwd=shell.cwd, env=shell.full, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert watching.stdout
    while "it runs" not in (line := watching.stdout.readline()):
        assert line
    watching.send_signal(signal.SIGINT)
    _, said = watching.communicate(timeout=60)
    state = shell.json("jobs", "describe", "cli_watched_1")["state"]
    shell.run("jobs", "cancel", "cli_watched_1")

    assert watching.returncode == 130
    assert "the job cli_watched_1 goes on" in said
    assert "$ mlengine jobs stream-logs cli_watched_1" in said
    assert state == "RUNNING"


def test_what_the_server_cannot_provide_is_refused_by_name(shell: Shell, trainer: Path):
    shell.run("storage", "mb", "gs://cli-refused")
    line = (
        "jobs", "submit", "training", "cli_refused_1", "--module-name", "trainer.task",
        "--package-path", "trainer/", "--job-dir", "gs://cli-refused/out",
    )  # fmt: skip

    gpu = shell.run(*line, "--master-accelerator", "type=nvidia-tesla-t4,count=1", code=1)
    network = shell.run(*line, "--network", "projects/1/global/networks/n", code=1)
    batch = shell.run("jobs", "submit", "prediction", "p1", code=2)

    assert "masterConfig" in gpu.stderr
    assert "network" in network.stderr
    assert "`mlengine jobs submit prediction` is not available in this version" in batch.stderr
    assert "cli_refused_1" not in shell.run("jobs", "list").stdout


def test_two_packages_of_one_name_are_refused(shell: Shell, trainer: Path):
    for folder in ("a", "b"):
        (shell.cwd / folder).mkdir()
        (shell.cwd / folder / "same.tar.gz").write_bytes(b"x")

    done = shell.run(
        "jobs", "submit", "training", "cli_two_1", "--module-name", "trainer.task",
        "--packages", "a/same.tar.gz,b/same.tar.gz", "--job-dir", "gs://b-b/x", code=1,
    )  # fmt: skip

    assert "same.tar.gz" in done.stderr


def test_locations_are_told_and_described_as_json(shell: Shell):
    listed = shell.run("locations", "list", "--format", "value(name.basename())").stdout.split()
    described = json.loads(shell.run("locations", "describe", "us-central1").stdout)
    mistyped = shell.run("locations", "describe", "us-centrl1", code=1)

    assert "us-central1" in listed
    assert described["name"] == "projects/local/locations/us-central1"
    assert "us-central1" in mistyped.stderr


def test_operations_are_listed_waited_for_and_cancelled(shell: Shell):
    shell.run("models", "create", "story_op")
    shell.run("models", "update", "story_op", "--description", "x")
    named = shell.run(
        "operations",
        "list",
        "--filter",
        "metadata.modelName~/story_op$",
        "--format",
        "value(name.basename())",
    ).stdout.split()

    described = shell.json("operations", "describe", named[0])
    waited = shell.run("operations", "wait", named[0])
    cancelled = shell.run("operations", "cancel", named[0])
    missing = shell.run("operations", "describe", "none", code=1)

    assert described["metadata"]["operationType"] == "UPDATE_MODEL"
    assert (waited.stdout, cancelled.stdout, cancelled.stderr) == ("", "", "")
    assert "NOT_FOUND" in missing.stderr
    shell.run("models", "delete", "story_op", "-q")


def test_a_distributed_rehearsal_needs_no_server(shell: Shell, trainer: Path):
    (trainer / "task.py").write_text(
        "import json, os, sys\n"
        "task = json.loads(os.environ['TF_CONFIG'])['task']\n"
        "if task['type'] == 'worker':\n"
        "    open(f\"worker-{task['index']}\", 'w').write('here')\n"
        "if task['type'] == 'chief':\n"
        "    import pathlib, time\n"
        "    while not all(pathlib.Path(f'worker-{n}').exists() for n in range(2)): time.sleep(0.01)\n"
        "    print(task, sys.argv[1:])\n"
    )

    done = shell.run(
        "ml-engine", "local", "train", "--module-name", "trainer.task", "--package-path", "trainer/",
        "--distributed", "--parameter-server-count", "0", "--start-port", "29000", "--", "--epochs", "1",
    )  # fmt: skip

    assert done.stdout == "{'type': 'chief', 'index': 0} ['--epochs', '1']\n"
