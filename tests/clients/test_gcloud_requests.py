"""gcloud's own requests on a live server: each command's calls in their order, and the fields it reads."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import google.auth.transport.requests
import pytest
from google.oauth2 import service_account

from mlengine.client.packaging import build
from tests.clients.gcloud import Gcloud, Json, Refused
from tests.stories.conftest import ROOT, Server, Shell, wait_until

PROJECT = "local"
TRAIN = (
    "import sys, joblib, numpy\nfrom sklearn.linear_model import LinearRegression\n"
    "joblib.dump(LinearRegression().fit(numpy.array([[0.0], [1.0]]), [1.0, 3.0]), sys.argv[1])\n"
)
TASK = (
    "import sys, time\n"
    "print('arguments', sys.argv[1:], flush=True)\n"
    "print('first\\nsecond', file=sys.stderr, flush=True)\n"
    "if '--forever' in sys.argv: time.sleep(3600)\n"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A whole server that wants tokens, and a shell of its first owner."""
    folder = tmp_path_factory.mktemp("gcloud")
    running = Server(folder, Shell(ROOT, {"MLENGINE_AUTH": "required"}))
    running.start()
    running.shell.environment["MLENGINE_CREDENTIALS"] = str(folder / "keys" / "admin.json")
    yield running
    running.stop()


