"""What the gateway says of its counters, read into figures. Apart from `service`, which knows no JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mlengine.monitoring.domain import Figures, Histogram, Live


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Everything the gateway has counted since it began.

    Attributes:
        epoch: Names that beginning.
        figures: By PROJECT/MODEL/VERSION.
        live: How each stands now, by the same.
    """

    epoch: str
    figures: Mapping[str, Figures]
    live: Mapping[str, Live]


def read(said: Mapping[str, Any]) -> Counted:
    """An answer to the order `figures`."""
    seconds, instances = said["bounds"]["seconds"], said["bounds"]["instances"]
    figures, live = {}, {}
    for key, one in said["versions"].items():
        figures[key] = Figures(
            codes=dict(one["codes"]),
            instances=one["instances"],
            shadowed=one["shadowed"],
            retried=one["retried"],
            total=_histogram(seconds, one["total"]),
            queue=_histogram(seconds, one["queue"]),
            model=_histogram(seconds, one["model"]),
            batch=_histogram(instances, one["batch"]),
            total_seconds=one["totalSeconds"],
            queue_seconds=one["queueSeconds"],
            model_seconds=one["modelSeconds"],
            batch_instances=one["batchInstances"],
        )
        live[key] = Live(
            in_flight=one["inFlight"],
            held=one["held"],
            nodes=one["connected"],
            last_use=datetime.fromtimestamp(one["lastUse"], UTC) if one["lastUse"] else None,
        )
    return Counted(epoch=said["epoch"], figures=figures, live=live)


def _histogram(bounds: Sequence[float], counts: Sequence[int]) -> Histogram:
    edges = (0.0, *bounds, math.inf)
    return {(edges[place], edges[place + 1]): count for place, count in enumerate(counts) if count}
