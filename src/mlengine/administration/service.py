"""What runs on the machine, what waits for it, and whether the parts of the server are well."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mlengine.administration.domain import Measured, Part, WorkerProcess
from mlengine.administration.overview import Overview, Running, Serving, Waiting
from mlengine.errors import Problem
from mlengine.jobs.domain import Job
from mlengine.jobs.executor import Sample
from mlengine.jobs.service import JobService
from mlengine.machines import Machine
from mlengine.models.service import ModelService

# Rows of the queue that are told; the number of the others is.
_MOST_WAITING = 200


class MachineService:
    """The machine, for those who look at it.

    Args:
        machine: What jobs may have of it.
        slots: Jobs that may run at once.
        measure: Measures it.
        last_sample: What a task used last, by its id.
        processes: Those that serve versions.
        checks: Raises when a part of the server does not do its work, by the part's name.
    """

    def __init__(
        self,
        jobs: JobService,
        models: ModelService,
        *,
        machine: Machine,
        slots: int,
        measure: Callable[[], Measured],
        last_sample: Callable[[str], Sample | None],
        processes: Callable[[], list[WorkerProcess]],
        checks: Mapping[str, Callable[[], object]],
    ) -> None:
        self._jobs = jobs
        self._models = models
        self._machine = machine
        self._slots = slots
        self._measure = measure
        self._last_sample = last_sample
        self._processes = processes
        self._checks = checks

    def overview(self) -> Overview:
        """The machine now."""
        queue, queued = self._jobs.head_of_queue(_MOST_WAITING)
        return Overview(
            measured=self._measure(),
            machine=self._machine,
            slots=self._slots,
            running=tuple(Running(job=job, used=self._used(job)) for job in self._jobs.moving()),
            serving=self._serving(),
            waiting=tuple(
                Waiting(job=job, position=place.position, reason=place.waits) for job, place in queue
            ),
            queued=queued,
            parts=tuple(_checked(name, check) for name, check in self._checks.items()),
        )

    def runtimes_in_use(self) -> dict[str, tuple[int, int]]:
        """Jobs that have begun and versions that are served, by the runtime on which they run."""
        found: dict[str, tuple[int, int]] = {}
        for job in self._jobs.moving():
            jobs, versions = found.get(job.training.runtime, (0, 0))
            found[job.training.runtime] = (jobs + 1, versions)
        for version in self._models.to_deploy():
            jobs, versions = found.get(version.runtime, (0, 0))
            found[version.runtime] = (jobs, versions + 1)
        return found

    def _used(self, job: Job) -> dict[str, Sample]:
        samples = {name: self._last_sample(task) for name, task in job.task_ids.items()}
        return {name: sample for name, sample in samples.items() if sample is not None}

    def _serving(self) -> tuple[Serving, ...]:
        by_uid = {version.uid: version for version in self._models.to_deploy()}
        found = [
            Serving(version=by_uid[process.uid], process=process)
            for process in self._processes()
            if process.uid in by_uid
        ]
        return tuple(sorted(found, key=lambda one: (str(one.version.name), one.process.node)))


def _checked(name: str, check: Callable[[], object]) -> Part:
    try:
        check()
    except Problem as problem:
        return Part(name=name, problem=problem.message)
    except Exception as error:  # a database's driver has classes of its own
        return Part(name=name, problem=f"{type(error).__name__}: {error}")
    return Part(name=name)
