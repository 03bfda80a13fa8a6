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


def listed(query: Mapping[str, str], within: str = "p", count: int = 1000) -> dict[str, Any]:
    """A page of the numbers below `count`, whose `kind` is their remainder by 100."""

    def fetch(after: str, limit: int) -> list[int]:
        first = int(after or "-1") + 1
        return list(range(first, min(first + limit, count)))

    return paged(
        query,
        kind="jobs",
        within=within,
        fields={"kind": "number", "id": "number"},
        fetch=fetch,
        key=str,
        render=lambda number: {"id": number, "kind": number % 100},
    )


def test_the_pages_of_a_filtered_list_hold_what_is_wanted_and_nothing_else() -> None:
    query = {"filter": "kind=7", "pageSize": "4"}
    seen: list[int] = []
    while True:
        page = listed(query)
        assert len(page["jobs"]) <= 4
        seen += [item["id"] for item in page["jobs"]]
        if "nextPageToken" not in page:
            break
        query["pageToken"] = page["nextPageToken"]

    assert seen == list(range(7, 1000, 100))


def test_a_filter_that_nothing_fulfils_gives_an_empty_list() -> None:
    assert listed({"filter": "kind=7 AND kind=8"}) == {}


@pytest.mark.parametrize(
    ("query", "within"),
    [({"filter": "kind=8"}, "p"), ({}, "p"), ({"filter": "kind=7"}, "other")],
)
def test_a_token_is_bound_to_its_parent_and_filter(query: dict[str, str], within: str) -> None:
    token = listed({"filter": "kind=7", "pageSize": "2"})["nextPageToken"]

    with pytest.raises(InvalidArgument, match="not from this list"):
        listed(query | {"pageToken": token}, within=within)


def test_the_size_of_a_page_may_change_from_one_to_the_next() -> None:
    token = listed({"filter": "kind=7", "pageSize": "2"})["nextPageToken"]

    page = listed({"filter": "kind=7", "pageSize": "3", "pageToken": token})

    assert [item["id"] for item in page["jobs"]] == [207, 307, 407]
