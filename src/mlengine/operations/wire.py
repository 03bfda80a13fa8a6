"""Operations as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlengine.clock import to_text
from mlengine.operations.domain import Kind, Operation
from mlengine.web.conditions import Kind as FieldKind
from mlengine.web.envelope import RPC_CODES

_TYPES = "type.googleapis.com/google.cloud.ml.v1."
_EMPTY = {"@type": "type.googleapis.com/google.protobuf.Empty"}
# What each kind has in its response; the others have nothing.
_RESPONSES = {
    Kind.CREATE_VERSION: "Version",
    Kind.UPDATE_VERSION: "Version",
    Kind.UPDATE_MODEL: "Model",
}
# What a filter may ask for.
FILTERED: Mapping[str, FieldKind] = {
    "name": "name",
    "done": "flag",
    "error.code": "number",
    "error.message": "text",
    "metadata.createTime": "time",
    "metadata.startTime": "time",
    "metadata.endTime": "time",
    "metadata.operationType": tuple(Kind),
    "metadata.modelName": "name",
    "metadata.version.name": "name",
    "metadata.labels": "map",
    "metadata.isCancellationRequested": "flag",
}


def to_json(operation: Operation) -> dict[str, Any]:
    """google.longrunning.Operation; exactly one of `response` and `error` once it is done."""
    metadata: dict[str, Any] = {
        "@type": _TYPES + "OperationMetadata",
        "createTime": to_text(operation.created),
        "operationType": operation.kind.value,
        "modelName": operation.model,
    }
    if operation.started:
        metadata["startTime"] = to_text(operation.started)
    if operation.ended:
        metadata["endTime"] = to_text(operation.ended)
    if operation.labels:
        metadata["labels"] = operation.labels
    if operation.cancelling:
        metadata["isCancellationRequested"] = True
    if operation.version:
        metadata["version"] = operation.version
    answer: dict[str, Any] = {"name": str(operation.name), "metadata": metadata}
    if not operation.done:
        return answer
    answer["done"] = True
    if operation.error_status:
        answer["error"] = {"code": RPC_CODES[operation.error_status], "message": operation.error_message}
    elif operation.kind in _RESPONSES:
        answer["response"] = {"@type": _TYPES + _RESPONSES[operation.kind], **operation.response}
    else:
        answer["response"] = dict(_EMPTY)
    return answer
