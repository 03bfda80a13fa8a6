"""What only a server knows, as questions; each may be missing, and then what needs it goes unchecked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mlengine.names import ObjectUrl


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Where a job is going to run.

    Attributes:
        bucket_exists: Whether there is such a bucket.
        anything_at: Whether an object, or any below that folder or glob, is there.
        accelerators: The GPUs that the server has, by their names; None if nobody knows.
        same_machine: Whether the server is on this very machine.
        interpreter: The Python of the job's runtime if it is built here, for the trainer's own parser.
        server: Whether the server itself is asking: it runs nothing of a trainer.
    """

    bucket_exists: Callable[[str], bool] | None = None
    anything_at: Callable[[ObjectUrl], bool] | None = None
    accelerators: tuple[str, ...] | None = None
    same_machine: bool = False
    interpreter: Path | None = None
    server: bool = False
