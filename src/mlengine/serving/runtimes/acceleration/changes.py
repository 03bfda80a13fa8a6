"""Fitted transformers as functions over a matrix of numbers, with the arithmetic of scikit-learn."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, combinations_with_replacement
from typing import Any

import numpy as np

Change = Callable[[Any], Any]


def own_change(step: Any) -> Change | None:
    """A form of our own for a transformer of numbers, or None where there is none for this kind."""
    if type(step).__module__.split(".")[0] != "sklearn":
        return None
    forms: dict[str, Callable[[Any], Change | None]] = {
        "StandardScaler": _standard,
        "RobustScaler": _robust,
        "MinMaxScaler": _min_max,
        "MaxAbsScaler": _max_abs,
        "Normalizer": _normalizer,
        "Binarizer": _binarizer,
        "SimpleImputer": _imputer,
        "PolynomialFeatures": _polynomial,
        "KBinsDiscretizer": _bins,
        "FunctionTransformer": _function,
        "PCA": _pca,
        "TruncatedSVD": _svd,
    }
    return forms.get(type(step).__name__, _selection)(step)


def _selection(step: Any) -> Change | None:
    if hasattr(step, "get_support"):
        kept = np.flatnonzero(step.get_support())
        return lambda matrix: matrix[:, kept]
    return None


def _binarizer(step: Any) -> Change:
    return lambda matrix: (matrix > step.threshold).astype(np.float64)


def _svd(step: Any) -> Change:
    weights = step.components_.T
    return lambda matrix: matrix @ weights


def _standard(step: Any) -> Change:
    mean = step.mean_ if step.with_mean else None
    return _shift_and_scale(mean, step.scale_ if step.with_std else None)


def _robust(step: Any) -> Change:
    return _shift_and_scale(
        step.center_ if step.with_centering else None, step.scale_ if step.with_scaling else None
    )


def _shift_and_scale(shift: Any, scale: Any) -> Change:
    if shift is None and scale is None:
        return lambda matrix: matrix
    if shift is None:
        return lambda matrix: matrix / scale
    if scale is None:
        return lambda matrix: matrix - shift

    def change(matrix: Any) -> Any:
        moved = matrix - shift
        moved /= scale
        return moved

    return change


def _min_max(step: Any) -> Change:
    low, high = step.feature_range

    def change(matrix: Any) -> Any:
        moved = matrix * step.scale_
        moved += step.min_
        return np.clip(moved, low, high, out=moved) if step.clip else moved

    return change


def _max_abs(step: Any) -> Change:
    if getattr(step, "clip", False):
        return lambda matrix: np.clip(matrix / step.scale_, -1.0, 1.0)
    return lambda matrix: matrix / step.scale_


def _normalizer(step: Any) -> Change | None:
    measures: dict[str, Change] = {
        "l1": lambda matrix: np.abs(matrix).sum(axis=1),
        "l2": lambda matrix: np.sqrt(np.einsum("ij,ij->i", matrix, matrix)),
        "max": lambda matrix: np.abs(matrix).max(axis=1),
    }
    measure = measures.get(step.norm)
    if measure is None:
        return None

    def change(matrix: Any) -> Any:
        norms = measure(matrix)
        norms[norms == 0] = 1.0
        return matrix / norms[:, None]

    return change


def _imputer(step: Any) -> Change | None:
    statistics = step.statistics_
    if statistics.dtype.kind not in "fiu" or not isinstance(step.missing_values, (int, float)):
        return None
    statistics = statistics.astype(np.float64)
    marker = float(step.missing_values)
    gaps = np.isnan(statistics)
    kept = None if step.keep_empty_features or not gaps.any() else np.flatnonzero(~gaps)
    fills = statistics if kept is None else statistics[kept]
    indicator = getattr(step, "indicator_", None)
    flagged = None if indicator is None else np.asarray(indicator.features_)
    if indicator is not None and indicator.features == "missing-only" and indicator.error_on_new:
        # What was never missing in training is refused by the original.
        return None

    def change(matrix: Any) -> Any:
        missing = np.isnan(matrix) if marker != marker else matrix == marker
        flags = None if flagged is None else missing[:, flagged]
        if kept is not None:
            matrix, missing = matrix[:, kept], missing[:, kept]
        filled = np.where(missing, fills, matrix)
        return filled if flags is None else np.hstack([filled, flags])

    return change


def _polynomial(step: Any) -> Change | None:
    columns = step.n_features_in_
    low, high = step.degree if isinstance(step.degree, (tuple, list)) else (0, step.degree)
    choose = combinations if step.interaction_only else combinations_with_replacement
    products: list[tuple[int, ...]] = [()] if step.include_bias else []
    for degree in range(max(1, low), high + 1):
        products += choose(range(columns), degree)
    if high > 4 or len(products) > 5000:
        return None
    # A column of ones stands in where a product has fewer factors.
    factors = [
        np.array([product[at] if at < len(product) else columns for product in products], dtype=np.intp)
        for at in range(max(1, high))
    ]

    def change(matrix: Any) -> Any:
        wide = np.empty((len(matrix), columns + 1))
        wide[:, :columns] = matrix
        wide[:, columns] = 1.0
        found = wide[:, factors[0]]
        for more in factors[1:]:
            found *= wide[:, more]
        return found

    return change


def _bins(step: Any) -> Change | None:
    if step.encode not in ("ordinal", "onehot", "onehot-dense"):
        return None
    edges = [np.asarray(edge)[1:-1] for edge in step.bin_edges_]
    counts = [int(count) for count in step.n_bins_]
    starts = np.concatenate([[0], np.cumsum(counts)])

    def change(matrix: Any) -> Any:
        places = [np.searchsorted(edge, matrix[:, at], side="right") for at, edge in enumerate(edges)]
        if step.encode == "ordinal":
            return np.array(places, dtype=np.float64).T
        found = np.zeros((len(matrix), int(starts[-1])))
        rows = np.arange(len(matrix))
        for start, place in zip(starts, places, strict=False):
            found[rows, start + place] = 1.0
        return found

    return change


def _function(step: Any) -> Change | None:
    if step.func is None:
        return lambda matrix: matrix
    if type(step.func).__name__ != "ufunc":
        return None
    options = step.kw_args or {}
    return lambda matrix: np.asarray(step.func(matrix, **options), dtype=np.float64)


def _pca(step: Any) -> Change | None:
    if step.whiten:
        return None
    weights = step.components_.T
    shift = np.reshape(step.mean_, (1, -1)) @ weights
    return lambda matrix: matrix @ weights - shift
