"""What serving asks of a machine: model workers, and a gateway that routes to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol


class WorkerState(StrEnum):
    """How a worker stands."""

    STARTING = "STARTING"
    SERVING = "SERVING"
    ENDED = "ENDED"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSpec:
    """One worker to run.

    Attributes:
        uid: Our id of the version; names the worker's folder and socket.
        name: PROJECT/MODEL/VERSION, for messages and process lists.
        model_dir: Local folder with the artefacts.
        framework: "tensorflow", "scikit-learn", "xgboost", or empty to let the files decide.
        python: Interpreter of the runtime that the model needs.
    """

    uid: str
    name: str
    model_dir: Path
    framework: str
    python: Path


class Workers(Protocol):
    """Model worker processes, one per version, addressed by uid.

    Nobody waits inside. A worker survives the restart of the control plane and is found again.
    """

    def start(self, spec: WorkerSpec) -> None:
        """Have a worker run; one that runs already is left alone."""
        ...

    def state(self, uid: str) -> WorkerState:
        """SERVING once it has answered its golden prediction and listens."""
        ...

    def log(self, uid: str) -> str:
        """Everything its present or last process wrote to standard error."""
        ...

    def stop(self, uid: str) -> None:
        """End it; one that is not there is fine."""
        ...

    def socket(self, uid: str) -> Path:
        """Where it listens once it serves."""
        ...


class Routes(Protocol):
    """The gateway, as far as the control plane talks to it."""

    def publish(self, versions: Mapping[str, Path], defaults: Mapping[str, str]) -> None:
        """Replace the whole routing table; returns when the gateway goes by it.

        Args:
            versions: PROJECT/MODEL/VERSION to the worker's socket.
            defaults: PROJECT/MODEL to the id of its default version.

        Raises:
            Unavailable: the gateway does not answer; the same call may succeed later.
        """
        ...
