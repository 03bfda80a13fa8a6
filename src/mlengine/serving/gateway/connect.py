"""The proxy for jobs: `CONNECT` to hosts that we stand in for is answered here, any other is tunnelled.

TensorFlow's gs:// knows no other server than Google's, but it asks a proxy for the way there. So each job is
told to use us as its proxy, with a token of its own; whoever has none is refused, or every page in a browser
on this machine, and every other user, could have our address make its connections.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from typing import TYPE_CHECKING

from mlengine.errors import DeadlineExceeded, InvalidArgument, PermissionDenied, Problem, Unavailable
from mlengine.serving.gateway import answers
from mlengine.serving.gateway.outside import dial
from mlengine.serving.gateway.tunnel import Tunnel
from mlengine.serving.gateway.turns import Turn, ready
from mlengine.web.heads import Request
from mlengine.web.hosts import is_loopback

if TYPE_CHECKING:
    from mlengine.serving.gateway.http import ClientConnection

DIAL_SECONDS = 30.0
HANDSHAKE_SECONDS = 20.0
# How long a client may take to confirm that a TLS connection is over.
FAREWELL_SECONDS = 2.0
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
_AUTHORITY = re.compile(
    r"(?:\[(?P<address>[0-9a-fA-F:.]+)\]|(?P<name>[\w.-]{1,253})):(?P<port>\d{1,5})", re.ASCII
)


def connect(connection: ClientConnection, request: Request) -> Turn:
    """The turn of a CONNECT: a way through, or a refusal."""
    try:
        job, host, port = _check(connection, request)
    except Refused as refused:
        return ready(connection, *answers.refusal(refused.problem, refused.code), close=True)
    return Connect(connection, job=job, host=host, port=port)


class Refused(Exception):
    """A CONNECT that is not granted, with its HTTP number."""

    def __init__(self, code: int, problem: Problem) -> None:
        super().__init__(str(problem))
        self.code = code
        self.problem = problem


class Connect(Turn):
    """A way to another host, granted to a job."""

    __slots__ = ("_host", "_job", "_port", "_work", "early")

    def __init__(self, connection: ClientConnection, *, job: str, host: str, port: int) -> None:
        super().__init__(connection, close=True, http10=False)
        self._job = job
        self._host = host
        self._port = port
        self._work: asyncio.Task[None] | None = None
        # What the client sent before it was answered.
        self.early = b""
        connection.hold()

    def begin(self) -> None:
        if self._work is None:
            door = self.connection.door
            ours = (
                door.tls is not None and self._port == 443 and self._host in door.settings.impersonated_hosts
            )
            goes = f"is answered as {self._host}" if ours else f"has a tunnel to {self._host}:{self._port}"
            door.note(f"Job {self._job} {goes}.")
            work = self._impersonate() if ours else self._tunnel()
            self._work = asyncio.get_running_loop().create_task(work)

    def gone(self) -> None:
        if self._work is not None:
            self._work.cancel()

    async def _impersonate(self) -> None:
        """End TLS here, and answer the requests inside like any others."""
        connection, door = self.connection, self.connection.door
        if self.early:
            # What came before our word cannot be given to TLS any more.
            hasty = InvalidArgument("A handshake begins after the answer to CONNECT, not before.")
            connection.settle(self, *answers.refusal(hasty))
            return
        transport = connection.hand_over()
        if transport is None or door.tls is None:
            return
        transport.write(ESTABLISHED)
        waiting = _Waiting()
        try:
            secured = await asyncio.get_running_loop().start_tls(
                transport,
                waiting,
                door.tls,
                server_side=True,
                ssl_handshake_timeout=HANDSHAKE_SECONDS,
                ssl_shutdown_timeout=FAREWELL_SECONDS,
            )
        except OSError:  # The client does not trust us, or speaks no TLS, or has left.
            transport.abort()
            return
        if secured is None or waiting.lost:
            return
        inner = connection.within(door.impersonating)
        secured.set_protocol(inner)
        inner.connection_made(secured)
        for data in waiting.pieces:
            inner.data_received(data)

    async def _tunnel(self) -> None:
        connection, door = self.connection, self.connection.door
        tunnel = Tunnel(door)
        try:
            async with asyncio.timeout(DIAL_SECONDS):
                await dial(door.settings, self._host, self._port, lambda: tunnel.far)
        except TimeoutError:
            late = DeadlineExceeded(
                f"{self._host} did not answer on port {self._port} in {DIAL_SECONDS:g} s."
            )
            connection.settle(self, *answers.refusal(late))
            return
        except OSError as error:
            failed = Unavailable(f"{self._host}:{self._port} cannot be reached: {error}.")
            connection.settle(self, *answers.refusal(failed, 502))
            return
        near = connection.hand_over()
        if near is None:
            tunnel.cut()
            return
        near.write(ESTABLISHED)
        tunnel.join(near, self.early)


class _Waiting(asyncio.Protocol):
    """Keeps what the client sends right behind the handshake, until a connection is there to read it."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.lost = False

    def data_received(self, data: bytes) -> None:
        self.pieces.append(data)

    def connection_lost(self, _: Exception | None) -> None:
        self.lost = True


def _check(connection: ClientConnection, request: Request) -> tuple[str, str, int]:
    """The job, host and port of a CONNECT.

    Raises:
        Refused: it is not granted.
    """
    door = connection.door
    if not connection.entrance.proxy or door.tokens is None:
        raise Refused(405, InvalidArgument("CONNECT is not done here."))
    # Tokens go through the air as they are; nothing but jobs on this machine has business here.
    address = connection.client_address.decode()
    if not (is_loopback(address) or address == door.settings.host):
        raise Refused(403, PermissionDenied("This server is a proxy for its own jobs only, on this machine."))
    job = door.tokens.job_of(_credentials(request.fields.get(b"proxy-authorization", b"")))
    if job is None:
        raise Refused(
            407,
            PermissionDenied(
                "This server is a proxy for its own jobs only, and this request shows no job's token.",
                hint="In a job, the variable https_proxy has it.",
            ),
        )
    match = _AUTHORITY.fullmatch(request.target.decode("latin-1"))
    if match is None or not 0 < int(match["port"]) < 65536:
        raise Refused(400, InvalidArgument("CONNECT needs HOST:PORT.", hint="An IPv6 address in brackets."))
    return job, (match["address"] or match["name"]).lower(), int(match["port"])


def _credentials(header: bytes) -> str:
    """The password in a `Proxy-Authorization`; empty where there is none that can be read."""
    kind, _, value = header.partition(b" ")
    if kind.lower() != b"basic":
        return ""
    try:
        return base64.b64decode(value.strip(), validate=True).decode().partition(":")[2]
    except (binascii.Error, ValueError):
        return ""
