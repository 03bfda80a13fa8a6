"""What can be done with jobs: submit, look, label, cancel. The loop does what takes time."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from dataclasses import replace

from mlengine.clock import Clock
from mlengine.database import Database
from mlengine.environments import resolve
from mlengine.errors import Conflict, FailedPrecondition
from mlengine.jobs import store
from mlengine.jobs.domain import FINAL, Job, JobChange, JobRequest, State, machine_notes
from mlengine.names import JobName, ObjectUrl


class JobService:
    """Jobs, for those who submit and watch them.

    Args:
        object_exists: Whether an object is in its bucket.
        find_bucket: Raises NotFound when there is no such bucket.
        changed: Called after a change that the loop should look at.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        object_exists: Callable[[ObjectUrl], bool],
        find_bucket: Callable[[str], object],
        changed: Callable[[], None],
    ) -> None:
        self._database = database
        self._clock = clock
        self._object_exists = object_exists
        self._find_bucket = find_bucket
        self._changed = changed

    def submit(self, request: JobRequest) -> Job:
        """Queue a job.

        Raises:
            AlreadyExists: the id was used before; a free one is offered.
            FailedPrecondition: a package or the bucket of the job-dir is not there.
            InvalidArgument: the runtime version is unknown, or the Python version does not go with it.
        """
        training = request.training
        resolution = resolve(training.runtime_version, training.python_version)
        for position, uri in enumerate(training.package_uris):
            if not self._object_exists(ObjectUrl.parse(uri)):
                raise FailedPrecondition(
                    f"There is no package at {uri}.",
                    field=f"job.training_input.package_uris[{position}]",
                )
        if training.job_dir:
            self._find_bucket(ObjectUrl.parse(training.job_dir, field="job.training_input.job_dir").bucket)
        job = Job(
            name=request.name,
            uid=uuid.uuid4().hex[:16],
            training=replace(training, runtime=resolution.runtime.name),
            created=self._clock(),
            labels=request.labels,
            notes=(
                *resolution.notes,
                *machine_notes(training, cpus=os.cpu_count() or 1, memory=_memory_gb()),
            ),
        )
        with self._database.begin() as db:
            store.add(db, job)
        self._changed()
        return job

    def get(self, name: JobName) -> tuple[Job, int]:
        """A job, and its place in the queue (0 unless it is QUEUED)."""
        with self._database.read() as db:
            job = store.get(db, name)
            return job, store.queue_position(db, job) if job.state is State.QUEUED else 0

    def page(self, project: str, *, after: str, limit: int) -> list[tuple[Job, int]]:
        """Jobs, newest first, past the one whose uid is `after`; each with its place in the queue."""
        with self._database.read() as db:
            found = store.page(db, project, after=after, limit=limit)
            places = store.queue_positions(db) if any(job.state is State.QUEUED for job in found) else {}
            return [(job, places.get(job.uid, 0)) for job in found]

    def patch(self, name: JobName, change: JobChange) -> tuple[Job, int]:
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
                job = store.save(db, replace(job, labels=change.labels))
            return job, store.queue_position(db, job) if job.state is State.QUEUED else 0

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
        """Every job that is not in a final state, oldest first."""
        with self._database.read() as db:
            return store.unfinished(db)

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


def _memory_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
