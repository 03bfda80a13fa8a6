"""What stands around a gateway under test: real processes for it, a model worker and a control plane.

Run as a script, this file is one of them: `worker SOCKET`, `control SOCKET FOLDER`, `gateway JSON`. Apart
from the tests because those processes are started from a file.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections import defaultdict
from pathlib import Path

from mlengine.serving.messages import CANCEL, PREDICT, TIMES, FrameReader, pack

PROJECTS = "/v1/projects"
PATH = f"{PROJECTS}/p/models/m:predict"
HOST = b"Host: localhost\r\n"


def request(*headers: bytes, body: bytes = b"", path: str = PATH, method: bytes = b"POST") -> bytes:
    """A request as it goes over the wire."""
    lines = b"".join(header + b"\r\n" for header in headers)
    return b"%b %b HTTP/1.1\r\n%b%b\r\n%b" % (method, path.encode(), HOST, lines, body)


def error(body: bytes) -> dict:
    """What an error envelope says."""
    value = json.loads(body)
    assert list(value) == ["error"] and {"code", "message", "status"} <= set(value["error"])
    return value["error"]


class Process:
    """A child of this test that is ready once it has written a line."""

    def __init__(self, *arguments: str) -> None:
        self.child = subprocess.Popen(
            [sys.executable, __file__, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.line = self.child.stdout.readline().strip()
        if not self.line:
            raise AssertionError(self.child.communicate()[1])

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        if self.child.poll() is None:
            self.child.kill()
        self.child.communicate()


class Worker(Process):
    """Answers what its instructions say (see `_act`)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__("worker", str(path))

    def say(self, **instruction) -> dict:
        """Speak to the worker directly, past the gateway."""
        with socket.socket(socket.AF_UNIX) as wire:
            wire.settimeout(10)
            wire.connect(str(self.path))
            wire.sendall(pack(json.dumps(instruction).encode(), id=1, kind=PREDICT))
            reader = FrameReader()
            while not (frames := reader.feed(wire.recv(65536))):
                pass
            return json.loads(frames[0].body[TIMES.size :])

    def wait_for(self, name: str, count: int = 1) -> None:
        """Return when `count` requests wait for the release of `name`."""
        self.say(waiting=name, count=count)

    def wait_for_connections(self, count: int) -> None:
        """Return when `count` connections besides this one are open."""
        self.say(connections=count + 1)

    def release(self, name: str) -> None:
        self.say(release=name)


