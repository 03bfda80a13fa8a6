"""The only SQL about service accounts and their keys."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import Column, Connection, ForeignKey, MetaData, String, Table, Text, delete, insert, select

from mlengine.access.domain import AccountKey, ServiceAccount
from mlengine.database import Moment
from mlengine.errors import NotFound, nearest

METADATA = MetaData()
ACCOUNTS = Table(
    "service_accounts",
    METADATA,
    Column("email", String(255), primary_key=True),
    Column("project", String(63), nullable=False, index=True),
    Column("unique_id", String(21), nullable=False, unique=True),
    Column("created", Moment, nullable=False),
    Column("display_name", Text, nullable=False),
    Column("description", Text, nullable=False),
)
KEYS = Table(
    "service_account_keys",
    METADATA,
    Column("email", String(255), ForeignKey("service_accounts.email"), primary_key=True),
    Column("key_id", String(40), primary_key=True),
    Column("project", String(63), nullable=False),
    Column("public_key", Text, nullable=False),
    Column("created", Moment, nullable=False),
)


def add_account(db: Connection, account: ServiceAccount) -> None:
    """Write a new account."""
    db.execute(insert(ACCOUNTS).values(**asdict(account)))


def find_account(db: Connection, email: str) -> ServiceAccount | None:
    """The account, or None."""
    row = db.execute(select(ACCOUNTS).where(ACCOUNTS.c.email == email)).first()
    return ServiceAccount(**row._mapping) if row else None


def get_account(db: Connection, project: str, email: str, *, lock: bool = False) -> ServiceAccount:
    """An account of a project.

    Args:
        lock: Whether nobody else may lock it until the transaction ends.

    Raises:
        NotFound: there is none; the nearest email is named.
    """
    query = select(ACCOUNTS).where(ACCOUNTS.c.email == email, ACCOUNTS.c.project == project)
    row = db.execute(query.with_for_update() if lock else query).first()
    if row is None:
        known = db.execute(select(ACCOUNTS.c.email).where(ACCOUNTS.c.project == project).limit(1000))
        raise NotFound(
            f"There is no service account '{email[:200]}' in project {project}.",
            hint=nearest(email, list(known.scalars())),
        )
    return ServiceAccount(**row._mapping)


def accounts(db: Connection, project: str, *, after: str, limit: int) -> list[ServiceAccount]:
    """At most `limit` of a project's accounts in the order of their emails, those past the email `after`."""
    query = select(ACCOUNTS).where(ACCOUNTS.c.project == project, ACCOUNTS.c.email > after)
    return [
        ServiceAccount(**row._mapping) for row in db.execute(query.order_by(ACCOUNTS.c.email).limit(limit))
    ]


def remove_account(db: Connection, email: str) -> None:
    """Delete an account and its keys."""
    db.execute(delete(KEYS).where(KEYS.c.email == email))
    db.execute(delete(ACCOUNTS).where(ACCOUNTS.c.email == email))


def add_key(db: Connection, key: AccountKey) -> None:
    """Write a new key."""
    db.execute(insert(KEYS).values(**asdict(key)))


def keys(db: Connection, email: str) -> list[AccountKey]:
    """The keys of an account, the oldest first."""
    query = select(KEYS).where(KEYS.c.email == email).order_by(KEYS.c.created, KEYS.c.key_id)
    return [AccountKey(**row._mapping) for row in db.execute(query)]


def remove_key(db: Connection, email: str, key_id: str) -> bool:
    """Delete a key; False when there is none."""
    return db.execute(delete(KEYS).where(KEYS.c.email == email, KEYS.c.key_id == key_id)).rowcount == 1
