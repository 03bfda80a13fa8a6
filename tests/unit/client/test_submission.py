"""From a folder to a job on the server."""

from __future__ import annotations

import tarfile
from datetime import datetime
from io import BytesIO
from pathlib import Path

import pytest

from mlengine.client.api import Api
from mlengine.client.deployment import create
from mlengine.client.storage import Storage
from mlengine.client.submission import Request, Voice, read_config, submit
from mlengine.errors import InvalidArgument, NotFound
from tests.unit.client.small_server import SmallServer, error

JOBS = "/v1/projects/local/jobs"
NOW = datetime(2026, 11, 2, 9, 30)


class Ears(list[str]):
    """What was said."""

    @property
    def voice(self) -> Voice:
        return Voice(warn=self.append, info=lambda text: None)


@pytest.fixture
def accepting(server: SmallServer) -> SmallServer:
    """A server that takes any job, with one bucket."""
    server.buckets["bkt"] = {}
    server.answers[f"POST {JOBS}"] = lambda seen: (200, {**seen.json, "state": "QUEUED"})
    return server


def sent(api: Api, storage: Storage, **settings) -> dict:
    settings.setdefault("job_id", "j1")
    settings.setdefault("settings", {"pythonModule": "trainer.task", "jobDir": "gs://bkt/jd"})
    return submit(api, storage, Request(**settings), now=NOW, voice=settings.pop("voice", Ears().voice))


def test_the_body_is_that_of_gcloud_with_the_package_below_the_job_dir(
    accepting: SmallServer, api: Api, storage: Storage, project: Path
):
    sent(
        api,
        storage,
        settings={"pythonModule": "trainer.task", "jobDir": "gs://bkt/jd", "runtimeVersion": "1.15"},
        package_path=project / "trainer",
        args=("--epochs", "3"),
        labels={"team": "a"},
    )

    (name,) = accepting.buckets["bkt"]
    assert accepting.asked("POST", JOBS)[0].json == {
        "jobId": "j1",
        "labels": {"team": "a"},
        "trainingInput": {
            "args": ["--epochs", "3"],
            "enableWebAccess": False,
            "jobDir": "gs://bkt/jd",
            "packageUris": [f"gs://bkt/{name}"],
            "pythonModule": "trainer.task",
            "region": "us-central1",
            "runtimeVersion": "1.15",
        },
    }
    folder, packages, digest, file = name.split("/")
    assert (folder, packages, len(digest), file) == ("jd", "packages", 64, "trainer-0.0.0.tar.gz")
    with tarfile.open(fileobj=BytesIO(accepting.buckets["bkt"][name])) as tar:
        assert "trainer-0.0.0/trainer/task.py" in tar.getnames()


def test_a_staging_bucket_takes_the_packages_below_the_jobs_name(
    accepting: SmallServer, api: Api, storage: Storage, project: Path
):
    accepting.buckets["stage"] = {}

    sent(api, storage, package_path=project / "trainer", staging_bucket="gs://stage/")

    assert [name.split("/")[0] for name in accepting.buckets["stage"]] == ["j1"]
    assert accepting.buckets["bkt"] == {}


def test_flags_win_over_the_file_and_its_args_stay_unless_replaced(
    accepting: SmallServer, api: Api, storage: Storage, tmp_path: Path
):
    (tmp_path / "config.yaml").write_text(
        'trainingInput:\n  pythonVersion: "3.5"\n  runtimeVersion: 1.8\n  scaleTier: CUSTOM\n'
        "  masterType: standard_p100\n  workerCount: 0\n  args: [--a]\n  job_dir: gs://bkt/file\n"
        "labels: {from: file}\n"
    )
    config = read_config(str(tmp_path / "config.yaml"))
    settings = {"pythonModule": "m.n", "jobDir": "gs://bkt/flag"}
    accepting.buckets["bkt"]["p.tar.gz"] = b"a package"

    sent(api, storage, config=config, settings=settings, packages=("gs://bkt/p.tar.gz",))
    sent(api, storage, config=config, settings=settings, packages=("gs://bkt/p.tar.gz",), args=())

    first, second = (seen.json for seen in accepting.asked("POST", JOBS))
    assert first["trainingInput"] == {
        "pythonVersion": "3.5",
        "runtimeVersion": "1.8",
        "scaleTier": "CUSTOM",
        "masterType": "standard_p100",
        "workerCount": 0,
        "args": ["--a"],
        "enableWebAccess": False,
        "jobDir": "gs://bkt/flag",
        "pythonModule": "m.n",
        "region": "us-central1",
        "packageUris": ["gs://bkt/p.tar.gz"],
    }
    assert first["labels"] == {"from": "file"}
    assert second["trainingInput"]["args"] == []


def test_auto_names_the_job_after_module_and_time(
    accepting: SmallServer, api: Api, storage: Storage, project: Path
):
    job = sent(api, storage, job_id="auto", package_path=project / "trainer")

    assert job["jobId"] == "trainer_task_20261102_093000"


def test_auto_takes_the_next_free_name_when_two_come_in_one_second(
    accepting: SmallServer, api: Api, storage: Storage, project: Path
):
    taken = "trainer_task_20261102_093000"
    for name in (taken, f"{taken}_2"):
        accepting.answers[f"GET {JOBS}/{name}"] = (200, {"jobId": name})

    job = sent(api, storage, job_id="auto", package_path=project / "trainer")

    assert job["jobId"] == f"{taken}_3"


