"""The Storage JSON API, request by request."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from mlengine.web.method import Reply
from tests.unit.storage.conftest import Ask

UPLOAD = "/upload/storage/v1/b/bucket/o"


def body(reply: Reply) -> Any:
    """The answer's JSON, which must be an object."""
    assert isinstance(reply.content, dict), reply
    return reply.content


def raw(reply: Reply) -> bytes:
    """The answer's bytes, streamed or not."""
    assert not isinstance(reply.content, dict), reply
    return reply.content if isinstance(reply.content, bytes) else b"".join(reply.content)


def store(ask: Ask, name: str, content: bytes = b"0123456789", **fields: str) -> Any:
    return body(ask("POST", f"{UPLOAD}?uploadType=media&name={quote(name, safe='')}", content, **fields))


def location(reply: Reply) -> str:
    """Path and query of where an upload goes on."""
    parts = urlsplit(reply.headers["location"])
    assert f"{parts.scheme}://{parts.netloc}" == "https://storage.example:8443"
    return f"{parts.path}?{parts.query}"


def test_an_object_tells_what_clients_read(ask: Ask) -> None:
    found = store(ask, "a b/한", b"hello", content_type="text/plain")

    assert found == body(ask("GET", f"/storage/v1/b/bucket/o/{quote('a b/한', safe='')}"))
    assert (found["kind"], found["bucket"], found["name"]) == ("storage#object", "bucket", "a b/한")
    assert (found["size"], found["metageneration"], found["contentType"]) == ("5", "1", "text/plain")
    assert (found["crc32c"], found["md5Hash"]) == ("mnG7TA==", "XUFAKrxLKna5cZ2REBfFkg==")
    assert found["timeCreated"] == "2026-11-02T09:30:00.000Z"
    assert found["selfLink"] == "https://storage.example:8443/storage/v1/b/bucket/o/a%20b%2F%ED%95%9C"
    assert found["mediaLink"].endswith(f"?generation={found['generation']}&alt=media")
    base64.b64decode(found["etag"], validate=True)


@pytest.mark.parametrize("quotes", ['"{}"', "'{}'", "{}"])
@pytest.mark.parametrize("newline", ["\r\n", "\n"])
@pytest.mark.parametrize("name", ["query", "json"])
def test_a_multipart_upload_is_read_however_it_is_spelled(
    ask: Ask, quotes: str, newline: str, name: str
) -> None:
    boundary = "===============91=="
    resource = {"contentType": "text/x", "metadata": {"k": "v"}} | ({"name": "a"} if name == "json" else {})
    lines = [f"--{boundary}", "Content-Type: application/json", "", json.dumps(resource)]
    lines += [f"--{boundary}", "Content-Type: application/x-other", "", "content\r\n", f"--{boundary}--"]
    content = newline.join(lines).encode()

    found = body(
        ask(
            "POST",
            f"{UPLOAD}?uploadType=multipart{'&name=a' if name == 'query' else ''}",
            [content[:30], content[30:31], content[31:]],
            content_type=f"multipart/related; boundary={quotes.format(boundary)}",
        )
    )

    assert (found["name"], found["size"], found["contentType"]) == ("a", "9", "text/x")
    assert found["metadata"] == {"k": "v"}
    assert raw(ask("GET", "/storage/v1/b/bucket/o/a?alt=media")) == b"content\r\n"


def test_a_multipart_upload_that_breaks_off_stores_nothing(ask: Ask) -> None:
    content = b'--b\n\n{"name": "a"}\n--b\n\nhalf'

    reply = ask(
        "POST", f"{UPLOAD}?uploadType=multipart", content, content_type="multipart/related; boundary=b"
    )

    assert (reply.status, body(reply)["error"]["message"]) == (
        400,
        "The body breaks off before its last boundary.",
    )
    assert "items" not in body(ask("GET", "/storage/v1/b/bucket/o"))


@pytest.mark.parametrize("prefix", ["/upload", "/resumable/upload"])
@pytest.mark.parametrize("verb", ["PUT", "POST"])
def test_an_upload_goes_in_parts_by_put_and_by_post(ask: Ask, prefix: str, verb: str) -> None:
    begun = ask(
        "POST",
        f"{prefix}/storage/v1/b/bucket/o?uploadType=resumable",
        b'{"name": "a#b", "metadata": {"k": "v"}}',
        x_upload_content_type="text/x",
    )
    assert (begun.status, begun.content) == (200, b"")

    first = ask(verb, location(begun), b"0123", content_range="bytes 0-3/*")
    asked = ask(verb, location(begun), content_range="bytes */*")
    last = ask(verb, location(begun), content_range="bytes */4")

    assert (first.status, first.headers["range"]) == (308, "bytes=0-3")
    assert (asked.status, asked.headers["range"]) == (308, "bytes=0-3")
    assert (last.status, body(last)["name"], body(last)["size"]) == (200, "a#b", "4")
    assert (body(last)["contentType"], body(last)["metadata"]) == ("text/x", {"k": "v"})
    assert body(ask(verb, location(begun), content_range="bytes */4")) == body(last)


