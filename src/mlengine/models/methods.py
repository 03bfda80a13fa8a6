"""The URLs of models and versions."""

from __future__ import annotations

from mlengine.clock import Clock
from mlengine.models.service import ModelService
from mlengine.models.wire import model_from_json, model_to_json, version_from_json, version_to_json
from mlengine.names import ModelName, VersionName
from mlengine.operations.wire import to_json as operation_to_json
from mlengine.web.method import Call, Json, Method
from mlengine.web.pages import paged

_MODELS = "/v1/projects/{project}/models"
_VERSIONS = _MODELS + "/{model}/versions"


def methods(service: ModelService, clock: Clock) -> list[Method]:
    """The rows of `ml.projects.models` and `ml.projects.models.versions`."""

    def create_model(call: Call) -> Json:
        model = model_from_json(call.path["project"], call.json(), clock())
        return model_to_json(service.create_model(model), None)

    def get_model(call: Call) -> Json:
        return model_to_json(*service.get_model(_model(call)))

    def list_models(call: Call) -> Json:
        return paged(
            call.query,
            kind="models",
            fetch=lambda after, limit: service.page_models(call.path["project"], after=after, limit=limit),
            key=lambda found: found[0].name.model,
            render=lambda found: model_to_json(*found),
        )

    def delete_model(call: Call) -> Json:
        return operation_to_json(service.delete_model(_model(call)))

    def create_version(call: Call) -> Json:
        return operation_to_json(service.create_version(version_from_json(_model(call), call.json())))

    def get_version(call: Call) -> Json:
        version, default = service.get_version(_version(call))
        return version_to_json(version, default=default)

    def list_versions(call: Call) -> Json:
        return paged(
            call.query,
            kind="versions",
            fetch=lambda after, limit: service.page_versions(_model(call), after=after, limit=limit),
            key=lambda found: found[0].name.version,
            render=lambda found: version_to_json(found[0], default=found[1]),
        )

    def delete_version(call: Call) -> Json:
        return operation_to_json(service.delete_version(_version(call)))

    def set_default(call: Call) -> Json:
        return version_to_json(service.set_default(_version(call)), default=True)

    def predict(call: Call) -> Json:
        # The gateway answers for every version that serves; what comes here has none, and wants to know why.
        call.read(limit=64 << 20)
        name = ModelName.of(call.path["project"], call.path["model"])
        raise service.explain_unserved(name, call.path.get("version", ""))

    rows = [
        ("models.create", "POST", _MODELS, create_model, "Make a model."),
        ("models.get", "GET", _MODELS + "/{model}", get_model, "A model and its default version."),
        ("models.list", "GET", _MODELS, list_models, "The models of a project, a page at a time."),
        ("models.delete", "DELETE", _MODELS + "/{model}", delete_model, "Delete a model without versions."),
        ("models.versions.create", "POST", _VERSIONS, create_version, "Deploy a trained model as a version."),
        ("models.versions.get", "GET", _VERSIONS + "/{version}", get_version, "How a version stands."),
        (
            "models.versions.list",
            "GET",
            _VERSIONS,
            list_versions,
            "The versions of a model, a page at a time.",
        ),
        (
            "models.versions.delete",
            "DELETE",
            _VERSIONS + "/{version}",
            delete_version,
            "Take a version away.",
        ),
        (
            "models.versions.setDefault",
            "POST",
            _VERSIONS + "/{version}:setDefault",
            set_default,
            "Let a version answer when none is named.",
        ),
        ("predict", "POST", _MODELS + "/{model}:predict", predict, "Predict with the default version."),
        ("predict", "POST", _VERSIONS + "/{version}:predict", predict, "Predict with a version."),
    ]
    return [
        Method(id=f"ml.projects.{id_}", verb=verb, path=path, handler=handler, summary=summary)
        for id_, verb, path, handler, summary in rows
    ]


def _model(call: Call) -> ModelName:
    return ModelName.of(call.path["project"], call.path["model"])


def _version(call: Call) -> VersionName:
    return _model(call).version(call.path["version"])
