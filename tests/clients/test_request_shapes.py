"""Every request that a client of Google's Storage was seen to send: who sends it here, and what comes back.

The table is the list in full. Each shape is sent by hand, and names the test in which the client itself sends
it; the tests of the last part are there for shapes that no other test's client sends.
"""

from __future__ import annotations

import http.client
import importlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from google.cloud.storage._media.requests import XMLMPUContainer

from tests.clients.conftest import Server

B = "/storage/v1/b"
UP = "/upload/storage/v1/b/BUCKET/o"
G = "test_storage_clients"
O = "test_object_store_clients"  # noqa: E741
T = "test_transfer_manager"
HERE = "test_request_shapes"
BY_HAND = ""  # sent by gsutil, gcloud, TensorFlow or rclone: programs of their own, not libraries


@dataclass(frozen=True, kw_only=True)
class Shape:
    """One kind of request.

    Attributes:
        target: With BUCKET and OBJECT for names that are there, UPLOAD and PARTS for uploads that have begun.
        tested: "MODULE.TEST" where a client sends it; empty where no library does.
        status: What comes back.
    """

    verb: str
    target: str
    tested: str
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.verb} {self.target}"


JSON = {"Content-Type": "application/json"}
RELATED = (
    b'--x\r\nContent-Type: application/json\r\n\r\n{"name": "new"}\r\n'
    b"--x\r\nContent-Type: text/plain\r\n\r\nhello\r\n--x--\r\n"
)
MIXED = (
    b"--x\r\nContent-Type: application/http\r\nContent-ID: <1>\r\n\r\n"
    b"DELETE /storage/v1/b/BUCKET/o/OBJECT HTTP/1.1\r\n\r\n\r\n--x--\r\n"
)
PART = b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>"
SHAPES = [
    # Buckets
    Shape(
        verb="GET",
        target=f"{B}?project=demo-project",
        tested=f"{G}.test_a_bucket_is_made_listed_changed_and_deleted",
    ),
    Shape(
        verb="POST",
        target=f"{B}?project=demo-project",
        tested=f"{G}.test_a_bucket_is_made_listed_changed_and_deleted",
        body=b'{"name": "BUCKET-2"}',
        headers=JSON,
    ),
    Shape(verb="GET", target=f"{B}/BUCKET", tested=f"{G}.test_a_bucket_is_made_listed_changed_and_deleted"),
    Shape(
        verb="PATCH",
        target=f"{B}/BUCKET",
        tested=f"{G}.test_a_bucket_is_made_listed_changed_and_deleted",
        body=b'{"labels": {"a": "b"}}',
        headers=JSON,
    ),
    Shape(
        verb="DELETE",
        target=f"{B}/BUCKET",
        tested=f"{G}.test_a_bucket_with_objects_is_deleted_only_by_force",
        status=409,
    ),
    Shape(verb="GET", target=f"{B}/BUCKET/iam", tested=f"{HERE}.test_a_bucket_tells_who_may_do_what"),
    Shape(
        verb="GET",
        target=f"{B}/BUCKET/iam/testPermissions?permissions=storage.objects.get",
        tested=f"{HERE}.test_a_bucket_tells_who_may_do_what",
    ),
    Shape(
        verb="GET",
        target=f"{B}/BUCKET/notificationConfigs",
        tested=f"{HERE}.test_a_bucket_tells_who_may_do_what",
    ),
    Shape(verb="GET", target=f"{B}/BUCKET/storageLayout", tested=BY_HAND),
    Shape(verb="GET", target=f"{B}/BUCKET/managedFolders", tested=BY_HAND),
    Shape(
        verb="GET",
        target="/storage/v1/projects/demo-project/serviceAccount",
        tested=f"{HERE}.test_a_project_has_a_service_account_for_storage",
    ),
    # Objects
    Shape(verb="GET", target=f"{B}/BUCKET/o", tested=f"{G}.test_a_listing_folds_at_the_delimiter_and_pages"),
    Shape(
        verb="GET",
        target=f"{B}/BUCKET/o/OBJECT",
        tested=f"{G}.test_a_string_goes_up_and_down_with_what_is_said_about_it",
    ),
    Shape(
        verb="PATCH",
        target=f"{B}/BUCKET/o/OBJECT",
        tested=f"{G}.test_what_is_said_about_an_object_can_be_patched",
        body=b'{"contentType": "text/plain"}',
        headers=JSON,
    ),
    Shape(
        verb="PUT",
        target=f"{B}/BUCKET/o/OBJECT",
        tested=f"{HERE}.test_what_is_said_about_an_object_can_be_replaced",
        body=b'{"contentType": "text/plain"}',
        headers=JSON,
    ),
    Shape(
        verb="DELETE",
        target=f"{B}/BUCKET/o/OBJECT",
        tested=f"{G}.test_a_conditional_create_happens_once",
        status=204,
    ),
    Shape(
        verb="GET", target=f"{B}/BUCKET/o/OBJECT/acl", tested=f"{HERE}.test_an_object_tells_its_access_list"
    ),
    Shape(
        verb="POST",
        target=f"{B}/BUCKET/o/OBJECT/compose",
        tested=f"{G}.test_objects_are_composed",
        body=b'{"sourceObjects": [{"name": "d/OBJECT"}]}',
        headers=JSON,
    ),
    Shape(
        verb="POST",
        target=f"{B}/BUCKET/o/OBJECT/rewriteTo/b/BUCKET/o/other",
        tested=f"{G}.test_an_object_is_rewritten_copied_and_renamed",
    ),
    Shape(
        verb="POST",
        target=f"{B}/BUCKET/o/OBJECT/copyTo/b/BUCKET/o/other",
        tested=f"{G}.test_an_object_is_rewritten_copied_and_renamed",
    ),
    Shape(
        verb="POST", target=f"{B}/BUCKET/o/OBJECT/moveTo/o/other", tested=f"{HERE}.test_an_object_is_moved"
    ),
    # Downloads
    Shape(
        verb="GET",
        target="/download/storage/v1/b/BUCKET/o/OBJECT?alt=media",
        tested=f"{G}.test_a_string_goes_up_and_down_with_what_is_said_about_it",
    ),
    Shape(
        verb="GET",
        target=f"{B}/BUCKET/o/OBJECT?alt=media",
        tested=f"{O}.test_arrow_writes_reads_lists_moves_and_deletes",
    ),
    # Uploads
    Shape(verb="POST", target=f"{UP}?uploadType=media&name=new", tested=BY_HAND, body=b"hello"),
    Shape(
        verb="POST",
        target=f"{UP}?uploadType=multipart",
        tested=f"{G}.test_a_string_goes_up_and_down_with_what_is_said_about_it",
        body=RELATED,
        headers={"Content-Type": 'multipart/related; boundary="x"'},
    ),
    Shape(
        verb="POST",
        target=f"{UP}?uploadType=resumable&name=new",
        tested=f"{G}.test_a_large_file_goes_up_in_chunks",
    ),
    Shape(verb="POST", target=f"/resumable{UP}?uploadType=resumable&name=new", tested=BY_HAND),
    Shape(
        verb="PUT",
        target=f"{UP}?uploadType=resumable&upload_id=UPLOAD",
        tested=f"{G}.test_a_large_file_goes_up_in_chunks",
        status=308,
        body=b"x" * 10,
        headers={"Content-Range": "bytes 0-9/*"},
    ),
    Shape(
        verb="POST",
        target=f"{UP}?uploadType=resumable&upload_id=UPLOAD",
        tested=f"{G}.test_gcsfs_writes_many_blocks",
        body=b"x" * 10,
        headers={"Content-Range": "bytes 0-9/10"},
    ),
    Shape(
        verb="POST",
        target="/batch/storage/v1",
        tested=f"{G}.test_many_objects_are_deleted_in_one_request",
        body=MIXED,
        headers={"Content-Type": "multipart/mixed; boundary=x"},
    ),
    # XML
    Shape(verb="GET", target="/BUCKET?list-type=2", tested=f"{O}.test_obstore_lists_by_prefix_and_by_folder"),
    Shape(
        verb="GET",
        target="/BUCKET/OBJECT",
        tested=f"{O}.test_obstore_puts_and_gets_what_is_said_about_an_object",
    ),
    Shape(
        verb="HEAD",
        target="/BUCKET/OBJECT",
        tested=f"{O}.test_obstore_puts_and_gets_what_is_said_about_an_object",
    ),
    Shape(
        verb="PUT",
        target="/BUCKET/OBJECT",
        tested=f"{O}.test_obstore_puts_and_gets_what_is_said_about_an_object",
        body=b"hello",
    ),
    Shape(
        verb="DELETE",
        target="/BUCKET/OBJECT",
        tested=f"{O}.test_obstore_copies_renames_and_deletes",
        status=204,
    ),
    Shape(
        verb="PUT",
        target="/BUCKET/other",
        tested=f"{O}.test_obstore_copies_renames_and_deletes",
        headers={"x-goog-copy-source": "/BUCKET/OBJECT"},
    ),
    Shape(verb="POST", target="/BUCKET/new?uploads", tested=f"{O}.test_obstore_uploads_in_parts"),
    Shape(
        verb="PUT",
        target="/BUCKET/new?partNumber=1&uploadId=PARTS",
        tested=f"{T}.test_a_file_goes_up_and_down_in_chunks_at_once",
        body=b"hello",
    ),
    Shape(
        verb="POST",
        target="/BUCKET/new?uploadId=PARTS",
        tested=f"{T}.test_a_file_goes_up_and_down_in_chunks_at_once",
        body=PART,
    ),
    Shape(
        verb="DELETE",
        target="/BUCKET/new?uploadId=PARTS",
        tested=f"{HERE}.test_an_upload_in_parts_is_given_up",
        status=204,
    ),
]


