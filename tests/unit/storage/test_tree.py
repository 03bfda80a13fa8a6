"""Folders of a bucket that become directories, and names that must not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mlengine.backends.blobs_memory import MemoryBlobs
from mlengine.errors import FailedPrecondition, Internal, NotFound
from mlengine.storage.service import StorageService
from mlengine.storage.tree import plan_tree
from tests.unit.storage.conftest import url


def test_a_folder_becomes_a_directory(service: StorageService, tmp_path: Path) -> None:
    for name in (
        "model/",
        "model/saved_model.pb",
        "model/variables/data 한.bin",
        "model/empty/",
        "modelx/y",
        "other",
    ):
        service.write(url(name), [name.encode()])

    for folder in ("model", "model/"):
        target = tmp_path / folder.replace("/", "_")
        assert service.fetch_tree(url(folder), target) == 2
        assert {path.relative_to(target).as_posix() for path in target.rglob("*")} == {
            "saved_model.pb",
            "variables",
            "variables/data 한.bin",
            "empty",
        }
        assert (target / "variables/data 한.bin").read_text() == "model/variables/data 한.bin"


@pytest.mark.parametrize(
    "name",
    ["../evil", "a/../../evil", "/etc/evil", "a//b", "./a", "a/./b", "..", "a/..", "x" * 256],
)
def test_a_name_that_leads_astray_stops_it_before_anything_is_written(
    service: StorageService, tmp_path: Path, name: str
) -> None:
    service.write(url("model/a-good-one"), [b"x"])
    service.write(url(f"model/{name}"), [b"x"])

    with pytest.raises(FailedPrecondition, match="cannot be a file"):
        service.fetch_tree(url("model"), tmp_path / "in")

    assert list(tmp_path.rglob("*evil*")) == []
    assert not (tmp_path / "in").exists()


def test_an_object_that_would_be_file_and_directory_is_refused(
    service: StorageService, tmp_path: Path
) -> None:
    for name in ("model/dd", "model/dd/e"):
        service.write(url(name), [b"x"])

    with pytest.raises(FailedPrecondition, match="directory at once"):
        service.fetch_tree(url("model"), tmp_path / "in")


def test_a_link_that_lies_in_the_target_is_not_followed(service: StorageService, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "folder").symlink_to(tmp_path / "outside")
    (tmp_path / "in" / "file").symlink_to(tmp_path / "outside" / "file")
    service.write(url("one/folder/x"), [b"x"])
    service.write(url("two/file"), [b"x"])

    for folder in ("one", "two"):
        with pytest.raises(FailedPrecondition):
            service.fetch_tree(url(folder), tmp_path / "in")

    assert list((tmp_path / "outside").iterdir()) == []


def test_nothing_there_is_said_and_no_directory_made(service: StorageService, tmp_path: Path) -> None:
    service.write(url("modelx"), [b"x"])

    with pytest.raises(NotFound, match="nothing below gs://bucket/model"):
        service.fetch_tree(url("model"), tmp_path / "in")
    assert not (tmp_path / "in").exists()


def test_damaged_content_is_noticed(service: StorageService, blobs: MemoryBlobs, tmp_path: Path) -> None:
    found = service.write(url("model/a"), [b"right"])
    blobs.write(found.blob, [b"wrong"])

    with pytest.raises(Internal, match="damaged"):
        service.fetch_tree(url("model"), tmp_path / "in")


def test_a_name_with_a_nul_from_before_these_were_refused_stops_it_too(service: StorageService) -> None:
    stored = replace(service.write(url("model/a"), [b"x"]), name="model/nul\0byte")

    with pytest.raises(FailedPrecondition, match="cannot be a file"):
        plan_tree([stored], prefix="model/")
