"""Locations as JSON."""

from __future__ import annotations

from typing import Any

from mlengine.locations.domain import Location, Use


def to_json(location: Location) -> dict[str, Any]:
    """A Location and what it is good for; model workers use no accelerators."""
    training: dict[str, Any] = {"type": Use.TRAINING.value}
    if location.accelerators:
        training["availableAccelerators"] = list(location.accelerators)
    return {"name": str(location), "capabilities": [training, {"type": Use.ONLINE_PREDICTION.value}]}
