"""Integrated gradients against functions whose integrals are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mlengine.serving.runtimes.explanation.integrated_gradients import Line


def integrated(gradient: Any, instance: Any, baseline: Any, steps: int, at_once: int = 7) -> Any:
    line = Line({"x": np.asarray(instance)}, {"x": np.asarray(baseline)}, steps)
    for start in range(0, steps, at_once):
        points = line.points(start, min(steps, start + at_once))["x"]
        line.add({"x": np.array([gradient(point) for point in points])})
    return line.attributions()["x"]


@pytest.mark.parametrize("steps", [1, 2, 50])
def test_a_linear_score_is_explained_by_its_weights(steps: int) -> None:
    weights = np.array([[2.0, -1.0], [0.5, 3.0]])
    instance, baseline = np.array([[1.0, 2.0], [3.0, 4.0]]), np.ones((2, 2))

    found = integrated(lambda _: weights, instance, baseline, steps)

    assert found == pytest.approx(weights * (instance - baseline))


def test_a_quadratic_score_needs_one_step() -> None:
    # The middle of a step is right for what grows evenly.
    found = integrated(lambda x: 2 * x, [3.0, -2.0], [1.0, 0.0], 1)

    assert found == pytest.approx([9.0 - 1.0, 4.0])


def test_attributions_come_to_the_difference_of_the_scores_with_more_steps() -> None:
    instance = np.array([1.0, 2.0])

    def off(steps: int) -> float:
        found = integrated(lambda x: np.full(2, np.exp(x.sum())), instance, np.zeros(2), steps)
        return abs(float(found.sum()) - (np.exp(3.0) - 1.0))

    assert off(10) < off(2) / 20
    assert off(200) < 1e-3
