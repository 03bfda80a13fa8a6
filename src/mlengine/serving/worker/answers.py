"""Answer bodies: predictions, and errors in Google's envelope. Always valid JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from mlengine.serving.runtimes.model import BadOutput, Violation

try:
    import orjson
except ImportError:  # an old or foreign environment: slower, else the same
    orjson = None

_STATUS = {
    400: "INVALID_ARGUMENT",
    412: "FAILED_PRECONDITION",
    413: "INVALID_ARGUMENT",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
}


def dumps(value: Any) -> bytes:
    """JSON. Raises BadOutput for what JSON cannot say."""
    try:
        if orjson is not None:
            encoded: bytes = orjson.dumps(value)
            return encoded
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode("utf-8")
    except (TypeError, ValueError) as error:
        raise BadOutput(f"The answer cannot be written as JSON: {error}.") from error


def predictions(values: list[Any]) -> bytes:
    """The body of a good answer. Raises BadOutput."""
    return dumps({"predictions": values})


def error(code: int, message: str, details: Sequence[dict[str, Any]] = ()) -> bytes:
    """The body of a bad answer.

    Args:
        code: HTTP status number.
        message: For people.
        details: Objects of `google.rpc`, ready for JSON.
    """
    envelope: dict[str, Any] = {"code": code, "message": message, "status": _STATUS[code]}
    if details:
        envelope["details"] = list(details)
    # Quotes a request, so it may hold half characters that only an escape can say.
    return json.dumps({"error": envelope}, separators=(",", ":")).encode("ascii")


def bad_request(violations: Sequence[Violation]) -> list[dict[str, Any]]:
    """The faults of a request field by field, as details of an error."""
    if not violations:
        return []
    return [
        {
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [violation._asdict() for violation in violations],
        }
    ]


def debug_info(stack: Sequence[str], detail: str) -> list[dict[str, Any]]:
    """A traceback as details of an error, for a caller who runs the model himself."""
    return [
        {"@type": "type.googleapis.com/google.rpc.DebugInfo", "stackEntries": list(stack), "detail": detail}
    ]
