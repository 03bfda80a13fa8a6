"""What the supervisor measured, as the server reads it."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from mlengine.backends import shim
from mlengine.jobs.executor import GpuSample, Sample


def read_samples(folder: Path, since: datetime | None = None) -> list[Sample]:
    """The samples of a task, oldest first; none where nothing was measured.

    Args:
        folder: The folder of the task.
        since: Those after this moment alone; None for all.
    """
    records = shim.usage_in(str(folder / shim.METRICS))
    samples = [_sample(before, record, records[0]) for before, record in pairwise([*records[:1], *records])]
    return samples if since is None else [sample for sample in samples if sample.time > since]


def _sample(before: dict[str, Any], record: dict[str, Any], first: dict[str, Any]) -> Sample:
    seconds = record["time"] - before["time"]
    used = record["cpu_seconds"] - before["cpu_seconds"]
    return Sample(
        time=datetime.fromtimestamp(record["time"], UTC),
        # A clock that was set back makes no sense of a rate.
        cpus=round(used / seconds, 3) if seconds > 0 else 0.0,
        cpu_seconds=record["cpu_seconds"],
        memory_bytes=record["memory_bytes"],
        processes=record["processes"],
        disk_read_bytes=record["disk_read_bytes"],
        disk_written_bytes=record["disk_written_bytes"],
        machine_received_bytes=record["machine_received_bytes"] - first["machine_received_bytes"],
        machine_sent_bytes=record["machine_sent_bytes"] - first["machine_sent_bytes"],
        gpus=tuple(
            GpuSample(index=index, busy=busy, memory_bytes=memory)
            for index, busy, memory in record.get("gpus", ())
        ),
    )
