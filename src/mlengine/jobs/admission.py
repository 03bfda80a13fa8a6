"""Who of the queue may start now, and for what the others wait. Pure; apart, for loop and service both ask.

The queue is walked in its order, and each job takes what it needs from what is free, whether it is there or
not. So nobody overtakes a job that waits, unless by what that job does not need.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mlengine.jobs.domain import Job, Replica, replicas
from mlengine.machines import Demand, Machine, Refusal, misfit
from mlengine.machines.mapping import in_gb


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be done with the head of the queue.

    Attributes:
        starting: Jobs that fit, with their replicas as they will be; GPUs are dealt out.
        waiting: The others, and for what each of them waits.
        impossible: Jobs that can never start, since the machine is another one than when they were submitted.
    """

    starting: tuple[Job, ...] = ()
    waiting: tuple[tuple[Job, str], ...] = ()
    impossible: tuple[tuple[Job, Refusal], ...] = ()


def plan(running: Sequence[Job], queue: Sequence[Job], *, machine: Machine, slots: int) -> Plan:
    """Walk the queue.

    Args:
        running: All that hold something of the machine.
        queue: Jobs in the order in which they may start.
        slots: Jobs that may run at once.
    """
    free = whole = Demand(
        slots=slots, cpus=machine.cpus, memory_bytes=machine.memory_bytes, gpus=len(machine.gpus)
    )
    for job in running:
        free -= job.demand
    idle = [gpu.index for gpu in machine.gpus]
    for replica in (replica for job in running for replica in job.replicas):
        idle = [index for index in idle if index not in replica.gpus]
    starting: list[Job] = []
    waiting: list[tuple[Job, str]] = []
    impossible: list[tuple[Job, Refusal]] = []
    first: Job | None = None
    for job in queue:
        if refusal := misfit(job.training.machines, machine):
            impossible.append((job, refusal))
            continue
        placed = replace(job, replicas=replicas(job.training, machine))
        # A job as large as the machine goes on an idle one, however its shares were rounded.
        if _fits(placed.demand, free) or (not running and not starting and not first):
            starting.append(replace(placed, replicas=_dealt(placed.replicas, idle)))
        elif first is None:
            first = job
            waiting.append((job, _reason(placed, free, whole, [*running, *starting])))
        else:
            waiting.append((job, f"It waits behind {_called(first, job)}."))
        free -= placed.demand
    return Plan(starting=tuple(starting), waiting=tuple(waiting), impossible=tuple(impossible))


def _fits(need: Demand, free: Demand) -> bool:
    return not _lacking(need, free)


def _lacking(need: Demand, free: Demand) -> list[str]:
    """Of what there is too little. What a job does not need can be as scarce as it likes."""
    names = ("slots", "gpus", "memory_bytes", "cpus")
    return [name for name in names if 0 < getattr(need, name) > getattr(free, name)]


def _dealt(wanting: tuple[Replica, ...], idle: list[int]) -> tuple[Replica, ...]:
    """The replicas with GPUs out of `idle`, which loses them."""
    dealt = []
    for replica in wanting:
        own, idle[:] = tuple(idle[: replica.gpu_count]), idle[replica.gpu_count :]
        dealt.append(replace(replica, gpus=own))
    return tuple(dealt)


def _reason(job: Job, free: Demand, whole: Demand, running: Sequence[Job]) -> str:
    scarce = _lacking(job.demand, free)[0]
    holders = [other for other in running if scarce == "slots" or getattr(other.demand, scarce) > 0]
    held = (
        f"; {_listed([_called(other, job) for other in holders])} {'has' if len(holders) == 1 else 'have'} it"
    )
    need, left = getattr(job.demand, scarce), max(0, getattr(free, scarce))
    if scarce == "slots":
        jobs = "job runs" if whole.slots == 1 else "jobs run"
        return f"It waits for a place: at most {whole.slots} {jobs} at once (max_running_jobs)."
    if scarce == "gpus":
        return f"It waits for {need} {'GPU' if need == 1 else 'GPUs'}, of which {left} are free{held}."
    if scarce == "memory_bytes":
        return f"It waits for {in_gb(need)} GB of memory, of which {in_gb(left)} GB are free{held}."
    return f"It waits for {need:g} CPUs, of which {left:g} are free{held}."


def _called(other: Job, asking: Job) -> str:
    """Names of jobs are no business of other projects."""
    if other.name.project != asking.name.project:
        return "a job of another project"
    return f"job {other.name.job}"


def _listed(words: Sequence[str]) -> str:
    distinct = list(dict.fromkeys(words))
    if len(distinct) > 3:
        return f"{', '.join(distinct[:2])} and {len(distinct) - 2} more"
    return " and ".join([", ".join(distinct[:-1]), distinct[-1]] if len(distinct) > 1 else distinct)
