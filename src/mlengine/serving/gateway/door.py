"""What all client connections share: settings, routes, the way to the control plane, and who may come in.

Apart from `http` so that one connection's story is not mixed with what outlives it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
from email.utils import formatdate
from typing import TYPE_CHECKING

from mlengine.serving.gateway.routes import RoutingTable
from mlengine.serving.gateway.settings import GatewaySettings
from mlengine.serving.gateway.upstream import ControlPool

if TYPE_CHECKING:
    from mlengine.serving.gateway.http import ClientConnection

TICK_SECONDS = 1.0
_HOST = re.compile(r"(?:\[(?P<address>[0-9a-f:.]+)\]|(?P<name>[^:\[\]]+))(?::\d*)?")


class Door:
    """The shared state of all client connections; lives as long as the gateway."""

    def __init__(self, settings: GatewaySettings, *, loopback: bool) -> None:
        self.settings = settings
        self.routes = RoutingTable(settings)
        self.control = ControlPool(settings.control_socket, settings.control_seconds)
        self.hosts = HostRule((settings.host, *settings.allowed_hosts) if loopback else None)
        self.connections: set[ClientConnection] = set()
        self.answered = 0
        self.date = b""
        self.leaving = False
        self._empty = asyncio.Event()

    def closed(self, connection: ClientConnection) -> None:
        """Forget a connection that ended."""
        self.connections.discard(connection)
        if not self.connections:
            self._empty.set()

    async def watch(self) -> None:
        """Keep the date, and the time limits of connections. Runs until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            self.date = formatdate(usegmt=True).encode()
            now = loop.time()
            for connection in list(self.connections):
                connection.check_time(now)
            await asyncio.sleep(TICK_SECONDS)

    async def drain(self, seconds: float) -> None:
        """Take no further requests and return once the connections have ended, at most `seconds` later."""
        self.leaving = True
        self._empty.clear()
        for connection in list(self.connections):
            connection.leave()
        if self.connections:
            try:
                await asyncio.wait_for(self._empty.wait(), seconds)
            except TimeoutError:
                pass


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


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches `address`."""
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback
