"""mlengine with the versions of the serving benchmark deployed; apart as its peers are apart."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.serving_peers import Server
from mlengine.client import server_process

# By kind: contestant -> the flags with which its version is created.
VERSIONS: dict[str, dict[str, tuple[str, ...]]] = {
    "titanic": {"mlengine": (), "mlengine, not accelerated": ("--no-accelerate",)},
    "mnist": {"mlengine": (), "mlengine, 2 nodes": ("--nodes", "2")},
}


def deploy(data: Path, models: Path, kind: str) -> None:
    """A data directory with one model a contestant, its version created and READY."""
    running = server_process.start(data, ["--port", "0"])
    try:
        address = f"http://127.0.0.1:{running.port}"
        _cli(address, "storage", "mb", "gs://benchmark")
        _cli(address, "storage", "cp", "-r", str(models / kind), "gs://benchmark/")
        for contestant, flags in VERSIONS[kind].items():
            model = _model(contestant)
            _cli(address, "models", "create", model)
            origin = f"gs://benchmark/{kind}/"
            runtime = ("--runtime-version", "2026.11-sklearn")
            _cli(address, "versions", "create", "v1", "--model", model, "--origin", origin, *runtime, *flags)
    finally:
        server_process.stop(data, running)


def keep_only(data: Path, contestant: str, kind: str) -> None:
    """Take the other contestants' versions away, so that memory and start are those of one version."""
    running = server_process.start(data, ["--port", "0"])
    try:
        address = f"http://127.0.0.1:{running.port}"
        for other in VERSIONS[kind]:
            if other != contestant:
                _cli(address, "versions", "delete", "v1", "--model", _model(other), "--quiet")
    finally:
        server_process.stop(data, running)


@contextmanager
def running(data: Path, contestant: str, kind: str) -> Iterator[Server]:
    """The server on a data directory that `deploy` made; its versions may still be coming up."""
    running = server_process.start(data, ["--port", "0"])
    try:
        path = f"/v1/projects/local/models/{_model(contestant)}:predict"
        body = _body
        yield Server(contestant, running.port, running.pid, path, body, '"predictions":', kind)
    finally:
        server_process.stop(data, running)


def _body(_kind: str, rows: object) -> bytes:
    import json

    return json.dumps({"instances": rows}).encode()


def _model(contestant: str) -> str:
    return contestant.replace(", ", "_").replace(" ", "_")


def _cli(address: str, *arguments: str) -> None:
    environment = os.environ | {"MLENGINE_ENDPOINT": address, "MLENGINE_PROJECT": "local"}
    subprocess.run(
        [sys.executable, "-m", "mlengine", *arguments], env=environment, check=True, stdout=subprocess.DEVNULL
    )
