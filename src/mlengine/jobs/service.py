"""What can be done with jobs: submit, look, label, cancel. The loop does what takes time."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from mlengine.clock import Clock
from mlengine.database import Database
from mlengine.environments import resolve
from mlengine.errors import Conflict, FailedPrecondition, Problem
from mlengine.jobs import store
from mlengine.jobs.admission import Plan, plan
from mlengine.jobs.domain import FINAL, Job, JobChange, JobRequest, State, replicas
from mlengine.jobs.selection import ALL, Selection
from mlengine.machines import Machine, misfit, notes
from mlengine.names import JobName, ObjectUrl
from mlengine.preflight.findings import Report
from mlengine.web.fields import Fields

_BEHIND = "It waits behind those before it."


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a job stands in the queue.

    Attributes:
        position: From 1; 0 for a job that is not QUEUED.
        waits: For what, in a sentence; empty where nobody asked, or where it need not wait any more.
    """

    position: int = 0
    waits: str = ""


class JobService:
    """Jobs, for those who submit and watch them.

    Args:
        object_exists: Whether an object is in its bucket.
        find_bucket: Raises NotFound when there is no such bucket.
        changed: Called after a change that the loop should look at.
        machine: What jobs may have of this machine.
        slots: Jobs that may run at once.
        inspect: Looks at a job before it is taken: sentences for its log; raises when it can never work.
        report: Looks at the same, for somebody who asks before he submits.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        object_exists: Callable[[ObjectUrl], bool],
        find_bucket: Callable[[str], object],
        changed: Callable[[], None],
        machine: Machine,
        slots: int,
        inspect: Callable[[JobRequest], tuple[str, ...]] = lambda _: (),
        report: Callable[[JobRequest], Report] = lambda _: Report(),
    ) -> None:
        self._database = database
        self._clock = clock
        self._object_exists = object_exists
        self._find_bucket = find_bucket
        self._changed = changed
        self._machine = machine
        self._slots = slots
        self._inspect = inspect
        self._report = report

    def submit(self, request: JobRequest) -> Job:
        """Queue a job.

        Raises:
            AlreadyExists: the id was used before; a free one is offered.
            FailedPrecondition: a package or the bucket of the job-dir is not there, or this machine has not
                what the job insists on.
            InvalidArgument: the runtime version is unknown, or the Python version does not go with it.
        """
        training = request.training
        resolution = resolve(training.runtime_version, training.python_version)
        for problem in self._missing(request):
            raise problem
        found = self._inspect(request)
        job = Job(
            name=request.name,
            uid=uuid.uuid4().hex[:16],
            training=replace(training, runtime=resolution.runtime.name),
            created=self._clock(),
            labels=request.labels,
            notes=(*resolution.notes, *notes(training.machines, self._machine), *found),
            replicas=replicas(training, self._machine),
        )
        with self._database.begin() as db:
            store.add(db, job)
        self._changed()
        return job

    def check(self, request: JobRequest) -> tuple[list[Problem], Report]:
        """What `submit` would say, without submitting: why it would refuse, and what the checks find."""
        problems = list(self._missing(request))
        try:
            with self._database.read() as db:
                store.refuse_used(db, request.name)
        except Problem as problem:
            problems.append(problem)
        there = tuple(uri for uri in request.training.package_uris if self._is_there(uri))
        # What is known to be missing is said above; nothing can be read of it.
        known = replace(request, training=replace(request.training, package_uris=there))
        return problems, self._report(known)

    def get(self, name: JobName) -> tuple[Job, Place]:
        """A job, and where it stands in the queue."""
        with self._database.read() as db:
            job = store.get(db, name)
            if job.state is not State.QUEUED:
                return job, Place()
            position = store.queue_position(db, job)
            ahead = self._plan(db)
        told = {waiting.uid: reason for waiting, reason in ahead.waiting}
        unseen = _BEHIND if position > self._slots else ""
        return job, Place(position=position, waits=told.get(job.uid, unseen))

    def page(
        self, project: str, *, after: str, limit: int, wanted: Selection = ALL
    ) -> list[tuple[Job, Place]]:
        """Jobs, newest first, past the one whose uid is `after`; each with its place in the queue.

        Args:
            wanted: Only these.
        """
        with self._database.read() as db:
            found = store.page(db, project, after=after, limit=limit, wanted=wanted)
            places = store.queue_positions(db) if any(job.state is State.QUEUED for job in found) else {}
            return [(job, Place(position=places.get(job.uid, 0))) for job in found]

    def patch(self, name: JobName, change: JobChange) -> tuple[Job, Place]:
        """Change a job's labels, in whatever state it is.

        Raises:
            Conflict: it is not the one that the client knew.
        """
        with self._database.begin() as db:
            job = store.get(db, name, lock=True)
            if change.generation not in (None, job.generation):
                raise Conflict(
                    f"Job '{name.job}' has changed since its etag was read; it is {job.state} now.",
                    hint="Read it again, and send the etag it has now.",
                    field="etag",
                )
            if change.labels is not None and change.labels != job.labels:
                job = store.relabel(db, replace(job, labels=change.labels))
            return job, Place(position=store.queue_position(db, job) if job.state is State.QUEUED else 0)

    def cancel(self, name: JobName) -> None:
        """Ask for the end. The loop does the killing; this only says so. A finished job stays as it is."""
        with self._database.begin() as db:
            job = store.get(db, name, lock=True)
            if job.state in FINAL or job.state is State.CANCELLING:
                return
            to = State.CANCELLED if job.state is State.QUEUED else State.CANCELLING
            store.save(db, job.move(to, self._clock(), error_message="The job was cancelled by its user."))
        self._changed()

    # What the loop asks and says.

    def unfinished(self) -> list[Job]:
        """Every job that is not in a final state, in the order in which they start."""
        with self._database.read() as db:
            return store.unfinished(db)

    def moving(self) -> list[Job]:
        """Every job that has left the queue and has not ended."""
        with self._database.read() as db:
            return store.moving(db)

    def plan(self) -> Plan:
        """Which jobs of the queue may start now."""
        with self._database.read() as db:
            return self._plan(db)

    def head_of_queue(self, most: int) -> tuple[list[tuple[Job, Place]], int]:
        """The first jobs of the queue, each with its place, and how many there are in all."""
        with self._database.read() as db:
            reasons = {waiting.uid: reason for waiting, reason in self._plan(db).waiting}
            found = [
                (job, Place(position=at, waits=reasons.get(job.uid, "" if at <= self._slots else _BEHIND)))
                for at, job in enumerate(store.queue(db, limit=most), 1)
            ]
            return found, len(found) if len(found) < most else store.queue_length(db)

    def position(self, job: Job) -> int:
        """The place of a QUEUED job in the queue, from 1."""
        with self._database.read() as db:
            return store.queue_position(db, job)

    def queued_since(self, moment: datetime) -> list[Job]:
        """Jobs in the queue that were submitted then or later, oldest first."""
        with self._database.read() as db:
            return store.queued_since(db, moment)

    def out_of_patience(self) -> list[Job]:
        """Jobs in the queue that have waited for longer than their maxWaitTime."""
        with self._database.read() as db:
            return store.out_of_patience(db, self._clock())

    def begin(self, job: Job) -> Job:
        """Take `job`, with the replicas it has, out of the queue; Conflict when it changed meanwhile."""
        with self._database.begin() as db:
            return store.save(db, job.move(State.PREPARING, self._clock()))

    def restart(self, job: Job) -> Job:
        """Have `job`, of which nothing runs any more, start once more; Conflict when it changed meanwhile."""
        again = job if job.state is State.PREPARING else job.move(State.PREPARING, self._clock())
        with self._database.begin() as db:
            return store.save(db, replace(again, restarts=job.restarts + 1))

    def move(self, job: Job, to: State, *, error_message: str = "") -> Job:
        """Write the next state of `job`; Conflict when it changed meanwhile."""
        with self._database.begin() as db:
            return store.save(db, job.move(to, self._clock(), error_message=error_message))

    def fail(self, name: JobName, reason: str) -> None:
        """End a job that cannot go on, in whatever state; one that is being cancelled is cancelled then."""
        with self._database.begin() as db:
            job = store.get(db, name, lock=True)
            if job.state in FINAL:
                return
            to = State.CANCELLED if job.state is State.CANCELLING else State.FAILED
            store.save(db, job.move(to, self._clock(), error_message=reason))

    def _missing(self, request: JobRequest) -> Iterator[Problem]:
        """What the job insists on and this server has not."""
        training = request.training
        if refusal := misfit(training.machines, self._machine):
            yield FailedPrecondition(
                f"{refusal.field} {refusal.sentence}",
                hint=refusal.hint,
                field=Fields({}, path="job.training_input").spell(refusal.field),
            )
        for position, uri in enumerate(training.package_uris):
            field = f"job.training_input.package_uris[{position}]"
            try:
                if not self._object_exists(ObjectUrl.parse(uri, field=field)):
                    yield FailedPrecondition(f"There is no package at {uri}.", field=field)
            except Problem as problem:  # no such bucket
                problem.field = problem.field or field
                yield problem
        if training.job_dir:
            field = "job.training_input.job_dir"
            try:
                self._find_bucket(ObjectUrl.parse(training.job_dir, field=field).bucket)
            except Problem as problem:
                problem.field = problem.field or field
                yield problem

    def _is_there(self, uri: str) -> bool:
        with suppress(Problem):
            return self._object_exists(ObjectUrl.parse(uri))
        return False

    def _plan(self, db: Connection) -> Plan:
        # Each job needs a slot, so no more of the queue can start than there are slots.
        queue = store.queue(db, limit=self._slots)
        return plan(store.moving(db), queue, machine=self._machine, slots=self._slots)
