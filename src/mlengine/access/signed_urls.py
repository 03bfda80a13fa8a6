"""Signed URLs of Google's version 4: reading what was signed, and letting those calls pass that keep to it.

Apart from `service`, because here a request is looked at byte by byte, and nothing is stored.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Self
from urllib.parse import quote, unquote

from mlengine.access.service import AccessService
from mlengine.clock import Clock, to_text
from mlengine.errors import InvalidArgument, NotFound, PermissionDenied
from mlengine.web.method import Call

ALGORITHM = "GOOG4-RSA-SHA256"
LONGEST = timedelta(days=7)
# The clocks of those who sign may be ahead of ours.
_AHEAD = timedelta(minutes=15)
_SIGNATURE = "x-goog-signature"
_PARAMETERS = (
    "X-Goog-Algorithm",
    "X-Goog-Credential",
    "X-Goog-Date",
    "X-Goog-Expires",
    "X-Goog-SignedHeaders",
    "X-Goog-Signature",
)
_SCOPE = re.compile(r"(?P<email>[^/]+)/(?P<scope>(?P<day>\d{8})/[^/]+/storage/goog4_request)")
_MOMENT = re.compile(r"\d{8}T\d{6}Z", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_UNSIGNED = "UNSIGNED-PAYLOAD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What the query of a signed URL says.

    Attributes:
        email: Whose key signed it.
        scope: Day, location and service, as they were signed.
        stamp: When it was signed, as it was written.
        since, until: From when and up to when it holds.
        fields: The header fields that were signed, names in small letters.
    """

    email: str
    scope: str
    stamp: str
    since: datetime
    until: datetime
    fields: tuple[str, ...]
    signature: bytes

    @classmethod
    def read(cls, query: dict[str, str]) -> Self:
        """The claim in a query.

        Raises:
            InvalidArgument: a parameter is missing or is none that could have been signed.
        """
        for name in _PARAMETERS:
            if not query.get(name):
                raise _malformed(f"The URL is signed, but has no {name}.")
        if query["X-Goog-Algorithm"] != ALGORITHM:
            raise _malformed(f"X-Goog-Algorithm must be {ALGORITHM}, not '{query['X-Goog-Algorithm'][:40]}'.")
        credential = _SCOPE.fullmatch(query["X-Goog-Credential"])
        stamp = query["X-Goog-Date"]
        if not credential:
            raise _malformed("X-Goog-Credential must be EMAIL/DATE/LOCATION/storage/goog4_request.")
        if not _MOMENT.fullmatch(stamp) or credential["day"] != stamp[:8]:
            raise _malformed("X-Goog-Date must be YYYYMMDDTHHMMSSZ, of the day in X-Goog-Credential.")
        try:
            since = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
            signature = bytes.fromhex(query["X-Goog-Signature"])
        except ValueError as error:
            raise _malformed(f"X-Goog-Date or X-Goog-Signature cannot be read: {error}.") from None
        seconds = query["X-Goog-Expires"]
        if (
            not re.fullmatch(r"\d{1,7}", seconds, re.ASCII)
            or not 1 <= int(seconds) <= LONGEST.total_seconds()
        ):
            raise _malformed(
                f"X-Goog-Expires must be from 1 to {LONGEST.total_seconds():.0f} seconds (7 days), "
                f"not '{seconds[:40]}'."
            )
        fields = tuple(query["X-Goog-SignedHeaders"].lower().split(";"))
        if "host" not in fields:
            raise _malformed("X-Goog-SignedHeaders must name 'host'.")
        return cls(
            email=credential["email"],
            scope=credential["scope"],
            stamp=stamp,
            since=since,
            until=since + timedelta(seconds=int(seconds)),
            fields=fields,
            signature=signature,
        )


