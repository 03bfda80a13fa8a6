"""The JSON of the machine, of runtimes, settings and TensorBoards."""

from __future__ import annotations

import base64
import binascii
import re
import sys
from collections.abc import Callable
from typing import Any

from mlengine.administration.domain import Board, Place, Setting
from mlengine.administration.overview import Overview, Running, Serving, Waiting
from mlengine.administration.runtimes import RuntimeState
from mlengine.clock import to_text
from mlengine.environments.catalogue import pins
from mlengine.errors import InvalidArgument
from mlengine.jobs.executor import Sample

_MONTH = re.compile(r"\d{4}-\d\d", re.ASCII)


def overview(found: Overview, sees: Callable[[str], bool]) -> dict[str, Any]:
    """The machine.

    Args:
        sees: Whether the caller may know the names in a project.
    """
    measured = found.measured
    dealt = {gpu for one in found.running for replica in one.job.replicas for gpu in replica.gpus}
    gpus = [{"index": gpu.index, "name": gpu.name, "inUse": gpu.index in dealt} for gpu in found.machine.gpus]
    return {
        "machine": {
            "cpus": measured.cpus,
            **_known(busy=measured.busy, load=measured.load and list(measured.load)),
            "memoryBytes": str(measured.memory_bytes),
            **_known(memoryAvailableBytes=_text(measured.memory_available_bytes)),
            "diskBytes": str(measured.disk_bytes),
            "diskFreeBytes": str(measured.disk_free_bytes),
            "gpus": gpus,
        },
        "forJobs": _for_jobs(found),
        "running": [_running(one, sees) for one in found.running],
        "serving": [_serving(one, sees) for one in found.serving],
        "waiting": [_waiting(one, sees) for one in found.waiting],
        "queued": found.queued,
        "parts": [
            {
                "name": part.name,
                "healthy": not part.problem,
                **({"problem": part.problem} if part.problem else {}),
            }
            for part in found.parts
        ],
    }


def runtime(found: RuntimeState, *, whole: bool = False) -> dict[str, Any]:
    """A runtime; `whole` with each package of its lock."""
    shown: dict[str, Any] = {
        "name": found.runtime.name,
        "python": found.runtime.python,
        "summary": found.runtime.summary,
        "packages": dict(found.runtime.packages),
        "built": bool(found.built),
        "runningJobs": found.jobs,
        "versions": found.versions,
    }
    if found.built:
        shown |= {"bytes": str(found.built["bytes"]), "buildSeconds": found.built.get("seconds")}
    if found.build is not None:
        shown["build"] = {"progress": found.build.progress, "failed": found.build.failed}
    if whole:
        shown["lock"] = dict(pins(found.runtime.lock_file, system=sys.platform))
    return shown


def setting(found: Setting) -> dict[str, Any]:
    """A setting."""
    return {"name": found.name, "value": found.value, "origin": found.origin, "meaning": found.meaning}


def board(found: Board) -> dict[str, Any]:
    """A TensorBoard. Who has the URL has what it shows."""
    return {
        "name": f"projects/{found.project}/tensorboards/{found.secret}",
        "logdir": found.logdir,
        "url": f"/tensorboard/{found.secret}/",
        "runtimeVersion": found.runtime,
        "startTime": to_text(found.started),
        "useTime": to_text(found.used),
    }


def page_token(place: Place) -> str:
    """What a client sends back to go on at a place of the audit log."""
    return base64.urlsafe_b64encode(f"{place.month} {place.end}".encode()).decode()


def place_of(token: str) -> Place | None:
    """The place that a token means; None for no token.

    Raises:
        InvalidArgument: it is none of ours.
    """
    if not token:
        return None
    try:
        month, _, end = base64.urlsafe_b64decode(token.encode()).decode().partition(" ")
        if _MONTH.fullmatch(month):
            return Place(month, int(end))
    except (binascii.Error, ValueError):
        pass
    raise InvalidArgument(
        "The page token is not from this list.", hint="Start without one.", field="page_token"
    )


def _for_jobs(found: Overview) -> dict[str, Any]:
    held = [one.job.demand for one in found.running]
    memory = found.machine.memory_bytes - sum(demand.memory_bytes for demand in held)
    return {
        "cpus": found.machine.cpus,
        "freeCpus": max(0.0, round(found.machine.cpus - sum(demand.cpus for demand in held), 2)),
        "memoryBytes": str(found.machine.memory_bytes),
        "freeMemoryBytes": str(max(0, memory)),
        "gpus": len(found.machine.gpus),
        "freeGpus": max(0, len(found.machine.gpus) - sum(demand.gpus for demand in held)),
        "slots": found.slots,
        "freeSlots": max(0, found.slots - len(held)),
    }


def _running(one: Running, sees: Callable[[str], bool]) -> dict[str, Any]:
    job = one.job
    shown: dict[str, Any] = {"state": job.state.value, "createTime": to_text(job.created)}
    if job.started:
        shown["startTime"] = to_text(job.started)
    shown["replicas"] = [
        {
            "name": replica.name,
            "cpus": replica.cpus,
            "memoryBytes": str(replica.memory_bytes),
            "gpus": list(replica.gpus),
            "reserved": replica.reserved,
            **_used(one.used.get(replica.name)),
        }
        for replica in job.replicas
    ]
    # Names of jobs are no business of other projects.
    return ({"project": job.name.project, "jobId": job.name.job} if sees(job.name.project) else {}) | shown


def _used(sample: Sample | None) -> dict[str, Any]:
    if sample is None:
        return {}
    return {"usedCpus": sample.cpus, "usedMemoryBytes": str(sample.memory_bytes)}


def _serving(one: Serving, sees: Callable[[str], bool]) -> dict[str, Any]:
    version, process = one.version, one.process
    named = {
        "project": version.name.parent.project,
        "model": version.name.parent.model,
        "version": version.name.version,
    }
    return (named if sees(version.name.parent.project) else {}) | {
        "node": process.node,
        "pid": process.pid,
        **_known(memoryBytes=_text(process.memory_bytes)),
        "sharedBy": process.versions,
        "runtimeVersion": version.runtime,
        "state": version.state.value,
    }


def _waiting(one: Waiting, sees: Callable[[str], bool]) -> dict[str, Any]:
    shown: dict[str, Any] = {"position": one.position, "createTime": to_text(one.job.created)}
    if not sees(one.job.name.project):
        return shown
    return shown | {"project": one.job.name.project, "jobId": one.job.name.job, "reason": one.reason}


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)


def _known(**values: object) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
