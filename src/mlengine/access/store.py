"""The only SQL about service accounts, their keys, and policies."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    MetaData,
    RowMapping,
    String,
    Table,
    Text,
    delete,
    insert,
    select,
    update,
)

from mlengine.access.domain import AccountKey, ServiceAccount
from mlengine.access.policy import Policy
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

POLICIES = Table(
    "iam_policies",
    METADATA,
    Column("resource", String(400), primary_key=True),
    Column("generation", BigInteger, nullable=False),
    Column("bindings", JSON, nullable=False),
)
REVOKED = Table(
    "revoked_tokens",
    METADATA,
    Column("token_id", String(32), primary_key=True),
    Column("until", Moment, nullable=False),
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


def all_accounts(db: Connection) -> list[ServiceAccount]:
    """Every account of the server."""
    return [ServiceAccount(**row._mapping) for row in db.execute(select(ACCOUNTS))]


def all_keys(db: Connection) -> list[AccountKey]:
    """Every key of the server."""
    return [AccountKey(**row._mapping) for row in db.execute(select(KEYS))]


def policy(db: Connection, resource: str, *, lock: bool = False) -> Policy:
    """The policy of a resource, an empty one if none was ever written.

    Args:
        lock: Whether nobody else may lock it until the transaction ends.
    """
    query = select(POLICIES).where(POLICIES.c.resource == resource)
    row = db.execute(query.with_for_update() if lock else query).first()
    return _policy(row._mapping) if row else Policy(resource=resource)


def all_policies(db: Connection) -> list[Policy]:
    """Every policy of the server."""
    return [_policy(row._mapping) for row in db.execute(select(POLICIES))]


def save_policy(db: Connection, changed: Policy) -> Policy:
    """Write a policy that was read with a lock; as it is now."""
    new = {"generation": changed.generation + 1, "bindings": _plain(changed)}
    same = POLICIES.c.resource == changed.resource
    if db.execute(update(POLICIES).where(same).values(**new)).rowcount == 0:
        db.execute(insert(POLICIES).values(resource=changed.resource, **new))
    return Policy(resource=changed.resource, generation=changed.generation + 1, bindings=changed.bindings)


def remove_policies(db: Connection, resource: str) -> int:
    """Delete the policy of a resource and of all below it; how many there were."""
    below = POLICIES.c.resource.startswith(f"{resource}/", autoescape=True)
    return db.execute(delete(POLICIES).where((POLICIES.c.resource == resource) | below)).rowcount


def revoke(db: Connection, token_id: str, until: datetime) -> None:
    """Note a token that holds no more, for as long as it would have held."""
    if db.execute(select(REVOKED).where(REVOKED.c.token_id == token_id)).first() is None:
        db.execute(insert(REVOKED).values(token_id=token_id, until=until))


def revoked(db: Connection, now: datetime) -> list[str]:
    """The ids of the tokens that would hold but for their having been revoked."""
    return list(db.execute(select(REVOKED.c.token_id).where(REVOKED.c.until > now)).scalars())


def forget_revoked(db: Connection, now: datetime) -> None:
    """Delete the notes on tokens that have ended by themselves."""
    db.execute(delete(REVOKED).where(REVOKED.c.until <= now))


def _policy(row: RowMapping) -> Policy:
    bindings = {role: tuple(members) for role, members in row["bindings"].items()}
    return Policy(resource=row["resource"], generation=row["generation"], bindings=bindings)


def _plain(policy: Policy) -> dict[str, list[str]]:
    return {role: list(members) for role, members in policy.bindings.items()}
