"""What can be asked about what versions did, and how it gets into the database.

The gateway counts since its start. Every few seconds the loop has `collect` write what was added since: the
intervals, and in the same transaction up to where they count, so that a crash neither loses nor doubles any.
What was added after that is asked of the gateway by whoever reads, so that an answer is never old.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from mlengine.clock import Clock
from mlengine.database import Database
from mlengine.errors import Unavailable
from mlengine.models.service import ModelService
from mlengine.monitoring import intake, store
from mlengine.monitoring.domain import (
    FORGOTTEN,
    WIDTHS,
    Figures,
    History,
    Interval,
    Live,
    Span,
    Usage,
    floored,
    oldest,
    resampled,
    step_for,
    thinned,
    total,
    with_live,
)
from mlengine.monitoring.store import Position
from mlengine.names import ModelName, VersionName

_LOG = logging.getLogger(__name__)
_MOST_THINNED = 500
# Memory that changes by less is not worth an interval of its own.
_NOTABLE = 0.1


class MonitoringService:
    """What versions did.

    Args:
        figures: Everything the gateway has counted, as it says it. Raises Unavailable.
        usage: What the processes of versions use, by PROJECT/MODEL/VERSION.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        models: ModelService,
        *,
        figures: Callable[[], Mapping[str, Any]],
        usage: Callable[[], Mapping[str, Usage]],
    ) -> None:
        self._database = database
        self._clock = clock
        self._models = models
        self._ask = figures
        self._usage = usage
        self._lock = threading.Lock()
        self._positions: Mapping[str, Position] | None = None
        self._collected: float | None = None
        self._epoch = ""
        self._used: Mapping[str, Usage] = {}
        # Nodes and memory as they were last written.
        self._written: dict[str, tuple[int, int]] = {}
        # What was logged and lost since then, and why.
        self._noted: dict[str, Figures] = {}
        self._troubles: dict[str, str] = {}

    # What the loops say.

    def collect(self) -> None:
        """Write what has happened since the last time.

        Raises:
            Unavailable: gateway or database do not answer; the next time makes up for it.
        """
        usage = self._usage()
        with self._lock:
            counted = intake.read(self._ask())
            now = self._clock().timestamp()
            positions = self._known_positions()
            added = self._added(counted, positions, usage, now)
            start = self._interval(now)
            changed = {
                key: Position(
                    epoch=counted.epoch,
                    figures=counted.figures[key],
                    last_use=_later(counted.live[key].last_use, positions.get(key)),
                )
                for key, figures in added.items()
                if key in counted.figures and (figures.counted or key not in positions)
            }
            rows = {
                key: [Interval(start=start, width=WIDTHS[0], figures=figures)]
                for key, figures in added.items()
                if figures.counted or self._notable(key, figures)
            }
            if rows or changed:
                with self._database.begin() as db:
                    store.add(db, rows)
                    store.save_positions(db, changed)
            self._positions = {**positions, **changed}
            self._collected, self._used, self._noted = now, usage, {}
            self._epoch = counted.epoch
            for key, (interval,) in rows.items():
                self._written[key] = (interval.figures.most_nodes, interval.figures.most_memory)
        for key, position in changed.items():
            if position.last_use:
                self._models.used(key, position.last_use)

    def begin(self) -> None:
        """Take up what is known of last uses."""
        with self._lock:
            known = self._known_positions()
        for key, position in known.items():
            if position.last_use:
                self._models.used(key, position.last_use)

    def thin(self) -> int:
        """Join intervals that are kept in wider ones by now; how many were taken."""
        with self._database.begin() as db:
            store.forget_positions(db, epoch=self._epoch, before=self._clock() - timedelta(seconds=FORGOTTEN))
        return sum(map(self._thin, WIDTHS))

    def logged(self, key: str, *, written: int = 0, lost: int = 0, trouble: str = "") -> None:
        """Requests of a version were written down, or lost, and why."""
        with self._lock:
            self._noted[key] = self._noted.get(key, Figures()) + Figures(logged=written, unlogged=lost)
            if trouble:
                self._troubles[key] = trouble
            elif written:
                self._troubles.pop(key, None)

    def logging(self, keys: Collection[str]) -> None:
        """These versions, and no others, have requests logged."""
        with self._lock:
            self._troubles = {key: why for key, why in self._troubles.items() if key in keys}

    # What is asked.

    def version(self, name: VersionName, span: Span) -> tuple[History, Span]:
        """What a version did, and the span with the step it is told by.

        Raises:
            NotFound: there is no such version.
        """
        version, _ = self._models.get_version(name)
        span = self._fitted(span, not_before=version.created)
        project, model = name.parent.project, name.parent.model
        found, live = self._read(span, project, model, name.version)
        return self._history([name.key], found, live, span), span

    def model(self, name: ModelName, span: Span) -> tuple[History, dict[str, History], Span]:
        """What a model's versions did, together and each by itself, by their ids.

        Raises:
            NotFound: there is no such model.
        """
        model, _ = self._models.get_model(name)
        span = self._fitted(span, not_before=model.created)
        found, live = self._read(span, name.project, name.model)
        ids = [version.name.version for version, _ in self._models.page_versions(name, after="", limit=1000)]
        prefix = f"{name.project}/{name.model}/"
        each = {id: self._history([prefix + id], found, live, span) for id in ids}
        return self._history(sorted({*found, *live}), found, live, span), each, span

    def project(self, project: str, span: Span) -> tuple[dict[str, tuple[History, int]], Span]:
        """What each model of a project did, by its id, and how many versions it has that are served."""
        span = self._fitted(span)
        found, live = self._read(span, project)
        models = [model.name.model for model, _ in self._models.page_models(project, after="", limit=1000)]
        told = {}
        for id in models:
            prefix = f"{project}/{id}/"
            keys = [key for key in {*found, *live} if key.startswith(prefix)]
            count = sum(key.startswith(prefix) for key in live)
            told[id] = (self._history(keys, found, live, span), count)
        return told, span

    # How.

    def _thin(self, width: int) -> int:
        now, taken = self._clock().timestamp(), 0
        while True:
            # A few at a time: others want to write, too.
            with self._database.begin() as db:
                found = store.take_old(db, width, before=oldest(width, now), most=_MOST_THINNED)
                store.add(db, {key: thinned(intervals, now) for key, intervals in found.items()})
            count = sum(map(len, found.values()))
            taken += count
            if count < _MOST_THINNED:
                return taken

    def _known_positions(self) -> Mapping[str, Position]:
        if self._positions is None:
            with self._database.read() as db:
                self._positions = store.positions(db)
        return self._positions

    def _added(
        self,
        counted: intake.Counted,
        positions: Mapping[str, Position],
        usage: Mapping[str, Usage],
        now: float,
    ) -> dict[str, Figures]:
        """What has come to each version since it was last written."""
        seconds = min(max(now - (self._collected or now - 1), 0.0), 60.0)
        found = {}
        for key, figures in counted.figures.items():
            position = positions.get(key)
            if position is not None and position.epoch == counted.epoch:
                figures = figures.since(position.figures)
            figures += self._noted.get(key, Figures())
            found[key] = with_live(figures, counted.live[key], usage.get(key, Usage()), seconds=seconds)
        # A version that is gone may have left samples.
        return found | {key: figures for key, figures in self._noted.items() if key not in found}

    def _interval(self, now: float) -> int:
        """The interval in which most of what has come since the last look lies."""
        middle = now if self._collected is None else (self._collected + now) / 2
        return floored(middle, WIDTHS[0])

    def _notable(self, key: str, figures: Figures) -> bool:
        nodes, memory = self._written.get(key, (-1, 0))
        return nodes != figures.most_nodes or abs(memory - figures.most_memory) > _NOTABLE * memory

    def _fitted(self, span: Span, *, not_before: datetime | None = None) -> Span:
        now = self._clock().timestamp()
        since = max(span.since, not_before.timestamp()) if not_before else span.since
        since = min(since, span.until)
        return Span(since=since, until=span.until, step=step_for(since, span.until, now, asked=span.step))

    def _read(
        self, span: Span, project: str, model: str = "", version: str = ""
    ) -> tuple[dict[str, list[Interval]], dict[str, Live]]:
        """The intervals of a span, the unfinished one among them, and how the versions stand."""
        found, positions = self._stored(span, project, model, version)
        with self._lock:
            used = self._used
            if positions is not self._positions:
                # Written meanwhile: what is stored and up to where must be of one moment.
                found, positions = self._stored(span, project, model, version)
            try:
                counted = intake.read(self._ask())
            except Unavailable as problem:
                _LOG.warning("What versions did in the last seconds is not known: %s", problem)
                return found, {}
            now = self._clock().timestamp()
            still = {key: replace(one, cpu_seconds=0.0) for key, one in used.items()}
            added = self._added(counted, positions, still, now)
            start = self._interval(now)
        prefix = "/".join(part for part in (project, model, version) if part)
        live = {}
        for key, figures in added.items():
            if key != prefix and not key.startswith(f"{prefix}/"):
                continue
            if span.since < start + WIDTHS[0] and start < span.until:
                found.setdefault(key, []).append(Interval(start=start, width=WIDTHS[0], figures=figures))
            if key in counted.live:
                one = counted.live[key]
                memory = used.get(key, Usage()).memory
                live[key] = replace(one, memory=memory, last_use=_later(one.last_use, positions.get(key)))
        return found, live

    def _stored(
        self, span: Span, project: str, model: str, version: str
    ) -> tuple[dict[str, list[Interval]], Mapping[str, Position]]:
        positions = self._known_positions()
        with self._database.read() as db:
            found = store.intervals(db, project, model, version, since=span.since, until=span.until)
        return found, positions

    def _history(
        self,
        keys: Iterable[str],
        found: Mapping[str, Iterable[Interval]],
        live: Mapping[str, Live],
        span: Span,
    ) -> History:
        keys = list(keys)
        points = _side_by_side([resampled(found.get(key, ()), span.step) for key in keys])
        return History(
            points=tuple(points),
            figures=total(one.figures for one in points),
            live=_together([live[key] for key in keys if key in live]),
            trouble=" ".join(self._troubles[key] for key in keys if key in self._troubles),
        )


