"""What all client connections share: settings, routes, the way to the control plane, and who may come in.

Apart from `http` so that one connection's story is not mixed with what outlives it.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import TYPE_CHECKING, Protocol

from mlengine.access.domain import JobTokens
from mlengine.serving.gateway.admission import Admission
from mlengine.serving.gateway.known import KnownHeads
from mlengine.serving.gateway.routes import RoutingTable
from mlengine.serving.gateway.settings import GatewaySettings
from mlengine.serving.gateway.upstream import ControlPool
from mlengine.web.hosts import HostRule

if TYPE_CHECKING:
    from mlengine.serving.gateway.handover import Bulk

TICK_SECONDS = 1.0
MOST_NOTED = 4096


class Guest(Protocol):
    """A connection, as the door sees it."""

    def check_time(self, now: float) -> None:
        """Part from a client that takes too long over something."""

    def leave(self) -> None:
        """Answer what is here, then close."""

    def cut(self) -> None:
        """End at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """The way by which a connection came in.

    Args:
        scheme: "http" or "https".
        hosts: The names under which it is answered there.
        proxy: Whether ways to other hosts may be asked for there.
        known: Heads of predictions that came in there.
    """

    scheme: bytes
    hosts: HostRule
    proxy: bool = False
    known: KnownHeads = field(default_factory=KnownHeads, compare=False)


class Door:
    """The shared state of all client connections; lives as long as the gateway."""

    def __init__(
        self, settings: GatewaySettings, *, loopback: bool, tls: ssl.SSLContext | None = None
    ) -> None:
        """`tls`: what TLS connections are made with; None where there are none."""
        self.settings = settings
        self.routes = RoutingTable()
        self.control = ControlPool(settings.control_socket, settings.control_seconds)
        self.tls = tls
        self.tokens = JobTokens(settings.job_secret) if settings.job_secret else None
        self.admission = Admission(settings)
        names = (settings.host, *settings.allowed_hosts) if loopback else None
        hosts = HostRule(names)
        self.plain = Entrance(scheme=b"http", hosts=hosts, proxy=True)
        self.secure = Entrance(scheme=b"https", hosts=hosts)
        # Only who came by the proxy, and so showed the token of a job, is answered under these names.
        self.impersonating = Entrance(
            scheme=b"https", hosts=HostRule((*(names or ()), *settings.impersonated_hosts))
        )
        # Where connections go that need nothing of the gateway; None to serve them here.
        self.bulk: Bulk | None = None
        self.connections: set[Guest] = set()
        self.answered = 0
        self.date = b""
        self.leaving = False
        self._noted: set[str] = set()
        self._empty = asyncio.Event()

    def note(self, message: str) -> None:
        """Tell whoever runs the server, the first time that this is to be told."""
        if message not in self._noted:
            if len(self._noted) >= MOST_NOTED:
                self._noted.clear()
            self._noted.add(message)
            say(message)

    def closed(self, connection: Guest) -> None:
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


def say(message: str) -> None:
    """Tell whoever runs the server."""
    sys.stderr.write(f"mlengine: {message}\n")
    sys.stderr.flush()
