"""The Storage XML API, request by request."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import parse_qsl, quote
from xml.etree import ElementTree

import pytest

from mlengine.backends.blobs_memory import MemoryBlobs
from mlengine.errors import PermissionDenied
from mlengine.names import ObjectUrl
from mlengine.storage import xml_api
from mlengine.storage.domain import Attributes
from mlengine.storage.service import StorageService
from mlengine.web.method import Call, Reply
from mlengine.web.routing import Router
from tests.conftest import HandClock

Ask = Callable[..., Reply]
SPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"


def asking(service: StorageService, admit: xml_api.Admit = lambda call: call) -> Ask:
    """Call a method as the web door does: verb, path with query, body, header fields."""
    router = Router(xml_api.methods(service, admit))

    def call(verb: str, target: str, body: bytes = b"", **fields: str) -> Reply:
        path, _, query = target.partition("?")
        method, variables = router.find(verb, path)
        answer = method.handler(
            Call(
                path=variables,
                verb=verb,
                target=target,
                query=dict(parse_qsl(query, keep_blank_values=True)),
                headers={name.replace("_", "-"): value for name, value in fields.items()},
                base_url="https://storage.example:8443",
                body=iter([body] if body else []),
            )
        )
        assert isinstance(answer, Reply)
        return answer

    return call


@pytest.fixture
def ask(service: StorageService) -> Ask:
    return asking(service)


def raw(reply: Reply) -> bytes:
    """The answer's bytes, streamed or not."""
    assert not isinstance(reply.content, dict)
    return reply.content if isinstance(reply.content, bytes) else b"".join(reply.content)


def code(reply: Reply) -> tuple[int, str]:
    """Status and word of an error."""
    return reply.status, ElementTree.fromstring(raw(reply)).findtext("Code") or ""


def texts(reply: Reply, path: str) -> list[str]:
    """The texts of all elements at a path, such as "Contents/Key"."""
    assert reply.status == 200, raw(reply)
    steps = "/".join(SPACE + step for step in path.split("/"))
    return [element.text or "" for element in ElementTree.fromstring(raw(reply)).findall(steps)]


def test_an_object_is_put_got_and_deleted(ask: Ask) -> None:
    put = ask(
        "PUT", "/bucket/a%20b/%ED%95%9C%2Etxt", b"hello", content_type="text/plain", x_goog_meta_who="me"
    )

    got = ask("GET", "/bucket/a%20b%2F%ED%95%9C%2Etxt")
    assert (got.status, raw(got), got.length) == (200, b"hello", 5)
    assert got.headers["content-type"] == "text/plain"
    assert got.headers["x-goog-meta-who"] == "me"
    for name in ("etag", "last-modified", "x-goog-generation", "x-goog-hash"):
        assert got.headers[name] == put.headers[name]
    assert "crc32c=mnG7TA==" in put.headers["x-goog-hash"]
    head = ask("HEAD", "/bucket/a%20b%2F%ED%95%9C%2Etxt")
    assert (raw(head), head.headers["content-length"]) == (b"", "5")
    assert ask("DELETE", "/bucket/a%20b%2F%ED%95%9C%2Etxt").status == 204
    assert code(ask("GET", "/bucket/a%20b%2F%ED%95%9C%2Etxt")) == (404, "NoSuchKey")


def test_a_put_keeps_all_that_its_head_says(ask: Ask, service: StorageService) -> None:
    ask(
        "PUT",
        "/bucket/a",
        b"x",
        cache_control="no-store",
        content_disposition="attachment",
        content_language="ko",
        x_goog_custom_time="2026-01-01T00:00:00Z",
        x_goog_storage_class="NEARLINE",
        x_goog_meta_name="학생".encode().decode("latin-1"),
    )

    assert service.get(ObjectUrl("bucket", "a")).attributes == Attributes(
        cache_control="no-store",
        content_disposition="attachment",
        content_language="ko",
        custom_time="2026-01-01T00:00:00Z",
        storage_class="NEARLINE",
        metadata={"name": "학생"},
    )
    assert ask("GET", "/bucket/a").headers["x-goog-meta-name"].encode("latin-1").decode() == "학생"


