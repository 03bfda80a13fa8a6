"""The URLs of operations, of a project and of its locations."""

from __future__ import annotations

from collections.abc import Collection

from mlengine.errors import NotFound, nearest
from mlengine.names import OperationName
from mlengine.operations.service import OperationService
from mlengine.operations.wire import FILTERED, to_json
from mlengine.web.fields import nothing
from mlengine.web.method import Call, Json, Method, Parameter
from mlengine.web.pages import FILTER, PAGING, paged

_PROJECT = "/v1/projects/{project}"
_LOCATION = _PROJECT + "/locations/{location}"
_PARTIAL = Parameter(
    name="returnPartialSuccess",
    kind="boolean",
    summary="Whether to answer when a place cannot be asked. There is one, and it answers.",
)


def methods(service: OperationService, locations: Collection[str]) -> list[Method]:
    """The rows of `ml.projects.operations` and `ml.projects.locations.operations`.

    Args:
        locations: The ids of those that are here. Each is this very machine, and so are its operations.
    """

    def get(call: Call) -> Json:
        return to_json(service.get(_name(call))) | _as_asked(call)

    def list_(call: Call) -> Json:
        project = call.path["project"]
        return paged(
            call.query,
            kind="operations",
            within=project,
            fields=FILTERED,
            fetch=lambda after, limit: service.page(project, after=after, limit=limit),
            key=lambda operation: operation.name.operation,
            render=to_json,
        )

    def cancel(call: Call) -> Json:
        nothing(call.json())
        service.cancel(_name(call))
        return {}

    def _name(call: Call) -> OperationName:
        location = call.path.get("location", "")
        if location and location not in locations:
            raise NotFound(
                f"There is no location '{location[:100]}'.",
                hint=nearest(location[:100], list(locations)) or f"There are {', '.join(locations)}.",
                field="name",
            )
        return OperationName(call.path["project"], call.path["operation"])

    rows = []
    for parent, noun in ((_PROJECT, "operations"), (_LOCATION, "locations.operations")):
        path = parent + "/operations/{operation}"
        rows += [
            Method(
                id=f"ml.projects.{noun}.get",
                verb="GET",
                path=path,
                handler=get,
                summary="How an operation stands.",
                response="Operation",
            ),
            Method(
                id=f"ml.projects.{noun}.cancel",
                verb="POST",
                path=path + ":cancel",
                handler=cancel,
                summary="End the creation of a version early.",
                response="Empty",
            ),
        ]
    listing = Method(
        id="ml.projects.operations.list",
        verb="GET",
        path=_PROJECT + "/operations",
        handler=list_,
        summary="The operations of a project, a page at a time.",
        response="ListOperationsResponse",
        parameters=(FILTER, *PAGING, _PARTIAL),
    )
    return [*rows, listing]


def _as_asked(call: Call) -> Json:
    """The name that was asked for: an operation of the project has one in each location, too."""
    if "location" not in call.path:
        return {}
    path = call.path
    return {"name": f"projects/{path['project']}/locations/{path['location']}/operations/{path['operation']}"}
