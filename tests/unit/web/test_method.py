from __future__ import annotations

import pytest

from mlengine.errors import InvalidArgument
from mlengine.web.method import Call


def call(*pieces: bytes) -> Call:
    return Call(path={}, body=iter(pieces))


@pytest.mark.parametrize("pieces", [(), (b"",), (b" \n",)])
def test_an_empty_body_is_an_empty_object(pieces: tuple[bytes, ...]) -> None:
    assert call(*pieces).json() == {}


def test_a_body_in_pieces_is_one_object() -> None:
    assert call(b'{"name": "\xc3', b'\xa4", "n": [1, nu', b"ll]}").json() == {"name": "ä", "n": [1, None]}


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"{", r"not JSON: .* \(line 1, column 2\)"),
        (b'{"a": 1,\n "b" 2}', r"line 2, column 6"),
        (b"[1]", "must be a JSON object, not an array"),
        (b'"x"', "not a string"),
        (b"1.5", "not a number"),
        (b"true", "not a boolean"),
        (b"null", "not null"),
        (b'{"a": "\xff"}', "not UTF-8: byte 7"),
        (b'{"a": NaN}', "NaN is no number"),
        (b'{"a": -Infinity}', "Infinity is no number"),
        (b'{"a": ' + b"1" * 5000 + b"}", "not JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a": ["\\u0000"]}', "NUL character"),
        (b'{"a": {"x\\ud800": 1}}', "half a surrogate pair"),
    ],
)
def test_a_body_that_cannot_be_used_is_refused_in_words(body: bytes, complaint: str) -> None:
    with pytest.raises(InvalidArgument, match=complaint):
        call(body).json()


def test_escapes_that_mean_something_are_kept() -> None:
    assert call(b'{"a": "\\u00e4 \\ud83d\\ude82 \\\\u0000"}').json() == {"a": "ä 🚂 \\u0000"}


def test_a_body_past_the_limit_is_refused_before_it_is_all_read() -> None:
    left = iter([b"12345", b"67890", b"never read"])

    with pytest.raises(InvalidArgument, match="larger than 8 bytes"):
        Call(path={}, body=left).read(limit=8)

    assert next(left) == b"never read"


def test_calls_do_not_share_a_body() -> None:
    assert Call(path={}).body is not Call(path={}).body
