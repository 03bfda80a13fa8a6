"""Google's and fsspec's clients, unmodified, on a live server."""

from __future__ import annotations

import gzip
import io
import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import fsspec
import gcsfs
import pandas as pd
import pytest
from google.api_core.exceptions import Conflict, NotFound, PreconditionFailed
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from google.cloud.storage.retry import DEFAULT_RETRY

from tests.clients.conftest import Server

# What gcsfs hands to aiohttp is gcsfs's affair.
pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body directly with raw bytes:ResourceWarning")

ODD_NAMES = [
    "with space",
    "a#b?c%d+e&f=g",
    "%2F",
    "한국어/데이터 세트.csv",
    "line\nbreak",
    "/leading",
    "trailing/",
    "a//b",
    "../../etc/passwd",
    "k" * 1000,
    "dd",
    "dd/",
    "dd/e",
    "quote'\"back\\slash",
    "ü\U0001f600",
]


@pytest.fixture
def client(pointed: Server) -> Iterator[storage.Client]:
    with storage.Client(project="demo-project", credentials=AnonymousCredentials()) as opened:
        yield opened


@pytest.fixture
def bucket(client: storage.Client, bucket_name: str) -> storage.Bucket:
    return client.create_bucket(bucket_name)


@pytest.fixture
def files(pointed: Server, bucket: storage.Bucket) -> gcsfs.GCSFileSystem:
    gcsfs.GCSFileSystem.clear_instance_cache()
    return gcsfs.GCSFileSystem(project="demo-project", token="anon")


def test_a_bucket_is_made_listed_changed_and_deleted(client: storage.Client, bucket: storage.Bucket) -> None:
    bucket.labels = {"team": "ml"}
    bucket.patch()

    assert client.get_bucket(bucket.name).labels == {"team": "ml"}
    assert bucket.name in [found.name for found in client.list_buckets(prefix=bucket.name[:6])]
    with pytest.raises(Conflict):
        client.create_bucket(bucket.name)
    bucket.delete()
    assert client.lookup_bucket(bucket.name) is None


def test_a_bucket_with_objects_is_deleted_only_by_force(bucket: storage.Bucket) -> None:
    bucket.blob("a").upload_from_string("x")

    with pytest.raises(Conflict, match="not empty"):
        bucket.delete()
    bucket.delete(force=True)
    assert not bucket.exists()


def test_a_string_goes_up_and_down_with_what_is_said_about_it(bucket: storage.Bucket) -> None:
    blob = bucket.blob("notes/a.txt")
    blob.metadata = {"who": "학생"}
    blob.cache_control = "no-store"

    blob.upload_from_string("안녕하세요", content_type="text/plain; charset=utf-8")

    found = bucket.get_blob("notes/a.txt")
    assert found is not None
    assert found.download_as_text() == "안녕하세요"
    assert (found.size, found.content_type) == (15, "text/plain; charset=utf-8")
    assert (found.metadata, found.cache_control) == ({"who": "학생"}, "no-store")
    assert found.download_as_bytes(start=3, end=5) == "녕".encode()


def test_what_is_said_about_an_object_can_be_patched(bucket: storage.Bucket) -> None:
    blob = bucket.blob("a")
    blob.metadata = {"keep": "1", "drop": "2"}
    blob.upload_from_string("x")
    generation = blob.generation

    blob.metadata = {"keep": "1", "drop": None}
    blob.content_language = "ko"
    blob.patch()

    found = bucket.get_blob("a")
    assert found is not None
    assert (found.metadata, found.content_language) == ({"keep": "1"}, "ko")
    assert (found.generation, found.metageneration) == (generation, 2)


def test_a_large_file_goes_up_in_chunks(bucket: storage.Bucket, tmp_path: Any) -> None:
    content = os.urandom(9 * 1024 * 1024 + 17)
    (tmp_path / "large").write_bytes(content)
    blob = bucket.blob("large", chunk_size=1024 * 1024)

    blob.upload_from_filename(str(tmp_path / "large"), checksum="crc32c")

    assert blob.size == len(content)
    blob.download_to_filename(str(tmp_path / "again"), checksum="md5")
    assert (tmp_path / "again").read_bytes() == content


def test_a_stream_of_unknown_length_goes_up(bucket: storage.Bucket) -> None:
    content = os.urandom(700_000)

    with bucket.blob("stream").open("wb", chunk_size=256 * 1024) as target:
        for at in range(0, len(content), 50_000):
            target.write(content[at : at + 50_000])

    with bucket.blob("stream").open("rb", chunk_size=256 * 1024) as source:
        assert source.read() == content


