"""What an operator sets reaches the storage of the whole server: quota and project."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stories.conftest import Server, Shell


@pytest.fixture
def bounded(tmp_path: Path) -> Iterator[Server]:
    """A server that may store a thousand bytes."""
    shell = Shell(tmp_path, {"MLENGINE_STORAGE_QUOTA_BYTES": "1000", "MLENGINE_PROJECT": "demo-project"})
    server = Server(tmp_path / "data", shell)
    server.start()
    yield server
    server.stop()


def test_a_server_keeps_to_its_quota_and_its_project(bounded: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 700)
    shell = bounded.shell
    shell.run("storage", "mb", "gs://bucket")
    shell.run("storage", "cp", "file", "gs://bucket/first")

    over = shell.run("storage", "cp", "file", "gs://bucket/second", code=1)
    elsewhere = shell.run("storage", "mb", "gs://other", "--project", "other-project", code=1)
    shell.run("storage", "rm", "gs://bucket/first")
    shell.run("storage", "cp", "file", "gs://bucket/second")
    proof = shell.run("storage", "fsck", "--checksums")

    assert "stores 700 bytes of the 1000 it may; 700 more do not fit" in over.stderr
    assert "'demo-project'" in elsewhere.stderr
    assert "1 objects checked (700 bytes read): nothing is wrong." in proof.stderr
