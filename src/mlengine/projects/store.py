"""The only SQL about projects."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from sqlalchemy import JSON, Column, Connection, MetaData, String, Table, Text, insert, select, update

from mlengine.database import Moment
from mlengine.projects.domain import Project

METADATA = MetaData()
PROJECTS = Table(
    "projects",
    METADATA,
    Column("project_id", String(63), primary_key=True),
    Column("number", String(12), nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("created", Moment, nullable=False),
    Column("labels", JSON, nullable=False),
    Column("deleted", Moment),
)


def add(db: Connection, project: Project) -> None:
    """Write a new project."""
    db.execute(insert(PROJECTS).values(**asdict(project)))


def delete(db: Connection, project_id: str, moment: datetime) -> None:
    """Note that a project is gone."""
    db.execute(update(PROJECTS).where(PROJECTS.c.project_id == project_id).values(deleted=moment))


def taken(db: Connection, project_id: str) -> bool:
    """Whether there is or was a project of this id."""
    return (
        db.execute(select(PROJECTS.c.number).where(PROJECTS.c.project_id == project_id)).first() is not None
    )


def existing(db: Connection) -> list[Project]:
    """Every project that is there, in the order of their ids."""
    rows = db.execute(select(PROJECTS).where(PROJECTS.c.deleted.is_(None)).order_by(PROJECTS.c.project_id))
    return [Project(**row._mapping) for row in rows]
