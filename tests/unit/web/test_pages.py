from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlengine.errors import InvalidArgument
from mlengine.web.pages import paged


def page_of(items: list[str], query: Mapping[str, str], kind: str = "jobs") -> dict[str, Any]:
    ordered = sorted(items)

    def fetch(after: str, limit: int) -> list[str]:
        return [item for item in ordered if item > after][:limit]

    return paged(query, kind=kind, fetch=fetch, key=str, render=lambda item: {"id": item})


@given(
    st.sets(st.text(st.characters(min_codepoint=33, exclude_categories=["Cs"]), min_size=1)),
    st.integers(1, 7),
)
def test_following_the_tokens_shows_every_item_once_and_in_order(items: set[str], size: int) -> None:
    seen: list[str] = []
    query = {"pageSize": str(size)}
    while True:
        page = page_of(list(items), query)
        found = [item["id"] for item in page.get("jobs", [])]
        assert len(found) <= size
        seen += found
        if "nextPageToken" not in page:
            break
        assert len(found) == size
        query["pageToken"] = page["nextPageToken"]

    assert seen == sorted(items)


def test_an_empty_list_has_no_key() -> None:
    assert page_of([], {}) == {}


@pytest.mark.parametrize(("text", "count"), [("", 20), ("0", 20), ("1", 1), ("100", 100), ("5000", 100)])
def test_a_page_has_20_items_unless_told_and_100_at_most(text: str, count: int) -> None:
    items = [f"{number:03}" for number in range(150)]

    assert len(page_of(items, {"pageSize": text})["jobs"]) == count


@pytest.mark.parametrize("text", ["-1", "ten", "1.5", "٣", "1" * 10, " 1"])
def test_what_is_no_page_size_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="no page size"):
        page_of(["a"], {"pageSize": text})


@pytest.mark.parametrize(
    "token",
    ["x", "!!!!", "é", base64.b64encode(b"models\na").decode(), base64.b64encode(b"jobs\na\0b").decode()],
)
def test_a_token_of_another_list_or_of_nobody_is_refused(token: str) -> None:
    with pytest.raises(InvalidArgument, match="not from this list"):
        page_of(["a"], {"pageToken": token})
