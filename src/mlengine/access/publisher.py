"""Makes the directory anew when accounts or policies change, and sees to it that all go by it at once."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from mlengine.access import store
from mlengine.access.directory import Directory, Known
from mlengine.access.entrance import Entrance
from mlengine.clock import Clock
from mlengine.database import Database
from mlengine.errors import Problem

_LOG = logging.getLogger(__name__)
_AGAIN_SECONDS = 1.0


class Publisher:
    """Brings what the database says of accounts, keys and policies to those who judge by it.

    Args:
        projects: Every project's id, and the email of its agent.
        entrance: Judges in this process.
        push: Hands the directory, as JSON, to the gateway; raises Unavailable when it does not answer.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        projects: Callable[[], Mapping[str, str]],
        entrance: Entrance,
        push: Callable[[Mapping[str, Any]], None],
    ) -> None:
        self._database = database
        self._clock = clock
        self._projects = projects
        self._entrance = entrance
        self._push = push
        self._publishing = threading.Lock()
        self._owed: threading.Timer | None = None
        self._stopping = False

    def refresh(self) -> None:
        """Publish the present state; returns when this process and the gateway go by it.

        A gateway that does not answer gets it as soon as it does.
        """
        # Rows are read under the lock, so that a directory never replaces a newer one.
        with self._publishing:
            if self._stopping:
                return
            directory = self._load()
            self._entrance.use(directory)
            try:
                self._push(directory.to_json())
            except Problem as problem:
                _LOG.warning("The gateway does not know yet who may predict: %s", problem)
                self._owed = threading.Timer(_AGAIN_SECONDS, self.refresh)
                self._owed.daemon = True
                self._owed.start()

    def stop(self) -> None:
        """Publish no more."""
        with self._publishing:
            self._stopping = True
            if self._owed:
                self._owed.cancel()

    def _load(self) -> Directory:
        with self._database.read() as db:
            keys: dict[str, dict[str, str]] = defaultdict(dict)
            for key in store.all_keys(db):
                keys[key.email][key.key_id] = key.public_key
            return Directory(
                projects=self._projects(),
                accounts={
                    account.email: Known(
                        project=account.project, unique_id=account.unique_id, keys=keys[account.email]
                    )
                    for account in store.all_accounts(db)
                },
                revoked=frozenset(store.revoked(db, self._clock())),
                policies={policy.resource: policy.bindings for policy in store.all_policies(db)},
            )
