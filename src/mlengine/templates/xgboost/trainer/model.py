"""The model: XGBoost, which takes categories and gaps as they are. Change `train` to try other settings."""

from __future__ import annotations

import json
from typing import Any

import fsspec
import numpy
import pandas
import xgboost

from trainer.data import Columns


def matrix(rows: pandas.DataFrame, target: pandas.Series, columns: Columns) -> xgboost.DMatrix:
    """The rows in the form that XGBoost takes. Names and categories become part of the model."""
    typed = rows.astype({name: pandas.CategoricalDtype(texts) for name, texts in columns.categories.items()})
    label = pandas.Categorical(target, categories=columns.classes).codes if columns.classes else target
    return xgboost.DMatrix(typed, label=label, enable_categorical=True)


def train(
    data: xgboost.DMatrix, evaluation: xgboost.DMatrix, columns: Columns, *, trees: int, **settings: Any
) -> xgboost.Booster:
    """Boost for `trees` rounds, saying every tenth how it goes. `settings` are XGBoost's own."""
    objective: dict[str, Any] = {"objective": "reg:squarederror"}
    if len(columns.classes) == 2:
        objective = {"objective": "binary:logistic"}
    elif columns.classes:
        objective = {"objective": "multi:softprob", "num_class": len(columns.classes)}
    watched = [(data, "train"), (evaluation, "eval")]
    return xgboost.train(objective | {"seed": 0} | settings, data, trees, evals=watched, verbose_eval=10)


def evaluate(model: xgboost.Booster, data: xgboost.DMatrix, columns: Columns) -> dict[str, float]:
    """Accuracy of a classifier, root mean squared error of a regressor."""
    predicted, truth = model.predict(data), data.get_label()
    if not columns.classes:
        return {"rmse": float(numpy.sqrt(numpy.mean((predicted - truth) ** 2)))}
    chosen = predicted > 0.5 if predicted.ndim == 1 else predicted.argmax(axis=1)
    return {"accuracy": float((chosen == truth).mean())}


def save(model: xgboost.Booster, metrics: dict[str, float], job_dir: str) -> None:
    """Write `model/`, which is what a version is made of, and `metrics.json` beside it."""
    with fsspec.open(f"{job_dir}/model/model.bst", "wb") as file:
        file.write(model.save_raw("ubj"))
    with fsspec.open(f"{job_dir}/metrics.json", "w") as file:
        json.dump(metrics, file, indent=2)
