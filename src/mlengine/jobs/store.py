"""The only SQL about jobs."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Connection,
    MetaData,
    String,
    Table,
    func,
    insert,
    select,
)
from sqlalchemy import update as sql_update

from mlengine.database import Moment, Words
from mlengine.errors import AlreadyExists, Conflict, NotFound, nearest
from mlengine.jobs.domain import FINAL, Job, State, TrainingInput
from mlengine.names import LONGEST_ID, JobName

METADATA = MetaData()
_NUMBER = re.compile(r"[0-9]{1,9}$")
JOBS = Table(
    "jobs",
    METADATA,
    Column("project", String(63), primary_key=True),
    Column("job", String(128), primary_key=True),
    Column("uid", String(32), nullable=False, unique=True),
    Column("training", JSON, nullable=False),
    Column("created", Moment, nullable=False, index=True),
    Column("state", String(16), nullable=False, index=True),
    Column("started", Moment),
    Column("ended", Moment),
    Column("error_message", Words, nullable=False),
    Column("labels", JSON, nullable=False),
    Column("notes", JSON, nullable=False),
    Column("generation", BigInteger, nullable=False),
)


def add(db: Connection, job: Job) -> None:
    """Write a new job; AlreadyExists, with the next free id, when the id was ever used."""
    if db.execute(select(JOBS.c.uid).where(_is(job.name))).first():
        raise AlreadyExists(
            "A job with this id already exists.",
            hint=f"'{_next_free(db, job.name)}' is free.",
            field="job.job_id",
        )
    db.execute(insert(JOBS).values(**_row(job)))


def get(db: Connection, name: JobName, *, lock: bool = False) -> Job:
    """The job called `name`, or NotFound with the nearest one.

    Args:
        lock: Let nobody else change it before this transaction ends.
    """
    query = select(JOBS).where(_is(name))
    row = db.execute(query.with_for_update() if lock else query).first()
    if row is None:
        ids = select(JOBS.c.job).where(JOBS.c.project == name.project)
        recent = db.execute(ids.order_by(JOBS.c.created.desc()).limit(1000)).scalars()
        raise NotFound(
            f"There is no job '{name.job}' in project '{name.project}'.",
            hint=nearest(name.job, [str(found) for found in recent]),
            field="name",
        )
    return _job(row._mapping)


def save(db: Connection, job: Job) -> Job:
    """Write `job` unless someone else wrote it since it was read."""
    row = _row(job) | {"generation": job.generation + 1}
    unchanged = _is(job.name) & (JOBS.c.generation == job.generation)
    if db.execute(sql_update(JOBS).where(unchanged).values(**row)).rowcount == 0:
        raise Conflict(f"Job {job.name.job} changed meanwhile.")
    return _job(row)


def page(db: Connection, project: str, *, after: str, limit: int) -> list[Job]:
    """Jobs, newest first; those past the one whose uid is `after`."""
    query = select(JOBS).where(JOBS.c.project == project)
    if after:
        last = select(JOBS.c.created).where(JOBS.c.uid == after).scalar_subquery()
        query = query.where((JOBS.c.created < last) | ((JOBS.c.created == last) & (JOBS.c.uid < after)))
    rows = db.execute(query.order_by(JOBS.c.created.desc(), JOBS.c.uid.desc()).limit(limit))
    return [_job(row._mapping) for row in rows]


def unfinished(db: Connection) -> list[Job]:
    """Every job that is not in a final state, oldest first."""
    states = [state.value for state in State if state not in FINAL]
    query = select(JOBS).where(JOBS.c.state.in_(states)).order_by(JOBS.c.created, JOBS.c.uid)
    return [_job(row._mapping) for row in db.execute(query)]


def queue_position(db: Connection, job: Job) -> int:
    """The place of a QUEUED job in the queue, from 1."""
    ahead = (JOBS.c.state == State.QUEUED.value) & (
        (JOBS.c.created < job.created) | ((JOBS.c.created == job.created) & (JOBS.c.uid < job.uid))
    )
    return int(db.execute(select(func.count()).select_from(JOBS).where(ahead)).scalar_one()) + 1


def queue_positions(db: Connection) -> dict[str, int]:
    """The places of all QUEUED jobs in the queue, from 1, by their uids."""
    query = select(JOBS.c.uid).where(JOBS.c.state == State.QUEUED.value)
    ordered = db.execute(query.order_by(JOBS.c.created, JOBS.c.uid)).scalars()
    return {str(uid): place for place, uid in enumerate(ordered, 1)}


def _next_free(db: Connection, name: JobName) -> str:
    # Counting goes on from the id's own number: train_7 gives train_8, train gives train_2.
    match = _NUMBER.search(name.job)
    digits = match[0] if match else ""
    stem, number = (name.job[: -len(digits)], int(digits)) if digits else (f"{name.job}_", 1)
    alike = JOBS.c.job.startswith(stem[: LONGEST_ID - 20], autoescape=True)
    taken = set(db.execute(select(JOBS.c.job).where(JOBS.c.project == name.project, alike)).scalars())
    while True:
        number += 1
        suffix = str(number).zfill(len(digits))
        candidate = stem[: LONGEST_ID - len(suffix)] + suffix
        if candidate not in taken:
            return candidate


def _is(name: JobName) -> Any:
    return (JOBS.c.project == name.project) & (JOBS.c.job == name.job)


def _row(job: Job) -> dict[str, Any]:
    return {
        "project": job.name.project,
        "job": job.name.job,
        "uid": job.uid,
        "training": asdict(job.training),
        "created": job.created,
        "state": job.state.value,
        "started": job.started,
        "ended": job.ended,
        "error_message": job.error_message,
        "labels": job.labels,
        "notes": list(job.notes),
        "generation": job.generation,
    }


def _job(row: Any) -> Job:
    values = dict(row)
    training = dict(values.pop("training"))
    training["args"] = tuple(training["args"])
    training["package_uris"] = tuple(training["package_uris"])
    return Job(
        name=JobName(values.pop("project"), values.pop("job")),
        training=TrainingInput(**training),
        state=State(values.pop("state")),
        notes=tuple(values.pop("notes")),
        **values,
    )
