"""SQLite and PostgreSQL behind one door, and the schema brought up to date."""

from __future__ import annotations

import sqlite3
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from mlengine.errors import Conflict, FailedPrecondition, Unavailable

HEAD = "0009"
_AT_HAND = 4
_MIGRATIONS = Path(__file__).parent / "migrations"
# Any number that no other program takes for a lock of its own in the same PostgreSQL database.
_MIGRATION_LOCK = 0x6D6C_656E_6769_6E65


class SqlDatabase:
    """A database reached through SQLAlchemy; implements `mlengine.database.Database`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writer = engine
        self._reader = engine
        self._looker = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._at_hand: deque[Connection] = deque()
        if engine.dialect.name == "sqlite":
            # A writer takes its lock at once: two that read first and then both write would deadlock.
            self._writer = engine.execution_options(begin="BEGIN IMMEDIATE")
            self._looker = engine.execution_options(begin="")
        else:
            self._reader = engine.execution_options(isolation_level="REPEATABLE READ")

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        with _translated(), self._writer.begin() as connection:
            yield connection

    @contextmanager
    def look(self) -> Iterator[Connection]:
        with _translated():
            if self._engine.dialect.name != "sqlite":
                with self._looker.connect() as connection:
                    yield connection
                return
            # To get and give back a connection takes longer than one question: a few are kept at hand.
            try:
                connection = self._at_hand.pop()
            except IndexError:
                connection = self._looker.connect()
            try:
                yield connection
            except BaseException:
                connection.close()
                raise
            if len(self._at_hand) < _AT_HAND:
                self._at_hand.append(connection)
            else:
                connection.close()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        with _translated(), self._reader.connect() as connection:
            yield connection

    def close(self) -> None:
        """Give all connections back."""
        while self._at_hand:
            self._at_hand.pop().close()
        self._engine.dispose()


def open_database(url: str, *, lock_seconds: float = 30.0) -> SqlDatabase:
    """Connect to `url` and bring its schema to this version's.

    Args:
        url: `sqlite:///PATH` or `postgresql+psycopg://USER:PASSWORD@HOST/NAME`.
        lock_seconds: How long a transaction waits for what another one holds.

    Raises:
        FailedPrecondition: the schema was made by a newer version of mlengine.
        Unavailable: the database does not answer.
    """
    # A connection is tried before it is used: one lost with a restart of the database is nobody's error.
    engine = create_engine(make_url(url), pool_pre_ping=not url.startswith("sqlite"))
    patience = int(lock_seconds * 1000)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", lambda connection, _: _tune_sqlite(connection, patience))
        event.listen(engine, "begin", _begin_sqlite)
    else:
        event.listen(engine, "connect", lambda connection, _: _tune_postgresql(connection, patience))
    try:
        with _translated():
            _migrate(engine)
    except BaseException:
        engine.dispose()
        raise
    return SqlDatabase(engine)


@contextmanager
def _translated() -> Iterator[None]:
    """Say in our words what no statement is to blame for: a database out of reach, two writers of one key."""
    try:
        yield
    except (OperationalError, PoolTimeout) as error:
        reason = error.orig if isinstance(error, OperationalError) else error
        raise Unavailable(
            f"The database does not answer: {reason}.", hint="Try again in a moment."
        ) from error
    except IntegrityError as error:
        raise Conflict("Somebody else wrote the same at the same time.", hint="Try again.") from error


def _tune_sqlite(connection: Any, patience: int) -> None:
    if isinstance(connection, sqlite3.Connection):
        # The driver's own BEGIN comes too late (before the first write); ours comes first.
        connection.isolation_level = None
        for pragma in (f"busy_timeout={patience}", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")
        _use_write_ahead_log(connection, patience / 1000)


def _use_write_ahead_log(connection: sqlite3.Connection, seconds: float) -> None:
    """Once per database file. SQLite does not wait by itself when another process is at it, too."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.01)


def _tune_postgresql(connection: Any, patience: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = {patience}")
    connection.commit()


def _begin_sqlite(connection: Connection) -> None:
    if statement := connection.get_execution_options().get("begin", "BEGIN"):
        connection.exec_driver_sql(statement)


def _migrate(engine: Engine) -> None:
    # Alembic takes a while to import, and most starts need no migration: look first.
    if _revision(engine) == HEAD:
        return
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    try:
        # One at a time: whoever comes second finds the work done.
        with engine.execution_options(begin="BEGIN IMMEDIATE").begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except CommandError as error:
        raise FailedPrecondition(
            f"The database was written by a newer mlengine ({error}).", hint="Start that version instead."
        ) from error


def _revision(engine: Engine) -> str | None:
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        row = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        return None if row is None else str(row)
