"""Operations as JSON."""

from __future__ import annotations

from typing import Any

from mlengine.clock import to_text
from mlengine.operations.domain import Kind, Operation
from mlengine.web.envelope import RPC_CODES

_TYPES = "type.googleapis.com/google.cloud.ml.v1."
_EMPTY = {"@type": "type.googleapis.com/google.protobuf.Empty"}


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
    if operation.version:
        metadata["version"] = operation.version
    answer: dict[str, Any] = {"name": str(operation.name), "metadata": metadata}
    if not operation.done:
        return answer
    answer["done"] = True
    if operation.error_status:
        answer["error"] = {"code": RPC_CODES[operation.error_status], "message": operation.error_message}
    elif operation.kind is Kind.CREATE_VERSION:
        answer["response"] = {"@type": _TYPES + "Version", **operation.response}
    else:
        answer["response"] = dict(_EMPTY)
    return answer
