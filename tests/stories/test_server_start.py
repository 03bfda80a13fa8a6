"""A server that cannot start says why, at once, and leaves nothing behind."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.stories.conftest import Shell


@pytest.mark.parametrize("flags", [["--detach"], []])
def test_a_database_that_cannot_be_opened_ends_the_start_with_the_reason(tmp_path: Path, flags: list[str]):
    url = f"sqlite:///{tmp_path / 'no such folder' / 'mlengine.db'}"
    shell = Shell(tmp_path, {"MLENGINE_DATABASE_URL": url, "MLENGINE_DATA_DIR": str(tmp_path / "data")})
    began = time.monotonic()

    done = shell.run("server", "start", "--port", "0", *flags, code=1)

    assert time.monotonic() - began < 30
    assert "no such folder" in done.stderr or "unable to open database" in done.stderr
    assert "before it was ready" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data" / "run" / "server.json").exists()
    assert "not running" in shell.run("server", "status", code=1).stderr.lower()


def test_a_taken_tls_port_is_named_with_its_flag(tmp_path: Path):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = Shell(tmp_path).run(
            "server", "start", "--port", "0", "--tls-port", port, "--data-dir", str(tmp_path / "data"), code=1
        )

    assert f"Port {port} " in done.stderr
    assert "--tls-port" in done.stderr
