"""The only SQL about jobs of tables, and about uploads that become jobs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    Index,
    String,
    Text,
    and_,
    delete,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy import Table as Relation

from mlengine.database import Moment
from mlengine.tables.domain import Job, JobError, State
from mlengine.tables.store import METADATA

JOBS = Relation(
    "table_jobs",
    METADATA,
    Column("project", String(63), primary_key=True),
    Column("job_id", String(1024), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("user", Text, nullable=False),
    Column("location", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("created", Moment, nullable=False),
    Column("started", Moment),
    Column("ended", Moment),
    Column("configuration", JSON, nullable=False),
    Column("error", JSON),
    Column("warnings", JSON, nullable=False),
    Column("statistics", JSON, nullable=False),
    Column("source", String(64), nullable=False),
    Index("ix_table_jobs_newest", "project", "created", "job_id"),
    Index("ix_table_jobs_state", "state"),
)
UPLOADS = Relation(
    "table_uploads",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("project", String(63), nullable=False),
    Column("created", Moment, nullable=False),
    Column("request", JSON, nullable=False),
    Column("job_id", String(1024), nullable=False),
)


# Jobs


def add_job(db: Connection, job: Job) -> None:
    """Write a new one. Raises IntegrityError's translation if the id is taken."""
    db.execute(insert(JOBS).values(**_job_row(job)))


def find_job(db: Connection, project: str, job_id: str) -> Job | None:
    """One job; None if there is none."""
    row = db.execute(
        select(JOBS).where((JOBS.c.project == project) & (JOBS.c.job_id == job_id))
    ).one_or_none()
    return None if row is None else _job(row)


def save_job(db: Connection, job: Job) -> bool:
    """Write a job that is not done yet; False if it is by now."""
    mine = (JOBS.c.project == job.project) & (JOBS.c.job_id == job.job_id) & (JOBS.c.state != State.DONE)
    return bool(db.execute(update(JOBS).where(mine).values(**_job_row(job))).rowcount)


def remove_job(db: Connection, project: str, job_id: str) -> None:
    """Forget a job."""
    db.execute(delete(JOBS).where((JOBS.c.project == project) & (JOBS.c.job_id == job_id)))


def unfinished_jobs(db: Connection) -> list[Job]:
    """Those that are not done."""
    return [_job(row) for row in db.execute(select(JOBS).where(JOBS.c.state != State.DONE))]


def list_jobs(
    db: Connection,
    project: str,
    *,
    states: Iterable[str] = (),
    after: tuple[datetime, str] | None = None,
    earliest: datetime | None = None,
    latest: datetime | None = None,
    limit: int,
) -> list[Job]:
    """A project's, the newest first."""
    wanted = select(JOBS).where(JOBS.c.project == project)
    if chosen := list(states):
        wanted = wanted.where(JOBS.c.state.in_(chosen))
    if earliest:
        wanted = wanted.where(JOBS.c.created >= earliest)
    if latest:
        wanted = wanted.where(JOBS.c.created <= latest)
    if after:
        moment, job_id = after
        older = or_(JOBS.c.created < moment, and_(JOBS.c.created == moment, JOBS.c.job_id > job_id))
        wanted = wanted.where(older)
    wanted = wanted.order_by(JOBS.c.created.desc(), JOBS.c.job_id).limit(limit)
    return [_job(row) for row in db.execute(wanted)]


# Uploads


def add_upload(
    db: Connection, upload_id: str, *, project: str, request: Mapping[str, Any], now: datetime
) -> None:
    """Begin an upload in several requests."""
    db.execute(
        insert(UPLOADS).values(id=upload_id, project=project, created=now, request=dict(request), job_id="")
    )


def find_upload(db: Connection, project: str, upload_id: str) -> Any:
    """One upload; None if there is none."""
    return db.execute(
        select(UPLOADS).where((UPLOADS.c.id == upload_id) & (UPLOADS.c.project == project))
    ).one_or_none()


def finish_upload(db: Connection, upload_id: str, job_id: str) -> None:
    """Note which job an upload has become."""
    db.execute(update(UPLOADS).where(UPLOADS.c.id == upload_id).values(job_id=job_id))


def uploads_under_way(db: Connection, since: datetime) -> set[str]:
    """The ids of those that may still go on."""
    db.execute(delete(UPLOADS).where(UPLOADS.c.created < since))
    return set(db.execute(select(UPLOADS.c.id)).scalars())


def _job_row(job: Job) -> dict[str, Any]:
    return {
        "project": job.project,
        "job_id": job.job_id,
        "kind": job.kind,
        "user": job.user,
        "location": job.location,
        "state": job.state,
        "created": job.created,
        "started": job.started,
        "ended": job.ended,
        "configuration": dict(job.configuration),
        "error": asdict(job.error) if job.error else None,
        "warnings": [asdict(one) for one in job.warnings],
        "statistics": dict(job.statistics),
        "source": job.source,
    }


def _job(row: Any) -> Job:
    values = dict(row._mapping)
    values["state"] = State(values["state"])
    values["error"] = JobError(**values["error"]) if values["error"] else None
    values["warnings"] = tuple(JobError(**one) for one in values["warnings"])
    return Job(**values)
