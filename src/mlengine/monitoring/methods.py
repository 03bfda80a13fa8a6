"""The URLs of what versions did."""

from __future__ import annotations

from mlengine.clock import Clock
from mlengine.monitoring.service import MonitoringService
from mlengine.monitoring.wire import history_to_json, live_to_json, span_from_query, span_to_json, sum_to_json
from mlengine.names import ModelName, check_project
from mlengine.web.method import Call, Json, Method, Parameter

_PROJECT = "/mlengine/v1/projects/{project}"
_MODEL = _PROJECT + "/models/{model}"
_VERSION = _MODEL + "/versions/{version}"
_SPAN = (
    Parameter(name="since", summary="From when: 2026-01-31T12:00:00Z, or how long ago: 30m, 1h, 7d."),
    Parameter(name="until", summary="Until when, in the same words; without it until now."),
)
_STEP = Parameter(name="step", summary="How long a point is: 10s, 5m, 1h; without it as it fits.")


def methods(service: MonitoringService, clock: Clock) -> list[Method]:
    """The rows of `mlengine.versions.metrics` and its like."""

    def of_version(call: Call) -> Json:
        name = ModelName.of(call.path["project"], call.path["model"]).version(call.path["version"])
        history, span = service.version(name, span_from_query(call.query, clock()))
        return {"version": str(name)} | span_to_json(span) | history_to_json(history, span)

    def of_model(call: Call) -> Json:
        name = ModelName.of(call.path["project"], call.path["model"])
        together, each, span = service.model(name, span_from_query(call.query, clock()))
        versions = [
            {"version": f"{name}/versions/{id}"} | history_to_json(history, span)
            for id, history in each.items()
        ]
        said = {"model": str(name)} | span_to_json(span) | history_to_json(together, span)
        return said | {"versions": versions}

    def of_project(call: Call) -> Json:
        project = check_project(call.path["project"])
        told, span = service.project(project, span_from_query(call.query, clock(), usual="5m"))
        models = [
            {
                "model": str(ModelName(project, id)),
                "servedVersions": served,
                "sum": sum_to_json(history.figures, span.until - span.since),
                "now": live_to_json(history.live),
            }
            for id, (history, served) in told.items()
        ]
        within = {name: text for name, text in span_to_json(span).items() if name != "step"}
        return within | {"models": models}

    return [
        Method(
            id="mlengine.versions.metrics",
            verb="GET",
            path=_VERSION + "/metrics",
            handler=of_version,
            summary="What a version did over time: requests, errors, latency, batches, nodes, memory.",
            parameters=(*_SPAN, _STEP),
        ),
        Method(
            id="mlengine.models.metrics",
            verb="GET",
            path=_MODEL + "/metrics",
            handler=of_model,
            summary="The same of all versions of a model, together and each by itself.",
            parameters=(*_SPAN, _STEP),
        ),
        Method(
            id="mlengine.projects.metrics",
            verb="GET",
            path=_PROJECT + "/metrics",
            handler=of_project,
            summary="What each model of a project did, by default in the last five minutes.",
            parameters=_SPAN,
        ),
    ]
