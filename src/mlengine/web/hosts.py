"""Under which names a server is answered; apart because both of its processes answer clients."""

from __future__ import annotations

import ipaddress
import re

from mlengine.errors import PermissionDenied, Problem

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


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches `address`."""
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False
