"""What a job is, of which replicas it consists, and which states may follow which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from mlengine.errors import FailedPrecondition
from mlengine.machines import Accelerators, Demand, Machine, Role, Wish, grants, groups
from mlengine.names import JobName


class State(StrEnum):
    """Job.state."""

    QUEUED = "QUEUED"
    PREPARING = "PREPARING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLING = "CANCELLING"
    CANCELLED = "CANCELLED"


NEXT: dict[State, frozenset[State]] = {
    State.QUEUED: frozenset({State.PREPARING, State.FAILED, State.CANCELLED}),
    # A very short trainer may have ended before anybody saw it run.
    State.PREPARING: frozenset({State.RUNNING, State.SUCCEEDED, State.FAILED, State.CANCELLING}),
    # Back to PREPARING when the machine failed under it and it is started once more.
    State.RUNNING: frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLING, State.PREPARING}),
    # A trainer may end by itself while it is being stopped; what it achieved then counts.
    State.CANCELLING: frozenset({State.CANCELLED, State.SUCCEEDED}),
    State.SUCCEEDED: frozenset(),
    State.FAILED: frozenset(),
    State.CANCELLED: frozenset(),
}
FINAL = frozenset(state for state, following in NEXT.items() if not following)
MASTER = "master-replica-0"
DEFAULT_RUNNING_SECONDS = 7 * 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingInput:
    """What to run: a module of some packages, with arguments, on a runtime.

    Attributes:
        runtime: The runtime of our catalogue that it runs on.
        runtime_version: As the user asked for it; empty if he did not.
        accelerators: What is attached to each replica of a kind.
        max_running_seconds: Then it is cancelled; 7 days unless told.
        max_wait_seconds: Then it is cancelled if it does not run yet; 0 for never.
        priority: 0 to 1000; the larger goes first.
    """

    python_module: str
    package_uris: tuple[str, ...]
    region: str
    runtime: str
    args: tuple[str, ...] = ()
    job_dir: str = ""
    runtime_version: str = ""
    python_version: str = ""
    scale_tier: str = ""
    master_type: str = ""
    worker_type: str = ""
    worker_count: int = 0
    parameter_server_type: str = ""
    parameter_server_count: int = 0
    evaluator_type: str = ""
    evaluator_count: int = 0
    accelerators: Mapping[Role, Accelerators] = field(default_factory=dict)
    max_running_seconds: float = DEFAULT_RUNNING_SECONDS
    max_wait_seconds: float = 0
    priority: int = 0

    @property
    def machines(self) -> Wish:
        """The machines it asks for."""
        types = {
            Role.MASTER: self.master_type,
            Role.WORKER: self.worker_type,
            Role.PS: self.parameter_server_type,
            Role.EVALUATOR: self.evaluator_type,
        }
        counts = {
            Role.WORKER: self.worker_count,
            Role.PS: self.parameter_server_count,
            Role.EVALUATOR: self.evaluator_count,
        }
        return Wish(scale_tier=self.scale_tier, types=types, counts=counts, accelerators=self.accelerators)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """One process tree of a job, and what of the machine it has.

    Attributes:
        machine_type: What it was promised; empty where nothing was asked for.
        cpus: Its share of the processors.
        gpu_count: How many GPUs it gets.
        gpus: Their indices, once it has begun.
        port: Where it listens on 127.0.0.1, once it has begun; 0 in a job of one replica.
        reserved: Whether its share is kept from others.
    """

    role: Role
    index: int
    machine_type: str = ""
    cpus: float
    memory_bytes: int
    gpu_count: int = 0
    gpus: tuple[int, ...] = ()
    port: int = 0
    reserved: bool = True

    @property
    def name(self) -> str:
        """As logs and TF_CONFIG's users know it: "worker-replica-1"."""
        return f"{self.role}-replica-{self.index}"


def replicas(training: TrainingInput, machine: Machine) -> tuple[Replica, ...]:
    """The replicas of a job on this machine, master first; nothing of it is taken yet."""
    given = grants(training.machines, machine)
    return tuple(
        Replica(
            role=group.role,
            index=index,
            machine_type=group.machine.name if group.machine else "",
            cpus=given[group.role].cpus,
            memory_bytes=given[group.role].memory_bytes,
            gpu_count=given[group.role].gpus,
            reserved=given[group.role].reserved,
        )
        for group in groups(training.machines)
        for index in range(group.count)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One submitted piece of work. Frozen: a change is a new Job.

    Attributes:
        uid: Ours; names its task and folders.
        notes: What was mapped or chosen for the user; the first lines of the log.
        replicas: Master first. Empty in jobs of earlier versions, which had one replica.
        restarts: How often it was started once more because the machine had failed under it.
    """

    name: JobName
    uid: str
    training: TrainingInput
    created: datetime
    state: State = State.QUEUED
    started: datetime | None = None
    ended: datetime | None = None
    error_message: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    replicas: tuple[Replica, ...] = ()
    restarts: int = 0
    generation: int = 1

    @property
    def task_id(self) -> str:
        """The id under which the executor knows the job's master."""
        return self.task_of(MASTER)

    @property
    def replica_names(self) -> tuple[str, ...]:
        """The names of its replicas, master first."""
        return tuple(replica.name for replica in self.replicas) or (MASTER,)

    @property
    def task_ids(self) -> dict[str, str]:
        """The ids under which the executor knows its replicas, by their names."""
        return {name: self.task_of(name) for name in self.replica_names}

    @property
    def demand(self) -> Demand:
        """What of the machine it keeps for itself while it runs."""
        kept = [replica for replica in self.replicas if replica.reserved]
        return Demand(
            cpus=round(sum(replica.cpus for replica in kept), 6),
            memory_bytes=sum(replica.memory_bytes for replica in kept),
            gpus=sum(replica.gpu_count for replica in kept),
        )

    def task_of(self, replica: str) -> str:
        """The executor's id of one replica. A task runs once ever: one that is started again is another."""
        return f"{self.uid}.{replica}" + (f".{self.restarts}" if self.restarts else "")

    def move(self, to: State, now: datetime, *, error_message: str = "") -> Job:
        """The job in state `to`; times follow the state.

        Raises:
            FailedPrecondition: that state cannot follow.
        """
        if to not in NEXT[self.state]:
            raise FailedPrecondition(
                f"Job {self.name.job} is {self.state}; it cannot become {to}.", field="name"
            )
        return replace(
            self,
            state=to,
            # Who succeeded has run, even if nobody saw it.
            started=self.started or (now if to in (State.RUNNING, State.SUCCEEDED) else None),
            ended=now if to in FINAL else None,
            error_message=error_message,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """A job as asked for, before anything was looked up; `training.runtime` is still empty."""

    name: JobName
    training: TrainingInput
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobChange:
    """What a patch asks of a job; None leaves a thing as it is.

    Attributes:
        generation: The one that the client knows; None if it did not say.
    """

    labels: dict[str, str] | None = None
    generation: int | None = None
