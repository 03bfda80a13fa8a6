"""Housekeeping: tables whose time is over go, small segments are merged, files of no version are deleted."""

from __future__ import annotations

import logging
from datetime import timedelta
from threading import Event

from mlengine.errors import Conflict
from mlengine.tables.domain import Content, Segment, Table
from mlengine.tables.engine import Engine, write_parquet
from mlengine.tables.scans import scan, stored
from mlengine.tables.segments import Segments
from mlengine.tables.service import TableService

_LOG = logging.getLogger(__name__)
_EVERY = timedelta(seconds=30)
_COLLECT_EVERY = 120  # turns
_YOUNG = timedelta(days=1)  # what has no version yet may be on its way
_SMALL = 16 << 20
_MANY = 8  # small segments side by side


class KeepingLoop:
    """Works as long as the server runs."""

    def __init__(
        self, service: TableService, segments: Segments, engine: Engine, *, every: timedelta = _EVERY
    ) -> None:
        self._service = service
        self._segments = segments
        self._engine = engine
        self._every = every
        self._stop = Event()

    def run(self) -> None:
        """Work until `stop`."""
        turn = 0
        while not self._stop.wait(self._every.total_seconds() if turn else 1.0):
            try:
                self.work(collect=turn % _COLLECT_EVERY == 0)
            except Exception:
                # Whatever was the matter, later it may be over; nothing is lost by waiting.
                _LOG.exception("Tables could not be cleaned up; the next turn tries again")
            turn += 1

    def stop(self) -> None:
        """End the loop after what it is at."""
        self._stop.set()

    def work(self, *, collect: bool, young: timedelta = _YOUNG) -> None:
        """One turn.

        Args:
            collect: Whether files are deleted, too.
            young: How old a file of no version must be for that.
        """
        self._service.expire()
        for table in self._service.shattered(more_than=_MANY):
            while run := _neighbours(table):
                try:
                    table = self._merge(table, run)
                except Conflict:
                    break  # more rows have come: the next turn
        if collect:
            self._segments.collect(self._service.used_segments(), older_than=young)
            self._segments.collect_uploads(set(), older_than=timedelta(days=7))

    def _merge(self, table: Table, run: list[Segment]) -> Table:
        content = Content(segments=tuple(run))
        with (
            self._segments.pinned(one.key for one in run),
            self._segments.landing() as (key, path),
            self._engine.reader() as connection,
        ):
            rows = stored(table.schema, scan(table.schema, content, self._segments.path))
            connection.execute(write_parquet(rows, path))
            size = self._segments.seal(key, path)
            columns = tuple(one.name for one in table.schema)
            into = Segment(key=key, rows=content.rows, size=size, columns=columns)
            self._service.merge(table, merged=run, into=into)
        found = self._service.find(table.reference)
        return table if found is None else found


def _neighbours(table: Table) -> list[Segment]:
    """Small segments that follow each other, if there are many."""
    run: list[Segment] = []
    for segment in table.content.segments:
        if segment.size < _SMALL:
            run.append(segment)
        elif len(run) < _MANY:
            run = []
        else:
            break
    return run if len(run) >= _MANY else []
