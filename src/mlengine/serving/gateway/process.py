"""The gateway process from start to end: owner of the TCP port, parent of the control plane."""

from __future__ import annotations

import asyncio
import errno
import resource
import signal
import socket
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlengine.errors import FailedPrecondition, InvalidArgument
from mlengine.serving.gateway.admin import AdminSocket
from mlengine.serving.gateway.connect import FAREWELL_SECONDS, HANDSHAKE_SECONDS
from mlengine.serving.gateway.control import ControlPlane, NeverReady
from mlengine.serving.gateway.door import Door, say
from mlengine.serving.gateway.handover import Bulk
from mlengine.serving.gateway.http import ClientConnection
from mlengine.serving.gateway.settings import GatewaySettings, Ports
from mlengine.web.hosts import is_loopback

BACKLOG = 2048
# Every client and every worker is an open file; the usual soft limit of 1,024 is soon met.
OPEN_FILES = 65_536
READY_PAUSE = 0.05
# 8443 for 8080.
TLS_PORT_ABOVE = 363
RENEW_SECONDS = 24 * 3600.0


def run(settings: GatewaySettings, on_listening: Callable[[Ports], None] | None = None) -> int:
    """Serve until SIGTERM or SIGINT, then let requests in flight end, end the control plane, and return.

    Args:
        settings: See `GatewaySettings`.
        on_listening: Called once, when connections are accepted.

    Returns:
        0; or the exit code of a control plane that ended before it had ever answered.

    Raises:
        FailedPrecondition: A port or a socket is in use, or may not be opened.
        InvalidArgument: The host is not one of this machine.
    """
    plain = listen(settings.host, settings.port)
    secure: list[socket.socket] = []
    try:
        if settings.certificate is not None:
            secure = _listen_tls(settings)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(_serve(settings, plain, secure, on_listening))
    finally:
        for listener in (*plain, *secure):
            listener.close()


