"""Versions as JSON, in and out. What a version says about its own code is read by `code_wire`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from mlengine.clock import to_text
from mlengine.errors import InvalidArgument, nearest
from mlengine.models import request_logging
from mlengine.models.code_wire import code_to_json, container, no_container_with, packages, prediction_class
from mlengine.models.domain import (
    GOOGLES,
    MACHINE_TYPES,
    OWN_CODE,
    Framework,
    MissingFields,
    NonFinite,
    Scaling,
    Settings,
    Stage,
    Standing,
    State,
    UnknownFields,
    Version,
    VersionChange,
    VersionRequest,
)
from mlengine.models.explanation_wire import explanation
from mlengine.names import ModelName, ObjectUrl
from mlengine.web.conditions import Kind
from mlengine.web.fields import Fields, etag, stamp

FRAMEWORKS = tuple(framework for framework in Framework if framework not in OWN_CODE)
# What filters of the list may ask for.
VERSIONS_FILTERED: Mapping[str, Kind] = {
    "name": "name",
    "createTime": "time",
    "deploymentUri": "text",
    "description": "text",
    "errorMessage": "text",
    "framework": FRAMEWORKS,
    "isDefault": "flag",
    "labels": "map",
    "machineType": "text",
    "predictionClass": "text",
    "pythonVersion": "text",
    "runtimeVersion": "text",
    "state": tuple(State),
}
# Fields of the own block -> their names in `Settings`.
_SETTINGS = {
    "maxBatchSize": "max_batch_size",
    "maxLatencyMs": "max_latency_ms",
    "unknownFields": "unknown_fields",
    "missingFields": "missing_fields",
    "nonFinite": "non_finite",
}
_CHOICES = {"unknownFields": UnknownFields, "missingFields": MissingFields, "nonFinite": NonFinite}
_LARGEST_BATCH, _LONGEST_WAIT_MS = 65_536, 60_000
_TOLD = ("framework", "schema", "acceleration", "nodes", "asleep", "stage")
VERSION_PATCHED = (
    "description",
    "labels",
    "etag",
    "autoScaling",
    "autoScaling.minNodes",
    "autoScaling.maxNodes",
    "manualScaling",
    "manualScaling.nodes",
    *(f"mlengine.{name}" for name in _SETTINGS),
    request_logging.TABLE,
    request_logging.BUCKET,
)
_FIXED = "what is served does not change. Create another version."
VERSION_KEPT = {
    "autoScaling.metrics": "processes are added when requests wait, and for no other reason. Leave it out.",
    "mlengine.accelerate": _FIXED,
    **{f"mlengine.{name}": "the server tells it." for name in _TOLD},
    **dict.fromkeys(
        (
            *("name", "deploymentUri", "runtimeVersion", "pythonVersion", "framework", "machineType"),
            *("acceleratorConfig", "container", "explanationConfig", "packageUris", "predictionClass"),
            *("routes", "serviceAccount"),
        ),
        _FIXED,
    ),
}
_OUTPUT_ONLY = (
    *("createTime", "errorMessage", "etag", "isDefault", "lastMigrationModelId", "lastMigrationTime"),
    *("lastUseTime", "state"),
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
    fields.unused("requestLoggingConfig", "has an effect in a patch only, as in Google's API")
    fields.absent("acceleratorConfig", hint="Versions are served by processors here. Leave it out.")
    fields.absent("serviceAccount", hint="A model's code has no account of its own here. Leave it out.")
    name = parent.version(fields.text("name"))
    own = container(fields)
    class_ = prediction_class(fields)
    code = packages(fields)
    framework = fields.choice("framework", ["FRAMEWORK_UNSPECIFIED", *FRAMEWORKS])
    settings, accelerate, bucket = _settings_of(fields)
    if bucket:
        hint = "Create the version, then: versions update --request-log gs://BUCKET/FOLDER"
        raise fields.wrong("mlengine.requestLogging", "is set by a patch only.", hint=hint)
    request = VersionRequest(
        name=name,
        origin=_origin(fields, needed=own is None),
        framework=None if framework in ("", "FRAMEWORK_UNSPECIFIED") else Framework(framework),
        runtime_version=fields.text("runtimeVersion"),
        python_version=fields.text("pythonVersion"),
        machine_type=_machine_type(fields),
        description=fields.text("description"),
        labels=fields.labels("labels"),
        scaling=_scaling(fields),
        settings=settings,
        accelerate=True if accelerate is None else accelerate,
        packages=code,
        prediction_class=class_,
        container=own,
        explanation=explanation(fields),
    )
    fields.done()
    if request.container:
        no_container_with(fields, request)
    elif class_ and request.framework:
        raise fields.wrong("framework", "cannot go together with predictionClass.", hint="Leave it out.")
    if accelerate and (own or class_):
        raise InvalidArgument(
            "mlengine.accelerate is true, but only models of a framework can be accelerated.",
            hint="Leave it out.",
            field="version.mlengine.accelerate",
        )
    return request


def version_change_from_json(body: Mapping[str, Any], mask: frozenset[str]) -> VersionChange:
    """What a patch asks of a version; fields outside of `mask` may come along.

    Raises:
        InvalidArgument: naming the field at fault.
    """
    fields = Fields(body, path="version")
    fields.ignore(*(name for name in _OUTPUT_ONLY if name != "etag"))
    fields.ignore(*(name for name in VERSION_KEPT if "." not in name))
    known = fields.etag()
    description = fields.text("description")
    labels = fields.labels("labels")
    scaling = _scaling(fields)
    settings, _, bucket = _settings_of(fields)
    table = fields.inner("requestLoggingConfig")
    fields.done()
    return VersionChange(
        description=description if "description" in mask else None,
        labels=labels if "labels" in mask else None,
        scaling=_masked(scaling, mask),
        settings={
            inner: getattr(settings, inner) for name, inner in _SETTINGS.items() if f"mlengine.{name}" in mask
        },
        request_logging=request_logging.change(table, bucket, mask),
        stamp=known,
    )


def _masked(scaling: Scaling, mask: frozenset[str]) -> Scaling | None:
    """The part of `scaling` that `mask` names; None for nothing of it."""
    named = {path.partition(".")[0] for path in mask} & {"autoScaling", "manualScaling"}
    if not named:
        return None
    if len(named) == 2:
        raise InvalidArgument(
            "The updateMask names autoScaling and manualScaling; a version has one of them.",
            field="update_mask",
        )
    if "manualScaling" in named:
        if scaling.nodes is None:
            raise _unsent("manualScaling.nodes", '{"manualScaling": {"nodes": 2}}')
        return Scaling(nodes=scaling.nodes)
    whole = "autoScaling" in mask
    fewest = scaling.min_nodes if whole or "autoScaling.minNodes" in mask else None
    most = scaling.max_nodes if whole or "autoScaling.maxNodes" in mask else None
    # A default value may travel as absence: minNodes of 0 is what the client meant.
    if not whole and "autoScaling.minNodes" in mask and fewest is None:
        fewest = 0
    if not whole and "autoScaling.maxNodes" in mask and most is None:
        raise _unsent("autoScaling.maxNodes", '{"autoScaling": {"maxNodes": 2}}')
    return Scaling(automatic=True, min_nodes=fewest, max_nodes=most)


def _unsent(name: str, example: str) -> InvalidArgument:
    return InvalidArgument(
        f"The updateMask has {name}, but the version does not say it.",
        hint=f"Send {example}.",
        field="update_mask",
    )


def _scaling(fields: Fields) -> Scaling:
    automatic, manual = fields.inner("autoScaling"), fields.inner("manualScaling")
    if automatic and manual:
        raise fields.wrong("manualScaling", "cannot go together with autoScaling.", hint="Keep one of them.")
    if manual:
        nodes = manual.number("nodes")
        manual.done()
        return Scaling(nodes=nodes)
    if not automatic:
        return Scaling()
    automatic.absent(
        "metrics", hint="Processes are added when requests wait, and for no other reason. Leave it out."
    )
    fewest, most = automatic.number("minNodes", -1), automatic.number("maxNodes", -1)
    automatic.done()
    return Scaling(
        automatic=True,
        min_nodes=None if fewest == -1 else fewest,
        max_nodes=None if most == -1 else most,
    )


def _settings_of(fields: Fields) -> tuple[Settings, bool | None, Fields | None]:
    """The block of our own: what the workers go by, whether to accelerate, and where requests are logged.

    The last two are None where it is not said.
    """
    block = fields.inner("mlengine")
    if block is None:
        return Settings(), None, None
    block.ignore(*_TOLD)
    usual = Settings()
    settings = Settings(
        max_batch_size=_between(block, "maxBatchSize", usual.max_batch_size, 1, _LARGEST_BATCH),
        max_latency_ms=_between(block, "maxLatencyMs", usual.max_latency_ms, 0, _LONGEST_WAIT_MS),
        unknown_fields=UnknownFields(block.choice("unknownFields", UnknownFields, usual.unknown_fields)),
        missing_fields=MissingFields(block.choice("missingFields", MissingFields, usual.missing_fields)),
        non_finite=NonFinite(block.choice("nonFinite", NonFinite, usual.non_finite)),
    )
    accelerate = block.flag("accelerate") if block.has("accelerate") else None
    logging = block.inner("requestLogging")
    block.done()
    return settings, accelerate, logging


def _between(fields: Fields, name: str, usual: int, least: int, most: int) -> int:
    value = fields.number(name, usual)
    if not least <= value <= most:
        raise fields.wrong(name, f"is {value}; it must be {least} to {most}.")
    return value


def _origin(fields: Fields, *, needed: bool) -> ObjectUrl | None:
    origin = fields.text("deploymentUri")
    if origin:
        url = ObjectUrl.parse(origin, field="version.deployment_uri")
        return ObjectUrl(url.bucket, url.object.rstrip("/"))
    if needed:
        raise InvalidArgument(
            "The version has no deploymentUri.",
            hint="Name the bucket folder of the model with --origin.",
            field="version.deployment_uri",
        )
    return None


def _machine_type(fields: Fields) -> str:
    value = fields.text("machineType")
    if value and value not in MACHINE_TYPES:
        raise fields.wrong(
            "machineType", f"'{value[:100]}' is no machine type.", hint=nearest(value[:100], MACHINE_TYPES)
        )
    if value:
        fields.warn("machineType", f"{value} is mapped to this machine")
    return value


def version_to_json(
    version: Version,
    *,
    default: bool,
    stage: Stage | None = None,
    standing: Standing | None = None,
    whole: bool = False,
    last_use: datetime | None = None,
) -> dict[str, Any]:
    """A Version; what is unset is left out.

    Args:
        whole: With its schema, which may be long.
    """
    optional = {
        "description": version.description,
        "deploymentUri": str(version.origin or ""),
        "errorMessage": version.error_message if version.state is State.FAILED else "",
        "explanationConfig": version.explanation,
        # The API's enumeration knows Google's only; the block of our own says all of them.
        "framework": version.framework.value if version.framework in GOOGLES else "",
        "isDefault": default,
        "labels": version.labels,
        "lastUseTime": to_text(last_use) if last_use else "",
        "machineType": version.machine_type,
        "pythonVersion": version.python_version,
        "requestLoggingConfig": request_logging.to_json(version)[0],
        **_scaling_to_json(version),
        **code_to_json(version),
    }
    return {
        "name": str(version.name),
        # What really serves it, so that a later look explains itself.
        "runtimeVersion": version.runtime_version or version.runtime,
        "state": version.state.value,
        "createTime": to_text(version.created),
        "etag": etag(stamp(version.generation, version.created)),
        "mlengine": _block(version, stage, standing, whole=whole),
    } | {key: value for key, value in optional.items() if value}


def _scaling_to_json(version: Version) -> dict[str, Any]:
    if version.nodes:
        return {"manualScaling": {"nodes": version.nodes}}
    if not version.scales:
        return {}
    bounds = {"minNodes": version.min_nodes, "maxNodes": version.max_nodes}
    return {"autoScaling": {name: nodes for name, nodes in bounds.items() if nodes}}


def _block(
    version: Version, stage: Stage | None, standing: Standing | None, *, whole: bool
) -> dict[str, Any]:
    """What this server tells beyond Google; its numbers and words are there even where they are the usual."""
    block: dict[str, Any] = {name: getattr(version.settings, inner) for name, inner in _SETTINGS.items()}
    block |= {"accelerate": version.accelerate, "framework": version.framework.value}
    if bucket := request_logging.to_json(version)[1]:
        block["requestLogging"] = bucket
    if version.acceleration:
        block["acceleration"] = version.acceleration
    if whole and version.schema:
        block["schema"] = version.schema
    if stage and version.state is State.CREATING:
        block["stage"] = stage.value
    if standing and version.state is State.READY:
        block["nodes"] = {"wanted": standing.wanted, "serving": standing.serving}
        block["asleep"] = standing.asleep
    return block
