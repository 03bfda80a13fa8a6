"""From the machines that were asked for to shares of the one that is here.

A replica gets the figures of its machine type, and less where this machine has less: then the replicas of a
job share it in proportion. So every job fits an idle machine, unless it insists on what is not there at all:
accelerators that it names itself. A machine type that had a GPU does without where there is none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mlengine.machines.shapes import Group, Refusal, Role, Wish, groups
from mlengine.machines.types import Accelerators

GB = 10**9
# Less than that, and Python with a framework does not even start.
_LEAST_MEMORY = 500_000_000
_IMAGINARY = "Leave --scale-tier away, or take BASIC. See what is here: mlengine machine-types list"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One GPU of this machine.

    Attributes:
        index: Its place on the bus, from 0.
        name: The model's, as its driver says it.
    """

    index: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What jobs may have of this machine."""

    cpus: int
    memory_bytes: int
    gpus: tuple[Gpu, ...] = ()

    @property
    def figures(self) -> str:
        """All of it in words: "16 CPUs, 60 GB, 1 NVIDIA T4"."""
        return figures(self.cpus, self.memory_bytes, [gpu.name for gpu in self.gpus])


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What one replica gets.

    Attributes:
        cpus: May be a fraction.
        reserved: Whether it is kept for the replica. A job that asked for no machine may use all of this one,
            and keeps nothing from others.
    """

    cpus: float
    memory_bytes: int
    gpus: int = 0
    reserved: bool = True

    @property
    def figures(self) -> str:
        """In words: "2 CPUs, 15 GB, no GPU"."""
        return figures(self.cpus, self.memory_bytes, ["GPU"] * self.gpus)


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What must be free before a job may start."""

    slots: int = 1
    cpus: float = 0
    memory_bytes: int = 0
    gpus: int = 0

    def __sub__(self, other: Demand) -> Demand:
        return Demand(
            slots=self.slots - other.slots,
            cpus=round(self.cpus - other.cpus, 6),
            memory_bytes=self.memory_bytes - other.memory_bytes,
            gpus=self.gpus - other.gpus,
        )


def grants(wish: Wish, machine: Machine) -> dict[Role, Grant]:
    """What each replica of a kind gets. `misfit(wish, machine)` must be None."""
    found = groups(wish)
    if found[0].machine is None:
        return {Role.MASTER: Grant(cpus=machine.cpus, memory_bytes=machine.memory_bytes, reserved=False)}
    cpus = sum(group.machine.cpus * group.count for group in found if group.machine)
    memory = sum(group.machine.memory_bytes * group.count for group in found if group.machine)
    share = min(1.0, machine.cpus / cpus), min(1.0, machine.memory_bytes / memory)
    gpus = _dealt_gpus(wish, found, len(machine.gpus))
    return {
        group.role: Grant(
            # Rounded down, so that the sum is never more than there is.
            cpus=math.floor(group.machine.cpus * share[0] * 100) / 100 or 0.01,
            memory_bytes=int(group.machine.memory_bytes * share[1]),
            gpus=gpus[group.role],
        )
        for group in found
        if group.machine
    }


def misfit(wish: Wish, machine: Machine) -> Refusal | None:
    """Why a job could never run here, however long it waited; None if it could."""
    found = groups(wish)
    for group in found:
        if group.accelerators and group.accelerators.is_tpu:
            return Refusal(
                field=_named_by(wish, group), sentence=f"{_words(wish, group)} needs a TPU.", hint=_IMAGINARY
            )
    wanting = [group for group in found if _insists(wish, group)]
    replicas = sum(group.count for group in wanting)
    if wanting and len(machine.gpus) < replicas:
        first = wanting[0]
        needs = f"needs {'a GPU' if replicas == 1 else f'{replicas} GPUs, one for each replica'}"
        here = "this machine has none" if not machine.gpus else f"this machine has {len(machine.gpus)}"
        return Refusal(
            field=_named_by(wish, first),
            sentence=f"{_words(wish, first)} {needs}, and {here}.",
            hint=_IMAGINARY,
        )
    given = grants(wish, machine)
    for group in found:
        if group.machine and given[group.role].memory_bytes < min(_LEAST_MEMORY, group.machine.memory_bytes):
            total = sum(other.count for other in found)
            return Refusal(
                field=_named_by(wish, group),
                sentence=f"{_words(wish, group)} leaves each of {total} replicas less than "
                f"{_LEAST_MEMORY // 10**6} MB of this machine's {in_gb(machine.memory_bytes)} GB.",
                hint="Ask for fewer replicas.",
            )
    return None


def notes(wish: Wish, machine: Machine) -> tuple[str, ...]:
    """What was asked for, and what of this machine it is mapped to: a sentence for each kind of replica."""
    given = grants(wish, machine)
    found = groups(wish)
    said = []
    for group in found:
        if group.machine is None:
            continue
        name = "" if len(found) == 1 else f"{group.count} {group.role}: "
        asked = group.machine.figures
        if group.accelerators and not group.machine.accelerators:
            asked += f", {group.accelerators}"
        each = " each" if group.count > 1 else ""
        said.append(
            f"{name}{group.machine.name} ({asked}) is mapped to this machine: "
            f"{given[group.role].figures}{each}."
        )
    return tuple(said)


def figures(cpus: float, memory_bytes: int, gpus: Sequence[str]) -> str:
    """A machine or a share of one in words."""
    counts = {name: list(gpus).count(name) for name in gpus}
    words = ", ".join(
        f"{count} {name}{'s' if count > 1 and name == 'GPU' else ''}" for name, count in counts.items()
    )
    plural = "CPU" if cpus == 1 else "CPUs"
    return f"{cpus:g} {plural}, {in_gb(memory_bytes)} GB, {words or 'no GPU'}"


def in_gb(size: int) -> str:
    """Bytes as GB, with at most one digit after the point."""
    return f"{size / GB:.0f}" if size >= 10 * GB else f"{size / GB:.1f}".removesuffix(".0")


def _gpus(accelerators: Accelerators | None) -> int:
    return accelerators.count if accelerators and not accelerators.is_tpu else 0


def _dealt_gpus(wish: Wish, found: Sequence[Group], present: int) -> dict[Role, int]:
    """GPUs for each replica of a kind: what it asked for, or one where there are too few, or none."""
    dealt = {group.role: 0 for group in found}
    wanting = [group for group in found if _gpus(group.accelerators)]
    # Who insists comes first, and nobody gets a second one before everybody has a first.
    wanting.sort(key=lambda group: not _insists(wish, group))
    for whole in (False, True):
        for group in wanting:
            number = _gpus(group.accelerators) if whole else 1
            if (number - dealt[group.role]) * group.count <= present:
                present -= (number - dealt[group.role]) * group.count
                dealt[group.role] = number
    return dealt


def _insists(wish: Wish, group: Group) -> bool:
    """Whether a group was given accelerators by name. A machine type that had some is a name for a size."""
    return bool(group.accelerators) and (wish.scale_tier != "CUSTOM" or group.role in wish.accelerators)


def _named_by(wish: Wish, group: Group) -> str:
    """The field that asked for a group's machine."""
    if wish.scale_tier != "CUSTOM":
        return "scaleTier"
    return f"{group.role.stem}Config" if group.role in wish.accelerators else f"{group.role.stem}Type"


def _words(wish: Wish, group: Group) -> str:
    if wish.scale_tier != "CUSTOM":
        return wish.scale_tier
    if attached := wish.accelerators.get(group.role):
        return f"with {attached}"
    return wish.types[group.role]
