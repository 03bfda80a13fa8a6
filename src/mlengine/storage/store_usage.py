"""The SQL of counting: what each project stores, and the walk through all objects that proves it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, tuple_, union_all
from sqlalchemy.dialects import postgresql, sqlite

from mlengine.storage.domain import Object
from mlengine.storage.quotas import Usage
from mlengine.storage.store import BUCKETS, NONCURRENT, OBJECTS, USAGE, object_of


def _adding(dialect: Any) -> Any:
    """The upsert that counts; both dialects spell it alike, SQLAlchemy apart."""
    query = dialect.insert(USAGE)
    return query.on_conflict_do_update(
        index_elements=[USAGE.c.project],
        set_={
            "objects": USAGE.c.objects + query.excluded.objects,
            "size": USAGE.c.size + query.excluded.size,
        },
    ).returning(USAGE.c.objects, USAGE.c.size)


_ADDING = {"postgresql": _adding(postgresql), "sqlite": _adding(sqlite)}
_USAGE = select(USAGE).where(USAGE.c.project == bindparam("project"))


def add_usage(db: Connection, project: str, change: Usage) -> Usage:
    """Count a change; what the project stores now. Whoever counts next waits until this one has ended."""
    counted = {"project": project, "objects": change.objects, "size": change.size}
    row = db.execute(_ADDING[db.dialect.name], counted).one()
    return Usage(objects=row.objects, size=row.size)


def usage(db: Connection, project: str) -> Usage:
    """What a project stores, as it was counted."""
    row = db.execute(_USAGE, {"project": project}).first()
    return Usage(objects=row.objects, size=row.size) if row else Usage()


def all_usage(db: Connection) -> dict[str, Usage]:
    """What every project stores, as it was counted."""
    return {row.project: Usage(objects=row.objects, size=row.size) for row in db.execute(select(USAGE))}


def recounted(db: Connection) -> dict[str, Usage]:
    """What every project stores, counted anew: a walk through all rows."""
    rows = union_all(
        select(OBJECTS.c.bucket, OBJECTS.c.size), select(NONCURRENT.c.bucket, NONCURRENT.c.size)
    ).subquery()
    query = (
        select(BUCKETS.c.project, func.count().label("objects"), func.sum(rows.c.size).label("size"))
        .select_from(BUCKETS.join(rows, rows.c.bucket == BUCKETS.c.name))
        .group_by(BUCKETS.c.project)
    )
    return {row.project: Usage(objects=int(row.objects), size=int(row.size)) for row in db.execute(query)}


def mend_usage(db: Connection, project: str) -> None:
    """Set a project's count to what there is."""
    # Nobody else can count before we have ended; whoever has not counted yet is not seen yet, and adds later.
    add_usage(db, project, Usage())
    right = recounted(db).get(project, Usage())
    db.execute(USAGE.update().where(USAGE.c.project == project).values(**asdict(right)))


def objects_after(
    db: Connection, place: tuple[str, str, bytes, int] | None, *, noncurrent: bool, limit: int
) -> list[Object]:
    """All live, or all noncurrent objects of all buckets, those of one blob together.

    Args:
        place: Blob, bucket, name and generation of the last one seen; None for the beginning.
    """
    table = NONCURRENT if noncurrent else OBJECTS
    order = (table.c.blob, table.c.bucket, table.c.name, table.c.generation)
    query = select(table).order_by(*order).limit(limit)
    if place:
        query = query.where(tuple_(*order) > tuple_(*place))
    return [object_of(row._mapping) for row in db.execute(query)]
