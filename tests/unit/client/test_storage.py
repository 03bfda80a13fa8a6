"""Uploads, downloads, and which file becomes which object."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlengine.client import copying
from mlengine.client.storage import Storage
from mlengine.client.transfers import Carrier
from mlengine.client.uploading import RESUMABLE_BYTES
from mlengine.errors import FailedPrecondition, Internal, InvalidArgument, NotFound
from mlengine.names import ObjectUrl
from tests.unit.client.small_server import SmallServer, checksum


def copy(storage: Storage, *words: str, recursive: bool = False) -> list[str]:
    """`cp WORDS`; what it says about what it leaves out."""
    omitted: list[str] = []
    for step in copying.plan(storage, list(words[:-1]), words[-1], recursive=recursive, omit=omitted.append):
        Carrier().carry(storage, step)
    return omitted


@pytest.mark.parametrize("size", [0, 1, 1000, RESUMABLE_BYTES, RESUMABLE_BYTES + 1, 2 * RESUMABLE_BYTES + 7])
def test_files_of_any_size_arrive_whole(server: SmallServer, storage: Storage, tmp_path: Path, size: int):
    server.buckets["data"] = {}
    content = os.urandom(size)
    (tmp_path / "file").write_bytes(content)

    storage.upload(tmp_path / "file", ObjectUrl("data", "a b/ü#?.bin"))
    storage.download_file(ObjectUrl("data", "a b/ü#?.bin"), tmp_path / "back")

    assert server.buckets["data"]["a b/ü#?.bin"] == content
    assert (tmp_path / "back").read_bytes() == content


def test_small_files_go_as_one_multipart_request_with_size_and_checksum(
    server: SmallServer, storage: Storage, tmp_path: Path
):
    server.buckets["data"] = {}
    (tmp_path / "file").write_bytes(b"content")

    storage.upload(tmp_path / "file", ObjectUrl("data", "x"))

    request = server.asked("POST", "/upload/storage/v1/b/data/o")[-1]
    assert request.query == {"uploadType": "multipart", "name": "x"}
    assert request.headers["content-type"].startswith("multipart/related; boundary=")
    assert b'"size": "7"' in request.body
    assert checksum(b"content").encode() in request.body


def test_a_large_upload_goes_on_after_a_broken_connection(
    server: SmallServer, storage: Storage, tmp_path: Path
):
    server.buckets["data"] = {}
    server.cut_uploads = 2
    content = os.urandom(RESUMABLE_BYTES + 1000)
    (tmp_path / "file").write_bytes(content)

    storage.upload(tmp_path / "file", ObjectUrl("data", "big"))

    assert server.buckets["data"]["big"] == content
    last = server.asked("PUT", "/upload/storage/v1/b/data/o")[-1]
    assert last.headers["x-goog-hash"] == f"crc32c={checksum(content)}"


def test_a_damaged_download_is_refused_and_leaves_no_file(
    server: SmallServer, storage: Storage, tmp_path: Path
):
    server.buckets["data"] = {"x": b"content"}
    server.damaged.add("x")

    with pytest.raises(Internal, match="arrived damaged"):
        storage.download_file(ObjectUrl("data", "x"), tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "dir" / "sub").mkdir(parents=True)
    for name in ("a.csv", "b.csv", "dir/c.csv", "dir/sub/d.csv"):
        (tmp_path / name).write_text(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "recursive", "names"),
    [
        (("a.csv", "gs://bkt"), False, {"a.csv"}),
        (("a.csv", "gs://bkt/new"), False, {"new"}),
        (("a.csv", "gs://bkt/new/"), False, {"new/a.csv"}),
        (("a.csv", "b.csv", "gs://bkt/new"), False, {"new/a.csv", "new/b.csv"}),
        (("*.csv", "gs://bkt"), False, {"a.csv", "b.csv"}),
        (("dir", "gs://bkt"), True, {"dir/c.csv", "dir/sub/d.csv"}),
        (("dir", "gs://bkt/new"), True, {"new/c.csv", "new/sub/d.csv"}),
        (("dir", "gs://bkt/new/"), True, {"new/dir/c.csv", "new/dir/sub/d.csv"}),
    ],
)
def test_uploads_are_named_as_gsutil_names_them(
    server: SmallServer,
    storage: Storage,
    files: Path,
    words: tuple[str, ...],
    recursive: bool,
    names: set[str],
):
    server.buckets["bkt"] = {}

    copy(storage, *words, recursive=recursive)

    assert set(server.buckets["bkt"]) == names


def test_a_prefix_that_exists_is_a_folder_to_copy_into(server: SmallServer, storage: Storage, files: Path):
    server.buckets["bkt"] = {"old/x": b""}

    copy(storage, "a.csv", "gs://bkt/old")

    assert set(server.buckets["bkt"]) == {"old/x", "old/a.csv"}


def test_folders_are_left_out_and_named_without_r(server: SmallServer, storage: Storage, files: Path):
    server.buckets["bkt"] = {}

    omitted = copy(storage, "a.csv", "dir", "gs://bkt")

    assert omitted == ['Omitting directory "file://dir". (Did you mean to do cp -r?)']
    assert set(server.buckets["bkt"]) == {"a.csv"}


@pytest.mark.parametrize(
    ("words", "recursive", "paths"),
    [
        (("gs://bkt/job/model/m.txt", "."), False, {"m.txt"}),
        (("gs://bkt/job/model/m.txt", "renamed"), False, {"renamed"}),
        (("gs://bkt/job/model", "."), True, {"model/m.txt", "model/v/1"}),
        (("gs://bkt/job/model", "fresh"), True, {"fresh/m.txt", "fresh/v/1"}),
        (("gs://bkt/job/model", "fresh/"), True, {"fresh/model/m.txt", "fresh/model/v/1"}),
        (("gs://bkt/*.txt", "."), False, {"top.txt"}),
        (("gs://bkt/job/**", "."), False, {"m.txt", "1"}),
        (("gs://bkt/j*/mo*/m.txt", "."), False, {"m.txt"}),
    ],
)
def test_downloads_land_where_gsutil_puts_them(
    server: SmallServer,
    storage: Storage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    recursive: bool,
    paths: set[str],
):
    server.buckets["bkt"] = {
        "top.txt": b"t",
        "job/model/": b"",
        "job/model/m.txt": b"m",
        "job/model/v/1": b"v",
    }
    monkeypatch.chdir(tmp_path)

    copy(storage, *words, recursive=recursive)

    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()} == paths


def test_objects_are_copied_within_the_server(server: SmallServer, storage: Storage):
    server.buckets |= {"one": {"a/x": b"x"}, "two": {}}

    copy(storage, "gs://one/a", "gs://two", recursive=True)

    assert server.buckets["two"] == {"a/x": b"x"}


@pytest.mark.parametrize("name", ["../outside", "a/../../outside"])
def test_an_object_name_cannot_climb_out_of_the_target_folder(
    server: SmallServer, storage: Storage, tmp_path: Path, name: str
):
    server.buckets["bkt"] = {f"d/{name}": b"x"}
    (tmp_path / "in").mkdir()

    with pytest.raises(FailedPrecondition, match="outside"):
        copy(storage, "gs://bkt/d", str(tmp_path / "in"), recursive=True)
    assert not (tmp_path / "outside").exists()


def test_what_is_missing_is_named_with_the_next_step(server: SmallServer, storage: Storage, files: Path):
    server.buckets["bkt"] = {}

    with pytest.raises(NotFound, match=r"gs://nowhere.*mlengine storage mb gs://nowhere"):
        copy(storage, "a.csv", "gs://nowhere/x")
    with pytest.raises(NotFound, match=r"no file missing\.csv"):
        copy(storage, "missing.csv", "gs://bkt")
    with pytest.raises(NotFound, match="No object matches gs://bkt/no"):
        copy(storage, "gs://bkt/no*", ".")
    with pytest.raises(InvalidArgument, match="would both become"):
        copy(storage, "a.csv", "./a.csv", "gs://bkt/x/")
    with pytest.raises(InvalidArgument, match="on this machine"):
        copy(storage, "a.csv", "b.csv")
