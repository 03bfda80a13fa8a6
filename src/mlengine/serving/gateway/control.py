"""The control plane as the gateway sees it: a child to keep alive, and orders on the admin socket.

Apart from `process` so that start and end of the gateway itself can be read without them.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from pathlib import Path
from typing import Any

from mlengine.errors import FailedPrecondition, InvalidArgument, Problem
from mlengine.serving.gateway.door import Door, say
from mlengine.serving.gateway.settings import Ports

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0
# Who lived so long did not die of its start.
STEADY_SECONDS = 10.0
STOP_SECONDS = 10.0
# A table of some 100,000 versions.
LONGEST_ORDER = 32 * 1024 * 1024


class NeverReady(Exception):
    """The control plane ended before it had ever answered; `code` is for the gateway's own exit."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class ControlPlane:
    """The child process of the control plane, started again whenever it ends.

    The child inherits the read end of a pipe whose only write end is here: the *tether*. When the gateway is
    gone, by whatever death, the tether reads end-of-file, and everything below must end itself.
    """

    def __init__(self, argv: tuple[str, ...], *, ports: Ports) -> None:
        """`argv` starts the child.

        It finds `ports` in MLENGINE_PORT and MLENGINE_TLS_PORT, and the pipe in MLENGINE_TETHER_FD.
        """
        # Whoever knows that it answers sets this. What ends before has a fault that no new start mends.
        self.was_ready = False
        self._argv = argv
        self._ports = ports
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False
        # Held while a child is being started, so that `stop` never misses one.
        self._starting = asyncio.Lock()
        self._tether, self._held_end = os.pipe()

    async def keep_alive(self) -> None:
        """Run the child, again and again, until `stop`.

        Raises:
            NeverReady: it ended by itself before it was ready for the first time. Why, it has said itself.
        """
        loop = asyncio.get_running_loop()
        pause = FIRST_PAUSE
        while True:
            began = loop.time()
            try:
                await self._start()
            except OSError as error:
                ended = f"could not be started ({self._argv[0]}: {error.strerror})"
                code = 1
            else:
                code = await self._process.wait() if self._process is not None else 0
                ended = _manner(code)
            if self._stopping:
                return
            if not self.was_ready:
                say(f"The control plane {ended} before it was ready, and so the server ends.")
                raise NeverReady(code if code > 0 else 1)
            if loop.time() - began > STEADY_SECONDS:
                pause = FIRST_PAUSE
            say(f"The control plane {ended}; starting it again in {pause:g} s. Predictions go on.")
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def stop(self) -> None:
        """Ask the child to end, and make it end when it does not within STOP_SECONDS."""
        self._stopping = True
        async with self._starting:
            process = self._process
        if process is not None and process.returncode is None:
            _signal(process, signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), STOP_SECONDS)
            except TimeoutError:
                say(f"The control plane did not end within {STOP_SECONDS:g} s of being asked; killing it.")
                _signal(process, signal.SIGKILL)
                await process.wait()
        os.close(self._held_end)
        os.close(self._tether)

    async def _start(self) -> None:
        async with self._starting:
            if not self._stopping:
                self._process = await self._spawn()

    async def _spawn(self) -> asyncio.subprocess.Process:
        environment = os.environ | {
            "MLENGINE_TETHER_FD": str(self._tether),
            "MLENGINE_PORT": str(self._ports.plain),
            "MLENGINE_TLS_PORT": str(self._ports.tls),
        }
        # A session of its own: Ctrl-C in the terminal is for the gateway, which ends things in their order.
        return await asyncio.create_subprocess_exec(
            *self._argv,
            stdin=asyncio.subprocess.DEVNULL,
            env=environment,
            pass_fds=(self._tether,),
            start_new_session=True,
        )


class AdminSocket:
    """Where the control plane pushes the routing table and asks for figures, one JSON object a line.

    {"op": "routes", "versions": {"P/M/V": "/path/to/socket"}, "defaults": {"P/M": "V"}}  ->  {"ok": true}
    {"op": "access", "directory": {…}}  ->  {"ok": true}
    {"op": "status"}  ->  {"ok": true, "inFlight": …, "answered": …, "connections": …, "versions": {…}}
    Anything else     ->  {"ok": false, "error": {"code", "message", "status"}}
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
                writer.write(json.dumps(self._obey(line)).encode() + b"\n")
                await writer.drain()
        except (ValueError, ConnectionError):
            pass  # Longer than LONGEST_ORDER, or the other side is gone: there is nobody to tell.
        finally:
            self._clients.discard(writer)
            writer.close()

    def _obey(self, line: bytes) -> dict[str, Any]:
        try:
            try:
                order = json.loads(line)
            except ValueError as error:
                raise InvalidArgument(f"The order is not JSON: {error}.") from error
            match order:
                case {"op": "routes", "versions": versions}:
                    self._door.routes.apply(versions, order.get("defaults", {}))
                    return {"ok": True}
                case {"op": "access", "directory": directory}:
                    known = self._door.admission.use(directory)
                    self._door.routes.rename({number: project for project, number in known.items()})
                    return {"ok": True}
                case {"op": "status"}:
                    return {"ok": True} | self._status()
                case _:
                    raise InvalidArgument(
                        "The order is none of 'routes' (with 'versions'), 'access' (with 'directory') and "
                        "'status'."
                    )
        except Problem as problem:
            return {"ok": False, "error": {"code": 400, "message": str(problem), "status": problem.status}}

    def _status(self) -> dict[str, Any]:
        return {
            "inFlight": self._door.routes.in_flight(),
            "answered": self._door.answered,
            "connections": len(self._door.connections),
            "versions": self._door.routes.status(),
        }


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


def _manner(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except ProcessLookupError:
        pass