def test_an_empty_object_is_an_object(bucket: storage.Bucket) -> None:
    bucket.blob("empty").upload_from_string(b"")
    bucket.blob("none").upload_from_file(io.BytesIO(b""))

    assert bucket.blob("empty").download_as_bytes() == b""
    assert [blob.size for blob in bucket.list_blobs()] == [0, 0]


def test_a_listing_folds_at_the_delimiter_and_pages(client: storage.Client, bucket: storage.Bucket) -> None:
    for name in ["a", "d/1", "d/2", "e/", "e/x/y", "f"]:
        bucket.blob(name).upload_from_string("x")

    listing = client.list_blobs(bucket, delimiter="/", page_size=2)

    pages = [[blob.name for blob in page] for page in listing.pages]
    assert [name for page in pages for name in page] == ["a", "f"]
    assert listing.prefixes == {"d/", "e/"}
    assert [blob.name for blob in client.list_blobs(bucket, prefix="e/")] == ["e/", "e/x/y"]
    within = client.list_blobs(bucket, start_offset="d/2", end_offset="f")
    assert [blob.name for blob in within] == ["d/2", "e/", "e/x/y"]


def test_only_the_fields_asked_for_come_back(client: storage.Client, bucket: storage.Bucket) -> None:
    bucket.blob("a").upload_from_string("x")

    found = list(client.list_blobs(bucket, fields="items(name,size),nextPageToken"))

    assert [blob._properties for blob in found] == [{"name": "a", "size": "1"}]


def test_a_conditional_create_happens_once(bucket: storage.Bucket) -> None:
    blob = bucket.blob("once")
    blob.upload_from_string("first", if_generation_match=0)

    with pytest.raises(PreconditionFailed):
        bucket.blob("once").upload_from_string("second", if_generation_match=0)
    bucket.blob("once").upload_from_string("third", if_generation_match=blob.generation)
    with pytest.raises(PreconditionFailed):
        bucket.blob("once").delete(if_generation_match=blob.generation)
    assert bucket.blob("once").download_as_bytes() == b"third"


def test_objects_are_composed(bucket: storage.Bucket) -> None:
    parts = []
    for position in range(3):
        parts.append(bucket.blob(f"part-{position}"))
        parts[-1].upload_from_string(f"{position};" * 3)

    whole = bucket.blob("whole")
    whole.content_type = "text/plain"
    whole.compose(parts)

    assert whole.download_as_text() == "0;0;0;1;1;1;2;2;2;"
    found = bucket.get_blob("whole")
    assert found is not None
    assert (found.component_count, found.md5_hash, found.content_type) == (3, None, "text/plain")


def test_an_object_is_rewritten_copied_and_renamed(bucket: storage.Bucket) -> None:
    source = bucket.blob("source")
    source.upload_from_string("content", content_type="text/x-first")

    token, written, total = bucket.blob("rewritten").rewrite(source)
    bucket.copy_blob(source, bucket, "copied")
    bucket.rename_blob(source, "renamed")

    assert (token, written, total) == (None, 7, 7)
    assert [blob.name for blob in bucket.list_blobs()] == ["copied", "renamed", "rewritten"]
    for blob in bucket.list_blobs():
        assert blob.download_as_bytes() == b"content"
        assert blob.content_type == "text/x-first"


def test_copies_live_on_when_their_source_is_deleted(bucket: storage.Bucket) -> None:
    bucket.blob("a").upload_from_string("content")
    bucket.copy_blob(bucket.blob("a"), bucket, "b")

    bucket.blob("a").delete()
    bucket.blob("a").upload_from_string("other")
    bucket.blob("a").delete()

    assert bucket.blob("b").download_as_bytes() == b"content"


def test_many_objects_are_deleted_in_one_request(client: storage.Client, bucket: storage.Bucket) -> None:
    for position in range(5):
        bucket.blob(f"x/{position} #?").upload_from_string("x")

    found = list(bucket.list_blobs(prefix="x/"))
    with client.batch():
        for blob in found:
            blob.delete()

    assert list(bucket.list_blobs()) == []


def test_a_batch_tells_which_call_failed_and_does_the_others(
    client: storage.Client, bucket: storage.Bucket
) -> None:
    bucket.blob("there").upload_from_string("x")

    with pytest.raises(NotFound), client.batch():
        bucket.blob("missing").delete()
        bucket.blob("there").delete()

    assert not bucket.blob("there").exists()


