"""Who may predict, or read figures: judged from memory, in microseconds, by what the control plane pushed.

Apart from `door`, which all connections share, because here are the rules of access and nothing of HTTP.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import parse_qsl

from mlengine.access.directory import Directory, Identity
from mlengine.access.domain import JobTokens
from mlengine.access.entrance import Entrance
from mlengine.access.tokens import AccessTokens
from mlengine.errors import InvalidArgument, Problem
from mlengine.serving.gateway.settings import GatewaySettings
from mlengine.web.heads import Request

PERMISSION = "ml.versions.predict"
LIST_PERMISSION = "ml.models.list"
_MOST_REMEMBERED = 8192


class Admission:
    """Lets predictions pass, or says why not."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._required = settings.tokens_required
        self._first_project = settings.first_project
        self._judges = bool(settings.token_secret and settings.job_secret)
        self._entrance = Entrance(
            tokens_required=settings.tokens_required,
            tokens=AccessTokens(settings.token_secret),
            job_tokens=JobTokens(settings.job_secret),
            first_project=settings.first_project,
        )
        # Who may, up to when: the token as it came, the model, and where the client thinks it is.
        self._admitted: dict[tuple[bytes, str, bytes], float] = {}

    def use(self, value: Mapping[str, Any]) -> dict[str, str]:
        """From now on judge by this directory; the numbers of its projects.

        Raises:
            InvalidArgument: it is none; then nothing was changed.
        """
        try:
            directory = Directory.from_json(value)
        except (KeyError, TypeError, AttributeError) as error:
            raise InvalidArgument(f"The directory cannot be read: {error!r}.", field="directory") from None
        self._entrance.use(directory)
        self._admitted = {}
        return directory.numbers()

    def refusal(self, request: Request, resource: str, scheme: bytes) -> Problem | None:
        """Why a request may not predict; None for one that may.

        Args:
            request: Its head.
            resource: The model, as policies name it.
            scheme: By which the client came.
        """
        header = _credentials(request)
        if not self._required and not (header and self._judges):
            return None
        key = (header, resource, request.host)
        now = time.time()
        if (until := self._admitted.get(key)) is not None and now < until:
            return None
        try:
            who = self._identify(request, header, scheme, now)
            self._entrance.directory.check(who, PERMISSION, resource)
        except Problem as problem:
            return problem
        if len(self._admitted) >= _MOST_REMEMBERED:
            self._admitted.clear()
        self._admitted[key] = who.until or float("inf")
        return None

    def may_list(
        self, request: Request, projects: Collection[str], scheme: bytes
    ) -> Collection[str] | Problem:
        """Those of `projects` whose models the caller may list; the reason where there are none."""
        header = _credentials(request)
        if not self._required and not (header and self._judges):
            return projects
        directory = self._entrance.directory
        try:
            who = self._identify(request, header, scheme, time.time())
            visible = {
                name for name in projects if directory.allows(who, LIST_PERMISSION, f"projects/{name}")
            }
            if not visible:
                directory.check(who, LIST_PERMISSION, f"projects/{self._first_project}")
        except Problem as problem:
            return problem
        return visible

    def _identify(self, request: Request, header: bytes, scheme: bytes, now: float) -> Identity:
        base_url = f"{scheme.decode()}://{request.host.decode('latin-1')}"
        return self._entrance.identify(header.decode("latin-1"), now, base_url=base_url)


def _credentials(request: Request) -> bytes:
    header = request.fields.get(b"authorization", b"")
    if not header and b"_token=" in request.target:
        return _in_query(request.target)
    return header


def _in_query(target: bytes) -> bytes:
    """A token in the query, as if it had come in its header."""
    query = dict(parse_qsl(target.partition(b"?")[2].decode("latin-1")))
    token = query.get("access_token") or query.get("oauth_token") or ""
    return f"Bearer {token}".encode() if token else b""
