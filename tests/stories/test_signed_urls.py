"""A file for somebody without any access: a bucket, a key, a URL that holds for an hour."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from datetime import timedelta
from xml.etree import ElementTree

import pytest
from google.cloud import storage
from google.oauth2 import service_account
from obstore.store import GCSStore

from tests.stories.conftest import Server, Shell


def test_a_url_made_with_a_key_of_ours_opens_one_object(server: Server, shell: Shell) -> None:
    shell.run("storage", "mb", "gs://handed-out")
    (shell.cwd / "report.csv").write_text("a,b\n1,2\n")
    shell.run("storage", "cp", "report.csv", "gs://handed-out/reports/11월.csv")
    shell.run("iam", "service-accounts", "create", "hander", "--display-name", "hands out files")
    email = "hander@local.iam.gserviceaccount.com"
    shell.run("iam", "service-accounts", "keys", "create", "key.json", "--iam-account", email)
    key = json.loads((shell.cwd / "key.json").read_text())

    with storage.Client(
        project="local", credentials=service_account.Credentials.from_service_account_info(key)
    ) as client:
        url = (
            client.bucket("handed-out")
            .blob("reports/11월.csv")
            .generate_signed_url(
                version="v4", expiration=timedelta(hours=1), api_access_endpoint=server.endpoint
            )
        )

    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"a,b\n1,2\n"
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(url.replace("reports/", "secrets/"))
    with caught.value as refused:
        assert refused.code == 403
        assert ElementTree.fromstring(refused.read()).findtext("Code") == "SignatureDoesNotMatch"
    shell.run(
        "iam", "service-accounts", "keys", "delete", key["private_key_id"], "--iam-account", email, "-q"
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(url)
    with caught.value as refused:
        assert refused.code == 403


def test_the_xml_api_goes_through_the_whole_server(server: Server, shell: Shell) -> None:
    shell.run("storage", "mb", "gs://by-obstore")
    account = {"gcs_base_url": server.endpoint, "disable_oauth": True, "client_email": "", "private_key": ""}
    store = GCSStore(
        "by-obstore",
        service_account_key=json.dumps(account | {"private_key_id": ""}),
        skip_signature=True,
        client_options={"allow_http": True},
    )
    content = bytes(range(256)) * 4096 * 7

    store.put("d-1/big.bin", content, use_multipart=True, chunk_size=5 << 20)
    store.put("d-1/small.txt", b"hello")

    assert bytes(store.get("d-1/big.bin").bytes()) == content
    assert store.head("d-1/small.txt")["size"] == 5
    assert [found["path"] for found in store.list().collect()] == ["d-1/big.bin", "d-1/small.txt"]
    assert shell.run("storage", "cat", "gs://by-obstore/d-1/small.txt").stdout == "hello"
