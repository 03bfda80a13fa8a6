"""The audit log of a project, newest first: read from its end, and never all of it at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from mlengine.administration.domain import Place, Trail
from mlengine.web.conditions import Condition

# Records that one call looks at; a filter that fits few of them comes back with what it has, and a token.
_MOST_READ = 50_000


class Page(NamedTuple):
    """Records, and where the next ones begin; None at the beginning of the log."""

    records: list[Mapping[str, Any]]
    next: Place | None


class AuditService:
    """Who did what, for those who may know.

    Args:
        first_project: To which belongs what concerns no project, or a bucket that is gone.
        bucket_project: The project of a bucket; "" if there is no such bucket.
    """

    def __init__(self, trail: Trail, *, first_project: str, bucket_project: Callable[[str], str]) -> None:
        self._trail = trail
        self._first_project = first_project
        self._bucket_project = bucket_project

    def page(
        self, project: str, *, before: Place | None, limit: int, wanted: Condition = lambda _: True
    ) -> Page:
        """At most `limit` records of a project.

        Args:
            before: Where the page before ended.
        """
        found: list[Mapping[str, Any]] = []
        buckets: dict[str, str] = {}
        place: Place | None = None
        for read, (place, record) in enumerate(self._trail.backwards(before), 1):
            if self._project_of(record, buckets) == project and wanted(record):
                found.append(record)
            if len(found) == limit or read == _MOST_READ:
                return Page(found, place)
        return Page(found, None)

    def _project_of(self, record: Mapping[str, Any], buckets: dict[str, str]) -> str:
        kind, _, rest = str(record.get("resource", "")).partition("/")
        name = rest.partition("/")[0]
        if kind == "projects":
            return name
        if kind == "buckets":
            if name not in buckets:
                buckets[name] = self._bucket_project(name)
            return buckets[name] or self._first_project
        return self._first_project
