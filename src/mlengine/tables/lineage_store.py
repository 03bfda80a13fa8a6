"""The only SQL about what training jobs have read."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Column, Connection, String, insert, select
from sqlalchemy import Table as Relation

from mlengine.database import Moment
from mlengine.tables.store import METADATA

READS = Relation(
    "table_reads",
    METADATA,
    Column("project", String(63), primary_key=True),
    Column("job", String(128), primary_key=True),
    Column("table", String(2200), primary_key=True),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("read", Moment, nullable=False),
)


def add(db: Connection, project: str, job: str, table: str, version: int, *, read: datetime) -> None:
    """Write that a job has read a version of a table, unless that is known."""
    mine = (READS.c.project == project) & (READS.c.job == job)
    known = mine & (READS.c.table == table) & (READS.c.version == version)
    if db.execute(select(READS.c.read).where(known)).one_or_none() is None:
        row = {"project": project, "job": job, "table": table, "version": version, "read": read}
        db.execute(insert(READS).values(**row))


def of(db: Connection, project: str, job: str) -> list[tuple[str, int, datetime]]:
    """Tables and versions, in the order in which they were read."""
    wanted = (
        select(READS.c.table, READS.c.version, READS.c.read)
        .where((READS.c.project == project) & (READS.c.job == job))
        .order_by(READS.c.read, READS.c.table)
    )
    return [(row.table, row.version, row.read) for row in db.execute(wanted)]
