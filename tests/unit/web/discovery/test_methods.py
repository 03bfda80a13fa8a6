"""What the description's URLs answer, and that its OpenAPI page can be read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from mlengine.errors import InvalidArgument, NotFound
from mlengine.web.discovery.methods import methods
from mlengine.web.method import Call, Json, Method, Parameter, Reply
from mlengine.web.routing import Router


def nothing(_: Call) -> Json:
    return {}


P = "/v1/projects/{project}"
ROWS = [
    Method(
        id="ml.projects.jobs.create", verb="POST", path=P + "/jobs", handler=nothing,
        summary="Submit a <job>.", request="Job", response="Job",
    ),
    Method(
        id="ml.projects.jobs.list", verb="GET", path=P + "/jobs", handler=nothing, summary="List.",
        response="ListJobsResponse",
        parameters=(Parameter(name="pageSize", kind="integer", format="int32", summary="How many."),),
    ),
    Method(
        id="ml.projects.predict", verb="POST", path=P + "/models/{model}:predict", handler=nothing,
        summary="Predict.", request="PredictRequest", response="HttpBody",
    ),
    Method(
        id="ml.projects.predict", verb="POST", path=P + "/models/{model}/versions/{version}:predict",
        handler=nothing, summary="Predict.", request="PredictRequest", response="HttpBody",
    ),
    Method(
        id="storage.objects.get", verb="GET", path="/storage/v1/b/{bucket}/o/{object+}", handler=nothing,
        summary="An object.",
    ),
    Method(
        id="storage.objects.insert", verb="POST", path="/upload/storage/v1/b/{bucket}/o", handler=nothing,
        summary="Store.",
    ),
    Method(id="oauth2.token", verb="POST", path="/token", handler=nothing, summary="A token for a key."),
]  # fmt: skip


def get(target: str) -> Json | Reply:
    path, _, query = target.partition("?")
    method, variables = Router(methods(ROWS)).find("GET", path)
    asked = dict(pair.split("=") for pair in query.split("&") if pair)
    return method.handler(Call(path=variables, query=asked, base_url="http://here:1"))


@pytest.fixture(scope="module")
def page() -> Json:
    found = get("/openapi.json")
    assert isinstance(found, dict)
    return found


def operations(page: Json) -> Iterator[tuple[str, Json]]:
    for path, verbs in page["paths"].items():
        for operation in verbs.values():
            yield path, operation


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def test_both_addresses_of_the_discovery_document_answer_the_same():
    today = get("/$discovery/rest?version=v1")

    assert today == get("/discovery/v1/apis/ml/v1/rest")
    assert isinstance(today, dict)
    assert today["resources"]["projects"]["resources"]["jobs"]["methods"]["create"]["httpMethod"] == "POST"


def test_a_request_without_version_is_told_to_name_one():
    with pytest.raises(InvalidArgument) as refused:
        get("/$discovery/rest")

    assert "version=v1" in refused.value.hint


@pytest.mark.parametrize(
    "target",
    [
        "/$discovery/rest?version=v1beta1",
        "/discovery/v1/apis/ml/v2/rest",
        "/discovery/v1/apis/storage/v1/rest",
        "/discovery/v1/apis/bigquery/v2/rest",
    ],
)
def test_a_document_that_is_not_here_is_named_and_so_is_the_one_that_is(target: str):
    with pytest.raises(NotFound) as refused:
        get(target)

    assert "There is no discovery document of" in str(refused.value)
    assert "ml v1" in refused.value.hint


def test_the_directory_leads_to_the_document():
    listed = get("/discovery/v1/apis")
    assert isinstance(listed, dict)

    assert [item["id"] for item in listed["items"]] == ["ml:v1"]
    assert get(listed["items"][0]["discoveryRestUrl"].removeprefix("http://here:1"))
    assert "items" not in get("/discovery/v1/apis?name=bigquery")


def test_every_reference_of_the_openapi_page_leads_somewhere(page: Json):
    for reference in set(references(page)):
        found: Any = page
        for word in reference.removeprefix("#/").split("/"):
            found = found[word]


def test_every_operation_has_a_name_of_its_own(page: Json):
    names = [operation["operationId"] for _, operation in operations(page)]

    assert len(names) == len(set(names))
    assert "ml.projects.predict.versions" in names


def test_every_variable_of_a_path_is_a_parameter(page: Json):
    for path, operation in operations(page):
        named = {one["name"] for one in operation["parameters"] if one.get("in") == "path"}
        assert named == set(re.findall(r"\{(\w+)\}", path))


def test_the_body_of_a_prediction_is_the_json_itself(page: Json):
    schemas = page["components"]["schemas"]

    assert schemas["PredictRequest"]["required"] == ["instances"]
    assert "httpBody" not in schemas["PredictRequest"]["properties"]


def test_the_methods_of_oauth_take_forms_and_refuse_in_their_own_shape(page: Json):
    operation = page["paths"]["/token"]["post"]

    assert list(operation["requestBody"]["content"]) == ["application/x-www-form-urlencoded"]
    refused = operation["responses"]["default"]["content"]["application/json"]["schema"]
    assert refused == {"$ref": "#/components/schemas/OAuthError"}


def test_fields_that_only_the_server_writes_are_marked(page: Json):
    job = page["components"]["schemas"]["Job"]["properties"]

    assert job["state"]["readOnly"] is True
    assert "readOnly" not in job["jobId"]


def test_the_page_describes_itself_too(page: Json):
    assert {"/openapi.json", "/docs", "/$discovery/rest"} <= set(page["paths"])


def test_the_page_for_people_names_every_method_and_needs_nothing_from_outside():
    reply = get("/docs")
    assert isinstance(reply, Reply)
    assert isinstance(reply.content, bytes)
    text = reply.content.decode()

    assert reply.media_type.startswith("text/html")
    assert all(row.path in text for row in ROWS)
    assert "Submit a &lt;job&gt;." in text
    assert "//" not in text