@pytest.mark.parametrize(
    ("asked", "status", "content", "content_range"),
    [
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=-2", 206, b"89", "bytes 8-9/10"),
        ("bytes=0-41943040", 206, b"0123456789", "bytes 0-9/10"),
        ("lines=1-2", 200, b"0123456789", None),
    ],
)
def test_a_range_is_answered_as_far_as_it_exists(
    ask: Ask, asked: str, status: int, content: bytes, content_range: str | None
) -> None:
    ask("PUT", "/bucket/a", b"0123456789")

    got = ask("GET", "/bucket/a", range=asked)

    assert (got.status, raw(got), got.headers.get("content-range")) == (status, content, content_range)


def test_a_range_past_the_end_tells_the_size(ask: Ask) -> None:
    ask("PUT", "/bucket/a", b"0123456789")

    got = ask("GET", "/bucket/a", range="bytes=10-")

    assert code(got) == (416, "InvalidRange")
    assert got.headers["content-range"] == "bytes */10"


def test_a_reader_says_by_etag_what_it_has(ask: Ask) -> None:
    tag = ask("PUT", "/bucket/a", b"x").headers["etag"]
    ask("PUT", "/bucket/other", b"x")

    for verb in ("GET", "HEAD"):
        assert ask(verb, "/bucket/a", if_none_match=tag).status == 304
        assert ask(verb, "/bucket/a", if_none_match='"else", ' + tag).status == 304
        assert ask(verb, "/bucket/other", if_none_match=tag).status == 200
        assert ask(verb, "/bucket/a", if_match=tag).status == 200
        assert ask(verb, "/bucket/other", if_match=tag).status == 412
    assert raw(ask("GET", "/bucket/a", range="bytes=0-0", if_range='"else"')) == b"x"


def test_a_range_is_given_only_of_the_object_it_was_meant_for(ask: Ask) -> None:
    tag = ask("PUT", "/bucket/a", b"0123").headers["etag"]

    assert raw(ask("GET", "/bucket/a", range="bytes=1-1", if_range=tag)) == b"1"
    assert raw(ask("GET", "/bucket/a", range="bytes=1-1", if_range='"another"')) == b"0123"


def test_a_writer_says_what_it_writes_over(ask: Ask) -> None:
    first = ask("PUT", "/bucket/a", b"1", x_goog_if_generation_match="0")

    assert code(ask("PUT", "/bucket/a", b"2", x_goog_if_generation_match="0")) == (412, "PreconditionFailed")
    assert code(ask("PUT", "/bucket/a", b"2", if_none_match="*")) == (412, "PreconditionFailed")
    assert code(ask("PUT", "/bucket/new", b"2", if_match="*")) == (412, "PreconditionFailed")
    assert code(ask("PUT", "/bucket/a", b"2", if_match='"another"')) == (412, "PreconditionFailed")
    second = ask("PUT", "/bucket/a", b"2", if_match=first.headers["etag"])
    assert second.status == 200
    assert ask("DELETE", "/bucket/a", if_match=first.headers["etag"]).status == 412
    generation = second.headers["x-goog-generation"]
    assert ask("DELETE", "/bucket/a", x_goog_if_generation_match=generation).status == 204


def test_damaged_content_is_not_stored(ask: Ask) -> None:
    assert code(ask("PUT", "/bucket/a", b"hello", x_goog_hash="crc32c=AAAAAA==")) == (400, "InvalidArgument")
    assert code(ask("PUT", "/bucket/a", b"hello", content_md5="XUFAKrxLKna5cZ2REBfFkA==")) == (
        400,
        "InvalidArgument",
    )
    assert code(ask("GET", "/bucket/a")) == (404, "NoSuchKey")


def test_a_copy_keeps_what_is_said_about_its_source_unless_told_otherwise(ask: Ask) -> None:
    ask("PUT", "/bucket/a%2Eb", b"x", content_type="text/a", x_goog_meta_k="v")

    copied = ask("PUT", "/bucket/b", x_goog_copy_source="/bucket/a%2Eb")
    ask(
        "PUT",
        "/bucket/c",
        x_goog_copy_source="bucket/a%2Eb",
        x_goog_metadata_directive="REPLACE",
        content_type="text/c",
    )

    assert texts(copied, "ETag") == [copied.headers["etag"]]
    assert ask("HEAD", "/bucket/b").headers["content-type"] == "text/a"
    assert ask("HEAD", "/bucket/b").headers["x-goog-meta-k"] == "v"
    assert ask("HEAD", "/bucket/c").headers["content-type"] == "text/c"
    assert "x-goog-meta-k" not in ask("HEAD", "/bucket/c").headers
    assert code(ask("PUT", "/bucket/d", x_goog_copy_source="/bucket/none")) == (404, "NoSuchKey")
    stale = ask(
        "PUT", "/bucket/d", x_goog_copy_source="/bucket/b", x_goog_copy_source_if_generation_match="1"
    )
    assert code(stale) == (412, "PreconditionFailed")
    assert code(ask("PUT", "/bucket/d", x_goog_copy_source="/bucket")) == (400, "InvalidArgument")


