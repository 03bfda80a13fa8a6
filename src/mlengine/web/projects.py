"""The one project of this server: any other in a path is answered with what this one is called."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from mlengine.errors import NotFound
from mlengine.web.method import Call, Handler, Json, Method, Reply


def only_project(methods: Iterable[Method], project: str) -> list[Method]:
    """The rows, each refusing a `{project}` that is not `project`."""
    return [
        replace(method, handler=_guarded(method.handler, project)) if "{project}" in method.path else method
        for method in methods
    ]


def _guarded(handler: Handler, project: str) -> Handler:
    def guarded(call: Call) -> Json | Reply:
        asked = call.path["project"]
        if asked != project:
            raise NotFound(
                f"There is no project '{asked}' on this server.",
                hint=f"Its project id is '{project}': use --project {project}, or set MLENGINE_PROJECT.",
                field="project",
            )
        return handler(call)

    return guarded
