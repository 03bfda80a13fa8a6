"""Every method of `ml` v1 but those of policies and studies, by Google's client and the document it ships."""

from __future__ import annotations

import base64
import json
import pickle
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from googleapiclient import discovery
from googleapiclient.errors import HttpError
from googleapiclient.http import BatchHttpRequest

from tests.stories.conftest import ROOT, Server, Shell, wait_until
from tests.trainer_package import trainer_package

PARENT = "projects/local"
TRAIN = (
    "import sys, joblib, numpy\nfrom sklearn.linear_model import LinearRegression\n"
    "joblib.dump(LinearRegression().fit(numpy.array([[0.0], [1.0]]), [1.0, 3.0]), sys.argv[1])\n"
)


class Sleeps:
    """A model that takes an hour to load."""

    def __reduce__(self) -> tuple[Callable[[float], None], tuple[float]]:
        return time.sleep, (3600.0,)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("ml"), Shell(ROOT))
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def projects(whole: Server) -> Iterator[Any]:
    """`service.projects()` of the document that Google ships."""
    service = discovery.build(
        "ml", "v1", credentials=AnonymousCredentials(), client_options={"api_endpoint": whole.endpoint}
    )
    yield service.projects()
    service.close()


@pytest.fixture(scope="module")
def origins(whole: Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A bucket with a model of 2x + 1 in `line`, one that never loads in `slow`, and a package."""
    folder, bucket = tmp_path_factory.mktemp("models"), f"gs://models-{uuid.uuid4().hex[:8]}"
    shell = Shell(folder, dict(whole.shell.environment))
    python = shell.run("runtimes", "build", "2026.11-sklearn", timeout=600).stdout.split()[-1]
    shell.program(python, "-c", TRAIN, str(folder / "model.joblib"))
    (folder / "model.pkl").write_bytes(pickle.dumps(Sleeps()))
    (folder / "trainer.tar.gz").write_bytes(trainer_package())
    shell.run("storage", "mb", bucket)
    for name, target in (("model.joblib", "line/"), ("model.pkl", "slow/"), ("trainer.tar.gz", "")):
        shell.run("storage", "cp", name, f"{bucket}/{target}{name}")
    return bucket


@pytest.fixture
def model(projects: Any) -> str:
    """The full name of a model of its own."""
    body = {"name": f"m_{uuid.uuid4().hex[:8]}"}
    return str(projects.models().create(parent=PARENT, body=body).execute()["name"])


@pytest.fixture(scope="module")
def line(projects: Any, origins: str) -> str:
    """The full name of a model with two READY versions, v1 the default."""
    name = projects.models().create(parent=PARENT, body={"name": "line"}).execute()["name"]
    for version in ("v1", "v2"):
        deploy(projects, name, version, f"{origins}/line")
    return str(name)


def deploy(projects: Any, model: str, version: str, origin: str) -> str:
    body = {
        "name": version,
        "deployment_uri": origin,
        "runtime_version": "2026.11",
        "framework": "SCIKIT_LEARN",
    }
    operation = projects.models().versions().create(parent=model, body=body).execute()
    assert operation["metadata"]["operationType"] == "CREATE_VERSION"
    assert "response" in ended(projects, operation["name"])
    return f"{model}/versions/{version}"


def ended(projects: Any, name: str) -> dict[str, Any]:
    """The operation, once it is done."""
    found: dict[str, Any] = {}

    def done() -> bool:
        found.update(projects.operations().get(name=name).execute())
        return bool(found.get("done"))

    wait_until(done, f"the end of {name}", seconds=120)
    return found


def submitted(projects: Any, origins: str, **more: Any) -> dict[str, Any]:
    """A job of its own. It ends as FAILED if nobody cancels it."""
    training = {
        "pythonModule": "trainer.task",
        "packageUris": [f"{origins}/trainer.tar.gz"],
        "region": "us-central1",
        "runtimeVersion": "2026.11",
        "scaleTier": "BASIC",
        "scheduling": {"maxRunningTime": "3600s"},
    }
    body = {"jobId": f"j_{uuid.uuid4().hex[:8]}", "trainingInput": training} | more
    return dict(projects.jobs().create(parent=PARENT, body=body).execute())


def refused(request: Any) -> tuple[int, str, str]:
    """Code, status and message of an error."""
    with pytest.raises(HttpError) as caught:
        request.execute()
    error = json.loads(caught.value.content)["error"]
    assert caught.value.status_code == error["code"]
    return error["code"], error["status"], error["message"]


# Jobs


@pytest.mark.method("ml.projects.jobs.create")
def test_a_job_is_submitted_once(projects: Any, origins: str) -> None:
    job = submitted(projects, origins, labels={"team": "ships"})

    assert (job["state"], job["labels"]) == ("QUEUED", {"team": "ships"})
    assert len(base64.b64decode(job["etag"], validate=True)) == 8
    again = projects.jobs().create(
        parent=PARENT, body={"jobId": job["jobId"], "trainingInput": job["trainingInput"]}
    )
    code, status, message = refused(again)
    assert (code, status) == (409, "ALREADY_EXISTS")
    assert message.startswith("Field: job.job_id Error: A job with this id already exists. 'j_")


@pytest.mark.method("ml.projects.jobs.get")
def test_a_job_tells_how_it_stands(projects: Any, origins: str) -> None:
    job = submitted(projects, origins)
    name = f"{PARENT}/jobs/{job['jobId']}"

    found = projects.jobs().get(name=name).execute()

    assert found["trainingInput"] == job["trainingInput"]
    assert found["createTime"] == job["createTime"]
    code, status, message = refused(projects.jobs().get(name=name[:-1]))
    assert (code, status) == (404, "NOT_FOUND")
    assert f"Did you mean '{job['jobId']}'?" in message


@pytest.mark.method("ml.projects.jobs.list")
def test_jobs_are_listed_by_pages_and_by_a_filter(projects: Any, origins: str) -> None:
    team = f"t{uuid.uuid4().hex[:8]}"
    ids = [submitted(projects, origins, labels={"team": team})["jobId"] for _ in range(3)]

    seen = []
    request = projects.jobs().list(parent=PARENT, filter=f"jobId:j_* AND labels.team={team}", pageSize=2)
    while request is not None:
        page = request.execute()
        seen += [job["jobId"] for job in page["jobs"]]
        request = projects.jobs().list_next(request, page)

    assert seen == ids[::-1]
    assert projects.jobs().list(parent=PARENT, filter="jobId=none").execute() == {}
    token = projects.jobs().list(parent=PARENT, pageSize=1).execute()["nextPageToken"]
    for other in (
        projects.jobs().list(parent=PARENT, filter="state=FAILED", pageToken=token),
        projects.models().list(parent=PARENT, pageToken=token),
    ):
        assert refused(other)[:2] == (400, "INVALID_ARGUMENT")


@pytest.mark.method("ml.projects.jobs.patch")
def test_a_jobs_labels_are_patched_unless_its_etag_is_stale(projects: Any, origins: str) -> None:
    name = f"{PARENT}/jobs/{submitted(projects, origins)['jobId']}"
    projects.jobs().cancel(name=name, body={}).execute()
    wait_until(lambda: "endTime" in projects.jobs().get(name=name).execute(), "the end of the job")
    job = projects.jobs().get(name=name).execute()
    change = {"labels": {"a": "b"}, "etag": job["etag"]}

    patched = projects.jobs().patch(name=name, body=change, updateMask="labels,etag").execute()

    assert patched == job | {"labels": {"a": "b"}, "etag": patched["etag"]}
    stale = projects.jobs().patch(name=name, body=change | {"labels": {}}, updateMask="labels,etag")
    assert refused(stale)[:2] == (409, "ABORTED")
    assert projects.jobs().get(name=name).execute() == patched


@pytest.mark.method("ml.projects.jobs.cancel")
def test_a_job_is_cancelled_and_twice_is_once(projects: Any, origins: str) -> None:
    name = f"{PARENT}/jobs/{submitted(projects, origins)['jobId']}"

    assert projects.jobs().cancel(name=name, body={}).execute() == {}
    wait_until(lambda: "endTime" in projects.jobs().get(name=name).execute(), "the end of the job")

    job = projects.jobs().get(name=name).execute()
    assert job["state"] == "CANCELLED"
    assert projects.jobs().cancel(name=name).execute() == {}
    assert projects.jobs().get(name=name).execute() == job


# Models


@pytest.mark.method("ml.projects.models.create")
def test_a_model_is_made_once(projects: Any) -> None:
    body = {
        "name": f"m_{uuid.uuid4().hex[:8]}",
        "description": "Who survives?",
        "regions": ["europe-west1"],
        "labels": {"team": "ships"},
        "onlinePredictionLogging": False,
        "onlinePredictionConsoleLogging": False,
    }

    made = projects.models().create(parent=PARENT, body=body).execute()

    kept = {key: value for key, value in body.items() if value}
    assert made == kept | {"name": f"{PARENT}/models/{body['name']}", "etag": made["etag"]}
    assert refused(projects.models().create(parent=PARENT, body=body))[:2] == (409, "ALREADY_EXISTS")


@pytest.mark.method("ml.projects.models.get")
def test_a_model_holds_its_whole_default_version(projects: Any, line: str) -> None:
    model = projects.models().get(name=line).execute()

    version = projects.models().versions().get(name=f"{line}/versions/v1").execute()
    assert googles(model["defaultVersion"]) == googles(version)
    assert model["mlengine"]["traffic"] == {"split": {"v1": 100}, "shadow": {}}
    code, _, message = refused(projects.models().get(name=f"{PARENT}/models/lin"))
    assert code == 404
    assert "Did you mean 'line'?" in message


@pytest.mark.method("ml.projects.models.list")
def test_models_are_listed_with_the_fields_that_are_wanted(projects: Any, line: str, model: str) -> None:
    listed = projects.models().list(
        parent=PARENT, filter="name=line", fields="models(name,defaultVersion/state)"
    )

    assert listed.execute() == {"models": [{"name": line, "defaultVersion": {"state": "READY"}}]}
    assert {line, model} <= {
        found["name"] for found in projects.models().list(parent=PARENT).execute()["models"]
    }


@pytest.mark.method("ml.projects.models.patch")
def test_a_model_is_patched_by_its_mask(projects: Any, model: str) -> None:
    body = {"description": "New.", "labels": {"a": "b"}}

    operation = projects.models().patch(name=model, body=body, updateMask="description").execute()

    assert operation["metadata"]["operationType"] == "UPDATE_MODEL"
    assert operation["response"]["@type"] == "type.googleapis.com/google.cloud.ml.v1.Model"
    found = projects.models().get(name=model).execute()
    assert (found["description"], "labels" in found) == ("New.", False)
    code, _, message = refused(projects.models().patch(name=model, body=body))
    assert code == 400
    assert "updateMask is missing" in message


@pytest.mark.method("ml.projects.models.delete")
def test_only_a_model_without_versions_is_deleted(projects: Any, line: str, model: str) -> None:
    operation = projects.models().delete(name=model).execute()

    assert operation["done"] is True
    assert operation["response"] == {"@type": "type.googleapis.com/google.protobuf.Empty"}
    assert refused(projects.models().get(name=model))[0] == 404
    code, status, message = refused(projects.models().delete(name=line))
    assert (code, status) == (400, "FAILED_PRECONDITION")
    assert "v1, v2" in message


# Versions


@pytest.mark.method("ml.projects.models.versions.create")
def test_a_version_is_deployed_and_the_first_becomes_the_default(
    projects: Any, model: str, origins: str
) -> None:
    body = {"name": "v1", "deploymentUri": f"{origins}/line/", "runtimeVersion": "2026.11"}

    operation = projects.models().versions().create(parent=model, body=body).execute()
    done = ended(projects, operation["name"])

    assert operation["metadata"]["version"]["name"] == f"{model}/versions/v1"
    version = {key: value for key, value in done["response"].items() if key != "@type"}
    read = projects.models().versions().get(name=f"{model}/versions/v1").execute()
    assert googles(version) == googles(read)
    assert read["mlengine"]["schema"]["framework"] == "scikit-learn"
    assert read["mlengine"]["acceleration"] == version["mlengine"]["acceleration"]
    assert (version["state"], version["isDefault"], version["framework"]) == ("READY", True, "SCIKIT_LEARN")
    assert refused(projects.models().versions().create(parent=model, body=body))[0] == 409


@pytest.mark.method("ml.projects.models.versions.get")
def test_a_version_tells_how_it_stands(projects: Any, line: str) -> None:
    version = projects.models().versions().get(name=f"{line}/versions/v2").execute()

    assert version["state"] == "READY"
    assert version["runtimeVersion"] == "2026.11"
    assert "isDefault" not in version
    code, _, message = refused(projects.models().versions().get(name=f"{line}/versions/v_2"))
    assert code == 404
    assert "Did you mean 'v2'?" in message


@pytest.mark.method("ml.projects.models.versions.list")
def test_versions_are_listed_by_pages_and_by_a_filter(projects: Any, line: str) -> None:
    versions = projects.models().versions()
    first = versions.list(parent=line, pageSize=1, filter="state=READY")
    page = first.execute()
    rest = versions.list_next(first, page).execute()

    assert [found["name"] for found in page["versions"] + rest["versions"]] == [
        f"{line}/versions/v1",
        f"{line}/versions/v2",
    ]
    assert versions.list(parent=line, filter="state=FAILED").execute() == {}


@pytest.mark.method("ml.projects.models.versions.patch")
def test_a_version_is_patched_by_its_mask(projects: Any, line: str) -> None:
    name = f"{line}/versions/v2"
    versions = projects.models().versions()
    etag = versions.get(name=name).execute()["etag"]
    body = {"description": "Second.", "labels": {"a": "b"}, "etag": etag}

    operation = versions.patch(name=name, body=body, updateMask="description,labels,etag").execute()

    assert operation["metadata"]["operationType"] == "UPDATE_VERSION"
    assert operation["response"]["description"] == "Second."
    assert versions.get(name=name).execute()["labels"] == {"a": "b"}
    assert refused(versions.patch(name=name, body=body, updateMask="description"))[:2] == (409, "ABORTED")
    scaled = {"manualScaling": {"nodes": 1}, "mlengine": {"maxBatchSize": 8}}
    mask = "manualScaling.nodes,mlengine.maxBatchSize"
    changed = versions.patch(name=name, body=scaled, updateMask=mask).execute()["response"]
    assert (changed["manualScaling"], changed["mlengine"]["maxBatchSize"]) == ({"nodes": 1}, 8)
    most = {"manualScaling": {"nodes": 1_000_000}}
    assert "this machine has" in refused(versions.patch(name=name, body=most, updateMask="manualScaling"))[2]


@pytest.mark.method("ml.projects.models.versions.setDefault")
def test_another_version_becomes_the_default(projects: Any, line: str) -> None:
    versions = projects.models().versions()

    assert versions.setDefault(name=f"{line}/versions/v2", body={}).execute()["isDefault"] is True
    assert projects.models().get(name=line).execute()["defaultVersion"]["name"].endswith("/v2")
    versions.setDefault(name=f"{line}/versions/v1", body={}).execute()
    assert refused(versions.setDefault(name=f"{line}/versions/v1", body={"x": 1}))[0] == 400


@pytest.mark.method("ml.projects.models.versions.delete")
def test_the_default_version_goes_only_as_the_last_one(projects: Any, model: str, origins: str) -> None:
    versions = projects.models().versions()
    for version in ("v1", "v2"):
        deploy(projects, model, version, f"{origins}/line")

    code, status, message = refused(versions.delete(name=f"{model}/versions/v1"))
    assert (code, status) == (400, "FAILED_PRECONDITION")
    assert "set-default v2" in message
    for version in ("v2", "v1"):
        operation = versions.delete(name=f"{model}/versions/{version}").execute()
        assert ended(projects, operation["name"])["response"]["@type"].endswith("google.protobuf.Empty")
    assert versions.list(parent=model).execute() == {}


# Predictions


@pytest.mark.method("ml.projects.predict")
def test_a_prediction_is_answered_as_it_is(projects: Any, line: str) -> None:
    for name in (line, f"{line}/versions/v2"):
        answer = projects.predict(name=name, body={"instances": [[2.0], [3.0]]}).execute()
        assert answer == {"predictions": [pytest.approx(5.0), pytest.approx(7.0)]}
    code, _, message = refused(projects.predict(name=f"{PARENT}/jobs/a", body={"instances": []}))
    assert code == 400
    assert "'projects/local/jobs/a' is neither a model nor a version" in message


@pytest.mark.method("ml.projects.explain")
def test_a_version_without_an_explanation_config_explains_nothing(projects: Any, line: str) -> None:
    for name in (line, f"{line}/versions/v1"):
        code, status, message = refused(projects.explain(name=name, body={"instances": [[2.0]]}))
        assert (code, status) == (400, "FAILED_PRECONDITION")
        assert "'v1' has no explanationConfig" in message
    assert refused(projects.explain(name=PARENT, body={}))[:2] == (400, "INVALID_ARGUMENT")


# Operations


@pytest.mark.method("ml.projects.operations.get")
def test_an_operation_tells_how_it_stands(projects: Any, model: str) -> None:
    made = projects.models().patch(name=model, body={"description": "a"}, updateMask="description").execute()

    assert projects.operations().get(name=made["name"]).execute() == made
    code, _, message = refused(projects.operations().get(name=made["name"][:-1]))
    assert code == 404
    assert made["name"].rpartition("/")[2] in message


@pytest.mark.method("ml.projects.operations.list")
def test_operations_are_listed_by_pages_and_by_a_filter(projects: Any, model: str) -> None:
    for text in ("a", "b", "c"):
        projects.models().patch(name=model, body={"description": text}, updateMask="description").execute()
    wanted = (
        f"done=true AND metadata.operationType=UPDATE_MODEL AND metadata.modelName={model.rpartition('/')[2]}"
    )

    seen = []
    request = projects.operations().list(name=PARENT, filter=wanted, pageSize=2, returnPartialSuccess=True)
    while request is not None:
        page = request.execute()
        seen += page["operations"]
        request = projects.operations().list_next(request, page)

    assert [operation["response"]["description"] for operation in seen] == ["a", "b", "c"]


@pytest.mark.method("ml.projects.operations.cancel")
def test_the_creation_of_a_version_is_cancelled_for_real(
    projects: Any, whole: Server, model: str, origins: str
) -> None:
    cancelled(projects, whole, model, origins, lambda name: projects.operations().cancel(name=name))


@pytest.mark.method("ml.projects.locations.operations.cancel")
def test_the_creation_of_a_version_is_cancelled_by_its_name_in_a_location(
    projects: Any, whole: Server, model: str, origins: str
) -> None:
    operations = projects.locations().operations()

    cancelled(projects, whole, model, origins, lambda name: operations.cancel(name=located(name)))


def cancelled(projects: Any, whole: Server, model: str, origins: str, cancel: Callable[[str], Any]) -> None:
    """Begin to make a version, cancel that once its worker runs, and see it end."""
    body = {"name": "v1", "deploymentUri": f"{origins}/slow", "runtimeVersion": "2026.11"}
    operation = projects.models().versions().create(parent=model, body=body).execute()
    wait_until(lambda: workers(whole, model), "its worker", seconds=120)

    assert cancel(operation["name"]).execute() == {}
    done = ended(projects, operation["name"])

    assert done["error"]["code"] == 1
    assert "response" not in done
    assert done["metadata"]["isCancellationRequested"] is True
    assert not workers(whole, model)
    version = projects.models().versions().get(name=f"{model}/versions/v1").execute()
    assert (version["state"], "cancelled" in version["errorMessage"]) == ("FAILED", True)
    assert cancel(operation["name"]).execute() == {}
    ended(projects, projects.models().versions().delete(name=f"{model}/versions/v1").execute()["name"])


def workers(whole: Server, model: str) -> list[Path]:
    """The nodes that serve, or will serve, versions of a model, as their folders note them."""
    key = f'"modelName": "{model.rpartition("/")[2]}"'
    found: list[Path] = []
    for file in (whole.data_dir / "serving").glob("*/options.json"):
        try:
            if key in file.read_text():
                found += file.parent.glob("node-*.json")
        except FileNotFoundError:
            continue
    return found


def googles(version: dict[str, Any]) -> dict[str, Any]:
    """A version without what is told of the moment, and of its model, only where it is asked for itself."""
    block = {
        name: value
        for name, value in version["mlengine"].items()
        if name not in ("schema", "nodes", "asleep")
    }
    return version | {"mlengine": block}


def located(name: str) -> str:
    return name.replace(f"{PARENT}/", f"{PARENT}/locations/us-central1/")


@pytest.mark.method("ml.projects.locations.operations.get")
def test_an_operation_is_found_by_its_name_in_a_location(projects: Any, model: str) -> None:
    made = projects.models().patch(name=model, body={"description": "a"}, updateMask="description").execute()
    operations = projects.locations().operations()

    assert operations.get(name=located(made["name"])).execute() == made | {"name": located(made["name"])}
    elsewhere = located(made["name"]).replace("us-central1", "us-centrl1")
    assert "Did you mean 'us-central1'?" in refused(operations.get(name=elsewhere))[2]


# Locations


@pytest.mark.method("ml.projects.locations.get")
def test_a_location_tells_what_it_is_good_for(projects: Any) -> None:
    location = projects.locations().get(name=f"{PARENT}/locations/europe-west1").execute()

    assert location["name"] == f"{PARENT}/locations/europe-west1"
    assert [found["type"] for found in location["capabilities"]] == ["TRAINING", "ONLINE_PREDICTION"]


@pytest.mark.method("ml.projects.locations.list")
def test_locations_are_listed_by_pages(projects: Any) -> None:
    seen = []
    request = projects.locations().list(parent=PARENT, pageSize=5)
    while request is not None:
        page = request.execute()
        seen += page["locations"]
        request = projects.locations().list_next(request, page)

    assert len(seen) == 13
    assert projects.locations().get(name=seen[-1]["name"]).execute() == seen[-1]


# What all of them have in common


def test_a_list_whose_url_is_too_long_comes_as_a_post_and_is_answered(projects: Any, model: str) -> None:
    short = model.rpartition("/")[2]
    long = " OR ".join(["name=none"] * 400 + [f"name={short}"])

    found = projects.models().list(parent=PARENT, filter=long).execute()

    assert [listed["name"] for listed in found["models"]] == [model]


def test_a_batch_of_calls_is_answered_call_by_call(
    projects: Any, whole: Server, model: str, line: str
) -> None:
    answers: dict[str, Any] = {}

    def keep(number: str, answer: Any, error: Any) -> None:
        answers[number] = error.status_code if error else answer

    batch = BatchHttpRequest(callback=keep, batch_uri=f"{whole.endpoint}/batch")
    batch.add(projects.models().get(name=model), request_id="a")
    batch.add(projects.models().get(name=f"{model}_not"), request_id="b")
    batch.add(
        projects.models().patch(name=model, body={"description": "c"}, updateMask="description"),
        request_id="c",
    )
    batch.add(projects.models().get(name=model), request_id="d")
    batch.add(projects.predict(name=line, body={"instances": [[2.0]]}), request_id="e")
    batch.execute()

    assert answers["e"] == 400  # the gateway alone predicts, and each request by itself
    assert answers["a"]["name"] == model
    assert answers["b"] == 404
    assert answers["c"]["done"] is True
    assert answers["d"]["description"] == "c"