def test_an_upload_without_bytes_yet_has_no_range(ask: Ask) -> None:
    begun = ask("POST", f"{UPLOAD}?uploadType=resumable&name=a")

    assert "range" not in ask("PUT", location(begun), content_range="bytes */10").headers


def test_clients_that_take_308_for_a_redirection_get_200(ask: Ask) -> None:
    begun = ask("POST", f"{UPLOAD}?uploadType=resumable&name=a")

    reply = ask("PUT", location(begun), b"0123", content_range="bytes 0-3/*", x_guploader_no_308="yes")

    assert (reply.status, reply.headers["x-http-status-code-override"]) == (200, "308")
    assert reply.headers["range"] == "bytes=0-3"


def test_an_upload_is_given_up_with_499(ask: Ask) -> None:
    begun = ask("POST", f"{UPLOAD}?uploadType=resumable&name=a")

    assert ask("DELETE", location(begun)).status == 499
    assert ask("PUT", location(begun), content_range="bytes */*").status == 404


@pytest.mark.parametrize("text", ["bytes 5-3/9", "bytes 0-9/5", "0-3/*", "bytes a-b/c", "bytes -5/9"])
def test_a_content_range_that_makes_no_sense_is_refused(ask: Ask, text: str) -> None:
    begun = ask("POST", f"{UPLOAD}?uploadType=resumable&name=a")

    assert ask("PUT", location(begun), b"0123", content_range=text).status == 400


@pytest.mark.parametrize(
    "fields", [{"x_goog_hash": "crc32c=AAAAAA=="}, {"x_goog_hash": "md5=" + "A" * 22 + "=="}]
)
def test_a_content_that_is_not_what_its_hash_says_is_refused(ask: Ask, fields: dict[str, str]) -> None:
    reply = ask("POST", f"{UPLOAD}?uploadType=media&name=a", b"hello", **fields)

    assert reply.status == 400
    assert ask("GET", "/storage/v1/b/bucket/o/a").status == 404


def test_a_hash_that_fits_is_fine_and_one_that_is_none_is_refused(ask: Ask) -> None:
    store(ask, "a", b"hello", x_goog_hash="crc32c=mnG7TA==,md5=XUFAKrxLKna5cZ2REBfFkg==")

    assert ask("POST", f"{UPLOAD}?uploadType=media&name=b", b"hello", x_goog_hash="crc32c=mnG7").status == 400


@pytest.mark.parametrize(
    ("header", "status", "content", "content_range"),
    [
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=8-41943040", 206, b"89", "bytes 8-9/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=-30", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=4-2", 200, b"0123456789", None),
        ("bytes=0-1,3-4", 200, b"0123456789", None),
        ("lines=1-2", 200, b"0123456789", None),
    ],
)
@pytest.mark.parametrize("prefix", ["", "/download"])
def test_a_range_is_answered(
    ask: Ask, prefix: str, header: str, status: int, content: bytes, content_range: str | None
) -> None:
    store(ask, "a")

    reply = ask("GET", f"{prefix}/storage/v1/b/bucket/o/a?alt=media", range=header)

    assert (reply.status, raw(reply), reply.headers.get("content-range")) == (status, content, content_range)
    assert reply.length == len(content)


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-20", "bytes=-0"])
def test_a_range_past_the_end_is_416(ask: Ask, header: str) -> None:
    store(ask, "a")

    reply = ask("GET", "/storage/v1/b/bucket/o/a?alt=media", range=header)

    assert (reply.status, reply.headers["content-range"]) == (416, "bytes */10")
    assert body(reply)["error"]["errors"][0]["reason"] == "requestedRangeNotSatisfiable"


def test_a_download_carries_hashes_and_type_and_is_harmless_in_a_browser(ask: Ask) -> None:
    found = store(ask, "a", b"<script>", content_type="text/html")

    headers = ask("GET", "/storage/v1/b/bucket/o/a?alt=media").headers

    assert headers["content-type"] == "text/html"
    assert headers["x-goog-hash"] == f"crc32c={found['crc32c']},md5={found['md5Hash']}"
    assert headers["x-goog-generation"] == found["generation"]
    assert (headers["content-security-policy"], headers["x-content-type-options"]) == ("sandbox", "nosniff")


