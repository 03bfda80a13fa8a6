"""The way to hosts that are not us: straight, or by the proxy that this machine itself uses."""

from __future__ import annotations

import asyncio
import base64
import re
import socket
from collections.abc import Callable
from urllib.parse import unquote, urlsplit

from mlengine.environments.proxies import excepted
from mlengine.serving.gateway.settings import GatewaySettings

_LONGEST_HEAD = 16 * 1024


async def dial(
    settings: GatewaySettings, host: str, port: int, protocol: Callable[[], asyncio.Protocol]
) -> None:
    """Connect to another host, by the machine's own proxy where it has one for it.

    Args:
        settings: For the machine's proxy.
        host: Name or address.
        port: TCP port.
        protocol: Makes what gets the connection.

    Raises:
        OSError: it cannot be reached.
    """
    loop = asyncio.get_running_loop()
    proxy = settings.outer_proxy
    if not proxy or excepted(host, settings.outer_no_proxy):
        await loop.create_connection(protocol, host, port)
        return
    wire = await _by_proxy(proxy, f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    try:
        await loop.create_connection(protocol, sock=wire)
    except BaseException:
        wire.close()
        raise


async def _by_proxy(proxy: str, authority: str) -> socket.socket:
    """A connection to `authority` which the machine's proxy has made.

    Raises:
        OSError: it cannot be reached, or refuses.
    """
    loop = asyncio.get_running_loop()
    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    if parts.scheme != "http" or parts.hostname is None:
        raise OSError(f"a proxy is spoken to by http only, and this machine's is {parts.scheme}://…")
    lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}"]
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        lines.append(f"Proxy-Authorization: Basic {base64.b64encode(login.encode()).decode()}")
    found = await loop.getaddrinfo(parts.hostname, parts.port or 80, type=socket.SOCK_STREAM)
    family, kind, protocol, _, address = found[0]
    wire = socket.socket(family, kind, protocol)
    try:
        wire.setblocking(False)
        await loop.sock_connect(wire, address)
        await loop.sock_sendall(wire, "\r\n".join([*lines, "", ""]).encode())
        head = b""
        # Byte by byte, because what follows the head is no longer the proxy's.
        while not head.endswith(b"\r\n\r\n"):
            byte = await loop.sock_recv(wire, 1)
            if not byte or len(head) > _LONGEST_HEAD:
                raise OSError("this machine's proxy did not answer as one")
            head += byte
        status = head.split(b"\r\n", 1)[0].decode("latin-1")
        if not re.match(r"HTTP/1\.\d 2\d\d\b", status):
            raise OSError(f"this machine's proxy refused: {status}")
    except BaseException:
        wire.close()
        raise
    return wire
