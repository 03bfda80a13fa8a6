"""Splits and shuffles: which part a row goes to, and in which order, follows from a seed and its place.

A row's rank is that of the MD5 of "SEED:PLACE", where PLACE counts the rows of the table from 0. So the same
version of a table, seed and ratios give the same parts on every machine and in every version of this server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from mlengine.errors import InvalidArgument
from mlengine.tables.domain import Segment, Table
from mlengine.tables.engine import Brake, Engine, write_parquet
from mlengine.tables.load_options import manner
from mlengine.tables.scans import scan, stored
from mlengine.tables.schema import TableReference
from mlengine.tables.segments import Segments
from mlengine.tables.service import Manner, TableService, planned
from mlengine.tables.types import literal, quoted
from mlengine.tables.wire import numeral, reference_from, truth

_KNOWN = (
    *("sourceTable", "destinationTables", "ratios", "seed", "shuffle"),
    *("writeDisposition", "createDisposition"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitOptions:
    """A split, understood.

    Attributes:
        ratios: The share of each destination; together 1 at most.
        shuffle: Whether the rows of a part are in the order of their ranks, not of the table.
    """

    source: TableReference
    destinations: tuple[TableReference, ...]
    ratios: tuple[float, ...]
    seed: int
    shuffle: bool
    manner: Manner


def split_options(said: Mapping[str, Any], *, project: str) -> SplitOptions:
    """Read `configuration.split`. Raises InvalidArgument."""
    for key, value in said.items():
        if key not in _KNOWN and value not in (None, "", [], {}, False):
            raise InvalidArgument(f"{key} of a split is not supported.")
    found = said.get("destinationTables")
    if not isinstance(found, list) or not found:
        raise InvalidArgument("destinationTables must be a list of tables.")
    destinations = tuple(reference_from(one, project=project) for one in found)
    if len(set(destinations)) < len(destinations):
        raise InvalidArgument("destinationTables names a table twice.")
    shares = said.get("ratios") or [1.0 / len(found)] * len(found)
    if not isinstance(shares, list) or not all(isinstance(one, int | float) and one > 0 for one in shares):
        raise InvalidArgument("ratios must be a list of positive numbers.")
    if len(shares) != len(found):
        raise InvalidArgument(f"There are {len(shares)} ratios for {len(found)} destinationTables.")
    if sum(shares) > 1 + 1e-9:
        raise InvalidArgument(
            f"The ratios sum up to {sum(shares):g}, which is more than the whole.", hint="Like [0.8, 0.2]."
        )
    return SplitOptions(
        source=reference_from(said.get("sourceTable"), project=project),
        destinations=destinations,
        ratios=tuple(float(one) for one in shares),
        seed=numeral(said, "seed") or 0,
        shuffle=truth(said, "shuffle"),
        manner=manner(said, default="WRITE_EMPTY"),
    )


class Splitter:
    """Carries splits out."""

    def __init__(self, service: TableService, segments: Segments, engine: Engine) -> None:
        self._service = service
        self._segments = segments
        self._engine = engine

    def split(self, options: SplitOptions, brake: Brake) -> tuple[Table, list[Table]]:
        """Write all parts, then make tables of them. Returns what was read, and what was made."""
        table = self._service.table(options.source)
        if table.kind == "VIEW":
            raise InvalidArgument(f"{table.reference} is a view.", hint="Query it into a table first.")
        bases = [self._service.find(one) for one in options.destinations]
        schemas = [
            planned(base, table.schema, options.manner, place)
            for base, place in zip(bases, options.destinations, strict=True)
        ]
        with ExitStack() as stack:
            stack.enter_context(self._segments.pinned(one.key for one in table.content.segments))
            connection = stack.enter_context(self._engine.reader(brake))
            self._rank(connection, options, table.content.rows)
            parts: list[Segment] = []
            for number in range(len(options.destinations)):
                key, path = stack.enter_context(self._segments.landing())
                rows = self._part(table, number, shuffle=options.shuffle)
                count = connection.execute(write_parquet(stored(table.schema, rows), path)).fetchone()[0]
                size = self._segments.seal(key, path)
                columns = tuple(one.name for one in table.schema)
                parts.append(Segment(key=key, rows=count, size=size, columns=columns))
                brake.check()
            made = [
                self._service.write(
                    place,
                    schema=schema,
                    segments=[part] if part.rows else [],
                    manner=options.manner,
                    base=base,
                )
                for place, schema, part, base in zip(options.destinations, schemas, parts, bases, strict=True)
            ]
        return table, made

    def _rank(self, connection: Any, options: SplitOptions, rows: int) -> None:
        """A table of ranks and parts, one row for each row of the source and in its order."""
        cases = " ".join(
            f"WHEN rank < {stop} THEN {number}" for number, stop in enumerate(_stops(options.ratios, rows))
        )
        text = f"{literal(f'{options.seed}:')} || place"
        ranks = (
            f"SELECT place, row_number() OVER (ORDER BY md5_number({text}), place) - 1 AS rank "
            f"FROM range({rows}) AS places(place)"
        )
        connection.execute(
            f"CREATE TEMP TABLE ranks AS SELECT rank, CASE {cases} END AS part FROM ({ranks}) ORDER BY place"
        )

    def _part(self, table: Table, number: int, *, shuffle: bool) -> str:
        names = ", ".join(f"rows.{quoted(one.name)}" for one in table.schema)
        source = scan(table.schema, table.content, self._segments.path)
        chosen = f"SELECT {names} FROM ({source}) AS rows POSITIONAL JOIN ranks WHERE ranks.part = {number}"
        return f"{chosen} ORDER BY ranks.rank" if shuffle else chosen


def _stops(ratios: Sequence[float], rows: int) -> list[int]:
    """The first rank behind each part; parts that make up the whole leave no row over."""
    stops: list[int] = []
    total = 0.0
    for ratio in ratios:
        total += ratio
        stops.append(rows if total > 1 - 1e-9 else round(total * rows))
    return stops
