"""What takes time: a job or an operation until it has ended, and a log while it grows."""

from __future__ import annotations

import time
from collections.abc import Callable

from mlengine.client import logs
from mlengine.client.addresses import part
from mlengine.client.http import Json
from mlengine.errors import DeadlineExceeded
from mlengine.sdk.caller import Caller
from mlengine.sdk.effects import Give, Pause, Steps
from mlengine.sdk.problems import JobFailed, of_operation
from mlengine.sdk.resources import FINAL, JobRecord, LogLine

OnLog = Callable[[LogLine], object]
_FIRST_LOOK, _SLOWEST_LOOK = 0.2, 3.0


def wait_job(
    caller: Caller, job_id: str, *, timeout: float | None, on_log: OnLog | None, check: bool
) -> Steps[Json]:
    """The job once it has ended, its log lines handed out on the way. Raises JobFailed, DeadlineExceeded."""
    looks = _Looks(timeout, f"Job {job_id} still runs", f"Watch it: mlengine jobs stream-logs {job_id}")
    place = logs.Place()
    while True:
        # Asked before the entries are read: what a finished job wrote is then all there.
        raw = yield from caller.call("GET", f"jobs/{part(job_id)}")
        if on_log:
            for line in (yield from _new_lines(caller, job_id, place, task="")):
                on_log(line)
        if raw.get("state") in FINAL:
            break
        yield looks.pause()
    job = JobRecord.read(raw)
    if check and not job.succeeded:
        raise JobFailed(job)
    return raw


def lines(caller: Caller, job_id: str, *, follow: bool, task: str) -> Steps[None]:
    """Give the lines of a job's log, oldest first; `follow` goes on until the job has ended."""
    place, looks = logs.Place(), _Looks(None, "", "")
    while True:
        raw = yield from caller.call("GET", f"jobs/{part(job_id)}")
        for line in (yield from _new_lines(caller, job_id, place, task=task)):
            yield Give(line)
        if not follow or raw.get("state") in FINAL:
            return
        yield looks.pause()


def wait_operation(caller: Caller, name: str, known: Json, *, timeout: float | None) -> Steps[Json]:
    """The operation once it is done. Raises DeadlineExceeded, and the operation's own error.

    Args:
        known: The operation as it was last seen.
    """
    short = name.rpartition("/")[2]
    looks = _Looks(timeout, f"Operation {short} goes on", f"Wait on: mlengine operations wait {short}")
    while not known.get("done"):
        known = yield from caller.call("GET", f"operations/{part(short)}")
        if not known.get("done"):
            yield looks.pause()
    if known.get("error"):
        raise of_operation(known["error"])
    return known


def _new_lines(caller: Caller, job_id: str, place: logs.Place, *, task: str) -> Steps[list[LogLine]]:
    body = logs.query(caller.project, job_id, place.after, task=task)
    found: list[LogLine] = []
    while True:
        page = yield from caller.call("POST", "/v2/entries:list", body=body, repeatable=True)
        found += [LogLine.read(entry) for entry in page.get("entries", []) if place.passed(entry)]
        if not page.get("nextPageToken"):
            return found
        body["pageToken"] = page["nextPageToken"]


class _Looks:
    """The pauses between looks at something that takes time, longer and longer, up to a deadline."""

    def __init__(self, timeout: float | None, what: str, hint: str) -> None:
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._timeout = timeout
        self._what = what
        self._hint = hint
        self._next = _FIRST_LOOK

    def pause(self) -> Pause:
        """The next one. Raises DeadlineExceeded."""
        left = self._next if self._deadline is None else self._deadline - time.monotonic()
        if left <= 0:
            raise DeadlineExceeded(f"{self._what} after {self._timeout:g} seconds.", hint=self._hint)
        seconds = min(self._next, left)
        self._next = min(self._next * 1.5, _SLOWEST_LOOK)
        return Pause(seconds)
