"""A job's log lines, as they come: the queries and the rule by which following a job ends."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from mlengine.client.api import Api
from mlengine.client.http import Json
from mlengine.clock import from_text, to_text
from mlengine.errors import Unavailable

_PAGE = 1000
# A server that restarts is back well within this; longer means that it was stopped.
_OUTAGE_SECONDS = 60.0
_OVERLAP = timedelta(seconds=1)


class Place:
    """How far a log has been read.

    Several processes write: a line may become visible a moment after a younger one of another process. So the
    last second is asked for again, and what is known of it left out; where it is too full for that, only what
    lies behind the very last entry is asked for. Entries of one moment are told apart by their insert ids.
    """

    def __init__(self) -> None:
        self._recent: dict[str, datetime] = {}
        self._last = ("", "")

    @property
    def after(self) -> str:
        """The filter term for everything that may be new."""
        moment, insert_id = self._last
        if not moment:
            return 'timestamp>="1970-01-01T00:00:00Z"'
        if len(self._recent) < _PAGE // 2:
            return f'timestamp>="{to_text(from_text(moment) - _OVERLAP)}"'
        quoted = json.dumps(moment)
        return f"((timestamp={quoted} AND insertId>{json.dumps(insert_id)}) OR timestamp>{quoted})"

    def passed(self, entry: Json) -> bool:
        """Take note of an entry; whether it is new."""
        moment, insert_id = entry["timestamp"], entry.get("insertId", "")
        if insert_id in self._recent:
            return False
        here = from_text(moment)
        self._recent[insert_id] = here
        if not self._last[0] or here >= from_text(self._last[0]):
            self._last = (moment, insert_id)
            if self._recent and here - next(iter(self._recent.values())) > 2 * _OVERLAP:
                self._recent = {name: at for name, at in self._recent.items() if at >= here - _OVERLAP}
        return True


@dataclass(frozen=True, slots=True)
class Pace:
    """The pause between two looks at a log: short after a line, growing while nothing comes."""

    first_seconds: float = 0.5
    longest_seconds: float = 2.0

    def after_nothing(self, seconds: float) -> float:
        """The pause that follows one of `seconds` in which nothing came."""
        return min(seconds * 1.25, self.longest_seconds)


_EASY = Pace()


def follow(
    api: Api,
    job_id: str,
    *,
    task: str = "",
    pace: Pace = _EASY,
    notify: Callable[[str], None] = lambda _: None,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Json]:
    """Every log entry of a job, the old ones first, until the job has ended and all is read.

    Args:
        task: Only the lines of this task ("master-replica-0").
        pace: How long to wait between two looks.
        notify: Told in a sentence when the server is away and when it is back.

    Raises:
        NotFound: no such job.
        Unavailable: the server stays away for a minute.
    """
    place = Place()
    away_since = 0.0
    pause = pace.first_seconds
    while True:
        pause = pace.after_nothing(pause)
        try:
            # Asked before the entries are read: what a finished job wrote is then all there.
            over = bool(api.job(job_id).get("endTime"))
            for entry in entries(api, job_id, place.after, task=task):
                if place.passed(entry):
                    pause = pace.first_seconds
                    yield entry
        except Unavailable:
            if not away_since:
                away_since = time.monotonic()
                notify(f"No answer from {api.connection.endpoint}; the job goes on there. Trying again.")
            elif time.monotonic() - away_since > _OUTAGE_SECONDS:
                raise
        else:
            if away_since:
                away_since = 0.0
                notify("The server answers again.")
            if over:
                return
        sleep(pause)


def entries(api: Api, job_id: str, after: str, *, task: str = "") -> Iterator[Json]:
    """All entries that fit the filter term `after`, oldest first."""
    body = query(api.project, job_id, after, task=task)
    while True:
        page = api.connection.call("POST", "/v2/entries:list", body=body)
        yield from page.get("entries", [])
        if not page.get("nextPageToken"):
            return
        body["pageToken"] = page["nextPageToken"]


def query(project: str, job_id: str, after: str, *, task: str = "") -> Json:
    """The body that asks `/v2/entries:list` for the first page of a job's entries."""
    terms = [
        '(resource.type="ml_job" OR resource.type="cloudml_job")',
        f"resource.labels.job_id={json.dumps(job_id)}",
        after,
    ]
    if task:
        quoted = json.dumps(task)
        terms.append(f"(resource.labels.task_name={quoted} OR labels.task_name={quoted})")
    return {
        "filter": " AND ".join(terms),
        "orderBy": "timestamp asc",
        "pageSize": _PAGE,
        "resourceNames": [f"projects/{project}"],
    }


@dataclass(frozen=True, slots=True)
class Line:
    """One entry, taken apart for a reader."""

    severity: str
    timestamp: str
    task: str
    trial: str
    message: str


def line(entry: Json) -> Line:
    """What a reader sees of an entry; labels are looked up under each of the names in use."""
    labels = entry.get("labels", {})
    task = (
        entry.get("resource", {}).get("labels", {}).get("task_name")
        or labels.get("task_name")
        or labels.get("ml.googleapis.com/task_name")
        or "unknown_task"
    )
    trial = labels.get("trial_id") or labels.get("ml.googleapis.com/trial_id") or ""
    message = entry.get("jsonPayload", {}).get("message") or entry.get("textPayload") or ""
    return Line(
        entry.get("severity", "DEFAULT"), entry.get("timestamp", ""), str(task), str(trial), str(message)
    )
