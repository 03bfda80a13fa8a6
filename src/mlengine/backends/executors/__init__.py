"""Places where tasks run. All of them keep the contract of `mlengine.jobs.executor`."""

from __future__ import annotations

from mlengine.backends.executors.inline import InlineExecutor
from mlengine.backends.executors.local import LocalExecutor

__all__ = ["InlineExecutor", "LocalExecutor"]
