"""Serves LightGBM boosters from `model.txt`, and boosters or classes of LightGBM from pickles."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np

from mlengine.serving.runtimes.artefact import wrong_type
from mlengine.serving.runtimes.coded import CodedIntake
from mlengine.serving.runtimes.model import BadOutput, Description, LoadFailed, Model, Rows
from mlengine.serving.runtimes.outputs import plain

# What LightGBM names the columns of a plain array.
_UNNAMED = "Column_"


def load(path: Path, chosen: str | None) -> Model:
    """Read a `model.txt`. Raises LoadFailed."""
    with path.open("rb") as file:
        if file.read(4) != b"tree":
            raise LoadFailed(
                f"{path} is not a model of LightGBM. Save it with booster.save_model('{path.name}'), or "
                f"estimator.booster_.save_model."
            )
    try:
        booster = lightgbm.Booster(model_file=str(path))
    except Exception as error:
        raise LoadFailed(f"Could not load the model: {path}. {type(error).__name__}: {error}") from error
    return serve(booster, chosen)


def serve(model: Any, chosen: str | None) -> Model:
    """Make a booster, or a class in scikit-learn's manner, servable. Raises LoadFailed."""
    if type(model).__module__.split(".")[0] != "lightgbm":
        raise LoadFailed(wrong_type(model, "lightgbm model"))
    if not isinstance(model, lightgbm.Booster):
        return _serve_estimator(model, chosen)
    if chosen not in (None, "predict"):
        raise LoadFailed(f"serving.json: this model has no signature '{chosen}'. It has: predict.")
    intake = _intake(model)
    samples = intake.samples()

    def describe() -> Description:
        values = model.num_model_per_iteration()
        return {
            "framework": "lightgbm",
            "signature": "predict",
            "signatures": ["predict"],
            "instance": "row",
            "named": intake.named,
            "inputs": intake.describe(),
            "outputs": [{"name": "", "type": "number", "shape": [] if values == 1 else [values]}],
            "sample": samples[0],
            "sure": True,
        }

    return Model(
        framework="lightgbm",
        signatures={"predict": Predict(model, intake)},
        default="predict",
        aliases=("serving_default",),
        ignores_unknown_keys=False,
        describe=describe,
        samples=samples,
        sure=True,
        source=model,
    )


class Predict:
    """What `Booster.predict` answers: a value, or a list per instance (probabilities of several classes)."""

    name = "predict"

    def __init__(self, booster: Any, intake: CodedIntake) -> None:
        self._booster = booster
        self._intake = intake
        self.decode = intake.decode
        self.join = intake.join

    def run(self, rows: Rows) -> Any:
        """One call of `Booster.predict`."""
        answer = np.asarray(self._booster.predict(self._intake.matrix(rows), num_threads=1))
        if len(answer) != rows.count:
            raise BadOutput(f"The model answered {len(answer)} values for {rows.count} instances.")
        return answer

    def predictions(self, outputs: Any, start: int, stop: int) -> list[Any]:
        """Plain numbers, or lists of them."""
        answers: list[Any] = plain(outputs[start:stop])
        return answers


def _serve_estimator(model: Any, chosen: str | None) -> Model:
    from mlengine.serving.runtimes import scikit_learn

    try:
        booster = model.booster_
    except Exception as error:
        raise LoadFailed(
            f"The model is not trained: {error} Call fit before you save it, and save that object."
        ) from error
    # It is handed arrays, checked by name before, whether it was trained on a frame or not.
    warnings.filterwarnings("ignore", message="X does not have valid feature names")
    intake = _intake(booster)
    return scikit_learn.serve(model, chosen, framework="lightgbm", intake=intake, samples=intake.samples())


def _intake(booster: Any) -> CodedIntake:
    names = [str(name) for name in booster.feature_name()]
    named = names != [f"{_UNNAMED}{index}" for index in range(len(names))]
    params = booster.params
    # The first in a model that was read from a file, the second in one that was trained just now.
    chosen = params.get("categorical_feature", params.get("categorical_column")) or []
    categorical = [int(index) for index in chosen if not isinstance(index, str)]
    kept = booster.pandas_categorical or []
    categories = {}
    if len(kept) == len(categorical):
        categories = {index: plain(values) for index, values in zip(categorical, kept, strict=True)}
    return CodedIntake(
        names if named else [str(index) for index in range(len(names))], named=named, categories=categories
    )
