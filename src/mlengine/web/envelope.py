"""Google's error envelope, and the only place that knows which HTTP number a status has."""

from __future__ import annotations

import json
from typing import Any

from mlengine.errors import NotModified, PreconditionFailed, Problem, QuotaExceeded, RangeNotSatisfiable

HTTP_CODES = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "ALREADY_EXISTS": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "INTERNAL": 500,
    "UNKNOWN": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}

# Conditions of HTTP itself, which have numbers of their own beside their status.
_OWN_CODES: dict[type[Problem], int] = {
    NotModified: 304,
    PreconditionFailed: 412,
    # Not 429: clients would send the same again and again for minutes, and waiting makes no room.
    QuotaExceeded: 413,
    RangeNotSatisfiable: 416,
}

# The older half of Google's clients (storage, BigQuery) looks at `errors[].reason` instead of the status.
_REASONS = {
    304: "notModified",
    400: "invalid",
    401: "authError",
    403: "forbidden",
    404: "notFound",
    409: "conflict",
    412: "conditionNotMet",
    413: "quotaExceeded",
    416: "requestedRangeNotSatisfiable",
    429: "rateLimitExceeded",
    501: "notImplemented",
    504: "backendError",
}

# The numbers of google.rpc.Code, which an Operation's `error.code` carries in place of HTTP's.
RPC_CODES = {
    "CANCELLED": 1,
    "UNKNOWN": 2,
    "INVALID_ARGUMENT": 3,
    "DEADLINE_EXCEEDED": 4,
    "NOT_FOUND": 5,
    "ALREADY_EXISTS": 6,
    "PERMISSION_DENIED": 7,
    "RESOURCE_EXHAUSTED": 8,
    "FAILED_PRECONDITION": 9,
    "ABORTED": 10,
    "OUT_OF_RANGE": 11,
    "UNIMPLEMENTED": 12,
    "INTERNAL": 13,
    "UNAVAILABLE": 14,
    "UNAUTHENTICATED": 16,
}


def http_code(problem: Problem) -> int:
    """The HTTP status that stands for `problem`."""
    return _OWN_CODES.get(type(problem)) or HTTP_CODES[problem.status]


def envelope(problem: Problem) -> dict[str, Any]:
    """`problem` as Google's clients expect an error: code, message, status, errors, details."""
    text = str(problem)
    if problem.field:
        text = f"Field: {problem.field} Error: {text}"
    details = [dict(detail) for detail in problem.details]
    if problem.field:
        details.append(
            {
                "@type": "type.googleapis.com/google.rpc.BadRequest",
                "fieldViolations": [{"field": problem.field, "description": str(problem)}],
            }
        )
    code = http_code(problem)
    reason = {"message": text, "domain": "global", "reason": _REASONS.get(code, "backendError")}
    error: dict[str, Any] = {"code": code, "message": text, "status": problem.status, "errors": [reason]}
    if details:
        error["details"] = details
    return {"error": error}


def refusal(problem: Problem, code: int | None = None) -> tuple[int, bytes]:
    """HTTP number and envelope of `problem`; `code` where HTTP is finer than Google's statuses (413, 431)."""
    value = envelope(problem)
    if code is not None:
        value["error"]["code"] = code
    return value["error"]["code"], to_bytes(value)


def to_bytes(value: object) -> bytes:
    """JSON as we send it: UTF-8, no NaN, two-space indent as Google's `prettyPrint` default."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=2).encode() + b"\n"
