"""Who calls: a service account's key, found and turned into the access token that requests carry."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from mlengine.client.http import Connection
from mlengine.errors import FailedPrecondition, InvalidArgument, Unauthenticated

OWN, GOOGLES = "MLENGINE_CREDENTIALS", "GOOGLE_APPLICATION_CREDENTIALS"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_LIFETIME_SECONDS = 3600
# A token that ends sooner is not begun with.
_LEFT_SECONDS = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A service account's key.

    Attributes:
        found: Where, in words, for messages.
        token_uri: Where its file says that tokens are had.
    """

    email: str
    key_id: str
    private_key: str
    token_uri: str
    found: str


def authorization(environment: Mapping[str, str], endpoint: str) -> str:
    """The header that says who is calling; "" when there are no credentials.

    Args:
        environment: The process environment, for `MLENGINE_CREDENTIALS` and the like.
        endpoint: The server.

    Raises:
        InvalidArgument: credentials are named and cannot be read.
        Unauthenticated: the server does not take them.
    """
    key = find_key(environment, endpoint)
    return f"Bearer {access_token(key, environment, endpoint)}" if key else ""


def find_key(environment: Mapping[str, str], endpoint: str) -> Key | None:
    """The key to use: that of MLENGINE_CREDENTIALS, of GOOGLE_APPLICATION_CREDENTIALS unless Google made
    it, or the one logged in with.

    Raises:
        InvalidArgument: credentials are named and cannot be read.
    """
    if said := environment.get(OWN, "").strip():
        return read_key(said, found=OWN)
    if said := environment.get(GOOGLES, "").strip():
        try:
            key = read_key(said, found=GOOGLES)
        except InvalidArgument:
            # Meant for Google's libraries, which may know other kinds.
            key = None
        # A key of Google's own is no business of this server's.
        if key and "googleapis.com" not in key.token_uri:
            return key
    return Logins(environment).active(endpoint)


def read_key(said: str, *, found: str) -> Key:
    """The key in a file, or the content of such a file itself.

    Args:
        said: A path, or JSON.
        found: Where that was said, for messages.

    Raises:
        InvalidArgument: there is no such file, or it is no key.
    """
    if said.lstrip().startswith("{"):
        content, place = said, f"{found} (its content)"
    else:
        place = f"{found}, the file '{said}'"
        try:
            content = Path(said).expanduser().read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no text"
            raise InvalidArgument(
                f"The credentials of {place} cannot be read: {reason}.",
                hint="Give a path, or the JSON itself, beginning with '{'.",
            ) from None
    try:
        value = json.loads(content)
    except ValueError as error:
        raise InvalidArgument(f"The credentials of {place} are not JSON: {error}.") from None
    kind = value.get("type") if isinstance(value, dict) else None
    names = ("client_email", "private_key_id", "private_key", "token_uri")
    if kind != "service_account":
        raise InvalidArgument(
            f"The credentials of {place} are no service account's key (their type is {kind!r}).",
            hint="Make one: mlengine iam service-accounts keys create FILE --iam-account=EMAIL",
        )
    if missing := [name for name in names if not isinstance(value.get(name), str)]:
        raise InvalidArgument(f"The key of {place} has no {missing[0]}.")
    return Key(
        email=value["client_email"],
        key_id=value["private_key_id"],
        private_key=value["private_key"],
        token_uri=value["token_uri"],
        found=place,
    )


def access_token(key: Key, environment: Mapping[str, str], endpoint: str, *, fresh: bool = False) -> str:
    """An access token for the account of a key; one had before, as long as it lasts.

    Args:
        fresh: Whether to get a new one whatever there is.

    Raises:
        Unauthenticated: the server does not take the key; says which, and where it was found.
    """
    cache = _folder(environment) / "tokens"
    mark = hashlib.sha256(f"{endpoint}\n{key.key_id}".encode()).hexdigest()[:32]
    path = cache / f"{mark}.json"
    now = time.time()
    if not fresh:
        try:
            kept = json.loads(path.read_text())
            if kept["until"] - now > _LEFT_SECONDS:
                return str(kept["token"])
        except (OSError, ValueError, KeyError, TypeError):
            pass  # None was kept, or it cannot be read any more: a new one is had instead.
    answer = _exchange(key, endpoint, now)
    token = str(answer["access_token"])
    try:
        _write(path, {"token": token, "until": now + int(answer.get("expires_in", 0))})
    except OSError:
        pass  # Where nothing can be kept, each command gets one of its own.
    return token


