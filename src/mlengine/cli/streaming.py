"""Following a job on the screen: its lines as gcloud writes them, and what its end means."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import TextIO

from mlengine.cli.session import Session
from mlengine.clock import from_text


def stream(
    session: Session,
    job_id: str,
    *,
    task: str = "",
    polling_seconds: float | None = None,
    whole: bool = False,
    out: TextIO | None = None,
) -> int:
    """Print a job's lines until it has ended: 0 if it succeeded, 1 if not, 130 if the user had enough.

    Args:
        polling_seconds: Time between two looks; None for short ones that grow while nothing comes.
        whole: A message of several lines is printed as one.
        out: Where to; standard output if None.
    """
    from mlengine.client.logs import Pace, follow, line

    sink = out or sys.stdout
    try:
        pace = Pace() if polling_seconds is None else Pace(polling_seconds, polling_seconds)
        for entry in follow(session.api, job_id, task=task, pace=pace, notify=session.say):
            parts = line(entry)
            for message in [parts.message] if whole else parts.message.splitlines() or [""]:
                head = (parts.severity, _shown(parts.timestamp), parts.task, parts.trial)
                print(*head, message, sep="\t", file=sink)
            sink.flush()
    except KeyboardInterrupt:
        session.say(
            f"\nNo longer watching; the job {job_id} goes on. Watch it again:\n\n"
            f"  $ mlengine jobs stream-logs {job_id}\n\nEnd it:\n\n  $ mlengine jobs cancel {job_id}"
        )
        return 130
    return result(session, job_id)


def result(session: Session, job_id: str) -> int:
    """0 if the finished job succeeded; 1 if not, after its reason on standard error."""
    job = session.api.job(job_id)
    if job.get("state") == "SUCCEEDED":
        return 0
    reason = str(job.get("errorMessage", "")).rstrip()
    session.error(f"Job [{job_id}] {job.get('state')}." + (f"\n{reason}" if reason else ""))
    return 1


def _shown(timestamp: str) -> str:
    try:
        moment: datetime = from_text(timestamp).astimezone()
    except ValueError:
        return timestamp
    return moment.strftime("%Y-%m-%d %H:%M:%S %z")
