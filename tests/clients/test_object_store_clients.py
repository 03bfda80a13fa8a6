"""Clients of the XML API and of Arrow, unmodified: obstore, polars, pyarrow, and pandas on top of it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from obstore.exceptions import AlreadyExistsError, PreconditionError
from obstore.store import GCSStore

from tests.clients.conftest import Server

MIB = 1 << 20


@pytest.fixture
def bucket(pointed: Server, bucket_name: str) -> str:
    """The name of an empty bucket."""
    with storage.Client(project="demo-project", credentials=AnonymousCredentials()) as client:
        client.create_bucket(bucket_name)
    return bucket_name


@pytest.fixture
def account(pointed: Server) -> str:
    """The service account that tells Rust's object_store where we are, as the reference describes it."""
    said = {"gcs_base_url": pointed.url, "disable_oauth": True}
    return json.dumps(said | {"client_email": "", "private_key": "", "private_key_id": ""})


@pytest.fixture
def store(bucket: str, account: str) -> GCSStore:
    return GCSStore(
        bucket, service_account_key=account, skip_signature=True, client_options={"allow_http": True}
    )


@pytest.fixture
def arrow(pointed: Server) -> pafs.GcsFileSystem:
    host = pointed.url.removeprefix("http://")
    return pafs.GcsFileSystem(endpoint_override=host, scheme="http", anonymous=True)


def test_obstore_puts_and_gets_what_is_said_about_an_object(store: GCSStore) -> None:
    put = store.put("d-1/a b.txt", "안녕".encode(), attributes={"Content-Type": "text/plain", "who": "me"})

    got = store.get("d-1/a b.txt")
    assert bytes(got.bytes()) == "안녕".encode()
    assert got.attributes == {"Content-Type": "text/plain", "who": "me"}
    assert (got.meta["e_tag"], got.meta["version"]) == (put["e_tag"], put["version"])
    assert store.head("d-1/a b.txt") == got.meta
    assert bytes(store.get_range("d-1/a b.txt", start=3, end=6)) == "녕".encode()


def test_obstore_lists_by_prefix_and_by_folder(store: GCSStore) -> None:
    names = ["a", "d-1/b", "d-1/e/c", "d.2/한 글#?%.txt", "f"]
    for name in names:
        store.put(name, b"x")

    assert [found["path"] for found in store.list().collect()] == names
    assert [found["path"] for found in store.list("d-1").collect()] == ["d-1/b", "d-1/e/c"]
    after = store.list(offset="d-1/b").collect()
    assert [found["path"] for found in after] == names[2:]
    folders = store.list_with_delimiter()
    assert folders["common_prefixes"] == ["d-1", "d.2"]
    assert [found["path"] for found in folders["objects"]] == ["a", "f"]


@pytest.mark.slow
def test_obstore_lists_more_than_a_page(store: GCSStore) -> None:
    names = [f"many/{number:04}" for number in range(1005)]
    for name in names:
        store.put(name, b"")

    assert [found["path"] for found in store.list("many").collect()] == names


def test_obstore_uploads_in_parts(store: GCSStore) -> None:
    content = os.urandom(11 * MIB + 7)

    store.put("big", content, use_multipart=True, chunk_size=5 * MIB, max_concurrency=3)

    assert bytes(store.get("big").bytes()) == content
    found = store.get_ranges("big", starts=[0, 6 * MIB], ends=[10, 6 * MIB + 20])
    assert [bytes(piece) for piece in found] == [content[:10], content[6 * MIB : 6 * MIB + 20]]


def test_obstore_copies_renames_and_deletes(store: GCSStore) -> None:
    store.put("a-1/b", b"content", attributes={"Content-Type": "text/x"})

    store.copy("a-1/b", "c%2F d/ü.txt")
    store.rename("c%2F d/ü.txt", "e/ü#?.txt")
    store.delete(["a-1/b"])

    assert [found["path"] for found in store.list().collect()] == ["e/ü#?.txt"]
    got = store.get("e/ü#?.txt")
    assert (bytes(got.bytes()), got.attributes) == (b"content", {"Content-Type": "text/x"})
    with pytest.raises(FileNotFoundError, match="NoSuchKey"):
        store.get("a-1/b")


