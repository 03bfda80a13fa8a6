"""A live storage server on loopback, and what points Google's clients at it."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]

# gcsfs looks at it when it is imported: a job has it from its very start.
os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"


@dataclass
class Server:
    """A server that can be killed and started again on the same port.

    Attributes:
        database_url: Where its rows are; empty for SQLite in `folder`.
    """

    folder: Path
    port: int = 0
    database_url: str = ""
    process: subprocess.Popen[str] | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        words = [sys.executable, "-m", "tests.clients.storage_server", str(self.folder), str(self.port)]
        words += [self.database_url] if self.database_url else []
        self.process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        self.port = int(self.process.stdout.readline())

    def kill(self) -> None:
        """SIGKILL, as a power cut to the process."""
        assert self.process and self.process.stdout
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process = None


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(sqlite_template, folder / "mlengine.db")
    started = Server(folder)
    started.start()
    yield started
    if started.process:
        started.kill()


@pytest.fixture
def pointed(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The server, and this process's environment pointing at it, as in a job."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "demo-project")
    return server


@pytest.fixture(scope="module")
def key_file(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a service account's key, made by the server."""
    accounts = f"{server.url}/v1/projects/demo-project/serviceAccounts"
    account = _post(accounts, {"accountId": f"signer-{uuid.uuid4().hex[:8]}"})
    key = _post(f"{accounts}/{account['email']}/keys", {})
    path = tmp_path_factory.mktemp("keys") / "key.json"
    path.write_bytes(base64.b64decode(key["privateKeyData"]))
    return path


@pytest.fixture
def bucket_name() -> str:
    return f"b-{uuid.uuid4().hex[:12]}"


def _post(url: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(url, data=json.dumps(body).encode(), method="POST")
    with urllib.request.urlopen(request) as response:
        return json.load(response)