class Wire:
    """Requests by hand, over one connection."""

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)

    def __call__(
        self, verb: str, target: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        self._connection.request(verb, target, body=body or None, headers=headers or {})
        answer = self._connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def wire(server: Server) -> Iterator[Wire]:
    opened = Wire(server.url)
    yield opened
    opened.close()


@pytest.fixture
def names(wire: Wire, bucket_name: str) -> dict[str, str]:
    """A bucket with an object (and another one below a folder), and an upload of each kind that has begun."""
    wire("POST", f"{B}?project=demo-project", json.dumps({"name": bucket_name}).encode(), JSON)
    for name in ("o%2F1", "d%2Fo%2F1"):
        assert wire("PUT", f"/{bucket_name}/{name}", b"content")[0] == 200
    start = UP.replace("BUCKET", bucket_name) + "?uploadType=resumable&name=up"
    upload = wire("POST", start)[1]["x-guploader-uploadid"]
    parts = wire("POST", f"/{bucket_name}/new?uploads")[2].decode()
    parts_id = parts.partition("<UploadId>")[2].partition("<")[0]
    wire("PUT", f"/{bucket_name}/new?partNumber=1&uploadId={parts_id}", b"part")
    return {"BUCKET": bucket_name, "OBJECT": "o/1", "UPLOAD": upload, "PARTS": parts_id}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_shape_is_answered(wire: Wire, names: dict[str, str], shape: Shape) -> None:
    target, body, fields = shape.target, shape.body, dict(shape.headers)
    for word, name in names.items():
        target = target.replace(word, quote(name, safe=""))
        body = body.replace(word.encode(), (quote(name, safe="") if body is MIXED else name).encode())
        fields = {key: value.replace(word, quote(name, safe="")) for key, value in fields.items()}

    status, head, content = wire(shape.verb, target, body, fields)

    assert status == shape.status, content
    if head.get("content-type", "").startswith("application/json") and content:
        json.loads(content)


def test_every_shape_names_a_test_that_is_there() -> None:
    for shape in SHAPES:
        if shape.tested:
            module, _, test = shape.tested.partition(".")
            assert callable(getattr(importlib.import_module(f"tests.clients.{module}"), test))


# What no other test's client sends


@pytest.fixture
def bucket(pointed: Server, bucket_name: str) -> Iterator[storage.Bucket]:
    with storage.Client(project="demo-project", credentials=AnonymousCredentials()) as client:
        yield client.create_bucket(bucket_name)


def test_a_bucket_tells_who_may_do_what(bucket: storage.Bucket) -> None:
    assert list(bucket.get_iam_policy().bindings)
    asked = ["storage.objects.get", "storage.objects.create"]
    assert bucket.test_iam_permissions(asked) == asked
    assert list(bucket.list_notifications()) == []


def test_a_project_has_a_service_account_for_storage(bucket: storage.Bucket) -> None:
    assert "@" in bucket.client.get_service_account_email()


def test_what_is_said_about_an_object_can_be_replaced(bucket: storage.Bucket) -> None:
    blob = bucket.blob("a")
    blob.content_language = "ko"
    blob.upload_from_string("x", content_type="text/plain")

    blob.content_language = None
    blob.update()

    found = bucket.get_blob("a")
    assert found is not None
    assert (found.content_type, found.content_language) == ("text/plain", None)


def test_an_object_tells_its_access_list(bucket: storage.Bucket) -> None:
    blob = bucket.blob("a")
    blob.upload_from_string("x")

    blob.acl.reload()

    assert blob.acl.loaded


def test_an_object_is_moved(bucket: storage.Bucket) -> None:
    bucket.blob("a").upload_from_string("content")

    moved = bucket.move_blob(bucket.blob("a"), "b c/d")

    assert moved.download_as_bytes() == b"content"
    assert [blob.name for blob in bucket.list_blobs()] == ["b c/d"]


def test_an_upload_in_parts_is_given_up(bucket: storage.Bucket, pointed: Server) -> None:
    url = f"{pointed.url}/{bucket.name}/a"
    upload = XMLMPUContainer(url, str(__file__))
    transport = bucket.client._http
    upload.initiate(transport, "text/plain")

    upload.cancel(transport)

    assert transport.get(f"{url}?uploadId={upload.upload_id}").status_code == 404
