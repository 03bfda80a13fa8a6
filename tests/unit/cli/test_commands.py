"""Commands that change something: what they send, what they say, and how they end."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Run
from tests.unit.client.small_server import SmallServer, error

PROJECT = "/v1/projects/local"
DONE = "2026-11-02T09:31:00Z"


def operation(**more) -> dict:
    return {"name": "projects/local/operations/op1", **more}


def test_models_create_sends_what_gcloud_sends(run: Run, server: SmallServer):
    server.answers[f"POST {PROJECT}/models"] = (200, {"name": "projects/local/models/m"})

    done = run(
        "models", "create", "m", "--regions", "us-east1", "--labels", "a=b,c=d", "--description", "x y"
    )

    assert (done.code, done.out) == (0, "")
    assert done.err == "Created ai platform model [projects/local/models/m].\n"
    assert server.seen[0].json == {
        "name": "m",
        "regions": ["us-east1"],
        "onlinePredictionLogging": False,
        "onlinePredictionConsoleLogging": False,
        "description": "x y",
        "labels": {"a": "b", "c": "d"},
    }


@pytest.mark.parametrize(("answer", "code"), [("n\n", 1), ("y\n", 0), ("\n", 0), ("", 0), ("what\nn\n", 1)])
def test_delete_asks_and_the_end_of_input_is_a_yes(run: Run, server: SmallServer, answer: str, code: int):
    server.answers[f"DELETE {PROJECT}/models/m"] = (200, operation(done=True))

    done = run("models", "delete", "m", stdin=answer)

    assert done.code == code
    assert "This will delete model [m]..." in done.err
    assert "Do you want to continue (Y/n)?" in done.err
    assert ("Aborted by user." in done.err) == bool(code)
    assert len(server.seen) == 1 - code


def test_quiet_deletes_without_a_question(run: Run, server: SmallServer):
    server.answers[f"DELETE {PROJECT}/models/m/versions/v"] = (200, operation(done=True))

    done = run("versions", "delete", "v", "--model", "m", "-q")

    assert (done.code, done.out, done.err) == (0, "", "Deleting version [v]...done.\n")


def test_versions_create_waits_and_says_when_it_is_done(run: Run, server: SmallServer):
    server.answers |= {
        f"GET {PROJECT}/models/m": (200, {}),
        f"POST {PROJECT}/models/m/versions": (200, operation()),
        f"GET {PROJECT}/operations/op1": (200, operation(done=True, response={})),
    }

    done = run(
        "versions", "create", "v1", "--model", "m", "--origin", "gs://b/model/", "--runtime-version", "1.8",
        "--framework", "SCIKIT_LEARN",
    )  # fmt: skip

    assert (done.code, done.out) == (0, "")
    note, progress = done.err.splitlines()
    assert note.startswith("Runtime version 1.8 ")
    assert progress == "Creating version (this might take a few minutes)...done."
    assert server.asked("POST", f"{PROJECT}/models/m/versions")[0].json == {
        "name": "v1",
        "deploymentUri": "gs://b/model/",
        "runtimeVersion": "1.8",
        "framework": "SCIKIT_LEARN",
    }


def test_a_version_that_fails_shows_the_operations_whole_message(run: Run, server: SmallServer):
    message = 'Create Version failed. Bad model detected with error:  "boom"\nTraceback\n  line 3'
    server.answers |= {
        f"GET {PROJECT}/models/m": (200, {}),
        f"POST {PROJECT}/models/m/versions": (200, operation()),
        f"GET {PROJECT}/operations/op1": (200, operation(done=True, error={"code": 9, "message": message})),
    }

    done = run("versions", "create", "v1", "--model", "m", "--origin", "gs://b/model")

    assert done.code == 1
    assert done.err.endswith(f"...failed.\nERROR: (mlengine.versions.create) {message}\n")


def test_async_does_not_wait(run: Run, server: SmallServer):
    server.answers |= {
        f"GET {PROJECT}/models/m": (200, {}),
        f"POST {PROJECT}/models/m/versions": (200, operation()),
    }

    done = run("versions", "create", "v1", "--model", "m", "--origin", "gs://b/model", "--async")

    assert (done.code, done.out, done.err) == (0, "", "")


def test_a_versions_config_file_may_hold_only_fields_of_a_version(run: Run, tmp_path: Path):
    (tmp_path / "version.yaml").write_text("bogus: 1\nname: x\nframework: XGBOOST\n")

    done = run("versions", "create", "v", "--model", "m", "--config", "version.yaml")

    assert done.code == 1
    assert "Invalid fields [bogus, name] in configuration file [version.yaml]" in done.err


def test_set_default_prints_the_version(run: Run, server: SmallServer):
    server.answers[f"POST {PROJECT}/models/m/versions/v2:setDefault"] = (
        200,
        {"name": "v2", "isDefault": True},
    )

    assert run("versions", "set-default", "v2", "--model", "m").out == "isDefault: true\nname: v2\n"


def test_an_operation_is_cancelled_by_its_whole_name_as_well(run: Run, server: SmallServer):
    server.answers[f"POST {PROJECT}/operations/op1:cancel"] = (200, {})

    done = run("operations", "cancel", "projects/local/operations/op1", "--region", "us-east1")

    assert (done.code, done.out, done.err) == (0, "", "")
    assert len(server.seen) == 1


def test_locations_are_listed_with_their_capabilities_and_described_as_json(run: Run, server: SmallServer):
    here = {
        "name": "projects/local/locations/us-central1",
        "capabilities": [
            {"type": "TRAINING", "availableAccelerators": ["NVIDIA_TESLA_K80", "NVIDIA_TESLA_T4"]},
            {"type": "ONLINE_PREDICTION"},
        ],
    }
    server.answers |= {
        f"GET {PROJECT}/locations": (200, {"locations": [here]}),
        f"GET {PROJECT}/locations/us-central1": (200, here),
    }

    listed, described = run("locations", "list"), run("locations", "describe", "us-central1")

    assert [line.split("  ") for line in listed.out.replace("    ", "  ").splitlines()][1:] == [
        [here["name"], "['TRAINING', 'ONLINE_PREDICTION']", "NVIDIA_TESLA_K80,NVIDIA_TESLA_T4"],
    ]
    assert json.loads(described.out) == here
    assert run("locations", "describe", "us-central1", "--format", "value(name)").out == here["name"] + "\n"


def test_explanations_are_asked_for_without_a_signature_and_printed_as_json(run: Run, server: SmallServer):
    answer = {"explanations": [{"attributions": [1]}]}
    server.answers[f"POST {PROJECT}/models/m/versions/v:explain"] = (200, answer)

    done = run("explain", "--model", "m", "--version", "v", "--json-instances", "-", stdin="[1]\n")

    assert (done.code, json.loads(done.out)) == (0, answer)
    assert server.seen[0].json == {"instances": [[1]]}


@pytest.fixture
def trainer(tmp_path: Path) -> Path:
    folder = tmp_path / "trainer"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "task.py").write_text("import sys\nprint(sys.argv[1:])\n")
    return folder


def submit(run: Run, *more: str):
    return run(
        "jobs", "submit", "training", "j1", "--module-name", "trainer.task", "--package-path", "trainer/",
        "--job-dir", "gs://bkt/j1", "--region", "us-central1", *more,
    )  # fmt: skip


def test_submit_says_how_to_go_on_and_prints_the_job(run: Run, server: SmallServer, trainer: Path):
    server.buckets["bkt"] = {}
    server.answers[f"POST {PROJECT}/jobs"] = lambda seen: (200, {**seen.json, "state": "QUEUED", "etag": "x"})

    done = submit(run, "--scale-tier", "basic", "--", "--train-files", "a", "b")

    assert (done.code, done.out) == (0, "jobId: j1\nstate: QUEUED\n")
    assert done.err.startswith("Job [j1] submitted successfully.\n")
    assert "$ mlengine jobs stream-logs j1" in done.err
    training = server.asked("POST", f"{PROJECT}/jobs")[0].json["trainingInput"]
    assert training["args"] == ["--train-files", "a", "b"]
    assert training["scaleTier"] == "BASIC"


@pytest.mark.parametrize(("state", "code"), [("SUCCEEDED", 0), ("FAILED", 1), ("CANCELLED", 1)])
def test_stream_logs_ends_with_the_jobs_own_result(
    run: Run, server: SmallServer, trainer: Path, state: str, code: int
):
    job = {
        "jobId": "j1",
        "state": state,
        "startTime": "2026-11-02T09:30:00Z",
        "endTime": DONE,
        "errorMessage": "The replica master 0 exited with a non-zero status of 1." if code else "",
    }
    entry = {
        "timestamp": "2026-11-02T09:30:30Z",
        "insertId": "a",
        "severity": "ERROR",
        "resource": {"labels": {"task_name": "master-replica-0"}},
        "textPayload": "line1\nline2",
    }
    server.buckets["bkt"] = {}
    server.answers |= {
        f"POST {PROJECT}/jobs": (200, {"jobId": "j1", "state": "QUEUED"}),
        f"GET {PROJECT}/jobs/j1": [error(404, "NOT_FOUND", "No job j1."), (200, job)],
        "POST /v2/entries:list": (200, {"entries": [entry]}),
    }

    done = submit(run, "--stream-logs")

    assert done.code == code
    assert done.out == (
        f"endTime: '2026-11-02T09:31:00'\njobId: j1\nstartTime: '2026-11-02T09:30:00'\nstate: {state}\n"
    )
    assert "ERROR\t2026-11-02 09:30:30 +0000\tmaster-replica-0\t\tline1\n" in done.err
    assert "\tline2\n" in done.err
    assert ("non-zero status" in done.err) == bool(code)


def test_stream_logs_as_a_command_prints_to_standard_output(run: Run, server: SmallServer):
    server.answers |= {
        f"GET {PROJECT}/jobs/j1": (200, {"state": "SUCCEEDED", "endTime": DONE}),
        "POST /v2/entries:list": (200, {"entries": [{"timestamp": DONE, "textPayload": "a\nb"}]}),
    }

    done = run("jobs", "stream-logs", "j1", "--allow-multiline-logs")

    assert (done.code, done.out) == (0, "DEFAULT\t2026-11-02 09:31:00 +0000\tunknown_task\t\ta\nb\n")


def test_ctrl_c_leaves_the_job_running_and_says_so(
    run: Run, server: SmallServer, monkeypatch: pytest.MonkeyPatch
):
    def interrupt(*_: object, **__: object):
        raise KeyboardInterrupt

    monkeypatch.setattr("mlengine.client.logs.follow", interrupt)

    done = run("jobs", "stream-logs", "j1")

    assert done.code == 130
    assert "the job j1 goes on" in done.err
    assert "$ mlengine jobs stream-logs j1" in done.err


@pytest.mark.parametrize("flag", ["--job-dir=", "--region=", "--runtime-version="])
def test_an_empty_flag_is_traced_to_an_unset_variable(run: Run, trainer: Path, flag: str):
    done = submit(run, flag)

    assert done.code == 2
    assert "is a variable unset?" in done.err


def test_a_job_id_that_was_used_is_refused_in_the_servers_words(run: Run, server: SmallServer, trainer: Path):
    server.buckets["bkt"] = {}
    server.answers[f"POST {PROJECT}/jobs"] = error(409, "ALREADY_EXISTS", "j1 already exists. 'j2' is free.")

    done = submit(run)

    assert done.code == 1
    assert (
        done.err
        == "ERROR: (mlengine.jobs.submit.training) ALREADY_EXISTS: j1 already exists. 'j2' is free.\n"
    )


def test_cancel_is_silent(run: Run, server: SmallServer):
    server.answers[f"POST {PROJECT}/jobs/j1:cancel"] = (200, {})

    done = run("jobs", "cancel", "j1")

    assert (done.code, done.out, done.err) == (0, "", "")


def test_local_train_runs_in_the_parent_with_tf_config_and_the_job_dir_last(
    trainer: Path, server: SmallServer
):
    (trainer / "task.py").write_text(
        "import json, os, sys\n"
        "names = ['TF_CONFIG', 'STORAGE_EMULATOR_HOST']\n"
        "print(json.dumps([os.getcwd(), sys.argv[1:], *[os.environ.get(name) for name in names]]))\n"
        "sys.exit(7)\n"
    )

    done = subprocess.run(
        [
            sys.executable, "-m", "mlengine", "local", "train", "--module-name", "trainer.task",
            "--package-path", "trainer/", "--job-dir", "out",
            "--python", sys.executable, "--", "--epochs", "3",
        ],
        cwd=trainer.parent, capture_output=True, text=True,
    )  # fmt: skip

    assert done.returncode == 7
    folder, args, config, storage = json.loads(done.stdout)
    assert folder == str(trainer.parent)
    assert args == ["--epochs", "3", "--job-dir", "out"]
    assert json.loads(config) == {
        "job": {"job_name": "trainer.task", "args": args},
        "task": {},
        "cluster": {},
        "environment": "cloud",
    }
    assert storage == server.endpoint


@pytest.mark.parametrize(
    ("source", "module", "words"),
    [
        ("import no_such_framework\n", "trainer.task", ["no_such_framework", "--runtime-version"]),
        ("print 'x'\n", "trainer.task", ["trainer/task.py:1", "Python 2", "print('x')"]),
        ("", "trainer.tsk", ["no module 'trainer.tsk'", "Did you mean 'trainer.task'?"]),
    ],
)
def test_a_trainer_that_fails_at_once_gets_a_diagnosis(
    run: Run, trainer: Path, source: str, module: str, words: list[str]
):
    (trainer / "task.py").write_text(source)

    done = run(
        "local", "train", "--module-name", module, "--package-path", "trainer", "--python", sys.executable
    )

    assert done.code == 1
    for word in words:
        assert word in done.err


def test_a_trainers_own_failure_is_left_alone(run: Run, trainer: Path):
    (trainer / "task.py").write_text("raise ValueError('mine')\n")

    done = run(
        "local",
        "train",
        "--module-name",
        "trainer.task",
        "--package-path",
        "trainer",
        "--python",
        sys.executable,
    )

    assert done.code == 1
    assert "ERROR: (mlengine" not in done.err


def test_bucket_paths_without_a_server_are_warned_of(
    run: Run, trainer: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("MLENGINE_ENDPOINT", raising=False)
    monkeypatch.setattr("mlengine.cli.local.answers", lambda session: False)

    done = run(
        "local", "train", "--module-name", "trainer.task", "--package-path", "trainer",
        "--python", sys.executable, "--", "--data", "gs://x/y",
    )  # fmt: skip

    assert "gs:// paths will not be found" in done.err


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("gs://b/model", "mlengine storage cp -r gs://b/model ."),
        ("missing", "is no folder"),
        (".", "Did you mean --model-dir model?"),
        ("model/model.bst", "--model-dir model"),
    ],
)
def test_local_predict_names_the_folder_that_was_meant(run: Run, tmp_path: Path, folder: str, words: str):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.bst").touch()

    done = run("local", "predict", "--model-dir", folder, "--json-instances", "-", stdin="[1]\n")

    assert done.code == 1
    assert words in done.err


def test_runtimes_are_listed_without_a_server(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("MLENGINE_CACHE_DIR", str(tmp_path / "cache"))

    listed, described = run("runtimes", "list"), run("runtimes", "describe", "1.15", "--format", "json")

    assert listed.out.splitlines()[0].split() == ["NAME", "PYTHON", "PACKAGES", "BUILT", "SIZE"]
    assert "2026.11-sklearn" in listed.out
    assert "tensorflow" in json.loads(described.out)["packages"]
    assert "1.15" in described.err


def test_init_makes_a_trainer_and_overwrites_nothing(run: Run, tmp_path: Path):
    made = run("init", "mine", "--template", "xgboost")
    again = run("init", "mine", "--template", "xgboost")

    assert made.code == 0
    assert "mine/trainer/task.py" in made.out.splitlines()
    assert (tmp_path / "mine" / "trainer" / "task.py").exists()
    assert again.code == 1
    assert "exists and is left as it is" in again.err
    assert run("init", "x", "--template", "sklern").code == 2


def test_storage_lists_as_gsutil_does(run: Run, server: SmallServer):
    server.buckets["anderson"] = {
        "top.gz": b"1234",
        "mnist_train_1/model/saved_model.pb": b"",
        "mnist_train_1/packages/p": b"",
        "mnist_train_2/model/saved_model.pb": b"",
    }

    assert run("storage", "ls").out == "gs://anderson/\n"
    assert run("storage", "ls", "gs://anderson").out == (
        "gs://anderson/top.gz\ngs://anderson/mnist_train_1/\ngs://anderson/mnist_train_2/\n"
    )
    assert run("storage", "ls", "gs://anderson/mnist_train_1").out == (
        "gs://anderson/mnist_train_1/model/\ngs://anderson/mnist_train_1/packages/\n"
    )
    assert run("storage", "ls", "gs://anderson/mnist_train_*").out == (
        "gs://anderson/mnist_train_1/:\n"
        "gs://anderson/mnist_train_1/model/\n"
        "gs://anderson/mnist_train_1/packages/\n"
        "\n"
        "gs://anderson/mnist_train_2/:\n"
        "gs://anderson/mnist_train_2/model/\n"
    )
    assert run("storage", "ls", "-r", "gs://anderson/mnist_train_2").out == (
        "gs://anderson/mnist_train_2/model/saved_model.pb\n"
    )
    assert run("storage", "ls", "-l", "gs://anderson/top.gz").out == (
        "         4  2026-11-02T09:30:00Z  gs://anderson/top.gz\nTOTAL: 1 objects, 4 bytes\n"
    )


def test_storage_makes_copies_prints_and_removes(run: Run, server: SmallServer, tmp_path: Path):
    (tmp_path / "a.txt").write_text("hello")

    made = run("storage", "mb", "gs://bkt")
    copied = run("storage", "cp", "a.txt", "gs://bkt")
    back = run("storage", "cp", "gs://bkt/a.txt", "b.txt")
    removed = run("storage", "rm", "gs://bkt/*.txt")

    assert made.err == "Creating gs://bkt/...\n"
    assert copied.err == "Copying file://a.txt to gs://bkt/a.txt\nOperation completed over 1 objects.\n"
    assert back.code == 0
    assert (tmp_path / "b.txt").read_text() == "hello"
    assert removed.err == "Removing gs://bkt/a.txt...\n"
    assert server.buckets["bkt"] == {}
    assert run("storage", "mb", "gs://bkt").err.startswith(
        "Creating gs://bkt/...\nERROR: (mlengine.storage.mb) ALREADY"
    )


def test_storage_cat_prints_bytes(server: SmallServer):
    server.buckets["bkt"] = {"x": b"\x00\xff"}

    done = subprocess.run(
        [sys.executable, "-m", "mlengine", "storage", "cat", "gs://bkt/x"], capture_output=True, check=True
    )

    assert done.stdout == b"\x00\xff"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("storage ls gs://gone", "mlengine storage mb gs://gone"),
        ("storage ls gs://bkt/none", "matched no objects"),
        ("storage ls bkt", "Write gs://bkt"),
        ("storage mb gs://bkt2/x", "names more than a bucket"),
        ("storage rm gs://bkt/dir", "add -r"),
        ("storage cp gs://bkt/none .", "mlengine storage ls gs://bkt"),
    ],
)
def test_storage_names_what_is_missing_and_the_next_step(
    run: Run, server: SmallServer, line: str, words: str
):
    server.buckets["bkt"] = {"dir/x": b""}

    done = run(*line.split())

    assert done.code == 1
    assert words in done.err
