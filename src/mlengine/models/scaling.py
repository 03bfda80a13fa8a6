"""How many processes a version may have on this machine. Pure; no I/O."""

from __future__ import annotations

from dataclasses import replace

from mlengine.errors import InvalidArgument
from mlengine.models.domain import Scaling, Version


def scaled(version: Version, asked: Scaling, *, cores: int) -> Version:
    """`version` with what `asked` says; what it does not say stays.

    Args:
        cores: How many the machine has: more processes than that would only take turns.

    Raises:
        InvalidArgument: more than the machine can give, or bounds that cross.
    """
    if asked.nodes is not None:
        _within("manualScaling.nodes", asked.nodes, least=1, cores=cores)
        return replace(version, nodes=asked.nodes, min_nodes=asked.nodes, max_nodes=asked.nodes, scales=False)
    if not asked.automatic:
        return version
    fewest = version.min_nodes if version.scales else _usual(version.machine_type)
    most = version.max_nodes if version.scales else cores
    if asked.min_nodes is not None:
        fewest = asked.min_nodes
        _within("autoScaling.minNodes", fewest, least=0, cores=cores)
    if asked.max_nodes is not None:
        most = asked.max_nodes
        if most < 1:
            raise _wrong("autoScaling.maxNodes", f"is {most}; at least one process is needed.")
    if most < fewest:
        raise _wrong("autoScaling.maxNodes", f"is {most}, and minNodes is {fewest}.")
    return replace(version, nodes=0, min_nodes=fewest, max_nodes=most, scales=True)


def _usual(machine_type: str) -> int:
    """Google's own: machine types of ML Engine sleep when nobody asks, those of Compute Engine do not."""
    return 0 if machine_type.startswith("mls1-") or not machine_type else 1


def _within(name: str, nodes: int, *, least: int, cores: int) -> None:
    if nodes < least:
        raise _wrong(name, f"is {nodes}; it must be at least {least}.")
    if nodes > cores:
        have = "1 core" if cores == 1 else f"{cores} cores"
        raise _wrong(
            name,
            f"is {nodes}, and this machine has {have}.",
            hint=f"A node is a process here: at most {cores}.",
        )


def _wrong(name: str, sentence: str, hint: str = "") -> InvalidArgument:
    field = {
        "manualScaling.nodes": "version.manual_scaling.nodes",
        "autoScaling.minNodes": "version.auto_scaling.min_nodes",
        "autoScaling.maxNodes": "version.auto_scaling.max_nodes",
    }[name]
    return InvalidArgument(f"{name} {sentence}", hint=hint, field=field)
