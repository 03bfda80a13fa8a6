"""The `fields` parameter."""

from __future__ import annotations

from typing import Any

import pytest

from mlengine.errors import InvalidArgument
from mlengine.web.partial import masked, parse_mask

LISTING = {
    "kind": "storage#objects",
    "items": [{"name": "a", "size": "1", "owner": {"id": 1, "kind": "x"}}, {"name": "b"}],
    "prefixes": ["p/"],
    "nextPageToken": "t",
}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("kind", {"kind": "storage#objects"}),
        ("items/name", {"items": [{"name": "a"}, {"name": "b"}]}),
        ("items(name,size)", {"items": [{"name": "a", "size": "1"}, {"name": "b"}]}),
        ("items/name,items/size", {"items": [{"name": "a", "size": "1"}, {"name": "b"}]}),
        ("items/owner/id , prefixes", {"items": [{"owner": {"id": 1}}, {}], "prefixes": ["p/"]}),
        (
            "items(owner(id),name),nextPageToken",
            {
                "items": [{"name": "a", "owner": {"id": 1}}, {"name": "b"}],
                "nextPageToken": "t",
            },
        ),
        ("items/owner/id,items/owner/kind", {"items": [{"owner": {"id": 1, "kind": "x"}}, {}]}),
        ("items,items/name", {"items": LISTING["items"]}),
        ("items/name,items", {"items": LISTING["items"]}),
        ("*", LISTING),
        ("items/*", {"items": LISTING["items"]}),
        ("unknown", {}),
    ],
)
def test_only_what_is_asked_for_stays(fields: str, expected: Any) -> None:
    assert masked(LISTING, parse_mask(fields)) == expected


@pytest.mark.parametrize(
    "fields", ["items(", "items)", "(a)", "a,,b", "a/", "items(name", "a b", "a;b", "/", "a/" * 30 + "a"]
)
def test_what_is_no_mask_is_refused_with_the_place(fields: str) -> None:
    with pytest.raises(InvalidArgument, match="at character"):
        parse_mask(fields)
