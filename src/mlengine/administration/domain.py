"""What the machine is at a moment, and what is asked of those who measure, keep and start things there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The machine now. None where this system does not tell.

    Attributes:
        cpus: Processors that may be used.
        busy: The share of all processors that was busy since the measurement before, 0 to 1.
        load: Processes that ran or wanted to, over 1, 5 and 15 minutes.
        memory_available_bytes: What programs could still take.
        disk_bytes: Of the file system with the data directory.
        disk_free_bytes: Of it, what the server may still fill.
    """

    cpus: int
    busy: float | None
    load: tuple[float, float, float] | None
    memory_bytes: int
    memory_available_bytes: int | None
    disk_bytes: int
    disk_free_bytes: int


class WorkerProcess(NamedTuple):
    """A process that serves one node of a version.

    Attributes:
        uid: Of the version.
        memory_bytes: What the process holds in memory; None where this system does not tell.
        versions: How many nodes live in the same process.
    """

    uid: str
    node: int
    pid: int
    memory_bytes: int | None
    versions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Whether one part of the server does its work.

    Attributes:
        problem: Why it does not; empty if it does.
    """

    name: str
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting in force.

    Attributes:
        value: As text; "set" for one with a password in it.
        origin: "flag", "environment", "mlengine.toml" or "default".
        meaning: What it is for.
    """

    name: str
    value: str
    origin: str
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """The building of a runtime, under way or failed.

    Attributes:
        progress: The last sentence that it said.
        failed: Whether it has ended badly.
    """

    progress: str
    failed: bool = False


class Place(NamedTuple):
    """Where a record of the audit log begins: in the file of its month, at byte `end`."""

    month: str
    end: int


class Trail(Protocol):
    """The audit log, as it is kept."""

    def backwards(self, before: Place | None) -> Iterator[tuple[Place, Mapping[str, Any]]]:
        """Records from the newest to the oldest, each with the place from which those before it go on.

        Args:
            before: Where to begin; None for the end.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A TensorBoard that runs.

    Attributes:
        secret: The part of its path that opens it.
        logdir: The folder whose events it shows, as gs:// URL.
        runtime: The runtime in whose environment it runs.
        port: Where it listens on 127.0.0.1.
        used: When somebody asked it for something last.
    """

    secret: str
    project: str
    logdir: str
    runtime: str
    port: int
    started: datetime
    used: datetime


class Boards(Protocol):
    """TensorBoard processes of this machine. They end with the server, and when nobody uses them."""

    def start(self, project: str, logdir: str) -> Board:
        """The one of a folder; returns when it answers.

        Raises:
            FailedPrecondition: no runtime that is built has TensorBoard, or it does not start.
        """
        ...

    def find(self, secret: str) -> Board | None:
        """The one that a secret opens, which counts as use of it."""
        ...

    def running(self, project: str) -> list[Board]:
        """Those of a project, the oldest first."""
        ...

    def stop(self, secret: str) -> None:
        """End one; a secret never seen is fine."""
        ...
