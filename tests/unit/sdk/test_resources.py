"""Jobs, models, versions and operations as values, and the requests behind their verbs."""

from __future__ import annotations

import socket
import time
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlengine import Cancelled, JobFailed, LogLine, OperationFailed
from mlengine.errors import DeadlineExceeded, InvalidArgument, NotFound, PermissionDenied, Unavailable
from tests.unit.client.small_server import SmallServer, error
from tests.unit.sdk.conftest import Both

ROOT = "/v1/projects/local"
RUNNING = {"jobId": "j", "state": "RUNNING", "etag": "AQ=="}
JOB = {
    "jobId": "j",
    "state": "SUCCEEDED",
    "createTime": "2026-11-02T09:30:00Z",
    "endTime": "2026-11-02T09:31:00.5Z",
    "labels": {"team": "a"},
    "etag": "Ag==",
    "trainingInput": {"pythonModule": "trainer.task", "args": ["--epochs", "3"], "jobDir": "gs://flowers/j"},
    "trainingOutput": {},
}
OPERATION = {
    "name": "projects/local/operations/create_m_v1",
    "metadata": {
        "operationType": "CREATE_VERSION",
        "modelName": "projects/local/models/m",
        "version": {"name": "projects/local/models/m/versions/v1"},
    },
}
VERSION = {"name": "projects/local/models/m/versions/v1", "state": "READY", "isDefault": True}


def test_a_job_is_read_with_types(server: SmallServer, ask: Both):
    server.answers[f"GET {ROOT}/jobs/j"] = (200, JOB)

    job = ask(lambda client: client.jobs.get("j"))

    assert job.done
    assert job.succeeded
    assert job.end_time == datetime(2026, 11, 2, 9, 31, 0, 500000, UTC)
    assert job.start_time is None
    assert (job.module, job.args, job.job_dir) == ("trainer.task", ("--epochs", "3"), "gs://flowers/j")
    assert job.raw == JOB
    with pytest.raises(FrozenInstanceError):
        job.state = "FAILED"


def test_a_list_goes_over_all_pages_and_stops_at_its_limit(server: SmallServer, ask: Both):
    def page(seen):
        start = int(seen.query.get("pageToken", 0))
        models = [{"name": f"projects/local/models/m{n}"} for n in range(start, start + 2)]
        return 200, {"models": models} | ({"nextPageToken": str(start + 2)} if start < 4 else {})

    server.answers[f"GET {ROOT}/models"] = page

    everything = ask(lambda client: client.models.list())
    few = ask(lambda client: client.models.list(limit=3))

    assert [model.id for model in everything] == ["m0", "m1", "m2", "m3", "m4", "m5"]
    assert [model.id for model in few] == ["m0", "m1", "m2"]
    with pytest.raises(InvalidArgument, match="limit is 0"):
        ask(lambda client: client.models.list(limit=0))


def test_waiting_ends_with_the_job_and_hands_out_its_lines(server: SmallServer, ask: Both):
    server.answers[f"GET {ROOT}/jobs/j"] = [(200, RUNNING), (200, RUNNING), (200, RUNNING), (200, JOB)]
    server.answers["POST /v2/entries:list"] = [
        (200, {"entries": [entry("a", 1)]}),
        (200, {}),
        (200, {"entries": [entry("a", 1), entry("b", 2)]}),
    ]
    seen: list[LogLine] = []

    job = ask(lambda client: client.jobs.get("j"), lambda job: job.wait(on_log=seen.append))

    assert job.state == "SUCCEEDED"
    assert [line.message for line in seen] == ["a", "b"]
    assert str(seen[0]).startswith("INFO\t")


def test_a_job_that_failed_is_an_error_that_carries_it(server: SmallServer, ask: Both):
    failed = JOB | {"state": "FAILED", "errorMessage": "ValueError: no data"}
    server.answers[f"GET {ROOT}/jobs/j"] = (200, failed)

    with pytest.raises(JobFailed, match="ValueError: no data") as caught:
        ask(lambda client: client.jobs.get("j"), lambda job: job.wait())
    unchecked = ask(lambda client: client.jobs.get("j"), lambda job: job.wait(check=False))

    assert caught.value.job.state == "FAILED"
    assert unchecked.state == "FAILED"


