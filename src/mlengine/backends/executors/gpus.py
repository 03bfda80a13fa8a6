"""The GPUs of this machine as nvidia-smi counts them, by which tasks are given them.

Apart from `mlengine.backends.capacity`, which reads the driver's files alone: in a container those tell of
all GPUs of the host, and only the program knows which of them can be used.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping

from mlengine.backends.capacity import gpus
from mlengine.machines import Gpu

_PATIENCE_SECONDS = 30  # a driver that nothing holds awake takes seconds to answer


def nvidia_smi(environ: Mapping[str, str] = os.environ) -> str | None:
    """The program that tells about GPUs, or None."""
    return shutil.which("nvidia-smi", path=environ.get("PATH"))


def present_gpus(program: str | None = None) -> list[Gpu]:
    """Every GPU that is here, by index; [] for none.

    Args:
        program: nvidia-smi; None to read the driver's files.
    """
    asked = _asked(program) if program else None
    return list(gpus()) if asked is None else asked


def _asked(program: str) -> list[Gpu] | None:
    query = [program, "--query-gpu=index,name", "--format=csv,noheader"]
    try:
        answer = subprocess.run(
            query, capture_output=True, text=True, errors="replace", timeout=_PATIENCE_SECONDS, check=True
        )
        return [_gpu(line) for line in answer.stdout.splitlines() if line.strip()]
    except (OSError, subprocess.SubprocessError, ValueError):  # no driver, or no GPU: it says so in words
        return None


def _gpu(line: str) -> Gpu:
    index, _, name = line.partition(",")
    return Gpu(index=int(index), name=name.strip())
