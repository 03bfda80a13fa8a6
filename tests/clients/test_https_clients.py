"""Clients that insist on https, unmodified, on the server's port for it."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from requests.exceptions import SSLError

from mlengine.environments import default_cache_dir
from mlengine.environments.contract import gsutil_settings
from tests.stories.conftest import Server, Shell

GSUTIL = "gsutil==5.38"
Gsutil = Callable[..., str]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A whole server: gateway, certificates and all."""
    folder = tmp_path_factory.mktemp("whole")
    server = Server(folder / "data", Shell(folder))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def gsutil_program() -> Path:
    """gsutil in an environment of its own, built once per machine."""
    folder = default_cache_dir(os.environ) / "test-tools" / GSUTIL.replace("==", "-")
    folder.parent.mkdir(parents=True, exist_ok=True)
    uv = str(Path(sys.executable).with_name("uv"))
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            subprocess.run([uv, "venv", "-q", "--clear", "--python", sys.executable, str(folder)], check=True)
            python = str(folder / "bin" / "python")
            subprocess.run([uv, "pip", "install", "-q", "--python", python, GSUTIL], check=True)
            (folder / "complete").touch()
    return folder / "bin" / "gsutil"


@pytest.fixture
def gsutil(whole: Server, gsutil_program: Path, tmp_path: Path) -> Gsutil:
    """Runs gsutil with the settings that jobs get; its output."""
    return gsutil_at(whole, gsutil_program, tmp_path)


def gsutil_at(server: Server, gsutil_program: Path, tmp_path: Path, key_file: Path | None = None) -> Gsutil:
    record = server.record()
    config = tmp_path / "boto.cfg"
    config.write_text(
        gsutil_settings(
            host="127.0.0.1",
            tls_port=record["tlsPort"],
            roots=Path(record["caFile"]),
            project="local",
            state=tmp_path / "state",
            key_file=key_file,
        )
    )
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "BOTO_CONFIG": str(config)}

    def run(*words: str) -> str:
        done = subprocess.run(
            [str(gsutil_program), *words],
            env=environment,
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, f"gsutil {' '.join(words)}\n{done.stdout}\n{done.stderr}"
        assert "hash" not in done.stderr, done.stderr  # it would warn of contents that it cannot verify
        return done.stdout

    return run


def test_gsutil_does_its_day_s_work(gsutil: Gsutil, tmp_path: Path) -> None:
    source = tmp_path / "tree"
    (source / "sub").mkdir(parents=True)
    contents = {"a.txt": b"one\n", "sub/b c.txt": "두\n".encode(), "large.bin": os.urandom(9_000_000)}
    contents["huge.bin"] = os.urandom(1_000_000) * 70  # comes without an MD5
    for name, content in contents.items():
        (source / name).write_bytes(content)

    gsutil("mb", "gs://worked")
    gsutil("cp", "tree/a.txt", "gs://worked/")
    assert gsutil("cat", "gs://worked/a.txt") == "one\n"
    gsutil("mv", "gs://worked/a.txt", "gs://worked/moved.txt")
    gsutil("-m", "cp", "-r", "tree", "gs://worked/")
    assert gsutil("ls", "gs://worked/**").split("\n")[:-1] == [
        "gs://worked/moved.txt",
        *(f"gs://worked/tree/{name}" for name in sorted(contents)),
    ]
    assert "Content-Length:" in gsutil("stat", "gs://worked/tree/large.bin")
    (tmp_path / "back").mkdir()
    gsutil("-m", "cp", "-r", "gs://worked/tree", "back")
    gsutil("-m", "rm", "-r", "gs://worked/tree", "gs://worked/moved.txt")
    gsutil("rb", "gs://worked")

    for name, content in contents.items():
        assert (tmp_path / "back" / "tree" / name).read_bytes() == content
    assert "gs://worked/" not in gsutil("ls")


def test_gsutil_shows_its_key_to_a_server_that_wants_tokens(gsutil_program: Path, tmp_path: Path) -> None:
    server = Server(tmp_path / "data", Shell(tmp_path, {"MLENGINE_AUTH": "required"}))
    server.start()
    try:
        gsutil = gsutil_at(server, gsutil_program, tmp_path, server.data_dir / "keys" / "admin.json")
        (tmp_path / "a.txt").write_text("one\n")

        gsutil("mb", "gs://guarded")
        gsutil("cp", "a.txt", "gs://guarded/")

        assert gsutil("cat", "gs://guarded/a.txt") == "one\n"
        stranger = gsutil_at(server, gsutil_program, tmp_path)
        with pytest.raises(AssertionError, match="401"):
            stranger("cat", "gs://guarded/a.txt")
    finally:
        server.stop()


def test_google_cloud_storage_works_over_https_and_its_uploads_go_on_there(
    whole: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = whole.record()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", record["caFile"])
    content = os.urandom(3_000_000)
    with storage.Client(
        project="local",
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": f"https://localhost:{record['tlsPort']}"},
    ) as client:
        blob = client.create_bucket("secured").blob("large", chunk_size=1 << 20)
        blob.upload_from_string(content)
        found = client.bucket("secured").get_blob("large")

        assert found is not None
        assert found.self_link.startswith(f"https://localhost:{record['tlsPort']}/")
        assert found.download_as_bytes() == content


def test_a_client_that_was_not_told_whom_to_trust_refuses(
    whole: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    with (
        storage.Client(
            project="local",
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": f"https://localhost:{whole.record()['tlsPort']}"},
        ) as client,
        pytest.raises(SSLError),
    ):
        list(client.list_buckets(retry=None))


def test_status_tells_where_https_is_and_whom_to_trust(whole: Server) -> None:
    shown = whole.shell.json("server", "status")

    assert shown["tlsEndpoint"] == f"https://127.0.0.1:{whole.record()['tlsPort']}"
    assert Path(shown["caFile"]).read_text().count("BEGIN CERTIFICATE") > 1
