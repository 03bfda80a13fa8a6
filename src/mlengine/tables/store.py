"""The only SQL about datasets, tables and their versions. That about jobs is in `job_store`."""

from __future__ import annotations

import uuid
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    Index,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy import Table as Relation

from mlengine.database import Moment
from mlengine.errors import Conflict, NotFound
from mlengine.tables.domain import RESULTS, Content, Dataset, Segment, Table
from mlengine.tables.schema import Field, Schema, TableReference

METADATA = MetaData()
DATASETS = Relation(
    "table_datasets",
    METADATA,
    Column("project", String(63), primary_key=True),
    Column("dataset", String(1024), primary_key=True),
    Column("created", Moment, nullable=False),
    Column("updated", Moment, nullable=False),
    Column("location", String(64), nullable=False),
    Column("said", JSON, nullable=False),
)
# `gone` is empty for those that live, and the uid of those that were deleted: many of one name may be.
TABLES = Relation(
    "table_tables",
    METADATA,
    Column("uid", String(32), primary_key=True),
    Column("project", String(63), nullable=False),
    Column("dataset", String(1024), nullable=False),
    Column("name", String(1024), nullable=False),
    Column("gone", String(32), nullable=False),
    Column("deleted", Moment),
    Column("created", Moment, nullable=False),
    Column("updated", Moment, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("view", Text, nullable=False),
    Column("expires", Moment),
    Column("said", JSON, nullable=False),
    UniqueConstraint("project", "dataset", "name", "gone", name="uq_table_tables_name"),
    Index("ix_table_tables_expires", "expires"),
    Index("ix_table_tables_deleted", "deleted"),
)
VERSIONS = Relation(
    "table_versions",
    METADATA,
    Column("table", String(32), ForeignKey("table_tables.uid"), primary_key=True),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("created", Moment, nullable=False),
    Column("schema", JSON, nullable=False),
    Column("segments", JSON, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Index("ix_table_versions_created", "table", "created"),
)


# Datasets


def add_dataset(db: Connection, dataset: Dataset) -> None:
    """Write a new one. Raises IntegrityError's translation if the name is taken."""
    db.execute(insert(DATASETS).values(**_dataset_row(dataset)))


def find_dataset(db: Connection, project: str, dataset: str) -> Dataset | None:
    """One dataset; None if there is none."""
    mine = (DATASETS.c.project == project) & (DATASETS.c.dataset == dataset)
    row = db.execute(select(DATASETS).where(mine)).one_or_none()
    return None if row is None else Dataset(**row._mapping)


def get_dataset(db: Connection, project: str, dataset: str, *, lock: bool = False) -> Dataset:
    """One dataset.

    Args:
        lock: Keep it from being deleted until the end of the transaction.

    Raises:
        NotFound: there is none.
    """
    mine = (DATASETS.c.project == project) & (DATASETS.c.dataset == dataset)
    wanted = select(DATASETS).where(mine)
    row = db.execute(wanted.with_for_update() if lock else wanted).one_or_none()
    if row is None:
        raise NotFound(f"Not found: Dataset {project}:{dataset}")
    return Dataset(**row._mapping)


def save_dataset(db: Connection, dataset: Dataset) -> None:
    """Write what has changed of one."""
    mine = (DATASETS.c.project == dataset.project) & (DATASETS.c.dataset == dataset.dataset)
    db.execute(update(DATASETS).where(mine).values(**_dataset_row(dataset)))


def remove_dataset(db: Connection, project: str, dataset: str) -> None:
    """Delete one, which has no tables any more."""
    db.execute(delete(DATASETS).where((DATASETS.c.project == project) & (DATASETS.c.dataset == dataset)))


def list_datasets(
    db: Connection, project: str, *, after: str = "", limit: int | None = None
) -> list[Dataset]:
    """A project's, by name."""
    wanted = (
        select(DATASETS)
        .where((DATASETS.c.project == project) & (DATASETS.c.dataset > after))
        .order_by(DATASETS.c.dataset)
        .limit(limit)
    )
    return [Dataset(**row._mapping) for row in db.execute(wanted)]


# Tables


def add_table(db: Connection, table: Table) -> None:
    """Write a new one with its first version."""
    row = _table_row(table) | {"gone": "", "deleted": None}
    db.execute(insert(TABLES).values(**row))
    db.execute(insert(VERSIONS).values(**_version_row(table)))


def find_table(db: Connection, reference: TableReference) -> Table | None:
    """A table as it is now, or as it was at `reference.at`; None if there is none (or was none then)."""
    if reference.at is not None:
        return _find_past(db, reference, reference.at)
    row = db.execute(_WITH_CONTENT.where(_called(reference), TABLES.c.gone == "")).one_or_none()
    return None if row is None else _table(row)


def _find_past(db: Connection, reference: TableReference, at: datetime) -> Table | None:
    existed = and_(_called(reference), or_(TABLES.c.gone == "", TABLES.c.deleted > at))
    wanted = (
        select(TABLES, *_CONTENT)
        .join(VERSIONS, VERSIONS.c.table == TABLES.c.uid)
        .where(existed, VERSIONS.c.created <= at)
        .order_by(VERSIONS.c.created.desc(), VERSIONS.c.version.desc())
        .limit(1)
    )
    row = db.execute(wanted).one_or_none()
    return None if row is None else replace(_table(row), version=row.number)


def find_version(db: Connection, uid: str, version: int) -> Table | None:
    """A table as a certain version had it; None if that is forgotten."""
    wanted = (
        select(TABLES, *_CONTENT)
        .join(VERSIONS, VERSIONS.c.table == TABLES.c.uid)
        .where(TABLES.c.uid == uid, VERSIONS.c.version == version)
    )
    row = db.execute(wanted).one_or_none()
    return None if row is None else replace(_table(row), version=row.number)


def lock_table(db: Connection, reference: TableReference) -> Table | None:
    """A table as it is now, which nobody else can change until the end of the transaction."""
    mine = (_called(reference), TABLES.c.gone == "")
    db.execute(select(TABLES.c.uid).where(*mine).with_for_update())
    return find_table(db, reference.now)


def list_tables(
    db: Connection, project: str, dataset: str, *, after: str = "", limit: int | None = None
) -> list[Table]:
    """A dataset's, by name."""
    wanted = (
        _WITH_CONTENT.where(
            TABLES.c.project == project,
            TABLES.c.dataset == dataset,
            TABLES.c.gone == "",
            TABLES.c.name > after,
        )
        .order_by(TABLES.c.name)
        .limit(limit)
    )
    return [_table(row) for row in db.execute(wanted)]


def count_tables(db: Connection, project: str, dataset: str) -> int:
    """How many tables a dataset has."""
    mine = (TABLES.c.project == project) & (TABLES.c.dataset == dataset) & (TABLES.c.gone == "")
    return int(db.execute(select(func.count()).select_from(TABLES).where(mine)).scalar_one())


def save_table(db: Connection, table: Table) -> None:
    """Write what is said of a table; its content stays."""
    db.execute(update(TABLES).where(TABLES.c.uid == table.uid).values(**_table_row(table)))


def save_version(db: Connection, table: Table) -> None:
    """Write a table whose content or schema has changed. The version before is kept.

    Raises:
        Conflict: somebody else has changed it meanwhile.
    """
    unchanged = (TABLES.c.uid == table.uid) & (TABLES.c.version == table.version) & (TABLES.c.gone == "")
    new = replace(table, version=table.version + 1)
    if db.execute(update(TABLES).where(unchanged).values(**_table_row(new))).rowcount == 0:
        raise Conflict(f"Table {table.reference} changed meanwhile.", hint="Try again.")
    db.execute(insert(VERSIONS).values(**_version_row(new)))


def swap_segments(db: Connection, table: Table) -> None:
    """Write the same rows in other segments, in place: a merge is no change.

    Raises:
        Conflict: somebody else has changed it meanwhile.
    """
    unchanged = (VERSIONS.c.table == table.uid) & (VERSIONS.c.version == table.version)
    current = select(TABLES.c.version).where(TABLES.c.uid == table.uid, TABLES.c.gone == "")
    if db.execute(current.with_for_update()).scalar() != table.version:
        raise Conflict(f"Table {table.reference} changed meanwhile.", hint="Try again.")
    row = _version_row(table)
    db.execute(update(VERSIONS).where(unchanged).values(segments=row["segments"], size=row["size"]))


def retire_table(db: Connection, table: Table, now: datetime) -> None:
    """Delete a table. Its versions stay until they are collected."""
    gone = {"gone": table.uid, "deleted": now}
    db.execute(update(TABLES).where(TABLES.c.uid == table.uid).values(**gone))


def expired_tables(db: Connection, now: datetime) -> list[Table]:
    """Those whose time is over."""
    wanted = _WITH_CONTENT.where(TABLES.c.gone == "", TABLES.c.expires <= now)
    return [_table(row) for row in db.execute(wanted)]


def forget_versions(db: Connection, before: datetime) -> int:
    """Delete versions that nobody can ask for any more: replaced, or their table deleted, before a time."""
    gone = select(TABLES.c.uid).where(TABLES.c.gone != "", TABLES.c.deleted < before)
    later = VERSIONS.alias()
    # The last one before that time is what the table was then; it has to stay.
    replaced = select(later.c.version).where(
        later.c.table == VERSIONS.c.table, later.c.version > VERSIONS.c.version, later.c.created < before
    )
    count = db.execute(delete(VERSIONS).where(VERSIONS.c.table.in_(gone))).rowcount
    count += db.execute(delete(VERSIONS).where(replaced.exists())).rowcount
    left = select(VERSIONS.c.table)
    db.execute(delete(TABLES).where(TABLES.c.gone != "", TABLES.c.uid.not_in(left)))
    return count


def used_segments(db: Connection) -> set[str]:
    """The keys of all segments that some version has."""
    return {entry["key"] for (found,) in db.execute(select(VERSIONS.c.segments)) for entry in found}


def shattered(db: Connection, *, more_than: int) -> list[Table]:
    """Tables with many small segments."""
    rows = db.execute(_WITH_CONTENT.where(TABLES.c.gone == ""))
    return [table for table in map(_table, rows) if len(table.content.segments) > more_than]


_CONTENT = (
    VERSIONS.c.version.label("number"),
    VERSIONS.c.schema,
    VERSIONS.c.segments,
)
_WITH_CONTENT = select(TABLES, *_CONTENT).join(
    VERSIONS, (VERSIONS.c.table == TABLES.c.uid) & (VERSIONS.c.version == TABLES.c.version)
)


def new_uid() -> str:
    """An id that nothing else has."""
    return uuid.uuid4().hex


def holds_tables(db: Connection, project: str) -> int:
    """How many datasets a project has."""
    mine = DATASETS.c.project == project
    return int(db.execute(select(func.count()).select_from(DATASETS).where(mine)).scalar_one())


def _called(reference: TableReference) -> Any:
    return and_(
        TABLES.c.project == reference.project,
        TABLES.c.dataset == reference.dataset,
        TABLES.c.name == reference.table,
    )


def _dataset_row(dataset: Dataset) -> dict[str, Any]:
    return asdict(dataset) | {"said": dict(dataset.said)}


def _table_row(table: Table) -> dict[str, Any]:
    return {
        "uid": table.uid,
        "project": table.reference.project,
        "dataset": table.reference.dataset,
        "name": table.reference.table,
        "created": table.created,
        "updated": table.updated,
        "kind": table.kind,
        "version": table.version,
        "view": table.view,
        "expires": table.expires,
        "said": dict(table.said),
    }


def _version_row(table: Table) -> dict[str, Any]:
    return {
        "table": table.uid,
        "version": table.version,
        "created": table.updated,
        "schema": [_field_row(one) for one in table.schema],
        "segments": [asdict(one) for one in table.content.segments],
        "rows": table.content.rows,
        "size": table.content.size,
    }


def _table(row: Any) -> Table:
    return Table(
        uid=row.uid,
        reference=TableReference(project=row.project, dataset=row.dataset, table=row.name),
        created=row.created,
        updated=row.updated,
        schema=_schema(row.schema),
        kind=row.kind,
        version=row.version,
        content=Content(
            segments=tuple(Segment(**one | {"columns": tuple(one["columns"])}) for one in row.segments)
        ),
        view=row.view,
        expires=row.expires,
        said=row.said,
    )


def _field_row(one: Field) -> dict[str, Any]:
    row = {
        name: getattr(one, name)
        for name in ("description", "default", "precision", "scale", "max_length", "rounding")
        if getattr(one, name)
    }
    row |= {"name": one.name, "type": one.type, "mode": one.mode}
    if one.fields:
        row["fields"] = [_field_row(part) for part in one.fields]
    return row


def _schema(rows: list[dict[str, Any]]) -> Schema:
    return tuple(Field(**row | {"fields": _schema(row.get("fields", []))}) for row in rows)


def is_hidden(reference: TableReference) -> bool:
    """Whether it holds what a query gave, and belongs to no dataset of a user's."""
    return reference.dataset == RESULTS
