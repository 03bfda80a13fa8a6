"""What a job is, which states may follow which, and which machines a trainer can ask for."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from mlengine.errors import FailedPrecondition
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
    State.RUNNING: frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLING}),
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
        max_running_seconds: Then it is cancelled; 7 days unless told.
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
    max_running_seconds: float = DEFAULT_RUNNING_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One submitted piece of work. Frozen: a change is a new Job.

    Attributes:
        uid: Ours; names its task and folders.
        notes: What was mapped or chosen for the user; the first lines of the log.
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
    generation: int = 1

    @property
    def task_id(self) -> str:
        """The id under which the executor knows the job's only replica."""
        return f"{self.uid}.{MASTER}"

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
class Machine:
    """A machine type by its figures; memory in GB."""

    cpus: int
    memory: float
    accelerators: str = ""


def _n1(memory_per_cpu: float, *sizes: int) -> dict[int, Machine]:
    return {cpus: Machine(cpus=cpus, memory=round(cpus * memory_per_cpu, 1)) for cpus in sizes}


# Contracts, section 2: the legacy types (figures by their prices), then Compute Engine's.
MACHINES: dict[str, Machine] = {
    "standard": Machine(cpus=4, memory=15),
    "large_model": Machine(cpus=8, memory=52),
    "complex_model_s": Machine(cpus=8, memory=7.2),
    "complex_model_m": Machine(cpus=16, memory=14.4),
    "complex_model_l": Machine(cpus=32, memory=28.8),
    "standard_gpu": Machine(cpus=8, memory=30, accelerators="1 K80"),
    "complex_model_m_gpu": Machine(cpus=16, memory=60, accelerators="4 K80"),
    "complex_model_l_gpu": Machine(cpus=32, memory=120, accelerators="8 K80"),
    "standard_p100": Machine(cpus=8, memory=30, accelerators="1 P100"),
    "complex_model_m_p100": Machine(cpus=16, memory=60, accelerators="4 P100"),
    "standard_v100": Machine(cpus=8, memory=30, accelerators="1 V100"),
    "large_model_v100": Machine(cpus=8, memory=52, accelerators="1 V100"),
    "complex_model_m_v100": Machine(cpus=16, memory=60, accelerators="4 V100"),
    "complex_model_l_v100": Machine(cpus=32, memory=120, accelerators="8 V100"),
    **{f"n1-standard-{cpus}": machine for cpus, machine in _n1(3.75, 4, 8, 16, 32, 64, 96).items()},
    **{f"n1-highmem-{cpus}": machine for cpus, machine in _n1(6.5, 2, 4, 8, 16, 32, 64, 96).items()},
    **{f"n1-highcpu-{cpus}": machine for cpus, machine in _n1(0.9, 16, 32, 64, 96).items()},
}

# The tiers of one replica; the master's machine of each.
SCALE_TIERS = {"BASIC": "n1-standard-4", "BASIC_GPU": "standard_gpu", "CUSTOM": ""}


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


def machine_notes(training: TrainingInput, *, cpus: int, memory: float) -> tuple[str, ...]:
    """What a user should know about the machine that was asked for and the one that is here.

    Args:
        cpus: Processors of this machine.
        memory: Its memory in GB.
    """
    asked = training.master_type or SCALE_TIERS.get(training.scale_tier or "BASIC", "")
    machine = MACHINES.get(asked)
    if machine is None or not (training.scale_tier or training.master_type):
        return ()
    figures = f"{machine.cpus} CPUs, {machine.memory:g} GB"
    if machine.accelerators:
        figures += f", {machine.accelerators}"
    here = f"{cpus} CPUs, {memory:.0f} GB, no GPU"
    return (f"{asked} ({figures}) is mapped to this machine: {here}.",)
