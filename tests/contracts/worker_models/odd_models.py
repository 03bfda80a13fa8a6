"""Models that do what a test needs to see. Imported by the worker under test, in the Python of a runtime."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin

GATE, POISON, NOT_A_NUMBER = -1, 13, 7


class Touchy(ClassifierMixin, BaseEstimator):
    """Answers [first value, rows in this call]; may wait, fail, or answer NaN, as the first value says."""

    def fit(self, X, y=None):
        self.n_features_in_ = 2
        return self

    def predict(self, X):
        first = np.asarray(X, dtype=float)[:, 0]
        if (first == GATE).any():
            # Waits until the test has opened this pipe for writing, and closed it again.
            with Path(os.environ["GATE"]).open("rb") as gate:
                gate.read()
        if (first == POISON).any():
            raise ValueError("thirteen is unlucky")
        answers = np.stack([first, np.full(len(first), len(first))], axis=1)
        answers[first == NOT_A_NUMBER, 0] = np.nan
        return answers


class Talker(BaseEstimator):
    """Prints on every occasion, as models with verbose=1 do."""

    def fit(self, X, y=None):
        self.n_features_in_ = 1
        return self

    def __setstate__(self, state):
        print("unpickling")
        super().__setstate__(state)

    def predict(self, X):
        print("predicting")
        return [f"row {position}" for position, _ in enumerate(X)]


class Doubler(TransformerMixin, BaseEstimator):
    """Somebody's own code, of which nothing is known but its columns: one for arithmetic, one for text."""

    def fit(self, X, y=None):
        self.feature_names_in_ = np.asarray(X.columns, dtype=object)
        self.n_features_in_ = len(X.columns)
        return self

    def transform(self, X):
        return np.column_stack([np.log(X["size"]) * 2, X["name"].str.len()])
