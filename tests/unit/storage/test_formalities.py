"""What clients ask for by habit, and requests about versions, patterns, tags and the proof."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from mlengine.backends.blobs_memory import MemoryBlobs
from mlengine.backends.database import SqlDatabase
from mlengine.projects.service import ProjectService
from mlengine.storage.methods import methods
from mlengine.storage.quotas import Quota
from mlengine.storage.service import StorageService
from mlengine.web.method import Call, Reply
from mlengine.web.routing import Router
from tests.conftest import HandClock
from tests.unit.storage.conftest import Ask
from tests.unit.storage.test_methods import body, store

BUCKET = "/storage/v1/b/bucket"


def test_the_project_owns_the_bucket_and_nothing_else_can_be_said(ask: Ask) -> None:
    policy = body(ask("GET", f"{BUCKET}/iam"))

    assert policy["bindings"] == [{"role": "roles/storage.admin", "members": ["projectOwner:demo-project"]}]
    assert body(ask("PUT", f"{BUCKET}/iam", json.dumps(policy).encode())) == policy
    policy["bindings"][0]["members"].append("allUsers")
    refused = ask("PUT", f"{BUCKET}/iam", json.dumps(policy).encode())
    assert refused.status == 400
    assert "cannot be changed" in body(refused)["error"]["message"]
    assert ask("PUT", f"{BUCKET}/iam", b'{"bindings": [{"role": 7}, "x"]}').status == 400


def test_whoever_asks_may_do_all_that_can_be_done(service: StorageService) -> None:
    query = "permissions=storage.objects.get&permissions=storage.buckets.delete&permissions=no.such"
    method, path = Router(methods(service)).find("GET", f"{BUCKET}/iam/testPermissions")

    answer = method.handler(Call(path=path, target=f"{BUCKET}/iam/testPermissions?{query}"))

    assert isinstance(answer, dict)
    assert answer["permissions"] == ["storage.objects.get", "storage.buckets.delete"]


@pytest.mark.parametrize("list_", ["notificationConfigs", "managedFolders"])
def test_lists_of_what_is_not_here_are_empty(ask: Ask, list_: str) -> None:
    assert body(ask("GET", f"{BUCKET}/{list_}"))["items"] == []


def test_a_bucket_has_no_real_folders(ask: Ask) -> None:
    assert body(ask("GET", f"{BUCKET}/storageLayout"))["hierarchicalNamespace"] == {"enabled": False}


def test_a_project_has_an_account_of_its_own(ask: Ask) -> None:
    found = body(ask("GET", "/storage/v1/projects/demo-project/serviceAccount"))

    assert found["email_address"].startswith("service-demo-project@")


@pytest.mark.parametrize("list_", ["acl", "defaultObjectAcl", "o/a%2Fb/acl"])
def test_lists_of_who_may_do_what_have_the_one_owner(ask: Ask, list_: str) -> None:
    store(ask, "a/b")

    (entry,) = body(ask("GET", f"{BUCKET}/{list_}"))["items"]

    assert (entry["entity"], entry["role"]) == ("project-owners-demo-project", "OWNER")


@pytest.mark.parametrize(
    "rest",
    [
        "iam",
        "iam/testPermissions",
        "notificationConfigs",
        "managedFolders",
        "storageLayout",
        "acl",
        "o/a/acl",
    ],
)
def test_nothing_is_said_of_what_is_not_there(ask: Ask, rest: str) -> None:
    assert ask("GET", f"/storage/v1/b/nowhere/{rest}").status == 404
    assert ask("GET", f"{BUCKET}/o/missing/acl").status == 404


def test_versioning_is_switched_on_and_off(ask: Ask) -> None:
    made = body(
        ask(
            "POST",
            "/storage/v1/b?project=demo-project",
            b'{"name": "versioned", "versioning": {"enabled": true}}',
        )
    )
    off = body(ask("PATCH", "/storage/v1/b/versioned", b'{"versioning": {"enabled": false}}'))
    on = body(ask("PATCH", BUCKET, b'{"versioning": {"enabled": true}}'))
    kept = body(ask("PATCH", BUCKET, b'{"labels": {"a": "b"}}'))

    assert made["versioning"] == on["versioning"] == kept["versioning"] == {"enabled": True}
    assert "versioning" not in off
    assert "versioning" not in body(ask("PATCH", BUCKET, b'{"versioning": null}'))
    assert ask("PATCH", BUCKET, b'{"versioning": {"enabled": "yes"}}').status == 400
    assert ask("PATCH", BUCKET, b'{"versioning": true}').status == 400


def test_a_generation_is_told_read_listed_and_deleted(ask: Ask) -> None:
    ask("PATCH", BUCKET, b'{"versioning": {"enabled": true}}')
    first, second = store(ask, "a", b"first"), store(ask, "a", b"second")
    which = f"{BUCKET}/o/a?generation={first['generation']}"

    listed = body(ask("GET", f"{BUCKET}/o?versions=true"))["items"]

    assert [item["generation"] for item in listed] == [first["generation"], second["generation"]]
    assert ["timeDeleted" in item for item in listed] == [True, False]
    assert body(ask("GET", which)) == listed[0]
    download = ask("GET", f"/download{which}&alt=media")
    assert not isinstance(download.content, dict) and b"".join(download.content) == b"first"  # type: ignore[arg-type]
    assert ask("DELETE", which).status == 204
    assert ask("GET", which).status == 404
    assert len(body(ask("GET", f"{BUCKET}/o?versions=true"))["items"]) == 1


def pages(ask: Ask, query: str) -> tuple[list[str], list[str], int]:
    """Names and prefixes of a whole listing, and in how many pages it came."""
    names: list[str] = []
    prefixes: list[str] = []
    token, count = "", 0
    while True:
        page: Any = body(ask("GET", f"{BUCKET}/o?{query}{token}"))
        names += [item["name"] for item in page.get("items", [])]
        prefixes += page.get("prefixes", [])
        count += 1
        if "nextPageToken" not in page:
            return names, prefixes, count
        token = f"&pageToken={quote(page['nextPageToken'])}"


def test_a_listing_has_only_what_fits_the_pattern(ask: Ask) -> None:
    for name in ("a.csv", "b.txt", "d/a.csv", "d/e/b.csv", "f/c.txt", "한/데이터.csv"):
        store(ask, name)

    assert pages(ask, "matchGlob=**.csv&maxResults=1")[0] == [
        "a.csv",
        "d/a.csv",
        "d/e/b.csv",
        "한/데이터.csv",
    ]
    assert pages(ask, "matchGlob=d/**")[0] == ["d/a.csv", "d/e/b.csv"]
    assert pages(ask, "matchGlob=d/*&delimiter=/&prefix=d/")[:2] == (["d/a.csv"], [])
    assert pages(ask, "matchGlob=**&delimiter=/") == (["a.csv", "b.txt"], ["d/", "f/", "한/"], 1)
    assert pages(ask, "matchGlob=*/&delimiter=/")[:2] == ([], ["d/", "f/", "한/"])
    assert pages(ask, "matchGlob=x*&prefix=d/") == ([], [], 1)
    assert pages(ask, "matchGlob=d/*.csv&prefix=d")[0] == ["d/a.csv"]


def test_a_pattern_that_fits_nothing_does_not_hold_one_request_for_ever(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlengine.storage.store_listing._MOST_LOOKED_AT", 3)
    for number in range(10):
        store(ask, f"x{number}")

    assert pages(ask, "matchGlob=**9") == (["x9"], [], 4)


def test_soft_deletion_is_refused_with_what_to_do_instead(ask: Ask) -> None:
    refused = ask("GET", f"{BUCKET}/o?softDeleted=true")

    assert refused.status == 400
    assert "versions=true" in body(refused)["error"]["message"]


@pytest.mark.parametrize("token", ["gA==", "YQ==/w==", quote("Yf94")])
def test_a_page_token_of_another_making_is_refused(ask: Ask, token: str) -> None:
    assert ask("GET", f"{BUCKET}/o?pageToken={token}").status == 400


def test_whoever_has_the_etag_gets_304(ask: Ask) -> None:
    found = store(ask, "a")

    assert ask("GET", f"{BUCKET}/o/a", if_none_match=found["etag"]).status == 304
    assert ask("GET", f"{BUCKET}/o/a", if_none_match='"other"').status == 200
    assert ask("GET", f"{BUCKET}/o/a", if_match='"other"').status == 412
    ask("PATCH", f"{BUCKET}/o/a", b'{"contentType": "text/x"}')
    assert ask("GET", f"{BUCKET}/o/a", if_none_match=found["etag"]).status == 200


def test_another_project_is_named_with_the_right_one(sqlite: SqlDatabase, clock: HandClock) -> None:
    service = StorageService(
        sqlite,
        MemoryBlobs(),
        clock,
        project=ProjectService(sqlite, clock, first="demo-project").meant,
        quota=Quota(size=5, objects=2),
    )
    ask = asking(service)

    refused = ask("POST", "/storage/v1/b?project=other-project", b'{"name": "new-bucket"}')

    assert (refused.status, "'demo-project'" in body(refused)["error"]["message"]) == (404, True)
    assert ask("GET", "/storage/v1/b?project=other-project").status == 404
    assert ask("POST", "/storage/v1/b", b'{"name": "new-bucket"}').status == 200
    assert len(body(ask("GET", "/storage/v1/b"))["items"]) == 1


def test_too_much_is_413_with_the_numbers_so_that_no_client_tries_again(
    sqlite: SqlDatabase, clock: HandClock
) -> None:
    service = StorageService(sqlite, MemoryBlobs(), clock, small=-1, quota=Quota(size=5))
    service.buckets.create("bucket", "demo-project")
    ask = asking(service)

    refused = ask("POST", "/upload/storage/v1/b/bucket/o?uploadType=media&name=a", b"123456")

    error = body(refused)["error"]
    assert (refused.status, error["code"], error["status"]) == (413, 413, "RESOURCE_EXHAUSTED")
    assert error["errors"][0]["reason"] == "quotaExceeded"
    assert "stores 0 bytes of the 5 it may; 6 more do not fit" in error["message"]
    assert "Delete objects" in error["message"]


def asking(service: StorageService) -> Ask:
    """`ask` for a service of its own."""
    router = Router(methods(service))

    def ask(verb: str, target: str, content: bytes = b"") -> Reply:
        from urllib.parse import parse_qsl

        from mlengine.errors import Problem
        from mlengine.web.envelope import envelope, http_code

        path, _, query = target.partition("?")
        try:
            method, variables = router.find(verb, path)
            answer = method.handler(Call(path=variables, query=dict(parse_qsl(query)), body=iter([content])))
        except Problem as problem:
            return Reply(content=envelope(problem), status=http_code(problem))
        return answer if isinstance(answer, Reply) else Reply(content=answer)

    return ask


def test_the_proof_is_asked_for_page_by_page(ask: Ask, service: StorageService, blobs: MemoryBlobs) -> None:
    found = store(ask, "a")
    blobs.delete(next(iter(blobs.list())).key)

    answers = [body(ask("POST", "/mlengine/v1/storage:fsck", b'{"checksums": true}'))]
    while token := answers[-1].get("nextPageToken"):
        asked = json.dumps({"checksums": True, "pageToken": token}).encode()
        answers.append(body(ask("POST", "/mlengine/v1/storage:fsck", asked)))

    assert [answer["objectsChecked"] for answer in answers] == ["1", "0", "0", "0"]
    (finding,) = answers[0]["findings"]
    assert (finding["kind"], finding["subject"]) == ("MISSING", f"gs://bucket/a#{found['generation']}")
    assert ask("POST", "/mlengine/v1/storage:fsck", b'{"repair": "yes"}').status == 400
