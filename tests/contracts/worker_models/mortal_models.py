"""Models whose process does not live long, or that are long in coming. Imported by the worker under test."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin

DEADLY = 13


class Mortal(RegressorMixin, BaseEstimator):
    """Answers what it is sent, and ends its whole process at one number."""

    def fit(self, X, y=None):
        self.n_features_in_ = 1
        return self

    def predict(self, X):
        first = np.asarray(X, dtype=float)[:, 0]
        if (first == DEADLY).any():
            os.abort()
        return first


class Slow(Mortal):
    """Cannot be loaded before the test has opened a pipe for writing, and closed it again."""

    def __setstate__(self, state):
        with Path(os.environ["GATE"]).open("rb") as gate:
            gate.read()
        super().__setstate__(state)


class Napping(Mortal):
    """Takes 50 ms for a call, and answers how many rows it had."""

    def predict(self, X):
        time.sleep(0.05)
        return np.full(len(X), float(len(X)))
