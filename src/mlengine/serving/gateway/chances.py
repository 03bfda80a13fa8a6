"""Evenly spread choices: which of several versions answers, and which requests are copied or recorded.

No dice: a step by an irrational number spreads any run of requests over the shares as evenly as can be, so
that 10 % is ten of the next hundred and not five or fifteen. Each use has a step of its own, or the choices
would hang together.
"""

from __future__ import annotations

SPLIT = 0.6180339887498949
SHADOW = 0.4142135623730951
RECORD = 0.7320508075688772


class Chances:
    """Points between 0 and 1, spread evenly."""

    __slots__ = ("_at", "_step")

    def __init__(self, step: float) -> None:
        self._at = 0.0
        self._step = step

    def next(self) -> float:
        """The next point; never 1."""
        self._at = at = (self._at + self._step) % 1.0
        return at
