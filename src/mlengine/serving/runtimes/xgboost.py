"""Serves XGBoost boosters from `model.bst`, `.json` and `.ubj`, and boosters or wrappers from pickles."""

from __future__ import annotations

import json
import warnings
from itertools import pairwise
from pathlib import Path
from typing import Any

import xgboost

from mlengine.serving.runtimes.artefact import wrong_type
from mlengine.serving.runtimes.coded import CodedIntake
from mlengine.serving.runtimes.model import BadOutput, Description, LoadFailed, Model, Rows
from mlengine.serving.runtimes.outputs import plain


def load(path: Path, chosen: str | None) -> Model:
    """Read a file of `save_model`. Raises LoadFailed."""
    try:
        with warnings.catch_warnings():
            # It says that it has to guess the format of a .bst, and guesses right.
            warnings.simplefilter("ignore", UserWarning)
            booster = xgboost.Booster(model_file=str(path))
    except Exception as error:
        cure = ""
        if path.suffix == ".bst":
            cure = (
                " A file of XGBoost before 1.0, or in its old binary format: load it with the version that "
                "wrote it, and save it as model.json."
            )
        raise LoadFailed(
            f"Could not load the model: {path}. {type(error).__name__}: {error}{cure}"
        ) from error
    return serve(booster, chosen)


def serve(model: Any, chosen: str | None) -> Model:
    """Make a booster, or a wrapper in scikit-learn's manner, servable. Raises LoadFailed."""
    if "xgboost" not in type(model).__module__:
        raise LoadFailed(wrong_type(model, "xgboost model"))
    if not isinstance(model, xgboost.Booster):
        # XGBClassifier and its like answer labels, and take tables rather than a DMatrix.
        from mlengine.serving.runtimes import scikit_learn

        booster = model.get_booster() if model.__sklearn_is_fitted__() else None
        if booster is None or not _categories(booster):
            return scikit_learn.serve(model, chosen, framework="xgboost")
        coded = _intake(booster)
        return scikit_learn.serve(model, chosen, framework="xgboost", intake=coded, samples=coded.samples())
    if chosen not in (None, "predict"):
        raise LoadFailed(f"serving.json: this model has no signature '{chosen}'. It has: predict.")
    intake = _intake(model)
    samples = intake.samples()

    def describe() -> Description:
        return {
            "framework": "xgboost",
            "signature": "predict",
            "signatures": ["predict"],
            "instance": "row",
            "named": intake.named,
            "inputs": intake.describe(),
            "outputs": [{"name": "", "type": "number", "shape": None}],
            "sample": samples[0],
            "sure": True,
        }

    return Model(
        framework="xgboost",
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
    """What `Booster.predict` answers: a value, or one list per instance (probabilities of multi:softprob)."""

    name = "predict"

    def __init__(self, booster: Any, intake: CodedIntake) -> None:
        self._booster = booster
        self._intake = intake
        self.decode = intake.decode
        self.join = intake.join
        types = booster.feature_types
        # A booster that remembers names refuses a matrix without them.
        self._options: dict[str, Any] = {"feature_names": booster.feature_names, "feature_types": types}
        if types and "c" in types:
            self._options["enable_categorical"] = True

    def run(self, rows: Rows) -> Any:
        """One call of `Booster.predict`."""
        answer = self._booster.predict(xgboost.DMatrix(self._intake.matrix(rows), **self._options))
        if len(answer) != rows.count:
            raise BadOutput(f"The model answered {len(answer)} values for {rows.count} instances.")
        return answer

    def predictions(self, outputs: Any, start: int, stop: int) -> list[Any]:
        """Plain numbers, or lists of them."""
        answers: list[Any] = plain(outputs[start:stop])
        return answers


def _intake(booster: Any) -> CodedIntake:
    names = [str(name) for name in booster.feature_names or ()]
    unnamed = [str(index) for index in range(int(booster.num_features()))]
    return CodedIntake(names or unnamed, named=bool(names), categories=_categories(booster))


def _categories(booster: Any) -> dict[int, list[Any]]:
    """The categories that the booster was trained with, by the column's position.

    It keeps them from version 3.1 on; of earlier ones, and where training was given codes, codes are sent.
    """
    if "c" not in (booster.feature_types or ()):
        return {}
    saved = json.loads(booster.save_raw("json"))["learner"]["gradient_booster"]
    kept = saved.get("model", saved.get("gbtree", {}).get("model", {})).get("cats") or {}
    found: dict[int, list[Any]] = {}
    for index, column in enumerate(kept.get("enc", ())):
        values = column["values"]
        if "offsets" in column:
            # One text after the other, as bytes.
            ends, raw = column["offsets"], bytes(value % 256 for value in values)
            values = [raw[start:end].decode("utf-8") for start, end in pairwise(ends)]
        if values:
            found[index] = list(values)
    return found
