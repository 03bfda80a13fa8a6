"""What a version did, in numbers: counters and histograms that cost a request a few additions.

Apart from `pool`, which knows what happens to a request, and from `metrics`, which writes them as text.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

SECONDS = (
    0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0,
    2.5, 5.0, 10.0, 30.0, 60.0,
)  # fmt: skip
"""Upper bounds of the histograms of time; one more bucket holds the rest."""
INSTANCES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096)
"""Upper bounds of the histogram of instances in a model call."""

LEFT = 499
"""Stands for a request whose client had gone before it was answered."""


class Figures:
    """Cumulative numbers of one version since the gateway's start.

    Attributes:
        codes: HTTP number to answers with it; LEFT for those nobody waited for.
        instances: Of all model calls.
        shadowed: Requests that were copies of another version's.
        retried: Requests sent again because their worker had died.
        total: Histogram: from the complete request to its answer, for all that a worker answered.
        queue: The part of it that was neither decoding, nor model, nor encoding.
        model: The model call that answered the request.
        batch: Per request, how many instances that call had.
        batch_sum: All of these added up.
    """

    __slots__ = (
        "batch", "batch_sum", "codes", "instances", "model", "model_seconds", "queue", "queue_seconds",
        "retried", "shadowed", "total", "total_seconds",
    )  # fmt: skip

    def __init__(self) -> None:
        self.codes: dict[int, int] = {}
        self.instances = self.shadowed = self.retried = 0
        self.total, self.queue, self.model = ([0] * (len(SECONDS) + 1) for _ in range(3))
        self.batch = [0] * (len(INSTANCES) + 1)
        self.batch_sum = 0
        self.total_seconds = self.queue_seconds = self.model_seconds = 0.0

    def answered(self, status: int, *, total: float, queue: float, model: float, instances: int) -> None:
        """A worker has answered a request; times in seconds."""
        codes = self.codes
        codes[status] = codes.get(status, 0) + 1
        self.total[bisect_left(SECONDS, total)] += 1
        self.total_seconds += total
        self.queue[bisect_left(SECONDS, queue)] += 1
        self.queue_seconds += queue
        if instances:
            self.model[bisect_left(SECONDS, model)] += 1
            self.model_seconds += model
            self.batch[bisect_left(INSTANCES, instances)] += 1
            self.batch_sum += instances

    def ended(self, status: int) -> None:
        """A request has ended without a worker."""
        self.codes[status] = self.codes.get(status, 0) + 1

    def to_json(self) -> dict[str, Any]:
        """As the control plane gets them."""
        return {
            "codes": {str(code): count for code, count in self.codes.items()},
            "instances": self.instances,
            "shadowed": self.shadowed,
            "retried": self.retried,
            "total": self.total,
            "queue": self.queue,
            "model": self.model,
            "batch": self.batch,
            "batchInstances": self.batch_sum,
            "totalSeconds": self.total_seconds,
            "queueSeconds": self.queue_seconds,
            "modelSeconds": self.model_seconds,
        }
