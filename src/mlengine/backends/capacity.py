"""What this machine has for jobs: processors, memory and GPUs, as its kernel and drivers tell.

Nothing need be installed or run for it. Apart from `mlengine.machines`, which only reckons.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from mlengine.machines import Gpu, Machine

_DRIVER = Path("/proc/driver/nvidia/gpus")
_CGROUP = Path("/sys/fs/cgroup")
_FACT = re.compile(r"^([^:]+):\s*(.+?)\s*$", re.MULTILINE)
# For the server and the system; of a small machine an eighth.
_KEPT_BYTES = 2 << 30


def machine(environment: Mapping[str, str]) -> Machine:
    """This machine, as far as jobs may use it.

    Args:
        environment: The server's own; CUDA_VISIBLE_DEVICES in it leaves only those GPUs to jobs.
    """
    memory = memory_bytes()
    return Machine(
        cpus=cpus(),
        memory_bytes=memory - min(_KEPT_BYTES, memory // 8),
        gpus=gpus(environment.get("CUDA_VISIBLE_DEVICES")),
    )


def gpus(visible: str | None = None, driver: Path = _DRIVER) -> tuple[Gpu, ...]:
    """NVIDIA's GPUs, in the order of their places on the bus.

    Args:
        visible: Those that may be used, by index or UUID, with commas between; None for all.
        driver: The folder in which the driver keeps one folder per GPU.
    """
    found = []
    for index, file in enumerate(sorted(driver.glob("*/information"))):
        facts = dict(_FACT.findall(file.read_text(errors="replace")))
        names = {str(index), facts.get("GPU UUID", str(index))}
        found.append((names, Gpu(index=index, name=facts.get("Model", "NVIDIA GPU"))))
    wanted = None if visible is None else {word.strip() for word in visible.split(",")}
    return tuple(gpu for names, gpu in found if wanted is None or names & wanted)


def cpus() -> int:
    """The processors that may be used."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory_bytes() -> int:
    """The memory of the machine, or of the container that it is."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = [physical]
    # In a container the machine is what the container may have.
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            limits.append(int((_CGROUP / name).read_text()))
        except (OSError, ValueError):  # another kind of control groups, or "max"
            continue
    return min(limits)
