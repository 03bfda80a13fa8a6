"""google-cloud-storage's transfer manager: many objects at once, and one object in many requests at once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from google.cloud.storage import transfer_manager
from google.cloud.storage._media.requests import XMLMPUContainer, XMLMPUPart

from tests.clients.conftest import Server

MIB = 1 << 20
THREADS = {"worker_type": transfer_manager.THREAD, "max_workers": 4}


@pytest.fixture
def bucket(pointed: Server, bucket_name: str) -> Iterator[storage.Bucket]:
    with storage.Client(project="demo-project", credentials=AnonymousCredentials()) as client:
        yield client.create_bucket(bucket_name)


def test_a_file_goes_up_and_down_in_chunks_at_once(bucket: storage.Bucket, tmp_path: Path) -> None:
    content = os.urandom(11 * MIB + 3)
    (tmp_path / "large").write_bytes(content)
    blob = bucket.blob("models/큰 것.bin")
    blob.content_type = "application/x-model"
    blob.metadata = {"epoch": "7"}

    transfer_manager.upload_chunks_concurrently(
        str(tmp_path / "large"), blob, chunk_size=5 * MIB, checksum="crc32c", **THREADS
    )

    found = bucket.get_blob(blob.name)
    assert found is not None
    assert (found.size, found.md5_hash) == (len(content), None)
    assert (found.content_type, found.metadata) == ("application/x-model", {"epoch": "7"})
    transfer_manager.download_chunks_concurrently(
        found, str(tmp_path / "again"), chunk_size=3 * MIB, crc32c_checksum=True, **THREADS
    )
    assert (tmp_path / "again").read_bytes() == content


def test_parts_are_still_there_after_the_server_was_killed(
    pointed: Server, bucket: storage.Bucket, tmp_path: Path
) -> None:
    content = os.urandom(2 * MIB + 1)
    (tmp_path / "large").write_bytes(content)
    url, transport = f"{pointed.url}/{bucket.name}/resumed", bucket.client._http
    whole = XMLMPUContainer(url, str(tmp_path / "large"))
    whole.initiate(transport, "application/x-model")

    for number in (1, 2):
        start, end = (0, MIB) if number == 1 else (MIB, len(content))
        part = XMLMPUPart(
            url, whole.upload_id, str(tmp_path / "large"), start, end, number, checksum="crc32c"
        )
        part.upload(transport)
        whole.register_part(number, part.etag)
        pointed.kill()
        pointed.start()
    whole.finalize(transport)

    assert bucket.blob("resumed").download_as_bytes() == content


def test_many_files_go_up_and_down_at_once(bucket: storage.Bucket, tmp_path: Path) -> None:
    names = [f"part {number}.txt" for number in range(12)]
    for name in names:
        (tmp_path / name).write_text(name * 100)

    up = transfer_manager.upload_many_from_filenames(
        bucket, names, source_directory=str(tmp_path), blob_name_prefix="all/", **THREADS
    )
    down = transfer_manager.download_many_to_path(
        bucket, [f"all/{name}" for name in names], destination_directory=str(tmp_path / "back"), **THREADS
    )

    assert (up, down) == ([None] * len(names), [None] * len(names))
    for name in names:
        assert (tmp_path / "back" / "all" / name).read_text() == name * 100


def test_files_that_are_there_are_skipped(bucket: storage.Bucket, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text("new")
    bucket.blob("a").upload_from_string("old")

    transfer_manager.upload_many_from_filenames(
        bucket, ["a", "b"], source_directory=str(tmp_path), skip_if_exists=True, **THREADS
    )

    assert (bucket.blob("a").download_as_text(), bucket.blob("b").download_as_text()) == ("old", "new")
