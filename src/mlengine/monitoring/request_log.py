"""Samples of requests and answers on their way from the gateway to a table or a bucket.

The gateway keeps the newest few and waits for nobody; here they are fetched and written. What cannot be
written is lost and counted: a destination that fails must cost no prediction.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from mlengine.clock import to_text
from mlengine.errors import Problem
from mlengine.monitoring.hourly import HourlyObjects
from mlengine.monitoring.service import MonitoringService
from mlengine.names import ObjectUrl

_LOG = logging.getLogger(__name__)
_MOST = 200
_ROW = ("model", "model_version", "time", "raw_data", "raw_prediction", "groundtruth")
# Type, and whether a row always brings it. A table may be more generous, and have columns that may be empty.
COLUMNS = {
    "model": ("STRING", True),
    "model_version": ("STRING", True),
    "time": ("TIMESTAMP", True),
    "raw_data": ("STRING", True),
    "raw_prediction": ("STRING", False),
    "groundtruth": ("STRING", False),
}
Row = dict[str, Any]


class Tables(Protocol):
    """Where rows go."""

    def __call__(self, table: str, rows: Sequence[Row]) -> tuple[int, str]:
        """Add rows to PROJECT.DATASET.TABLE; how many could not be, and why. Raises Problem."""
        ...


def wrong_columns(columns: Sequence[tuple[str, str, str]]) -> str:
    """Why a table with these columns (name, type, mode) cannot take samples; empty where it can."""
    there = {name.lower(): (kind, mode) for name, kind, mode in columns}
    for name, (wanted, always) in COLUMNS.items():
        if name not in there:
            return f"it has no column {name}"
        kind, mode = there[name]
        if kind != wanted or mode == "REPEATED":
            return f"its column {name} is {mode} {kind}, not {wanted}"
        if mode == "REQUIRED" and not always:
            return f"its column {name} is REQUIRED"
    for name, (_, mode) in there.items():
        if mode == "REQUIRED" and name not in COLUMNS:
            return f"its column {name} is REQUIRED, and samples have none"
    return ""


class RequestLog:
    """Fetches and writes.

    Args:
        records: Up to so many samples, each given once; and how many were lost, by version.
        wanted: What each version says about logging, as `Version.request_logging`, by PROJECT/MODEL/VERSION.
    """

    def __init__(
        self,
        service: MonitoringService,
        *,
        records: Callable[[int], tuple[Sequence[Mapping[str, Any]], Mapping[str, int]]],
        wanted: Callable[[], Mapping[str, Mapping[str, Any]]],
        tables: Tables,
        objects: HourlyObjects,
    ) -> None:
        self._service = service
        self._records = records
        self._wanted = wanted
        self._tables = tables
        self._objects = objects
        self._left = True
        self._failing: set[str] = set()

    def turn(self) -> bool:
        """Fetch and write once; true where there may be more at once. Raises Unavailable."""
        wanted = self._wanted()
        self._service.logging(wanted)
        self._failing &= set(wanted)
        more = False
        if wanted or self._left:
            records, lost = self._records(_MOST)
            more = bool(records)
            # Once nobody wants any, what is left in the gateway is still fetched.
            self._left = bool(wanted) or more
            for key, count in lost.items():
                self._service.logged(key, lost=count)
            self._write(records, wanted)
        for outcome in self._objects.tend():
            self._tell(outcome.key, outcome.written, outcome.lost, outcome.trouble)
        return more

    def _write(self, records: Sequence[Mapping[str, Any]], wanted: Mapping[str, Mapping[str, Any]]) -> None:
        found: dict[str, list[Row]] = {}
        for record in records:
            found.setdefault(record["version"], []).append(_row(record))
        for key, rows in found.items():
            where = wanted.get(key, {})
            try:
                if table := where.get("bigqueryTableName"):
                    lost, why = self._tables(table, rows)
                    self._tell(key, len(rows) - lost, lost, why)
                elif destination := where.get("destination"):
                    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
                    self._objects.add(key, ObjectUrl.parse(destination), lines)
                else:
                    self._service.logged(key, lost=len(rows))
            except (Problem, OSError) as problem:
                message = problem.message if isinstance(problem, Problem) else str(problem)
                self._tell(key, 0, len(rows), message)

    def _tell(self, key: str, written: int, lost: int, trouble: str) -> None:
        self._service.logged(key, written=written, lost=lost, trouble=trouble)
        if trouble and key not in self._failing:
            self._failing.add(key)
            _LOG.warning("Requests of %s are not logged: %s Predictions go on.", key, trouble)
        elif written and not trouble and key in self._failing:
            self._failing.discard(key)
            _LOG.info("Requests of %s are logged again.", key)


def _row(record: Mapping[str, Any]) -> Row:
    _, model, version = record["version"].split("/")
    moment = to_text(datetime.fromtimestamp(record["time"], UTC))
    return dict(zip(_ROW, (model, version, moment, record["request"], record["response"], None), strict=True))
