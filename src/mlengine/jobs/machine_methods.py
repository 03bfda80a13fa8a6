"""The URLs of machine types: what a job can ask for, and what of this machine that is."""

from __future__ import annotations

from typing import Any

from mlengine.errors import NotFound, nearest
from mlengine.machines import MACHINE_TYPES, Machine, Role, Wish, groups, misfit, notes
from mlengine.machines.shapes import TIERS
from mlengine.web.method import Call, Json, Method

_TYPES = "/mlengine/v1/machineTypes"


def methods(machine: Machine) -> list[Method]:
    """The rows of machine types and scale tiers."""

    def list_(_call: Call) -> Json:
        return {
            "machine": {
                "cpus": machine.cpus,
                "memoryBytes": str(machine.memory_bytes),
                "gpus": [{"index": gpu.index, "name": gpu.name} for gpu in machine.gpus],
            },
            "machineTypes": [_to_json(name, machine) for name in _names()],
        }

    def get(call: Call) -> Json:
        name = call.path["type"]
        if name not in _names():
            raise NotFound(
                f"There is no machine type or scale tier '{name[:100]}'.",
                hint=nearest(name, _names()) or "List them: mlengine machine-types list",
                field="name",
            )
        return _to_json(name, machine)

    return [
        Method(
            id="mlengine.machineTypes.list",
            verb="GET",
            path=_TYPES,
            handler=list_,
            summary="This machine, and what of it each scale tier and machine type is mapped to.",
        ),
        Method(
            id="mlengine.machineTypes.get",
            verb="GET",
            path=_TYPES + "/{type}",
            handler=get,
            summary="What of this machine one scale tier or machine type is mapped to.",
        ),
    ]


def _names() -> list[str]:
    return [*(tier for tier in TIERS if tier != "CUSTOM"), *MACHINE_TYPES]


def _to_json(name: str, machine: Machine) -> dict[str, Any]:
    if name in TIERS:
        wish, kind = Wish(scale_tier=name), "SCALE_TIER"
    else:
        wish = Wish(scale_tier="CUSTOM", types={Role.MASTER: name})
        kind = "LEGACY" if MACHINE_TYPES[name].legacy else "COMPUTE_ENGINE"
    refusal = misfit(wish, machine)
    return {
        "name": name,
        "kind": kind,
        "replicas": [_group_json(wish, number) for number in range(len(groups(wish)))],
        "available": refusal is None,
        "here": [refusal.sentence] if refusal else list(notes(wish, machine)),
    }


def _group_json(wish: Wish, number: int) -> dict[str, Any]:
    group = groups(wish)[number]
    found: dict[str, Any] = {"role": group.role.value, "count": group.count}
    if group.machine:
        found |= {"type": group.machine.name, "cpus": group.machine.cpus, "memoryGb": group.machine.memory}
    if group.accelerators:
        found["accelerators"] = {"type": group.accelerators.type, "count": group.accelerators.count}
    return found
