"""Patches of models and versions by their URLs, etags, filters, and what cannot be explained."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from mlengine.errors import Conflict, FailedPrecondition, InvalidArgument, NotFound, Unavailable
from mlengine.models.domain import State
from mlengine.models.methods import methods
from mlengine.web.fields import etag
from mlengine.web.method import Call, Reply
from tests.unit.models.house import TITANIC, House, bring

MODEL, VERSION = {"model": "titanic"}, {"model": "titanic", "version": "v1"}

_NAMES = re.compile(r"{(\w+)}")


def ask(house: House, method_id: str, path: dict[str, str], body: object = None, **query: str) -> Any:
    [row] = [
        row
        for row in methods(house.service, house.clock)
        if row.id == f"ml.projects.{method_id}" and set(_NAMES.findall(row.path)) == {"project", *path}
    ]
    raw = b"" if body is None else json.dumps(body).encode()
    reply = row.handler(Call(path={"project": "local"} | path, query=query, body=iter([raw])))
    return reply.content if isinstance(reply, Reply) else reply


def test_a_model_is_changed_by_its_mask_and_nothing_else(house: House) -> None:
    house.model()
    house.ready("v1")
    house.ready("v2")

    operation = ask(
        house,
        "models.patch",
        MODEL,
        {"description": "Who survives?", "labels": {"a": "b"}, "default_version": {"name": "v2"}},
        updateMask="description,default_version.name",
    )

    assert operation["metadata"]["operationType"] == "UPDATE_MODEL"
    assert operation["done"] is True
    assert operation["response"]["@type"] == "type.googleapis.com/google.cloud.ml.v1.Model"
    assert operation["response"]["description"] == "Who survives?"
    assert operation["response"]["defaultVersion"]["name"].endswith("/v2")
    model = ask(house, "models.get", MODEL)
    assert model == {key: value for key, value in operation["response"].items() if key != "@type"}
    assert "labels" not in model


def test_the_default_may_be_named_by_its_whole_path(house: House) -> None:
    house.model()
    house.ready("v1")
    house.ready("v2")
    woken = house.woken

    default = {"defaultVersion": {"name": f"{TITANIC}/versions/v2"}}
    ask(house, "models.patch", MODEL, default, updateMask="defaultVersion.name")

    assert house.default() == "v2"
    assert house.woken == woken + 1


@pytest.mark.parametrize(
    ("body", "mask", "words"),
    [
        ({}, "", "updateMask is missing"),
        ({"description": "x"}, "descripton", "Did you mean 'description'"),
        ({}, "regions", "everything runs on this machine"),
        ({}, "defaultVersion.name", "names no version"),
        (
            {"defaultVersion": {"name": "projects/local/models/other/versions/v1"}},
            "default_version.name",
            "no version of this",
        ),
        ({"defaultVersion": {"name": "v-1"}}, "default_version.name", "'v_1' would do"),
        ({"descripton": "x"}, "description", "Unknown field 'descripton'"),
        ({"description": 7}, "description", "must be a string"),
        ({"labels": {"A": "b"}}, "labels", "small letters"),
        ({"etag": "stale"}, "description", "no etag of ours"),
    ],
)
def test_a_patch_that_cannot_be_is_refused_and_changes_nothing(
    house: House, body: dict[str, Any], mask: str, words: str
) -> None:
    house.model()
    before = ask(house, "models.get", MODEL)

    with pytest.raises(InvalidArgument) as refused:
        ask(house, "models.patch", MODEL, body, updateMask=mask)

    assert words in str(refused.value)
    assert ask(house, "models.get", MODEL) == before
    assert house.operations.page("local", after="", limit=9) == []


@pytest.mark.parametrize("state", [State.CREATING, State.FAILED, State.DELETING])
def test_only_a_ready_version_becomes_the_default(house: House, state: State) -> None:
    house.model()
    bring(house, "v1", state)

    with pytest.raises(FailedPrecondition, match="only a READY one"):
        ask(
            house, "models.patch", MODEL, {"defaultVersion": {"name": "v1"}}, updateMask="defaultVersion.name"
        )
    with pytest.raises(NotFound, match="'v1'"):
        ask(house, "models.patch", MODEL, {"defaultVersion": {"name": "v"}}, updateMask="defaultVersion.name")


def test_an_etag_of_before_is_refused_whatever_the_mask_says(house: House) -> None:
    house.model()
    old = ask(house, "models.get", MODEL)["etag"]
    now = ask(house, "models.patch", MODEL, {"description": "a", "etag": old}, updateMask="description,etag")

    for mask in ("description", "description,etag"):
        with pytest.raises(Conflict, match="has changed since its etag was read"):
            ask(house, "models.patch", MODEL, {"description": "b", "etag": old}, updateMask=mask)
    assert ask(house, "models.get", MODEL)["description"] == "a"
    assert now["response"]["etag"] == ask(house, "models.get", MODEL)["etag"] != old


def test_an_etag_of_an_earlier_model_of_this_name_is_stale(house: House) -> None:
    house.model()
    old = ask(house, "models.get", MODEL)["etag"]
    ask(house, "models.delete", MODEL)
    house.clock.forward()
    house.model()

    with pytest.raises(Conflict):
        ask(house, "models.patch", MODEL, {"description": "b", "etag": old}, updateMask="description")


def test_a_patch_that_changes_nothing_keeps_the_etag(house: House) -> None:
    house.model()
    before = ask(house, "models.get", MODEL)

    ask(house, "models.patch", MODEL, {"description": ""}, updateMask="description")

    assert ask(house, "models.get", MODEL) == before


def test_a_whole_model_that_was_read_can_be_sent_back(house: House) -> None:
    house.model()
    house.ready("v1")
    model = ask(house, "models.get", MODEL) | {"description": "New."}

    answer = ask(house, "models.patch", MODEL, model, updateMask="description")

    assert answer["response"]["description"] == "New."


# Versions


@pytest.mark.parametrize("state", [State.READY, State.FAILED])
def test_a_version_at_rest_is_changed_by_its_mask(house: House, state: State) -> None:
    house.model()
    bring(house, "v1", state)
    body = ask(house, "models.versions.get", VERSION) | {"description": "First.", "labels": {"a": "b"}}

    operation = ask(house, "models.versions.patch", VERSION, body, updateMask="labels,description")

    assert operation["metadata"]["operationType"] == "UPDATE_VERSION"
    assert operation["metadata"]["labels"] == {"a": "b"}
    assert operation["response"]["@type"].endswith("ml.v1.Version")
    version = ask(house, "models.versions.get", VERSION)
    assert (version["description"], version["labels"]) == ("First.", {"a": "b"})
    assert version["state"] == state.value


@pytest.mark.parametrize("state", [State.CREATING, State.DELETING])
def test_a_version_on_its_way_is_neither_changed_nor_deleted(house: House, state: State) -> None:
    house.model()
    bring(house, "v1", state)
    before = ask(house, "models.versions.get", VERSION)

    with pytest.raises(FailedPrecondition, match=f"is {state}; it cannot be changed"):
        ask(house, "models.versions.patch", VERSION, {"description": "x"}, updateMask="description")
    with pytest.raises(FailedPrecondition, match=f"is {state}; it cannot be deleted"):
        ask(house, "models.versions.delete", VERSION)
    assert ask(house, "models.versions.get", VERSION) == before


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        ("autoScaling.metrics", "requests wait"),
        ("autoScaling.minNodes,manualScaling.nodes", "one of them"),
        ("autoScaling.maxNodes", "does not say it"),
        ("manual_scaling.nodes", "does not say it"),
        ("mlengine.accelerate", "Create another version"),
        ("mlengine.schema", "the server tells it"),
        ("requestLoggingConfig.samplingPercentage", "cannot be changed"),
        ("deploymentUri", "Create another version"),
        ("state", "cannot be changed"),
    ],
)
def test_what_of_a_version_cannot_be_changed_is_refused_with_why(house: House, mask: str, words: str) -> None:
    house.model()
    house.ready("v1")

    with pytest.raises(InvalidArgument) as refused:
        ask(house, "models.versions.patch", VERSION, {}, updateMask=mask)

    assert words in str(refused.value)


def test_an_etag_of_a_version_is_checked(house: House) -> None:
    house.model()
    house.ready("v1")

    with pytest.raises(Conflict):
        ask(house, "models.versions.patch", VERSION, {"etag": etag(1)}, updateMask="description,etag")


def test_a_machine_type_is_kept_and_the_answer_says_that_it_is_this_machine(house: House) -> None:
    house.model()
    [row] = [
        row for row in methods(house.service, house.clock) if row.id == "ml.projects.models.versions.create"
    ]
    body = {"name": "v1", "deploymentUri": "gs://box/sk", "machine_type": "n1-standard-4"}

    reply = row.handler(Call(path={"project": "local"} | MODEL, body=iter([json.dumps(body).encode()])))

    assert isinstance(reply, Reply)
    assert (
        reply.headers["X-Mlengine-Warnings"] == "version.machine_type n1-standard-4 is mapped to this machine"
    )
    assert ask(house, "models.versions.get", VERSION)["machineType"] == "n1-standard-4"


# Lists


def test_versions_and_models_are_listed_by_a_filter(house: House) -> None:
    house.model()
    house.model("mnist")
    house.ready("v1")
    house.failed("v2")
    ask(house, "models.patch", MODEL, {"labels": {"team": "ships"}}, updateMask="labels")

    def versions(text: str) -> list[str]:
        found = ask(house, "models.versions.list", MODEL, filter=text).get("versions", [])
        return [version["name"].rpartition("/")[2] for version in found]

    def models(text: str) -> list[str]:
        found = ask(house, "models.list", {}, filter=text).get("models", [])
        return [model["name"].rpartition("/")[2] for model in found]

    assert versions("state=FAILED") == ["v2"]
    assert versions("isDefault=true") == ["v1"]
    assert versions("name:v* AND NOT state=FAILED") == ["v1"]
    assert models("name=mnist") == ["mnist"]
    assert models("labels.team=ships") == ["titanic"]
    assert models("defaultVersion.name=v1") == ["titanic"]
    assert models("default_version.state=READY OR name=mnist") == ["mnist", "titanic"]


def test_a_token_of_another_models_versions_is_refused(house: House) -> None:
    house.model()
    house.model("mnist")
    house.failed("v1")
    house.failed("v2")
    token = ask(house, "models.versions.list", MODEL, pageSize="1")["nextPageToken"]

    with pytest.raises(InvalidArgument, match="not from this list"):
        ask(house, "models.versions.list", {"model": "mnist"}, pageToken=token)


# Explanations


@pytest.mark.parametrize("path", [MODEL, VERSION])
def test_a_version_without_an_explanation_config_says_so(house: House, path: dict[str, str]) -> None:
    house.model()
    house.ready("v1")

    with pytest.raises(FailedPrecondition, match="'v1' has no explanationConfig"):
        ask(house, "explain", path, {"instances": []})


def test_a_version_that_explains_but_has_no_worker_says_why(house: House) -> None:
    house.model()
    house.asked("v1", explanation={"sampledShapleyAttribution": {"numPaths": 3}})

    with pytest.raises(Unavailable, match="'v1' is not serving yet"):
        ask(house, "explain", VERSION, {"instances": []})


def test_an_explanation_of_what_is_not_there_says_so(house: House) -> None:
    with pytest.raises(NotFound):
        ask(house, "explain", MODEL)
    house.model()
    with pytest.raises(FailedPrecondition, match="no version yet"):
        ask(house, "explain", MODEL)
    with pytest.raises(NotFound):
        ask(house, "explain", VERSION)


@pytest.mark.parametrize("verb", ["predict", "explain"])
def test_a_name_of_neither_a_model_nor_a_version_is_refused(house: House, verb: str) -> None:
    rows = [
        row
        for row in methods(house.service, house.clock)
        if row.id == f"ml.projects.{verb}" and "{model}" not in row.path
    ]

    assert len(rows) == 2
    for row in rows:
        with pytest.raises(InvalidArgument, match="'projects/local/jobs/a' is neither a model nor"):
            row.handler(Call(path={"project": "local"}, target=f"/v1/projects/local/jobs/a:{verb}?x=1"))
