"""Under which names a server is answered, and for whose pages; apart because both of its processes answer."""

from __future__ import annotations

import ipaddress
import re

from mlengine.errors import PermissionDenied, Problem
from mlengine.web.heads import Request

_HOST = re.compile(r"(?:\[(?P<address>[0-9a-f:.]+)\]|(?P<name>[^:\[\]]+))(?::\d*)?")


class HostRule:
    """Which `Host` headers a gateway on a loopback address answers.

    A page of any web site can send requests to 127.0.0.1 under its own host name once its DNS says so (DNS
    rebinding); the name in the header is what gives it away.
    """

    def __init__(self, names: tuple[str, ...] | None) -> None:
        """With None every host is let in: on other addresses the names in use cannot be known."""
        self._names = (
            None if names is None else {"127.0.0.1", "localhost", "::1"} | {n.lower() for n in names}
        )
        self._known: set[bytes] = set()

    def allows(self, host: bytes) -> bool:
        """Whether a request for `host` ("name", "name:port", "[address]:port") may be answered."""
        if self._names is None or host in self._known:
            return True
        match = _HOST.fullmatch(host.decode("latin-1").lower())
        if match is None or (match["address"] or match["name"]) not in self._names:
            return False
        if len(self._known) < 64:
            self._known.add(host)
        return True


def wrong_host(host: bytes) -> Problem:
    """What a client hears that asks for a host which is not us."""
    return PermissionDenied(
        f"This server answers on this machine only, and not under the name '{host.decode('latin-1')}'.",
        hint="Use localhost or 127.0.0.1, or add the name to the server's allowed hosts.",
    )


_CHANGING = frozenset((b"POST", b"PUT", b"PATCH", b"DELETE"))
# Rights that stand in the address itself; no page of another site can guess one, nor send a PUT unasked.
_RIGHTS = re.compile(rb"[?&](x-goog-signature|upload_id)=", re.IGNORECASE)


def foreign_page(request: Request) -> Problem | None:
    """Why a request is refused that a page of another site made its reader's browser send.

    Browsers alone say where a page comes from (`Origin`), and no page can make one send `Authorization`, or
    `X-Forwarded-Host`, without asking us first. So whoever has a token, and every other client, passes.
    """
    origin = request.fields.get(b"origin")
    if origin is None or request.method not in _CHANGING or b"authorization" in request.fields:
        return None
    own = (request.host.lower(), request.fields.get(b"x-forwarded-host", request.host).lower())
    if origin.lower().partition(b"://")[2] in own:
        return None
    if request.method == b"PUT" and _RIGHTS.search(request.target):
        return None
    return PermissionDenied(
        f"A page of '{origin.decode('latin-1')[:200]}' made this request, and it is not this server's own.",
        hint="Pages of other sites change things here with an access token only (header Authorization).",
    )


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches `address`."""
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False
