from __future__ import annotations

from typing import Any

import pytest

from mlengine.errors import InvalidArgument
from mlengine.models.domain import Framework, State
from mlengine.models.version_wire import version_from_json, version_to_json
from mlengine.models.wire import model_from_json, model_to_json
from mlengine.names import ModelName, ObjectUrl
from tests.conftest import HandClock
from tests.unit.models.test_domain import version

PARENT = ModelName("local", "titanic")
OWN_SERVER: dict[str, Any] = {"command": ["python3", "/srv/own.py"]}
ORIGIN = {"deploymentUri": "gs://box/export/"}


def test_a_model_is_read_in_both_spellings(clock: HandClock) -> None:
    body = {
        "name": "titanic",
        "description": "Who survived",
        "regions": ["asia-northeast3"],
        "labels": {"a": "b"},
    }

    model = model_from_json("local", body, clock())

    assert (model.name, model.description, model.regions) == (PARENT, "Who survived", ("asia-northeast3",))
    assert (model.labels, model.created) == ({"a": "b"}, clock())


def test_a_model_says_only_what_is_set(clock: HandClock) -> None:
    answer = model_to_json(model_from_json("local", {"name": "titanic"}, clock()), None)

    assert set(answer) == {"name", "regions", "etag"}
    assert answer["name"] == "projects/local/models/titanic"


def test_a_model_that_was_read_can_be_sent_again(clock: HandClock) -> None:
    first = model_from_json("local", {"name": "titanic", "labels": {"a": "b"}}, clock())

    again = model_from_json("local", model_to_json(first, version()) | {"name": "titanic"}, clock())

    assert again == first


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "model.name"),
        ({"name": "projects/local/models/titanic"}, "model.name"),
        ({"name": "a", "regions": ["x", "y"]}, "model.regions"),
        ({"name": "a", "onlinePredictionLogging": True}, "model.online_prediction_logging"),
        ({"name": "a", "descripton": "x"}, "model.descripton"),
    ],
)
def test_a_model_that_cannot_be_is_refused_by_its_field(
    body: dict[str, Any], field: str, clock: HandClock
) -> None:
    with pytest.raises(InvalidArgument) as refused:
        model_from_json("local", body, clock())

    assert refused.value.field == field


def test_a_version_is_read_in_both_spellings() -> None:
    body = {
        "name": "v1",
        "deployment_uri": "gs://box/export/",
        "framework": "SCIKIT_LEARN",
        "runtimeVersion": "1.15",
        "python_version": "3.7",
        "isDefault": True,
        "manualScaling": None,
    }

    request = version_from_json(PARENT, body)

    assert request.name == PARENT.version("v1")
    assert request.origin == ObjectUrl("box", "export")
    assert (request.framework, request.runtime_version, request.python_version) == (
        Framework.SCIKIT_LEARN,
        "1.15",
        "3.7",
    )


@pytest.mark.parametrize("framework", [None, "", "FRAMEWORK_UNSPECIFIED"])
def test_without_a_framework_the_files_decide(framework: str | None) -> None:
    assert version_from_json(PARENT, ORIGIN | {"name": "v1", "framework": framework}).framework is None


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "v1"}, "version.deployment_uri"),
        ({"name": "v1", "deploymentUri": "/home/me/export"}, "version.deployment_uri"),
        (ORIGIN, "version.name"),
        (ORIGIN | {"name": "v-1"}, "version.name"),
        (ORIGIN | {"name": "v1", "framework": "CUSTOM"}, "version.framework"),
        (ORIGIN | {"name": "v1", "machineType": "n9-standard-4"}, "version.machine_type"),
        (ORIGIN | {"name": "v1", "autoScaling": {"metrics": [{}]}}, "version.auto_scaling.metrics"),
        (ORIGIN | {"name": "v1", "autoScaling": {}, "manualScaling": {"nodes": 1}}, "version.manual_scaling"),
        (ORIGIN | {"name": "v1", "mlengine": {"maxBatchSize": 0}}, "version.mlengine.max_batch_size"),
        (ORIGIN | {"name": "v1", "mlengine": {"nonFinite": "NAN"}}, "version.mlengine.non_finite"),
        (ORIGIN | {"name": "v1", "mlengine": {"batchSize": 2}}, "version.mlengine.batch_size"),
        (ORIGIN | {"name": "v1", "predictionClass": "Predictor"}, "version.prediction_class"),
        (ORIGIN | {"name": "v1", "predictionClass": "a.B", "framework": "XGBOOST"}, "version.framework"),
        (ORIGIN | {"name": "v1", "packageUris": ["gs://box/a.py"]}, "version.package_uris[0]"),
        (ORIGIN | {"name": "v1", "routes": {"predict": "/p"}}, "version.routes"),
        ({"name": "v1", "container": {"image": "gcr.io/a/b"}}, "version.container.command"),
        ({"name": "v1", "container": OWN_SERVER | {"args": "x"}}, "version.container.args"),
        (
            {"name": "v1", "container": OWN_SERVER | {"env": [{"name": "AIP_MODE"}]}},
            "version.container.env[0].name",
        ),
        (
            {"name": "v1", "container": OWN_SERVER | {"ports": [{"containerPort": 65536}]}},
            "version.container.ports[0].container_port",
        ),
        ({"name": "v1", "container": OWN_SERVER, "runtimeVersion": "2.11"}, "version.runtime_version"),
        ({"name": "v1", "container": OWN_SERVER, "routes": {"health": "h"}}, "version.routes.health"),
        (
            {"name": "v1", "container": OWN_SERVER, "mlengine": {"accelerate": True}},
            "version.mlengine.accelerate",
        ),
        (ORIGIN | {"name": "v1", "frameWork": "XGBOOST"}, "version.frame_work"),
    ],
)
def test_a_version_that_cannot_be_is_refused_by_its_field(body: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        version_from_json(PARENT, body)

    assert refused.value.field == field


@pytest.mark.parametrize("state", State)
def test_only_a_failed_version_has_an_error_message(state: State) -> None:
    answer = version_to_json(
        version(state).move(State.FAILED, error_message="Bad.")
        if state is State.CREATING
        else version(state),
        default=False,
    )

    assert ("errorMessage" in answer) == (state is State.CREATING)
    assert "isDefault" not in answer