def test_the_second_listing_folds_and_pages(ask: Ask) -> None:
    names = ["a", "d/1", "d/2", "e/", "e/x", "f&<g>"]
    for name in names:
        ask("PUT", f"/bucket/{quote(name)}", b"x")

    page = ask("GET", "/bucket?list-type=2&delimiter=%2F&max-keys=3")
    assert (texts(page, "Contents/Key"), texts(page, "CommonPrefixes/Prefix")) == (["a"], ["d/", "e/"])
    assert (texts(page, "IsTruncated"), texts(page, "KeyCount")) == (["true"], ["3"])
    token = quote(texts(page, "NextContinuationToken")[0])
    rest = ask("GET", f"/bucket/?list-type=2&delimiter=%2F&continuation-token={token}")
    assert (texts(rest, "Contents/Key"), texts(rest, "IsTruncated")) == (["f&<g>"], ["false"])
    assert texts(ask("GET", "/bucket?list-type=2&prefix=e%2F"), "Contents/Key") == ["e/", "e/x"]
    assert texts(ask("GET", "/bucket?list-type=2&start-after=d%2F2"), "Contents/Key") == names[3:]
    assert texts(ask("GET", "/bucket?list-type=2&max-keys=0"), "Contents/Key") == []


def test_the_first_listing_goes_on_behind_its_marker(ask: Ask) -> None:
    for name in ["a", "d/1", "d/2", "e", "f"]:
        ask("PUT", f"/bucket/{name}", b"x")

    seen: list[list[str]] = []
    marker = ""
    while True:
        page = ask("GET", f"/bucket?delimiter=%2F&max-keys=1&marker={quote(marker, safe='')}")
        seen.append(texts(page, "Contents/Key") + texts(page, "CommonPrefixes/Prefix"))
        if texts(page, "IsTruncated") == ["false"]:
            break
        marker = texts(page, "NextMarker")[0]

    assert seen == [["a"], ["d/"], ["e"], ["f"]]


def test_names_that_xml_cannot_hold_can_be_had_encoded(ask: Ask, service: StorageService) -> None:
    service.write(ObjectUrl("bucket", "line\nbreak\x01 한"), [b"x"])

    page = ask("GET", "/bucket?list-type=2&encoding-type=url&prefix=line")

    assert texts(page, "Contents/Key") == [quote("line\nbreak\x01 한")]
    assert b"&#1;" in raw(ask("GET", "/bucket?list-type=2"))


@pytest.mark.parametrize(
    "query",
    [
        "list-type=3",
        "max-keys=x",
        "list-type=2&continuation-token=%21",
        "encoding-type=base64",
        "uploads",
        "versions",
        "acl",
    ],
)
def test_a_listing_that_cannot_be_had_is_refused(ask: Ask, query: str) -> None:
    assert code(ask("GET", f"/bucket?{query}")) == (400, "InvalidArgument")


@pytest.mark.parametrize("verb", ["GET", "PUT", "DELETE"])
def test_a_part_of_an_object_is_never_taken_for_the_object(ask: Ask, verb: str) -> None:
    ask("PUT", "/bucket/a", b"x")

    assert code(ask(verb, "/bucket/a?acl", b"<AccessControlList/>")) == (400, "InvalidArgument")
    assert raw(ask("GET", "/bucket/a")) == b"x"


def test_a_bucket_that_is_not_there_is_named(ask: Ask) -> None:
    for verb, path in [("GET", "/none"), ("GET", "/none/a"), ("PUT", "/none/a"), ("POST", "/none/a?uploads")]:
        assert code(ask(verb, path)) == (404, "NoSuchBucket")
    assert ask("HEAD", "/none").status == 404
    assert ask("HEAD", "/bucket").status == 200


