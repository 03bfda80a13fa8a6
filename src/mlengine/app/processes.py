"""The two processes of a server, from start to end.

`serve` is the gateway, which owns the port and is the parent of all; `control` is the control plane,
which the gateway starts and restarts. Each imports only what it needs.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import mlengine
from mlengine.app.sockets import socket_folder
from mlengine.clock import system_clock, to_text
from mlengine.errors import FailedPrecondition, Problem
from mlengine.settings import Settings, read_settings

# Compiled into clients. More than are answered for today: other names would need a new authority.
_CERTIFIED_NAMES = (
    "www.googleapis.com",
    "storage.googleapis.com",
    "oauth2.googleapis.com",
    "accounts.google.com",
)
# For requests that are being answered when the server is told to stop.
_ENDING_SECONDS = 5.0


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m mlengine.app serve|control`: run one of the two server processes; returns its exit code."""
    parser = argparse.ArgumentParser(prog="mlengine server")
    parser.add_argument("process", choices=["serve", "control"])
    parser.add_argument("--host")
    parser.add_argument("--port")
    parser.add_argument("--tls-port")
    parser.add_argument("--data-dir")
    parser.add_argument("--auth")
    # Of the other process, which had the same and passes on only their values.
    parser.add_argument("--origins", type=json.loads)
    given = vars(parser.parse_args(arguments))
    process, origins = given.pop("process"), given.pop("origins")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        settings = read_settings(given, os.environ, origins=origins)
        return serve(settings) if process == "serve" else control(settings)
    except Problem as problem:
        sys.stderr.write(f"ERROR: {problem.message}\n{problem.hint}".rstrip() + "\n")
        return 1


def serve(settings: Settings) -> int:
    """Run the gateway, and below it everything else, until told to stop.

    Raises:
        FailedPrecondition: another server uses the data directory, or the port is taken.
    """
    from mlengine.backends.certificates import Certificates, roots_file
    from mlengine.backends.keys import job_secret, keys_folder, token_secret
    from mlengine.environments.proxies import STORAGE_HOSTS, https_proxy, no_proxy
    from mlengine.serving.gateway.process import run
    from mlengine.serving.gateway.settings import GatewaySettings, Ports

    run_dir = settings.data_dir / "run"
    run_dir.mkdir(parents=True, exist_ok=True)
    sockets = socket_folder(settings.data_dir)
    with ExitStack() as stack:
        _lock(stack, run_dir / "server.lock", settings.data_dir, seconds=0.5)
        record = run_dir / "server.json"

        keys = keys_folder(settings.data_dir)
        certificates = Certificates(keys, (settings.host, *_CERTIFIED_NAMES), system_clock)

        def certificate() -> Path:
            file = certificates.renew()
            certificates.gather_roots(os.environ)
            return file

        def on_listening(ports: Ports) -> None:
            found = {
                "pid": os.getpid(),
                "host": settings.host,
                "port": ports.plain,
                "tlsPort": ports.tls,
                "caFile": str(roots_file(keys)),
                "auth": "required" if settings.tokens_required else "loopback",
                "started": to_text(system_clock()),
                "version": mlengine.__version__,
            }
            partial = record.with_suffix(".partial")
            partial.write_text(json.dumps(found))
            partial.replace(record)

        stack.callback(record.unlink, missing_ok=True)
        return run(
            GatewaySettings(
                host=settings.host,
                port=settings.port,
                tls_port=settings.tls_port,
                certificate=certificate,
                job_secret=job_secret(keys),
                token_secret=token_secret(keys),
                tokens_required=settings.tokens_required,
                first_project=settings.project,
                impersonated_hosts=STORAGE_HOSTS,
                outer_proxy=https_proxy(os.environ),
                outer_no_proxy=no_proxy(os.environ),
                control_socket=str(sockets / "control.sock"),
                admin_socket=str(sockets / "admin.sock"),
                bulk_socket=str(sockets / "bulk.sock"),
                back_socket=str(sockets / "back.sock"),
                control_argv=(
                    sys.executable,
                    "-P",
                    "-m",
                    "mlengine.app",
                    "control",
                    "--host",
                    settings.host,
                    "--data-dir",
                    str(settings.data_dir),
                    "--auth",
                    "required" if settings.tokens_required else "loopback",
                    "--origins",
                    json.dumps(dict(settings.origins)),
                ),
            ),
            on_listening=on_listening,
        )


def control(settings: Settings) -> int:
    """Run the control plane on its Unix socket until told to stop, or until the gateway is gone.

    Raises:
        FailedPrecondition: another control plane does not let go of the data directory.
    """
    tether = int(os.environ["MLENGINE_TETHER_FD"]) if "MLENGINE_TETHER_FD" in os.environ else None
    if tether is not None:
        threading.Thread(target=_end_with_the_gateway, args=[tether], name="tether", daemon=True).start()
    with ExitStack() as stack:
        # A predecessor whose gateway was killed may live on for a moment; two must not move the same jobs.
        _lock(stack, settings.data_dir / "run" / "control.lock", settings.data_dir, seconds=30)
        return _run(settings, tether)


def _end_with_the_gateway(tether: int) -> None:
    os.read(tether, 1)
    # Nothing needs saying or saving: what was acknowledged is on disk.
    os._exit(0)


def _run(settings: Settings, tether: int | None) -> int:
    from mlengine.app.application import Application
    from mlengine.web.handover import Handover
    from mlengine.web.server import HttpServer

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    sockets = socket_folder(settings.data_dir)
    application = Application(settings, tether=tether)
    server = HttpServer(application.router.answer, hosts=(settings.host,))
    application.start()
    try:
        server.take_over(Handover(sockets / "bulk.sock", sockets / "back.sock"))
        # Last, for whoever can connect here takes the server for ready.
        server.listen(_unix_listener(sockets / "control.sock"))
        stop.wait()
    finally:
        server.stop(_ENDING_SECONDS)
        application.stop()
    return 0


def _unix_listener(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    path.chmod(0o600)
    listener.listen(1024)
    return listener


def _lock(stack: ExitStack, path: Path, data_dir: Path, *, seconds: float) -> None:
    """Hold the data directory for as long as this process lives; wait up to `seconds` for it."""
    file = stack.enter_context(path.open("a"))
    deadline = time.monotonic() + seconds
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # `server status` holds the lock for a moment, too, while it looks.
            if time.monotonic() < deadline:
                time.sleep(0.02)
                continue
            raise FailedPrecondition(
                f"Another server uses {data_dir}.",
                hint="See it with: mlengine server status. Or give this one its own --data-dir.",
            ) from None
