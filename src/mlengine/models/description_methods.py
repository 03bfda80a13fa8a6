"""The URLs that tell what a version takes: for people, for tools, and in the words of other protocols."""

from __future__ import annotations

from typing import Any

from mlengine.errors import FailedPrecondition, InvalidArgument, NotFound, nearest
from mlengine.models import open_inference, openapi, tf_serving
from mlengine.models.domain import Version
from mlengine.models.foreign import Found, Known, Look, spellings
from mlengine.models.service import ModelService
from mlengine.names import ModelName
from mlengine.web.method import Call, Json, Method

_VERSION = "/mlengine/v1/projects/{project}/models/{model}/versions/{version}"
_PAGE = 100


def methods(service: ModelService, *, project: str, server_version: str) -> list[Method]:
    """The rows of schema, openapi and samples, and those of TensorFlow Serving and Open Inference.

    Args:
        project: Whose models protocols without projects mean.
    """

    def schema(call: Call) -> Json:
        return _described(_version(service, call))

    def document(call: Call) -> Json:
        version = _version(service, call)
        return openapi.document(_described(version), **_place(version, call))

    def samples(call: Call) -> Json:
        version = _version(service, call)
        return dict(openapi.samples(_described(version), **_place(version, call)))

    look = looking(service, project)
    return [
        Method(
            id="mlengine.versions.schema",
            verb="GET",
            path=f"{_VERSION}/schema",
            handler=schema,
            summary="What a version takes and answers, as its model told it.",
        ),
        Method(
            id="mlengine.versions.openapi",
            verb="GET",
            path=f"{_VERSION}/openapi",
            handler=document,
            summary="How to ask a version for predictions, as OpenAPI 3.1.",
        ),
        Method(
            id="mlengine.versions.samples",
            verb="GET",
            path=f"{_VERSION}/samples",
            handler=samples,
            summary="A request to a version, to be copied: for a shell, for Python, for the command line.",
        ),
        *tf_serving.methods(look),
        *open_inference.methods(look, server_version),
    ]


def looking(service: ModelService, project: str) -> Look:
    """How protocols whose paths carry no project find models: in `project`."""

    def look(model: str, version: str) -> Found:
        name = ModelName.of(project, model)
        found, _ = service.get_model(name)
        if not version:
            return Found(model=model, default=found.default_version, versions=_all(service, name))
        for spelling in spellings(version):
            try:
                one, _ = service.get_version(name.version(spelling))
            except (NotFound, InvalidArgument):  # digits alone are no id of ours
                continue
            return Found(model=model, default=found.default_version, versions=(_known(one),))
        raise NotFound(
            f"Model '{model}' has no version '{version[:100]}'.",
            hint=nearest(version, [known.version for known in _all(service, name)]),
        )

    return look


def _all(service: ModelService, name: ModelName) -> tuple[Known, ...]:
    """All versions of a model, the oldest first."""
    found: list[Version] = []
    while True:
        after = found[-1].name.version if found else ""
        page = service.page_versions(name, after=after, limit=_PAGE)
        found += [version for version, _ in page]
        if len(page) < _PAGE:
            return tuple(map(_known, sorted(found, key=lambda version: version.created)))


def _known(version: Version) -> Known:
    return Known(
        version=version.name.version,
        state=version.state,
        description=version.schema or None,
        error=version.error_message,
    )


def _version(service: ModelService, call: Call) -> Version:
    name = ModelName.of(call.path["project"], call.path["model"]).version(call.path["version"])
    return service.get_version(name)[0]


def _described(version: Version) -> dict[str, Any]:
    if not version.schema:
        raise FailedPrecondition(
            f"Version '{version.name.version}' is {version.state}; what it takes is not known yet.",
            hint=version.error_message or "It is known once the version is READY.",
            field="name",
        )
    return version.schema


def _place(version: Version, call: Call) -> dict[str, str]:
    return {"model": str(version.name.parent), "version": version.name.version, "url": call.base_url}
