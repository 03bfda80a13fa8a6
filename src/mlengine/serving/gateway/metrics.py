"""The page `/metrics`: what versions did, as Prometheus reads it; written from the figures when asked."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from mlengine.serving.gateway.figures import INSTANCES, SECONDS

if TYPE_CHECKING:
    from mlengine.serving.gateway.figures import Figures
    from mlengine.serving.gateway.pool import VersionPool

MEDIA_TYPE = b"text/plain; version=0.0.4; charset=utf-8"

_Number = Callable[["VersionPool"], float]
_Histogram = Callable[["Figures"], tuple[Sequence[float], list[int], float]]

_NUMBERS: tuple[tuple[str, str, str, _Number], ...] = (
    ("prediction_instances_total", "counter", "Instances of all calls.", lambda pool: pool.figures.instances),
    ("predictions_shadowed_total", "counter", "Copies of requests.", lambda pool: pool.figures.shadowed),
    ("predictions_retried_total", "counter", "Asked again of another.", lambda pool: pool.figures.retried),
    ("predictions_in_flight", "gauge", "Taken and not yet answered.", lambda pool: pool.waiting),
    ("predictions_queue", "gauge", "Of these, those no worker is free for.", lambda pool: pool.held),
    ("predictions_most", "gauge", "As many may be in flight at once.", lambda pool: pool.most_waiting),
    ("workers", "gauge", "Workers that take requests.", lambda pool: pool.connected),
    ("workers_wanted", "gauge", "Workers that there should be.", lambda pool: pool.wanted_nodes),
)
_HISTOGRAMS: tuple[tuple[str, str, _Histogram], ...] = (
    (
        "prediction_seconds",
        "From the complete request to its answer.",
        lambda figures: (SECONDS, figures.total, figures.total_seconds),
    ),
    (
        "prediction_queue_seconds",
        "Of that, what was neither decoding, nor model, nor encoding.",
        lambda figures: (SECONDS, figures.queue, figures.queue_seconds),
    ),
    (
        "prediction_model_seconds",
        "The model call that answered the request.",
        lambda figures: (SECONDS, figures.model, figures.model_seconds),
    ),
    (
        "prediction_batch_instances",
        "Instances of the model call that answered the request.",
        lambda figures: (INSTANCES, figures.batch, figures.batch_sum),
    ),
)


def text(pools: Mapping[str, VersionPool], projects: Collection[str]) -> bytes:
    """The figures of all versions of these projects."""
    seen = {_labels(name): pool for name, pool in sorted(pools.items()) if name.partition("/")[0] in projects}
    return "".join(f"mlengine_{line}\n" if line[0] != "#" else f"{line}\n" for line in _lines(seen)).encode()


def _lines(pools: Mapping[str, VersionPool]) -> Iterator[str]:
    yield from _head("predictions_total", "counter", "Requests by HTTP number; 499: the client had left.")
    for labels, pool in pools.items():
        for code, count in sorted(pool.figures.codes.items()):
            yield f'predictions_total{{{labels},code="{code}"}} {count}'
    for name, kind, about, number in _NUMBERS:
        yield from _head(name, kind, about)
        for labels, pool in pools.items():
            yield f"{name}{{{labels}}} {number(pool)}"
    for name, about, histogram in _HISTOGRAMS:
        yield from _head(name, "histogram", about)
        for labels, pool in pools.items():
            yield from _histogram(name, labels, *histogram(pool.figures))


def _head(name: str, kind: str, about: str) -> tuple[str, str]:
    return f"# HELP mlengine_{name} {about}", f"# TYPE mlengine_{name} {kind}"


def _histogram(
    name: str, labels: str, bounds: Sequence[float], counts: Sequence[int], total: float
) -> Iterator[str]:
    sums = list(accumulate(counts))
    for bound, below in zip((*(f"{bound:g}" for bound in bounds), "+Inf"), sums, strict=True):
        yield f'{name}_bucket{{{labels},le="{bound}"}} {below}'
    yield f"{name}_sum{{{labels}}} {total:.6f}"
    yield f"{name}_count{{{labels}}} {sums[-1]}"


def _labels(name: str) -> str:
    names = zip(("project", "model", "version"), name.split("/"), strict=True)
    return ",".join(f'{label}="{_escaped(value)}"' for label, value in names)


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"")
