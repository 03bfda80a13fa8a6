"""The only SQL about jobs."""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    FromClause,
    Index,
    Integer,
    MetaData,
    Select,
    String,
    Table,
    Tuple,
    delete,
    func,
    insert,
    literal,
    select,
    tuple_,
)
from sqlalchemy import update as sql_update

from mlengine.database import Moment, Words
from mlengine.errors import AlreadyExists, Conflict, NotFound, nearest
from mlengine.jobs.domain import FINAL, Job, Replica, State, TrainingInput
from mlengine.jobs.selection import ALL, Selection
from mlengine.machines import Accelerators, Role
from mlengine.names import LONGEST_ID, JobName

METADATA = MetaData()
_NUMBER = re.compile(r"[0-9]{1,9}$")
# What LIKE takes for something else, or databases and Python write otherwise in upper case: any letter will
# do in its place, for the filter itself decides in the end.
_LETTER = re.compile(r"[^a-hjl-rt-zA-HJL-RT-Z0-9 .]", re.ASCII)
JOBS = Table(
    "jobs",
    METADATA,
    Column("project", String(63), primary_key=True),
    Column("job", String(128), primary_key=True),
    Column("uid", String(32), nullable=False, unique=True),
    Column("training", JSON, nullable=False),
    Column("created", Moment, nullable=False),
    Column("state", String(16), nullable=False),
    Column("started", Moment),
    Column("ended", Moment),
    Column("error_message", Words, nullable=False),
    Column("labels", JSON, nullable=False),
    Column("notes", JSON, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("priority", Integer, nullable=False, server_default="0"),
    # When a job that still waits is cancelled.
    Column("wait_until", Moment),
    Column("replicas", JSON),
    Column("restarts", Integer, nullable=False, server_default="0"),
)
Index("ix_jobs_newest", JOBS.c.project, JOBS.c.created, JOBS.c.uid)
Index("ix_jobs_newest_in_state", JOBS.c.project, JOBS.c.state, JOBS.c.created, JOBS.c.uid)
Index("ix_jobs_queue", JOBS.c.state, JOBS.c.priority.desc(), JOBS.c.created, JOBS.c.uid)
Index("ix_jobs_wait", JOBS.c.state, JOBS.c.wait_until)
# What the column `labels` holds, once more, to be found by. A copy of `created` gives the order of lists.
LABELS = Table(
    "job_labels",
    METADATA,
    Column("uid", String(32), ForeignKey(JOBS.c.uid, ondelete="CASCADE"), primary_key=True),
    Column("key", String(63), primary_key=True),
    Column("value", String(63), nullable=False),
    Column("project", String(63), nullable=False),
    Column("created", Moment, nullable=False),
)
Index("ix_job_labels", LABELS.c.project, LABELS.c.key, LABELS.c.value, LABELS.c.created, LABELS.c.uid)
_QUEUED = JOBS.c.state == State.QUEUED.value
_IN_TURN = (JOBS.c.priority.desc(), JOBS.c.created, JOBS.c.uid)


def add(db: Connection, job: Job) -> None:
    """Write a new job; AlreadyExists, with the next free id, when the id was ever used."""
    refuse_used(db, job.name)
    db.execute(insert(JOBS).values(**_row(job)))
    _write_labels(db, job)


def refuse_used(db: Connection, name: JobName) -> None:
    """AlreadyExists, with the next free id, when the id was ever used."""
    if db.execute(select(JOBS.c.uid).where(_is(name))).first():
        raise AlreadyExists(
            "A job with this id already exists.",
            hint=f"'{_next_free(db, name)}' is free.",
            field="job.job_id",
        )


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


def relabel(db: Connection, job: Job) -> Job:
    """As `save`, of a job whose labels are others now."""
    db.execute(delete(LABELS).where(LABELS.c.uid == job.uid))
    _write_labels(db, job)
    return save(db, job)


def page(db: Connection, project: str, *, after: str, limit: int, wanted: Selection = ALL) -> list[Job]:
    """Jobs, newest first; those past the one whose uid is `after`.

    Args:
        wanted: Only these. Whatever it says, no more rows are read than an index leads to.
    """
    last = db.execute(select(JOBS.c.created).where(JOBS.c.uid == after)).scalar() if after else None
    states = [None] if wanted.is_of_all_states else sorted(wanted.states)
    found: list[Job] = []
    # An index has the order of one state: the newest of several are among the newest of each.
    for state in states:
        query = _listed(project, state, wanted, after=(last, after) if last else None)
        found += [_job(row._mapping) for row in db.execute(query.limit(limit))]
    found.sort(key=lambda job: (job.created, job.uid), reverse=True)
    return found[:limit]


def _listed(
    project: str, state: State | None, wanted: Selection, *, after: tuple[datetime, str] | None
) -> Select[Any]:
    labels = dict(wanted.labels)
    query = select(JOBS)
    place: FromClause = JOBS
    if labels:
        place = LABELS.alias("label_0")
        query = query.select_from(place.join(JOBS, JOBS.c.uid == place.c.uid))
        for number, (key, value) in enumerate(labels.items()):
            other = LABELS.alias(f"label_{number}") if number else place
            if number:
                query = query.join(other, other.c.uid == place.c.uid)
            query = query.where(other.c.key == key, other.c.value == value)
    query = query.where(place.c.project == project)
    if state is not None:
        query = query.where(JOBS.c.state == state.value)
    if wanted.job_id:
        query = query.where(JOBS.c.project == project, JOBS.c.job == wanted.job_id)
    for part in wanted.id_parts:
        query = query.where(JOBS.c.job.ilike(f"%{_LETTER.sub('_', part)}%"))
    for message in wanted.messages:
        query = query.where(JOBS.c.error_message.ilike(f"%{_LETTER.sub('_', message)}%"))
    if wanted.since:
        query = query.where(place.c.created >= wanted.since)
    if wanted.until:
        query = query.where(place.c.created <= wanted.until)
    if after:
        query = query.where(tuple_(place.c.created, place.c.uid) < _place(*after))
    return query.order_by(place.c.created.desc(), place.c.uid.desc())


def _place(created: datetime, uid: str) -> Tuple:
    return tuple_(literal(created, Moment), literal(uid, String))


def unfinished(db: Connection) -> list[Job]:
    """Every job that is not in a final state, in the order in which they start."""
    states = [state.value for state in State if state not in FINAL]
    query = select(JOBS).where(JOBS.c.state.in_(states)).order_by(*_IN_TURN)
    return [_job(row._mapping) for row in db.execute(query)]


def moving(db: Connection) -> list[Job]:
    """Every job that holds something of the machine."""
    states = [state.value for state in State if state not in {*FINAL, State.QUEUED}]
    query = select(JOBS).where(JOBS.c.state.in_(states)).order_by(*_IN_TURN)
    return [_job(row._mapping) for row in db.execute(query)]


def queue(db: Connection, *, limit: int) -> list[Job]:
    """The first jobs of the queue: by priority, then by age."""
    query = select(JOBS).where(_QUEUED).order_by(*_IN_TURN).limit(limit)
    return [_job(row._mapping) for row in db.execute(query)]


def queue_length(db: Connection) -> int:
    """How many jobs are in the queue."""
    return int(db.execute(select(func.count()).select_from(JOBS).where(_QUEUED)).scalar_one())


def queued_since(db: Connection, moment: datetime) -> list[Job]:
    """Jobs in the queue that were submitted then or later, oldest first."""
    query = select(JOBS).where(_QUEUED, JOBS.c.created >= moment).order_by(JOBS.c.created, JOBS.c.uid)
    return [_job(row._mapping) for row in db.execute(query)]


def out_of_patience(db: Connection, now: datetime) -> list[Job]:
    """Jobs in the queue that have waited for longer than they wanted to."""
    query = select(JOBS).where(_QUEUED, JOBS.c.wait_until < now)
    return [_job(row._mapping) for row in db.execute(query)]


def queue_position(db: Connection, job: Job) -> int:
    """The place of a QUEUED job in the queue, from 1."""
    older = tuple_(JOBS.c.created, JOBS.c.uid) < _place(job.created, job.uid)
    ahead = (JOBS.c.priority > job.training.priority) | ((JOBS.c.priority == job.training.priority) & older)
    return int(db.execute(select(func.count()).select_from(JOBS).where(_QUEUED, ahead)).scalar_one()) + 1


def queue_positions(db: Connection) -> dict[str, int]:
    """The places of all QUEUED jobs in the queue, from 1, by their uids."""
    ordered = db.execute(select(JOBS.c.uid).where(_QUEUED).order_by(*_IN_TURN)).scalars()
    return {str(uid): place for place, uid in enumerate(ordered, 1)}


def _write_labels(db: Connection, job: Job) -> None:
    rows = [
        {"uid": job.uid, "key": key, "value": value, "project": job.name.project, "created": job.created}
        for key, value in job.labels.items()
    ]
    if rows:
        db.execute(insert(LABELS), rows)


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
    patience = job.training.max_wait_seconds
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
        "priority": job.training.priority,
        "wait_until": job.created + timedelta(seconds=patience) if patience else None,
        "replicas": [asdict(replica) for replica in job.replicas],
        "restarts": job.restarts,
    }


def _job(row: Any) -> Job:
    values = dict(row)
    training = dict(values.pop("training"))
    training["args"] = tuple(training["args"])
    training["package_uris"] = tuple(training["package_uris"])
    training["accelerators"] = {
        Role(role): Accelerators(**found) for role, found in training.get("accelerators", {}).items()
    }
    # Both are columns only to be sought by; the training says the same.
    del values["priority"], values["wait_until"]
    return Job(
        name=JobName(values.pop("project"), values.pop("job")),
        training=TrainingInput(**training),
        state=State(values.pop("state")),
        notes=tuple(values.pop("notes")),
        replicas=tuple(
            Replica(**{**found, "role": Role(found["role"]), "gpus": tuple(found["gpus"])})
            for found in values.pop("replicas") or ()
        ),
        **values,
    )
