"""`docs/reference/fields.md` tells what happens to each field, of every message there is, and it happens."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import googleapiclient
import pytest

from mlengine.errors import InvalidArgument
from mlengine.jobs import wire as jobs
from mlengine.models import version_wire
from mlengine.models import wire as models
from mlengine.names import ModelName
from mlengine.web.fields import etag

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "reference" / "fields.md").read_text()
ROWS = dict(re.findall(r"^\| `(\w+\.\w+)` \| ([\w ]+) \|", PAGE, re.MULTILINE))
SHIPPED = Path(googleapiclient.__file__).parent / "discovery_cache" / "documents" / "ml.v1.json"
SCHEMAS: dict[str, Any] = {
    re.sub(r"^Google[A-Z][a-z]*(MlV1)?(V1)?_+", "", name).replace("_", "."): schema
    for name, schema in json.loads(SHIPPED.read_text())["schemas"].items()
}
KINDS = ("master", "worker", "parameterServer", "evaluator")
T4 = {"type": "NVIDIA_TESLA_T4", "count": "1"}
# A job with replicas of every kind.
CLUSTER = {
    "scaleTier": "CUSTOM",
    **{f"{kind}Type": "n1-standard-8" for kind in KINDS},
    **{f"{kind}Count": "1" for kind in KINDS[1:]},
}
OWN_SERVER = {"command": ["python3", "/srv/own.py"]}
# What must be there for a field to have a meaning.
TOGETHER: dict[str, dict[str, Any]] = {"Version.routes": {"container": OWN_SERVER}}
# What a field is given when a value of its type would not do.
VALUES: dict[str, Any] = {
    "Job.etag": etag(3),
    "Job.jobId": "other",
    "Model.etag": etag(3),
    "Model.name": "other",
    "Version.etag": etag(3),
    "Version.deploymentUri": "gs://box/other",
    "Version.framework": "XGBOOST",
    "Version.machineType": "n1-standard-4",
    "Version.name": "other",
    "Version.autoScaling": {"minNodes": 1},
    "Version.container": OWN_SERVER,
    "Version.explanationConfig": {"sampledShapleyAttribution": {"numPaths": 3}},
    "Version.manualScaling": {"nodes": 2},
    "Version.packageUris": ["gs://box/own.tar.gz"],
    "Version.predictionClass": "own.Predictor",
    "Version.routes": {"predict": "/p"},
    "Scheduling.maxRunningTime": "7200s",
    "Scheduling.maxWaitTime": "7200s",
    **{f"TrainingInput.{kind}Config": {"acceleratorConfig": T4} for kind in KINDS},
    **{f"TrainingInput.{kind}Type": "n1-standard-16" for kind in KINDS},
    "TrainingInput.jobDir": "gs://box/out",
    "TrainingInput.packageUris": ["gs://box/other.tar.gz"],
    "TrainingInput.scaleTier": "BASIC_GPU",
    "TrainingInput.scheduling": {"maxRunningTime": "60s"},
}


def base() -> dict[str, dict[str, Any]]:
    training = {"pythonModule": "t.task", "packageUris": ["gs://box/t.tar.gz"], "region": "here", **CLUSTER}
    return {
        "Job": {"jobId": "j", "trainingInput": training},
        "TrainingInput": training,
        "Scheduling": {"maxRunningTime": "60s"},
        "Model": {"name": "m"},
        "Version": {"name": "v", "deploymentUri": "gs://box/m"},
    }


def read(message: str, body: dict[str, Any]) -> tuple[object, list[str]]:
    """What the server understands of a body, and what it warns of."""
    warnings: list[str] = []
    if message == "Model":
        return models.model_from_json("local", body, datetime(2026, 11, 2, tzinfo=UTC)), warnings
    if message == "Version":
        return version_wire.version_from_json(ModelName("local", "m"), body, warnings=warnings), warnings
    if message == "Scheduling":
        message, body = "TrainingInput", base()["TrainingInput"] | {"scheduling": body}
    if message == "TrainingInput":
        if body.get("scaleTier") != "CUSTOM":
            body = {name: value for name, value in body.items() if name not in CLUSTER or name == "scaleTier"}
        body = base()["Job"] | {"trainingInput": body}
    return jobs.request_from_json("local", body, warnings=warnings), warnings


def value_of(field: str) -> Any:
    """Some value of a field that is no default."""
    if field in VALUES:
        return VALUES[field]
    message, _, name = field.partition(".")
    kind = SCHEMAS[message]["properties"][name]
    if "additionalProperties" in kind:
        return {"a": "b"}
    if kind.get("type") == "array":
        return ["x"]
    return {"boolean": True, "integer": 3, "string": "3" if "int64" in kind.get("format", "") else "x"}.get(
        kind.get("type", ""), {"x": "y"}
    )


def test_the_page_speaks_of_every_field_of_what_can_be_sent() -> None:
    listed = {message for message, _, _ in (field.partition(".") for field in ROWS)}

    assert listed == set(base())
    assert set(ROWS) == {f"{message}.{name}" for message in listed for name in SCHEMAS[message]["properties"]}


def test_the_page_names_every_message_of_the_api_and_no_other() -> None:
    prose = re.sub(r"^\|.*$", "", PAGE[PAGE.index("## Models and versions") :], flags=re.MULTILINE)
    prose = prose[: prose.index("## Query parameters")]
    named = re.findall(r"`([A-Z][\w.]+)`", prose)

    assert len(named) == len(set(named))
    assert set(named) | set(base()) == set(SCHEMAS)


@pytest.mark.parametrize("field", sorted(name for name in ROWS if name != "Job.trainingInput"))
def test_what_the_page_says_of_a_field_happens(field: str) -> None:
    message, _, name = field.partition(".")
    body = base()[message] | TOGETHER.get(field, {})
    without, none = read(message, body)
    assert none == []

    try:
        found, warnings = read(message, body | {name: value_of(field)})
    except InvalidArgument as refused:
        snake = re.sub(r"([A-Z])", lambda match: "_" + match[1].lower(), name)
        assert refused.field.endswith(f".{snake}")
        assert ROWS[field] == "refused"
        return

    if ROWS[field] in ("kept", "mapped"):
        assert found != without
    else:
        assert ROWS[field] in ("output", "checked", "no effect")
        assert found == without
    assert len(warnings) == (ROWS[field] == "no effect" or field == "Version.machineType")


@pytest.mark.parametrize("field", sorted(name for name, fate in ROWS.items() if fate == "refused"))
def test_a_default_value_of_what_is_refused_is_no_demand(field: str) -> None:
    message, _, name = field.partition(".")
    body = base()[message]

    for nothing in (None, False, 0, "0", "", [], {}):
        assert read(message, body | {name: nothing}) == read(message, body)


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ("Job", "explanationInput"),
        ("TrainingInput", "nasJobSpec"),
        ("Scheduling", "strategy"),
        ("Version", "imageUri"),
        ("Version", "modelClass"),
        ("Model", "descripton"),
    ],
)
def test_what_is_on_no_list_is_refused_by_name(message: str, field: str) -> None:
    with pytest.raises(InvalidArgument, match=f"Unknown field '{field}'"):
        read(message, base()[message] | {field: "x"})
