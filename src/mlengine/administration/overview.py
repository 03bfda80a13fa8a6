"""The machine at one moment, with jobs and versions by their places on it. Pure; no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mlengine.administration.domain import Measured, Part, WorkerProcess
from mlengine.jobs.domain import Job
from mlengine.jobs.executor import Sample
from mlengine.machines import Machine
from mlengine.models.domain import Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A job that holds something of the machine.

    Attributes:
        used: What each of its replicas used last, by name; nothing of one that was not measured yet.
    """

    job: Job
    used: Mapping[str, Sample]


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A job in the queue.

    Attributes:
        position: From 1.
        reason: For what it waits, in a sentence.
    """

    job: Job
    position: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """A version with a process."""

    version: Version
    process: WorkerProcess


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """All of it at one moment.

    Attributes:
        machine: What jobs may have.
        slots: Jobs that may run at once.
        queued: Length of the whole queue, of which `waiting` is the head.
    """

    measured: Measured
    machine: Machine
    slots: int
    running: tuple[Running, ...]
    serving: tuple[Serving, ...]
    waiting: tuple[Waiting, ...]
    queued: int
    parts: tuple[Part, ...]
