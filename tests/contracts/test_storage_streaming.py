"""Objects larger than the memory they may take: 4 GB up and down through the real server."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.storage_servers import Server
from mlengine.client import server_process

SIZE = 4_000_000_000
MOST_MEMORY = 300_000_000
BLOCK = os.urandom((1 << 20) + 3)  # no power of two: its repetition fits no buffer


def content() -> Iterator[bytes]:
    """SIZE bytes that exist nowhere as a whole."""
    for at in range(0, SIZE, len(BLOCK)):
        yield BLOCK[: SIZE - at]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    running = server_process.start(tmp_path / "data", ["--port", "0"])
    yield Server("mlengine", running.port, running.pid)
    server_process.stop(tmp_path / "data", running)
    shutil.rmtree(tmp_path / "data")  # pytest would keep the folders of three runs


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_four_gigabytes_go_up_and_down_in_less_than_300_megabytes(server: Server, tmp_path: Path) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=600)
    upload = "/upload/storage/v1/b/streaming/o?uploadType=media&name=large"
    wanted = hashlib.sha256()
    for piece in content():
        wanted.update(piece)

    connection.request("POST", "/storage/v1/b?project=local", b'{"name": "streaming"}')
    assert connection.getresponse().read()
    connection.request("POST", upload, content(), {"Content-Length": str(SIZE)})
    stored = json.loads(connection.getresponse().read())
    connection.request("GET", "/download/storage/v1/b/streaming/o/large?alt=media")
    answer, found, size = connection.getresponse(), hashlib.sha256(), 0
    while piece := answer.read(1 << 20):
        found.update(piece)
        size += len(piece)
    connection.close()
    peak = server.peak_rss()

    assert (stored["size"], size) == (str(SIZE), SIZE)
    assert found.digest() == wanted.digest()
    assert 0 < peak < MOST_MEMORY
