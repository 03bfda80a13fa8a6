"""The only SQL about operations."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    MetaData,
    String,
    Table,
    false,
    insert,
    select,
)
from sqlalchemy import update as sql_update

from mlengine.database import Moment, Words
from mlengine.errors import Conflict, NotFound, nearest
from mlengine.names import OperationName
from mlengine.operations.domain import Kind, Operation

METADATA = MetaData()
_LONGEST = 300
OPERATIONS = Table(
    "operations",
    METADATA,
    Column("project", String(63), primary_key=True),
    Column("operation", String(_LONGEST), primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("model", String(300), nullable=False),
    Column("version", JSON, nullable=False),
    Column("created", Moment, nullable=False, index=True),
    Column("started", Moment),
    Column("ended", Moment),
    Column("done", Boolean, nullable=False),
    Column("response", JSON, nullable=False),
    Column("error_status", String(32), nullable=False),
    Column("error_message", Words, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("cancelling", Boolean, nullable=False, server_default=false()),
    Column("labels", JSON),  # empty in rows of earlier releases
)


def add(db: Connection, operation: Operation) -> None:
    """Write a new operation."""
    db.execute(insert(OPERATIONS).values(**_row(operation)))


def exists(db: Connection, name: OperationName) -> bool:
    """Whether there is an operation called `name`."""
    mine = (OPERATIONS.c.project == name.project) & (OPERATIONS.c.operation == name.operation)
    return db.execute(select(OPERATIONS.c.kind).where(mine)).first() is not None


def get(db: Connection, name: OperationName, *, lock: bool = False) -> Operation:
    """The operation called `name`, or NotFound with the nearest one.

    Args:
        lock: Let nobody else change it before this transaction ends.
    """
    mine = OPERATIONS.c.project == name.project
    query = select(OPERATIONS).where(mine, OPERATIONS.c.operation == name.operation)
    row = db.execute(query.with_for_update() if lock else query).first()
    if row is None:
        recent = select(OPERATIONS.c.operation).where(mine).order_by(OPERATIONS.c.created.desc()).limit(1000)
        known = [str(found) for found in db.execute(recent).scalars()]
        raise NotFound(
            f"There is no operation '{name.operation[:_LONGEST]}'.",
            hint=nearest(name.operation[:_LONGEST], known),
            field="name",
        )
    return _operation(row._mapping)


def save(db: Connection, operation: Operation) -> None:
    """Write `operation` unless someone else wrote it since it was read."""
    unchanged = (
        (OPERATIONS.c.project == operation.name.project)
        & (OPERATIONS.c.operation == operation.name.operation)
        & (OPERATIONS.c.generation == operation.generation)
    )
    row = _row(operation) | {"generation": operation.generation + 1}
    if db.execute(sql_update(OPERATIONS).where(unchanged).values(**row)).rowcount == 0:
        raise Conflict(f"Operation {operation.name.operation} changed meanwhile.")


def page(db: Connection, project: str, *, after: str, limit: int) -> list[Operation]:
    """At most `limit` operations in order of their ids, those past the id `after`."""
    query = select(OPERATIONS).where(OPERATIONS.c.project == project, OPERATIONS.c.operation > after)
    rows = db.execute(query.order_by(OPERATIONS.c.operation).limit(limit))
    return [_operation(row._mapping) for row in rows]


def cancelling(db: Connection) -> set[OperationName]:
    """The operations that are under way and to be ended."""
    query = select(OPERATIONS.c.project, OPERATIONS.c.operation)
    rows = db.execute(query.where(OPERATIONS.c.cancelling, ~OPERATIONS.c.done))
    return {OperationName(row.project, row.operation) for row in rows}


def _row(operation: Operation) -> dict[str, Any]:
    return {
        "project": operation.name.project,
        "operation": operation.name.operation,
        "kind": operation.kind.value,
        "model": operation.model,
        "version": operation.version,
        "created": operation.created,
        "started": operation.started,
        "ended": operation.ended,
        "done": operation.done,
        "response": operation.response,
        "error_status": operation.error_status,
        "error_message": operation.error_message,
        "generation": operation.generation,
        "cancelling": operation.cancelling,
        "labels": operation.labels,
    }


def _operation(row: Any) -> Operation:
    values = dict(row)
    name = OperationName(values.pop("project"), values.pop("operation"))
    labels = values.pop("labels") or {}
    return Operation(name=name, kind=Kind(values.pop("kind")), labels=labels, **values)
