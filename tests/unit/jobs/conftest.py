"""The job loop with its surroundings, on each executor."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mlengine.backends.database import SqlDatabase
from mlengine.backends.executors import InlineExecutor, LocalExecutor
from tests.conftest import HandClock
from tests.unit.jobs.house import House, sweep


@pytest.fixture(params=[InlineExecutor, LocalExecutor])
def house(
    request: pytest.FixtureRequest, sqlite: SqlDatabase, tmp_path: Path, clock: HandClock
) -> Iterator[House]:
    yield House(sqlite, tmp_path, clock, request.param(tmp_path / "tasks"))
    sweep(tmp_path)


@pytest.fixture
def local(sqlite: SqlDatabase, tmp_path: Path, clock: HandClock) -> Iterator[House]:
    yield House(sqlite, tmp_path, clock, LocalExecutor(tmp_path / "tasks"))
    sweep(tmp_path)
