"""Who is calling: a token, a service account's key, or credentials of google-auth."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlengine.client.credentials import Key, access_token, find_key, read_key
from mlengine.errors import InvalidArgument
from mlengine.sdk.lines import Bearer

Credentials = str | Path | Mapping[str, Any] | object
"""A key file's path, its JSON text or its content; or credentials of google-auth."""

# A token that is handed out lasts at least twice as long.
_KEPT_SECONDS = 60.0


def bearer_of(
    credentials: Credentials | None, token: str | None, environment: Mapping[str, str], endpoint: str
) -> Bearer | None:
    """Where access tokens come from; None for a caller without a name.

    Args:
        environment: Where a key is looked up when nothing is given.

    Raises:
        InvalidArgument: both are given, or what is given is neither.
    """
    if token is not None:
        if credentials is not None:
            raise InvalidArgument("credentials and token are both given.", hint="Leave one out.")
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise InvalidArgument("token is empty or holds characters that no token has.")
        return lambda: token
    if credentials is None:
        key = find_key(environment, endpoint)
        return _Account(key, environment, endpoint).token if key else None
    if isinstance(credentials, str | Path | Mapping):
        said = json.dumps(dict(credentials)) if isinstance(credentials, Mapping) else str(credentials)
        return _Account(read_key(said, found="the argument 'credentials'"), environment, endpoint).token
    if callable(getattr(credentials, "refresh", None)) and hasattr(credentials, "token"):
        return _Google(credentials).token
    raise InvalidArgument(
        f"credentials is a {type(credentials).__name__}.",
        hint="Give a key file's path, its JSON, a dict, or credentials of google-auth.",
    )


class _Account:
    """Tokens of a service account, by its key."""

    def __init__(self, key: Key, environment: Mapping[str, str], endpoint: str) -> None:
        self._key = key
        self._environment = environment
        self._endpoint = endpoint
        self._lock = threading.Lock()
        self._token = ""
        self._until = 0.0

    def token(self) -> str:
        with self._lock:
            if time.monotonic() >= self._until:
                self._token = access_token(self._key, self._environment, self._endpoint)
                self._until = time.monotonic() + _KEPT_SECONDS
            return self._token


class _Google:
    """Tokens of a credentials object of google-auth, made anew when they run out."""

    def __init__(self, credentials: Any) -> None:
        self._credentials = credentials
        self._lock = threading.Lock()

    def token(self) -> str:
        with self._lock:
            if not self._credentials.valid:
                self._credentials.refresh(_exchange)
            return str(self._credentials.token or "")


class _Response:
    """An answer as google-auth wants it."""

    def __init__(self, status: int, headers: Mapping[str, str], data: bytes) -> None:
        self.status = status
        self.headers = headers
        self.data = data


def _exchange(
    url: str,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float | None = None,
    **_: object,
) -> _Response:
    """HTTP for google-auth on the standard library, whose own ways need a further package."""
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    request = Request(url, data=body, headers=dict(headers or {}), method=method)
    try:
        with urlopen(request, timeout=timeout or 60.0) as answer:
            return _Response(answer.status, dict(answer.headers), answer.read())
    except HTTPError as error:
        with error:
            return _Response(error.code, dict(error.headers), error.read())