def forget_tokens(key: Key, environment: Mapping[str, str], endpoint: str) -> None:
    """Keep no token of a key any more."""
    mark = hashlib.sha256(f"{endpoint}\n{key.key_id}".encode()).hexdigest()[:32]
    (_folder(environment) / "tokens" / f"{mark}.json").unlink(missing_ok=True)


class Logins:
    """The keys that somebody logged in with, one active for each server."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._folder = _folder(environment) / "credentials"

    def active(self, endpoint: str) -> Key | None:
        """The key for a server, if there is one."""
        email = self._active().get(endpoint)
        path = self._folder / f"{email}.json"
        return read_key(str(path), found="mlengine auth login") if email and path.exists() else None

    def add(self, content: Mapping[str, Any], endpoint: str) -> None:
        """Keep a key, and use it for a server."""
        try:
            _write(self._folder / f"{content['client_email']}.json", dict(content))
            _write(self._folder / "active", self._active() | {endpoint: str(content["client_email"])})
        except OSError as error:
            raise FailedPrecondition(f"{self._folder} cannot be written: {error.strerror}.") from error

    def remove(self, email: str) -> bool:
        """Keep a key no more; whether there was one."""
        path = self._folder / f"{email}.json"
        known = path.exists()
        path.unlink(missing_ok=True)
        left = {endpoint: other for endpoint, other in self._active().items() if other != email}
        if known:
            _write(self._folder / "active", left)
        return known

    def list(self) -> list[tuple[str, list[str]]]:
        """Each account with a key here, and the servers that it is used for."""
        active = self._active()
        return [
            (path.stem, sorted(endpoint for endpoint, email in active.items() if email == path.stem))
            for path in sorted(self._folder.glob("*.json"))
        ]

    def _active(self) -> dict[str, str]:
        try:
            found = json.loads((self._folder / "active").read_text())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


def _exchange(key: Key, endpoint: str, now: float) -> dict[str, Any]:
    form = urlencode({"grant_type": _GRANT, "assertion": _assertion(key, endpoint, now)}).encode()
    connection = Connection(endpoint)
    try:
        response = connection.send(
            "POST",
            "/token",
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            body=form,
            accepted=(400, 401),
        )
        answer = json.loads(response.read())
    except ValueError:
        answer = {}
    finally:
        connection.close()
    if not isinstance(answer, dict) or "access_token" not in answer:
        said = answer.get("error_description") or answer.get("error") if isinstance(answer, dict) else ""
        raise Unauthenticated(
            f"The server at {endpoint} does not take the credentials of {key.found}: "
            f"{said or 'no reason given'}"
        )
    return answer


def _assertion(key: Key, endpoint: str, now: float) -> str:
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    try:
        private = serialization.load_pem_private_key(key.private_key.encode(), password=None)
    except ValueError as error:
        raise InvalidArgument(f"The private key of {key.found} cannot be read: {error}.") from None
    if not isinstance(private, rsa.RSAPrivateKey):
        raise InvalidArgument(f"The private key of {key.found} is none of RSA.")
    header = {"alg": "RS256", "typ": "JWT", "kid": key.key_id}
    claims = {
        "iss": key.email,
        "scope": SCOPE,
        "aud": f"{endpoint}/token",
        "iat": int(now),
        "exp": int(now) + _LIFETIME_SECONDS,
    }
    content = ".".join(_text(json.dumps(part).encode()) for part in (header, claims))
    return f"{content}.{_text(private.sign(content.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _folder(environment: Mapping[str, str]) -> Path:
    base = environment.get("XDG_CONFIG_HOME") or Path(environment.get("HOME") or Path.home()) / ".config"
    return Path(base) / "mlengine"


def _write(path: Path, value: Mapping[str, Any]) -> None:
    """Write JSON, readable by its owner only from the first moment on. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(value, file)
    partial.replace(path)
