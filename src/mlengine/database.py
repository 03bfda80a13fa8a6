"""What a store may ask of a database: a transaction, and column types that mean the same everywhere.

The real databases live in `backends`.
"""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, Protocol

from sqlalchemy import Connection, Dialect, String, Text, TypeDecorator

_HALF_PAIRS = re.compile("[\ud800-\udfff]")


class Database(Protocol):
    """Rows behind transactions; the same promises on SQLite and PostgreSQL.

    Nobody waits for anything but the database while a transaction is open.
    """

    def begin(self) -> AbstractContextManager[Connection]:
        """A transaction that may write: committed at the end, rolled back on an exception.

        Raises:
            Conflict: another transaction wrote the same key meanwhile.
            Unavailable: the database does not answer, or somebody holds a lock for too long.
        """
        ...

    def look(self) -> AbstractContextManager[Connection]:
        """For one single question: without the transaction that makes several see the same.

        Raises:
            Unavailable: the database does not answer.
        """
        ...

    def read(self) -> AbstractContextManager[Connection]:
        """A consistent look; what is written in it is lost.

        Raises:
            Unavailable: the database does not answer.
        """
        ...


class Moment(TypeDecorator[datetime]):
    """An aware UTC datetime, kept as text of fixed width, so that it sorts alike on every database."""

    impl = String(27)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        if value is None:
            return None
        return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return None if value is None else datetime.fromisoformat(value)


class Words(TypeDecorator[str]):
    """Text out of a program of the user's; what no text column can keep becomes a visible sign."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else _HALF_PAIRS.sub("\ufffd", value).replace("\0", "\u2400")
