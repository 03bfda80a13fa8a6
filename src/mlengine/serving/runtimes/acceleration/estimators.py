"""Fitted estimators as functions from a matrix to answers; what has no form of its own is asked as it is."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlengine.serving.runtimes.acceleration.trees import grown, histogram_leaves
from mlengine.serving.runtimes.acceleration.words import Unusual

Function = Callable[[Any], Any]

_LINEAR_CLASSIFIERS = (
    "LogisticRegression",
    "LogisticRegressionCV",
    "SGDClassifier",
    "RidgeClassifier",
    "RidgeClassifierCV",
    "LinearSVC",
    "Perceptron",
    "PassiveAggressiveClassifier",
    "LinearDiscriminantAnalysis",
)
_EXPONENTIAL = ("PoissonRegressor", "GammaRegressor")
_TREES = ("DecisionTreeClassifier", "DecisionTreeRegressor", "ExtraTreeClassifier", "ExtraTreeRegressor")
_FORESTS = (
    "RandomForestClassifier",
    "RandomForestRegressor",
    "ExtraTreesClassifier",
    "ExtraTreesRegressor",
)
_BOOSTED = ("GradientBoostingClassifier", "GradientBoostingRegressor")
_HISTOGRAM = ("HistGradientBoostingClassifier", "HistGradientBoostingRegressor")
# Values of leaves held at once, in rows of large batches.
_MOST_CELLS = 1_000_000
LARGEST_FLOAT32 = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Answers:
    """How an estimator answers a matrix of float64.

    Attributes:
        predict: Labels or values.
        predict_proba: Probabilities, where the estimator has them.
        takes_nan: Whether missing values may be in the matrix.
        exact: Whether the arithmetic is that of the original, rather than of smaller floats.
    """

    predict: Function
    predict_proba: Function | None = None
    takes_nan: bool = False
    exact: bool = True


def own_answers(estimator: Any) -> Answers | None:
    """A form of our own, or None where there is none for this kind."""
    kind = type(estimator).__name__
    family = type(estimator).__module__.split(".")[0]
    if family == "xgboost":
        return _xgboost(estimator)
    if family == "lightgbm":
        return _lightgbm(estimator)
    if family != "sklearn":
        return None
    if kind in _LINEAR_CLASSIFIERS:
        return _linear_classifier(estimator, kind)
    if kind in _TREES or kind in _FORESTS:
        return _forest(estimator, kind)
    if kind in _BOOSTED:
        return _boosted(estimator)
    if kind in _HISTOGRAM:
        return _histogram(estimator)
    if kind in ("MLPClassifier", "MLPRegressor"):
        return _network(estimator)
    modules = type(estimator).__module__
    if hasattr(estimator, "coef_") and hasattr(estimator, "intercept_") and "linear_model" in modules:
        return _linear_regressor(estimator, kind)
    return _linear_regressor(estimator, kind) if kind == "LinearSVR" else None


def asked_as_it_is(estimator: Any) -> Answers:
    """The fitted estimator itself, asked with an array."""
    nameless = without_names(estimator)
    allows_nan = _allows_nan(estimator)
    proba = nameless.predict_proba if hasattr(nameless, "predict_proba") else None
    return Answers(nameless.predict, proba, takes_nan=allows_nan)


def without_names(fitted: Any) -> Any:
    """A shallow copy that does not miss the names of columns, nor answers with a data frame."""
    twin = copy.copy(fitted)
    for name in ("feature_names_in_", "_sklearn_output_config"):
        if name in vars(twin):
            delattr(twin, name)
    return twin


def _allows_nan(estimator: Any) -> bool:
    try:
        from sklearn.utils import get_tags

        return bool(get_tags(estimator).input_tags.allow_nan)
    except Exception:  # an older scikit-learn, or another package's estimator: let the comparison tell
        return True


def _labels(estimator: Any) -> Any:
    classes = np.asarray(estimator.classes_)
    if classes.ndim != 1:
        raise TypeError("several outputs")
    return classes


def _linear_classifier(estimator: Any, kind: str) -> Answers | None:
    classes = _labels(estimator)
    weights, bias = np.ascontiguousarray(np.atleast_2d(estimator.coef_).T), estimator.intercept_
    binary = weights.shape[1] == 1

    def scores(matrix: Any) -> Any:
        found = matrix @ weights + bias
        return found.ravel() if binary else found

    def predict(matrix: Any) -> Any:
        found = scores(matrix)
        return classes[(found > 0).astype(np.intp) if binary else found.argmax(axis=1)]

    if not hasattr(estimator, "predict_proba"):
        return Answers(predict)
    logistic = kind.startswith("Logistic") or kind == "LinearDiscriminantAnalysis"
    if not logistic and not (kind == "SGDClassifier" and estimator.loss == "log_loss"):
        nameless = without_names(estimator)
        return Answers(predict, nameless.predict_proba)
    one_by_one = not binary and (
        kind == "SGDClassifier"
        or getattr(estimator, "multi_class", None) == "ovr"
        or getattr(estimator, "solver", None) == "liblinear"
    )

    def predict_proba(matrix: Any) -> Any:
        found = scores(matrix)
        if binary:
            return _two(_expit(found))
        if one_by_one:
            found = _expit(found)
            return found / found.sum(axis=1, keepdims=True)
        return _softmax(found)

    return Answers(predict, predict_proba)


def _linear_regressor(estimator: Any, kind: str) -> Answers | None:
    if hasattr(estimator, "predict_proba") or kind == "RANSACRegressor" or hasattr(estimator, "classes_"):
        return None
    weights, bias = np.asarray(estimator.coef_).T, estimator.intercept_
    if hasattr(weights, "toarray") or weights.dtype.kind != "f":
        return None
    if kind in _EXPONENTIAL:
        return Answers(lambda matrix: np.exp(matrix @ weights + bias))
    if kind == "TweedieRegressor":
        return None
    return Answers(lambda matrix: matrix @ weights + bias)


def _forest(estimator: Any, kind: str) -> Answers | None:
    if getattr(estimator, "n_outputs_", 1) != 1:
        return None
    members = list(estimator.estimators_) if kind in _FORESTS else [estimator]
    trees = [member.tree_ for member in members]
    values = [np.ascontiguousarray(tree.value[:, 0, :]) for tree in trees]
    classifies = kind.endswith("Classifier")
    if classifies:
        # Before scikit-learn 1.3 leaves held counts.
        values = [_shares(value) for value in values]
    count = len(trees)
    leaves = grown(trees, values)

    def average_of(matrix: Any) -> Any:
        found = leaves(_float32(matrix))
        return found[0] if count == 1 else np.add.reduce(found, axis=0) / count

    average = _in_parts(average_of, count * values[0].shape[1])

    nan = _allows_nan(estimator)
    if not classifies:
        return Answers(lambda matrix: average(matrix)[:, 0], takes_nan=nan)
    classes = _labels(estimator)
    return Answers(lambda matrix: classes[average(matrix).argmax(axis=1)], average, takes_nan=nan)


def _shares(values: Any) -> Any:
    sums = values.sum(axis=1, keepdims=True)
    return values if np.allclose(sums, 1) else values / np.where(sums == 0, 1, sums)


def _boosted(estimator: Any) -> Answers | None:
    if type(estimator.init_).__name__ not in ("DummyClassifier", "DummyRegressor", "str"):
        return None
    from sklearn.ensemble._gradient_boosting import predict_stages

    stages = estimator.estimators_
    rate, outputs = estimator.learning_rate, stages.shape[1]
    begin = estimator._raw_predict_init(np.zeros((1, estimator.n_features_in_), dtype=np.float32))
    trees = [member.tree_ for member in stages.ravel()]
    leaves = grown(trees, [np.ascontiguousarray(tree.value[:, 0, :]) * rate for tree in trees])
    few = max(1, 2048 // len(trees))

    def raw(matrix: Any) -> Any:
        matrix, rows = _float32(matrix), len(matrix)
        if rows > few:
            found = np.repeat(begin, rows, axis=0)
            predict_stages(stages, matrix, rate, found)
            return found
        # The leaves are ordered by stage and, within it, by output: (stages, outputs, rows).
        grouped = leaves(matrix).reshape(len(stages), outputs, rows)
        return begin + np.add.reduce(grouped, axis=0).T

    if not hasattr(estimator, "classes_"):
        return Answers(lambda matrix: raw(matrix).ravel())
    return _from_raw(estimator, raw, outputs=outputs, level=lambda found: found >= 0)


def _histogram(estimator: Any) -> Answers | None:
    known, positions = estimator._bin_mapper.make_known_categories_bitsets()
    predictors = [predictor for stage in estimator._predictors for predictor in stage]
    outputs = estimator.n_trees_per_iteration_
    stages = len(estimator._predictors)
    leaves = histogram_leaves(predictors, known, positions, len(positions))
    begin = estimator._baseline_prediction

    def raw_of(matrix: Any) -> Any:
        found = leaves(matrix)
        return begin + np.add.reduce(found.reshape(stages, outputs, len(matrix)), axis=0).T

    raw = _in_parts(raw_of, len(predictors))
    if not hasattr(estimator, "classes_"):
        link = estimator._loss.link
        return Answers(lambda matrix: link.inverse(raw(matrix).ravel()), takes_nan=True)
    return _from_raw(estimator, raw, outputs=outputs, level=lambda found: found > 0, takes_nan=True)


def _from_raw(
    estimator: Any, raw: Function, *, outputs: int, level: Function, takes_nan: bool = False
) -> Answers:
    classes = _labels(estimator)

    def predict(matrix: Any) -> Any:
        found = raw(matrix)
        if outputs == 1:
            return classes[level(found.ravel()).astype(np.intp)]
        return classes[found.argmax(axis=1)]

    loss: Any = getattr(estimator, "_loss", None)
    kind = type(loss).__name__

    def predict_proba(matrix: Any) -> Any:
        found = raw(matrix)
        if kind == "HalfBinomialLoss":
            return _two(_expit(found.ravel()))
        if kind == "HalfMultinomialLoss":
            return _softmax(found)
        return loss.predict_proba(np.ascontiguousarray(found))

    return Answers(predict, predict_proba if hasattr(loss, "predict_proba") else None, takes_nan=takes_nan)


def _network(estimator: Any) -> Answers | None:
    layers = list(zip(estimator.coefs_, estimator.intercepts_, strict=True))
    if estimator.coefs_[0].dtype != np.float64:
        return None
    inner: Function | None = {
        "relu": lambda found: np.maximum(found, 0, out=found),
        "tanh": lambda found: np.tanh(found, out=found),
        "logistic": _expit,
        "identity": lambda found: found,
    }.get(estimator.activation)
    outer: Function | None = {
        "identity": lambda found: found,
        "logistic": _expit,
        "softmax": _softmax,
    }.get(estimator.out_activation_)
    if inner is None or outer is None:
        return None
    keep, finish = inner, outer

    def forward(matrix: Any) -> Any:
        for weights, bias in layers[:-1]:
            matrix = keep(matrix @ weights + bias)
        weights, bias = layers[-1]
        return finish(matrix @ weights + bias)

    if not hasattr(estimator, "classes_"):
        return Answers(lambda matrix: forward(matrix).ravel() if layers[-1][1].size == 1 else forward(matrix))
    classes = _labels(estimator)
    if layers[-1][1].size == 1:
        return Answers(
            lambda matrix: classes[(forward(matrix).ravel() > 0.5).astype(np.intp)],
            lambda matrix: _two(forward(matrix).ravel()),
        )
    return Answers(lambda matrix: classes[forward(matrix).argmax(axis=1)], forward)


def _xgboost(estimator: Any) -> Answers | None:
    booster = estimator.get_booster()
    if booster.feature_types and "c" in booster.feature_types:
        return None
    booster.set_param({"nthread": 1})
    span = estimator._get_iteration_range(None)
    missing = estimator.missing

    def predict(matrix: Any) -> Any:
        return booster.inplace_predict(matrix, iteration_range=span, missing=missing, validate_features=False)

    if not hasattr(estimator, "classes_"):
        return Answers(predict, takes_nan=True)
    classes = _labels(estimator)

    def proba(matrix: Any) -> Any:
        found = predict(matrix)
        return _two(found) if found.ndim == 1 else found

    def label(matrix: Any) -> Any:
        found = predict(matrix)
        return classes[(found > 0.5).astype(np.intp) if found.ndim == 1 else found.argmax(axis=1)]

    return Answers(label, proba, takes_nan=True)


def _lightgbm(estimator: Any) -> Answers | None:
    booster = estimator.booster_
    last = estimator.best_iteration_ or None

    def predict(matrix: Any) -> Any:
        return booster.predict(matrix, num_iteration=last, num_threads=1, validate_features=False)

    if not hasattr(estimator, "classes_"):
        return Answers(predict, takes_nan=True)
    classes = _labels(estimator)

    def proba(matrix: Any) -> Any:
        found = predict(matrix)
        return _two(found) if found.ndim == 1 else found

    def label(matrix: Any) -> Any:
        return classes[proba(matrix).argmax(axis=1)]

    return Answers(label, proba, takes_nan=True)


def _in_parts(function: Function, cells: int) -> Function:
    """`function`, asked with so few rows at a time that what it makes of them stays small.

    Args:
        function: From a matrix to one answer per row.
        cells: How many numbers it holds for each row.
    """
    most = max(64, _MOST_CELLS // cells)

    def whole(matrix: Any) -> Any:
        if len(matrix) <= most:
            return function(matrix)
        parts = [function(matrix[start : start + most]) for start in range(0, len(matrix), most)]
        return np.concatenate(parts)

    return whole


def _float32(matrix: Any) -> Any:
    """As scikit-learn's trees take it: what float32 cannot hold is refused, not made infinite."""
    small = np.ascontiguousarray(matrix, dtype=np.float32)
    if not np.isfinite(small.sum(dtype=np.float64)) and bool(np.isinf(small).any()):
        raise Unusual("A number is too large for the trees.")
    return small


def _expit(found: Any) -> Any:
    from scipy.special import expit

    return expit(found)


def _two(second: Any) -> Any:
    both = np.empty((len(second), 2), dtype=second.dtype)
    np.subtract(1, second, out=both[:, 0])
    both[:, 1] = second
    return both


def _softmax(found: Any) -> Any:
    powers = np.exp(found - found.max(axis=1, keepdims=True))
    powers /= powers.sum(axis=1, keepdims=True)
    return powers