def test_waiting_has_an_end(server: SmallServer, ask: Both):
    server.answers[f"GET {ROOT}/jobs/j"] = (200, RUNNING)

    with pytest.raises(DeadlineExceeded, match=r"Job j still runs after 0\.3 seconds"):
        ask(lambda client: client.jobs.get("j"), lambda job: job.wait(timeout=0.3))


def test_following_a_log_ends_with_the_job(server: SmallServer, ask: Both):
    server.answers[f"GET {ROOT}/jobs/j"] = [(200, RUNNING), (200, RUNNING), (200, JOB)]
    server.answers["POST /v2/entries:list"] = [
        (200, {"entries": [entry("a", 1)]}),
        (200, {"entries": [entry("a", 1), entry("b", 2)]}),
    ]

    lines = ask(
        lambda client: client.jobs.get("j"), lambda job: job.logs(follow=True, task="master-replica-0")
    )

    assert [line.message for line in lines] == ["a", "b"]
    assert all("master-replica-0" in seen.json["filter"] for seen in server.asked("POST", "/v2/entries:list"))


def test_an_operation_is_waited_for_and_its_version_handed_over(server: SmallServer, ask: Both):
    server.answers[f"GET {ROOT}/operations/create_m_v1"] = [
        (200, OPERATION),
        (200, OPERATION),
        (200, OPERATION | {"done": True, "response": VERSION}),
    ]
    server.answers[f"GET {ROOT}/models/m/versions/v1"] = (200, VERSION)

    version = ask(
        lambda client: client.operations.get(OPERATION["name"]), lambda operation: operation.result()
    )

    assert (version.model, version.id, version.is_default) == ("m", "v1", True)


@pytest.mark.parametrize(
    ("number", "kind"),
    [(7, PermissionDenied), (5, NotFound), (1, Cancelled), (2, OperationFailed)],
)
def test_an_operations_error_is_the_class_of_its_number(
    server: SmallServer, ask: Both, number: int, kind: type
):
    done = OPERATION | {"done": True, "error": {"code": number, "message": "In these words."}}
    server.answers[f"GET {ROOT}/operations/create_m_v1"] = (200, done)

    with pytest.raises(kind, match="In these words"):
        ask(lambda client: client.operations.get("create_m_v1"), lambda operation: operation.wait())


def test_a_change_names_its_fields_and_the_state_it_was_made_from(server: SmallServer, ask: Both):
    server.answers[f"GET {ROOT}/jobs/j"] = (200, RUNNING)
    server.answers[f"PATCH {ROOT}/jobs/j"] = (200, JOB)

    ask(lambda client: client.jobs.get("j"), lambda job: job.update(labels={"team": "a"}))
    sent = server.asked("PATCH", f"{ROOT}/jobs/j")[0]

    assert sent.query == {"updateMask": "labels"}
    assert sent.json == {"labels": {"team": "a"}, "etag": "AQ=="}


def test_a_change_is_sent_again_for_its_etag_lets_it_happen_once(server: SmallServer, ask: Both):
    server.answers[f"GET {ROOT}/jobs/j"] = (200, RUNNING)
    server.answers[f"PATCH {ROOT}/jobs/j"] = [error(503, "UNAVAILABLE", "Away."), (200, JOB)]

    job = ask(lambda client: client.jobs.get("j"), lambda job: job.update(labels={"team": "a"}))

    assert job.labels == {"team": "a"}


