"""Integrated gradients of one instance against one baseline; arithmetic only, the model is asked elsewhere.

A feature's attribution is its distance from the baseline times the mean gradient of the score on the straight
line between the two: Sundararajan, Taly and Yan, "Axiomatic attribution for deep networks", 2017. The mean is
taken over the middles of equal steps. With ever more steps the attributions add up to the difference of the
two scores (completeness); what is missing of that is the error of the approximation.
"""

from __future__ import annotations

from typing import Any

import numpy as np


class Line:
    """The points between a baseline and an instance, and what their gradients add up to.

    Args:
        instance: Arrays by input, without the batch.
        baseline: The same.
        steps: Number of points.
    """

    def __init__(self, instance: dict[str, Any], baseline: dict[str, Any], steps: int) -> None:
        self._baseline = {name: np.asarray(array, dtype=np.float64) for name, array in baseline.items()}
        self._distance = {name: np.asarray(array) - self._baseline[name] for name, array in instance.items()}
        self._sums = {name: np.zeros(array.shape) for name, array in self._baseline.items()}
        self.steps = steps

    def points(self, start: int, stop: int) -> dict[str, Any]:
        """The points `start` to `stop`, stacked, in 64 bits."""
        shares = (np.arange(start, stop) + 0.5) / self.steps
        return {
            name: array + shares.reshape(-1, *[1] * array.ndim) * self._distance[name]
            for name, array in self._baseline.items()
        }

    def add(self, gradients: dict[str, Any]) -> None:
        """Take in the gradients at some of the points, stacked."""
        for name, array in gradients.items():
            self._sums[name] += np.asarray(array, dtype=np.float64).sum(axis=0)

    def attributions(self) -> dict[str, Any]:
        """By input, in its shape; once the gradients of all points are in."""
        return {name: self._distance[name] * total / self.steps for name, total in self._sums.items()}
