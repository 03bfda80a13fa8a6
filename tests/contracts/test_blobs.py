"""What every blob store promises."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mlengine.backends.blobs_folder import FolderBlobs
from mlengine.backends.blobs_memory import MemoryBlobs
from mlengine.backends.blobs_object_store import open_object_store
from mlengine.storage.blobs import PIECE, Blobs
from tests.object_store import CREDENTIALS, S3Server


@pytest.fixture(params=["folder", "memory", "object store"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Blobs:
    if request.param == "folder":
        return FolderBlobs(tmp_path / "blobs")
    if request.param == "memory":
        return MemoryBlobs()
    server: S3Server = request.getfixturevalue("s3")
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    return open_object_store(server.url(server.make_bucket(), "blobs"), spool=tmp_path / "spool")


def broken(*chunks: bytes) -> Iterator[bytes]:
    yield from chunks
    raise ConnectionError("the sender went away")


def open_files() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def test_what_is_written_is_read_again(blobs: Blobs) -> None:
    content = os.urandom(2 * PIECE + 7)

    assert blobs.write("a1", (content[at : at + 100_000] for at in range(0, len(content), 100_000))) == len(
        content
    )
    assert blobs.size("a1") == len(content)
    assert b"".join(blobs.read("a1")) == content


@pytest.mark.parametrize(
    ("start", "end"), [(0, 0), (0, 1), (3, 7), (9, 10), (5, None), (5, 99), (10, None), (12, 15)]
)
def test_a_range_is_what_a_slice_is(blobs: Blobs, start: int, end: int | None) -> None:
    blobs.write("a", [b"0123456789"])

    assert b"".join(blobs.read("a", start, end)) == b"0123456789"[start:end]


def test_a_write_whose_sender_fails_leaves_nothing(blobs: Blobs) -> None:
    with pytest.raises(ConnectionError):
        blobs.write("a", broken(b"half"))

    assert list(blobs.list()) == []
    with pytest.raises(KeyError):
        blobs.size("a")


def test_an_append_whose_sender_fails_keeps_what_came(blobs: Blobs) -> None:
    with pytest.raises(ConnectionError):
        blobs.append("a", 0, broken(b"hal", b"f"))

    assert blobs.progress("a") == 4
    assert blobs.append("a", 4, [b" and half"]) == 13
    blobs.seal("a")
    assert b"".join(blobs.read("a")) == b"half and half"


def test_an_append_further_back_cuts_off_what_lay_behind(blobs: Blobs) -> None:
    blobs.append("a", 0, [b"0123456789"])

    assert blobs.append("a", 4, [b"x"]) == 5
    assert b"".join(blobs.partial("a")) == b"0123x"


def test_no_append_leaves_a_gap(blobs: Blobs) -> None:
    blobs.append("a", 0, [b"0123"])

    with pytest.raises(ValueError):
        blobs.append("a", 5, [b"x"])
    assert blobs.progress("a") == 4


def test_an_unsealed_blob_cannot_be_read(blobs: Blobs) -> None:
    blobs.append("a", 0, [b"0123"])

    with pytest.raises(KeyError):
        blobs.read("a")


def test_sealing_twice_is_sealing_once(blobs: Blobs) -> None:
    blobs.append("a", 0, [b"0123"])
    blobs.seal("a")
    blobs.seal("a")

    assert b"".join(blobs.read("a")) == b"0123"
    assert blobs.progress("a") == 4


def test_sealing_what_was_never_seen_makes_an_empty_blob(blobs: Blobs) -> None:
    blobs.seal("a")

    assert blobs.size("a") == 0
    assert b"".join(blobs.read("a")) == b""


def test_what_is_not_there_has_no_progress_and_can_be_deleted(blobs: Blobs) -> None:
    blobs.delete("a")

    assert blobs.progress("a") == 0
    assert b"".join(blobs.partial("a")) == b""
    with pytest.raises(KeyError):
        blobs.read("a")


def test_a_reader_reads_on_when_the_blob_is_deleted(blobs: Blobs) -> None:
    content = os.urandom(3 * PIECE)
    blobs.write("a", [content])
    reader = blobs.read("a")
    first = next(reader)

    blobs.delete("a")

    assert first + b"".join(reader) == content
    with pytest.raises(KeyError):
        blobs.read("a")


def test_the_list_has_all_blobs_and_says_which_are_sealed(blobs: Blobs) -> None:
    before = datetime.now(UTC) - timedelta(seconds=5)
    blobs.write("ab1", [b"1"])
    blobs.write("ab2", [b"22"])
    blobs.write("cd", [b"333"])
    blobs.append("ab3", 0, [b"4444"])

    found = {(blob.key, blob.size, blob.sealed) for blob in blobs.list("ab")}

    assert found == {("ab1", 1, True), ("ab2", 2, True), ("ab3", 4, False)}
    assert {blob.key for blob in blobs.list()} == {"ab1", "ab2", "ab3", "cd"}
    assert {blob.key for blob in blobs.list("a")} == {"ab1", "ab2", "ab3"}
    assert all(blob.changed > before for blob in blobs.list())


def test_a_folder_takes_no_key_that_is_a_path(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path / "blobs")

    for key in ("../x", "a/b", "", ".", "A", "x" * 65):
        with pytest.raises(ValueError):
            blobs.write(key, [b"x"])
        with pytest.raises(ValueError):
            blobs.read(key)


def test_a_reader_that_is_closed_gives_its_file_back(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path / "blobs")
    blobs.write("a", [b"0123"])
    before = open_files()

    readers = [blobs.read("a") for _ in range(3)]
    readers[0].close()
    readers[0].close()
    list(readers[1])
    del readers

    assert open_files() == before


WRITER = """
import sys
from mlengine.backends.blobs_folder import FolderBlobs
from pathlib import Path

def chunks():
    yield b"x" * 1_000_000
    print("half", flush=True)
    sys.stdin.read()

FolderBlobs(Path(sys.argv[1])).write("a", chunks())
"""


def test_a_writer_killed_half_way_leaves_no_blob_to_read(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path / "blobs")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout and writer.stdout.readline() == b"half\n"
        writer.send_signal(signal.SIGKILL)

    blobs = FolderBlobs(tmp_path / "blobs")

    with pytest.raises(KeyError):
        blobs.read("a")
    assert [blob.sealed for blob in blobs.list()] == [False]