def test_a_job_dir_that_is_the_bucket_itself_is_warned_of_and_one_that_smells_of_a_variable_stops(
    accepting: SmallServer, api: Api, storage: Storage, project: Path
):
    def submitted(job_dir: str) -> Ears:
        ears = Ears()
        settings = {"pythonModule": "trainer.task", "jobDir": job_dir}
        wanted = Request(job_id="j1", settings=settings, package_path=project / "trainer")
        submit(api, storage, wanted, now=NOW, voice=ears.voice)
        return ears

    (warning,) = submitted("gs://bkt")
    with pytest.raises(InvalidArgument, match="is a variable empty"):
        submitted("gs://bkt/")

    assert "job-dir is the bucket itself (gs://bkt/); is a variable empty?" in warning
    assert len(accepting.asked("POST", JOBS)) == 1


@pytest.mark.parametrize(
    ("settings", "request_", "words"),
    [
        ({}, {}, "--module-name: Must be specified"),
        ({"pythonModule": "trainer.task"}, {}, "--staging-bucket or --job-dir flag must be given"),
        (
            {"pythonModule": "trainer.task", "jobDir": "gs://bkt/x"},
            {"package_path": None},
            "must have packages",
        ),
        ({"pythonModule": "trainer.task", "jobDir": "gs:///x"}, {}, "names no bucket; is a variable empty"),
        ({"pythonModule": "trainer.task", "jobDir": "gs://bkt/x"}, {"job_id": "a-b"}, "'a_b' would do"),
        (
            {"pythonModule": "trainer.task", "jobDir": "gs://bkt/x", "scaleTier": "CUSTOM"},
            {},
            "--master-machine-type is required",
        ),
        (
            {"pythonModule": "trainer.task", "jobDir": "gs://bkt/x"},
            {"packages": ("gone.whl",)},
            "no file gone.whl",
        ),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_sent(
    accepting: SmallServer,
    api: Api,
    storage: Storage,
    project: Path,
    settings: dict,
    request_: dict,
    words: str,
):
    with pytest.raises(InvalidArgument) as caught:
        sent(api, storage, settings=settings, **{"package_path": project / "trainer", **request_})

    assert words in str(caught.value)
    assert accepting.buckets["bkt"] == {}
    assert not accepting.asked("POST", JOBS)


def test_a_missing_bucket_is_named_with_the_command_that_makes_it(
    accepting: SmallServer, api: Api, storage: Storage, project: Path
):
    with pytest.raises(NotFound, match=r"no bucket gs://gone\. Make it: mlengine storage mb gs://gone"):
        sent(
            api,
            storage,
            settings={"pythonModule": "trainer.task", "jobDir": "gs://gone/x"},
            package_path=project / "trainer",
        )


def test_settings_at_the_top_of_a_config_file_are_put_right(tmp_path: Path):
    (tmp_path / "config.yaml").write_text("scaleTier: BASIC\n")
    (tmp_path / "list.yaml").write_text("- a\n")
    (tmp_path / "bad.yaml").write_text("a: [\n")

    with pytest.raises(InvalidArgument, match="below a line `trainingInput:`"):
        read_config(str(tmp_path / "config.yaml"))
    with pytest.raises(InvalidArgument, match="not list"):
        read_config(str(tmp_path / "list.yaml"))
    with pytest.raises(InvalidArgument, match="no YAML"):
        read_config(str(tmp_path / "bad.yaml"))
    with pytest.raises(InvalidArgument, match="cannot be read"):
        read_config(str(tmp_path / "gone.yaml"))


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    (folder / "variables" / "v").write_bytes(b"weights")
    return folder


VERSIONS = "/v1/projects/local/models/m/versions"


def test_a_local_origin_is_uploaded_to_the_projects_own_bucket(
    server: SmallServer, api: Api, storage: Storage, model_folder: Path
):
    server.answers["GET /v1/projects/local/models/m"] = (200, {"name": "m"})
    server.answers[f"POST {VERSIONS}"] = lambda seen: (200, {"name": "op", "body": seen.json})
    said: list[str] = []

    for _ in range(2):
        create(
            api,
            storage,
            "m",
            {"name": "v1", "deploymentUri": str(model_folder)},
            staging_bucket="",
            say=said.append,
        )

    (digest,) = {name.split("/")[0] for name in server.buckets["local-mlengine"]}
    assert server.buckets["local-mlengine"] == {
        f"{digest}/saved_model.pb": b"graph",
        f"{digest}/variables/v": b"weights",
    }
    assert server.asked("POST", VERSIONS)[0].json == {
        "name": "v1",
        "deploymentUri": f"gs://local-mlengine/{digest}/",
    }
    assert "Made the bucket" in said[0]
    assert "Using the bucket" in said[1]


def test_a_missing_model_is_said_with_the_command_that_makes_it(
    server: SmallServer, api: Api, storage: Storage
):
    server.answers["GET /v1/projects/local/models/m"] = error(404, "NOT_FOUND", "No model 'm'.")

    with pytest.raises(NotFound, match=r"No model 'm'\. Make the model first: mlengine models create m"):
        create(
            api,
            storage,
            "m",
            {"name": "v", "deploymentUri": "gs://b/x"},
            staging_bucket="",
            say=lambda _: None,
        )


def test_an_origin_that_is_a_file_names_its_folder(
    server: SmallServer, api: Api, storage: Storage, model_folder: Path
):
    server.answers["GET /v1/projects/local/models/m"] = (200, {"name": "m"})
    origin = str(model_folder / "saved_model.pb")

    with pytest.raises(InvalidArgument, match=f"--origin {model_folder}$"):
        create(
            api, storage, "m", {"name": "v", "deploymentUri": origin}, staging_bucket="", say=lambda _: None
        )
