"""A small server's access, wired as in `app` but for the gateway; apart from the tests that stand on it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from google.auth import crypt
from google.auth import jwt as google_jwt

from mlengine.access import rsa, wire
from mlengine.access.domain import JobTokens
from mlengine.access.entrance import Entrance
from mlengine.access.oauth import TokenService
from mlengine.access.policies import PolicyService
from mlengine.access.publisher import Publisher
from mlengine.access.service import AccessService
from mlengine.access.tokens import AccessTokens
from mlengine.backends.database import SqlDatabase
from mlengine.errors import NotFound
from mlengine.projects.service import ProjectService
from tests.conftest import HandClock

BASE = "http://here:8080"
GOOGLE = "https://oauth2.googleapis.com/token"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
ACCESS_TOKENS = AccessTokens(b"t" * 32)
EMAIL = "caller@local.iam.gserviceaccount.com"


class Ground:
    """Projects "local" and "team-b", account `EMAIL` with a key, and what judges them.

    Attributes:
        pushed: What the gateway was told, the newest last.
        there: The models and jobs that exist.
    """

    def __init__(self, database: SqlDatabase, clock: HandClock, *, tokens_required: bool = True) -> None:
        self.clock = clock
        self.pushed: list[Mapping[str, Any]] = []
        self.there = {"projects/local/models/m", "projects/local/jobs/j"}
        self.projects = ProjectService(
            database, clock, first="local", changed=lambda: self.publisher.refresh()
        )
        tokens, self.job_tokens = ACCESS_TOKENS, JobTokens(b"j" * 32)
        self.entrance = Entrance(
            tokens_required=tokens_required, tokens=tokens, job_tokens=self.job_tokens, first_project="local"
        )
        self.publisher = Publisher(
            database,
            clock,
            projects=lambda: {project.project_id: project.agent for project in self.projects.list()},
            entrance=self.entrance,
            push=self.pushed.append,
        )
        self.accounts = AccessService(database, clock, changed=self.publisher.refresh)
        self.policies = PolicyService(
            database,
            directory=lambda: self.entrance.directory,
            find=self._find,
            changed=self.publisher.refresh,
        )
        self.oauth = TokenService(
            self.accounts,
            self.entrance,
            clock,
            tokens=tokens,
            job_tokens=self.job_tokens,
            signing_key=lambda: _signing_key(),
        )
        self.projects.create("team-b")
        account = self.accounts.create("local", "caller")
        self.key, private = self.accounts.create_key("local", EMAIL)
        self.key_file = json.loads(wire.key_file(account, self.key, private, BASE))

    def assertion(self, **changes: Any) -> str:
        """A JWT as google-auth makes it, with some claims changed; None takes one away.

        `key` is the private key that signs, `kid` its id.
        """
        key = changes.pop("key", self.key_file["private_key"])
        kid = changes.pop("kid", self.key.key_id)
        now = int(self.clock().timestamp())
        claims = {"iss": EMAIL, "scope": SCOPE, "aud": GOOGLE, "iat": now, "exp": now + 3600} | changes
        claims = {name: value for name, value in claims.items() if value is not None}
        return google_jwt.encode(crypt.RSASigner.from_string(key, kid), claims).decode()

    def token(self, **changes: Any) -> str:
        """An access token."""
        form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer"}
        return str(
            self.oauth.grant(form | {"assertion": self.assertion(**changes)}, base_url=BASE)["access_token"]
        )

    def now(self) -> float:
        return self.clock().timestamp()

    def _find(self, resource: str) -> None:
        if resource.count("/") == 1:
            self.projects.get(resource.split("/")[1])
        elif resource not in self.there:
            raise NotFound(f"There is no {resource}.")


def unsigned(header: dict[str, Any], claims: dict[str, Any]) -> str:
    """A JWT with nothing for a signature."""
    parts = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims))
    return b".".join(parts).decode() + ".AAAA"


_made: list[str] = []


def _signing_key() -> str:
    if not _made:
        _made.append(rsa.make_pair()[0])
    return _made[0]
