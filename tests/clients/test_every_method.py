"""Every method of `ml`, called by Google's client as it is installed, with the document that it ships."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from googleapiclient import discovery
from googleapiclient.errors import HttpError

from tests.clients.whole_server import PARENT, RUNTIME, unused
from tests.clients.whole_server import origin as origin
from tests.clients.whole_server import whole as whole
from tests.stories.conftest import Server, wait_until

READER = {"role": "roles/ml.viewer", "members": ["allUsers"]}


@pytest.fixture(scope="module")
def projects(whole: Server) -> Iterator[Any]:
    options = {"api_endpoint": whole.endpoint}
    with discovery.build("ml", "v1", credentials=AnonymousCredentials(), client_options=options) as client:
        yield client.projects()


@pytest.fixture
def model(projects: Any) -> str:
    body = {"name": unused("model"), "regions": ["us-central1"]}
    return str(projects.models().create(parent=PARENT, body=body).execute()["name"])


@pytest.fixture
def job(projects: Any, origin: str) -> str:
    """A job that ends at once: its trainer fails."""
    body = {
        "jobId": unused("job"),
        "labels": {"team": "blue"},
        "trainingInput": {
            "packageUris": [f"{origin.removesuffix('/line')}/trainer.tar.gz"],
            "pythonModule": "trainer.task",
            "region": "us-central1",
            "runtimeVersion": RUNTIME,
        },
    }
    return f"{PARENT}/jobs/{projects.jobs().create(parent=PARENT, body=body).execute()['jobId']}"


@pytest.fixture(scope="module")
def deployed(projects: Any, origin: str) -> str:
    """A model with the versions v1, the default, and v2."""
    body = {"name": unused("line"), "regions": ["us-central1"]}
    name = str(projects.models().create(parent=PARENT, body=body).execute()["name"])
    for version in ("v1", "v2"):
        asked = {"name": version, "deploymentUri": origin, "runtimeVersion": RUNTIME}
        finished(projects, projects.models().versions().create(parent=name, body=asked).execute())
    return name


def finished(projects: Any, operation: dict[str, Any]) -> dict[str, Any]:
    """What came of it: its response."""
    done = dict(operation)

    def is_done() -> bool:
        done.update(projects.operations().get(name=operation["name"]).execute())
        return bool(done.get("done"))

    wait_until(is_done, "the operation", seconds=120)
    assert "error" not in done, done
    return dict(done["response"])


@pytest.mark.method("ml.projects.getConfig")
def test_a_project_has_an_account_that_acts_for_it(projects: Any):
    assert "@" in projects.getConfig(name=PARENT).execute()["serviceAccount"]


@pytest.mark.method("ml.projects.locations.list", "ml.projects.locations.get")
def test_a_location_that_is_listed_can_be_asked_for(projects: Any):
    listed = projects.locations().list(parent=PARENT).execute()["locations"]

    assert projects.locations().get(name=listed[0]["name"]).execute() == listed[0]


@pytest.mark.method("ml.projects.locations.operations.get", "ml.projects.locations.operations.cancel")
def test_an_operation_that_no_location_has_is_not_found(projects: Any):
    operations, name = projects.locations().operations(), f"{PARENT}/locations/us-central1/operations/none"

    for verb in (operations.get, operations.cancel):
        with pytest.raises(HttpError) as refused:
            verb(name=name).execute()
        assert refused.value.status_code == 404


@pytest.mark.method("ml.projects.jobs.create", "ml.projects.jobs.get", "ml.projects.jobs.list")
def test_a_submitted_job_is_got_and_listed(projects: Any, job: str):
    got = projects.jobs().get(name=job).execute()
    listed = projects.jobs().list(parent=PARENT, filter=f"jobId:{got['jobId']}").execute()["jobs"]

    assert got["labels"] == {"team": "blue"}
    assert [one["jobId"] for one in listed] == [got["jobId"]]


@pytest.mark.method("ml.projects.jobs.patch")
def test_the_labels_of_a_job_are_changed(projects: Any, job: str):
    changed = projects.jobs().patch(name=job, body={"labels": {"team": "red"}}, updateMask="labels").execute()

    assert changed["labels"] == {"team": "red"}


@pytest.mark.method("ml.projects.jobs.cancel", "ml.projects.jobs.get")
def test_a_cancelled_job_ends(projects: Any, job: str):
    answer = projects.jobs().cancel(name=job, body={}).execute()

    assert answer == {}
    wait_until(lambda: "endTime" in projects.jobs().get(name=job).execute(), "the job's end")


@pytest.mark.method(
    "ml.projects.jobs.getIamPolicy", "ml.projects.jobs.setIamPolicy", "ml.projects.jobs.testIamPermissions"
)
def test_a_job_keeps_its_policy(projects: Any, job: str):
    keeps_policy(projects.jobs(), job, "ml.jobs.get")


@pytest.mark.method(
    "ml.projects.models.getIamPolicy",
    "ml.projects.models.setIamPolicy",
    "ml.projects.models.testIamPermissions",
)
def test_a_model_keeps_its_policy(projects: Any, model: str):
    keeps_policy(projects.models(), model, "ml.models.get")


def keeps_policy(collection: Any, resource: str, permission: str) -> None:
    put = collection.setIamPolicy(resource=resource, body={"policy": {"bindings": [READER]}}).execute()
    got = collection.getIamPolicy(resource=resource, options_requestedPolicyVersion=3).execute()
    asked = {"permissions": [permission]}
    may = collection.testIamPermissions(resource=resource, body=asked).execute()

    assert put["bindings"] == [READER]
    assert got == put
    assert may == asked


@pytest.mark.method("ml.projects.models.create", "ml.projects.models.get", "ml.projects.models.list")
def test_a_made_model_is_got_and_listed(projects: Any, model: str):
    got = projects.models().get(name=model).execute()
    listed = projects.models().list(parent=PARENT, pageSize=100).execute()["models"]

    assert got["name"] == model
    assert model in [one["name"] for one in listed]


@pytest.mark.method("ml.projects.models.patch", "ml.projects.operations.get")
def test_the_description_of_a_model_is_changed(projects: Any, model: str):
    asked = projects.models().patch(name=model, body={"description": "new"}, updateMask="description")

    assert finished(projects, asked.execute())["description"] == "new"


@pytest.mark.method("ml.projects.models.delete")
def test_a_deleted_model_is_gone(projects: Any, model: str):
    finished(projects, projects.models().delete(name=model).execute())

    with pytest.raises(HttpError) as gone:
        projects.models().get(name=model).execute()
    assert gone.value.status_code == 404


@pytest.mark.method("ml.projects.predict")
def test_model_and_version_predict(projects: Any, deployed: str):
    for name in (deployed, f"{deployed}/versions/v2"):
        answer = projects.predict(name=name, body={"instances": [[2.0]]}).execute()
        assert answer["predictions"] == pytest.approx([5.0])


@pytest.mark.method("ml.projects.explain")
def test_a_version_without_explanations_says_so(projects: Any, deployed: str):
    with pytest.raises(HttpError, match="expla") as refused:
        projects.explain(name=deployed, body={"instances": [[2.0]]}).execute()

    assert refused.value.status_code == 400


@pytest.mark.method("ml.projects.models.versions.list", "ml.projects.models.versions.get")
def test_versions_are_got_and_listed(projects: Any, deployed: str):
    versions = projects.models().versions()
    listed = versions.list(parent=deployed).execute()["versions"]

    assert sorted(one["name"].rpartition("/")[2] for one in listed) == ["v1", "v2"]
    assert versions.get(name=f"{deployed}/versions/v1").execute()["isDefault"] is True


@pytest.mark.method("ml.projects.models.versions.patch")
def test_the_description_of_a_version_is_changed(projects: Any, deployed: str):
    versions, name = projects.models().versions(), f"{deployed}/versions/v2"
    finished(
        projects, versions.patch(name=name, body={"description": "new"}, updateMask="description").execute()
    )

    assert versions.get(name=name).execute()["description"] == "new"


@pytest.mark.method(
    "ml.projects.models.versions.create",
    "ml.projects.models.versions.setDefault",
    "ml.projects.models.versions.delete",
)
def test_a_version_that_is_not_the_default_any_more_can_be_deleted(projects: Any, model: str, origin: str):
    versions = projects.models().versions()
    for version in ("v1", "v2"):
        asked = {"name": version, "deploymentUri": origin, "runtimeVersion": RUNTIME}
        finished(projects, versions.create(parent=model, body=asked).execute())
    default = versions.setDefault(name=f"{model}/versions/v2", body={}).execute()
    finished(projects, versions.delete(name=f"{model}/versions/v1").execute())

    assert default["isDefault"] is True
    assert [one["name"] for one in versions.list(parent=model).execute()["versions"]] == [default["name"]]


@pytest.mark.method("ml.projects.operations.list", "ml.projects.operations.cancel")
def test_an_operation_that_has_ended_is_listed_and_stays_as_it_is(projects: Any, deployed: str):
    listed = projects.operations().list(name=PARENT, pageSize=100).execute()["operations"]
    ended = next(one for one in listed if one["metadata"].get("modelName") == deployed)

    assert projects.operations().cancel(name=ended["name"]).execute() == {}
    assert projects.operations().get(name=ended["name"]).execute() == ended