def test_gzip_is_kept_and_undone_on_the_way(pointed: Server, bucket: storage.Bucket) -> None:
    text = b"a line\n" * 1000
    blob = bucket.blob("packed")
    blob.content_encoding = "gzip"
    blob.upload_from_string(gzip.compress(text), content_type="text/plain")

    assert blob.download_as_bytes() == text
    assert gzip.decompress(blob.download_as_bytes(raw_download=True)) == text
    # A client that does not take gzip gets it unpacked by the server.
    with urllib.request.urlopen(
        f"{pointed.url}/download/storage/v1/b/{bucket.name}/o/packed?alt=media"
    ) as plain:
        assert plain.headers["content-encoding"] is None
        assert plain.read() == text


def test_all_odd_names_are_kept_apart(client: storage.Client, bucket: storage.Bucket) -> None:
    for name in ODD_NAMES:
        bucket.blob(name).upload_from_string(name.encode())

    assert [blob.name for blob in client.list_blobs(bucket)] == sorted(ODD_NAMES, key=str.encode)
    for name in ODD_NAMES:
        assert bucket.blob(name).download_as_bytes() == name.encode()
        found = bucket.get_blob(name)
        assert found is not None and found.name == name
    for name in ODD_NAMES:
        bucket.blob(name).delete()
    assert list(client.list_blobs(bucket)) == []


def test_an_upload_goes_on_after_the_server_was_killed_between_chunks(
    pointed: Server, bucket: storage.Bucket
) -> None:
    content = os.urandom(2 * 1024 * 1024 + 5)
    blob = bucket.blob("resumed", chunk_size=512 * 1024)
    upload, transport = blob._initiate_resumable_upload(
        bucket.client,
        io.BytesIO(content),
        None,
        len(content),
        None,
        chunk_size=512 * 1024,
        retry=DEFAULT_RETRY,
    )
    upload.transmit_next_chunk(transport)
    upload.transmit_next_chunk(transport)

    pointed.kill()
    pointed.start()
    while not upload.finished:
        upload.transmit_next_chunk(transport)

    assert bucket.blob("resumed").download_as_bytes() == content


def test_an_upload_torn_within_a_chunk_goes_on_where_the_server_says(
    pointed: Server, bucket: storage.Bucket
) -> None:
    location = begin_upload(pointed, bucket.name, "torn")
    put(location, b"0123456789", "bytes 0-9/*")
    with pytest.raises((urllib.error.URLError, ConnectionError)):
        kill_within(pointed, location, b"abc", "bytes 10-99/100")
    pointed.start()

    status, headers, _ = put(location, b"", "bytes */100")

    stored = int(headers["range"].rpartition("-")[2]) + 1
    assert status == 308 and stored in (10, 13)
    rest = (b"0123456789abc" + b"x" * 87)[stored:]
    status, _, answer = put(location, rest, f"bytes {stored}-99/100")
    assert status == 200 and json.loads(answer)["size"] == "100"
    assert bucket.blob("torn").download_as_bytes() == b"0123456789abc" + b"x" * 87


def test_gcsfs_writes_reads_lists_and_tells(files: gcsfs.GCSFileSystem, bucket: storage.Bucket) -> None:
    root = bucket.name
    files.pipe(f"{root}/data/a.csv", b"a,b\n1,2\n")
    with files.open(f"{root}/data/sub/b.txt", "wt", encoding="utf-8") as target:
        target.write("한국어")

    assert files.ls(f"{root}/data") == [f"{root}/data/a.csv", f"{root}/data/sub"]
    assert files.find(root) == [f"{root}/data/a.csv", f"{root}/data/sub/b.txt"]
    assert files.glob(f"{root}/**/*.txt") == [f"{root}/data/sub/b.txt"]
    assert files.info(f"{root}/data/a.csv")["size"] == 8
    assert files.isdir(f"{root}/data") and files.exists(f"{root}/data/a.csv")
    assert not files.exists(f"{root}/nothing")
    assert files.cat_file(f"{root}/data/a.csv", start=4) == b"1,2\n"
    with files.open(f"{root}/data/sub/b.txt", "rt", encoding="utf-8") as source:
        assert source.read() == "한국어"


