"""Shapley values against their definition, by brute force over all orders."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlengine.serving.runtimes.explanation.sampled_shapley import Game, coalitions

MANY = 1_000_000


def by_definition(score: Any, players: int) -> Any:
    """The mean, over all orders, of what the score changes at each player's turn."""
    total = np.zeros(players)
    orders = list(permutations(range(players)))
    for order in orders:
        inside = np.zeros(players, dtype=bool)
        before = score(inside)
        for player in order:
            inside[player] = True
            after = score(inside)
            total[player] += after - before
            before = after
    return total / len(orders)


def played(score: Any, players: int, paths: int) -> tuple[Game, Any, float]:
    game = Game(players, paths)
    masks = [mask for piece in game.pieces() for mask in piece]
    assert len(masks) == game.count == coalitions(players, paths)
    empty, full = score(np.zeros(players, dtype=bool)), score(np.ones(players, dtype=bool))
    values, error = game.attributions([score(mask) for mask in masks], empty=empty, full=full)
    return game, values, error


def any_score(players: int, seed: int = 0) -> Any:
    """A score without any structure: a number of its own for every coalition."""
    table = np.random.default_rng(seed).normal(size=2**players)
    return lambda mask: float(table[int((mask * 2 ** np.arange(players)).sum())])


@given(players=st.integers(0, 6), seed=st.integers(0, 1000))
def test_up_to_six_features_get_their_exact_values(players: int, seed: int) -> None:
    score = any_score(players, seed)
    game, values, error = played(score, players, 50)

    assert game.exact
    assert error == 0.0
    assert values == pytest.approx(by_definition(score, players), abs=1e-12)


@pytest.mark.parametrize("players", [2, 5, 6])
def test_all_coalitions_are_asked_where_the_orders_would_ask_as_many(players: int) -> None:
    score = any_score(players)
    enough = -(-(2**players - 2) // (players - 1))

    assert Game(players, enough).exact
    assert not Game(players, enough - 1).exact or players == 2
    assert played(score, players, enough)[1] == pytest.approx(by_definition(score, players), abs=1e-12)


@given(players=st.integers(2, 12), paths=st.integers(1, 9), seed=st.integers(0, 1000))
def test_values_add_up_to_the_difference_of_the_scores(players: int, paths: int, seed: int) -> None:
    score = any_score(players, seed)
    _, values, _ = played(score, players, paths)
    difference = score(np.ones(players, dtype=bool)) - score(np.zeros(players, dtype=bool))

    assert values.sum() == pytest.approx(difference, abs=1e-12)


@pytest.mark.parametrize("paths", [1, 2, 7])
def test_a_linear_score_is_explained_by_its_terms(paths: int) -> None:
    terms = np.arange(1.0, 31.0)
    _, values, error = played(lambda mask: float((terms * mask).sum()), 30, paths)

    assert values == pytest.approx(terms, abs=1e-9)
    assert error == pytest.approx(0, abs=1e-9)


def test_two_orders_of_a_pair_are_enough_for_a_score_of_pairs() -> None:
    # What two features do together is shared equally: in an order one gets it, in its reverse the other.
    _, values, _ = played(lambda mask: 8.0 * mask[3] * mask[17], 20, 2)

    expected = np.zeros(20)
    expected[[3, 17]] = 4.0
    assert values == pytest.approx(expected)


def test_more_orders_come_closer_and_the_error_says_how_close() -> None:
    score = any_score(8, 3)
    exact = played(score, 8, MANY)[1]

    few = played(score, 8, 6)
    many = played(score, 8, 36)

    assert np.linalg.norm(many[1] - exact) < np.linalg.norm(few[1] - exact)
    assert many[2] < few[2]
    assert np.linalg.norm(many[1] - exact) < 3 * many[2]


def test_the_same_instance_gets_the_same_answer() -> None:
    score = any_score(9)

    assert played(score, 9, 4)[1].tolist() == played(score, 9, 4)[1].tolist()
