"""What a location is, and which there are."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Use(StrEnum):
    """Capability.type, as far as it can be had here."""

    TRAINING = "TRAINING"
    ONLINE_PREDICTION = "ONLINE_PREDICTION"


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """Somewhere to run things.

    Attributes:
        accelerators: What a trainer finds there, in the words of AcceleratorConfig.type.
    """

    project: str
    location: str
    accelerators: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"projects/{self.project}/locations/{self.location}"
