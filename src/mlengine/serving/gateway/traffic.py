"""Which versions answer for a model, and which get copies: the split of its traffic, and its shadows."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from itertools import accumulate
from typing import TYPE_CHECKING

from mlengine.serving.gateway.chances import SHADOW, SPLIT, Chances
from mlengine.serving.messages import EXPLAIN

if TYPE_CHECKING:
    from mlengine.serving.gateway.node import Asked, Node
    from mlengine.serving.gateway.pool import VersionPool


class Traffic:
    """One model's. The same object while its orders change, so that who holds it sees the newest."""

    __slots__ = ("_bounds", "_chances", "_pools", "_shadows")

    def __init__(self) -> None:
        self._chances = Chances(SPLIT)
        self._pools: list[VersionPool] = []
        self._bounds: list[float] = []
        self._shadows: dict[str, _Shadow] = {}

    def apply(
        self, split: list[tuple[VersionPool, int]], shadows: Mapping[str, tuple[VersionPool, float]]
    ) -> None:
        """Go by these weights and fractions from the next request on."""
        split = [(pool, weight) for pool, weight in split if weight > 0]
        total = sum(weight for _, weight in split)
        self._pools = [pool for pool, _ in split]
        self._bounds = [bound / total for bound in accumulate(weight for _, weight in split)][:-1]
        before = self._shadows
        self._shadows = {
            version: _Shadow(
                pool, fraction, kept.chances if (kept := before.get(version)) else Chances(SHADOW)
            )
            for version, (pool, fraction) in shadows.items()
        }

    @property
    def served(self) -> bool:
        """Whether somebody answers."""
        return bool(self._pools)

    @property
    def full(self) -> bool:
        """Whether a request would be refused, whoever is chosen."""
        return all(pool.full for pool in self._pools)

    def pick(self) -> VersionPool | None:
        """Who answers the next request; None where nobody does any more."""
        pools = self._pools
        if len(pools) <= 1:
            return pools[0] if pools else None
        return pools[bisect_right(self._bounds, self._chances.next())]

    def copy(self, asked: Asked, answering: VersionPool) -> None:
        """Let the shadows have a copy of a request that `answering` has got."""
        for shadow in self._shadows.values():
            if shadow.pool is not answering and shadow.chances.next() < shadow.fraction:
                shadow.copy(asked)

    @property
    def shadowed(self) -> bool:
        """Whether somebody gets copies."""
        return bool(self._shadows)


class _Shadow:
    """A version that is asked too, and whose answers nobody gets."""

    __slots__ = ("chances", "fraction", "pool")

    def __init__(self, pool: VersionPool, fraction: float, chances: Chances) -> None:
        self.pool = pool
        self.fraction = fraction
        self.chances = chances

    def copy(self, asked: Asked) -> None:
        # An explanation costs many predictions, and a shadow must leave room for those who wait for answers.
        if asked.kind == EXPLAIN or self.pool.half_full:
            return
        if self.pool.ask(_Copy(asked)):
            self.pool.figures.shadowed += 1


class _Copy:
    """A request whose answer is thrown away."""

    __slots__ = ("began", "body", "id", "kind", "node", "retried", "until")

    def __init__(self, asked: Asked) -> None:
        self.kind = asked.kind
        self.body = asked.body
        self.began = self.until = 0.0
        self.node: Node | None = None
        self.id = 0
        # It is not worth a second try.
        self.retried = True

    def answered(self, status: int, body: bytes, timing: bytes) -> None:
        pass