def test_traffic_is_divided_and_rolled_back(server: SmallServer, ask: Both):
    name = "projects/local/models/m"
    divided = {"name": name, "mlengine": {"traffic": {"split": {"v1": 90, "v2": 10}, "shadow": {"v3": 0.5}}}}
    server.answers |= {
        f"GET {ROOT}/models/m": (200, {"name": name}),
        f"POST /mlengine{ROOT}/models/m:setTraffic": (200, divided),
        f"POST /mlengine{ROOT}/models/m:rollBack": (200, {"name": name}),
    }

    model = ask(
        lambda client: client.models.get("m"), lambda model: model.set_traffic(split={"v1": 90, "v2": 10})
    )
    back = ask(lambda client: client.models.get("m"), lambda model: model.roll_back())

    (sent,) = server.asked("POST", f"/mlengine{ROOT}/models/m:setTraffic")
    assert sent.json == {"split": {"v1": 90, "v2": 10}}
    assert (model.split, model.shadow) == ({"v1": 90, "v2": 10}, {"v3": 0.5})
    assert (back.split, back.shadow) == ({}, {})


def test_how_a_version_is_served_is_changed_field_by_field(server: SmallServer, ask: Both):
    path = f"{ROOT}/models/m/versions/v1"
    server.answers |= {
        f"GET {ROOT}/models/m": (200, {"name": "projects/local/models/m"}),
        f"GET {path}": (200, VERSION | {"etag": "AQ=="}),
        f"PATCH {path}": (200, OPERATION),
    }

    ask(
        lambda client: client.models.get("m"),
        lambda model: model.versions.get("v1"),
        lambda version: version.update(config={"mlengine": {"maxBatchSize": 8}}, description="x"),
    )
    (sent,) = server.asked("PATCH", path)

    assert sent.query == {"updateMask": "description,mlengine.maxBatchSize"}
    assert sent.json == {"mlengine": {"maxBatchSize": 8}, "description": "x", "etag": "AQ=="}


def test_changing_nothing_is_refused(server: SmallServer, ask: Both):
    server.answers[f"GET {ROOT}/models/m"] = (200, {"name": "projects/local/models/m"})

    with pytest.raises(InvalidArgument, match="name description or labels"):
        ask(lambda client: client.models.get("m"), lambda model: model.update())


def test_a_version_is_created_from_a_local_folder(server: SmallServer, ask: Both, tmp_path: Path):
    (tmp_path / "model.joblib").write_bytes(b"model")
    server.answers[f"GET {ROOT}/models/m"] = (200, {"name": "projects/local/models/m"})
    server.answers[f"POST {ROOT}/models/m/versions"] = (200, OPERATION)

    ask(
        lambda client: client.models.get("m"),
        lambda model: model.versions.create("v1", deployment_uri=tmp_path, framework="scikit-learn"),
    )
    sent = server.asked("POST", f"{ROOT}/models/m/versions")[0].json

    assert sent["framework"] == "SCIKIT_LEARN"
    assert sent["deploymentUri"].startswith("gs://local-mlengine/")
    assert list(server.buckets["local-mlengine"].values()) == [b"model"]


def test_a_problem_with_files_names_the_argument(server: SmallServer, ask: Both, tmp_path: Path):
    server.answers[f"GET {ROOT}/models/m"] = (200, {"name": "projects/local/models/m"})

    with pytest.raises(InvalidArgument, match=r"deployment_uri: Must be specified"):
        ask(lambda client: client.models.get("m"), lambda model: model.versions.create("v1"))
    with pytest.raises(InvalidArgument, match=r"^package .* is no folder"):
        ask(lambda client: client.jobs.submit(package=tmp_path / "none", module="trainer.task"))


def test_what_the_server_said_about_it_is_left_as_it_is(server: SmallServer, ask: Both):
    server.answers[f"POST {ROOT}/jobs"] = error(400, "INVALID_ARGUMENT", "Name a module with --module-name.")
    server.buckets["flowers"] = {"a.tar.gz": b"a package"}

    with pytest.raises(InvalidArgument, match="with --module-name"):
        ask(lambda client: client.jobs.submit("j", module="a.b", packages=["gs://flowers/a.tar.gz"]))


