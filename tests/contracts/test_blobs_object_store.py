"""What only object stores have: parts, a spool, outages and addresses. The promises are in `test_blobs`."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlengine.backends.blobs import open_blobs
from mlengine.backends.blobs_folder import FolderBlobs
from mlengine.backends.blobs_object_store import open_object_store
from mlengine.client import server_process
from mlengine.errors import FailedPrecondition, InvalidArgument, Unavailable
from mlengine.storage.blobs import PIECE
from tests.object_store import CREDENTIALS, S3Server, running_s3


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def bucket(s3: S3Server) -> str:
    return s3.make_bucket()


def test_a_content_of_many_parts_comes_back_as_it_was(s3: S3Server, bucket: str, tmp_path: Path) -> None:
    blobs = open_object_store(s3.url(bucket, "deep/down"), spool=tmp_path)
    content = os.urandom(20 * PIECE + 5)

    blobs.write("streamed", (content[at : at + 300_000] for at in range(0, len(content), 300_000)))
    blobs.append("grown", 0, [content[: 9 * PIECE]])
    blobs.append("grown", 9 * PIECE, [content[9 * PIECE :]])
    blobs.seal("grown")

    assert b"".join(blobs.read("streamed")) == content
    assert b"".join(blobs.read("grown")) == content
    assert (
        b"".join(blobs.read("grown", 8 * PIECE - 3, 16 * PIECE + 3))
        == content[8 * PIECE - 3 : 16 * PIECE + 3]
    )
    assert all(len(piece) <= 2 * PIECE for piece in blobs.read("grown"))
    assert list(FolderBlobs(tmp_path).list()) == []


def test_empty_chunks_end_no_content(s3: S3Server, bucket: str, tmp_path: Path) -> None:
    blobs = open_object_store(s3.url(bucket), spool=tmp_path)
    part = os.urandom(5 * PIECE)

    assert blobs.write("a", [b"", part, b"", part, b"", part]) == 15 * PIECE
    assert b"".join(blobs.read("a")) == 3 * part
    assert blobs.write("b", [b"", b"x"]) == 1
    assert b"".join(blobs.read("b")) == b"x"


def test_the_parts_of_a_sender_that_fails_are_taken_back(s3: S3Server, bucket: str, tmp_path: Path) -> None:
    blobs = open_object_store(s3.url(bucket), spool=tmp_path)
    uploads: list[bytes] = []

    def chunks() -> Iterator[bytes]:
        for _ in range(40):
            yield bytes(PIECE)
        uploads.append(s3.ask("GET", f"/{bucket}?uploads")[1])
        raise ConnectionError("the sender went away")

    with pytest.raises(ConnectionError):
        blobs.write("a", chunks())

    assert b"<UploadId>" in uploads[0]
    assert b"<UploadId>" not in s3.ask("GET", f"/{bucket}?uploads")[1]
    assert list(blobs.list()) == []


GROWER = """
import sys
from pathlib import Path
from mlengine.backends.blobs_object_store import open_object_store

