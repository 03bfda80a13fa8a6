"""Multipart bodies of every spelling, cut into pieces anywhere."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlengine.errors import InvalidArgument
from mlengine.web.multipart import MultipartReader, boundary_of


def cut(body: bytes, sizes: list[int]) -> Iterator[bytes]:
    at = 0
    for size in sizes:
        if piece := body[at : at + size]:
            yield piece
        at += size
    if body[at:]:
        yield body[at:]


@pytest.mark.parametrize(
    ("header", "boundary"),
    [
        ('multipart/related; boundary="==0=="', "==0=="),
        ("multipart/related; boundary='===============91=='", "===============91=="),
        ("multipart/related; boundary=b_1; charset=utf-8", "b_1"),
        ("Multipart/Related; Boundary=x", "x"),
    ],
)
def test_a_boundary_is_found_however_it_is_quoted(header: str, boundary: str) -> None:
    assert boundary_of(header) == boundary


def test_a_header_without_a_boundary_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="names no boundary"):
        boundary_of("multipart/related")


@given(
    content=st.binary(max_size=60)
    | st.sampled_from([b"\r", b"\n", b"\r\n", b"--", b"\r\n--", b"\n-", b"x\r\n--b"]),
    newline=st.sampled_from([b"\r\n", b"\n"]),
    sizes=st.lists(st.integers(1, 25), max_size=40),
    ending=st.sampled_from([b"", b"\r\n", b"\n"]),
)
def test_the_content_comes_out_whatever_the_pieces(
    content: bytes, newline: bytes, sizes: list[int], ending: bytes
) -> None:
    body = newline.join(
        [
            b"--bound",
            b"Content-Type: application/json",
            b"",
            b'{"name": "a"}',
            b"--bound",
            b"X: y",
            b"",
            content,
        ]
    )
    body += newline + b"--bound--" + ending
    reader = MultipartReader(cut(body, sizes), "bound")

    assert reader.next_part() == {"content-type": "application/json"}
    assert reader.small() == b'{"name": "a"}'
    assert reader.next_part() == {"x": "y"}
    assert b"".join(reader.content()) == content
    assert reader.next_part() is None


@pytest.mark.parametrize("size", range(1, 66, 4))
def test_a_body_that_breaks_off_is_refused(size: int) -> None:
    body = b"--b\r\nContent-Type: a\r\n\r\n{}\r\n--b\r\nContent-Type: c\r\n\r\ncontent\r\n--b--"
    reader = MultipartReader(iter([body[:size]]), "b")

    with pytest.raises(InvalidArgument):
        for _ in reader.parts(1000):
            pass


def test_a_body_with_another_boundary_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="does not begin with the boundary"):
        MultipartReader(iter([b"--other\r\n\r\nx\r\n--other--"]), "b").next_part()


def test_a_part_that_should_be_small_is_not_read_without_end() -> None:
    def endless() -> Iterator[bytes]:
        yield b"--b\n\n"
        while True:
            yield b"x" * 1000

    reader = MultipartReader(endless(), "b")
    reader.next_part()

    with pytest.raises(InvalidArgument, match="larger than"):
        reader.small(5000)
