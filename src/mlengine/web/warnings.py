"""What an answer says about fields that were accepted without effect: nothing is dropped in silence."""

from __future__ import annotations

from collections.abc import Sequence

from mlengine.web.method import Json, Reply

HEADER = "X-Mlengine-Warnings"


def with_warnings(content: Json, warnings: Sequence[str]) -> Json | Reply:
    """An answer, with one header for all `warnings`."""
    if not warnings:
        return content
    return Reply(content=content, headers={HEADER: "; ".join(warnings)})
