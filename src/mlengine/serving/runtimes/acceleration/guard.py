"""A signature that asks the faster form, and the original wherever that one gives up."""

from __future__ import annotations

import copy
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from mlengine.serving.runtimes.acceleration.blocks import Batch
from mlengine.serving.runtimes.acceleration.words import Unsupported, Unusual
from mlengine.serving.runtimes.model import RawInstances, Rows, Signature

Run = Callable[[Rows], Any]


class Guarded:
    """Answers as `original` does, through `fast` where that works.

    Attributes:
        fallbacks: Number of calls that the original had to answer.

    Args:
        original: What decodes, joins and writes answers, and is asked when `fast` raises.
        fast: Takes rows, and returns what the original's `run` returns.
    """

    def __init__(self, original: Signature, fast: Run) -> None:
        self.name = original.name
        self.original = original
        self.fast = fast
        self.decode: Callable[[RawInstances], Rows] = original.decode
        self.join: Callable[[Sequence[Rows]], Rows] = original.join
        self.predictions: Callable[[Any, int, int], list[Any]] = original.predictions
        self.fallbacks = 0
        self._told = False

    def __getattr__(self, name: str) -> Any:
        # Whatever else the original has to say to those who know it.
        if name == "original":
            raise AttributeError(name)
        return getattr(self.original, name)

    def run(self, rows: Rows) -> Any:
        """Ask the faster form, or else the original."""
        try:
            return self.fast(rows)
        except Unusual:
            self.fallbacks += 1
        except Exception as error:
            self.fallbacks += 1
            self._tell(error)
        return self.original.run(rows)

    def _tell(self, error: Exception) -> None:
        if not self._told:
            self._told = True
            sys.stderr.write("The accelerated form failed; the original answers. This is said once.\n")
            traceback.print_exception(error, file=sys.stderr)
            sys.stderr.flush()


class _Batches:
    """Stands where the original has its intake, and hands the plan a Batch."""

    def __init__(self, intake: Any) -> None:
        self._intake = intake

    def matrix(self, rows: Rows) -> Batch:
        return Batch(self._intake, rows)


def by_plan(original: Signature, plan: Any) -> Run:
    """A `run` that is the original's own, but for the model that it asks and the form of its input."""
    twin: Any = copy.copy(original)
    if not hasattr(twin, "_model") or not hasattr(twin, "_intake"):
        raise Unsupported("The instances do not come in columns.")
    twin._model = plan
    twin._intake = _Batches(twin._intake)
    run: Run = twin.run
    return run
