"""What can be done with service accounts and their keys."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime

from mlengine.access import rsa, store
from mlengine.access.domain import MOST_KEYS, AccountKey, ServiceAccount, email_of
from mlengine.access.policy import ACCOUNT
from mlengine.clock import Clock
from mlengine.database import Database
from mlengine.errors import AlreadyExists, FailedPrecondition, NotFound


class AccessService:
    """Service accounts. Every verb raises NotFound for one that is not there.

    Args:
        changed: Called when what an account or key proves has changed; it returns once that holds everywhere.
    """

    def __init__(
        self, database: Database, clock: Clock, *, changed: Callable[[], None] = lambda: None
    ) -> None:
        self._database = database
        self._clock = clock
        self._changed = changed

    def create(
        self, project: str, account_id: str, *, display_name: str = "", description: str = ""
    ) -> ServiceAccount:
        """Make an account without keys.

        Raises:
            InvalidArgument: a bad id.
            AlreadyExists: the id is taken in this project.
        """
        account = ServiceAccount(
            email=email_of(account_id, project),
            project=project,
            unique_id=str(10**20 + secrets.randbelow(9 * 10**20)),
            created=self._clock(),
            display_name=display_name,
            description=description,
        )
        with self._database.begin() as db:
            if store.find_account(db, account.email):
                raise AlreadyExists(f"Service account {account_id} already exists within project {project}.")
            store.add_account(db, account)
        self._changed()
        return account

    def get(self, project: str, email: str) -> ServiceAccount:
        """One account."""
        with self._database.read() as db:
            return store.get_account(db, project, email)

    def page(self, project: str, *, after: str = "", limit: int = 100) -> list[ServiceAccount]:
        """At most `limit` of a project's accounts by email, those past the email `after`."""
        with self._database.read() as db:
            return store.accounts(db, project, after=after, limit=limit)

    def delete(self, project: str, email: str) -> None:
        """Delete an account and its keys: from now on nothing that they signed is taken."""
        with self._database.begin() as db:
            store.get_account(db, project, email, lock=True)
            # An account made later under the same email must not come into its roles.
            for policy in store.all_policies(db):
                if (left := policy.without(f"{ACCOUNT}{email}")) != policy:
                    store.save_policy(db, left)
            store.remove_account(db, email)
        self._changed()

    def create_key(self, project: str, email: str) -> tuple[AccountKey, str]:
        """Make a key. The private half is in the answer (as PEM) and nowhere else.

        Raises:
            FailedPrecondition: the account has as many keys as it may.
        """
        self.get(project, email)
        private, public = rsa.make_pair()
        key = AccountKey(
            email=email,
            key_id=secrets.token_hex(20),
            project=project,
            public_key=public,
            created=self._clock(),
        )
        with self._database.begin() as db:
            store.get_account(db, project, email, lock=True)
            if len(store.keys(db, email)) >= MOST_KEYS:
                raise FailedPrecondition(
                    f"Service account {email} has {MOST_KEYS} keys; more are not allowed.",
                    hint="Delete one that nobody uses: mlengine iam service-accounts keys list "
                    f"--iam-account {email}",
                )
            store.add_key(db, key)
        self._changed()
        return key, private

    def keys(self, project: str, email: str) -> list[AccountKey]:
        """The keys of an account, the oldest first."""
        with self._database.read() as db:
            store.get_account(db, project, email)
            return store.keys(db, email)

    def key(self, project: str, email: str, key_id: str) -> AccountKey:
        """One key."""
        for key in self.keys(project, email):
            if key.key_id == key_id:
                return key
        raise NotFound(f"Service account {email} has no key '{key_id[:80]}'.")

    def delete_key(self, project: str, email: str, key_id: str) -> None:
        """Delete a key: from now on nothing that it signed is taken."""
        with self._database.begin() as db:
            store.get_account(db, project, email, lock=True)
            if not store.remove_key(db, email, key_id):
                raise NotFound(f"Service account {email} has no key '{key_id[:80]}'.")
        self._changed()

    def revoke(self, token_id: str, until: datetime) -> None:
        """End an access token before its time: from now on it is not taken."""
        with self._database.begin() as db:
            store.forget_revoked(db, self._clock())
            store.revoke(db, token_id, until)
        self._changed()

    def has_key(self, email: str) -> bool:
        """Whether somebody can sign for an account."""
        with self._database.read() as db:
            return bool(store.keys(db, email))

    def count(self, project: str) -> int:
        """How many accounts a project has."""
        with self._database.read() as db:
            return sum(account.project == project for account in store.all_accounts(db))

    def signer(self, email: str, content: bytes, signature: bytes) -> AccountKey | None:
        """The key of an account, in whatever project, with which `content` was signed; None if there is none.

        Raises:
            NotFound: there is no such account.
        """
        with self._database.read() as db:
            if store.find_account(db, email) is None:
                raise NotFound(f"There is no service account '{email[:200]}' on this server.")
            keys = store.keys(db, email)
        return next((key for key in keys if rsa.is_signed(content, signature, key.public_key)), None)
