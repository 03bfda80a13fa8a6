"""Versioned buckets and what clients ask for by habit, with Google's own client."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from google.api_core.exceptions import BadRequest, Conflict, NotFound
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from tests.clients.conftest import Server


@pytest.fixture
def client(pointed: Server) -> Iterator[storage.Client]:
    with storage.Client(project="demo-project", credentials=AnonymousCredentials()) as opened:
        yield opened


@pytest.fixture
def bucket(client: storage.Client, bucket_name: str) -> storage.Bucket:
    made = client.bucket(bucket_name)
    made.versioning_enabled = True
    return client.create_bucket(made)


def test_versioning_is_switched_by_the_client(client: storage.Client, bucket: storage.Bucket) -> None:
    assert client.get_bucket(bucket.name).versioning_enabled

    bucket.versioning_enabled = False
    bucket.patch()

    assert not client.get_bucket(bucket.name).versioning_enabled


def test_generations_are_listed_read_restored_and_deleted(bucket: storage.Bucket) -> None:
    blob = bucket.blob("model.bin")
    blob.upload_from_string("first")
    first = blob.generation
    blob.upload_from_string("second")
    bucket.blob("model.bin").delete()

    assert list(bucket.list_blobs()) == []
    found = list(bucket.list_blobs(versions=True))
    assert [(old.download_as_bytes(), old.time_deleted is not None) for old in found] == [
        (b"first", True),
        (b"second", True),
    ]
    assert bucket.get_blob("model.bin") is None
    assert bucket.get_blob("model.bin", generation=first) is not None
    bucket.copy_blob(bucket.blob("model.bin"), bucket, source_generation=first)
    assert bucket.blob("model.bin").download_as_bytes() == b"first"
    bucket.delete_blob("model.bin", generation=first)
    with pytest.raises(NotFound):
        bucket.blob("model.bin", generation=first).download_as_bytes()
    assert bucket.blob("model.bin").download_as_bytes() == b"first"


def test_a_bucket_is_empty_when_its_past_is_gone_too(client: storage.Client, bucket: storage.Bucket) -> None:
    bucket.blob("a").upload_from_string("x")
    bucket.blob("a").delete()

    with pytest.raises(Conflict, match="noncurrent"):
        bucket.delete()
    for old in bucket.list_blobs(versions=True):
        bucket.delete_blob(old.name, generation=old.generation)
    bucket.delete()

    assert client.lookup_bucket(bucket.name) is None


def test_markers_of_folders_are_listed_when_asked_for(bucket: storage.Bucket) -> None:
    for name in ("a", "d/", "d/x"):
        bucket.blob(name).upload_from_string("x")

    listing = bucket.list_blobs(delimiter="/", include_trailing_delimiter=True)

    assert [blob.name for blob in listing] == ["a", "d/"]
    assert listing.prefixes == {"d/"}


def test_a_pattern_chooses_what_is_listed(bucket: storage.Bucket) -> None:
    for name in ("a.csv", "d/a.csv", "d/e/a.csv", "d/a.txt", "[x]"):
        bucket.blob(name).upload_from_string("x")

    assert [blob.name for blob in bucket.list_blobs(match_glob="**.csv")] == ["a.csv", "d/a.csv", "d/e/a.csv"]
    assert [blob.name for blob in bucket.list_blobs(match_glob="d/*.{csv,txt}")] == ["d/a.csv", "d/a.txt"]
    assert [blob.name for blob in bucket.list_blobs(match_glob="\\[x]")] == ["[x]"]
    with pytest.raises(BadRequest, match="matchGlob"):
        list(bucket.list_blobs(match_glob="[x"))


def test_who_may_do_what_is_told_and_cannot_be_changed(
    client: storage.Client, bucket: storage.Bucket
) -> None:
    policy = bucket.get_iam_policy()

    assert policy["roles/storage.admin"] == {"projectOwner:demo-project"}
    assert bucket.set_iam_policy(policy)["roles/storage.admin"] == {"projectOwner:demo-project"}
    policy["roles/storage.objectViewer"] = {"allUsers"}
    with pytest.raises(BadRequest, match="cannot be changed"):
        bucket.set_iam_policy(policy)
    asked = ["storage.objects.get", "storage.objects.create"]
    assert bucket.test_iam_permissions(asked) == asked
    assert list(bucket.list_notifications()) == []
    assert "demo-project" in client.get_service_account_email()
    bucket.blob("a").upload_from_string("x")
    blob = bucket.blob("a")
    blob.acl.reload()
    assert [(entry["entity"], entry["role"]) for entry in blob.acl] == [
        ("project-owners-demo-project", "OWNER")
    ]
