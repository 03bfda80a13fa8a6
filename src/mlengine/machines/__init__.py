"""Scale tiers and machine types, and what of this machine each of them gets.

At ground level and pure: the command line refuses by the same rules as the server, before anything is sent.
"""

from __future__ import annotations

from mlengine.machines.mapping import Demand, Gpu, Grant, Machine, grants, misfit, notes
from mlengine.machines.shapes import Group, Refusal, Role, Wish, groups, mistake
from mlengine.machines.types import ACCELERATORS, MACHINE_TYPES, Accelerators, MachineType

__all__ = [
    "ACCELERATORS",
    "MACHINE_TYPES",
    "Accelerators",
    "Demand",
    "Gpu",
    "Grant",
    "Group",
    "Machine",
    "MachineType",
    "Refusal",
    "Role",
    "Wish",
    "grants",
    "groups",
    "misfit",
    "mistake",
    "notes",
]
