"""Partial responses: Google's `fields` parameter, such as `items(name,size),nextPageToken`."""

from __future__ import annotations

import re
from typing import Any

from mlengine.errors import InvalidArgument

_TOKEN = re.compile(r"\s*([\w.*-]+|[(),/])")
_DEEPEST = 20
Mask = dict[str, "Mask"]  # an empty mask takes everything below


def parse_mask(text: str) -> Mask:
    """The mask that a `fields` parameter describes.

    Raises:
        InvalidArgument: it is no such text; the message shows the place.
    """
    tokens: list[tuple[str, int]] = []
    at = 0
    while at < len(text.rstrip()):
        match = _TOKEN.match(text, at)
        if not match:
            raise _wrong(text, at)
        tokens.append((match[1], match.start(1)))
        at = match.end()
    mask: Mask = {}
    position = _list(text, tokens, 0, mask, _DEEPEST)
    if position < len(tokens):
        raise _wrong(text, tokens[position][1])
    return mask


def masked(value: Any, mask: Mask) -> Any:
    """What `mask` leaves of a JSON value; lists are looked through."""
    if not mask:
        return value
    if isinstance(value, list):
        return [masked(item, mask) for item in value]
    if not isinstance(value, dict):
        return value
    everything = mask.get("*")
    kept = {key: mask.get(key, everything) for key in value}
    return {key: masked(value[key], below) for key, below in kept.items() if below is not None}


def _list(text: str, tokens: list[tuple[str, int]], position: int, mask: Mask, depth: int) -> int:
    """Read paths with commas between them into `mask`, from `position` on."""
    while True:
        position = _path(text, tokens, position, mask, depth)
        if position >= len(tokens) or tokens[position][0] != ",":
            return position
        position += 1


def _path(text: str, tokens: list[tuple[str, int]], position: int, mask: Mask, depth: int) -> int:
    if position >= len(tokens) or tokens[position][0] in "(),/" or depth == 0:
        raise _wrong(text, tokens[position][1] if position < len(tokens) else len(text))
    whole = mask.get(tokens[position][0]) == {}
    below = mask.setdefault(tokens[position][0], {})
    position += 1
    follows = tokens[position][0] if position < len(tokens) else ""
    if follows not in ("/", "("):
        below.clear()  # named without parts: all of it, whatever else is said
        return position
    if whole:
        below = {}  # asked for as a whole before: read on, but take nothing away
    if follows == "/":
        return _path(text, tokens, position + 1, below, depth - 1)
    position = _list(text, tokens, position + 1, below, depth - 1)
    if position >= len(tokens) or tokens[position][0] != ")":
        raise _wrong(text, tokens[position][1] if position < len(tokens) else len(text))
    return position + 1


def _wrong(text: str, at: int) -> InvalidArgument:
    return InvalidArgument(
        f"The fields parameter cannot be read at character {at + 1}: '{text[:100]}'.",
        hint="Write it like items(name,size),nextPageToken.",
    )
