"""What can be done with operations: look, cancel, and (for the flats above) start and end them.

`start` and `finish` take a connection, because an operation begins and ends in the very
transaction that changes what it is about.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from mlengine.database import Database
from mlengine.names import OperationName
from mlengine.operations import store
from mlengine.operations.domain import Kind, Operation


class OperationService:
    """Operations, for whoever waits for one.

    Args:
        changed: Called after one was cancelled; whoever carries it out should look.
    """

    def __init__(self, database: Database, *, changed: Callable[[], None]) -> None:
        self._database = database
        self._changed = changed

    def get(self, name: OperationName) -> Operation:
        """One operation; NotFound when there is none."""
        with self._database.read() as db:
            return store.get(db, name)

    def cancel(self, name: OperationName) -> None:
        """Ask for the end. Whoever carries it out ends it; this only says so. A done one stays as it is.

        Raises:
            FailedPrecondition: it is of a kind that cannot be stopped half-way.
        """
        with self._database.begin() as db:
            operation = store.get(db, name, lock=True)
            asked = operation.cancel()
            if asked == operation:
                return
            store.save(db, asked)
        self._changed()

    def page(self, project: str, *, after: str, limit: int) -> list[Operation]:
        """Operations past the id `after`, at most `limit`."""
        with self._database.read() as db:
            return store.page(db, project, after=after, limit=limit)


def start(
    db: Connection,
    kind: Kind,
    *,
    project: str,
    subject: str,
    model: str,
    version: dict[str, Any],
    now: datetime,
    labels: Mapping[str, str] | None = None,
) -> Operation:
    """Write a new operation, named like Google's: verb, model, version, milliseconds.

    Args:
        subject: What the id tells after the verb ("titanic_v1").
        labels: Those of the model or version.
    """
    verb = kind.value.partition("_")[0].lower()
    milliseconds = int(now.timestamp() * 1000)
    name = OperationName(project, f"{verb}_{subject}-{milliseconds}")
    # Model a_b and version b of model a have the same subject, and a millisecond holds many requests.
    while store.exists(db, name):
        milliseconds += 1
        name = OperationName(project, f"{verb}_{subject}-{milliseconds}")
    operation = Operation(
        name=name,
        kind=kind,
        model=model,
        version=version,
        labels=dict(labels or {}),
        created=now,
        started=now,
    )
    store.add(db, operation)
    return operation


def cancelling(db: Connection) -> set[OperationName]:
    """The operations that are under way and that somebody wants ended."""
    return store.cancelling(db)


def is_cancelling(db: Connection, name: OperationName) -> bool:
    """Whether somebody wants `name` ended; nobody can begin to before this transaction ends."""
    return store.get(db, name, lock=True).cancelling


def succeed(db: Connection, name: OperationName, response: dict[str, Any], now: datetime) -> Operation:
    """End an operation well; doing it twice is harmless."""
    operation = store.get(db, name)
    if operation.done:
        return operation
    ended = operation.succeed(response, now)
    store.save(db, ended)
    return replace(ended, generation=ended.generation + 1)


def fail(db: Connection, name: OperationName, *, status: str, message: str, now: datetime) -> Operation:
    """End an operation with an error; doing it twice is harmless."""
    operation = store.get(db, name)
    if operation.done:
        return operation
    ended = operation.fail(status, message, now)
    store.save(db, ended)
    return replace(ended, generation=ended.generation + 1)
