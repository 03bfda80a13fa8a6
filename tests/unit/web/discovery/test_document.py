"""The rules by which a row becomes a method of Google's document."""

from __future__ import annotations

import pytest

from mlengine.web.discovery.document import discovery_document, full_name
from mlengine.web.method import Call, Json, Method, Parameter

P = "/v1/projects/{project}"


def nothing(_: Call) -> Json:
    return {}


def row(id_: str, verb: str, path: str, **more: object) -> Method:
    return Method(id=id_, verb=verb, path=path, handler=nothing, summary="A summary.", **more)  # type: ignore[arg-type]


def method_of(*rows: Method) -> Json:
    found: Json = discovery_document(rows, "http://here:1")
    *collections, verb = rows[0].id.split(".")[1:]
    for collection in collections:
        found = found["resources"][collection]
    return found["methods"][verb]


@pytest.mark.parametrize(
    ("id_", "verb", "path", "googles", "flat", "parameter", "pattern"),
    [
        (
            "ml.projects.jobs.get", "GET", P + "/jobs/{job}",
            "v1/{+name}", "v1/projects/{projectsId}/jobs/{jobsId}", "name", "^projects/[^/]+/jobs/[^/]+$",
        ),
        (
            "ml.projects.jobs.cancel", "POST", P + "/jobs/{job}:cancel",
            "v1/{+name}:cancel", "v1/projects/{projectsId}/jobs/{jobsId}:cancel",
            "name", "^projects/[^/]+/jobs/[^/]+$",
        ),
        (
            "ml.projects.models.versions.list", "GET", P + "/models/{model}/versions",
            "v1/{+parent}/versions", "v1/projects/{projectsId}/models/{modelsId}/versions",
            "parent", "^projects/[^/]+/models/[^/]+$",
        ),
        (
            "ml.projects.jobs.setIamPolicy", "POST", P + "/jobs/{job}:setIamPolicy",
            "v1/{+resource}:setIamPolicy", "v1/projects/{projectsId}/jobs/{jobsId}:setIamPolicy",
            "resource", "^projects/[^/]+/jobs/[^/]+$",
        ),
        (
            "ml.projects.operations.list", "GET", P + "/operations",
            "v1/{+name}/operations", "v1/projects/{projectsId}/operations", "name", "^projects/[^/]+$",
        ),
        (
            "ml.projects.getConfig", "GET", P + ":getConfig",
            "v1/{+name}:getConfig", "v1/projects/{projectsId}:getConfig", "name", "^projects/[^/]+$",
        ),
        (
            "ml.projects.locations.studies.trials.suggest", "POST",
            P + "/locations/{location}/studies/{study}/trials:suggest",
            "v1/{+parent}/trials:suggest",
            "v1/projects/{projectsId}/locations/{locationsId}/studies/{studiesId}/trials:suggest",
            "parent", "^projects/[^/]+/locations/[^/]+/studies/[^/]+$",
        ),
    ],
)  # fmt: skip
def test_the_path_has_one_variable_named_as_google_does(
    id_: str, verb: str, path: str, googles: str, flat: str, parameter: str, pattern: str
):
    described = method_of(row(id_, verb, path))

    assert (described["path"], described["flatPath"]) == (googles, flat)
    assert described["parameterOrder"] == [parameter]
    assert described["parameters"][parameter]["pattern"] == pattern


def test_rows_of_one_id_are_one_method_that_takes_any_name():
    model = row("ml.projects.predict", "POST", P + "/models/{model}:predict")
    version = row("ml.projects.predict", "POST", P + "/models/{model}/versions/{version}:predict")

    described = method_of(model, version)

    assert described["path"] == "v1/{+name}:predict"
    assert described["parameters"]["name"]["pattern"] == "^projects/.*$"


def test_query_parameters_and_messages_come_from_the_row():
    size = Parameter(name="pageSize", kind="integer", format="int32", summary="How many.")
    list_jobs = row(
        "ml.projects.jobs.list", "GET", P + "/jobs", response="ListJobsResponse", parameters=(size,)
    )

    described = method_of(list_jobs)

    assert described["response"] == {"$ref": "GoogleCloudMlV1__ListJobsResponse"}
    assert "request" not in described
    assert described["parameters"]["pageSize"] == {
        "type": "integer",
        "format": "int32",
        "location": "query",
        "description": "How many.",
    }


def test_a_document_has_the_messages_its_methods_need_and_no_others():
    document = discovery_document(
        [row("ml.projects.locations.get", "GET", P + "/locations/{location}", response="Location")],
        "http://h",
    )

    assert {"GoogleCloudMlV1__Location", "GoogleCloudMlV1__Capability"} <= set(document["schemas"])
    assert "GoogleCloudMlV1__Job" not in document["schemas"]


def test_clients_are_sent_to_where_they_asked():
    document = discovery_document([], "https://ml.example.com:8443")

    assert document["rootUrl"] + document["servicePath"] == "https://ml.example.com:8443/"


def test_methods_of_other_apis_are_left_out():
    assert (
        discovery_document([row("storage.buckets.get", "GET", "/storage/v1/b/{bucket}")], "")["resources"]
        == {}
    )


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("Job", "GoogleCloudMlV1__Job"),
        ("Operation", "GoogleLongrunning__Operation"),
        ("Policy", "GoogleIamV1__Policy"),
        ("Empty", "GoogleProtobuf__Empty"),
        ("HyperparameterMetric", "GoogleCloudMlV1_HyperparameterOutput_HyperparameterMetric"),
    ],
)
def test_messages_have_googles_full_names(name: str, full: str):
    assert full_name(name) == full
