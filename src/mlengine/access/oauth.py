"""The token endpoint: signed assertions in, access tokens out; in OAuth's words, errors too."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from mlengine.access import jwt
from mlengine.access.domain import JobTokens
from mlengine.access.entrance import Entrance
from mlengine.access.service import AccessService
from mlengine.access.tokens import LIFETIME_SECONDS, SCOPES, AccessToken, AccessTokens
from mlengine.clock import Clock
from mlengine.errors import Problem, Unauthenticated, nearest

Json = dict[str, Any]
JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
# Compiled into clients: google-auth writes the first whatever the key file's token_uri says.
_AUDIENCES = (
    "https://oauth2.googleapis.com/token",
    "https://www.googleapis.com/oauth2/v4/token",
    "https://accounts.google.com/o/oauth2/token",
)
ISSUER = "https://accounts.google.com"


class OAuthError(Exception):
    """A refusal in OAuth's words (RFC 6749, section 5.2).

    Args:
        word: "invalid_grant" or another that programs look for.
        description: What is wrong, for people.
    """

    def __init__(self, word: str, description: str) -> None:
        super().__init__(description)
        self.word = word
        self.description = description


class TokenService:
    """Gives access tokens to those who sign for them, and takes them back.

    Args:
        entrance: Knows the accounts.
        signing_key: The private key that ID tokens are signed with, as PEM; made when it is first asked for.
    """

    def __init__(
        self,
        accounts: AccessService,
        entrance: Entrance,
        clock: Clock,
        *,
        tokens: AccessTokens,
        job_tokens: JobTokens,
        signing_key: Callable[[], str],
    ) -> None:
        self._accounts = accounts
        self._entrance = entrance
        self._clock = clock
        self._tokens = tokens
        self._job_tokens = job_tokens
        self._signing_key = signing_key

    def grant(self, form: Mapping[str, str], *, base_url: str) -> Json:
        """The answer to a request for a token.

        Args:
            form: Its fields.
            base_url: Where the client found this server.

        Raises:
            OAuthError: there is none for that.
        """
        kind = form.get("grant_type", "")
        if kind == JWT_GRANT:
            return self._for_assertion(form.get("assertion", ""), base_url)
        if kind == "refresh_token":
            raise OAuthError(
                "invalid_grant",
                "Refresh tokens are given to people who log in to Google; there are none here. "
                "Use the key file of a service account: mlengine iam service-accounts keys create",
            )
        if not kind:
            raise OAuthError("invalid_request", f"The form has no grant_type; {JWT_GRANT} is answered here.")
        raise OAuthError("unsupported_grant_type", f"'{kind[:80]}' is not answered here; {JWT_GRANT} is.")

    def info(self, header: str, *, base_url: str) -> Json:
        """What is known of a token.

        Raises:
            OAuthError: it is none of ours, or holds no more.
        """
        now = self._clock().timestamp()
        try:
            who = self._entrance.identify(header, now, base_url=base_url)
        except Problem as problem:
            raise OAuthError("invalid_token", str(problem)) from None
        if not who.email:
            raise OAuthError("invalid_token", "Invalid Value: that is no token of this server.")
        answer: Json = {"email": who.email, "email_verified": "true", "access_type": "online"}
        answer["scope"] = " ".join(who.scopes)
        if who.kind == "account":
            account = self._accounts.get(who.project, who.email)
            answer |= {"azp": account.unique_id, "aud": account.unique_id, "sub": account.unique_id}
        if who.until:
            answer |= {"exp": str(int(who.until)), "expires_in": str(int(who.until - now))}
        return answer

    def revoke(self, text: str) -> None:
        """End an access token now.

        Raises:
            OAuthError: it is none of ours, has ended, or cannot be ended by itself.
        """
        try:
            who = self._entrance.identify(f"Bearer {text}", self._clock().timestamp())
        except Unauthenticated as problem:
            raise OAuthError("invalid_token", str(problem)) from None
        if not who.token_id:
            raise OAuthError(
                "invalid_token",
                "That is no access token of this server. What a job or a key itself proves ends with "
                "the job's project or the key.",
            )
        self._accounts.revoke(who.token_id, datetime.fromtimestamp(who.until, UTC))

    def certificates(self) -> Json:
        """The public half of what ID tokens are signed with, as a JSON Web Key Set."""
        from mlengine.access.rsa import public_numbers

        key = self._signing_key()
        modulus, exponent = public_numbers(key)
        return {
            "keys": [
                {
                    "kty": "RSA",
                    "alg": "RS256",
                    "use": "sig",
                    "kid": _key_id(modulus),
                    "n": _number(modulus),
                    "e": _number(exponent),
                }
            ]
        }

    def _for_assertion(self, assertion: str, base_url: str) -> Json:
        now = self._clock().timestamp()
        try:
            token = jwt.parse(assertion)
            job_token = str(token.header.get("kid", ""))
            if self._job_tokens.job_of(job_token) is not None:
                # Jobs have a key file, too, all with one private key: its id, their token, proves them.
                return _bearer(job_token)
            email, key_id = self._entrance.directory.signer(token, now)
            audience, target = token.text("aud"), token.text("target_audience")
            scopes = tuple(dict.fromkeys(token.text("scope").split()))
        except jwt.BadToken as bad:
            raise OAuthError("invalid_grant", f"Invalid JWT: {bad}") from None
        if audience not in (f"{base_url}/token", *_AUDIENCES):
            raise OAuthError(
                "invalid_grant",
                f"Invalid JWT: it is for '{audience[:200]}' (claim 'aud'); "
                f"{base_url}/token or {_AUDIENCES[0]} is expected.",
            )
        account = self._entrance.directory.accounts[email]
        if target:
            return {"id_token": self._id_token(email, account.unique_id, target, now)}
        _check_scopes(scopes)
        text = self._tokens.issue(
            AccessToken(
                email=email,
                unique_id=account.unique_id,
                key_id=key_id,
                project=account.project,
                until=int(now) + LIFETIME_SECONDS,
                scopes=scopes,
            )
        )
        return _bearer(text)

    def _id_token(self, email: str, unique_id: str, target: str, now: float) -> str:
        from mlengine.access.rsa import public_numbers, sign

        key = self._signing_key()
        header = {"alg": "RS256", "typ": "JWT", "kid": _key_id(public_numbers(key)[0])}
        claims = {
            "iss": ISSUER,
            "aud": target,
            "azp": email,
            "sub": unique_id,
            "email": email,
            "email_verified": True,
            "iat": int(now),
            "exp": int(now) + LIFETIME_SECONDS,
        }
        content = ".".join(_text(json.dumps(part).encode()) for part in (header, claims))
        return f"{content}.{_text(sign(content.encode(), key))}"


def _bearer(text: str) -> Json:
    return {"access_token": text, "expires_in": LIFETIME_SECONDS, "token_type": "Bearer"}


def _check_scopes(scopes: tuple[str, ...]) -> None:
    if not scopes:
        raise OAuthError("invalid_scope", "The JWT asks for nothing: it needs a claim 'scope'.")
    for scope in scopes:
        if scope not in SCOPES:
            close = nearest(scope, list(SCOPES))
            raise OAuthError("invalid_scope", f"There is no scope '{scope[:200]}' here. {close}".strip())


def _key_id(modulus: int) -> str:
    return hashlib.sha256(str(modulus).encode()).hexdigest()[:40]


def _number(value: int) -> str:
    return _text(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
