"""From scale tier, machine types and counts to a job's groups of replicas, or to what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from mlengine.errors import nearest
from mlengine.machines.types import (
    HIDDEN,
    K80,
    MACHINE_TYPES,
    TPU_TYPES,
    Accelerators,
    MachineType,
    gpu_counts,
)


class Role(StrEnum):
    """What a replica is for, as TF_CONFIG and the names of replicas have it."""

    MASTER = "master"
    WORKER = "worker"
    PS = "ps"
    EVALUATOR = "evaluator"

    @property
    def stem(self) -> str:
        """What its fields in TrainingInput begin with."""
        return "parameterServer" if self is Role.PS else self.value


OTHERS = (Role.WORKER, Role.PS, Role.EVALUATOR)
# PREMIUM_1 has 31; more than that on one machine is a slip of the keyboard.
MOST_REPLICAS = 64
TIERS = ("BASIC", "STANDARD_1", "PREMIUM_1", "BASIC_GPU", "BASIC_TPU", "CUSTOM")
_SHAPES: Mapping[str, Mapping[Role, tuple[str, int]]] = {
    "BASIC": {Role.MASTER: ("n1-standard-4", 1)},
    "STANDARD_1": {
        Role.MASTER: ("n1-highcpu-8", 1),
        Role.WORKER: ("n1-highcpu-8", 4),
        Role.PS: ("n1-standard-4", 3),
    },
    "PREMIUM_1": {
        Role.MASTER: ("n1-highcpu-16", 1),
        Role.WORKER: ("n1-highcpu-16", 19),
        Role.PS: ("n1-highmem-8", 11),
    },
    "BASIC_GPU": {Role.MASTER: ("n1-standard-8", 1)},
    "BASIC_TPU": {Role.MASTER: ("n1-standard-4", 1)},
}
_LIST = "See what there is: mlengine machine-types list"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """The machines of a job as they were asked for; empty for the whole of this one.

    Attributes:
        types: Machine type by kind of replica.
        counts: How many, of all kinds but the master.
        accelerators: What is attached to each replica of a kind.
    """

    scale_tier: str = ""
    types: Mapping[Role, str] = field(default_factory=dict)
    counts: Mapping[Role, int] = field(default_factory=dict)
    accelerators: Mapping[Role, Accelerators] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Replicas that are alike.

    Attributes:
        machine: What each was promised; None where no machine was asked for.
        accelerators: Those of its machine type, or the ones that were attached.
    """

    role: Role
    count: int
    machine: MachineType | None
    accelerators: Accelerators | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why machines cannot be had. The caller spells the name of the field as his user knows it.

    Attributes:
        field: Of TrainingInput: "workerType".
        sentence: Goes on after the field's name.
    """

    field: str
    sentence: str
    hint: str = ""


def groups(wish: Wish) -> tuple[Group, ...]:
    """The replicas of a job, master first. `mistake(wish)` must be None."""
    if wish.scale_tier == "CUSTOM":
        asked = {Role.MASTER: (wish.types[Role.MASTER], 1)}
        asked |= {role: (wish.types.get(role, ""), wish.counts.get(role, 0)) for role in OTHERS}
        return tuple(
            _group(role, name, count, wish.accelerators.get(role))
            for role, (name, count) in asked.items()
            if count
        )
    if not wish.scale_tier:
        return (Group(role=Role.MASTER, count=1, machine=None),)
    extra = {"BASIC_GPU": Accelerators(type=K80, count=1), "BASIC_TPU": Accelerators(type="TPU_V2", count=8)}
    return tuple(
        _group(role, name, count, extra.get(wish.scale_tier))
        for role, (name, count) in _SHAPES[wish.scale_tier].items()
    )


def _group(role: Role, name: str, count: int, attached: Accelerators | None) -> Group:
    if name in TPU_TYPES:
        return Group(
            role=role,
            count=count,
            machine=None,
            accelerators=attached or Accelerators(type="TPU_V2", count=8),
        )
    machine = MACHINE_TYPES.get(name) or HIDDEN[name]
    return Group(role=role, count=count, machine=machine, accelerators=attached or machine.accelerators)


def mistake(wish: Wish) -> Refusal | None:
    """What is wrong with a wish on any machine; None if nothing is."""
    for role, name in wish.types.items():
        if name and name not in MACHINE_TYPES and name not in TPU_TYPES:
            return Refusal(
                field=f"{role.stem}Type",
                sentence=f"'{name}' is no machine type.",
                hint=nearest(name, [*MACHINE_TYPES, *TPU_TYPES]) or _LIST,
            )
    master = wish.types.get(Role.MASTER, "")
    if wish.scale_tier == "CUSTOM" and not master:
        return Refusal(
            field="masterType",
            sentence="is required with scale tier CUSTOM.",
            hint="See: mlengine machine-types list",
        )
    if master and wish.scale_tier != "CUSTOM":
        return Refusal(field="masterType", sentence="needs scale tier CUSTOM.")
    for role in OTHERS:
        if refusal := _mistake_in_count(wish, role):
            return refusal
    if (total := sum(wish.counts.values()) + 1) > MOST_REPLICAS:
        largest = max(wish.counts, key=lambda role: wish.counts[role])
        return Refusal(
            field=f"{largest.stem}Count",
            sentence=f"makes {total} replicas; at most {MOST_REPLICAS} are allowed.",
        )
    for role, accelerators in wish.accelerators.items():
        if refusal := _mistake_in_accelerators(wish, role, accelerators):
            return refusal
    return _mixture(wish)


def _mistake_in_count(wish: Wish, role: Role) -> Refusal | None:
    count, name = wish.counts.get(role, 0), wish.types.get(role, "")
    if count < 0:
        return Refusal(field=f"{role.stem}Count", sentence=f"is {count}; 0 is the least.")
    if not count:
        return None
    if wish.scale_tier != "CUSTOM":
        return Refusal(
            field=f"{role.stem}Count",
            sentence="needs scale tier CUSTOM.",
            hint="And with it a type for each kind of replica.",
        )
    if not name:
        return Refusal(field=f"{role.stem}Type", sentence=f"is required, for {role.stem}Count is {count}.")
    return None


def _mistake_in_accelerators(wish: Wish, role: Role, accelerators: Accelerators) -> Refusal | None:
    field, name = f"{role.stem}Config", wish.types.get(role, "")
    if not name:
        return Refusal(field=field, sentence=f"has accelerators, but {role.stem}Type is not set.")
    if accelerators.is_tpu or name in TPU_TYPES:
        return None
    machine = MACHINE_TYPES[name]
    if machine.legacy:
        return Refusal(
            field=field,
            sentence=f"has accelerators, but {name} is no type of Compute Engine.",
            hint="Attach GPUs to one such as n1-standard-8, or take a type that has some: standard_gpu.",
        )
    counts = gpu_counts(machine, accelerators.type)
    if accelerators.count not in counts:
        allowed = (
            f"It can have {', '.join(map(str, counts))} of them." if counts else "It can have none of them."
        )
        return Refusal(field=field, sentence=f"asks for {accelerators} on {name}.", hint=allowed)
    return None


def _mixture(wish: Wish) -> Refusal | None:
    """The master and the others must be all legacy or all of Compute Engine."""
    master = MACHINE_TYPES.get(wish.types.get(Role.MASTER, ""))
    for role in OTHERS:
        other = MACHINE_TYPES.get(wish.types.get(role, ""))
        if master and other and wish.counts.get(role, 0) and master.legacy != other.legacy:
            families = {True: "a legacy type", False: "one of Compute Engine"}
            return Refusal(
                field=f"{role.stem}Type",
                sentence=f"{other.name} is {families[other.legacy]}, and the master's {master.name} is "
                f"{families[master.legacy]}.",
                hint="Take both of the same family.",
            )
    return None