class Gateway(Process):
    """A gateway with a control plane of ours. The setting `keys`, a folder, gives it https and the proxy."""

    def __init__(self, folder: Path, *, loop: str = "uvloop", control: bool = True, **settings) -> None:
        self.folder = folder
        control_socket = str(folder / "control.sock")
        self.settings = {
            "port": 0,
            "control_socket": control_socket,
            "admin_socket": str(folder / "admin.sock"),
            "control_argv": [sys.executable, __file__, "control", control_socket, str(folder)]
            if control
            else None,
            "ready_line": control,
        } | settings
        super().__init__("gateway", json.dumps({"loop": loop, "settings": self.settings}))
        self.port, self.tls_port = map(int, self.line.split())
        if self.settings["ready_line"]:
            self.ready = self.child.stdout.readline().strip()

    def admin(self, **order) -> dict:
        with socket.socket(socket.AF_UNIX) as wire:
            wire.settimeout(10)
            wire.connect(self.settings["admin_socket"])
            wire.sendall(json.dumps(order).encode() + b"\n")
            return json.loads(wire.makefile().readline())

    def route(
        self, versions: dict[str, Worker | Path], defaults: dict[str, str] | None = None, **terms
    ) -> None:
        """One worker a version, and one version a model that answers where none is named."""
        paths = {name: [str(getattr(worker, "path", worker))] for name, worker in versions.items()}
        orders = {name: {"sockets": sockets, **terms} for name, sockets in paths.items()}
        models = {name: {"split": {version: 100}} for name, version in (defaults or {}).items()}
        assert self.admin(op="routes", versions=orders, models=models) == {"ok": True}

    def figures(self, version: str = "p/m/v1") -> dict:
        return self.admin(op="figures")["versions"][version]

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def ask(
        self, method: str, path: str, body=None, headers=None
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        connection = self.connect()
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def predict(self, name: str = "p/models/m", **instruction) -> tuple[int, dict]:
        status, _, body = self.ask("POST", f"{PROJECTS}/{name}:predict", json.dumps(instruction).encode())
        return status, json.loads(body)

    def connected(self) -> socket.socket:
        """A bare connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def raw(self, *pieces: bytes) -> bytes:
        """Everything the gateway answers to these bytes until it closes."""
        with self.connected() as wire:
            for piece in pieces:
                wire.sendall(piece)
            answer = b""
            while data := wire.recv(65536):
                answer += data
            return answer

    def control_pid(self) -> int:
        return json.loads(self.ask("GET", "/pid")[2])

    def memory(self) -> int:
        """Resident bytes of the gateway, at their highest."""
        status = Path(f"/proc/{self.child.pid}/status").read_text()
        return 1024 * int(status.split("VmHWM:")[1].split()[0])

    def stop(self) -> tuple[int, str]:
        """SIGTERM; the exit code and what stood on stderr."""
        self.child.send_signal(signal.SIGTERM)
        _, text = self.child.communicate(timeout=25)
        return self.child.returncode, text


class LoneGateways:
    """Gateways without a control plane, with settings of their own; all ended in the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: list[Gateway] = []

    def __call__(self, **settings) -> Gateway:
        folder = self._folder / f"gateway-{len(self._made)}"
        folder.mkdir()
        self._made.append(Gateway(folder, control=False, **settings))
        return self._made[-1]

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        for gateway in self._made:
            gateway.__exit__()


def wait_for_end(pid: int) -> None:
    """Return when the process `pid` (no child of ours) has ended."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        ended, _, _ = select.select([handle], [], [], 10)
        assert ended, f"process {pid} still runs"
    finally:
        os.close(handle)


# The worker.


class _Gate:
    def __init__(self) -> None:
        self.released = asyncio.Event()
        self.changed = asyncio.Condition()
        self.waiting = 0


async def _work(path: str) -> None:
    gates: dict[str, _Gate] = defaultdict(_Gate)

    async def count(change: int) -> None:
        async with gates["connections"].changed:
            gates["connections"].waiting += change
            gates["connections"].changed.notify_all()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        frames, tasks = FrameReader(), set()
        await count(+1)
        while data := await reader.read(1 << 18):
            for frame in frames.feed(data):
                task = asyncio.create_task(_act(frame, writer, gates))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
        await count(-1)
        writer.close()

    server = await asyncio.start_unix_server(serve, path)
    print("ready", flush=True)
    await server.serve_forever()


async def _act(frame, writer: asyncio.StreamWriter, gates) -> None:
    """Answer one request as it says: `hold` it until a name is released, with a `status`, of a `length`."""
    if frame.kind == CANCEL:
        async with gates["cancelled"].changed:
            gates["cancelled"].waiting += 1
            gates["cancelled"].changed.notify_all()
        return
    times = TIMES.pack(10, 20, 300, 40, 2)
    if frame.kind != PREDICT or len(frame.body) > 100_000:
        said = {"bytes": len(frame.body), "kind": frame.kind, "left": frame.status}
        body = json.dumps(said).encode()
        writer.write(pack(times + body, id=frame.id, kind=frame.kind, status=200))
        return
    order = json.loads(frame.body)
    if "release" in order:
        gates[order["release"]].released.set()
    if "waiting" in order:
        gate = gates[order["waiting"]]
        async with gate.changed:
            await gate.changed.wait_for(lambda: gate.waiting >= order["count"])
    if "connections" in order:
        gate = gates["connections"]
        async with gate.changed:
            await gate.changed.wait_for(lambda: gate.waiting == order["connections"])
    if "hold" in order:
        gate = gates[order["hold"]]
        async with gate.changed:
            gate.waiting += 1
            gate.changed.notify_all()
        await gate.released.wait()
    body = json.dumps({"predictions": [order], "worker": os.getpid()}).encode()
    if "length" in order:
        body = body.ljust(order["length"])
    if "die" in order:
        os._exit(9)
    writer.write(pack(times + body, id=frame.id, kind=frame.kind, status=order.get("status", 200)))


# The control plane.


def _control(path: str, folder: str) -> None:
    import hashlib

    import uvicorn
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse, Response, StreamingResponse
    from starlette.routing import Route

    every = ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]

    async def echo(request):
        digest, size = hashlib.sha256(), 0
        async for chunk in request.stream():
            digest.update(chunk)
            size += len(chunk)
        return JSONResponse(
            {
                "method": request.method,
                "target": request.scope["raw_path"].decode() + "?" + request.scope["query_string"].decode(),
                "headers": [[name.decode(), value.decode()] for name, value in request.scope["headers"]],
                "size": size,
                "sha256": digest.hexdigest(),
            }
        )

    async def stream(request):
        count, block = int(request.query_params["blocks"]), bytes(range(256)) * 1024
        headers = {"content-length": str(count * len(block))} if "length" in request.query_params else {}

        async def blocks():
            for _ in range(count):
                yield block

        return StreamingResponse(blocks(), headers=headers, media_type="application/octet-stream")

    async def early(request):
        return JSONResponse({"early": True}, status_code=403)

    async def empty(request):
        return Response(status_code=int(request.query_params["status"]))

    async def pid(request):
        return JSONResponse(os.getpid())

    async def end(request):
        os._exit(4)

    async def watch(request):
        """Never answers; tells a socket of the test's when it is asked, and when the client has gone."""
        _, writer = await asyncio.open_unix_connection(str(Path(folder) / "watch.sock"))
        writer.write(b"asked\n")
        while (await request.receive())["type"] != "http.disconnect":
            pass
        writer.write(b"gone\n")
        writer.close()
        return Response()

    app = Starlette(
        routes=[
            Route("/stream", stream),
            Route("/early", early, methods=every),
            Route("/empty", empty, methods=every),
            Route("/pid", pid),
            Route("/end", end, methods=every),
            Route("/watch", watch, methods=every),
            Route("/{rest:path}", echo, methods=every),
        ]
    )

    def die_with_the_gateway() -> None:
        os.read(int(os.environ["MLENGINE_TETHER_FD"]), 1)
        os._exit(5)

    threading.Thread(target=die_with_the_gateway, daemon=True).start()
    (Path(folder) / "port").write_text(os.environ["MLENGINE_PORT"])
    uvicorn.run(app, uds=path, log_level="error", timeout_keep_alive=30)


def _gateway(text: str) -> None:
    order = json.loads(text)
    if order["loop"] == "asyncio":
        sys.modules["uvloop"] = None  # What a platform without uvloop looks like.
    from mlengine.serving.gateway import GatewaySettings, run

    settings = {
        name: tuple(value) if isinstance(value, list) else value for name, value in order["settings"].items()
    }
    if "token_secret" in settings:
        settings |= {name: settings[name].encode() for name in ("token_secret", "job_secret")}
    if keys := settings.pop("keys", None):
        from mlengine.backends.certificates import Certificates
        from mlengine.backends.keys import job_secret
        from mlengine.clock import system_clock

        certificates = Certificates(Path(keys), settings["impersonated_hosts"], system_clock)

        def certificate() -> Path:
            file = certificates.renew()
            certificates.gather_roots({})
            return file

        settings |= {"certificate": certificate, "job_secret": job_secret(Path(keys))}

    sys.exit(run(GatewaySettings(**settings), lambda ports: print(ports.plain, ports.tls, flush=True)))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["worker", path]:
            asyncio.run(_work(path))
        case ["control", path, folder]:
            _control(path, folder)
        case ["gateway", text]:
            _gateway(text)