@pytest.fixture(scope="module")
def gcloud(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Gcloud:
    """With the token of a service account, as docs/gcloud.md makes it."""
    return Gcloud(f"{server.endpoint}/", PROJECT, token_of(server, tmp_path_factory, "editor"))


@pytest.fixture(scope="module")
def bucket(server: Server) -> str:
    server.shell.run("storage", "mb", "gs://gcloud-staging")
    return "gcloud-staging"


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trainer's source distribution, as setuptools makes it."""
    folder = tmp_path_factory.mktemp("trainer")
    (folder / "trainer").mkdir()
    (folder / "trainer" / "__init__.py").touch()
    (folder / "trainer" / "task.py").write_text(TASK)
    (folder / "dist").mkdir()
    return build(folder / "trainer", folder / "dist").files[0]


@pytest.fixture(scope="module")
def model_file(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of 2x + 1."""
    python = server.shell.run("runtimes", "build", "2026.11-sklearn", timeout=600).stdout.split()[-1]
    path = tmp_path_factory.mktemp("model") / "model.joblib"
    server.shell.program(python, "-c", TRAIN, str(path))
    return path


@pytest.fixture
def model(gcloud: Gcloud) -> Iterator[str]:
    """A model of its own, as `models create` makes it."""
    name = unique("m")
    created = gcloud.ml("POST", "models", create_model_body(name))
    # "Created ai platform model [projects/P/models/M]."
    assert created["name"] == f"projects/{PROJECT}/models/{name}"
    yield name
    for version in gcloud.pages(f"models/{name}/versions", "versions"):
        if not version.get("isDefault"):
            gcloud.wait(gcloud.ml("DELETE", f"models/{name}/versions/{basename(version)}"))
    for version in gcloud.pages(f"models/{name}/versions", "versions"):
        gcloud.wait(gcloud.ml("DELETE", f"models/{name}/versions/{basename(version)}"))
    gcloud.wait(gcloud.ml("DELETE", f"models/{name}"))


@pytest.fixture
def version(gcloud: Gcloud, model: str, model_file: Path, bucket: str) -> str:
    """`versions create v1 --origin LOCAL --staging-bucket B`: upload, create, wait."""
    digest = hashlib.sha256(model_file.read_bytes()).hexdigest()
    gcloud.upload(model_file, bucket, f"{digest}/model.joblib")
    operation = gcloud.ml("POST", f"models/{model}/versions", version_body("v1", bucket, digest))
    gcloud.wait(operation)
    return "v1"


# Who is calling


def test_a_service_accounts_token_opens_what_its_roles_allow_and_a_false_one_nothing(
    gcloud: Gcloud, server: Server, model: str, tmp_path_factory: pytest.TempPathFactory
):
    known = replace(gcloud, token=token_of(server, tmp_path_factory, "ml.viewer"))

    assert known.ml("GET", f"models/{model}")["name"].endswith(model)
    with pytest.raises(Refused) as denied:
        known.ml("POST", "models", create_model_body(unique("denied")))
    assert (denied.value.code, denied.value.error["status"]) == (403, "PERMISSION_DENIED")
    assert "gcloud-ml-viewer@local.iam.gserviceaccount.com" in denied.value.error["message"]
    for token in ("", "false", known.token[:-3] + "AAA"):
        with pytest.raises(Refused) as unknown:
            replace(gcloud, token=token).ml("GET", f"models/{model}")
        assert (unknown.value.code, unknown.value.error["status"]) == (401, "UNAUTHENTICATED")
        code, body = replace(gcloud, token=token).predict(model, {"instances": [1]})
        assert (code, body["error"]["status"]) == (401, "UNAUTHENTICATED")


def test_a_models_policy_is_read_and_written_with_its_etag(
    gcloud: Gcloud, server: Server, model: str, tmp_path_factory: pytest.TempPathFactory
):
    owner = replace(gcloud, token=token_of(server, tmp_path_factory, "owner"))
    policy = owner.ml("GET", f"models/{model}:getIamPolicy")
    binding = {"role": "roles/ml.modelUser", "members": ["allUsers"]}

    body = {"policy": {**policy, "bindings": [binding]}, "updateMask": "bindings,etag"}
    written = owner.ml("POST", f"models/{model}:setIamPolicy", body)

    assert written["bindings"] == [binding]
    assert written["etag"] != policy["etag"]
    assert owner.ml("GET", f"models/{model}:getIamPolicy") == written
    with pytest.raises(Refused) as stale:
        owner.ml("POST", f"models/{model}:setIamPolicy", body)
    assert (stale.value.code, stale.value.error["status"]) == (409, "ABORTED")


# Models


def test_models_create_sends_both_switches_and_one_region(gcloud: Gcloud, model: str):
    described = gcloud.ml("GET", f"models/{model}")

    assert described["name"] == f"projects/{PROJECT}/models/{model}"
    assert described["regions"] == ["us-central1"]
    with pytest.raises(Refused) as refusal:
        gcloud.ml("POST", "models", create_model_body(model))
    # "Resource in projects [P] is the subject of a conflict: <message>"
    assert (refusal.value.code, refusal.value.error["status"]) == (409, "ALREADY_EXISTS")
    assert model in refusal.value.error["message"]


def test_models_list_follows_the_pages(gcloud: Gcloud, model: str):
    others = [unique("page") for _ in range(3)]
    for name in others:
        gcloud.ml("POST", "models", create_model_body(name))

    listed = [basename(found) for found in gcloud.pages("models", "models")]
    small = [basename(found) for found in gcloud.pages("models", "models", page_size=2)]

    assert {model, *others} <= set(listed)
    assert small == listed
    for name in others:
        gcloud.wait(gcloud.ml("DELETE", f"models/{name}"))


def test_models_update_reads_first_and_sends_the_merged_labels(gcloud: Gcloud, model: str):
    assert gcloud.ml("GET", f"models/{model}").get("labels", {}) == {}

    body = {"labels": {"team": "a"}, "description": "new"}
    gcloud.wait(gcloud.ml("PATCH", f"models/{model}", body, updateMask="labels,description"))

    changed = gcloud.ml("GET", f"models/{model}")
    assert (changed["labels"], changed["description"]) == ({"team": "a"}, "new")
    assert changed["regions"] == ["us-central1"]


def test_what_is_not_there_is_a_404_with_googles_envelope(gcloud: Gcloud):
    for verb, path in (
        ("GET", "models/none"),
        ("DELETE", "models/none"),
        ("GET", "jobs/none"),
        ("GET", "operations/none"),
    ):
        with pytest.raises(Refused) as refusal:
            gcloud.ml(verb, path)
        # "NOT_FOUND: <message>"
        assert refusal.value.code == refusal.value.error["code"] == 404
        assert refusal.value.error["status"] == "NOT_FOUND"
        assert refusal.value.error["message"]


# Versions


def test_versions_create_is_an_operation_that_ends_with_a_version_that_predicts(
    gcloud: Gcloud, model: str, version: str
):
    described = gcloud.ml("GET", f"models/{model}/versions/{version}")
    listed = list(gcloud.pages(f"models/{model}/versions", "versions"))

    assert (described["state"], described["isDefault"]) == ("READY", True)
    assert described["deploymentUri"].startswith("gs://gcloud-staging/")
    assert [basename(found) for found in listed] == ["v1"]
    # Without --signature-name predict looks at the version first, or at the model's default one.
    assert described["framework"] == "SCIKIT_LEARN"
    assert described["runtimeVersion"]
    default = gcloud.ml("GET", f"models/{model}")["defaultVersion"]
    assert (default["name"], default["framework"]) == (described["name"], "SCIKIT_LEARN")
    assert gcloud.predict(model, {"instances": [[1.0], [2.0]]}) == (
        200,
        {"predictions": pytest.approx([3, 5])},
    )
    assert gcloud.predict(model, {"instances": [[0.0]]}, "v1") == (200, {"predictions": pytest.approx([1])})


def test_a_prediction_that_is_refused_has_a_body_to_show(gcloud: Gcloud, model: str, version: str):
    # "HTTP request failed. Response: <body>"
    code, body = gcloud.predict(model, {"instances": [["x"]]}, version)
    missing, nobody = gcloud.predict(model, {"instances": [[1.0]]}, "none")

    assert code == 400
    assert "x" in json.dumps(body)
    assert missing == 404
    assert nobody["error"]["status"] == "NOT_FOUND"


def test_set_default_answers_the_version_and_update_sends_a_sorted_mask(
    gcloud: Gcloud, model: str, version: str, bucket: str
):
    origin = gcloud.ml("GET", f"models/{model}/versions/{version}")["deploymentUri"]
    body = version_body("v2", bucket, origin.rstrip("/").rpartition("/")[2])
    gcloud.wait(gcloud.ml("POST", f"models/{model}/versions", body))

    default = gcloud.ml("POST", f"models/{model}/versions/v2:setDefault", {})
    changes = {"description": "second", "labels": {"a": "b"}}
    gcloud.wait(gcloud.ml("PATCH", f"models/{model}/versions/v2", changes, updateMask="description,labels"))

    assert default["name"] == f"projects/{PROJECT}/models/{model}/versions/v2"
    changed = gcloud.ml("GET", f"models/{model}/versions/v2")
    assert (changed["description"], changed["labels"], changed["isDefault"]) == ("second", {"a": "b"}, True)
    assert "isDefault" not in gcloud.ml("GET", f"models/{model}/versions/v1")


def test_versions_delete_is_an_operation_with_an_empty_response(
    gcloud: Gcloud, model: str, version: str, bucket: str
):
    origin = gcloud.ml("GET", f"models/{model}/versions/{version}")["deploymentUri"]
    body = version_body("v2", bucket, origin.rstrip("/").rpartition("/")[2])
    gcloud.wait(gcloud.ml("POST", f"models/{model}/versions", body))

    gcloud.wait(gcloud.ml("DELETE", f"models/{model}/versions/v2"))

    assert [basename(found) for found in gcloud.pages(f"models/{model}/versions", "versions")] == ["v1"]


# Operations


def test_operations_are_listed_and_described_with_their_type(gcloud: Gcloud, model: str, version: str):
    mine = [
        found
        for found in gcloud.pages("operations", "operations")
        if found["metadata"].get("modelName", "").endswith(f"/{model}")
    ]
    described = gcloud.ml("GET", f"operations/{basename(mine[0])}")

    assert [(found["metadata"]["operationType"], found["done"]) for found in mine] == [
        ("CREATE_VERSION", True)
    ]
    assert described == mine[0]
    assert described["metadata"]["@type"] == "type.googleapis.com/google.cloud.ml.v1.OperationMetadata"


def test_operations_cancel_has_no_body_and_leaves_a_finished_one_as_it_is(
    gcloud: Gcloud, model: str, version: str
):
    (mine,) = [
        found
        for found in gcloud.pages("operations", "operations")
        if found["metadata"].get("modelName", "").endswith(f"/{model}")
    ]

    assert gcloud.ml("POST", f"operations/{basename(mine)}:cancel") == {}

    assert gcloud.ml("GET", f"operations/{basename(mine)}") == mine


# Locations


def test_locations_are_listed_without_a_page_size_and_have_capabilities(gcloud: Gcloud):
    listed = gcloud.ml("GET", "locations")["locations"]
    described = gcloud.ml("GET", f"locations/{basename(listed[0])}")

    assert described == listed[0]
    assert {"TRAINING", "ONLINE_PREDICTION"} <= {found["type"] for found in described["capabilities"]}


# Jobs


def test_jobs_submit_uploads_and_creates_and_stream_logs_reads_every_line(
    gcloud: Gcloud, packed: Path, bucket: str
):
    job_id = unique("job")

    submitted = submit(gcloud, packed, bucket, job_id, "--epochs", "3")
    entries = list(gcloud.stream(job_id, delay=timedelta()))

    # Printed as yaml(jobId,state,startTime.date(tz=LOCAL),endTime.date(tz=LOCAL)).
    assert (submitted["jobId"], submitted["state"]) == (job_id, "QUEUED")
    lines = [shown(entry) for entry in entries]
    assert ("INFO", "service", "Job completed successfully.") in lines
    trainer = [text for _, task, text in lines if task == "master-replica-0"]
    assert f"arguments ['--epochs', '3', '--job-dir', 'gs://{bucket}/{job_id}/out']" in trainer
    assert {"first", "second"} <= set(trainer)
    order = [(entry["timestamp"], entry["insertId"]) for entry in entries]
    assert order == sorted(order)
    assert len({identity for _, identity in order}) == len(order)
    ended = gcloud.ml("GET", f"jobs/{job_id}")
    assert (ended["state"], ended["trainingInput"]["args"]) == ("SUCCEEDED", ["--epochs", "3"])
    assert ended["createTime"] <= ended["startTime"] <= ended["endTime"]


def test_stream_logs_of_one_task_has_only_its_lines(gcloud: Gcloud, packed: Path, bucket: str):
    job_id = unique("task")
    submit(gcloud, packed, bucket, job_id)
    wait_until(lambda: gcloud.ml("GET", f"jobs/{job_id}").get("endTime"), "the job's end", seconds=300)

    now = datetime.now(UTC)
    entries = gcloud.log_entries(job_id, until=now, task="master-replica-0")
    before = gcloud.log_entries(job_id, until=now - timedelta(hours=1))

    assert {shown(entry)[1] for entry in entries} == {"master-replica-0"}
    assert before == []


def test_jobs_cancel_answers_nothing_and_does_so_again(gcloud: Gcloud, packed: Path, bucket: str):
    job_id = unique("cancel")
    submit(gcloud, packed, bucket, job_id, "--forever")

    assert gcloud.ml("POST", f"jobs/{job_id}:cancel", {}) == {}
    wait_until(lambda: gcloud.ml("GET", f"jobs/{job_id}").get("endTime"), "the job's end", seconds=300)

    assert gcloud.ml("GET", f"jobs/{job_id}")["state"] == "CANCELLED"
    # "cancelling a finished job succeeds"
    assert gcloud.ml("POST", f"jobs/{job_id}:cancel", {}) == {}


def test_jobs_list_is_newest_first_and_jobs_update_changes_labels(gcloud: Gcloud, packed: Path, bucket: str):
    first, second = unique("list"), unique("list")
    submit(gcloud, packed, bucket, first)
    submit(gcloud, packed, bucket, second)

    listed = list(gcloud.pages("jobs", "jobs"))
    gcloud.ml("PATCH", f"jobs/{first}", {"labels": {"team": "a"}}, updateMask="labels")

    ids = [found["jobId"] for found in listed]
    assert ids.index(second) < ids.index(first)
    assert all({"jobId", "state", "createTime"} <= found.keys() for found in listed)
    assert gcloud.ml("GET", f"jobs/{first}")["labels"] == {"team": "a"}
    with pytest.raises(Refused) as refusal:
        submit(gcloud, packed, bucket, first)
    assert (refusal.value.code, refusal.value.error["status"]) == (409, "ALREADY_EXISTS")


def test_an_uploads_answer_tells_bucket_name_and_size(gcloud: Gcloud, packed: Path, bucket: str):
    resource = gcloud.upload(packed, bucket, "deep/er/name with blank.tar.gz")

    assert (resource["bucket"], resource["name"]) == (bucket, "deep/er/name with blank.tar.gz")
    assert resource["size"] == str(packed.stat().st_size)


def token_of(server: Server, factory: pytest.TempPathFactory, role: str) -> str:
    """An access token of a new service account with a role; had from its key file by Google's own library."""
    name = f"gcloud-{role.replace('.', '-')}"
    email = f"{name}@{PROJECT}.iam.gserviceaccount.com"
    key = factory.mktemp("key") / "key.json"
    shell = server.shell
    shell.run("iam", "service-accounts", "create", name)
    shell.run("iam", "service-accounts", "keys", "create", str(key), "--iam-account", email)
    shell.run(
        "projects", "add-iam-policy-binding", PROJECT,
        "--member", f"serviceAccount:{email}", "--role", f"roles/{role}",
    )  # fmt: skip
    credentials = service_account.Credentials.from_service_account_file(
        str(key), scopes=["https://www.googleapis.com/auth/cloud-platform"]
    )
    credentials.refresh(google.auth.transport.requests.Request())
    return str(credentials.token)


def submit(gcloud: Gcloud, packed: Path, bucket: str, job_id: str, *args: str) -> Json:
    """`jobs submit training JOB --staging-bucket B --package-path trainer/ … -- ARGS`."""
    digest = hashlib.sha256(packed.read_bytes()).hexdigest()
    name = f"{job_id}/{digest}/{packed.name}"
    gcloud.upload(packed, bucket, name)
    body = {
        "jobId": job_id,
        "trainingInput": {
            "args": list(args),
            "enableWebAccess": False,
            "jobDir": f"gs://{bucket}/{job_id}/out",
            "packageUris": [f"gs://{bucket}/{name}"],
            "pythonModule": "trainer.task",
            "pythonVersion": "3.7",
            "region": "us-central1",
            "runtimeVersion": "1.15",
            "scaleTier": "BASIC",
        },
    }
    return gcloud.ml("POST", "jobs", body)


def create_model_body(name: str) -> Json:
    return {
        "name": name,
        "onlinePredictionConsoleLogging": False,
        "onlinePredictionLogging": False,
        "regions": ["us-central1"],
    }


def version_body(name: str, bucket: str, digest: str) -> Json:
    return {
        "name": name,
        "deploymentUri": f"gs://{bucket}/{digest}/",
        "framework": "SCIKIT_LEARN",
        "pythonVersion": "3.7",
        "runtimeVersion": "1.15",
    }


def shown(entry: Json) -> tuple[str, str, str]:
    """Severity, task and message, looked up where stream-logs does."""
    labels = entry.get("labels", {})
    task = (
        entry["resource"]["labels"].get("task_name")
        or labels.get("task_name")
        or labels.get("ml.googleapis.com/task_name")
        or "unknown_task"
    )
    message = entry.get("jsonPayload", {}).get("message") or entry.get("textPayload")
    return entry["severity"], task, message


def basename(resource: Json) -> str:
    return str(resource["name"]).rpartition("/")[2]


def unique(prefix: str) -> str:
    return f"{prefix}_{uuid.uuid4().hex[:10]}"
