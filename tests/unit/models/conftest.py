"""Models on each database."""

from __future__ import annotations

import pytest

from mlengine.backends.database import SqlDatabase
from tests.conftest import HandClock
from tests.unit.models.house import House


@pytest.fixture
def house(database: SqlDatabase, clock: HandClock) -> House:
    return House(database, clock)