def test_gzip_is_undone_for_whoever_does_not_take_it(ask: Ask) -> None:
    ask("PUT", "/bucket/a", gzip.compress(b"text"), content_encoding="gzip", content_type="text/plain")

    assert raw(ask("GET", "/bucket/a")) == b"text"
    packed = ask("GET", "/bucket/a", accept_encoding="gzip, deflate")
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(raw(packed)) == b"text"


def test_the_url_may_say_how_a_browser_shows_it(ask: Ask) -> None:
    ask("PUT", "/bucket/a", b"x", content_type="text/plain")

    got = ask("GET", "/bucket/a?response-content-type=text/csv&response-content-disposition=inline")

    assert (got.headers["content-type"], got.headers["content-disposition"]) == ("text/csv", "inline")
    assert code(ask("GET", "/bucket/a?response-content-type=a%0Ab")) == (400, "InvalidArgument")


def test_a_resumable_upload_goes_by_this_api_too(ask: Ask) -> None:
    begun = ask("POST", "/bucket/d/a%2Eb", x_goog_resumable="start", content_type="text/plain")
    assert begun.status == 201
    location = begun.headers["location"].removeprefix("https://storage.example:8443")
    assert location.startswith("/bucket/d/a.b?upload_id=")

    first = ask("PUT", location, b"01234", content_range="bytes 0-4/*")
    assert (first.status, first.headers["range"]) == (308, "bytes=0-4")
    done = ask("PUT", location, b"56789", content_range="bytes 5-9/10")

    assert (done.status, raw(done)) == (200, b"")
    assert done.headers["etag"] == ask("HEAD", "/bucket/d/a.b").headers["etag"]
    assert ask("HEAD", "/bucket/d/a.b").headers["content-type"] == "text/plain"


def test_parts_are_joined_in_the_order_named(ask: Ask) -> None:
    started = ask("POST", "/bucket/big?uploads", content_type="text/x", x_goog_meta_k="v")
    upload = texts(started, "UploadId")[0]
    second = ask("PUT", f"/bucket/big?partNumber=2&uploadId={upload}", b"-two-")
    first = ask("PUT", f"/bucket/big?partNumber=1&uploadId={upload}", b"one")
    ask("PUT", f"/bucket/big?partNumber=7&uploadId={upload}", b"never named")
    assert texts(ask("GET", f"/bucket/big?uploadId={upload}"), "Part/PartNumber") == ["1", "2", "7"]
    assert code(ask("GET", "/bucket/big")) == (404, "NoSuchKey")

    done = ask("POST", f"/bucket/big?uploadId={upload}", complete({1: first, 2: second}))

    assert texts(done, "Key") == ["big"]
    got = ask("GET", "/bucket/big")
    assert (raw(got), got.headers["content-type"], got.headers["x-goog-meta-k"]) == (
        b"one-two-",
        "text/x",
        "v",
    )
    assert got.headers["etag"] == texts(done, "ETag")[0]
    again = ask("POST", f"/bucket/big?uploadId={upload}", complete({1: first, 2: second}))
    assert texts(again, "ETag") == texts(done, "ETag")


def test_an_upload_in_parts_that_is_wrong_is_refused_and_stays(ask: Ask) -> None:
    upload = texts(ask("POST", "/bucket/big?uploads"), "UploadId")[0]
    part = ask("PUT", f"/bucket/big?partNumber=1&uploadId={upload}", b"one")
    target = f"/bucket/big?uploadId={upload}"

    for body in (
        b"",
        b"<no xml",
        b"<CompleteMultipartUpload/>",
        b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        complete({2: part}),
        complete({1: part}).replace(b"PartNumber>1", b"PartNumber>x"),
        complete({1: Reply(headers={"etag": '"0"'})}),
        b"<A>" + b"<Part><PartNumber>1</PartNumber></Part>" * 2 + b"</A>",
    ):
        assert code(ask("POST", target, body)) == (400, "InvalidArgument"), body
    for number in ("0", "10001", "x", ""):
        assert code(ask("PUT", f"{target}&partNumber={number}", b"x")) == (400, "InvalidArgument")
    assert code(ask("POST", "/bucket/other?uploadId=" + upload, complete({1: part}))) == (404, "NoSuchUpload")
    assert ask("POST", target, complete({1: part})).status == 200