def _side_by_side(series: list[list[Interval]]) -> list[Interval]:
    """Versions of the same steps as one. Their nodes and bytes are added: they are there at the same time."""
    found: dict[int, Interval] = {}
    for one in (interval for intervals in series for interval in intervals):
        known = found.get(one.start)
        found[one.start] = (
            one if known is None else replace(known, figures=_beside(known.figures, one.figures))
        )
    return [found[start] for start in sorted(found)]


def _beside(one: Figures, other: Figures) -> Figures:
    return replace(
        one + other,
        # Looked at for as long, not for twice as long.
        seconds=max(one.seconds, other.seconds),
        most_nodes=one.most_nodes + other.most_nodes,
        most_memory=one.most_memory + other.most_memory,
        most_waiting=one.most_waiting + other.most_waiting,
    )


def _together(all_of_them: list[Live]) -> Live:
    uses = [one.last_use for one in all_of_them if one.last_use]
    return Live(
        in_flight=sum(one.in_flight for one in all_of_them),
        held=sum(one.held for one in all_of_them),
        nodes=sum(one.nodes for one in all_of_them),
        memory=sum(one.memory for one in all_of_them),
        last_use=max(uses, default=None),
    )


def _later(now: datetime | None, position: Position | None) -> datetime | None:
    before = position.last_use if position else None
    return max((one for one in (now, before) if one), default=None)
