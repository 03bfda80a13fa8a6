"""Models and versions as JSON, in and out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from mlengine.clock import to_text
from mlengine.errors import InvalidArgument, nearest
from mlengine.models.domain import (
    MACHINE_TYPES,
    Framework,
    Model,
    ModelChange,
    State,
    Version,
    VersionChange,
    VersionRequest,
)
from mlengine.names import ModelName, ObjectUrl
from mlengine.web.conditions import Kind
from mlengine.web.fields import Fields, etag, stamp

_LATER_IN_VERSION = (
    "acceleratorConfig",
    "autoScaling",
    "container",
    "explanationConfig",
    "manualScaling",
    "packageUris",
    "predictionClass",
    "requestLoggingConfig",
    "routes",
    "serviceAccount",
)
_OUTPUT_ONLY = (
    "createTime",
    "errorMessage",
    "etag",
    "isDefault",
    "lastMigrationModelId",
    "lastMigrationTime",
    "lastUseTime",
    "state",
)
_ONE_WORKER = "every version is served by one worker of this machine. Leave it out."
# What filters of the lists may ask for.
VERSIONS_FILTERED: Mapping[str, Kind] = {
    "name": "name",
    "createTime": "time",
    "deploymentUri": "text",
    "description": "text",
    "errorMessage": "text",
    "framework": tuple(Framework),
    "isDefault": "flag",
    "labels": "map",
    "machineType": "text",
    "pythonVersion": "text",
    "runtimeVersion": "text",
    "state": tuple(State),
}
MODELS_FILTERED: Mapping[str, Kind] = {
    "name": "name",
    "description": "text",
    "labels": "map",
    "defaultVersion.name": "name",
    "defaultVersion.framework": tuple(Framework),
    "defaultVersion.runtimeVersion": "text",
    "defaultVersion.state": tuple(State),
    "defaultVersion.createTime": "time",
    "defaultVersion.labels": "map",
}
MODEL_PATCHED = ("description", "defaultVersion.name", "labels", "etag")
MODEL_KEPT = {
    "name": "a name is for ever. Make another model.",
    "regions": "everything runs on this machine.",
    "onlinePredictionLogging": "it is not available in this version of mlengine.",
    "onlinePredictionConsoleLogging": "it is not available in this version of mlengine.",
}
VERSION_PATCHED = ("description", "labels", "etag")
VERSION_KEPT = {
    "autoScaling": _ONE_WORKER,
    "manualScaling": _ONE_WORKER,
    "requestLoggingConfig": "requests are not logged in this version of mlengine. Leave it out.",
    **dict.fromkeys(
        ("name", "deploymentUri", "runtimeVersion", "pythonVersion", "framework", "machineType"),
        "what is served does not change. Create another version.",
    ),
}


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


def model_change_from_json(name: ModelName, body: Mapping[str, Any], mask: frozenset[str]) -> ModelChange:
    """What a patch asks of model `name`; fields outside of `mask` may come along.

    Raises:
        InvalidArgument: naming the field at fault.
    """
    fields = Fields(body, path="model")
    fields.ignore("name", "regions", "onlinePredictionLogging", "onlinePredictionConsoleLogging")
    known = fields.etag()
    description = fields.text("description")
    labels = fields.labels("labels")
    default = ""
    inner = fields.inner("defaultVersion")
    fields.done()
    if "defaultVersion.name" in mask:
        default = _default_id(name, inner)
    return ModelChange(
        description=description if "description" in mask else None,
        labels=labels if "labels" in mask else None,
        default_version=default or None,
        stamp=known,
    )


def _default_id(name: ModelName, default: Fields | None) -> str:
    text = default.text("name") if default else ""
    if not text:
        raise InvalidArgument(
            "The updateMask has defaultVersion.name, but the model names no version.",
            hint='Send {"defaultVersion": {"name": "VERSION"}}.',
            field="model.default_version.name",
        )
    parent, _, version_id = text.rpartition("/versions/")
    if parent not in ("", str(name)):
        raise InvalidArgument(
            f"'{text[:200]}' is no version of this model.",
            hint=f"Name one of {name}.",
            field="model.default_version.name",
        )
    return name.version(version_id).version


def version_change_from_json(body: Mapping[str, Any], mask: frozenset[str]) -> VersionChange:
    """What a patch asks of a version; fields outside of `mask` may come along.

    Raises:
        InvalidArgument: naming the field at fault.
    """
    fields = Fields(body, path="version")
    fields.ignore(*(name for name in _OUTPUT_ONLY if name != "etag"), *_LATER_IN_VERSION)
    fields.ignore("name", "deploymentUri", "runtimeVersion", "pythonVersion", "framework", "machineType")
    known = fields.etag()
    description = fields.text("description")
    labels = fields.labels("labels")
    fields.done()
    return VersionChange(
        description=description if "description" in mask else None,
        labels=labels if "labels" in mask else None,
        stamp=known,
    )


def version_from_json(
    parent: ModelName, body: Mapping[str, Any], *, warnings: list[str] | None = None
) -> VersionRequest:
    """A Version of a create request; `name` is a bare id.

    Args:
        warnings: Gets what the answer should say about fields without effect.

    Raises:
        InvalidArgument: naming the field at fault.
    """
    fields = Fields(body, path="version", warnings=warnings)
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
        machine_type=_machine_type(fields),
        description=fields.text("description"),
        labels=fields.labels("labels"),
    )
    fields.done()
    return request


def _machine_type(fields: Fields) -> str:
    value = fields.text("machineType")
    if value and value not in MACHINE_TYPES:
        raise fields.wrong(
            "machineType", f"'{value[:100]}' is no machine type.", hint=nearest(value[:100], MACHINE_TYPES)
        )
    if value:
        fields.warn("machineType", f"{value} is mapped to this machine")
    return value


def model_to_json(model: Model, default: Version | None) -> dict[str, Any]:
    """A Model with its whole default version; what is unset is left out."""
    answer: dict[str, Any] = {"name": str(model.name), "regions": list(model.regions)}
    if model.description:
        answer["description"] = model.description
    if default:
        answer["defaultVersion"] = version_to_json(default, default=True)
    if model.labels:
        answer["labels"] = model.labels
    return answer | {"etag": etag(stamp(model.generation, model.created))}


def version_to_json(version: Version, *, default: bool) -> dict[str, Any]:
    """A Version; what is unset is left out."""
    optional = {
        "description": version.description,
        "errorMessage": version.error_message if version.state is State.FAILED else "",
        "isDefault": default,
        "labels": version.labels,
        "machineType": version.machine_type,
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
        "etag": etag(stamp(version.generation, version.created)),
    } | {key: value for key, value in optional.items() if value}


def _folder(url: ObjectUrl) -> ObjectUrl:
    return ObjectUrl(url.bucket, url.object.rstrip("/"))