def test_gcsfs_moves_copies_and_removes(files: gcsfs.GCSFileSystem, bucket: storage.Bucket) -> None:
    root = bucket.name
    for name in ("a", "b c#?", "d/e"):
        files.pipe(f"{root}/from/{name}", name.encode())

    files.mv(f"{root}/from/a", f"{root}/to/a")
    files.copy(f"{root}/from", f"{root}/copy", recursive=True)
    files.rm(f"{root}/from", recursive=True)

    files.invalidate_cache()
    assert files.find(root) == [f"{root}/copy/b c#?", f"{root}/copy/d/e", f"{root}/to/a"]
    assert files.cat(f"{root}/copy/b c#?") == b"b c#?"


def test_gcsfs_writes_many_blocks(files: gcsfs.GCSFileSystem, bucket: storage.Bucket) -> None:
    content = os.urandom(11 * 1024 * 1024)

    with files.open(f"{bucket.name}/big", "wb", block_size=5 * 1024 * 1024) as target:
        for at in range(0, len(content), 700_000):
            target.write(content[at : at + 700_000])

    with files.open(f"{bucket.name}/big", "rb") as source:
        source.seek(5_000_000)
        assert source.read(1000) == content[5_000_000:5_001_000]
    assert files.cat(f"{bucket.name}/big") == content


def test_gcsfs_creates_exclusively_and_gives_up(files: gcsfs.GCSFileSystem, bucket: storage.Bucket) -> None:
    with files.open(f"{bucket.name}/once", "xb") as target:
        target.write(b"1")

    with pytest.raises(FileExistsError), files.open(f"{bucket.name}/once", "xb") as target:
        target.write(b"2")
    given_up = files.open(f"{bucket.name}/never", "wb", block_size=5 * 1024 * 1024)
    given_up.write(b"x" * 6 * 1024 * 1024)
    given_up.discard()
    assert files.cat(f"{bucket.name}/once") == b"1"
    assert not files.exists(f"{bucket.name}/never")


def test_gcsfs_makes_and_removes_buckets(files: gcsfs.GCSFileSystem, bucket_name: str) -> None:
    files.mkdir(f"{bucket_name}-2")

    assert f"{bucket_name}-2/" in files.ls("") or f"{bucket_name}-2" in files.ls("")
    files.rmdir(f"{bucket_name}-2")
    files.invalidate_cache()
    assert not files.exists(f"{bucket_name}-2")


def test_pandas_writes_and_reads_tables(files: gcsfs.GCSFileSystem, bucket: storage.Bucket) -> None:
    table = pd.DataFrame({"name": ["홍길동", "b"], "age": [22.5, None]})

    table.to_csv(f"gs://{bucket.name}/tables/a.csv", index=False, storage_options={"token": "anon"})

    found = pd.read_csv(f"gs://{bucket.name}/tables/a.csv", storage_options={"token": "anon"})
    pd.testing.assert_frame_equal(found, table)


def test_fsspec_needs_no_option_at_all(files: gcsfs.GCSFileSystem, bucket: storage.Bucket) -> None:
    with fsspec.open(f"gs://{bucket.name}/models/model.bin", "wb") as target:
        target.write(b"weights")

    with fsspec.open(f"gs://{bucket.name}/models/model.bin", "rb") as source:
        assert source.read() == b"weights"


def begin_upload(server: Server, bucket: str, name: str) -> str:
    """Start an upload by hand; its URL."""
    request = urllib.request.Request(
        f"{server.url}/upload/storage/v1/b/{bucket}/o?uploadType=resumable&name={name}",
        data=b"{}",
        method="POST",
    )
    with urllib.request.urlopen(request) as response:
        return str(response.headers["location"])


def put(location: str, content: bytes, content_range: str) -> tuple[int, dict[str, str], bytes]:
    """One request of an upload: status, headers in small letters, content."""
    request = urllib.request.Request(
        location, data=content, method="PUT", headers={"Content-Range": content_range}
    )
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, {k.lower(): v for k, v in response.headers.items()}, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, {k.lower(): v for k, v in error.headers.items()}, error.read()


def kill_within(server: Server, location: str, content: bytes, content_range: str) -> None:
    """Send the beginning of a chunk, and kill the server before the rest."""

    def pieces() -> Iterator[bytes]:
        yield content
        server.kill()
        yield b"never seen"

    request = urllib.request.Request(
        location,
        data=pieces(),
        method="PUT",
        headers={"Content-Range": content_range, "Content-Length": "90"},
    )
    with urllib.request.urlopen(request, timeout=20) as response:
        response.read()
