"""What a version did in a stretch of time: how such stretches add up, and how long which are kept. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any

MINUTE, HOUR, DAY = 60, 3600, 86400
WIDTHS = (10, MINUTE, 10 * MINUTE, HOUR)
"""How long, in seconds, the intervals are that are kept; the first is how often is looked."""
FORGOTTEN = 400 * DAY
"""After so many seconds nothing is kept any more."""
_KEPT = (HOUR, DAY, 30 * DAY, FORGOTTEN)
# What a chart is drawn by where nobody says: the first with no more points than eyes can tell apart.
_STEPS = (*WIDTHS[:2], 5 * MINUTE, 10 * MINUTE, 30 * MINUTE, HOUR, 6 * HOUR, DAY, 7 * DAY)
_EYES = 500

Bucket = tuple[float, float]
"""Above which value, and up to which; the last goes to infinity."""
Histogram = Mapping[Bucket, int]
"""Counts by bucket. Empty ones are left out, so histograms with other bounds can be added, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What happened in some time. All of it is added but what begins with `most`, of which the largest stays.

    Attributes:
        codes: Answers by their HTTP number.
        instances: Of all model calls.
        shadowed: Requests that were copies of another version's.
        retried: Requests asked again, since their worker had died.
        total: Requests by seconds from the complete request to its answer.
        queue: The part of it that was neither decoding, nor model, nor encoding.
        model: Requests by the seconds of the model call that answered them.
        batch: Requests by the instances of that call.
        batch_instances: These instances, added up.
        logged: Requests that were sampled and written down.
        unlogged: Those that were sampled and lost.
        seconds: How long was looked at nodes and memory.
        node_seconds: Nodes, times seconds.
        memory_seconds: Bytes of its processes, times seconds.
        cpu_seconds: What they computed.
        most_waiting: Requests taken and not answered.
    """

    codes: Mapping[str, int] = field(default_factory=dict)
    instances: int = 0
    shadowed: int = 0
    retried: int = 0
    total: Histogram = field(default_factory=dict)
    queue: Histogram = field(default_factory=dict)
    model: Histogram = field(default_factory=dict)
    batch: Histogram = field(default_factory=dict)
    total_seconds: float = 0.0
    queue_seconds: float = 0.0
    model_seconds: float = 0.0
    batch_instances: int = 0
    logged: int = 0
    unlogged: int = 0
    seconds: float = 0.0
    node_seconds: float = 0.0
    memory_seconds: float = 0.0
    cpu_seconds: float = 0.0
    most_nodes: int = 0
    most_memory: int = 0
    most_waiting: int = 0

    def __add__(self, other: Figures) -> Figures:
        return Figures(**{name: _joined(name, self, other) for name in NAMES})

    @property
    def requests(self) -> int:
        """All that ended, however."""
        return sum(self.codes.values())

    @property
    def errors(self) -> int:
        """Those that ended with another number than 2xx."""
        return sum(count for code, count in self.codes.items() if not code.startswith("2"))

    @property
    def counted(self) -> bool:
        """Whether anything was asked, or written down."""
        return bool(self.codes or self.shadowed or self.retried or self.logged or self.unlogged)

    def since(self, before: Figures) -> Figures:
        """What came since `before`, where both count from the same beginning; all of it where they do not."""
        found: dict[str, Any] = {}
        for name in NAMES:
            now, then = getattr(self, name), getattr(before, name)
            if name.startswith("most_"):
                found[name] = now
            elif isinstance(now, Mapping):
                if any(now.get(key, 0) < count for key, count in then.items()):
                    return self
                found[name] = {key: more for key, count in now.items() if (more := count - then.get(key, 0))}
            else:
                if now < then:
                    return self
                found[name] = now - then
        return Figures(**found)


NAMES = tuple(one.name for one in fields(Figures))


def _joined(name: str, one: Figures, other: Figures) -> Any:
    left, right = getattr(one, name), getattr(other, name)
    if isinstance(left, Mapping):
        return {key: left.get(key, 0) + right.get(key, 0) for key in {**left, **right}}
    return max(left, right) if name.startswith("most_") else left + right


def total(all_of_them: Iterable[Figures]) -> Figures:
    """All added up."""
    found = Figures()
    for one in all_of_them:
        found = found + one
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """What happened from `start`, in Unix seconds, for `width` seconds."""

    start: int
    width: int
    figures: Figures


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """From when to when, in Unix seconds, and drawn by how many seconds.

    Attributes:
        step: 0: as it fits.
    """

    since: float
    until: float
    step: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """How a version stands at this moment.

    Attributes:
        in_flight: Requests taken and not yet answered.
        held: Of these, the ones no worker is free for.
        nodes: Workers that take requests.
        memory: Bytes of its processes, when last looked at.
        last_use: When a request last came; None if never.
    """

    in_flight: int = 0
    held: int = 0
    nodes: int = 0
    memory: int = 0
    last_use: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What one or several versions did in a span.

    Attributes:
        points: Steps in which something happened, oldest first.
        figures: All of it together.
        live: How they stand now.
        trouble: Why requests are not logged that should be; empty while they are.
    """

    points: tuple[Interval, ...]
    figures: Figures
    live: Live
    trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What the processes of a version use.

    Attributes:
        memory: Bytes now. What processes share counts by its share.
        cpu_seconds: What they computed since they were last looked at.
    """

    memory: int = 0
    cpu_seconds: float = 0.0


def floored(moment: float, width: int) -> int:
    """The start of the interval that a moment lies in."""
    return int(moment // width) * width


def width_at(start: int, now: float) -> int:
    """How wide the interval is in which what began at `start` is kept now; 0 where it is forgotten.

    A wider interval takes over when all of it is old enough, so that none is ever half made.
    """
    for place, (width, kept) in enumerate(zip(WIDTHS, _KEPT, strict=True)):
        next_width = WIDTHS[min(place + 1, len(WIDTHS) - 1)]
        if floored(start, next_width) + next_width > now - kept:
            return width
    return 0


def oldest(width: int, now: float) -> int:
    """What begins before this moment is not kept by `width` seconds any more."""
    place = WIDTHS.index(width)
    next_width = WIDTHS[min(place + 1, len(WIDTHS) - 1)]
    return floored(now - _KEPT[place], next_width)


def thinned(intervals: Iterable[Interval], now: float) -> list[Interval]:
    """The same, each in the interval in which it is kept now, oldest first. Counts get lost by age alone."""
    found: dict[tuple[int, int], Figures] = {}
    for one in intervals:
        if width := width_at(one.start, now):
            width = max(width, one.width)
            key = (floored(one.start, width), width)
            found[key] = found[key] + one.figures if key in found else one.figures
    return [Interval(start=start, width=width, figures=found[start, width]) for start, width in sorted(found)]


def step_for(since: float, until: float, now: float, *, asked: int = 0) -> int:
    """By how many seconds a chart from `since` to `until` is drawn.

    Args:
        asked: What somebody wants; no less than this, and no less than what is kept from then. 0: as it fits.
    """
    finest = width_at(int(since), now) or WIDTHS[-1]
    if asked:
        return math.ceil(max(asked, finest) / finest) * finest
    for step in _STEPS:
        if step >= finest and (until - since) / step <= _EYES:
            return step
    return _STEPS[-1]


def resampled(intervals: Iterable[Interval], step: int) -> list[Interval]:
    """The same in steps of `step` seconds, oldest first; steps in which nothing happened are left out."""
    found: dict[int, Figures] = {}
    for one in intervals:
        start = floored(one.start, step)
        found[start] = found[start] + one.figures if start in found else one.figures
    return [Interval(start=start, width=step, figures=found[start]) for start in sorted(found)]


def quantile(histogram: Histogram, share: float) -> float | None:
    """The value that `share` of the counted do not exceed; None where nothing was counted.

    Within the bucket in which it lies, values are taken to be spread evenly; of the last, without an end, its
    lower bound is told. So does `histogram_quantile` of Prometheus.
    """
    count = sum(histogram.values())
    if not count:
        return None
    rank, below = share * count, 0
    for above, to in sorted(histogram, key=lambda bucket: (bucket[1], bucket[0])):
        here = histogram[above, to]
        if below + here >= rank:
            return above if math.isinf(to) else above + (to - above) * (rank - below) / here
        below += here
    raise AssertionError("the last bucket holds every rank")


def with_live(figures: Figures, live: Live, usage: Usage, *, seconds: float) -> Figures:
    """`figures` of the last `seconds`, with what was seen of nodes, memory and processors in them."""
    return replace(
        figures,
        seconds=seconds,
        node_seconds=live.nodes * seconds,
        memory_seconds=usage.memory * seconds,
        cpu_seconds=usage.cpu_seconds,
        most_nodes=live.nodes,
        most_memory=usage.memory,
        most_waiting=live.in_flight,
    )
