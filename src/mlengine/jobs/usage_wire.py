"""What jobs use, as JSON. Apart from `wire`, for executors know nothing of a job's JSON, nor it of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from mlengine.clock import from_text, to_text
from mlengine.errors import InvalidArgument
from mlengine.jobs.executor import Sample


def moment_from_text(text: str) -> datetime | None:
    """The moment that `since` names; None for none. Raises InvalidArgument."""
    try:
        return from_text(text) if text else None
    except ValueError:
        raise InvalidArgument(
            f"'{text[:40]}' is no time.", hint="Write it like 2026-01-31T12:00:00Z.", field="since"
        ) from None


def samples_to_json(samples: Mapping[str, Sequence[Sample]]) -> dict[str, Any]:
    """What replicas used; integers of 64 bits are texts, as everywhere."""
    return {
        "replicas": [
            {"name": name, "samples": [_sample_json(sample) for sample in found]}
            for name, found in samples.items()
        ]
    }


def _sample_json(sample: Sample) -> dict[str, Any]:
    found: dict[str, Any] = {
        "time": to_text(sample.time),
        "cpus": round(sample.cpus, 3),
        "cpuSeconds": sample.cpu_seconds,
        "memoryBytes": str(sample.memory_bytes),
        "processes": sample.processes,
        "diskReadBytes": str(sample.disk_read_bytes),
        "diskWrittenBytes": str(sample.disk_written_bytes),
        "machineReceivedBytes": str(sample.machine_received_bytes),
        "machineSentBytes": str(sample.machine_sent_bytes),
    }
    if sample.gpus:
        found["gpus"] = [
            {"index": gpu.index, "busy": gpu.busy, "memoryBytes": str(gpu.memory_bytes)}
            for gpu in sample.gpus
        ]
    return found
