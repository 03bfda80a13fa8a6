"""The URLs of operations."""

from __future__ import annotations

from mlengine.names import OperationName
from mlengine.operations.service import OperationService
from mlengine.operations.wire import to_json
from mlengine.web.method import Call, Json, Method
from mlengine.web.pages import paged

_PARENT = "/v1/projects/{project}/operations"


def methods(service: OperationService) -> list[Method]:
    """The rows of `ml.projects.operations`."""

    def get(call: Call) -> Json:
        return to_json(service.get(OperationName(call.path["project"], call.path["operation"])))

    def list_(call: Call) -> Json:
        return paged(
            call.query,
            kind="operations",
            fetch=lambda after, limit: service.page(call.path["project"], after=after, limit=limit),
            key=lambda operation: operation.name.operation,
            render=to_json,
        )

    return [
        Method(
            id="ml.projects.operations.get",
            verb="GET",
            path=_PARENT + "/{operation}",
            handler=get,
            summary="How an operation stands.",
        ),
        Method(
            id="ml.projects.operations.list",
            verb="GET",
            path=_PARENT,
            handler=list_,
            summary="The operations of a project, a page at a time.",
        ),
    ]
