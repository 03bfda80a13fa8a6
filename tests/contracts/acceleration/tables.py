"""Small fitted models of tables, and how a faster form of one is held against it."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from mlengine.serving.runtimes import scikit_learn
from mlengine.serving.runtimes.acceleration.comparison import distance
from mlengine.serving.runtimes.acceleration.forms import forms_of
from mlengine.serving.runtimes.acceleration.words import Unusual
from mlengine.serving.runtimes.model import Model, RawInstances, Refused, Signature

NUMBERS = ["Pclass", "Age", "SibSp", "Fare"]
TEXTS = ["Sex", "Embarked"]
# A form may leave a rare request to the original.
LEFT: list[Any] = []


def passengers(rows: int = 250, seed: int = 3) -> tuple[pd.DataFrame, Any, Any, Any]:
    """A table with gaps, two classes, three classes, and a quantity."""
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "Pclass": random.integers(1, 4, rows).astype(float),
            "Age": np.where(random.random(rows) < 0.2, np.nan, random.uniform(1, 80, rows)),
            "SibSp": random.integers(0, 5, rows).astype(float),
            "Fare": random.exponential(30, rows),
            "Sex": random.choice(["male", "female"], rows),
            "Embarked": random.choice(np.array(["C", "Q", "S", np.nan], dtype=object), rows),
        }
    )
    survived = ((frame.Sex == "female") ^ (frame.Fare > 50) ^ (random.random(rows) < 0.1)).astype(int)
    port = random.choice(["low", "middle", "high"], rows)
    paid = frame.Fare * 2 + frame.Pclass + random.normal(size=rows)
    return frame, survived.to_numpy(), port, paid.to_numpy()


def pipeline(estimator: Any, *, numbers: Any = None, texts: Any = None) -> Pipeline:
    """An estimator behind a preparation of both kinds of columns."""
    columns = ColumnTransformer(
        [
            (
                "numbers",
                numbers or make_pipeline(SimpleImputer(strategy="median"), StandardScaler()),
                NUMBERS,
            ),
            (
                "texts",
                texts
                or make_pipeline(
                    SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")
                ),
                TEXTS,
            ),
        ]
    )
    return Pipeline([("columns", columns), ("model", estimator)])


def serve(fitted: Any) -> Model:
    """As the worker would."""
    return scikit_learn.serve(fitted, None)


def first_form(model: Model, folder: Path) -> Any:
    """The most promising faster form."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return next(forms_of(model, folder))


def answers(signature: Signature, run: Any, instances: list[Any]) -> list[Any] | None:
    """What a caller gets, as JSON would have it; None for an error."""
    try:
        rows = signature.decode(RawInstances(instances))
    except Refused:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return json.loads(json.dumps(signature.predictions(run(rows), 0, rows.count)))
        except Unusual:
            return LEFT
        except Exception:
            return None


def assert_same(model: Model, form: Any, instances: list[Any], tolerance: float) -> int:
    """Hold all signatures of a form against the original; returns how many answers were compared."""
    return sum(
        _compared(signature, form.run_for(signature), instances, tolerance)
        for signature in model.signatures.values()
    )


def _compared(signature: Signature, run: Any, instances: list[Any], tolerance: float) -> int:
    wanted = answers(signature, signature.run, instances)
    found = answers(signature, run, instances)
    if len(instances) > 1 and (wanted is None or found is LEFT):
        # One of them is at fault, or odd: look for it.
        middle = len(instances) // 2
        halves = (instances[:middle], instances[middle:])
        return sum(_compared(signature, run, half, tolerance) for half in halves)
    if found is LEFT:
        return 0
    if wanted is None:
        assert found is None, f"the original refuses {instances}"
        return 0
    assert found is not None, f"only the original answers {instances}"
    for instance, one, other in zip(instances, wanted, found, strict=True):
        assert distance(one, other, 1e-3) <= tolerance, (signature.name, instance, one, other)
    return len(instances)


def rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a frame as instances."""
    return json.loads(frame.to_json(orient="records"))