def test_obstore_creates_and_updates_only_what_it_knows(store: GCSStore) -> None:
    first = store.put("once", b"1", mode="create")

    with pytest.raises(AlreadyExistsError):
        store.put("once", b"2", mode="create")
    with pytest.raises(AlreadyExistsError):
        store.copy("once", "once", overwrite=False)
    store.put("once", b"3", mode=first)
    with pytest.raises(PreconditionError):
        store.put("once", b"4", mode=first)
    assert bytes(store.get("once").bytes()) == b"3"


def test_obstore_names_a_bucket_that_is_not_there(account: str) -> None:
    nowhere = GCSStore(
        "no-such-bucket",
        service_account_key=account,
        skip_signature=True,
        client_options={"allow_http": True},
    )

    with pytest.raises(FileNotFoundError, match="NoSuchBucket"):
        nowhere.get("a")


def test_polars_writes_scans_and_reads_parquet(bucket: str, account: str) -> None:
    options = {"google_service_account_key": account, "google_skip_signature": "true", "allow_http": "true"}
    table = pl.DataFrame({"number": range(10_000), "text": [f"글 {number}" for number in range(10_000)]})

    table.write_parquet(f"gs://{bucket}/tables/a.parquet", storage_options=options)

    assert pl.read_parquet(f"gs://{bucket}/tables/a.parquet", storage_options=options).equals(table)
    scanned = pl.scan_parquet(f"gs://{bucket}/tables/*.parquet", storage_options=options)
    assert scanned.filter(pl.col("number") >= 9_998).collect()["text"].to_list() == ["글 9998", "글 9999"]


def test_arrow_writes_reads_lists_moves_and_deletes(arrow: pafs.GcsFileSystem, bucket: str) -> None:
    with arrow.open_output_stream(f"{bucket}/a/b.txt", metadata={"Content-Type": "text/plain"}) as target:
        target.write(b"hello")
    arrow.copy_file(f"{bucket}/a/b.txt", f"{bucket}/c d#?")
    arrow.move(f"{bucket}/c d#?", f"{bucket}/e")

    with arrow.open_input_file(f"{bucket}/a/b.txt") as source:
        source.seek(1)
        assert source.read() == b"ello"
    with arrow.open_input_stream(f"{bucket}/a/b.txt") as stream:
        assert stream.metadata()["Content-Type"] == b"text/plain"
    found = arrow.get_file_info(pafs.FileSelector(bucket, recursive=True))
    assert sorted((info.path, info.size) for info in found if info.is_file) == [
        (f"{bucket}/a/b.txt", 5),
        (f"{bucket}/e", 5),
    ]
    arrow.delete_file(f"{bucket}/e")
    assert arrow.get_file_info(f"{bucket}/e").type == pafs.FileType.NotFound


def test_arrow_makes_and_removes_directories(arrow: pafs.GcsFileSystem, bucket: str) -> None:
    arrow.create_dir(f"{bucket}/made")

    assert arrow.get_file_info(f"{bucket}/made").type == pafs.FileType.Directory
    arrow.delete_dir(f"{bucket}/made")
    assert arrow.get_file_info(f"{bucket}/made").type == pafs.FileType.NotFound


def test_arrow_keeps_tables_in_many_files(arrow: pafs.GcsFileSystem, bucket: str) -> None:
    table = pa.table({"year": [2025, 2025, 2026], "fare": [1.5, 2.5, float("inf")]})

    pq.write_to_dataset(table, f"{bucket}/fares", partition_cols=["year"], filesystem=arrow)

    found = pq.read_table(f"{bucket}/fares", filesystem=arrow)
    assert sorted(found["fare"].to_pylist()) == [1.5, 2.5, float("inf")]


def test_arrow_needs_no_option_where_the_environment_says_it_all(
    pointed: Server, bucket: str, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUD_STORAGE_EMULATOR_ENDPOINT", pointed.url)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key_file))
    table = pa.table({"x": [1, 2, 3]})

    files, folder = pafs.FileSystem.from_uri(f"gs://{bucket}/tables")

    assert isinstance(files, pafs.GcsFileSystem)
    pq.write_table(table, f"{folder}/a.parquet", filesystem=files)
    assert pq.read_table(f"gs://{bucket}/tables/a.parquet").equals(table)


def test_pandas_keeps_parquet_in_buckets(bucket: str) -> None:
    table = pd.DataFrame({"name": ["홍길동", "b"], "age": [22.5, None]})

    table.to_parquet(f"gs://{bucket}/a.parquet", storage_options={"token": "anon"})

    found = pd.read_parquet(f"gs://{bucket}/a.parquet", storage_options={"token": "anon"})
    pd.testing.assert_frame_equal(found, table)
