"""The command line in this process, talking to a small real server."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mlengine.cli.main import main
from tests.unit.client.small_server import SmallServer, serving


@dataclass(frozen=True)
class Done:
    """What a line came to."""

    code: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallServer]:
    with serving() as state:
        monkeypatch.setenv("MLENGINE_ENDPOINT", state.endpoint)
        monkeypatch.delenv("MLENGINE_PROJECT", raising=False)
        yield state


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """`run("jobs", "list")`: the exit code and both outputs, typed in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TZ", "UTC")

    def type_line(*words: str, stdin: str = "") -> Done:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        code = main(list(words))
        out, err = capsys.readouterr()
        return Done(code, out, err)

    return type_line