class SignedUrls:
    """Lets calls pass: those without a signature as they are, those with one if they keep to it.

    Args:
        service: Knows the keys.
        clock: Tells whether a URL still holds.
    """

    def __init__(self, service: AccessService, clock: Clock) -> None:
        self._service = service
        self._clock = clock

    def admit(self, call: Call) -> Call:
        """As `admitted`, whoever signed it."""
        return self.admitted(call)[0]

    def admitted(self, call: Call) -> tuple[Call, str]:
        """The call, in the form in which it is to be answered: its body is checked where it was signed.

        With it the email of who signed it; "" for a call without a signature.

        Raises:
            InvalidArgument: the signature is of another kind, or its parameters cannot be read.
            PermissionDenied: it has expired or is not yet valid, is of nobody we know, or of another request.
        """
        names = {name.lower() for name in call.query}
        if {"googleaccessid", "signature"} <= names:
            raise _malformed(
                "This is a signed URL of version 2, which is not taken here.", hint='Sign with version="v4".'
            )
        if not names & set(map(str.lower, _PARAMETERS)):
            return call, ""
        claim = Claim.read(_spelled(call.query))
        self._check_time(claim)
        self._check_fields(claim, call)
        payload = call.headers.get("x-goog-content-sha256", _UNSIGNED)
        if "x-goog-content-sha256" in claim.fields and payload != _UNSIGNED:
            if not _SHA256.fullmatch(payload):
                raise _malformed("x-goog-content-sha256 must be 64 hexadecimal digits or UNSIGNED-PAYLOAD.")
            call = replace(call, body=_checked(call.body, payload))
        self._check_signature(claim, call, payload)
        return call, claim.email

    def _check_time(self, claim: Claim) -> None:
        now = self._clock()
        if now > claim.until:
            raise _refused(
                "ExpiredToken", f"The signed URL expired at {to_text(claim.until)}; it is {to_text(now)} now."
            )
        if now + _AHEAD < claim.since:
            raise _refused(
                "RequestNotYetValid",
                f"The signed URL holds from {to_text(claim.since)} on; it is {to_text(now)} now.",
            )

    def _check_fields(self, claim: Claim, call: Call) -> None:
        """What could change the meaning of a call must be signed, and what was signed must be there."""
        for name in call.headers:
            if name.startswith("x-goog-") and name not in claim.fields:
                raise _refused("AccessDenied", f"The header {name} was sent, but is not among those signed.")
        for name in claim.fields:
            if name not in call.headers:
                raise _refused("AccessDenied", f"The header {name} was signed, but not sent.")

    def _check_signature(self, claim: Claim, call: Call, payload: str) -> None:
        shown = ""
        for canonical in _canonical_requests(claim, call, payload):
            digest = hashlib.sha256(canonical.encode()).hexdigest()
            text = "\n".join((ALGORITHM, claim.stamp, claim.scope, digest))
            shown = shown or canonical
            try:
                if self._service.signer(claim.email, text.encode(), claim.signature):
                    return
            except NotFound as problem:
                raise _refused("InvalidSecurity", problem.message) from None
        raise _refused(
            "SignatureDoesNotMatch",
            f"No key of {claim.email} made this signature for this request. Either the request is not the "
            "one that was signed (verb, path, query, signed headers), or the key was deleted.",
            CanonicalRequest=shown,
        )


def _canonical_requests(claim: Claim, call: Call, payload: str) -> Iterator[str]:
    """The request as it may have been signed, the likeliest first.

    Between signing and sending, clients re-encode what need not be encoded, and Google's own library sorts
    the query in another order than Google's documents.
    """
    path, _, query = call.target.partition("?")
    pairs = [part.partition("=") for part in query.split("&") if part]
    encoded = [
        (quote(unquote(name), safe="~"), quote(unquote(value), safe="~"))
        for name, _, value in pairs
        if unquote(name).lower() != _SIGNATURE
    ]
    queries = dict.fromkeys(
        (
            "&".join(f"{name}={value}" for name, value in sorted(encoded)),
            "&".join(sorted(f"{name}={value}" for name, value in encoded)),
        )
    )
    paths = dict.fromkeys((path, quote(unquote(path), safe="/~")))
    fields = "".join(f"{name}:{' '.join(call.headers[name].split())}\n" for name in sorted(claim.fields))
    for resource in paths:
        for canonical_query in queries:
            yield "\n".join(
                (call.verb, resource, canonical_query, fields, ";".join(sorted(claim.fields)), payload)
            )


def _checked(body: Iterator[bytes], wanted: str) -> Iterator[bytes]:
    """The body, which fails at its end when it is not what was signed."""
    digest = hashlib.sha256()
    for piece in body:
        digest.update(piece)
        yield piece
    if digest.hexdigest() != wanted:
        raise InvalidArgument(
            "The content does not have the SHA-256 that was signed.", hint="Nothing was stored."
        )


def _spelled(query: Mapping[str, str]) -> dict[str, str]:
    known = {name.lower(): name for name in _PARAMETERS}
    return {known.get(name.lower(), name): value for name, value in query.items()}


def _malformed(message: str, *, hint: str = "") -> InvalidArgument:
    return InvalidArgument(message, hint=hint, details=_detail("AuthenticationRequired", {}))


def _refused(word: str, message: str, **more: str) -> PermissionDenied:
    return PermissionDenied(message, details=_detail(word, more))


def _detail(word: str, more: dict[str, str]) -> tuple[dict[str, object], ...]:
    """The word that programs look for."""
    kind = "type.googleapis.com/google.rpc.ErrorInfo"
    return ({"@type": kind, "reason": word, "domain": "storage.googleapis.com", "metadata": more},)
