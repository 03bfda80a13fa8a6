"""Rows out of tables a page at a time, and rows that are inserted one by one."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from mlengine.errors import Conflict, InvalidArgument
from mlengine.tables import load_json
from mlengine.tables.cells import row_text
from mlengine.tables.domain import Segment, Table
from mlengine.tables.engine import Engine, write_parquet
from mlengine.tables.json_rows import RowError, prepared
from mlengine.tables.scans import scan_rows, stored
from mlengine.tables.schema import Schema, TableReference
from mlengine.tables.segments import Segments
from mlengine.tables.service import TableService

_PAGE_BYTES = 10 << 20
_FETCH = 256  # rows at once: a page ends soon after it is full
_REMEMBERED = timedelta(minutes=5)  # how long a row's insertId keeps it from coming twice
_MOST_REMEMBERED = 200_000
_ATTEMPTS = 10
_MOST_AHEAD = 3  # pages that are made before they are asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some rows.

    Attributes:
        rows: Each as JSON text.
        next: Where the next page begins; None after the last.
    """

    rows: tuple[str, ...]
    next: int | None


class RowPages:
    """Reads tables. Whoever reads page after page finds the next one made while they looked at the last."""

    def __init__(self, segments: Segments, engine: Engine) -> None:
        self._segments = segments
        self._engine = engine
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="pages")
        self._ahead: OrderedDict[tuple[Any, ...], Future[Page]] = OrderedDict()
        self._lock = threading.Lock()

    def page(
        self, table: Table, columns: Schema, *, start: int, most: int | None, micros: bool = True
    ) -> Page:
        """Rows from `start` on: as many as fit into a page, and no more than `most`.

        Raises:
            InvalidArgument: it is a view, which has no rows of its own.
        """

        def key(place: int) -> tuple[Any, ...]:
            return (table.uid, table.version, columns, place, most, micros)

        with self._lock:
            waiting = self._ahead.pop(key(start), None)
        found = self._page(table, columns, start, most, micros) if waiting is None else waiting.result()
        # A first page with a bound may be all that is wanted.
        if found.next is not None and (most is None or start):
            with self._lock:
                if key(found.next) not in self._ahead:
                    self._ahead[key(found.next)] = self._pool.submit(
                        self._page, table, columns, found.next, most, micros
                    )
                while len(self._ahead) > _MOST_AHEAD:
                    self._ahead.popitem(last=False)[1].cancel()
        return found

    def close(self) -> None:
        """Make no more pages."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _page(self, table: Table, columns: Schema, start: int, most: int | None, micros: bool) -> Page:
        if table.kind == "VIEW":
            raise InvalidArgument(
                f"Cannot list a table of type VIEW: {table.reference}.", hint="Query it: SELECT * FROM …"
            )
        total = table.content.rows
        end = total if most is None else min(total, start + most)
        found: list[str] = []
        size, position, offset = 0, start, 0
        what = row_text(columns, whole_microseconds=micros)
        for segment in table.content.segments:
            first, offset = offset, offset + segment.rows
            if offset <= position or position >= end or size >= _PAGE_BYTES:
                continue
            query = scan_rows(
                table.schema,
                segment,
                self._segments.path,
                what,
                start=position - first,
                stop=min(end, offset) - first,
            )
            with self._segments.pinned((segment.key,)), self._engine.reader() as connection:
                result = connection.execute(query)
                while size < _PAGE_BYTES and (rows := result.fetchmany(_FETCH)):
                    texts = [row[0] for row in rows]
                    found += texts
                    size += sum(map(len, texts))
            position = start + len(found)
        return Page(rows=tuple(found), next=position if position < total else None)


class Inserter:
    """Adds rows as they come ("streaming inserts")."""

    def __init__(self, service: TableService, segments: Segments, engine: Engine) -> None:
        self._service = service
        self._segments = segments
        self._engine = engine
        self._seen: OrderedDict[tuple[str, str], datetime] = OrderedDict()
        self._lock = threading.Lock()

    def insert(
        self,
        reference: TableReference,
        rows: Sequence[Mapping[str, Any]],
        *,
        skip_invalid: bool,
        ignore_unknown: bool,
    ) -> list[tuple[int, str, str, str]]:
        """Add rows: all good ones, or with one bad row none, unless bad ones may be skipped.

        Args:
            rows: Each {"json": {…}, "insertId": "…"}. One whose id came in the last minutes is there already.

        Returns:
            What is wrong with rows: number, reason, field, words.
        """
        for attempt in range(_ATTEMPTS):
            table = self._service.table(reference.now)
            if table.kind != "TABLE":
                raise InvalidArgument(f"{reference} is a {table.kind.lower()}: rows cannot be inserted.")
            good, errors = _sorted_out(rows, table.schema, ignore_unknown)
            if errors and not skip_invalid:
                bad = {number for number, *_ in errors}
                errors += [(number, "stopped", "", "") for number in range(len(rows)) if number not in bad]
                return sorted(errors)
            fresh = self._fresh(table, good)
            if not fresh:
                return errors
            try:
                self._write(table, [row for _, row in fresh])
                return errors
            except Conflict:
                self._forget(table, fresh)
                if attempt == _ATTEMPTS - 1:
                    raise
            except BaseException:
                self._forget(table, fresh)
                raise
        raise AssertionError

    def _write(self, table: Table, rows: list[dict[str, Any]]) -> None:
        with (
            self._segments.room() as room,
            self._segments.landing() as (key, path),
            self._engine.reader() as connection,
        ):
            text = room / "rows.json"
            text.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
            source = load_json.source(table.schema, [text])
            connection.execute(write_parquet(stored(table.schema, source), path))
            size = self._segments.seal(key, path)
            columns = tuple(one.name for one in table.schema)
            self._service.append(table, Segment(key=key, rows=len(rows), size=size, columns=columns))

    def _fresh(
        self, table: Table, rows: list[tuple[str, dict[str, Any]]]
    ) -> list[tuple[str, dict[str, Any]]]:
        """Those that have not come before."""
        now = self._service.now()
        found: list[tuple[str, dict[str, Any]]] = []
        with self._lock:
            while self._seen and (
                len(self._seen) > _MOST_REMEMBERED or next(iter(self._seen.values())) < now - _REMEMBERED
            ):
                self._seen.popitem(last=False)
            for insert_id, row in rows:
                if insert_id and (table.uid, insert_id) in self._seen:
                    continue
                if insert_id:
                    self._seen[table.uid, insert_id] = now
                found.append((insert_id, row))
        return found

    def _forget(self, table: Table, rows: list[tuple[str, dict[str, Any]]]) -> None:
        with self._lock:
            for insert_id, _ in rows:
                self._seen.pop((table.uid, insert_id), None)


def _sorted_out(
    rows: Sequence[Mapping[str, Any]], schema: Schema, ignore_unknown: bool
) -> tuple[list[tuple[str, dict[str, Any]]], list[tuple[int, str, str, str]]]:
    good: list[tuple[str, dict[str, Any]]] = []
    errors: list[tuple[int, str, str, str]] = []
    for number, row in enumerate(rows):
        try:
            value = prepared(row.get("json", {}), schema, ignore_unknown=ignore_unknown)
            good.append((str(row.get("insertId") or ""), value))
        except RowError as error:
            errors.append((number, "invalid", error.field, error.words))
    return good, errors
