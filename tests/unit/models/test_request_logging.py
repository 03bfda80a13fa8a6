"""What a patch says about where requests are logged, in Google's field and in ours."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mlengine.errors import InvalidArgument, PermissionDenied
from mlengine.models.methods import methods
from mlengine.models.version_wire import version_from_json
from mlengine.web.method import Call, Json
from tests.unit.models.house import TITANIC, House

TABLE = {"bigqueryTableName": "local.logs.titanic", "samplingPercentage": 0.25}


def patch(house: House, mask: str, body: Json, *, may_log: Any = lambda *_: None) -> Json:
    """The version after a patch."""
    rows = {row.id: row for row in methods(house.service, house.clock, may_log=may_log)}
    path = {"project": "local", "model": "titanic", "version": "v1"}
    call = Call(path=path, query={"updateMask": mask}, body=iter([json.dumps(body).encode()]))
    rows["ml.projects.models.versions.patch"].handler(call)
    shown = rows["ml.projects.models.versions.get"].handler(Call(path=path))
    assert isinstance(shown, dict)
    return shown


@pytest.fixture
def served(house: House) -> House:
    house.model()
    house.ready("v1")
    return house


@pytest.mark.parametrize("name", ["local.logs.titanic", "local:logs.titanic"])
def test_a_table_is_named_in_both_spellings(served: House, name: str) -> None:
    shown = patch(
        served, "requestLoggingConfig", {"requestLoggingConfig": TABLE | {"bigqueryTableName": name}}
    )

    assert shown["requestLoggingConfig"] == TABLE
    assert served.version("v1").request_logging == TABLE


def test_one_place_takes_that_of_the_other(served: House) -> None:
    patch(served, "requestLoggingConfig", {"requestLoggingConfig": TABLE})
    bucket = {"mlengine": {"requestLogging": {"destination": "gs://box/logs/"}}}

    shown = patch(served, "mlengine.requestLogging", bucket)
    assert "requestLoggingConfig" not in shown
    assert shown["mlengine"]["requestLogging"] == {"destination": "gs://box/logs", "samplingPercentage": 1.0}

    shown = patch(served, "requestLoggingConfig", {})
    assert "requestLogging" not in shown["mlengine"] and "requestLoggingConfig" not in shown
    assert served.version("v1").request_logging == {}


def test_other_patches_leave_it_as_it_is(served: House) -> None:
    patch(served, "requestLoggingConfig", {"requestLoggingConfig": TABLE})

    shown = patch(served, "description", {"description": "x", "requestLoggingConfig": {}})

    assert shown["requestLoggingConfig"] == TABLE


@pytest.mark.parametrize(
    ("mask", "body", "words"),
    [
        ("requestLoggingConfig", {"requestLoggingConfig": {"samplingPercentage": 0.5}}, "is missing"),
        ("requestLoggingConfig", {"requestLoggingConfig": TABLE | {"samplingPercentage": 50}}, "from 0 to 1"),
        (
            "requestLoggingConfig",
            {"requestLoggingConfig": TABLE | {"bigqueryTableName": "t"}},
            "no name of a",
        ),
        ("requestLoggingConfig", {"requestLoggingConfig": TABLE | {"colour": 1}}, "colour"),
        ("mlengine.requestLogging", {"mlengine": {"requestLogging": {"destination": "/tmp"}}}, "gs://"),
        ("mlengine.requestLogging", {"mlengine": {"requestLogging": {"samplingPercentage": 1}}}, "missing"),
        (
            "requestLoggingConfig,mlengine.requestLogging",
            {"requestLoggingConfig": TABLE, "mlengine": {"requestLogging": {"destination": "gs://box/x"}}},
            "one place",
        ),
    ],
)
def test_what_makes_no_place_is_refused(served: House, mask: str, body: Json, words: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        patch(served, mask, body)

    assert words in str(refused.value)
    assert served.version("v1").request_logging == {}


def test_who_may_not_write_there_cannot_have_requests_logged_there(served: House) -> None:
    asked: list[object] = []

    def refuse(_call: Call, place: object) -> None:
        asked.append(place)
        raise PermissionDenied("No.")

    with pytest.raises(PermissionDenied):
        patch(served, "requestLoggingConfig", {"requestLoggingConfig": TABLE}, may_log=refuse)

    assert asked == [TABLE]
    assert served.version("v1").request_logging == {}


def test_a_new_version_does_not_take_it_and_says_so() -> None:
    body: Json = {"name": "v1", "deploymentUri": "gs://box/sk"}
    warnings: list[str] = []

    version_from_json(TITANIC, body | {"requestLoggingConfig": TABLE}, warnings=warnings)
    assert "in a patch only" in warnings[0]
    with pytest.raises(InvalidArgument, match="patch only"):
        version_from_json(TITANIC, body | {"mlengine": {"requestLogging": {"destination": "gs://box/x"}}})
