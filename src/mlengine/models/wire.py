"""Models and versions as JSON, in and out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from mlengine.clock import to_text
from mlengine.errors import InvalidArgument
from mlengine.models.domain import Framework, Model, State, Version, VersionRequest
from mlengine.names import ModelName, ObjectUrl
from mlengine.web.fields import Fields, etag

_LATER_IN_VERSION = (
    "acceleratorConfig",
    "autoScaling",
    "container",
    "explanationConfig",
    "machineType",
    "manualScaling",
    "packageUris",
    "predictionClass",
    "requestLoggingConfig",
    "routes",
    "serviceAccount",
)
_OUTPUT_ONLY = ("createTime", "errorMessage", "isDefault", "lastUseTime", "state", "etag")


def model_from_json(project: str, body: Mapping[str, Any], now: datetime) -> Model:
    """A Model of a create request; `name` is a bare id.

    Raises:
        InvalidArgument: naming the field at fault.
    """
    fields = Fields(body, path="model")
    fields.ignore("etag", "defaultVersion")
    fields.absent("onlinePredictionLogging", "onlinePredictionConsoleLogging")
    regions = fields.texts("regions")
    if len(regions) > 1:
        raise fields.wrong("regions", "holds more than one region.")
    model = Model(
        name=ModelName.of(project, fields.text("name")),
        created=now,
        description=fields.text("description"),
        regions=regions or ("us-central1",),
        labels=fields.labels("labels"),
    )
    fields.done()
    return model


def version_from_json(parent: ModelName, body: Mapping[str, Any]) -> VersionRequest:
    """A Version of a create request; `name` is a bare id.

    Raises:
        InvalidArgument: naming the field at fault.
    """
    fields = Fields(body, path="version")
    fields.ignore(*_OUTPUT_ONLY)
    fields.absent(*_LATER_IN_VERSION)
    name = parent.version(fields.text("name"))
    framework = fields.choice("framework", ["FRAMEWORK_UNSPECIFIED", *Framework])
    origin = fields.text("deploymentUri")
    if not origin:
        raise InvalidArgument(
            "The version has no deploymentUri.",
            hint="Name the bucket folder of the model with --origin.",
            field="version.deployment_uri",
        )
    request = VersionRequest(
        name=name,
        origin=_folder(ObjectUrl.parse(origin, field="version.deployment_uri")),
        framework=None if framework in ("", "FRAMEWORK_UNSPECIFIED") else Framework(framework),
        runtime_version=fields.text("runtimeVersion"),
        python_version=fields.text("pythonVersion"),
        description=fields.text("description"),
        labels=fields.labels("labels"),
    )
    fields.done()
    return request


def model_to_json(model: Model, default: Version | None) -> dict[str, Any]:
    """A Model with its whole default version; what is unset is left out."""
    answer: dict[str, Any] = {"name": str(model.name), "regions": list(model.regions)}
    if model.description:
        answer["description"] = model.description
    if default:
        answer["defaultVersion"] = version_to_json(default, default=True)
    if model.labels:
        answer["labels"] = model.labels
    return answer | {"etag": etag(model.generation)}


def version_to_json(version: Version, *, default: bool) -> dict[str, Any]:
    """A Version; what is unset is left out."""
    optional = {
        "description": version.description,
        "errorMessage": version.error_message if version.state is State.FAILED else "",
        "isDefault": default,
        "labels": version.labels,
        "pythonVersion": version.python_version,
    }
    return {
        "name": str(version.name),
        "deploymentUri": str(version.origin),
        "framework": version.framework.value,
        # What really serves it, so that a later look explains itself.
        "runtimeVersion": version.runtime_version or version.runtime,
        "state": version.state.value,
        "createTime": to_text(version.created),
        "etag": etag(version.generation),
    } | {key: value for key, value in optional.items() if value}


def _folder(url: ObjectUrl) -> ObjectUrl:
    return ObjectUrl(url.bucket, url.object.rstrip("/"))