def test_packed_content_is_unpacked_for_whoever_cannot(ask: Ask) -> None:
    packed = gzip.compress(b"one\n" * 100_000) + gzip.compress(b"two\n")
    store(ask, "a", packed, content_encoding="gzip")
    path = "/storage/v1/b/bucket/o/a?alt=media"

    as_it_is = ask("GET", path, accept_encoding="gzip, deflate")
    unpacked = ask("GET", path, range="bytes=0-3")

    assert (raw(as_it_is), as_it_is.headers["content-encoding"]) == (packed, "gzip")
    assert "content-encoding" not in unpacked.headers and unpacked.length is None
    assert raw(unpacked) == b"one\n" * 100_000 + b"two\n"


def test_a_reader_who_has_the_generation_gets_304(ask: Ask) -> None:
    found = store(ask, "a")

    reply = ask("GET", f"/storage/v1/b/bucket/o/a?alt=media&ifGenerationNotMatch={found['generation']}")

    assert (reply.status, reply.content) == (304, b"")


def test_an_unmet_condition_is_412_in_the_words_of_storage(ask: Ask) -> None:
    store(ask, "a")

    reply = ask("POST", f"{UPLOAD}?uploadType=media&name=a&ifGenerationMatch=0", b"x")

    error = body(reply)["error"]
    assert (reply.status, error["code"]) == (412, 412)
    assert (error["errors"][0]["domain"], error["errors"][0]["reason"]) == ("global", "conditionNotMet")


def test_a_listing_applies_fields_and_pages(ask: Ask) -> None:
    for name in ("a", "b/c", "d"):
        store(ask, name)

    path = "/storage/v1/b/bucket/o?delimiter=/&maxResults=2&fields=items/name,prefixes,nextPageToken"
    first = body(ask("GET", path))
    second = body(ask("GET", f"{path}&pageToken={quote(first['nextPageToken'])}"))

    assert (first["items"], first["prefixes"]) == ([{"name": "a"}], ["b/"])
    assert second == {"items": [{"name": "d"}]}


@pytest.mark.parametrize(
    "query", ["pageToken=!!", "maxResults=x", "matchGlob=[", "softDeleted=true", "fields=a("]
)
def test_a_listing_that_cannot_be_had_is_refused(ask: Ask, query: str) -> None:
    assert ask("GET", f"/storage/v1/b/bucket/o?{query}").status == 400


def test_a_rewrite_is_done_at_once(ask: Ask) -> None:
    store(ask, "a", content_type="text/x")

    kept = body(ask("POST", "/storage/v1/b/bucket/o/a/rewriteTo/b/bucket/o/x%2Fy", b"{}"))
    changed = body(ask("POST", "/storage/v1/b/bucket/o/a/copyTo/b/bucket/o/z", b'{"contentType": "text/y"}'))
    moved = body(ask("POST", "/storage/v1/b/bucket/o/a/moveTo/o/w"))

    assert (kept["done"], kept["totalBytesRewritten"], kept["objectSize"]) == (True, "10", "10")
    assert (kept["resource"]["name"], kept["resource"]["contentType"]) == ("x/y", "text/x")
    assert (changed["name"], changed["contentType"], moved["name"]) == ("z", "text/y", "w")
    assert ask("GET", "/storage/v1/b/bucket/o/a").status == 404


def test_a_compose_checks_its_sources(ask: Ask) -> None:
    first = store(ask, "a", b"1")
    sources = [
        {"name": "a", "objectPreconditions": {"ifGenerationMatch": first["generation"]}},
        {"name": "a"},
    ]

    found = body(
        ask("POST", "/storage/v1/b/bucket/o/c/compose", json.dumps({"sourceObjects": sources}).encode())
    )
    store(ask, "a", b"2")
    stale = ask("POST", "/storage/v1/b/bucket/o/c/compose", json.dumps({"sourceObjects": sources}).encode())

    assert (found["size"], found["componentCount"], "md5Hash" in found) == ("2", 2, False)
    assert stale.status == 412
    assert ask("POST", "/storage/v1/b/bucket/o/c/compose", b'{"sourceObjects": "a"}').status == 400


