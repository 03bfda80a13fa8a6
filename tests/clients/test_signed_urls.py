"""Signed URLs (version 4): made by google-cloud-storage with a key of ours, used by whoever has the URL."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from email.message import Message
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import requests
from google.cloud import storage
from google.oauth2 import service_account

from tests.clients.conftest import Server

HOUR = timedelta(hours=1)


@pytest.fixture
def bucket(pointed: Server, key_file: Path, bucket_name: str) -> Iterator[storage.Bucket]:
    """A bucket in the hands of a client with a service account's key."""
    credentials = service_account.Credentials.from_service_account_file(str(key_file))
    client = storage.Client(
        project="demo-project",
        credentials=credentials,
        client_options={"api_endpoint": pointed.url},
        _http=requests.Session(),  # signing is what is tried here, not the way to access tokens
    )
    with client:
        yield client.create_bucket(bucket_name)


def send(
    url: str, method: str = "GET", body: bytes | None = None, **headers: str
) -> tuple[int, Message, bytes]:
    """A request as any program makes it: status, head, content."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, data=body, method=method, headers=fields)
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, response.headers, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


def why(answer: tuple[int, Message, bytes]) -> tuple[int, str]:
    """Status and word of a refusal."""
    return answer[0], ElementTree.fromstring(answer[2]).findtext("Code") or ""


def signed(pointed: Server, blob: storage.Blob, **more: Any) -> str:
    """What users write."""
    return str(
        blob.generate_signed_url(
            version="v4", expiration=more.pop("expiration", HOUR), api_access_endpoint=pointed.url, **more
        )
    )


def test_a_signed_url_reads_an_object(pointed: Server, bucket: storage.Bucket) -> None:
    blob = bucket.blob("models/한국어 #1?.bin")
    blob.upload_from_string(b"0123456789", content_type="text/plain")

    url = signed(pointed, blob)

    status, head, content = send(url)
    assert (status, head["content-type"], content) == (200, "text/plain", b"0123456789")
    status, _, content = send(url, Range="bytes=2-3")
    assert (status, content) == (206, b"23")
    shown = signed(pointed, blob, response_disposition='attachment; filename="a"', response_type="text/csv")
    _, head, _ = send(shown)
    assert (head["content-type"], head["content-disposition"]) == ("text/csv", 'attachment; filename="a"')


def test_a_signed_url_writes_what_was_agreed(pointed: Server, bucket: storage.Bucket) -> None:
    blob = bucket.blob("in/a.csv")
    url = signed(pointed, blob, method="PUT", content_type="text/csv", headers={"x-goog-meta-by": "me"})

    assert why(send(url, "PUT", b"a,b", Content_Type="text/html", x_goog_meta_by="me")) == (
        403,
        "SignatureDoesNotMatch",
    )
    assert why(send(url, "PUT", b"a,b", Content_Type="text/csv")) == (403, "AccessDenied")
    assert send(url, "PUT", b"a,b", Content_Type="text/csv", x_goog_meta_by="me")[0] == 200

    found = bucket.get_blob("in/a.csv")
    assert found is not None
    assert (found.download_as_bytes(), found.content_type, found.metadata) == (
        b"a,b",
        "text/csv",
        {"by": "me"},
    )


def test_a_signed_url_begins_an_upload_that_needs_no_further_signature(
    pointed: Server, bucket: storage.Bucket
) -> None:
    url = signed(pointed, bucket.blob("big"), method="RESUMABLE")

    status, head, _ = send(url, "POST", b"", x_goog_resumable="start")

    assert status == 201
    assert send(head["location"], "PUT", b"01234", Content_Range="bytes 0-4/*")[0] == 308
    assert send(head["location"], "PUT", b"56789", Content_Range="bytes 5-9/10")[0] == 200
    assert bucket.blob("big").download_as_bytes() == b"0123456789"


def test_a_signed_url_deletes_and_lists(pointed: Server, bucket: storage.Bucket) -> None:
    blob = bucket.blob("a")
    blob.upload_from_string("x")

    assert send(signed(pointed, blob, method="DELETE"), "DELETE")[0] == 204
    url = bucket.generate_signed_url(
        version="v4",
        expiration=HOUR,
        api_access_endpoint=pointed.url,
        query_parameters={"list-type": "2", "prefix": "a"},
    )
    status, _, listing = send(url)
    assert (status, b"<KeyCount>0</KeyCount>" in listing) == (200, True)
    assert why(send(url.replace("prefix=a", "prefix="))) == (403, "SignatureDoesNotMatch")


def test_what_was_not_signed_is_refused_with_a_reason(pointed: Server, bucket: storage.Bucket) -> None:
    blob, other = bucket.blob("a"), bucket.blob("b")
    blob.upload_from_string("x")
    other.upload_from_string("secret")
    url = signed(pointed, blob)

    assert why(send(url.replace("/a?", "/b?"))) == (403, "SignatureDoesNotMatch")
    assert why(send(url, "DELETE")) == (403, "SignatureDoesNotMatch")
    assert why(send(url, "PUT", b"y")) == (403, "SignatureDoesNotMatch")
    refused = ElementTree.fromstring(send(url.replace("/a?", "/b?"))[2])
    assert (refused.findtext("CanonicalRequest") or "").startswith(f"GET\n/{bucket.name}/b\n")
    assert blob.download_as_bytes() == b"x"


def test_a_url_ends_when_it_says(pointed: Server, bucket: storage.Bucket) -> None:
    blob = bucket.blob("a")
    blob.upload_from_string("x")
    url = signed(pointed, blob)
    stamp = url.partition("X-Goog-Date=")[2][:16]

    past = url.replace(stamp, "20200101T000000Z").replace(f"%2F{stamp[:8]}%2F", "%2F20200101%2F")

    assert why(send(past)) == (403, "ExpiredToken")
    assert why(send(url.replace("X-Goog-Expires=3600", "X-Goog-Expires=604801")))[0] == 400


def test_a_deleted_key_opens_nothing(pointed: Server, bucket: storage.Bucket, key_file: Path) -> None:
    accounts = f"{pointed.url}/v1/projects/demo-project/serviceAccounts"
    _, _, made = send(accounts, "POST", b'{"accountId": "short-lived"}')
    email = json.loads(made)["email"]
    _, _, made = send(f"{accounts}/{email}/keys", "POST", b"{}")
    key = json.loads(made)
    info = json.loads(base64.b64decode(key["privateKeyData"]))
    credentials = service_account.Credentials.from_service_account_info(info)
    blob = bucket.blob("a")
    blob.upload_from_string("x")
    url = signed(pointed, blob, credentials=credentials)
    assert send(url)[0] == 200

    assert send(f"{pointed.url}/v1/{key['name']}", "DELETE")[0] == 200

    assert why(send(url)) == (403, "SignatureDoesNotMatch")
    assert send(f"{accounts}/{email}", "DELETE")[0] == 200
    assert why(send(url)) == (403, "InvalidSecurity")
