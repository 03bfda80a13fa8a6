"""explanationConfig of a Version, in and out."""

from __future__ import annotations

from typing import Any

import pytest

from mlengine.errors import InvalidArgument
from mlengine.models.options import options_of
from mlengine.models.version_wire import version_from_json, version_to_json
from tests.unit.models.house import TITANIC, House

BODY = {"name": "v1", "deploymentUri": "gs://box/m"}


def read(config: Any, **more: Any) -> dict[str, Any]:
    return version_from_json(TITANIC, BODY | more | {"explanationConfig": config}).explanation


@pytest.mark.parametrize(
    ("config", "kept"),
    [
        ({"sampledShapleyAttribution": {"numPaths": 7}}, {"sampledShapleyAttribution": {"numPaths": 7}}),
        ({"sampledShapleyAttribution": {}}, {"sampledShapleyAttribution": {"numPaths": 50}}),
        ({"sampled_shapley_attribution": {"num_paths": 7}}, {"sampledShapleyAttribution": {"numPaths": 7}}),
        (
            {"integratedGradientsAttribution": {"numIntegralSteps": 30}},
            {"integratedGradientsAttribution": {"numIntegralSteps": 30}},
        ),
    ],
)
def test_a_method_is_kept_in_full(config: dict[str, Any], kept: dict[str, Any]) -> None:
    assert read(config) == kept


@pytest.mark.parametrize(
    ("config", "words", "field"),
    [
        ({"xraiAttribution": {"numIntegralSteps": 5}}, "xraiAttribution", "xrai_attribution"),
        (
            {"sampledShapleyAttribution": {}, "integratedGradientsAttribution": {}},
            "several methods",
            "explanation_config",
        ),
        ({"sampledShapleyAttribution": {"numPaths": 0}}, "must be 1 to 10000", "num_paths"),
        ({"sampledShapleyAttribution": {"numPaths": 10_001}}, "must be 1 to 10000", "num_paths"),
        ({"sampledShapleyAttribution": {"numSteps": 3}}, "Unknown field 'numSteps'", "num_steps"),
    ],
)
def test_what_cannot_be_obeyed_is_refused_by_name(config: dict[str, Any], words: str, field: str) -> None:
    with pytest.raises(InvalidArgument, match=words) as refused:
        read(config)

    assert refused.value.field.endswith(field)


def test_a_container_explains_itself() -> None:
    with pytest.raises(InvalidArgument, match="explanationConfig cannot go together with container"):
        read({"sampledShapleyAttribution": {}}, container={"command": ["serve"]})


def test_the_configuration_is_stored_shown_and_given_to_the_workers(house: House) -> None:
    config = {"sampledShapleyAttribution": {"numPaths": 9}}
    house.model()
    house.asked("v1", explanation=config)

    version = house.version("v1")

    assert version_to_json(version, default=True)["explanationConfig"] == config
    assert options_of(version)["explanation"] == config
