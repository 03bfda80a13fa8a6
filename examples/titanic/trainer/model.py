"""The model: how it is built, trained, measured and saved."""

from __future__ import annotations

import json
import warnings

import fsspec
import joblib
import pandas
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.pipeline import Pipeline

from trainer import featurizer


def train(features: pandas.DataFrame, target: pandas.Series, *, max_steps: int) -> Pipeline:
    """Fit a logistic regression; its solver stops by itself, or else after `max_steps` steps."""
    model = Pipeline(
        [("featurizer", featurizer.create()), ("classifier", LogisticRegression(max_iter=max_steps))]
    )
    with warnings.catch_warnings():
        # `steps_taken` tells the same in one number.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(features, target)


def steps_taken(model: Pipeline) -> int:
    return int(model["classifier"].n_iter_[0])


def evaluate(
    model: Pipeline, features: pandas.DataFrame, target: pandas.Series, *, max_steps: int, batch_size: int
) -> dict[str, float | int]:
    """Measure the model on the first `max_steps` batches, or on all rows if there are fewer."""
    rows = min(len(features), max_steps * batch_size)
    batches = (features.iloc[start : min(start + batch_size, rows)] for start in range(0, rows, batch_size))
    probabilities = pandas.concat(
        [pandas.DataFrame(model.predict_proba(batch), columns=model.classes_) for batch in batches]
    )
    truth = target.iloc[:rows]
    return {
        "accuracy": float(accuracy_score(truth, probabilities.idxmax(axis="columns"))),
        "log_loss": float(log_loss(truth, probabilities, labels=model.classes_)),
        "rows": rows,
    }


def save(model: Pipeline, metrics: dict[str, float | int], job_dir: str) -> None:
    """Write `model/`, which is what a version is made of, and `metrics.json` beside it."""
    with fsspec.open(f"{job_dir}/model/model.joblib", "wb") as file:
        joblib.dump(model, file)
    # Asks the server to answer with class and probabilities; without it, only the class is answered.
    _write_json(f"{job_dir}/model/serving.json", {"signature_name": "predict_proba"})
    _write_json(f"{job_dir}/metrics.json", metrics)


def _write_json(url: str, content: dict[str, str] | dict[str, float | int]) -> None:
    with fsspec.open(url, "w") as file:
        json.dump(content, file, indent=2)
