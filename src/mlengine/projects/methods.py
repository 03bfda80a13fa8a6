"""The URLs of projects, shaped like Google's Cloud Resource Manager API v1."""

from __future__ import annotations

from collections.abc import Callable

from mlengine.errors import InvalidArgument
from mlengine.projects import wire
from mlengine.projects.domain import Project
from mlengine.projects.service import ProjectService, check_id_field
from mlengine.web.fields import Fields
from mlengine.web.method import Call, Handler, Json, Method
from mlengine.web.pages import paged

_PROJECTS = "/v1/projects"
_PROJECT = _PROJECTS + "/{project}"

# Whether a caller may know of a project.
Sees = Callable[[Call, str], bool]


def methods(service: ProjectService, sees: Sees = lambda *_: True) -> list[Method]:
    """The rows of `cloudresourcemanager.projects`.

    Args:
        sees: Lists have only those projects that it lets through.
    """

    def create(call: Call) -> Json:
        fields = Fields(call.json(), path="")
        project_id = check_id_field(fields.text("projectId"))
        name, labels = fields.text("name"), fields.labels("labels")
        fields.ignore("projectNumber", "lifecycleState", "createTime")
        # There are no folders and organizations here that it could belong to.
        fields.absent("parent")
        fields.done()
        return wire.created_json(service.create(project_id, name=name, labels=labels))

    def get(call: Call) -> Json:
        return wire.project_json(service.get(call.path["project"]))

    def list_(call: Call) -> Json:
        if (asked := call.query.get("filter", "")) not in ("", "lifecycleState:ACTIVE"):
            raise InvalidArgument(
                f"Projects cannot be filtered by '{asked[:80]}' here.", hint="Leave it out.", field="filter"
            )

        def fetch(after: str, limit: int) -> list[Project]:
            found = (each for each in service.list() if each.project_id > after)
            return [each for each in found if sees(call, each.project_id)][:limit]

        return paged(
            call.query,
            kind="projects",
            fetch=fetch,
            key=lambda project: project.project_id,
            render=wire.project_json,
        )

    def delete(call: Call) -> Json:
        service.delete(call.path["project"])
        return {}

    rows: list[tuple[str, str, str, Handler, str]] = [
        ("create", "POST", _PROJECTS, create, "Make a project."),
        ("list", "GET", _PROJECTS, list_, "The projects that the caller may see, a page at a time."),
        ("get", "GET", _PROJECT, get, "One project, by its id or number."),
        ("delete", "DELETE", _PROJECT, delete, "Delete an empty project."),
    ]
    return [
        Method(
            id=f"cloudresourcemanager.projects.{name}",
            verb=verb,
            path=path,
            handler=handler,
            summary=summary,
        )
        for name, verb, path, handler, summary in rows
    ]
