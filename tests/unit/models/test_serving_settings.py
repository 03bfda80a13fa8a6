"""How a version is served, and which versions serve a model: by service and URL, on each database."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mlengine.errors import FailedPrecondition, InvalidArgument, NotFound
from mlengine.models.domain import Framework, Stage, Standing
from mlengine.models.methods import methods
from mlengine.models.options import options_of
from mlengine.serving.runtimes.options import options_from
from mlengine.web.method import Call
from tests.unit.models.house import TITANIC, House
from tests.unit.models.test_patches import MODEL, VERSION, ask

ORIGIN = {"deploymentUri": "gs://box/sk"}


def own(house: House, verb: str, body: object) -> Any:
    """Ask for one of our own methods of models."""
    [row] = [row for row in methods(house.service, house.clock) if row.id == f"mlengine.models.{verb}"]
    house.clock.forward()
    return row.handler(Call(path={"project": "local", **MODEL}, body=iter([json.dumps(body).encode()])))


def made(house: House, body: dict[str, Any]) -> Any:
    house.model()
    ask(house, "models.versions.create", MODEL, {"name": "v1", **body})
    return ask(house, "models.versions.get", VERSION)


def test_all_that_is_said_at_creation_comes_back(house: House) -> None:
    said = ORIGIN | {
        "manualScaling": {"nodes": 2},
        "packageUris": ["gs://box/code/own-1.0.tar.gz"],
        "predictionClass": "own.Predictor",
    }
    block = {"maxBatchSize": 8, "maxLatencyMs": 5, "unknownFields": "IGNORE", "missingFields": "NULL"}

    found = made(house, said | {"mlengine": block})

    assert {name: found[name] for name in said} == said
    assert found["mlengine"] == block | {"nonFinite": "NULL", "accelerate": False, "framework": "CUSTOM"}
    assert "framework" not in found
    assert house.version("v1").framework is Framework.CUSTOM


def test_a_container_needs_neither_model_nor_runtime(house: House) -> None:
    said = {
        "container": {
            "image": "gcr.io/local/own",
            "command": ["python3", "/srv/own.py"],
            "args": ["--port=$(AIP_HTTP_PORT)"],
            "env": [{"name": "B", "value": "1"}, {"name": "A", "value": "$(B)"}],
            "ports": [{"containerPort": 9000}],
        },
        "routes": {"predict": "/p"},
    }

    found = made(house, said)

    assert {name: found[name] for name in said} == said
    assert "deploymentUri" not in found
    options = options_of(house.version("v1"))
    assert options["storageUri"] == ""
    assert options["container"] == {
        "command": ["python3", "/srv/own.py"],
        "args": ["--port=$(AIP_HTTP_PORT)"],
        "env": {"B": "1", "A": "$(B)"},
        "port": 9000,
        "predictRoute": "/p",
        "healthRoute": "/v1/models/titanic/versions/v1",
    }
    assert list(options["container"]["env"]) == ["B", "A"]


def test_the_options_are_those_that_a_worker_reads(house: House) -> None:
    made(house, ORIGIN | {"mlengine": {"maxBatchSize": 8, "nonFinite": "TEXT", "accelerate": False}})

    options = options_from(options_of(house.version("v1"), package_folders=["/p"]))

    assert (options.max_batch_size, options.non_finite, options.accelerate) == (8, "TEXT", False)
    assert (options.package_folders, options.storage_uri) == (("/p",), "gs://box/sk")
    assert (options.project, options.model_name, options.version_name) == ("local", "titanic", "v1")


def test_a_package_that_is_not_there_is_refused_at_once(house: House) -> None:
    with pytest.raises(FailedPrecondition, match=r"no package gs://box/code/gone.whl"):
        made(house, ORIGIN | {"packageUris": ["gs://box/code/gone.whl"], "predictionClass": "a.B"})


def test_code_of_ones_own_needs_no_file_of_a_known_name_but_some(house: House) -> None:
    house.files["gs://box/own"] = ["weights.bin"]

    assert made(house, {"deploymentUri": "gs://box/own", "predictionClass": "a.B"})["state"] == "CREATING"
    with pytest.raises(FailedPrecondition, match=r"nothing in gs://box/empty"):
        ask(
            house,
            "models.versions.create",
            MODEL,
            {"name": "v2", "deploymentUri": "gs://box/empty", "predictionClass": "a.B"},
        )


def test_more_processes_than_cores_are_refused(house: House) -> None:
    with pytest.raises(InvalidArgument, match="is 5, and this machine has 4 cores"):
        made(house, ORIGIN | {"manualScaling": {"nodes": 5}})


def test_a_patch_of_settings_is_a_new_generation_of_them_and_of_nothing_else(house: House) -> None:
    house.model()
    house.ready("v1")
    woken = house.woken

    for body, mask in (
        ({"mlengine": {"maxBatchSize": 4, "maxLatencyMs": 9}}, "mlengine.maxBatchSize"),
        ({"autoScaling": {"minNodes": 1, "maxNodes": 3}}, "autoScaling.minNodes,autoScaling.maxNodes"),
        ({"description": "x"}, "description"),
    ):
        ask(house, "models.versions.patch", VERSION, body, updateMask=mask)

    version = house.version("v1")
    assert (version.settings.max_batch_size, version.settings.max_latency_ms) == (4, 0)
    assert (version.min_nodes, version.max_nodes) == (1, 3)
    assert version.settings_generation == 2
    assert house.woken > woken
    found = ask(house, "models.versions.get", VERSION)
    assert found["autoScaling"] == {"minNodes": 1, "maxNodes": 3}


def test_no_fewest_nodes_may_travel_as_absence(house: House) -> None:
    house.model()
    house.ready("v1")

    ask(house, "models.versions.patch", VERSION, {"autoScaling": {}}, updateMask="autoScaling.minNodes")

    assert house.version("v1").min_nodes == 0


def test_what_a_worker_tells_is_kept_with_the_version(house: House) -> None:
    house.model()
    house.asked("v1")
    told = {"signatures": {"default": {}}, "acceleration": {"form": "arrays", "instances": 100}}

    house.service.ready(house.version("v1"), told)

    found = ask(house, "models.versions.get", VERSION)["mlengine"]
    assert found["schema"] == {"signatures": {"default": {}}}
    assert found["acceleration"] == {"form": "arrays", "instances": 100}
    [listed] = ask(house, "models.versions.list", MODEL)["versions"]
    assert "schema" not in listed["mlengine"]


def test_how_it_stands_is_told_while_it_is_made_and_once_it_serves(house: House) -> None:
    house.model()
    house.asked("v1")
    uid = house.version("v1").uid

    house.service.stage(uid, Stage.ENVIRONMENT)
    assert ask(house, "models.versions.get", VERSION)["mlengine"]["stage"] == "ENVIRONMENT"

    house.service.ready(house.version("v1"))
    house.service.stands(uid, Standing(wanted=2, serving=1))
    found = ask(house, "models.versions.get", VERSION)["mlengine"]
    assert "stage" not in found
    assert (found["nodes"], found["asleep"]) == ({"wanted": 2, "serving": 1}, False)


def test_requests_are_divided_and_divided_anew(house: House) -> None:
    house.model()
    for version_id in ("v1", "v2", "v3"):
        house.ready(version_id)

    answer = own(house, "setTraffic", {"split": {"v1": 90, "v2": 10}, "shadow": {"v3": 0.5}})

    assert answer["mlengine"]["traffic"] == {"split": {"v1": 90, "v2": 10}, "shadow": {"v3": 0.5}}
    traffic = house.service.traffic()[TITANIC]
    assert (traffic.split, traffic.shadow) == ({"v1": 90, "v2": 10}, {"v3": 0.5})
    changed = own(house, "setTraffic", {"split": {"v2": 100}})
    assert changed["defaultVersion"]["name"].endswith("/v2")
    assert changed["mlengine"]["previous"] == {"version": "v1", "split": {"v1": 90, "v2": 10}}
    back = own(house, "rollBack", {})
    assert back["mlengine"]["traffic"]["split"] == {"v1": 90, "v2": 10}
    assert [served["version"] for served in back["mlengine"]["history"]] == ["v1", "v2", "v1", "v1"]
    assert own(house, "setTraffic", {"shadow": {}})["mlengine"]["traffic"]["shadow"] == {}


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        ({}, InvalidArgument, "Neither split nor shadow"),
        ({"split": {"v1": 99.5, "v2": 0.5}}, InvalidArgument, "whole numbers"),
        ({"split": ["v1"]}, InvalidArgument, "must be an object of numbers"),
        ({"split": {"v1": True}}, InvalidArgument, "must be an object of numbers"),
        ({"split": {"v1": 90, "v9": 10}}, NotFound, "no version 'v9'"),
        (
            {"split": {"v1": 90, "bad": 10}},
            FailedPrecondition,
            "is FAILED; only a READY one can get requests",
        ),
        ({"shadow": {"bad": 0.1}}, FailedPrecondition, "is FAILED; only a READY one can get requests"),
    ],
)
def test_traffic_that_cannot_be_is_refused_and_changes_nothing(
    house: House, body: dict[str, Any], kind: type[Exception], words: str
) -> None:
    house.model()
    house.ready("v1")
    house.failed("bad")
    before = house.service.get_model(TITANIC)

    with pytest.raises(kind, match=words):
        own(house, "setTraffic", body)

    assert house.service.get_model(TITANIC) == before


def test_a_version_with_requests_is_not_deleted_and_it_is_told_what_to_do(house: House) -> None:
    house.model()
    for version_id in ("v1", "v2", "v3"):
        house.ready(version_id)
    own(house, "setTraffic", {"split": {"v1": 90, "v2": 10}, "shadow": {"v3": 0.5}})

    with pytest.raises(FailedPrecondition, match=r"answers 10 % .* --split VERSION=100"):
        house.service.delete_version(TITANIC.version("v2"))
    with pytest.raises(FailedPrecondition, match=r"copies of 50% .* --clear-shadow"):
        house.service.delete_version(TITANIC.version("v3"))

    own(house, "setTraffic", {"split": {"v1": 100}, "shadow": {}})
    house.service.delete_version(TITANIC.version("v2"))
    house.service.delete_version(TITANIC.version("v3"))


def test_the_last_version_may_go_and_another_begin(house: House) -> None:
    house.model()
    house.ready("v1")

    house.service.delete_version(TITANIC.version("v1"))
    house.service.gone(house.version("v1"))
    assert house.service.traffic() == {}

    house.ready("v2")
    assert house.service.traffic()[TITANIC].split == {"v2": 100}
    with pytest.raises(FailedPrecondition, match="no earlier version"):
        own(house, "rollBack", {})


def test_an_origin_without_a_container_is_needed(house: House) -> None:
    with pytest.raises(InvalidArgument, match="no deploymentUri"):
        made(house, {"predictionClass": "a.B"})


@pytest.mark.parametrize(
    ("told", "change", "why"),
    [
        ({"instance": "text"}, {"unknownFields": "IGNORE"}, "have no names"),
        ({"instance": "row", "named": False, "inputs": [{}]}, {"missingFields": "NULL"}, "have no names"),
        ({"instance": "any", "inputs": []}, {"unknownFields": "WARN"}, "does not tell its fields"),
        ({"instance": "tensor", "inputs": [{}]}, {"missingFields": "NULL"}, "cannot be null"),
    ],
)
def test_a_policy_that_would_keep_the_model_from_loading_again_is_refused(
    house: House, told: dict[str, object], change: dict[str, str], why: str
) -> None:
    house.model()
    house.asked("v1")
    house.service.ready(house.version("v1"), told)
    (name,) = change

    with pytest.raises(InvalidArgument, match=why):
        ask(house, "models.versions.patch", VERSION, {"mlengine": change}, updateMask=f"mlengine.{name}")

    assert house.version("v1").settings_generation == 1


def test_a_policy_that_the_model_can_follow_is_taken(house: House) -> None:
    house.model()
    house.asked("v1")
    house.service.ready(house.version("v1"), {"instance": "row", "named": True, "inputs": [{}]})

    body = {"mlengine": {"unknownFields": "IGNORE", "missingFields": "NULL", "nonFinite": "TEXT"}}
    mask = "mlengine.unknownFields,mlengine.missingFields,mlengine.nonFinite"
    ask(house, "models.versions.patch", VERSION, body, updateMask=mask)

    assert house.version("v1").settings_generation == 2
