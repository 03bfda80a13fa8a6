"""What can go wrong, in words a user can act on. Doors (web, command line) translate; nobody else does.

Each class carries one canonical status of google.rpc.Code; `web/envelope.py` alone knows its HTTP number.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, ClassVar


class Problem(Exception):
    """Something a caller must hear about: what, where, why, and what to do next.

    Args:
        message: What went wrong, where and why, in whole sentences.
        hint: What to do next; shown on a line of its own.
        field: The request field at fault in snake_case ("job.job_id"), when there is one.
        details: Further `google.rpc` detail objects, ready for JSON.
    """

    status: ClassVar[str] = "UNKNOWN"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        field: str = "",
        details: tuple[Mapping[str, Any], ...] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.field = field
        self.details = details

    @property
    def code(self) -> int:
        """The HTTP number with which a server told it; 0 for a problem found on this side."""
        return next((int(detail["httpStatus"]) for detail in self.details if "httpStatus" in detail), 0)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message


class InvalidArgument(Problem):
    """The request can never work, whatever the state of the system."""

    status = "INVALID_ARGUMENT"


class FailedPrecondition(Problem):
    """The request does not fit the present state; changing the state may help."""

    status = "FAILED_PRECONDITION"


class OutOfRange(Problem):
    """A position lies past the end (a byte range, a page)."""

    status = "OUT_OF_RANGE"


class NotFound(Problem):
    """No such resource."""

    status = "NOT_FOUND"


class AlreadyExists(Problem):
    """The name is taken."""

    status = "ALREADY_EXISTS"


class Conflict(Problem):
    """Somebody else changed the resource meanwhile: read it again, then retry."""

    status = "ABORTED"


class PreconditionFailed(FailedPrecondition):
    """The caller made the request depend on a state (a generation, an etag) that is not, or no longer, so."""


class NotModified(FailedPrecondition):
    """The caller wanted the resource only if it had changed, and it has not."""


class RangeNotSatisfiable(OutOfRange):
    """The bytes asked for lie past the end of the content.

    Args:
        size: Length of the content in bytes.
    """

    def __init__(self, message: str, *, size: int) -> None:
        super().__init__(message)
        self.size = size


class Unauthenticated(Problem):
    """Who is calling is not known, and has to be; or what was shown to prove it is not good."""

    status = "UNAUTHENTICATED"


class PermissionDenied(Problem):
    """The caller is known, but may not."""

    status = "PERMISSION_DENIED"


class ResourceExhausted(Problem):
    """A limit is reached; later, or smaller, may work."""

    status = "RESOURCE_EXHAUSTED"


class QuotaExceeded(ResourceExhausted):
    """What is to be stored does not fit into the project's quota. Waiting does not help; deleting does."""


class Unavailable(Problem):
    """Not now; the same request may succeed in a moment."""

    status = "UNAVAILABLE"


class DeadlineExceeded(Problem):
    """It took longer than allowed."""

    status = "DEADLINE_EXCEEDED"


class Internal(Problem):
    """Our fault. The message carries what is needed to find it in the server's log."""

    status = "INTERNAL"


def nearest(name: str, known: list[str] | tuple[str, ...]) -> str:
    """A hint naming the closest of `known`, or the empty string when nothing is close."""
    close = get_close_matches(name, known, n=1, cutoff=0.6)
    return f"Did you mean '{close[0]}'?" if close else ""
