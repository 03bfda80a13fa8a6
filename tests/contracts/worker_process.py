"""Starts real model workers and talks to them in frames."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import mlengine
from mlengine.serving.messages import CANCEL, DESCRIBE, PREDICT, TIMES, Frame, FrameReader, pack, time_left

WORKER = Path(mlengine.__file__).parent / "serving" / "worker" / "__main__.py"
MODELS = Path(__file__).parent / "worker_models"
PATIENCE = 120


def environment(extra: Mapping[str, str] = {}) -> dict[str, str]:
    """What the worker under test sees: the odd models importable, mlengine not."""
    return {**os.environ, "PYTHONPATH": str(MODELS), **extra}


def train(python: Path, script: str, folder: Path) -> Path:
    """Fill `folder` with the models of one of the scripts in `worker_models`."""
    done = subprocess.run(
        [python, MODELS / script, folder], env=environment(), capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    return folder


def run_mode(python: Path, *arguments: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run a mode of the worker that ends by itself."""
    return subprocess.run(
        [python, WORKER, *arguments], input=stdin, env=environment(), capture_output=True, timeout=PATIENCE
    )


class Caller:
    """One connection to a worker."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(PATIENCE)
        self._socket.connect(str(path))
        self._reader = FrameReader()
        self._answers: dict[int, Frame] = {}
        self._next = 0
        self.times: dict[int, tuple[int, ...]] = {}

    def send(self, body: Any, *, kind: int = PREDICT, seconds: float | None = None) -> int:
        """Send a request (bytes as they are, else as JSON) that may take `seconds`; returns its id."""
        self._next += 1
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        status = 0 if seconds is None else time_left(seconds)
        self._socket.sendall(pack(raw, id=self._next, kind=kind, status=status))
        return self._next

    def cancel(self, id: int) -> None:
        """Want no answer to request `id` any more."""
        self._socket.sendall(pack(b"", id=id, kind=CANCEL))

    def send_raw(self, data: bytes) -> None:
        """Bytes without a frame around them."""
        self._socket.sendall(data)

    def receive(self, id: int) -> tuple[int, Any]:
        """Status and JSON of the answer to request `id`."""
        while id not in self._answers:
            data = self._socket.recv(1 << 20)
            if not data:
                raise ConnectionError("The worker has closed the connection.")
            self._answers.update((frame.id, frame) for frame in self._reader.feed(data))
        frame = self._answers.pop(id)
        self.times[id] = TIMES.unpack_from(frame.body)
        return frame.status, json.loads(frame.body[TIMES.size :])

    def answered(self, id: int) -> bool:
        """Whether an answer to request `id` has come in, and was not fetched."""
        return id in self._answers

    def ask(self, body: Any, *, kind: int = PREDICT) -> tuple[int, Any]:
        """Send, and wait for the answer."""
        return self.receive(self.send(body, kind=kind))

    def predict(self, *instances: Any, **more: Any) -> list[Any]:
        """The predictions for `instances`, which must succeed."""
        status, answer = self.ask({"instances": list(instances), **more})
        assert status == 200, answer
        return answer["predictions"]

    def refusal(self, *instances: Any, **more: Any) -> str:
        """The message about `instances`, which must be refused as invalid."""
        status, answer = self.ask({"instances": list(instances), **more})
        assert (status, answer["error"]["status"]) == (400, "INVALID_ARGUMENT"), answer
        return answer["error"]["message"]

    def describe(self) -> Any:
        """The description of the model."""
        return self.ask(b"", kind=DESCRIBE)[1]

    def close(self) -> None:
        self._socket.close()

    def close_sending(self) -> None:
        """Say that no more requests come."""
        self._socket.shutdown(socket.SHUT_WR)


class Worker:
    """A worker process that serves."""

    def __init__(self, process: subprocess.Popen[bytes], path: Path, tether: int, log: Path) -> None:
        self.process = process
        self.path = path
        self.tether = tether
        self.log = log
        self._callers: list[Caller] = []

    def call(self) -> Caller:
        """A new connection, closed with the worker at the latest."""
        self._callers.append(Caller(self.path))
        return self._callers[-1]

    def close_calls(self) -> None:
        """Close every connection."""
        for caller in self._callers:
            caller.close()

    def cut_tether(self) -> None:
        """What happens to the worker when its parent dies."""
        os.close(self.tether)
        self.tether = -1


@contextlib.contextmanager
def serving(
    python: Path, model_dir: Path, folder: Path, *arguments: str, env: Mapping[str, str] = {}
) -> Iterator[Worker]:
    """A worker that has loaded the model in `model_dir`; `folder` must be short enough for a socket."""
    path, log = folder / "worker.sock", folder / "worker.log"
    reading, writing = os.pipe()
    said, saying = os.pipe()
    command = [
        "serve",
        "--model-dir",
        model_dir,
        "--socket",
        path,
        "--tether-fd",
        str(reading),
        "--name",
        "p/m/v",
    ]
    process = subprocess.Popen(
        [python, WORKER, *command, *arguments],
        env=environment(env),
        pass_fds=[reading],
        stderr=saying,
        stdout=saying,
    )
    os.close(reading)
    os.close(saying)
    worker = Worker(process, path, writing, log)
    try:
        _read_until_ready(said, log)
        yield worker
    finally:
        worker.close_calls()
        if worker.tether >= 0:
            worker.cut_tether()
        process.wait(timeout=PATIENCE)
        with log.open("ab") as file:
            while data := os.read(said, 65536):
                file.write(data)
        os.close(said)


def _read_until_ready(said: int, log: Path) -> None:
    """The worker says one line when it can be connected to."""
    text = b""
    while b": serving a " not in text:
        assert select.select([said], [], [], PATIENCE)[0], f"The worker said nothing more after: {text!r}"
        data = os.read(said, 65536)
        assert data, f"The worker ended: {text.decode()}"
        text += data
    log.write_bytes(text)
