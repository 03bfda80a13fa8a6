"""The only SQL about what versions did."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    delete,
    insert,
    select,
)

from mlengine.database import Moment
from mlengine.monitoring.domain import NAMES, Figures, Interval

METADATA = MetaData()
INTERVALS = Table(
    "version_intervals",
    METADATA,
    Column("project", String(63), primary_key=True),
    Column("model", String(128), primary_key=True),
    Column("version", String(128), primary_key=True),
    Column("width", Integer, primary_key=True, autoincrement=False),
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    Column("figures", Text, nullable=False),
    Index("ix_version_intervals_start", "width", "start"),
)
POSITIONS = Table(
    "version_positions",
    METADATA,
    Column("project", String(63), primary_key=True),
    Column("model", String(128), primary_key=True),
    Column("version", String(128), primary_key=True),
    Column("epoch", String(64), nullable=False),
    Column("last_use", Moment),
    Column("figures", Text, nullable=False),
)
_HISTOGRAMS = ("total", "queue", "model", "batch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Up to where a version's counters are in the intervals.

    Attributes:
        epoch: From which beginning the gateway counted.
        figures: What it had counted.
        last_use: When a request last came, as far as is known.
    """

    epoch: str
    figures: Figures
    last_use: datetime | None = None


def add(db: Connection, found: Mapping[str, Iterable[Interval]]) -> None:
    """Add intervals, by PROJECT/MODEL/VERSION, to what is there."""
    for key, intervals in found.items():
        for one in intervals:
            place = _place(key) | {"width": one.width, "start": one.start}
            same = _is(INTERVALS, place)
            figures = one.figures
            there = db.execute(select(INTERVALS.c.figures).where(same)).scalar()
            if there is not None:
                figures = _figures(there) + figures
                db.execute(delete(INTERVALS).where(same))
            db.execute(insert(INTERVALS).values(**place, figures=_text(figures)))


def intervals(
    db: Connection, project: str, model: str = "", version: str = "", *, since: float, until: float
) -> dict[str, list[Interval]]:
    """What is kept of a version, of a model or of a project, by PROJECT/MODEL/VERSION, oldest first.

    Args:
        since: Unix seconds; intervals that end later are found.
        until: The same; those that begin earlier are.
    """
    table = INTERVALS.c
    query = select(INTERVALS).where(
        table.project == project, table.start > since - table.width, table.start < until
    )
    if model:
        query = query.where(table.model == model)
    if version:
        query = query.where(table.version == version)
    found: dict[str, list[Interval]] = {}
    for row in db.execute(query.order_by(table.start, table.width)):
        found.setdefault(f"{row.project}/{row.model}/{row.version}", []).append(_interval(row))
    return found


def take_old(db: Connection, width: int, *, before: int, most: int) -> dict[str, list[Interval]]:
    """Remove, and give, intervals of a width that begin before a moment; the oldest, some `most` of them."""
    table = INTERVALS.c
    old = (table.width == width) & (table.start < before)
    last = db.execute(select(table.start).where(old).order_by(table.start).offset(most).limit(1)).scalar()
    if last is not None:
        old &= table.start <= last
    found: dict[str, list[Interval]] = {}
    for row in db.execute(select(INTERVALS).where(old).order_by(table.start)):
        found.setdefault(f"{row.project}/{row.model}/{row.version}", []).append(_interval(row))
    db.execute(delete(INTERVALS).where(old))
    return found


def positions(db: Connection) -> dict[str, Position]:
    """All of them, by PROJECT/MODEL/VERSION."""
    return {
        f"{row.project}/{row.model}/{row.version}": Position(
            epoch=row.epoch, figures=_figures(row.figures), last_use=row.last_use
        )
        for row in db.execute(select(POSITIONS))
    }


def save_positions(db: Connection, found: Mapping[str, Position]) -> None:
    """Write some of them."""
    for key, one in found.items():
        place = _place(key)
        db.execute(delete(POSITIONS).where(_is(POSITIONS, place)))
        row = {"epoch": one.epoch, "last_use": one.last_use, "figures": _text(one.figures)}
        db.execute(insert(POSITIONS).values(**place, **row))


def forget_positions(db: Connection, *, epoch: str, before: datetime) -> None:
    """Remove those of other epochs that tell nothing but a last use before some moment, or none."""
    table = POSITIONS.c
    old = table.last_use.is_(None) | (table.last_use < before)
    db.execute(delete(POSITIONS).where((table.epoch != epoch) & old))


def _place(key: str) -> dict[str, Any]:
    return dict(zip(("project", "model", "version"), key.split("/"), strict=True))


def _is(table: Table, place: Mapping[str, Any]) -> Any:
    found = [table.c[name] == value for name, value in place.items()]
    condition = found[0]
    for one in found[1:]:
        condition = condition & one
    return condition


def _interval(row: Any) -> Interval:
    return Interval(start=row.start, width=row.width, figures=_figures(row.figures))


def _text(figures: Figures) -> str:
    """As JSON; what is nothing is left out, and infinity is null."""
    said: dict[str, Any] = {}
    for name in NAMES:
        value = getattr(figures, name)
        if name in _HISTOGRAMS:
            value = [[above, None if math.isinf(to) else to, n] for (above, to), n in sorted(value.items())]
        if value:
            said[name] = dict(value) if name == "codes" else value
    return json.dumps(said, separators=(",", ":"))


def _figures(text: str) -> Figures:
    said = json.loads(text)
    for name in _HISTOGRAMS:
        if name in said:
            said[name] = {(above, math.inf if to is None else to): n for above, to, n in said[name]}
    return Figures(**said)
