"""What the gateway is told at its start; apart because every module here reads some of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """Where the gateway listens, whom it starts and how much it takes. Sizes in bytes, times in seconds.

    Args:
        host: Address or name to listen on.
        port: TCP port; 0 takes a free one.
        control_socket: Unix socket on which the control plane serves HTTP.
        admin_socket: Unix socket which the gateway makes for the control plane's orders (mode 0600).
        control_argv: How to start the control plane; None when somebody else runs it.
        allowed_hosts: Host names accepted on a loopback address besides those of the machine itself.
        max_body_bytes: Largest prediction request, after decompression.
        queue_limit: Prediction requests a version may have waiting or being computed.
        queue_bytes: The same in bytes of request bodies.
        wake_seconds: How long a request waits for a worker that is not connected.
        deadline_seconds: How long a worker may take over one request.
        header_seconds: How long a client may take over the head of a request.
        body_seconds: How long a client may fall silent within a body.
        idle_seconds: How long a connection may rest between requests.
        control_seconds: How long a request waits for a control plane that is starting.
        drain_seconds: How long requests in flight may take to end once the gateway was told to stop.
        ready_line: Print one line on stdout when the control plane answers.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    control_socket: str
    admin_socket: str
    control_argv: tuple[str, ...] | None = None
    allowed_hosts: tuple[str, ...] = ()
    max_body_bytes: int = 64 * 1024 * 1024
    queue_limit: int = 256
    queue_bytes: int = 256 * 1024 * 1024
    wake_seconds: float = 60.0
    deadline_seconds: float = 60.0
    header_seconds: float = 30.0
    body_seconds: float = 60.0
    idle_seconds: float = 300.0
    control_seconds: float = 10.0
    drain_seconds: float = 10.0
    ready_line: bool = False
