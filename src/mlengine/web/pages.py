"""Page sizes, page tokens and filters, the same for every list."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from mlengine.errors import InvalidArgument
from mlengine.web.conditions import Condition, Kind, condition
from mlengine.web.method import Parameter

T = TypeVar("T")
_DEFAULT, _MOST = 20, 100
_AT_ONCE = 200  # items looked at in one go while a filter is searched for
PAGING = (
    Parameter(name="pageSize", kind="integer", format="int32", summary="1 to 100; 20 if absent."),
    Parameter(name="pageToken", summary="The nextPageToken of the page before."),
)
FILTER = Parameter(name="filter", summary='Which to show: "state:FAILED AND createTime>2026-01-31".')


def paged(
    query: Mapping[str, str],
    *,
    kind: str,
    fetch: Callable[[str, int], list[T]],
    key: Callable[[T], str],
    render: Callable[[T], dict[str, Any]],
    within: str = "",
    fields: Mapping[str, Kind] | None = None,
) -> dict[str, Any]:
    """One page of a list, in Google's form: an empty list has no key at all.

    Args:
        query: The request's `pageSize` (20 unless told, at most 100), `pageToken` and `filter`.
        kind: The key of the list in the answer ("jobs").
        fetch: Returns at most so many items past a key, in the order of their keys.
        key: The key of an item.
        render: An item as JSON.
        within: Whose list it is; a token of another one is refused, as is one of another filter.
        fields: What a filter may ask for; None for lists that have no filter.

    Raises:
        InvalidArgument: a bad size, a filter that cannot be read, or a token that is not of this list.
    """
    size = _size(query.get("pageSize", ""))
    text = query.get("filter", "") if fields is not None else ""
    wanted = condition(text, fields) if text.strip() and fields is not None else None
    mark = _mark(kind, within, text)
    found = _search(_after(query.get("pageToken", ""), mark), size + 1, wanted, fetch, key, render)
    answer: dict[str, Any] = {}
    if found:
        answer[kind] = [shown for _, shown in found[:size]]
    if len(found) > size:
        answer["nextPageToken"] = base64.urlsafe_b64encode(f"{mark}\n{found[size - 1][0]}".encode()).decode()
    return answer


def _search(
    after: str,
    count: int,
    wanted: Condition | None,
    fetch: Callable[[str, int], list[T]],
    key: Callable[[T], str],
    render: Callable[[T], dict[str, Any]],
) -> list[tuple[str, dict[str, Any]]]:
    """The next `count` items that are wanted, with their keys."""
    found: list[tuple[str, dict[str, Any]]] = []
    limit = count if wanted is None else max(count, _AT_ONCE)
    while True:
        items = fetch(after, limit)
        for item in items:
            shown = render(item)
            if wanted is None or wanted(shown):
                found.append((key(item), shown))
            if len(found) == count:
                return found
        if len(items) < limit:
            return found
        after = key(items[-1])


def _mark(kind: str, within: str, text: str) -> str:
    """Ties a token to its list."""
    return kind + "." + hashlib.sha256(f"{within}\n{text.strip()}".encode()).hexdigest()[:16]


def _size(text: str) -> int:
    if not text:
        return _DEFAULT
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise InvalidArgument(f"'{text[:40]}' is no page size: 1 to {_MOST}.", field="page_size")
    return min(int(text) or _DEFAULT, _MOST)


def _after(token: str, mark: str) -> str:
    if not token:
        return ""
    try:
        found, _, after = base64.urlsafe_b64decode(token.encode()).decode().partition("\n")
    except (binascii.Error, ValueError):
        found, after = "", ""
    if found != mark or "\0" in after or not after:
        raise InvalidArgument(
            "The page token is not from this list.",
            hint="Send it with the same parent and filter, or start without one.",
            field="page_token",
        )
    return after
