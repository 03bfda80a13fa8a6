"""Models as JSON, in and out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from mlengine.clock import to_text
from mlengine.errors import InvalidArgument
from mlengine.models.domain import Framework, Model, ModelChange, State, Version
from mlengine.models.version_wire import version_to_json
from mlengine.names import ModelName
from mlengine.web.conditions import Kind
from mlengine.web.fields import Fields, etag, stamp

# What filters of the lists may ask for.
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


def model_from_json(project: str, body: Mapping[str, Any], now: datetime) -> Model:
    """A Model of a create request; `name` is a bare id.

    Raises:
        InvalidArgument: naming the field at fault.
    """
    fields = Fields(body, path="model")
    fields.ignore("etag", "defaultVersion", "mlengine")
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
    fields.ignore("name", "regions", "onlinePredictionLogging", "onlinePredictionConsoleLogging", "mlengine")
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


def traffic_from_json(body: Mapping[str, Any]) -> tuple[dict[str, int], dict[str, float] | None]:
    """What `:setTraffic` asks for: split and shadow, None for a shadow that stays.

    Raises:
        InvalidArgument: naming the field at fault, or nothing is asked for.
    """
    fields = Fields(body, path="")
    split, shadow = fields.numbers("split"), fields.numbers("shadow")
    fields.done()
    if split is None and shadow is None:
        raise InvalidArgument(
            "Neither split nor shadow is given.", hint='Send {"split": {"v1": 90, "v2": 10}}.', field="split"
        )
    for name, percent in (split or {}).items():
        if percent != int(percent):
            raise fields.wrong(
                "split", f"gives version '{name[:100]}' {percent} %; shares are whole numbers."
            )
    return {name: int(percent) for name, percent in (split or {}).items()}, shadow


def model_to_json(model: Model, default: Version | None) -> dict[str, Any]:
    """A Model with its whole default version; what is unset is left out."""
    answer: dict[str, Any] = {"name": str(model.name), "regions": list(model.regions)}
    if model.description:
        answer["description"] = model.description
    if default:
        answer["defaultVersion"] = version_to_json(default, default=True)
    if model.labels:
        answer["labels"] = model.labels
    if model.default_version:
        answer["mlengine"] = _rollout(model)
    return answer | {"etag": etag(stamp(model.generation, model.created))}


def _rollout(model: Model) -> dict[str, Any]:
    """Which versions answer now, which did before, and which a roll back returns to."""
    now = (model.default_version, model.split)
    back = next((past for past in reversed(model.before) if (past.version, past.split) != now), None)
    previous = {"version": back.version, "split": back.split or {back.version: 100}} if back else None
    return {
        "traffic": {"split": model.traffic.split, "shadow": model.shadow},
        **({"previous": previous} if previous else {}),
        "history": [
            {"version": served.version, "since": to_text(served.since)}
            | ({"split": served.split} if served.split else {})
            for served in reversed(model.history)
        ],
    }