def test_an_aborted_upload_is_gone_with_its_parts(ask: Ask, blobs: MemoryBlobs) -> None:
    upload = texts(ask("POST", "/bucket/big?uploads"), "UploadId")[0]
    ask("PUT", f"/bucket/big?partNumber=1&uploadId={upload}", b"one")
    ask("PUT", f"/bucket/big?partNumber=1&uploadId={upload}", b"one, again")

    assert ask("DELETE", f"/bucket/big?uploadId={upload}").status == 204

    assert list(blobs.list()) == []
    assert code(ask("PUT", f"/bucket/big?partNumber=1&uploadId={upload}", b"x")) == (404, "NoSuchUpload")
    assert code(ask("DELETE", f"/bucket/big?uploadId={upload}")) == (404, "NoSuchUpload")


def test_an_upload_in_parts_keeps_to_its_condition(ask: Ask) -> None:
    started = ask("POST", "/bucket/big?uploads", x_goog_if_generation_match="0")
    upload = texts(started, "UploadId")[0]
    part = ask("PUT", f"/bucket/big?partNumber=1&uploadId={upload}", b"one")
    ask("PUT", "/bucket/big", b"meanwhile")

    refused = ask("POST", f"/bucket/big?uploadId={upload}", complete({1: part}))

    assert code(refused) == (412, "PreconditionFailed")
    assert raw(ask("GET", "/bucket/big")) == b"meanwhile"
    assert code(ask("POST", "/bucket/big?uploads", x_goog_if_generation_match="0"))[0] == 412


def test_parts_nobody_goes_on_with_expire(
    ask: Ask, service: StorageService, blobs: MemoryBlobs, clock: HandClock
) -> None:
    upload = texts(ask("POST", "/bucket/big?uploads"), "UploadId")[0]
    ask("PUT", f"/bucket/big?partNumber=1&uploadId={upload}", b"one")
    ask("PUT", "/bucket/kept", b"x")
    clock.forward(3600)
    service.collect(timedelta(days=1))
    assert len(list(blobs.list())) == 2

    clock.forward(2 * 24 * 3600)
    service.collect(timedelta(days=1))

    assert len(list(blobs.list())) == 1
    assert code(ask("GET", f"/bucket/big?uploadId={upload}")) == (404, "NoSuchUpload")


def test_a_deleted_bucket_takes_its_parts_along(
    ask: Ask, service: StorageService, blobs: MemoryBlobs
) -> None:
    service.buckets.create("second", "demo-project")
    upload = texts(ask("POST", "/second/big?uploads"), "UploadId")[0]
    ask("PUT", f"/second/big?partNumber=1&uploadId={upload}", b"one")

    service.buckets.delete("second")

    assert list(blobs.list()) == []


def test_each_kind_of_upload_knows_its_own_only(ask: Ask) -> None:
    in_parts = texts(ask("POST", "/bucket/a?uploads"), "UploadId")[0]
    begun = ask("POST", "/bucket/a", x_goog_resumable="start").headers["x-guploader-uploadid"]

    assert code(ask("PUT", f"/bucket/a?upload_id={in_parts}", b"x")) == (404, "NoSuchUpload")
    assert code(ask("PUT", f"/bucket/a?partNumber=1&uploadId={begun}", b"x")) == (404, "NoSuchUpload")
    assert code(ask("POST", "/bucket/a", b"x")) == (400, "InvalidArgument")


def test_whoever_is_not_admitted_hears_why(service: StorageService) -> None:
    def nobody(call: Call) -> Call:
        detail = {"reason": "ExpiredToken", "metadata": {"Until": "noon"}}
        raise PermissionDenied("Too late.", details=(detail,))

    refused = asking(service, nobody)("GET", "/bucket/a")

    assert code(refused) == (403, "ExpiredToken")
    assert ElementTree.fromstring(raw(refused)).findtext("Until") == "noon"
    assert ElementTree.fromstring(raw(refused)).findtext("Message") == "Too late."


def complete(parts: dict[int, Reply]) -> bytes:
    """The body that names parts, by the answers to their uploads."""
    named = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>{reply.headers['etag']}</ETag></Part>"
        for number, reply in parts.items()
    )
    return f'<CompleteMultipartUpload xmlns="{SPACE[1:-1]}">{named}</CompleteMultipartUpload>'.encode()
