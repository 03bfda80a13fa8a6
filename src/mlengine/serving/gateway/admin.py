"""The control plane's orders: one JSON object a line over a private socket, one answer each.

Apart from `control`, which keeps its process alive.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from pathlib import Path
from typing import Any

from mlengine.errors import FailedPrecondition, InvalidArgument, Problem
from mlengine.serving.gateway.door import Door
from mlengine.serving.gateway.orders import read_routes

# A table of some 100,000 versions.
LONGEST_ORDER = 32 * 1024 * 1024
LONGEST_WAIT = 60.0
MOST_RECORDS = 1000


class AdminSocket:
    """Where the control plane pushes what to go by, and asks what happened.

    {"op": "routes", "versions": {…}, "models": {…}, "foreign": {…}}  ->  {"ok": true}   (see `orders`)
    {"op": "access", "directory": {…}}     ->  {"ok": true}
    {"op": "events", "after": N, "seconds": S}  ->  {"ok": true, "at": M, "events": […]}, once there are some
    {"op": "figures"}                      ->  {"ok": true, "epoch": …, "bounds": {…}, "versions": {…}}
    {"op": "records", "most": N}           ->  {"ok": true, "records": […], "dropped": …}
    {"op": "status"}                       ->  {"ok": true, "inFlight": …, "answered": …, "connections": …}
    Anything else                          ->  {"ok": false, "error": {"code", "message", "status"}}
    """

    def __init__(self, path: str, door: Door) -> None:
        self._path = path
        self._door = door
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.StreamWriter] = set()

    async def open(self) -> None:
        """Listen.

        Raises:
            FailedPrecondition: Another gateway listens there, or the path is too long for a socket.
        """
        listener = private_listener(self._path)
        self._server = await asyncio.start_unix_server(self._serve, sock=listener, limit=LONGEST_ORDER)

    async def close(self) -> None:
        """Stop listening and remove the socket."""
        if self._server is not None:
            self._server.close()
            for client in self._clients:
                client.close()
            Path(self._path).unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(writer)
        try:
            while line := await reader.readline():
                writer.write(json.dumps(await self._obey(line)).encode() + b"\n")
                await writer.drain()
        except (ValueError, ConnectionError):
            pass  # Longer than LONGEST_ORDER, or the other side is gone: there is nobody to tell.
        finally:
            self._clients.discard(writer)
            writer.close()

    async def _obey(self, line: bytes) -> dict[str, Any]:
        try:
            try:
                order = json.loads(line)
            except ValueError as error:
                raise InvalidArgument(f"The order is not JSON: {error}.") from error
            return {"ok": True} | await self._do(order)
        except Problem as problem:
            return {"ok": False, "error": {"code": 400, "message": str(problem), "status": problem.status}}

    async def _do(self, order: Any) -> dict[str, Any]:
        routes = self._door.routes
        match order:
            case {"op": "routes", "versions": _}:
                routes.apply(read_routes(order, self._door.settings))
                return {}
            case {"op": "access", "directory": directory}:
                known = self._door.admission.use(directory)
                routes.rename({number: project for project, number in known.items()})
                return {}
            case {"op": "events", "after": int(after), "seconds": int() | float() as seconds}:
                return await routes.events.after(after, min(max(seconds, 0), LONGEST_WAIT))
            case {"op": "figures"}:
                return routes.figures()
            case {"op": "records", "most": int(most)}:
                return routes.records.take(min(most, MOST_RECORDS))
            case {"op": "status"}:
                return {
                    "inFlight": routes.in_flight(),
                    "answered": self._door.answered,
                    "connections": len(self._door.connections),
                }
        raise InvalidArgument(
            "The order is none of 'routes' (with 'versions'), 'access' (with 'directory'), 'events' (with "
            "'after' and 'seconds'), 'figures', 'records' (with 'most') and 'status'."
        )


def private_listener(path: str) -> socket.socket:
    """A Unix socket bound at `path` for this user only. One left there by a dead process is replaced.

    Raises:
        FailedPrecondition: Somebody listens there, or the path cannot hold a socket.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(path)
            except FileNotFoundError:
                pass
            except ConnectionRefusedError:
                Path(path).unlink(missing_ok=True)
            else:
                raise FailedPrecondition(
                    f"Another server runs on this data directory: it listens on {path}.",
                    hint="Stop it with 'mlengine server stop', or name another --data-dir.",
                )
        # Born private: between bind and chmod anybody could connect.
        before = os.umask(0o177)
        try:
            listener.bind(path)
        finally:
            os.umask(before)
    except OSError as error:
        listener.close()
        raise FailedPrecondition(
            f"No socket can be made at {path}: {error}.",
            hint="A path of up to 100 characters in an existing folder of yours is needed; see --data-dir.",
        ) from error
    except FailedPrecondition:
        listener.close()
        raise
    return listener
