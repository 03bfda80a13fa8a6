"""Answer bodies: predictions, and errors in Google's envelope. Always valid JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from mlengine.serving.runtimes.model import BadOutput, Violation
from mlengine.serving.runtimes.outputs import finite, plain

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
    504: "DEADLINE_EXCEEDED",
}


def dumps(value: Any) -> bytes:
    """JSON. Arrays of NumPy are lists in it, NaN and infinity null. Raises BadOutput for what it lacks."""
    try:
        return _dumps(value)
    except (TypeError, ValueError):
        pass  # a rare type: once more, as plain values
    try:
        return _dumps(finite([plain(value)], "NULL")[0])
    except (TypeError, ValueError) as error:
        raise BadOutput(f"The answer cannot be written as JSON: {error}.") from error


def sayable(values: list[Any], policy: str) -> list[Any]:
    """`values` as they are, or with what `policy` puts in place of NaN and infinity. Raises BadOutput."""
    # Wherever NaN is, there is a null in the text; most answers need no search for one.
    return finite(values, policy) if policy != "NULL" and b"null" in dumps(values) else values


def predictions(values: list[Any], *, non_finite: str = "NULL") -> bytes:
    """The body of a good answer. Raises BadOutput.

    Args:
        values: One per instance.
        non_finite: "NULL", "TEXT" or "REJECT".
    """
    body = dumps({"predictions": values})
    if non_finite != "NULL" and b"null" in body:
        body = dumps({"predictions": finite(values, non_finite)})
    return body


def _dumps(value: Any) -> bytes:
    if orjson is not None:
        encoded: bytes = orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
        return encoded
    return json.dumps(
        value, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_listed
    ).encode("utf-8")


def _listed(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"Type is not JSON serializable: {type(value).__name__}")


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


def precondition(message: str) -> bytes:
    """The body of an answer to what a version, as it was made, cannot do. Its number is 400."""
    envelope = {"code": 400, "message": message, "status": "FAILED_PRECONDITION"}
    return json.dumps({"error": envelope}, separators=(",", ":")).encode("ascii")


def short_error(message: str) -> bytes:
    """The body of a bad answer in the languages of TensorFlow Serving and Open Inference."""
    return json.dumps({"error": message}, separators=(",", ":")).encode("ascii")


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
