"""The model: a scikit-learn pipeline. Change `create` to try another one; the rest can stay."""

from __future__ import annotations

import json

import fsspec
import joblib
import pandas
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.metrics import accuracy_score, root_mean_squared_error
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from trainer.data import Columns


def create(columns: Columns, *, trees: int, learning_rate: float, max_depth: int) -> Pipeline:
    """Preparation and estimator in one object, so that training and serving cannot drift apart."""
    numeric = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    encoder = OneHotEncoder(
        categories=list(columns.categories.values()),
        # "error" rather than "ignore": a typing mistake in a request shall be heard, not guessed over.
        handle_unknown="error",
    )
    categorical = make_pipeline(SimpleImputer(strategy="most_frequent"), encoder)
    kind = GradientBoostingClassifier if columns.classes else GradientBoostingRegressor
    return Pipeline(
        [
            (
                "columns",
                ColumnTransformer(
                    [
                        ("numeric", numeric, columns.numeric),
                        ("categorical", categorical, [*columns.categories]),
                    ]
                ),
            ),
            (
                "estimator",
                kind(n_estimators=trees, learning_rate=learning_rate, max_depth=max_depth, random_state=0),
            ),
        ]
    )


def evaluate(
    model: Pipeline, rows: pandas.DataFrame, target: pandas.Series, columns: Columns
) -> dict[str, float]:
    """Accuracy of a classifier, root mean squared error of a regressor."""
    predicted = model.predict(rows)
    if columns.classes:
        return {"accuracy": float(accuracy_score(target, predicted))}
    return {"rmse": float(root_mean_squared_error(target, predicted))}


def save(model: Pipeline, metrics: dict[str, float], columns: Columns, job_dir: str) -> None:
    """Write `model/`, which is what a version is made of, and `metrics.json` beside it."""
    with fsspec.open(f"{job_dir}/model/model.joblib", "wb") as file:
        joblib.dump(model, file)
    if columns.classes:
        # Asks the server to answer with class and probabilities; without it, only the class is answered.
        _write_json(f"{job_dir}/model/serving.json", {"signature_name": "predict_proba"})
    _write_json(f"{job_dir}/metrics.json", metrics)


def _write_json(url: str, content: dict[str, str] | dict[str, float]) -> None:
    with fsspec.open(url, "w") as file:
        json.dump(content, file, indent=2)
