"""Heads recalled from earlier ones mean what a parser would read in them."""

from __future__ import annotations

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlengine.web.heads import KnownHeads, Request, understand


class Parsed:
    """A head, read by the parser alone."""

    def __init__(self, head: bytes) -> None:
        self.target = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.parser = httptools.HttpRequestParser(self)
        self.parser.feed_data(head)

    def on_url(self, piece: bytes) -> None:
        self.target += piece

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))


def read(head: bytes) -> Request:
    parsed = Parsed(head)
    found = understand(parsed.parser, parsed.target, parsed.headers, arrived=len(head))
    assert isinstance(found, Request)
    return found


def head(line: str, *fields: str) -> bytes:
    return "\r\n".join((line, "Host: localhost", *fields, "", "")).encode("latin-1")


TARGETS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=40).map(lambda t: "/" + t)


@given(
    st.lists(st.tuples(st.sampled_from(["GET", "HEAD", "DELETE"]), TARGETS), min_size=1, max_size=8),
    st.sampled_from(
        [(), ("Accept: */*",), ("Authorization: Bearer x", "Range: bytes=0-3"), ("A: b", "A: c")]
    ),
)
def test_a_recalled_request_is_the_one_a_parser_reads(
    lines: list[tuple[str, str]], fields: tuple[str, ...]
) -> None:
    known = KnownHeads()
    first = head("GET / HTTP/1.1", *fields)
    known.remember(first, read(first))

    for verb, target in lines:
        one = head(f"{verb} {target} HTTP/1.1", *fields)
        try:
            expected = read(one)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            continue
        assert known.recall(one) == expected


@pytest.mark.parametrize(
    "field",
    ["Content-Length: 3", "Transfer-Encoding: chunked", "Connection: close", "Expect: 100-continue"],
)
def test_what_says_something_about_a_body_or_the_connection_is_read_each_time(field: str) -> None:
    known = KnownHeads()
    one = head("GET /a HTTP/1.1", field)

    known.remember(one, read(one))

    assert known.recall(one) is None


@pytest.mark.parametrize(
    "line",
    [
        "POST /a HTTP/1.1",
        "GET /a HTTP/1.0",
        "GET a HTTP/1.1",
        "GET  /a HTTP/1.1",
        "GET /a b HTTP/1.1",
        "GET /\x7f HTTP/1.1",
    ],
)
def test_an_unusual_first_line_is_left_to_the_parser(line: str) -> None:
    known = KnownHeads()
    usual = head("GET /a HTTP/1.1")
    known.remember(usual, read(usual))

    assert known.recall(head(line)) is None
    assert known.recall(usual) is not None


def test_other_fields_are_not_known() -> None:
    known = KnownHeads()
    usual = head("GET /a HTTP/1.1")
    known.remember(usual, read(usual))

    assert known.recall(head("GET /a HTTP/1.1", "Authorization: Bearer x")) is None
