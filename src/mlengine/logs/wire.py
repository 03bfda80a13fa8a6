"""Log entries, and the request for them, as Cloud Logging spells them."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from mlengine.errors import InvalidArgument
from mlengine.logs.domain import Entry
from mlengine.names import check_project

_DEFAULT, _MOST = 50, 1000
_ORDER = re.compile(r"timestamp(?:\s+(asc|desc))?")
_RESOURCE = re.compile(r"projects/([^/]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRequest:
    """What `entries:list` is asked for; `after` is the insert id of the last entry of the page before."""

    projects: tuple[str, ...]
    filter: str
    descending: bool
    size: int
    after: str


def entry_json(entry: Entry) -> dict[str, Any]:
    """An entry as a LogEntry."""
    labels = {"ml.googleapis.com/job_id": entry.job.job, "ml.googleapis.com/task_name": entry.task}
    if entry.trial:
        labels["ml.googleapis.com/trial_id"] = entry.trial
    # Clients compare timestamps as text: all have the same width.
    moment = entry.time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return {
        "insertId": entry.insert_id,
        "timestamp": moment,
        "receiveTimestamp": moment,
        "severity": entry.severity,
        "logName": f"projects/{entry.job.project}/logs/{entry.task}",
        "resource": {
            "type": "ml_job",
            "labels": {
                "job_id": entry.job.job,
                "task_name": entry.task,
                "project_id": entry.job.project,
            },
        },
        "labels": labels,
        "jsonPayload": {"message": entry.message},
    }


def list_request(body: dict[str, Any]) -> ListRequest:
    """Read the body of `entries:list`.

    Raises:
        InvalidArgument: naming the field at fault.
    """
    order = _text(body, "orderBy") or "timestamp asc"
    match = _ORDER.fullmatch(order.strip())
    if not match:
        raise InvalidArgument(
            f"Entries cannot be ordered by '{order[:60]}'.",
            hint="Use 'timestamp asc' or 'timestamp desc'.",
            field="order_by",
        )
    size = body.get("pageSize") or _DEFAULT
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        raise InvalidArgument(f"{size!r} is no page size: 1 to {_MOST}.", field="page_size")
    return ListRequest(
        projects=_projects(body),
        filter=_text(body, "filter"),
        descending=match[1] == "desc",
        size=min(size, _MOST),
        after=_after(_text(body, "pageToken"), order),
    )


def page_token(entry: Entry, *, descending: bool) -> str:
    """A token for the page behind `entry`."""
    text = f"{'desc' if descending else 'asc'} {entry.insert_id}"
    return base64.urlsafe_b64encode(text.encode()).decode()


def _after(token: str, order: str) -> str:
    if not token:
        return ""
    try:
        direction, _, insert_id = base64.urlsafe_b64decode(token.encode()).decode().partition(" ")
    except (binascii.Error, ValueError):
        direction, insert_id = "", ""
    if not insert_id or direction != ("desc" if "desc" in order else "asc"):
        raise InvalidArgument("The page token is not from this list.", field="page_token")
    return insert_id


def _projects(body: dict[str, Any]) -> tuple[str, ...]:
    found: list[str] = []
    for key, is_name in (("resourceNames", True), ("projectIds", False)):
        values = body.get(key) or []
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise InvalidArgument(f"{key} must be a list of strings, not {values!r}."[:400])
        for value in values:
            match = _RESOURCE.fullmatch(value) if is_name else None
            if is_name and not match:
                raise InvalidArgument(
                    f"'{value[:80]}' has no logs here.",
                    hint="Name a project: projects/PROJECT.",
                    field="resource_names",
                )
            found.append(check_project(match[1] if match else value))
    if not found:
        raise InvalidArgument(
            "Whose logs?", hint='Send {"resourceNames": ["projects/PROJECT"]}.', field="resource_names"
        )
    return tuple(dict.fromkeys(found))


def _text(body: dict[str, Any], key: str) -> str:
    value = body.get(key) or ""
    if not isinstance(value, str):
        raise InvalidArgument(f"{key} must be a string, not {value!r}."[:400])
    return value
