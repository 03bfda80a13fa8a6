"""Sampled Shapley values of one instance against one baseline; arithmetic only, the model is asked elsewhere.

A feature's Shapley value is the mean, over all orders in which features may turn from the baseline's value to
the instance's, of what the score changes when it is its turn (Shapley 1953). The mean over some random
orders estimates it without bias: Castro, Gómez and Tejada, "Polynomial calculation of the Shapley value based
on sampling", 2009; for models: Štrumbelj and Kononenko, "Explaining prediction models and individual
predictions with feature contributions", 2014. Orders are taken in pairs, one the reverse of the other, which
makes the error smaller. Whatever the orders, the values add up to the difference of the two scores.

Where all coalitions are no more than the orders would ask for, all are asked, and the values are exact.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

_SEED = 20
_MOST_EXACT = 16


class Game:
    """The features that differ from the baseline, and the coalitions of them that must be scored.

    Attributes:
        players: Number of those features.
        exact: Whether all coalitions are asked.
        count: Number of coalitions to score, the empty and the full one aside.

    Args:
        players: Number of features.
        paths: Orders to sample.
    """

    def __init__(self, players: int, paths: int) -> None:
        self.players = players
        self._paths = paths
        self.exact = is_exact(players, paths)
        self.count = coalitions(players, paths)
        # The same instance gets the same answer.
        self._orders = [] if self.exact else _orders(players, paths)

    def pieces(self) -> Iterator[Any]:
        """The coalitions in order, as boolean arrays (coalition, feature): whose value is the instance's."""
        if self.players < 2:
            return
        if self.exact:
            codes = np.arange(1, 2**self.players - 1)
            yield (codes[:, None] >> np.arange(self.players)) & 1 == 1
            return
        sizes = np.arange(1, self.players)[:, None]
        for order in self._orders:
            turn: Any = np.empty(self.players, dtype=np.int64)
            turn[order] = np.arange(self.players)
            yield turn[None, :] < sizes

    def attributions(self, scores: Any, *, empty: float, full: float) -> tuple[Any, float]:
        """What each feature adds, and the error to be expected of it.

        Args:
            scores: Of the coalitions, in the order of `pieces`.
            empty: The baseline's score.
            full: The instance's.

        Returns:
            One number per feature, adding up to `full - empty`; and the root of their summed squared standard
            errors, 0 where the values are exact.
        """
        if not self.players:
            return np.zeros(0), 0.0
        values = np.asarray(scores, dtype=np.float64)
        if self.exact:
            return _exact(np.concatenate([[empty], values, [full]]), self.players), 0.0
        walks = np.empty((len(self._orders), self.players + 1))
        walks[:, 0], walks[:, -1] = empty, full
        walks[:, 1:-1] = values.reshape(len(self._orders), self.players - 1)
        gains = np.empty((len(self._orders), self.players))
        for row, (order, steps) in enumerate(zip(self._orders, np.diff(walks, axis=1), strict=True)):
            gains[row, order] = steps
        return gains.mean(axis=0), _standard_error(gains)


def is_exact(players: int, paths: int) -> bool:
    """Whether asking all coalitions costs no more than the orders would."""
    return players < 2 or (players <= _MOST_EXACT and 2**players - 2 <= paths * (players - 1))


def coalitions(players: int, paths: int) -> int:
    """How many coalitions of `players` features are scored, the empty and the full one aside."""
    if players < 2:
        return 0
    return 2**players - 2 if is_exact(players, paths) else paths * (players - 1)


def _orders(players: int, paths: int) -> list[Any]:
    source = np.random.default_rng(_SEED)
    orders: list[Any] = []
    while len(orders) < paths:
        order = source.permutation(players)
        orders += [order, order[::-1]]
    return orders[:paths]


def _exact(values: Any, players: int) -> Any:
    """Shapley values from the score of every coalition, which the bits of its index name."""
    codes = np.arange(2**players)
    sizes = ((codes[:, None] >> np.arange(players)) & 1).sum(axis=1)
    weights = np.array([1 / (players * math.comb(players - 1, size)) for size in range(players)])
    found = np.empty(players)
    for player in range(players):
        without = codes[(codes >> player) & 1 == 0]
        gains = values[without | (1 << player)] - values[without]
        found[player] = (weights[sizes[without]] * gains).sum()
    return found


def _standard_error(gains: Any) -> float:
    """Of the means of `gains`, whose rows come in pairs that are not independent of each other."""
    whole = len(gains) // 2 * 2
    pairs = gains[:whole].reshape(-1, 2, gains.shape[1]).mean(axis=1)
    if len(pairs) < 2:
        # One pair tells nothing of the spread but the difference within it.
        return float(np.sqrt(np.square(np.ptp(gains, axis=0) / 2).sum()))
    return float(np.sqrt((pairs.var(axis=0, ddof=1) / len(pairs)).sum()))
