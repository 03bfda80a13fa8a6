"""What goes wrong as seen from Python: answers and operations as exceptions, flags as argument names."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from mlengine.client.http import Json, problem
from mlengine.errors import Problem
from mlengine.sdk.effects import Reply

if TYPE_CHECKING:
    from mlengine.sdk.resources import JobRecord

# The numbers of google.rpc.Code, which an Operation's error carries.
_STATUSES = {
    1: "CANCELLED",
    3: "INVALID_ARGUMENT",
    4: "DEADLINE_EXCEEDED",
    5: "NOT_FOUND",
    6: "ALREADY_EXISTS",
    7: "PERMISSION_DENIED",
    8: "RESOURCE_EXHAUSTED",
    9: "FAILED_PRECONDITION",
    10: "ABORTED",
    11: "OUT_OF_RANGE",
    12: "UNIMPLEMENTED",
    13: "INTERNAL",
    14: "UNAVAILABLE",
    16: "UNAUTHENTICATED",
}
_ARGUMENTS = {
    "module-name": "module",
    "package-path": "package",
    "packages": "packages",
    "job-dir": "job_dir",
    "staging-bucket": "staging_bucket",
    "config": "config",
    "origin": "deployment_uri",
    "master-machine-type": "master_type",
    "scale-tier": "scale_tier",
    "framework": "framework",
}
_FLAG = re.compile(r"(?:argument )?--([a-z][a-z-]*[a-z])(?: flag\b)?")


class OperationFailed(Problem):
    """An operation ended with an error that has no class of its own; `status` is the server's."""


class Cancelled(Problem):
    """It was cancelled before it was done."""

    status = "CANCELLED"


class JobFailed(Problem):
    """A job that was waited for ended without success.

    Args:
        job: As it ended.
    """

    status = "ABORTED"

    def __init__(self, job: JobRecord) -> None:
        reason = f"\n{job.error_message.rstrip()}" if job.error_message else ""
        super().__init__(
            f"Job {job.id} {job.state}.{reason}", hint=f"Its log: mlengine jobs stream-logs {job.id}"
        )
        self.job = job


def refusal(reply: Reply) -> Problem:
    """An answer of 300 or above as an exception, with the server's words and details."""
    found = problem(reply.status, reply.reason, reply.content)
    try:
        details = json.loads(reply.content)["error"]["details"]
    except (ValueError, KeyError, TypeError):
        return found
    if isinstance(details, list):
        said = tuple(detail for detail in details if isinstance(detail, dict))
        if said and found.details[: len(said)] != said:
            found.details = (*said, *found.details)
    return found


def of_operation(error: Json) -> Problem:
    """The error of a finished operation as an exception."""
    message = str(error.get("message") or "The operation failed.")
    details = tuple(detail for detail in error.get("details") or () if isinstance(detail, dict))
    status = _STATUSES.get(int(error.get("code") or 2), "")
    if status == "CANCELLED":
        return Cancelled(message, details=details)
    if not status:
        return OperationFailed(message, details=details)
    found = problem(0, "", json.dumps({"error": {"message": message, "status": status}}).encode())
    return type(found)(message, details=details)


def in_python(found: Problem) -> Problem:
    """A problem of the command line's own checks, naming arguments instead of flags.

    One that the server told is left as it is.
    """
    if found.code:
        return found

    def named(text: str) -> str:
        return _FLAG.sub(lambda match: _ARGUMENTS.get(match[1], match[0]), text)

    found.message, found.hint = named(found.message), named(found.hint)
    found.args = (found.message,)
    return found
