"""Moves jobs on: from the queue to the tasks of their replicas, from the tasks' ends to the job's.

Every turn reads the rows, acts outside any transaction, and writes what changed. Acting twice is
harmless (the executor knows tasks by our ids), so the loop may die between any two lines.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

from mlengine.clock import Clock
from mlengine.errors import Conflict, Problem, Unavailable
from mlengine.jobs.causes import explain, report
from mlengine.jobs.domain import MASTER, Job, State
from mlengine.jobs.executor import Executor, Outcome, Phase, Task
from mlengine.jobs.service import JobService
from mlengine.logs.domain import SERVICE
from mlengine.logs.service import LogService

_LOG = logging.getLogger(__name__)
_BUSY_SECONDS, _IDLE_SECONDS = 0.1, 2.0
_TAIL = 400  # lines of a log that are read for the cause; most tracebacks are whole in so many
_RAN_TOO_LONG = "The job ran longer than its maxRunningTime of {seconds:.9g} s and was cancelled."
_WAITED_TOO_LONG = "The job waited longer than its maxWaitTime of {seconds:.9g} s and was cancelled."
# Transactions of two who submit at once may end in another order than they took their times.
_LATE = timedelta(seconds=5)
_FIRST = datetime.min.replace(tzinfo=UTC)


class JobLoop:
    """The scheduler of one machine.

    Args:
        prepare: Stages what a job needs and describes the tasks of its replicas; may be called again for the
            same job.
        discard: Takes away what was staged, once nothing of the job runs any more; its log stays.
        ports: Finds so many free ports of this machine, none of those given.
        restarts: How often a job is started once more when the machine failed under it.
    """

    def __init__(
        self,
        service: JobService,
        executor: Executor,
        logs: LogService,
        clock: Clock,
        *,
        prepare: Callable[[Job], Iterable[Task]],
        discard: Callable[[Job], None],
        ports: Callable[[int, set[int]], list[int]],
        restarts: int = 2,
    ) -> None:
        self._service = service
        self._executor = executor
        self._logs = logs
        self._clock = clock
        self._prepare = prepare
        self._discard = discard
        self._ports = ports
        self._restarts = restarts
        self._asked: set[tuple[str, int]] = set()
        self._greeted: set[str] = set()
        self._told: dict[str, str] = {}
        self._newest = _FIRST
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
        """Look at every job that moves, and at the head of the queue; true while there is something to do."""
        moving = self._service.moving()
        busy = sum([self._carefully(job, self._advance) for job in moving])
        newcomers = self._greet()
        for job in self._service.out_of_patience():
            self._carefully(job, self._forgo)
        plan = self._service.plan()
        for job, refusal in plan.impossible:
            reason = f"The job can no longer be run here: {refusal.field} {refusal.sentence}"
            self._carefully(job, partial(self._fail, reason=reason))
        taken = {replica.port for job in moving for replica in job.replicas}
        for job in plan.starting:
            busy += self._carefully(job, partial(self._begin, taken=taken))
            newcomers.pop(job.uid, None)
        for job, reason in plan.waiting:
            self._carefully(job, partial(self._tell, reason=reason))
            newcomers.pop(job.uid, None)
        for job in newcomers.values():
            self._carefully(job, partial(self._tell, reason="It waits behind those before it."))
        return busy > 0

    def _carefully(self, job: Job, step: Callable[[Job], None]) -> bool:
        """Take one step with a job. Whatever happens, the others go on; false where it must wait."""
        try:
            step(job)
        except Conflict:
            # Its user cancelled it between our look and our word: the next turn sees that.
            pass
        except Unavailable as busy:
            _LOG.warning("Job %s waits: %s", job.name, busy)
            return False
        except Exception as error:
            if not isinstance(error, Problem):
                _LOG.exception("Job %s cannot be moved on", job.name)
            self._give_up(job, error)
        return True

    def _greet(self) -> dict[str, Job]:
        """Whoever follows the log of a job that waits sees at once that it is known; the new ones, by uid."""
        recent = self._service.queued_since(self._newest - _LATE if self._newest > _FIRST else _FIRST)
        new = {job.uid: job for job in recent if job.uid not in self._greeted}
        for job in new.values():
            self._carefully(job, self._welcome)
        self._newest = max((job.created for job in recent), default=self._newest)
        self._greeted = {job.uid for job in recent}
        return new

    def _welcome(self, job: Job) -> None:
        # A server before this one may have said it.
        if not self._logs.tail(job.name, SERVICE, 1):
            self._say(job, "Validating job requirements...")
            self._say(job, "Job creation request has been successfully validated.")
            for note in job.notes:
                self._say(job, note, "WARNING")
            self._say(job, f"Job {job.name.job} is queued.")

    def _tell(self, job: Job, reason: str) -> None:
        """Say for what a job waits, where it has changed since it was said last."""
        if self._told.get(job.uid) != reason:
            self._told[job.uid] = reason
            position = self._service.position(job)
            self._say(job, f"Position {position} in the queue. {reason}")

    def _begin(self, job: Job, taken: set[int]) -> None:
        if len(job.replicas) > 1:
            job = self._placed(job, taken)
        job = self._service.begin(job)
        self._told.pop(job.uid, None)
        self._say(job, "Job is preparing.")
        self._advance(job)

    def _placed(self, job: Job, taken: set[int]) -> Job:
        """The job with a port for each of its replicas, which are taken from now on."""
        ports = self._ports(len(job.replicas), taken)
        taken |= set(ports)
        pairs = zip(job.replicas, ports, strict=True)
        return replace(job, replicas=tuple(replace(replica, port=port) for replica, port in pairs))

    def _forgo(self, job: Job) -> None:
        """End a job that no longer wants to wait. Of one that is being prepared, something may run."""
        reason = _WAITED_TOO_LONG.format(seconds=job.training.max_wait_seconds)
        if job.state is State.QUEUED:
            self._say(job, reason, "WARNING")
        self._service.move(
            job,
            State.CANCELLED if job.state is State.QUEUED else State.CANCELLING,
            error_message=reason,
        )

    def _advance(self, job: Job) -> None:
        if (job.uid, job.restarts) not in self._asked:
            if job.state is State.PREPARING:
                # All are described before the first is started: what cannot be prepared starts nothing.
                for task in list(self._prepare(job)):
                    self._executor.start(task)
            # In every state: it may have been cancelled between our start and our death.
            for name, task_id in job.task_ids.items():
                self._logs.attach(job.name, name, self._executor.log_file(task_id))
            self._asked.add((job.uid, job.restarts))
        if job.state is State.CANCELLING:
            self._stop(job)
        outcomes = {name: self._executor.poll(task_id) for name, task_id in job.task_ids.items()}
        if outcomes[MASTER].phase is Phase.RUNNING and job.state is State.PREPARING:
            job = self._service.move(job, State.RUNNING)
        if all(outcome.phase in _OVER for outcome in outcomes.values()):
            self._end(job, outcomes)
        elif outcomes[MASTER].phase in _OVER or any(map(_has_failed, outcomes.values())):
            # Parameter servers never end by themselves, and nobody needs the others now.
            self._stop(job)
        else:
            self._watch_the_time(job)

    def _watch_the_time(self, job: Job) -> None:
        now, training = self._clock(), job.training
        if job.state is State.RUNNING and job.started:
            if now - job.started > timedelta(seconds=training.max_running_seconds):
                reason = _RAN_TOO_LONG.format(seconds=training.max_running_seconds)
                self._service.move(job, State.CANCELLING, error_message=reason)
        elif (
            job.state is State.PREPARING
            and training.max_wait_seconds
            and not job.restarts
            and now - job.created > timedelta(seconds=training.max_wait_seconds)
        ):
            self._forgo(job)

    def _stop(self, job: Job) -> None:
        for task_id in job.task_ids.values():
            self._executor.stop(task_id)

    def _end(self, job: Job, outcomes: Mapping[str, Outcome]) -> None:
        # Before the last word, so that a crash in between leaves nothing behind for ever.
        self._discard(job)
        master = outcomes[MASTER]
        lost = [name for name, outcome in outcomes.items() if outcome.phase is Phase.LOST]
        if master.exit_code == 0 and not master.stopped:
            self._say(job, "Job completed successfully.")
            self._service.move(job, State.SUCCEEDED)
        elif job.state is State.CANCELLING:
            self._say(job, job.error_message or "Job cancelled.", "WARNING")
            self._service.move(job, State.CANCELLED, error_message=job.error_message)
        elif lost and job.restarts < self._restarts:
            return self._start_again(job, lost[0], outcomes[lost[0]])
        else:
            name = lost[0] if lost else _culprit(outcomes)
            self._fail(job, self._reason(job, name, outcomes[name]))
        self._forget(job)
        return None

    def _start_again(self, job: Job, name: str, outcome: Outcome) -> None:
        """The machine failed, not the user: once more, from the beginning."""
        again = f"Starting the job once more ({job.restarts + 1} of {self._restarts})."
        self._say(job, f"{_lost(name, outcome)} {again}", "WARNING")
        ports = {replica.port for replica in job.replicas}
        if len(job.replicas) > 1:
            job = self._placed(job, ports)
        self._service.restart(job)

    def _give_up(self, job: Job, error: Exception) -> None:
        """End a job that cannot be moved on, and what may run of it; never in the way of the other jobs."""
        try:
            self._stop(job)
            self._fail(job, f"The job could not be run: {error}")
        except Exception:
            _LOG.exception("Job %s cannot be ended either; the next turn tries again", job.name)

    def _fail(self, job: Job, reason: str) -> None:
        self._say(job, reason, "ERROR")
        self._service.fail(job.name, reason)
        self._forget(job)

    def _forget(self, job: Job) -> None:
        self._asked = {key for key in self._asked if key[0] != job.uid}
        self._told.pop(job.uid, None)

    def _reason(self, job: Job, name: str, outcome: Outcome) -> str:
        if outcome.phase is Phase.LOST:
            return _lost(name, outcome)
        package = job.training.python_module.partition(".")[0]
        cause = explain(outcome, self._logs.tail(job.name, name, _TAIL), packages=[package])
        return report(cause, outcome, replica=_spoken(name), job_id=job.name.job)

    def _say(self, job: Job, message: str, severity: str = "INFO") -> None:
        self._logs.write(job.name, message, severity)


_OVER = (Phase.EXITED, Phase.LOST)


def _has_failed(outcome: Outcome) -> bool:
    """Whether a replica ended by itself, and not as it should."""
    if outcome.phase is Phase.LOST:
        return True
    return outcome.phase is Phase.EXITED and not outcome.stopped and outcome.exit_code != 0


def _culprit(outcomes: Mapping[str, Outcome]) -> str:
    """The replica that failed first: the others may have failed because of it."""
    failed = [name for name, outcome in outcomes.items() if _has_failed(outcome)] or [MASTER]
    return min(failed, key=lambda name: (outcomes[name].ended is None, outcomes[name].ended or _FIRST))


def _lost(name: str, outcome: Outcome) -> str:
    cause = outcome.message or "its supervisor ended without a word (was the machine restarted?)"
    return f"The replica {_spoken(name)} was lost: {cause}"


def _spoken(name: str) -> str:
    """ "worker-replica-1" as Google's messages have it: "worker 1"."""
    kind, _, index = name.partition("-replica-")
    return f"{kind} {index}"