blobs = open_object_store(sys.argv[1], spool=Path(sys.argv[2]))
blobs.append("a", 0, [b"x" * 1_000_000])
print("acknowledged", flush=True)
sys.stdin.read()
"""


def test_bytes_that_were_acknowledged_survive_the_server(s3: S3Server, bucket: str, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", GROWER, s3.url(bucket), str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as grower:
        assert grower.stdout and grower.stdout.readline() == b"acknowledged\n"
        grower.send_signal(signal.SIGKILL)

    blobs = open_object_store(s3.url(bucket), spool=tmp_path)

    assert blobs.progress("a") == 1_000_000
    blobs.append("a", 1_000_000, [b"y"])
    blobs.seal("a")
    assert b"".join(blobs.read("a")) == b"x" * 1_000_000 + b"y"


def test_a_crash_between_going_up_and_leaving_the_spool_does_no_harm(
    s3: S3Server, bucket: str, tmp_path: Path
) -> None:
    blobs = open_object_store(s3.url(bucket), spool=tmp_path / "spool")
    blobs.append("a", 0, [b"0123"])
    open_object_store(s3.url(bucket), spool=tmp_path / "other").write("a", [b"0123"])

    assert blobs.progress("a") == 4
    blobs.seal("a")
    assert [(blob.key, blob.sealed) for blob in blobs.list()] == [("a", True)]
    assert b"".join(blobs.read("a")) == b"0123"


def test_what_others_keep_in_the_bucket_is_no_blob(s3: S3Server, bucket: str, tmp_path: Path) -> None:
    blobs = open_object_store(s3.url(bucket, "ours"), spool=tmp_path)
    blobs.write("a", [b"1"])
    for path in ("theirs/b", "ours/READ ME", "ours/ab/UPPER"):
        assert s3.ask("PUT", f"/{bucket}/{path.replace(' ', '%20')}")[0] == 200

    assert [blob.key for blob in blobs.list()] == ["a"]


def test_an_outage_is_told_and_loses_nothing(tmp_path: Path) -> None:
    with running_s3() as server:
        url, bucket, port = "", server.make_bucket(), server.port
        url = server.url(bucket)
        blobs = open_object_store(url, spool=tmp_path)
        blobs.append("a", 0, [b"0123"])
        blobs.write("b", [b"4567"])

    for ask in (lambda: blobs.seal("a"), lambda: blobs.write("c", [b"x"]), lambda: blobs.read("b")):
        with pytest.raises(Unavailable, match="The object store does not serve"):
            ask()
    assert blobs.progress("a") == 4

    with running_s3(port) as server:
        server.make_bucket(bucket)
        blobs.seal("a")
        assert b"".join(blobs.read("a")) == b"0123"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://host/x", "must begin with s3://, gs://, az://"),
        ("/srv/blobs", "must begin with s3://"),
        ("s3:///prefix", "must be s3://BUCKET/PREFIX"),
        ("s3://key:secret@bucket/", "without user or password"),
        ("s3://bucket/?regoin=x", "unknown option 'regoin'"),
        ("az://container/?endpoint=http://127.0.0.1:1", "cannot be used"),
    ],
)
def test_a_wrong_url_is_refused_without_repeating_secrets(url: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=said) as refused:
        open_blobs(url, tmp_path)

    assert "secret" not in str(refused.value)


def test_a_bucket_that_is_not_there_is_refused_at_the_start(s3: S3Server, tmp_path: Path) -> None:
    with pytest.raises(FailedPrecondition, match="NoSuchBucket"):
        open_blobs(s3.url("never-made"), tmp_path)


def test_without_a_url_blobs_lie_in_the_data_directory(tmp_path: Path) -> None:
    open_blobs("", tmp_path).write("abc", [b"x"])

    assert (tmp_path / "blobs" / "sealed" / "ab" / "abc").read_bytes() == b"x"


@pytest.mark.parametrize("url", ["gs://bucket/x?endpoint=", "az://container/x?account=name&endpoint="])
def test_the_other_stores_are_asked_at_their_endpoints(url: str, s3: S3Server, tmp_path: Path) -> None:
    """S3 answers here and refuses both: this shows the way to the stores, not the stores."""
    code = (
        "import sys; from pathlib import Path; from mlengine.backends.blobs import open_blobs\n"
        "open_blobs(sys.argv[1], Path(sys.argv[2]))"
    )
    words = [sys.executable, "-c", code, url + s3.endpoint, str(tmp_path)]
    keys = {"GOOGLE_SKIP_SIGNATURE": "true", "AZURE_SKIP_SIGNATURE": "true"}

    ran = subprocess.run(words, env=os.environ | keys, capture_output=True, text=True)

    assert "FailedPrecondition: The object store" in ran.stderr
    assert s3.endpoint in ran.stderr


def test_without_the_library_the_error_names_the_command(
    s3: S3Server, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "mlengine.backends.blobs_object_store")
    monkeypatch.setitem(sys.modules, "obstore", None)

    with pytest.raises(FailedPrecondition) as refused:
        open_blobs(s3.url(bucket), tmp_path)

    assert refused.value.hint == "Install it: python -m pip install 'mlengine[object-stores]'"


def test_a_resumable_upload_outlives_a_killed_server(
    s3: S3Server, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLENGINE_BLOBS_URL", s3.url(bucket, "blobs"))
    data, content = tmp_path / "data", os.urandom(3 * PIECE)
    running = server_process.start(data, ["--port", "0"])
    try:
        ask(running.port, "POST", "/storage/v1/b?project=local", b'{"name": "bucket-1"}')
        begun = ask(
            running.port, "POST", "/upload/storage/v1/b/bucket-1/o?uploadType=resumable&name=x", b"{}"
        )
        session = "/" + str(begun.headers["location"]).split("/", 3)[3]
        half = {"content-range": f"bytes 0-{2 * PIECE - 1}/{len(content)}"}
        assert ask(running.port, "PUT", session, content[: 2 * PIECE], half).status == 308
        os.kill(running.pid, signal.SIGKILL)

        running = server_process.start(data, ["--port", "0"])
        asked = ask(running.port, "PUT", session, b"", {"content-range": f"bytes */{len(content)}"})
        assert asked.headers["range"] == f"bytes=0-{2 * PIECE - 1}"
        rest = {"content-range": f"bytes {2 * PIECE}-{len(content) - 1}/{len(content)}"}
        assert ask(running.port, "PUT", session, content[2 * PIECE :], rest).status == 200
        found = ask(running.port, "GET", "/download/storage/v1/b/bucket-1/o/x?alt=media")
    finally:
        server_process.stop(data, running)

    assert hashlib.md5(found.body).digest() == hashlib.md5(content).digest()
    assert list((data / "spool" / "growing").iterdir()) == []
    assert not (data / "blobs").exists()
    assert b"<Key>blobs/" in s3.ask("GET", f"/{bucket}?list-type=2")[1]


class Answer:
    """What the server said."""

    def __init__(self, got: http.client.HTTPResponse) -> None:
        self.status, self.headers, self.body = got.status, got.headers, got.read()


def ask(port: int, verb: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(verb, path, body, {"content-type": "application/json"} | (headers or {}))
        answer = Answer(connection.getresponse())
    finally:
        connection.close()
    assert answer.status < 400, json.loads(answer.body)
    return answer
