"""Page sizes and page tokens, the same for every list."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from mlengine.errors import InvalidArgument

T = TypeVar("T")
_DEFAULT, _MOST = 20, 100


def paged(
    query: Mapping[str, str],
    *,
    kind: str,
    fetch: Callable[[str, int], list[T]],
    key: Callable[[T], str],
    render: Callable[[T], dict[str, Any]],
) -> dict[str, Any]:
    """One page of a list, in Google's form: an empty list has no key at all.

    Args:
        query: The request's `pageSize` (20 unless told, at most 100) and `pageToken`.
        kind: The key of the list in the answer ("jobs"); also ties the token to this list.
        fetch: Returns at most so many items past a key, in the order of their keys.
        key: The key of an item.
        render: An item as JSON.

    Raises:
        InvalidArgument: a bad size, or a token that is not of this list.
    """
    size = _size(query.get("pageSize", ""))
    found = fetch(_after(query.get("pageToken", ""), kind), size + 1)
    answer: dict[str, Any] = {}
    if found:
        answer[kind] = [render(item) for item in found[:size]]
    if len(found) > size:
        token = f"{kind}\n{key(found[size - 1])}".encode()
        answer["nextPageToken"] = base64.urlsafe_b64encode(token).decode()
    return answer


def _size(text: str) -> int:
    if not text:
        return _DEFAULT
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise InvalidArgument(f"'{text}' is no page size: 1 to {_MOST}.", field="page_size")
    return min(int(text) or _DEFAULT, _MOST)


def _after(token: str, kind: str) -> str:
    if not token:
        return ""
    try:
        found, _, after = base64.urlsafe_b64decode(token.encode()).decode().partition("\n")
    except (binascii.Error, ValueError):
        found, after = "", ""
    if found != kind or "\0" in after:
        raise InvalidArgument("The page token is not from this list.", field="page_token")
    return after
