"""What the control plane must hear at once: that somebody waits for a version that sleeps.

Kept as a state, not as a list of what happened: a control plane that comes back hears what holds now, and
what it missed and is over costs nothing.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

# A version that is still asleep is named again when another request comes so much later.
AGAIN_SECONDS = 1.0


class Events:
    """Which sleeping versions are wanted, each with the number of its last report."""

    def __init__(self) -> None:
        self._last = 0
        self._wanted: dict[str, tuple[int, float]] = {}
        self._news = asyncio.Event()

    def wanted(self, version: str) -> None:
        """A request waits for `version`, which sleeps."""
        now = time.monotonic()
        number, reported = self._wanted.get(version, (0, 0.0))
        if number and now - reported < AGAIN_SECONDS:
            return
        self._last += 1
        self._wanted[version] = (self._last, now)
        self._news.set()

    def settled(self, version: str) -> None:
        """Nobody waits for it any more, or it is awake."""
        self._wanted.pop(version, None)

    async def after(self, number: int, seconds: float) -> dict[str, Any]:
        """What was reported after `number` and still holds; waits up to `seconds` for some."""
        if number > self._last:
            number = 0  # of another gateway's life
        try:
            async with asyncio.timeout(seconds):
                while not (found := self._after(number)):
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            found = []
        return {"at": self._last, "events": [{"kind": "wanted", "version": name} for name in found]}

    def _after(self, number: int) -> list[str]:
        return [name for name, (reported, _) in self._wanted.items() if reported > number]
