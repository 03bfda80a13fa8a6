"""From a request's header to who asks, the same for control plane and gateway; apart from what they may."""

from __future__ import annotations

import base64
import binascii

from mlengine.access.directory import NOBODY, OWNER, Directory, Identity, is_access_token
from mlengine.access.domain import JobTokens
from mlengine.access.jwt import BadToken, parse
from mlengine.access.tokens import AccessTokens
from mlengine.errors import Unauthenticated

_MOST_REMEMBERED = 4096


class Entrance:
    """Tells who shows a credential, and remembers whom it has seen.

    Args:
        tokens_required: Whether a request without a token of ours is nobody's; else it is the owner's.
        tokens: Reads access tokens.
        job_tokens: Reads the tokens of jobs.
        first_project: Whose job it is where a token of before there were several says no project.
    """

    def __init__(
        self, *, tokens_required: bool, tokens: AccessTokens, job_tokens: JobTokens, first_project: str
    ) -> None:
        self.tokens_required = tokens_required
        self.directory = Directory()
        self._tokens = tokens
        self._job_tokens = job_tokens
        self._first_project = first_project
        self._seen: dict[tuple[str, str], Identity] = {}

    def use(self, directory: Directory) -> None:
        """From now on judge by another state of things."""
        self.directory = directory
        self._seen = {}

    def identify(self, header: str, now: float, *, base_url: str = "") -> Identity:
        """Who asks.

        Args:
            header: The `Authorization`; "" where there is none.
            now: Seconds since 1970.
            base_url: Where the client thinks that it is, for JWTs that say whom they are for.

        Raises:
            Unauthenticated: what was shown is one of our tokens and is not good (any more); or it is none of
                ours, where one is required.
        """
        if not header:
            return NOBODY if self.tokens_required else OWNER
        seen = self._seen.get((header, base_url))
        if seen is not None and (not seen.until or now < seen.until):
            return seen
        # Before the look at things, so that what is found out from an old state is not remembered in a new.
        remembered, directory = self._seen, self.directory
        found = self._ours(directory, header, now, base_url)
        if found is None:
            if self.tokens_required:
                raise Unauthenticated(
                    "Request had invalid authentication credentials: that is no token of this server.",
                    hint="Use a key file made here, whose token_uri is this server's.",
                )
            return OWNER
        if len(remembered) >= _MOST_REMEMBERED:
            remembered.clear()
        remembered[header, base_url] = found
        return found

    def _ours(self, directory: Directory, header: str, now: float, base_url: str) -> Identity | None:
        kind, _, text = header.partition(" ")
        text = text.strip()
        if kind.lower() == "basic":
            # Of clients in jobs, which can be told no more than a URL with a name and a password.
            text = _password(text)
        elif kind.lower() not in ("bearer", "oauth"):
            return None
        if is_access_token(text):
            return directory.bearer(self._tokens.read(text), now)
        if (found := self._job(directory, text)) is not None:
            return found
        try:
            jwt = parse(text)
        except BadToken:
            return None
        if (found := self._job(directory, str(jwt.header.get("kid", "")))) is not None:
            return found
        if not directory.concerns(jwt):
            return None
        return directory.self_signed(jwt, now, base_url=base_url)

    def _job(self, directory: Directory, token: str) -> Identity | None:
        """The job whose token this is; it proves all by itself, and may come as the id of a key, too."""
        subject = self._job_tokens.job_of(token)
        if subject is None:
            return None
        project, dot, job = subject.partition(".")
        return directory.of_job(project, job) if dot else directory.of_job(self._first_project, project)


def _password(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode().partition(":")[2]
    except (binascii.Error, ValueError):
        return ""
