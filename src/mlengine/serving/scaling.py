"""How many nodes a version should have, by what it is asked for. Pure; no I/O."""

from __future__ import annotations

from dataclasses import dataclass

from mlengine.serving.workers import Load

GROW_SECONDS = 3.0
"""How long requests must keep waiting for one another before a node is added."""
SHRINK_SECONDS = 30.0
"""How long one node less must do before one is taken away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Between which numbers of nodes a version stays.

    Attributes:
        least: 0 lets it sleep.
        most: At least 1.
    """

    least: int = 1
    most: int = 1


class Scaler:
    """The number of nodes of one version, from look to look.

    Args:
        now: When it was first looked at; all times are Unix times.
        idle_seconds: After so long without a request a version without a least number sleeps.
    """

    def __init__(self, now: float, *, idle_seconds: float) -> None:
        self._idle_seconds = idle_seconds
        self._awake_since = now
        self._short_since: float | None = None
        self._spare_since: float | None = None

    def wake(self, now: float) -> None:
        """Somebody waits for it: it is awake from now on."""
        self._awake_since = now

    def wanted(self, have: int, bounds: Bounds, load: Load | None, now: float) -> int:
        """How many nodes there should be.

        Args:
            have: How many there are, or are being started.
            load: None where the gateway does not tell.
        """
        if have == 0:
            return 1 if load is not None and load.held else bounds.least
        if load is None:
            return max(bounds.least, min(have, bounds.most))
        if not bounds.least and not load.in_flight:
            used = max(load.last_use, self._awake_since)
            if now - used >= self._idle_seconds:
                return 0
        least = max(1, bounds.least)
        self._look(have, load, now)
        if self._short_since is not None and now - self._short_since >= GROW_SECONDS:
            self._short_since = None
            have += 1
        elif self._spare_since is not None and now - self._spare_since >= SHRINK_SECONDS:
            self._spare_since = None
            have -= 1
        return max(least, min(have, bounds.most))

    def _look(self, have: int, load: Load, now: float) -> None:
        """Since when there is too little or too much."""
        if load.in_flight <= have:
            self._short_since = None
        elif self._short_since is None:
            self._short_since = now
        if load.in_flight >= have:
            self._spare_since = None
        elif self._spare_since is None:
            self._spare_since = now
