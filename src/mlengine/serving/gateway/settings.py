"""What the gateway is told at its start; apart because every module here reads some of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """Where the gateway listens, whom it starts and how much it takes. Sizes in bytes, times in seconds.

    Args:
        host: Address or name to listen on.
        port: TCP port; 0 takes a free one.
        control_socket: Unix socket on which the control plane serves HTTP.
        admin_socket: Unix socket which the gateway makes for the control plane's orders (mode 0600).
        bulk_socket: Unix socket at which the control plane takes connections over that are about contents of
            buckets; empty to pass their requests on like all others.
        back_socket: Unix socket which the gateway makes, for connections that come back.
        control_argv: How to start the control plane; None when somebody else runs it.
        allowed_hosts: Host names accepted on a loopback address besides those of the machine itself.
        tls_port: TCP port for https; 0 takes the plain port + 363 if it can, else a free one.
        certificate: Names the file with the key and certificates for https, and renews it when it is time. It
            may take a second, and is asked again every day. None for no https.
        job_secret: What the tokens of jobs are made with; empty for no proxy.
        token_secret: What access tokens are made with; empty where nobody shows any.
        tokens_required: Whether every prediction needs a token, or who has none is the owner.
        first_project: The project of jobs whose token says none.
        impersonated_hosts: Hosts under whose names the proxy for jobs answers itself.
        outer_proxy: URL of the proxy by which this machine reaches other hosts; empty for none.
        outer_no_proxy: Hosts to reach without it, as in the variable `no_proxy`.
        max_body_bytes: Largest prediction request, after decompression.
        queue_limit: Requests a version may have waiting or being computed, where its order says none.
        queue_bytes: The same in bytes of request bodies, for all versions.
        wake_seconds: How long a request waits for a worker to come up, where the order says nothing of it.
        deadline_seconds: How long workers may take over one request, where the order says nothing of it.
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
    bulk_socket: str = ""
    back_socket: str = ""
    control_argv: tuple[str, ...] | None = None
    allowed_hosts: tuple[str, ...] = ()
    tls_port: int = 0
    certificate: Callable[[], Path] | None = None
    job_secret: bytes = b""
    token_secret: bytes = b""
    tokens_required: bool = False
    first_project: str = "local"
    impersonated_hosts: tuple[str, ...] = ()
    outer_proxy: str = ""
    outer_no_proxy: str = ""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The TCP ports on which connections are accepted.

    Args:
        plain: For http.
        tls: For https; 0 where there is none.
    """

    plain: int
    tls: int
