"""Sampled requests with their answers, until the control plane fetches them; bounded, never waited for."""

from __future__ import annotations

import base64
import time
from collections import deque
from typing import Any

from mlengine.serving.messages import ARROW

MOST_BYTES = 16 * 1024 * 1024
# Given at once, or so: longer answers would hold up predictions while they are written.
MOST_GIVEN = 256 * 1024


class Records:
    """The newest samples. What does not fit drops the oldest, and is counted."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._dropped: dict[str, int] = {}
        self._kept: deque[tuple[str, float, int, bytes, bytes]] = deque()

    def add(self, version: str, kind: int, request: bytes, response: bytes) -> None:
        """Keep a pair."""
        self._bytes += len(request) + len(response)
        self._kept.append((version, time.time(), kind, request, response))
        while self._bytes > self._most_bytes:
            lost, _, _, request, response = self._kept.popleft()
            self._bytes -= len(request) + len(response)
            self._dropped[lost] = self._dropped.get(lost, 0) + 1

    def take(self, most: int) -> dict[str, Any]:
        """Up to `most` pairs, oldest first, and how many were dropped since the last call, and whose."""
        taken: list[dict[str, Any]] = []
        left = self._bytes - MOST_GIVEN
        while self._kept and len(taken) < most and self._bytes > left:
            version, at, kind, request, response = self._kept.popleft()
            self._bytes -= len(request) + len(response)
            pair = {"request": _text(kind, request), "response": _text(kind, response)}
            taken.append({"version": version, "time": at} | pair)
        dropped, self._dropped = self._dropped, {}
        return {"records": taken, "dropped": sum(dropped.values()), "droppedOf": dropped}


def _text(kind: int, body: bytes) -> str:
    if kind == ARROW and body[:1] != b"{":
        return base64.b64encode(body).decode()
    return body.decode("utf-8", errors="replace")
