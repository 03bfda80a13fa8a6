"""What stands around the gateway's proxy for jobs: hosts outside, a machine's own proxy, and its client.

Apart from the tests, of which two modules use it.
"""

from __future__ import annotations

import base64
import socket
import threading

from .gateway_stand_ins import Gateway

# The host that the gateway stands in for.
HOST = "storage.example.com"


class Echo:
    """A server of the world outside: greets, then sends back what it gets, up to the end."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.accepted = 0
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                wire, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            with wire:
                try:
                    wire.sendall(b"hello\n")
                    while data := wire.recv(65536):
                        wire.sendall(data)
                except OSError:
                    continue  # The other side has left in the middle.

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self._thread.join()


class OuterProxy:
    """A machine's own proxy: answers each CONNECT with `answer`, and connects to one port always."""

    def __init__(self, port: int, answer: bytes = b"HTTP/1.1 200 OK\r\n\r\n") -> None:
        self.heads: list[bytes] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self._target, self._answer = port, answer
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                wire, _ = self.listener.accept()
            except OSError:
                return
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += wire.recv(1)
            self.heads.append(head)
            # In one piece with the first bytes from beyond: nothing of these may be lost.
            with wire, socket.create_connection(("127.0.0.1", self._target)) as beyond:
                try:
                    wire.sendall(self._answer + beyond.recv(100))
                    while data := wire.recv(65536):
                        beyond.sendall(data)
                        wire.sendall(beyond.recv(65536))
                except OSError:
                    continue  # The gateway has left.

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self._thread.join()


def ask_for(authority: str, token: str | None = None, *headers: str) -> bytes:
    lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}", *headers]
    if token is not None:
        lines.append(f"Proxy-Authorization: Basic {base64.b64encode(f'job:{token}'.encode()).decode()}")
    return "\r\n".join([*lines, "", ""]).encode()


def head_from(wire: socket.socket) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += wire.recv(1)
    return head


def through(gateway: Gateway, authority: str, token: str) -> socket.socket:
    """A connection that the gateway has made, or answers itself."""
    wire = gateway.connected()
    wire.sendall(ask_for(authority, token))
    assert head_from(wire) == b"HTTP/1.1 200 Connection established\r\n\r\n"
    return wire


def wire_to(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)
