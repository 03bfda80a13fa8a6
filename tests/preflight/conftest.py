"""A small real server with data in its buckets, and the command line in this process."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mlengine.cli.main import main
from tests.preflight.cases import BUCKETS, USED, Case
from tests.unit.client.small_server import SmallServer, serving

_JOBS = "/v1/projects/local/jobs"


@dataclass(frozen=True)
class Verdict:
    """What came of a line.

    Attributes:
        sent: Whether the job reached the server, or a byte of a package did.
    """

    code: int
    said: str
    sent: bool
    seconds: float


@pytest.fixture
def submit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Iterator[Callable[[Case], Verdict]]:
    """Types a case's line in its folder."""
    with serving() as server:
        _lay_out(server)
        monkeypatch.setenv("MLENGINE_ENDPOINT", server.endpoint)
        monkeypatch.delenv("MLENGINE_PROJECT", raising=False)

        def type_line(case: Case) -> Verdict:
            folder = tmp_path / "project"
            folder.mkdir()
            case.write(folder)
            monkeypatch.chdir(folder)
            began = time.monotonic()
            code = main(["jobs", "submit", "training", *shlex.split(case.line)])
            seconds = time.monotonic() - began
            out, err = capsys.readouterr()
            sent = any(seen.verb in ("POST", "PUT", "PATCH", "DELETE") for seen in server.seen)
            return Verdict(code, out + err, sent, seconds)

        yield type_line


def _lay_out(server: SmallServer) -> None:
    server.buckets.update({bucket: dict(objects) for bucket, objects in BUCKETS.items()})
    server.answers[f"POST {_JOBS}"] = lambda seen: (200, {**seen.json, "state": "QUEUED"})
    server.answers[f"GET {_JOBS}/{USED}"] = (200, {"jobId": USED, "state": "FAILED"})
    server.answers["GET /mlengine/v1/machineTypes"] = (
        200,
        {"machine": {"cpus": 2, "memoryBytes": "8000000000", "gpus": []}, "machineTypes": []},
    )
