"""The gateway process from start to end: owner of the TCP port, parent of the control plane."""

from __future__ import annotations

import asyncio
import errno
import resource
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

from mlengine.errors import FailedPrecondition, InvalidArgument
from mlengine.serving.gateway.control import AdminSocket, ControlPlane
from mlengine.serving.gateway.door import Door, is_loopback
from mlengine.serving.gateway.http import ClientConnection
from mlengine.serving.gateway.settings import GatewaySettings

BACKLOG = 2048
# Every client and every worker is an open file; the usual soft limit of 1,024 is soon met.
OPEN_FILES = 65_536
READY_PAUSE = 0.05


def run(settings: GatewaySettings, on_listening: Callable[[int], None] | None = None) -> None:
    """Serve until SIGTERM or SIGINT, then let requests in flight end, end the control plane, and return.

    Args:
        settings: See `GatewaySettings`.
        on_listening: Called once with the actual port, when connections are accepted.

    Raises:
        FailedPrecondition: The port or a socket is in use, or may not be opened.
        InvalidArgument: The host is not one of this machine.
    """
    listeners = listen(settings.host, settings.port)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(settings, listeners, on_listening))
    finally:
        for listener in listeners:
            listener.close()


def listen(host: str, port: int) -> list[socket.socket]:
    """Listening sockets on every address of `host`, all on the same port.

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
    raise _cannot_listen(host, port, failure) from failure


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


def _cannot_listen(host: str, port: int, error: OSError) -> FailedPrecondition | InvalidArgument:
    if error.errno == errno.EADDRINUSE:
        return FailedPrecondition(
            f"Port {port} on {host} is in use by another program.",
            hint=f"Choose another one with --port, or find the program: 'ss -ltnp sport = :{port}'.",
        )
    if error.errno == errno.EACCES:
        return FailedPrecondition(
            f"Port {port} may not be opened by this user.", hint="Choose one above 1023 with --port."
        )
    return InvalidArgument(
        f"The server cannot listen on {host}: {error.strerror}.",
        hint="Use 127.0.0.1 to serve this machine only, 0.0.0.0 to serve the network.",
    )


async def _serve(
    settings: GatewaySettings, listeners: list[socket.socket], on_listening: Callable[[int], None] | None
) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    _allow_open_files()
    addresses = [listener.getsockname() for listener in listeners]
    port = addresses[0][1]
    door = Door(settings, loopback=all(is_loopback(address[0]) for address in addresses))
    admin = AdminSocket(settings.admin_socket, door)
    await admin.open()
    tasks = [loop.create_task(door.watch())]
    await asyncio.sleep(0)  # The first date is set before the first answer needs it.
    servers = [await loop.create_server(lambda: ClientConnection(door), sock=each) for each in listeners]
    if on_listening is not None:
        on_listening(port)
    control = ControlPlane(settings.control_argv, port=port) if settings.control_argv else None
    if control is not None:
        tasks.append(loop.create_task(control.keep_alive()))
    if settings.ready_line:
        tasks.append(loop.create_task(_announce(door, settings.host, port)))
    try:
        await _first(loop.create_task(stop.wait()), tasks)
    finally:
        for server in servers:
            server.close()
        await door.drain(settings.drain_seconds)
        door.routes.close()
        door.control.close()
        for connection in list(door.connections):
            connection.cut()
        if control is not None:
            await control.stop()
        for task in tasks:
            task.cancel()
        await admin.close()


async def _first(stopped: asyncio.Task[Any], tasks: list[asyncio.Task[None]]) -> None:
    """Wait for `stopped`; a task that fails before is our fault and ends the gateway with its traceback."""
    running = {stopped, *tasks}
    while not stopped.done():
        done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()


async def _announce(door: Door, host: str, port: int) -> None:
    while not await door.control.reachable():
        await asyncio.sleep(READY_PAUSE)
    name = f"[{host}]" if ":" in host else host
    sys.stdout.write(f"mlengine is ready at http://{name}:{port}\n")
    sys.stdout.flush()


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
