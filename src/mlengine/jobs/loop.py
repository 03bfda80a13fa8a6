"""Moves jobs on: from the queue to a task, from a task's end to the job's.

Every turn reads the rows, acts outside any transaction, and writes what changed. Acting twice is
harmless (the executor knows tasks by our ids), so the loop may die between any two lines.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from datetime import timedelta

from mlengine.clock import Clock
from mlengine.errors import Conflict, Problem, Unavailable
from mlengine.jobs.domain import MASTER, Job, State
from mlengine.jobs.executor import Executor, Outcome, Phase, Task
from mlengine.jobs.service import JobService
from mlengine.logs.service import LogService

_LOG = logging.getLogger(__name__)
_BUSY_SECONDS, _IDLE_SECONDS = 0.1, 2.0
_ENDED_TIMED_OUT = "The job ran longer than its maxRunningTime of {seconds:.9g} s and was cancelled."


class JobLoop:
    """The scheduler of one machine.

    Args:
        prepare: Stages what a job needs and describes its task; may be called again for the same job.
        discard: Takes away what was staged, once nothing of the job runs any more; its log stays.
        slots: Jobs that may run at once.
    """

    def __init__(
        self,
        service: JobService,
        executor: Executor,
        logs: LogService,
        clock: Clock,
        *,
        prepare: Callable[[Job], Task],
        discard: Callable[[Job], None],
        slots: int,
    ) -> None:
        self._service = service
        self._executor = executor
        self._logs = logs
        self._clock = clock
        self._prepare = prepare
        self._discard = discard
        self._slots = slots
        self._asked: set[str] = set()
        self._greeted: set[str] = set()
        self._wake = threading.Event()
        self._stopping = False

    def wake(self) -> None:
        """There is something to do."""
        self._wake.set()

    def stop(self) -> None:
        """End `run` after the present turn; tasks live on."""
        self._stopping = True
        self._wake.set()

    def run(self) -> None:
        """Turn until stopped; a turn that fails is reported and tried again."""
        while not self._stopping:
            try:
                busy = self.turn()
            except Exception:
                _LOG.exception("The job loop stumbled; it goes on")
                busy = True
            self._wake.wait(_BUSY_SECONDS if busy else _IDLE_SECONDS)
            self._wake.clear()

    def turn(self) -> bool:
        """Look at every unfinished job once; true while there are any that move."""
        jobs = self._service.unfinished()
        moving = len(jobs)
        free = self._slots - sum(job.state is not State.QUEUED for job in jobs)
        for job in jobs:
            try:
                if job.state is not State.QUEUED:
                    self._advance(job)
                    continue
                self._greet(job)
                if free > 0:
                    free -= 1
                    self._begin(job)
            except Conflict:
                # Its user cancelled it between our look and our word: the next turn sees that.
                continue
            except Unavailable as busy:
                _LOG.warning("Job %s waits: %s", job.name, busy)
                moving -= 1
            except Exception as error:
                if not isinstance(error, Problem):
                    _LOG.exception("Job %s cannot be moved on", job.name)
                self._give_up(job, error)
        return moving > 0

    def _greet(self, job: Job) -> None:
        """Whoever follows the log of a job that waits sees at once that it is known."""
        if job.uid in self._greeted:
            return
        self._greeted.add(job.uid)
        self._say(job, "Validating job requirements...")
        self._say(job, "Job creation request has been successfully validated.")
        for note in job.notes:
            self._say(job, note, "WARNING")
        self._say(job, f"Job {job.name.job} is queued.")

    def _begin(self, job: Job) -> None:
        job = self._service.move(job, State.PREPARING)
        self._say(job, "Job is preparing.")
        self._advance(job)

    def _advance(self, job: Job) -> None:
        if job.uid not in self._asked:
            if job.state is State.PREPARING:
                self._executor.start(self._prepare(job))
            # In every state: it may have been cancelled between our start and our death.
            self._logs.attach(job.name, MASTER, self._executor.log_file(job.task_id))
            self._asked.add(job.uid)
        if job.state is State.CANCELLING:
            self._executor.stop(job.task_id)
        outcome = self._executor.poll(job.task_id)
        if outcome.phase is Phase.RUNNING and job.state is State.PREPARING:
            job = self._service.move(job, State.RUNNING)
        if outcome.phase in (Phase.EXITED, Phase.LOST):
            self._end(job, outcome)
        elif (
            job.state is State.RUNNING
            and job.started
            and self._clock() - job.started > timedelta(seconds=job.training.max_running_seconds)
        ):
            self._service.move(
                job,
                State.CANCELLING,
                error_message=_ENDED_TIMED_OUT.format(seconds=job.training.max_running_seconds),
            )

    def _end(self, job: Job, outcome: Outcome) -> None:
        # Before the last word, so that a crash in between leaves nothing behind for ever.
        self._discard(job)
        if job.state is State.CANCELLING and not (outcome.exit_code == 0 and not outcome.stopped):
            self._say(job, job.error_message or "Job cancelled.", "WARNING")
            self._service.move(job, State.CANCELLED, error_message=job.error_message)
        elif outcome.exit_code == 0:
            self._say(job, "Job completed successfully.")
            self._service.move(job, State.SUCCEEDED)
        else:
            self._fail(job, self._reason(job, outcome))
        self._asked.discard(job.uid)
        self._greeted.discard(job.uid)

    def _give_up(self, job: Job, error: Exception) -> None:
        """End a job that cannot be moved on, and what may run of it; never in the way of the other jobs."""
        try:
            self._executor.stop(job.task_id)
            self._fail(job, f"The job could not be run: {error}")
        except Exception:
            _LOG.exception("Job %s cannot be ended either; the next turn tries again", job.name)

    def _fail(self, job: Job, reason: str) -> None:
        self._say(job, reason, "ERROR")
        self._service.fail(job.name, reason)
        self._asked.discard(job.uid)
        self._greeted.discard(job.uid)

    def _reason(self, job: Job, outcome: Outcome) -> str:
        if outcome.phase is Phase.LOST:
            cause = outcome.message or "its supervisor ended without a word (was the machine restarted?)"
            return f"The replica master 0 was lost: {cause}"
        if outcome.signal:
            ended = f"was killed by signal {outcome.signal}"
        else:
            ended = f"exited with a non-zero status of {outcome.exit_code}"
        parts = [f"The replica master 0 {ended}. ", *last_traceback(self._logs.tail(job.name, MASTER, 400))]
        more = f"please check the logs: mlengine jobs stream-logs {job.name.job}"
        return "\n".join([*parts, f"To find out more about why your job exited {more}"])

    def _say(self, job: Job, message: str, severity: str = "INFO") -> None:
        self._logs.write(job.name, message, severity)


def last_traceback(messages: Iterable[str]) -> list[str]:
    """The last traceback among a log's last messages, else the last lines that say anything.

    Args:
        messages: The end of a replica's log, oldest first.
    """
    lines = [message.rstrip() for message in messages]
    starts = [
        position
        for position, line in enumerate(lines)
        if line.startswith("Traceback (most recent call last)")
    ]
    if starts:
        return lines[starts[-1] :]
    return [line for line in lines if line.strip()][-5:]