def test_an_upload_to_nowhere_is_told_at_once(server: SmallServer, ask: Both, tmp_path: Path):
    (tmp_path / "a.txt").write_text("flowers")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
    began = time.monotonic()

    with pytest.raises(Unavailable, match="No server answers"):
        ask(lambda client: client.upload(tmp_path / "a.txt", "gs://flowers/a.txt"), endpoint=endpoint)
    with pytest.raises(NotFound, match="no bucket gs://flowers"):
        ask(lambda client: client.upload(tmp_path / "a.txt", "gs://flowers/a.txt"))

    assert time.monotonic() - began < 20


def test_a_setting_that_does_not_exist_is_refused(server: SmallServer, ask: Both):
    with pytest.raises(TypeError, match="modul"):
        ask(lambda client: client.jobs.submit("j", modul="trainer.task"))
    with pytest.raises(TypeError, match="endpiont"):
        ask(endpiont="http://127.0.0.1")


def test_an_object_goes_up_and_comes_down(server: SmallServer, ask: Both, tmp_path: Path):
    server.buckets["flowers"] = {}
    (tmp_path / "a.txt").write_text("flowers")

    ask(lambda client: client.upload(tmp_path / "a.txt", "gs://flowers/a.txt"))
    ask(lambda client: client.download("gs://flowers/a.txt", tmp_path / "b.txt"))

    assert (tmp_path / "b.txt").read_text() == "flowers"
    with pytest.raises(InvalidArgument, match="names no object"):
        ask(lambda client: client.upload(tmp_path / "a.txt", "gs://flowers/"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"project": "My Project"}, "no project id"),
        ({"endpoint": "ftp://x"}, "no URL of a server"),
        ({"timeout": 0}, "timeout is 0"),
        ({"retry_seconds": -1}, "retry_seconds is -1"),
        ({"connections": 0}, "connections is 0"),
        ({"slice_bytes": 0}, "slice_bytes is 0"),
        ({"token": ""}, "token is empty"),
        ({"token": "a\nb"}, "token is empty or"),
        ({"token": "a", "credentials": "key.json"}, "both given"),
    ],
)
def test_an_option_that_cannot_work_is_refused_by_name(ask: Both, options: dict, words: str):
    with pytest.raises(InvalidArgument, match=words):
        ask(**options)


def test_a_token_goes_with_every_request(server: SmallServer, ask: Both, tmp_path: Path):
    server.buckets["flowers"] = {}
    server.answers[f"GET {ROOT}/jobs/j"] = (200, JOB)
    (tmp_path / "a.txt").write_text("flowers")

    ask(lambda client: client.jobs.get("j"), token="secret")
    ask(lambda client: client.upload(tmp_path / "a.txt", "gs://flowers/a.txt"), token="secret")

    assert len(server.seen) >= 2
    assert {seen.headers.get("authorization") for seen in server.seen} == {"Bearer secret"}
    assert all(seen.headers["user-agent"].startswith("mlengine-python/") for seen in server.seen)


def test_environment_variables_name_server_and_project(
    server: SmallServer, ask: Both, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MLENGINE_ENDPOINT", server.endpoint)
    monkeypatch.setenv("MLENGINE_PROJECT", "other-one")
    server.answers["GET /v1/projects/other-one/jobs/j"] = (200, JOB)

    assert ask(lambda client: client.jobs.get("j"), endpoint=None).id == "j"


def test_a_mistyped_name_is_told_in_the_servers_words(server: SmallServer, ask: Both):
    server.answers[f"GET {ROOT}/jobs/a%2Fb"] = error(404, "NOT_FOUND", "No job. Did you mean 'ab'?")

    with pytest.raises(NotFound, match="Did you mean 'ab'"):
        ask(lambda client: client.jobs.get("a/b"))


def entry(message: str, second: int) -> dict:
    return {
        "insertId": message,
        "timestamp": f"2026-11-02T09:30:0{second}Z",
        "severity": "INFO",
        "textPayload": message,
        "resource": {"type": "ml_job", "labels": {"task_name": "master-replica-0"}},
    }
