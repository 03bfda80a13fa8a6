"""How much is asked of a model at once, so that those who wait for predictions wait only briefly."""

from __future__ import annotations

_TARGET_SECONDS = 0.005
_FIRST = 32
_MOST = 4096


class Pace:
    """Finds the number of rows that a model answers in about 5 ms.

    Attributes:
        rows: To ask next.

    Args:
        most: Rows that one call may have.
    """

    def __init__(self, most: int) -> None:
        self._most = max(1, min(most, _MOST))
        self.rows = min(_FIRST, self._most)

    def took(self, seconds: float, rows: int) -> None:
        """Learn from a call."""
        if seconds > 2 * _TARGET_SECONDS:
            self.rows = max(1, self.rows // 2)
        elif seconds < _TARGET_SECONDS / 2 and rows >= self.rows:
            self.rows = min(self._most, self.rows * 2)
