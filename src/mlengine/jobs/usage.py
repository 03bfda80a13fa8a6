"""What jobs use and run on, while they do and after: read where the machine keeps it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from mlengine.errors import NotFound
from mlengine.jobs.domain import Job
from mlengine.jobs.executor import Sample
from mlengine.jobs.service import JobService
from mlengine.names import JobName


class UsageService:
    """Samples and requirements of jobs.

    Args:
        samples: What a task used after a moment, by its id.
        requirements: All that a job runs on; "" while nobody knows.
    """

    def __init__(
        self,
        jobs: JobService,
        *,
        samples: Callable[[str, datetime | None], list[Sample]],
        requirements: Callable[[Job], str],
    ) -> None:
        self._jobs = jobs
        self._samples = samples
        self._requirements = requirements

    def samples(self, name: JobName, since: datetime | None = None) -> dict[str, list[Sample]]:
        """What each replica of a job used, oldest first; of a job that was started again, the last time."""
        job = self._jobs.get(name)[0]
        return {replica: self._samples(task_id, since) for replica, task_id in job.task_ids.items()}

    def requirements(self, name: JobName) -> str:
        """The distributions a job runs on, as pip reads them.

        Raises:
            NotFound: they are not known yet, or it ended before they were.
        """
        if found := self._requirements(self._jobs.get(name)[0]):
            return found
        raise NotFound(
            f"What job '{name.job}' runs on is not known.",
            hint="It is from the moment on that its environment is ready.",
            field="name",
        )
