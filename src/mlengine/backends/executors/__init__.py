"""Places where tasks run. All of them keep the contract of `mlengine.jobs.executor`."""

from __future__ import annotations

from mlengine.backends.executors.gpus import nvidia_smi, present_gpus
from mlengine.backends.executors.inline import InlineExecutor
from mlengine.backends.executors.local import LocalExecutor
from mlengine.backends.executors.samples import read_samples

__all__ = ["InlineExecutor", "LocalExecutor", "nvidia_smi", "present_gpus", "read_samples"]
