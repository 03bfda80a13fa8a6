"""JSON Web Tokens that service accounts sign with their keys; apart from the tokens that we make."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlengine.errors import Unauthenticated

# Clocks differ; Google forgives as much.
SKEW_SECONDS = 300
LONGEST_SECONDS = 3600
LONGEST_JWT = 16 * 1024


class BadToken(Unauthenticated):
    """A JWT that is not to be believed, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Jwt:
    """A JWT taken apart; nothing of it is proven.

    Attributes:
        signed: The bytes that the signature is of.
    """

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    signed: bytes
    signature: bytes

    def text(self, name: str) -> str:
        """A claim that is text; "" where there is none.

        Raises:
            BadToken: it is something else.
        """
        value = self.claims.get(name, "")
        if not isinstance(value, str):
            raise BadToken(f"The JWT's claim '{name}' is not a text.")
        return value

    def seconds(self, name: str) -> float:
        """A claim that is a moment.

        Raises:
            BadToken: it is missing, or something else.
        """
        value = self.claims.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e12:
            raise BadToken(f"The JWT's claim '{name}' is no moment in seconds since 1970.")
        return float(value)


def parse(text: str) -> Jwt:
    """A JWT by its text.

    Raises:
        BadToken: it is none, or is signed in another way than RS256.
    """
    parts = text.split(".")
    if len(parts) != 3 or len(text) > LONGEST_JWT:
        raise BadToken("The assertion is no JWT: three parts with dots between are needed.")
    try:
        raw = [base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in parts]
        header, claims = json.loads(raw[0]), json.loads(raw[1])
    except (binascii.Error, ValueError, RecursionError) as error:
        raise BadToken(f"The JWT cannot be read: {error}.") from None
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise BadToken("The JWT's header and claims must be JSON objects.")
    if header.get("alg") != "RS256":
        raise BadToken(f"The JWT is signed by '{str(header.get('alg'))[:20]}'; RS256 is needed.")
    return Jwt(header=header, claims=claims, signed=f"{parts[0]}.{parts[1]}".encode(), signature=raw[2])


def check_time(jwt: Jwt, now: float) -> None:
    """Whether a JWT holds now.

    Raises:
        BadToken: it has expired, begins later, or holds for too long.
    """
    issued, until = jwt.seconds("iat"), jwt.seconds("exp")
    if until + SKEW_SECONDS < now:
        raise BadToken(
            f"The JWT expired {now - until:.0f} seconds ago (claim 'exp').",
            hint="Sign a new one; if it is new, the clock of the machine that signed it is behind.",
        )
    if issued - SKEW_SECONDS > now:
        raise BadToken(
            f"The JWT was issued {issued - now:.0f} seconds in the future (claim 'iat').",
            hint="The clock of the machine that signed it is ahead of this server's.",
        )
    if until - issued > LONGEST_SECONDS + SKEW_SECONDS or until <= issued:
        raise BadToken(
            f"The JWT is to hold for {until - issued:.0f} seconds; 1 to {LONGEST_SECONDS} are allowed.",
            hint="Set 'exp' to at most an hour after 'iat'.",
        )