def listen(host: str, port: int, flag: str = "--port") -> list[socket.socket]:
    """Listening sockets on every address of `host`, all on the same port, which `flag` chooses.

    Raises:
        FailedPrecondition: The port is in use, or may not be opened.
        InvalidArgument: `host` is not a name or address of this machine.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise InvalidArgument(
            f"The host '{host}' is not known on this machine: {error}.",
            hint="Use 127.0.0.1 to serve this machine only, 0.0.0.0 to serve the network.",
        ) from error
    listeners: list[socket.socket] = []
    failure: OSError | None = None
    for family, _, _, _, address in dict.fromkeys(found):
        try:
            listener = _listener(family, (address[0], port, *address[2:]))
        except OSError as error:
            failure = error
            if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                continue  # A name may have an IPv6 address where the machine has no IPv6.
            break
        failure = None
        port = listener.getsockname()[1]
        listeners.append(listener)
    if listeners and (failure is None or failure.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)):
        return listeners
    for listener in listeners:
        listener.close()
    assert failure is not None
    raise _cannot_listen(host, port, failure, flag) from failure


def _listen_tls(settings: GatewaySettings) -> list[socket.socket]:
    if settings.tls_port or not 0 < settings.port <= 65535 - TLS_PORT_ABOVE:
        return listen(settings.host, settings.tls_port, "--tls-port")
    try:
        # The same one after each start: clients have it in their files.
        return listen(settings.host, settings.port + TLS_PORT_ABOVE)
    except FailedPrecondition:
        return listen(settings.host, 0)


def _listener(family: int, address: tuple[Any, ...]) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # Without it a restart would have to wait for connections of the past to be forgotten.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def _cannot_listen(host: str, port: int, error: OSError, flag: str) -> FailedPrecondition | InvalidArgument:
    if error.errno == errno.EADDRINUSE:
        return FailedPrecondition(
            f"Port {port} on {host} is in use by another program.",
            hint=f"Choose another one with {flag}, or find the program: 'ss -ltnp sport = :{port}'.",
        )
    if error.errno == errno.EACCES:
        return FailedPrecondition(
            f"Port {port} may not be opened by this user.", hint=f"Choose one above 1023 with {flag}."
        )
    return InvalidArgument(
        f"The server cannot listen on {host}: {error.strerror}.",
        hint="Use 127.0.0.1 to serve this machine only, 0.0.0.0 to serve the network.",
    )


async def _serve(
    settings: GatewaySettings,
    plain: list[socket.socket],
    secure: list[socket.socket],
    on_listening: Callable[[Ports], None] | None,
) -> int:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    _allow_open_files()
    addresses = [listener.getsockname() for listener in (*plain, *secure)]
    ports = Ports(plain=addresses[0][1], tls=addresses[-1][1] if secure else 0)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if secure else None
    loopback = all(is_loopback(address[0]) for address in addresses)
    door = Door(settings, loopback=loopback, tls=tls)
    if settings.bulk_socket:
        door.bulk = Bulk(door, loopback=loopback)
    admin = AdminSocket(settings.admin_socket, door)
    await admin.open()
    tasks = [loop.create_task(door.watch())]
    await asyncio.sleep(0)  # The first date is set before the first answer needs it.
    servers = [
        await loop.create_server(lambda: ClientConnection(door, door.plain), sock=each) for each in plain
    ]
    if tls is not None and settings.certificate is not None:
        tls.set_alpn_protocols(["http/1.1"])
        tls.load_cert_chain(settings.certificate())
        tasks.append(loop.create_task(_renew(tls, settings.certificate)))
        servers += [
            await loop.create_server(
                lambda: ClientConnection(door, door.secure),
                sock=each,
                ssl=tls,
                ssl_handshake_timeout=HANDSHAKE_SECONDS,
                ssl_shutdown_timeout=FAREWELL_SECONDS,
            )
            for each in secure
        ]
    if on_listening is not None:
        on_listening(ports)
    control = ControlPlane(settings.control_argv, ports=ports) if settings.control_argv else None
    if control is not None:
        tasks.append(loop.create_task(control.keep_alive()))
    if control is not None or settings.ready_line:
        tasks.append(loop.create_task(_announce(door, control, ports.plain)))
    try:
        await _first(loop.create_task(stop.wait()), tasks)
    except NeverReady as failure:
        return failure.code
    finally:
        for server in servers:
            server.close()
        await door.drain(settings.drain_seconds)
        door.routes.close()
        door.control.close()
        if door.bulk is not None:
            door.bulk.close()
        for connection in list(door.connections):
            connection.cut()
        if control is not None:
            await control.stop()
        for task in tasks:
            task.cancel()
        await admin.close()
    return 0


async def _first(stopped: asyncio.Task[Any], tasks: list[asyncio.Task[None]]) -> None:
    """Wait for `stopped`; a task that fails before ends the gateway: our fault, or a control plane's."""
    running = {stopped, *tasks}
    while not stopped.done():
        done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()


async def _announce(door: Door, control: ControlPlane | None, port: int) -> None:
    """Wait until the control plane answers, and tell who wants to know."""
    while not await door.control.reachable():
        await asyncio.sleep(READY_PAUSE)
    if control is not None:
        control.was_ready = True
    if door.settings.ready_line:
        host = door.settings.host
        name = f"[{host}]" if ":" in host else host
        sys.stdout.write(f"mlengine is ready at http://{name}:{port}\n")
        sys.stdout.flush()


async def _renew(tls: ssl.SSLContext, certificate: Callable[[], Path]) -> None:
    """Have the certificate renewed in time; connections made from then on get the new one."""
    while True:
        await asyncio.sleep(RENEW_SECONDS)
        try:
            tls.load_cert_chain(await asyncio.to_thread(certificate))
        except OSError as error:
            say(f"The certificate for https cannot be renewed: {error}. The present one serves on.")


def _allow_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:  # Where there is none, the standard loop serves, at about half the speed.
        return asyncio.new_event_loop
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
