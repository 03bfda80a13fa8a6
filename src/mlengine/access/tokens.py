"""Access tokens: made here, and known again by whoever has the secret. Pure; no I/O."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass

from mlengine.access.roles import is_reading
from mlengine.errors import Unauthenticated

LIFETIME_SECONDS = 3600
# By it a token of ours is told from anybody else's, also when somebody has changed the rest.
PREFIX = "mlat_"

_SCOPES = "https://www.googleapis.com/auth/"
# A scope of Google's to the services it opens, and whether for reading only. "" opens all.
SCOPES: dict[str, tuple[str, bool]] = {
    _SCOPES + "cloud-platform": ("", False),
    _SCOPES + "cloud-platform.read-only": ("", True),
    _SCOPES + "devstorage.full_control": ("storage.", False),
    _SCOPES + "devstorage.read_write": ("storage.", False),
    _SCOPES + "devstorage.read_only": ("storage.", True),
    _SCOPES + "logging.read": ("logging.", True),
    _SCOPES + "logging.admin": ("logging.", False),
    _SCOPES + "logging.write": ("none.", False),
    _SCOPES + "iam": ("iam.", False),
    _SCOPES + "bigquery": ("bigquery.", False),
    _SCOPES + "userinfo.email": ("none.", True),
    _SCOPES + "userinfo.profile": ("none.", True),
    _SCOPES + "accounts.reauth": ("none.", True),
    _SCOPES + "appengine.admin": ("none.", True),
    _SCOPES + "compute": ("none.", True),
    _SCOPES + "sqlservice.login": ("none.", True),
    "openid": ("none.", True),
    "email": ("none.", True),
    "profile": ("none.", True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """What an access token says.

    Attributes:
        email: The account it stands for.
        unique_id: Of the account, since one made later under the same email is another.
        key_id: The key that asked for it.
        until: When it ends, in seconds since 1970.
        scopes: What it was asked for; nothing else can be done with it.
        token_id: By which it can be given back before its time.
    """

    email: str
    unique_id: str
    key_id: str
    project: str
    until: int
    scopes: tuple[str, ...]
    token_id: str = ""


class AccessTokens:
    """Makes access tokens and reads them again."""

    def __init__(self, secret: bytes) -> None:
        """`secret`: at least 32 random bytes."""
        self._secret = secret

    def issue(self, token: AccessToken) -> str:
        """The text of a token; each call makes one of its own."""
        content = [
            token.email,
            token.unique_id,
            token.key_id,
            token.project,
            token.until,
            [scope.removeprefix(_SCOPES) for scope in token.scopes],
            token.token_id or secrets.token_hex(8),
        ]
        payload = _text(json.dumps(content, separators=(",", ":")).encode())
        return f"{PREFIX}{payload}.{self._code(payload)}"

    def read(self, text: str) -> AccessToken:
        """The token of a text that begins with `PREFIX`; whether it still holds is not looked at.

        Raises:
            Unauthenticated: it is not as we made it.
        """
        payload, _, code = text.removeprefix(PREFIX).partition(".")
        if not hmac.compare_digest(code.encode(), self._code(payload).encode()):
            raise Unauthenticated(
                "The access token was not made by this server, or was changed since.",
                hint="Get a new one: mlengine auth print-access-token",
            )
        email, unique_id, key_id, project, until, scopes, token_id = json.loads(_bytes(payload))
        return AccessToken(
            email=email,
            unique_id=unique_id,
            key_id=key_id,
            project=project,
            until=until,
            scopes=tuple(scope if scope in SCOPES else _SCOPES + scope for scope in scopes),
            token_id=token_id,
        )

    def _code(self, payload: str) -> str:
        return _text(hmac.digest(self._secret, b"access\0" + payload.encode(), hashlib.sha256)[:24])


def opens(scopes: tuple[str, ...], permission: str) -> bool:
    """Whether scopes let a permission be used."""
    for scope in scopes:
        service, read_only = SCOPES.get(scope, ("none.", True))
        if permission.startswith(service) and (not read_only or is_reading(permission)):
            return True
    return False


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError) as error:
        raise Unauthenticated("The access token cannot be read.") from error
