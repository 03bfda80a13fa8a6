"""The SQL of listings: pages by seeking in the index of names, never by counting rows."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Select, Table, literal, select, union_all

from mlengine.database import Moment
from mlengine.storage.domain import Listing, ListQuery, Object, past
from mlengine.storage.globs import Glob
from mlengine.storage.store import NONCURRENT, OBJECTS, object_of

_PORTION = 256  # rows fetched at once where many may be folded or passed over
_MOST_LOOKED_AT = 20_000  # rows of one page with a pattern; it may end early, even without any entry


def page(db: Connection, bucket: str, query: ListQuery) -> Listing:
    """One page of a listing.

    Behind a folded prefix it jumps over all that begin with it.

    Raises:
        InvalidArgument: the pattern cannot be read.
    """
    prefix, delimiter = query.prefix.encode(), query.delimiter.encode()
    pattern = Glob(query.glob) if query.glob else None
    narrow = _narrowed(query.prefix, pattern.literal if pattern else "").encode()
    token, _, generation = query.token.partition(b"\xff")
    at = max(token, narrow, query.start.encode())
    since = int(generation or 0) if at == token else 0
    # A page may begin between two generations of a folder's marker, whose prefix has been told already.
    told = _folder(at, len(prefix), delimiter) if since else b""
    end = min((bound for bound in (past(narrow), query.end.encode() or None) if bound), default=None)
    items: list[Object] = []
    prefixes: list[str] = []
    portion = min(query.limit + 1, _PORTION) if delimiter or pattern else query.limit + 1
    looked_at = 0
    while True:
        rows = _rows(db, bucket, at, since, end, portion, versions=query.versions)
        for name, row in rows:
            if name < at:
                continue  # still below the prefix folded last
            folder = _folder(name, len(prefix), delimiter)
            marker = bool(folder) and query.trailing and name == folder
            item = (marker or not folder) and _fits(pattern, name)
            fold = bool(folder) and folder != told and _fits(pattern, folder)
            needed, room = item + fold, query.limit - len(items) - len(prefixes)
            # A marker counts twice; a page for one entry must take it all the same, or never get past it.
            full = needed and (room < 1 or (needed > room and query.limit > 1))
            if full or (pattern and looked_at >= _MOST_LOOKED_AT):
                return Listing(
                    items=tuple(items),
                    prefixes=tuple(prefixes),
                    token=_token(name, since if at == name else 0),
                )
            looked_at += 1
            if item:
                items.append(object_of(row))
            if fold:
                prefixes.append(folder.decode())
            told = folder
            if query.versions and (marker or not folder):
                at, since = name, row["generation"] + 1
            else:
                # UTF-8 has no byte 0xFF, so there always is a name past a folder.
                at, since = (past(folder) or name if folder else name + b"\x00"), 0
        if len(rows) < portion or (end is not None and at >= end):
            return Listing(items=tuple(items), prefixes=tuple(prefixes))


def _narrowed(prefix: str, literal_start: str) -> str:
    """What all names begin with: the longer of the two. If they contradict each other, no name fits."""
    return literal_start if literal_start.startswith(prefix) else prefix


def _folder(name: bytes, start: int, delimiter: bytes) -> bytes:
    cut = name.find(delimiter, start) if delimiter else -1
    return name[: cut + len(delimiter)] if cut >= 0 else b""


def _fits(pattern: Glob | None, name: bytes) -> bool:
    return pattern is None or pattern.matches(name.decode())


def _token(name: bytes, since: int) -> bytes:
    return name + (b"\xff%d" % since if since else b"")


def _rows(
    db: Connection,
    bucket: str,
    start: bytes,
    since: int,
    end: bytes | None,
    limit: int,
    *,
    versions: bool,
) -> list[tuple[bytes, Any]]:
    """Objects by name and generation, from the generation `since` of the name `start` on."""

    def part(table: Table) -> Select[Any]:
        columns = [*table.c] if versions and table is NONCURRENT else [*table.c, _LIVE]
        query = select(*columns).where(table.c.bucket == bucket, table.c.name >= start)
        if end is not None:
            query = query.where(table.c.name < end)
        if since:
            query = query.where((table.c.name > start) | (table.c.generation >= since))
        return query.order_by(table.c.name, table.c.generation).limit(limit)

    if not versions:
        found = db.execute(part(OBJECTS))
    else:
        # Each half by itself in the order of its index: no more than two portions are ever sorted.
        halves = [select(part(table).subquery()) for table in (OBJECTS, NONCURRENT)]
        both = union_all(*halves).subquery()
        found = db.execute(select(both).order_by(both.c.name, both.c.generation).limit(limit))
    return [(bytes(row.name), row._mapping) for row in found]


_LIVE = literal(None, Moment).label("deleted")
