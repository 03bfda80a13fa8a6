"""A small real server, and the client's view of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mlengine.client.api import Api
from mlengine.client.http import Connection
from mlengine.client.storage import Storage
from tests.unit.client.small_server import SmallServer, serving


@pytest.fixture
def server() -> Iterator[SmallServer]:
    with serving() as state:
        yield state


@pytest.fixture
def connection(server: SmallServer) -> Iterator[Connection]:
    opened = Connection(server.endpoint)
    yield opened
    opened.close()


@pytest.fixture
def api(connection: Connection) -> Api:
    return Api(connection, "local")


@pytest.fixture
def storage(connection: Connection) -> Storage:
    return Storage(connection, "local")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a trainer package in it, and the things that lie about in such folders."""
    folder = tmp_path / "project"
    (folder / "trainer" / "inner").mkdir(parents=True)
    (folder / "trainer" / "__init__.py").touch()
    (folder / "trainer" / "task.py").write_text("print('hello')\n")
    (folder / "trainer" / "schema.json").write_text("{}")
    (folder / "trainer" / "inner" / "words.txt").write_text("a b c")
    (folder / "trainer" / "__pycache__").mkdir()
    (folder / "trainer" / "__pycache__" / "task.cpython-311.pyc").write_bytes(b"old")
    (folder / ".git").mkdir()
    (folder / "data").mkdir()
    (folder / "data" / "train.csv").write_text("a,b\n1,2\n")
    return folder
