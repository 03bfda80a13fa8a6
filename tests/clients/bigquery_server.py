"""A whole server with Google's BigQuery client pointed at it. Imported by tests that want one."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from tests.stories.conftest import Server, Shell

# Without the package of the Storage Read API rows come as JSON, which it says each time.
NO_STORAGE_API = pytest.mark.filterwarnings("ignore:BigQuery Storage module not found:UserWarning")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("tables")
    server = Server(folder / "data", Shell(folder))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def client(house: Server) -> Iterator[bigquery.Client]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BIGQUERY_EMULATOR_HOST", house.endpoint)
        patch.setenv("STORAGE_EMULATOR_HOST", house.endpoint)
        opened = bigquery.Client(project="local", credentials=AnonymousCredentials())
        yield opened
        opened.close()


@pytest.fixture
def dataset(client: bigquery.Client) -> str:
    """A fresh dataset's name, with its project."""
    name = f"local.d_{uuid.uuid4().hex[:8]}"
    client.create_dataset(name)
    return name
