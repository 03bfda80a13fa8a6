"""Table jobs on the screen: running them, and what they complain about."""

from __future__ import annotations

from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any

from mlengine.cli.session import Session

if TYPE_CHECKING:
    from mlengine.client.tables import Tables


def opened(session: Session) -> Tables:
    """The server's tables."""
    from mlengine.client.tables import Tables

    return Tables(session.connection, session.project)


def run(
    session: Session,
    tables: Tables,
    configuration: dict[str, Any],
    *,
    content: IO[bytes] | None = None,
    tell: Callable[[int, int], None] = lambda _position, _carried: None,
) -> dict[str, Any]:
    """Run a job, and tell its warnings. A failure is raised after each of its further lines was told."""
    from mlengine.client.tables import JobFailed

    try:
        job = tables.run(configuration, content=content, tell=tell)
    except JobFailed as failed:
        for line in failed.lines:
            session.error(f"  {line}")
        raise
    for one in job["status"].get("errors", ()):
        session.warn(str(one.get("message", "")))
    return job