def test_null_takes_a_value_away_and_an_update_replaces_all(ask: Ask) -> None:
    store(ask, "a", content_type="text/x")
    ask(
        "PATCH", "/storage/v1/b/bucket/o/a", b'{"metadata": {"x": "1", "y": "2"}, "cacheControl": "no-store"}'
    )

    patched = body(
        ask("PATCH", "/storage/v1/b/bucket/o/a", b'{"metadata": {"x": null}, "cacheControl": null}')
    )
    replaced = body(ask("PUT", "/storage/v1/b/bucket/o/a", b'{"contentType": "text/z"}'))

    assert (patched["metadata"], "cacheControl" in patched, patched["contentType"]) == (
        {"y": "2"},
        False,
        "text/x",
    )
    assert (replaced["contentType"], "metadata" in replaced, replaced["metageneration"]) == (
        "text/z",
        False,
        "4",
    )


@pytest.mark.parametrize("value", ["text/html\r\nSet-Cookie: a=b", "a\x00b", "\n"])
def test_no_value_can_smuggle_a_header_field(ask: Ask, value: str) -> None:
    store(ask, "a")

    reply = ask("PATCH", "/storage/v1/b/bucket/o/a", json.dumps({"contentDisposition": value}).encode())

    assert reply.status == 400


def test_a_batch_answers_every_call_in_its_order(ask: Ask) -> None:
    for name in ("a", "b"):
        store(ask, name)
    calls = [
        "DELETE /storage/v1/b/bucket/o/a",
        "DELETE /storage/v1/b/bucket/o/missing",
        "GET /storage/v1/b/bucket/o/b",
    ]
    content = "".join(
        f"--x\nContent-Type: application/http\nContent-ID: <id+{number}>\n\n{call} HTTP/1.1\n\n"
        for number, call in enumerate(calls)
    )

    reply = ask(
        "POST", "/batch/storage/v1", f"{content}\n--x--".encode(), content_type="multipart/mixed; boundary=x"
    )

    parts = raw(reply).decode().split("--" + reply.media_type.partition("boundary=")[2])[1:-1]
    assert [part.partition("HTTP/1.1 ")[2][:3] for part in parts] == ["204", "404", "200"]
    assert ["Content-ID: <response-id+0>" in parts[0], '"name": "b"' in parts[2]] == [True, True]


def test_a_batch_moves_no_contents(ask: Ask) -> None:
    store(ask, "a")
    content = b"--x\n\nGET /storage/v1/b/bucket/o/a?alt=media HTTP/1.1\n\n--x--"

    reply = ask("POST", "/batch/storage/v1", content, content_type="multipart/mixed; boundary=x")

    assert b"HTTP/1.1 400" in raw(reply)


def test_a_bucket_is_made_for_a_project(ask: Ask) -> None:
    made = body(
        ask(
            "POST",
            "/storage/v1/b?project=demo-project",
            b'{"name": "new-bucket", "location": "asia-northeast3", "labels": {"a": "b"}}',
        )
    )

    assert (made["name"], made["location"], made["labels"]) == ("new-bucket", "ASIA-NORTHEAST3", {"a": "b"})
    assert ask("POST", "/storage/v1/b?project=demo-project", b'{"name": "new-bucket"}').status == 409
    assert ask("POST", "/storage/v1/b", b'{"name": "other-bucket"}').status == 400
    assert ask("POST", "/storage/v1/b?project=demo-project", b'{"name": "No Bucket"}').status == 400
    listed = body(ask("GET", "/storage/v1/b?project=demo-project&maxResults=1"))
    assert [bucket["name"] for bucket in listed["items"]] == ["bucket"]
    following = body(ask("GET", f"/storage/v1/b?project=demo-project&pageToken={listed['nextPageToken']}"))
    assert [bucket["name"] for bucket in following["items"]] == ["new-bucket"]
    assert body(ask("GET", "/storage/v1/b/bucket/storageLayout"))["hierarchicalNamespace"] == {
        "enabled": False
    }
    assert ask("DELETE", "/storage/v1/b/new-bucket").status == 204


def test_a_promise_that_would_not_be_kept_is_refused(ask: Ask) -> None:
    for promise in ({"lifecycle": {"rule": [{}]}}, {"retentionPolicy": {"retentionPeriod": "9"}}):
        resource = json.dumps({"name": "new-bucket"} | promise).encode()
        assert ask("POST", "/storage/v1/b?project=demo-project", resource).status == 400
        assert ask("PATCH", "/storage/v1/b/bucket", json.dumps(promise).encode()).status == 400
    off = b'{"name": "new-bucket", "versioning": {"enabled": false}, "lifecycle": {}}'
    assert ask("POST", "/storage/v1/b?project=demo-project", off).status == 200


def test_the_empty_object_name_is_not_found(ask: Ask) -> None:
    assert ask("GET", "/storage/v1/b/bucket/o/").status == 404
