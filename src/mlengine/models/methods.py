"""The URLs of models and versions, and of predictions that no worker of the gateway answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mlengine.clock import Clock
from mlengine.errors import FailedPrecondition, InvalidArgument
from mlengine.models import version_wire, wire
from mlengine.models.domain import Version
from mlengine.models.service import ModelService
from mlengine.names import ModelName, VersionName
from mlengine.operations.wire import to_json as operation_to_json
from mlengine.web.fields import nothing
from mlengine.web.masks import UPDATE_MASK, update_mask
from mlengine.web.method import Call, Handler, Json, Method, Parameter, Reply
from mlengine.web.pages import FILTER, PAGING, paged
from mlengine.web.warnings import with_warnings

_PROJECT = "/v1/projects/{project}"
_MODELS = _PROJECT + "/models"
_VERSIONS = _MODELS + "/{model}/versions"
_MODEL, _VERSION = _MODELS + "/{model}", _VERSIONS + "/{version}"
_LARGEST_PREDICTION = 64 << 20


Log = Callable[[Call, Mapping[str, Any]], object]


def methods(service: ModelService, clock: Clock, *, may_log: Log = lambda *_: None) -> list[Method]:
    """The rows of `ml.projects.models`, `ml.projects.models.versions`, and the two of predictions.

    Args:
        may_log: Refuses requests to be logged where they cannot be, or the caller may not write.
    """
    return [*_model_rows(service, clock), *_version_rows(service, may_log), *_prediction_rows(service)]


def _model_rows(service: ModelService, clock: Clock) -> list[Method]:
    def create(call: Call) -> Json:
        model = wire.model_from_json(call.path["project"], call.json(), clock())
        return wire.model_to_json(service.create_model(model), None)

    def get(call: Call) -> Json:
        return wire.model_to_json(*service.get_model(_model(call)))

    def list_(call: Call) -> Json:
        project = call.path["project"]
        return paged(
            call.query,
            kind="models",
            within=project,
            fields=wire.MODELS_FILTERED,
            fetch=lambda after, limit: service.page_models(project, after=after, limit=limit),
            key=lambda found: found[0].name.model,
            render=lambda found: wire.model_to_json(*found),
        )

    def patch(call: Call) -> Json:
        mask = update_mask(call.query, allowed=wire.MODEL_PATCHED, refused=wire.MODEL_KEPT)
        name = _model(call)
        change = wire.model_change_from_json(name, call.json(), mask)
        return operation_to_json(service.patch_model(name, change))

    def delete(call: Call) -> Json:
        return operation_to_json(service.delete_model(_model(call)))

    def set_traffic(call: Call) -> Json:
        split, shadow = wire.traffic_from_json(call.json())
        return wire.model_to_json(*service.set_traffic(_model(call), split, shadow))

    def roll_back(call: Call) -> Json:
        nothing(call.json())
        return wire.model_to_json(*service.roll_back(_model(call)))

    return [
        _row("models.create", "POST", _MODELS, create, "Make a model.", request="Model", response="Model"),
        _row("models.get", "GET", _MODEL, get, "A model and its default version.", response="Model"),
        _row(
            "models.list",
            "GET",
            _MODELS,
            list_,
            "The models of a project, a page at a time.",
            response="ListModelsResponse",
            parameters=(FILTER, *PAGING),
        ),
        _row(
            "models.patch",
            "PATCH",
            _MODEL,
            patch,
            "Change a model's description, labels or default version.",
            request="Model",
            response="Operation",
            parameters=(UPDATE_MASK,),
        ),
        _row(
            "models.delete",
            "DELETE",
            _MODEL,
            delete,
            "Delete a model without versions.",
            response="Operation",
        ),
        Method(
            id="mlengine.models.setTraffic",
            verb="POST",
            path=f"/mlengine{_MODEL}:setTraffic",
            handler=set_traffic,
            summary="Divide a model's requests between versions, and copy some to others.",
        ),
        Method(
            id="mlengine.models.rollBack",
            verb="POST",
            path=f"/mlengine{_MODEL}:rollBack",
            handler=roll_back,
            summary="Let answer what did before the last change of a model's default or split.",
        ),
    ]


def _version_rows(service: ModelService, may_log: Log) -> list[Method]:
    def create(call: Call) -> Json | Reply:
        warnings: list[str] = []
        request = version_wire.version_from_json(_model(call), call.json(), warnings=warnings)
        return with_warnings(operation_to_json(service.create_version(request)), warnings)

    def get(call: Call) -> Json:
        version, default = service.get_version(_version(call))
        stage, standing = service.moment(version.uid)
        used = service.last_use(version)
        return version_wire.version_to_json(
            version, default=default, stage=stage, standing=standing, whole=True, last_use=used
        )

    def list_(call: Call) -> Json:
        parent = _model(call)
        return paged(
            call.query,
            kind="versions",
            within=str(parent),
            fields=version_wire.VERSIONS_FILTERED,
            fetch=lambda after, limit: service.page_versions(parent, after=after, limit=limit),
            key=lambda found: found[0].name.version,
            render=lambda found: shown(*found),
        )

    def shown(version: Version, default: bool) -> Json:
        stage, standing = service.moment(version.uid)
        used = service.last_use(version)
        return version_wire.version_to_json(
            version, default=default, stage=stage, standing=standing, last_use=used
        )

    def patch(call: Call) -> Json:
        mask = update_mask(
            call.query, allowed=version_wire.VERSION_PATCHED, refused=version_wire.VERSION_KEPT
        )
        change = version_wire.version_change_from_json(call.json(), mask)
        if change.request_logging:
            may_log(call, change.request_logging)
        return operation_to_json(service.patch_version(_version(call), change))

    def delete(call: Call) -> Json:
        return operation_to_json(service.delete_version(_version(call)))

    def set_default(call: Call) -> Json:
        nothing(call.json())
        return version_wire.version_to_json(service.set_default(_version(call)), default=True)

    return [
        _row(
            "models.versions.create",
            "POST",
            _VERSIONS,
            create,
            "Deploy a trained model as a version.",
            request="Version",
            response="Operation",
        ),
        _row("models.versions.get", "GET", _VERSION, get, "How a version stands.", response="Version"),
        _row(
            "models.versions.list",
            "GET",
            _VERSIONS,
            list_,
            "The versions of a model, a page at a time.",
            response="ListVersionsResponse",
            parameters=(FILTER, *PAGING),
        ),
        _row(
            "models.versions.patch",
            "PATCH",
            _VERSION,
            patch,
            "Change a version's description, labels, scaling, how it treats requests, where they are logged.",
            request="Version",
            response="Operation",
            parameters=(UPDATE_MASK,),
        ),
        _row(
            "models.versions.delete",
            "DELETE",
            _VERSION,
            delete,
            "Take a version away.",
            response="Operation",
        ),
        _row(
            "models.versions.setDefault",
            "POST",
            _VERSION + ":setDefault",
            set_default,
            "Let a version answer when none is named.",
            request="SetDefaultVersionRequest",
            response="Version",
        ),
    ]


def _prediction_rows(service: ModelService) -> list[Method]:
    def predict(call: Call) -> Json:
        # The gateway answers for every version that serves; what comes here has none, and wants to know why.
        call.read(limit=_LARGEST_PREDICTION)
        raise service.explain_unserved(_model(call), call.path.get("version", ""))

    def explain(call: Call) -> Json:
        call.read(limit=_LARGEST_PREDICTION)
        version = service.meant(_model(call), call.path.get("version", ""))
        if version.explanation:
            raise service.explain_unserved(_model(call), call.path.get("version", ""))
        raise FailedPrecondition(
            f"Version '{version.name.version}' has no explanationConfig, and so cannot explain predictions.",
            hint=f"Make a version that can: mlengine versions create VERSION --model "
            f"{version.name.parent.model} --origin … --explanation-method sampled-shapley",
            field="name",
        )

    def neither(call: Call) -> Json:
        call.read(limit=_LARGEST_PREDICTION)
        raise InvalidArgument(
            f"'{_asked(call)}' is neither a model nor a version.",
            hint="Write projects/PROJECT/models/MODEL, and /versions/VERSION for another than the default.",
            field="name",
        )

    rows = []
    for verb, handler, request, about in (
        ("predict", predict, "PredictRequest", "Predict"),
        ("explain", explain, "ExplainRequest", "Explain predictions"),
    ):
        for path, found, with_what in (
            (_MODEL, handler, "with the default version of a model."),
            (_VERSION, handler, "with a version."),
            (_PROJECT, neither, "with neither a model nor a version: refused, and told why."),
            (_PROJECT + "/{rest*}", neither, "with neither a model nor a version: refused, and told why."),
        ):
            rows.append(
                _row(
                    verb,
                    "POST",
                    f"{path}:{verb}",
                    found,
                    f"{about} {with_what}",
                    request=request,
                    response="HttpBody",
                )
            )
    return rows


def _row(
    id_: str,
    verb: str,
    path: str,
    handler: Handler,
    summary: str,
    *,
    request: str = "",
    response: str = "",
    parameters: tuple[Parameter, ...] = (),
) -> Method:
    return Method(
        id=f"ml.projects.{id_}",
        verb=verb,
        path=path,
        handler=handler,
        summary=summary,
        request=request,
        response=response,
        parameters=parameters,
    )


def _model(call: Call) -> ModelName:
    return ModelName.of(call.path["project"], call.path["model"])


def _version(call: Call) -> VersionName:
    return _model(call).version(call.path["version"])


def _asked(call: Call) -> str:
    """The name in a path that names neither a model nor a version."""
    return call.target.partition("?")[0].removeprefix("/v1/").rpartition(":")[0][:200]
