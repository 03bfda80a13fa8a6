"""Serves XGBoost boosters from `model.bst`, and boosters or wrappers from pickles."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xgboost

from mlengine.serving.runtimes.artefact import wrong_type
from mlengine.serving.runtimes.model import BadOutput, Description, LoadFailed, Model, RawInstances, Rows
from mlengine.serving.runtimes.outputs import plain, refuse_unsayable
from mlengine.serving.runtimes.schema import Input, Table, sample_of


def load(path: Path, chosen: str | None) -> Model:
    """Read a `model.bst`. Raises LoadFailed."""
    try:
        booster = xgboost.Booster(model_file=str(path))
    except Exception as error:
        raise LoadFailed(f"Could not load the model: {path}. {type(error).__name__}: {error}") from error
    return serve(booster, chosen)


def serve(model: Any, chosen: str | None) -> Model:
    """Make a booster, or a wrapper in scikit-learn's manner, servable. Raises LoadFailed."""
    if "xgboost" not in type(model).__module__:
        raise LoadFailed(wrong_type(model, "xgboost model"))
    if not isinstance(model, xgboost.Booster):
        # XGBClassifier and its like answer labels, and take tables rather than a DMatrix.
        from mlengine.serving.runtimes import scikit_learn

        return scikit_learn.serve(model, chosen, framework="xgboost")
    if chosen not in (None, "predict"):
        raise LoadFailed(f"serving.json: this model has no signature '{chosen}'. It has: predict.")
    names = model.feature_names
    columns = [Input(str(name), type="number") for name in (names or range(int(model.num_features())))]
    table = Table(columns, named=bool(names))

    def describe() -> Description:
        return {
            "framework": "xgboost",
            "signature": "predict",
            "signatures": ["predict"],
            "instance": "row",
            "named": table.named,
            "inputs": [column.describe() for column in columns],
            "outputs": [{"name": "", "type": "number", "shape": None}],
            "sample": sample_of(table),
            "sure": True,
        }

    return Model(
        framework="xgboost",
        signatures={"predict": Predict(model, table)},
        default="predict",
        aliases=("serving_default",),
        ignores_unknown_keys=False,
        describe=describe,
        samples=[sample_of(table), sample_of(table, filler=1)],
        sure=True,
    )


class Predict:
    """What `Booster.predict` answers: a value, or one list per instance (probabilities of multi:softprob)."""

    name = "predict"

    def __init__(self, booster: Any, table: Table) -> None:
        self._booster = booster
        self._table = table
        types = booster.feature_types
        # A booster that remembers names refuses a matrix without them.
        self._options: dict[str, Any] = {"feature_names": booster.feature_names, "feature_types": types}
        if types and "c" in types:
            self._options["enable_categorical"] = True

    def decode(self, instances: RawInstances) -> Rows:
        """Check against the features. Raises Refused."""
        rows = self._table.rows(instances)
        return Rows(len(rows), None, rows)

    def join(self, parts: Sequence[Rows]) -> Rows:
        """All rows in one list."""
        rows = [row for part in parts for row in part.data]
        return Rows(len(rows), None, rows)

    def run(self, rows: Rows) -> Any:
        """One call of `Booster.predict`."""
        matrix = xgboost.DMatrix(np.array(rows.data, dtype=np.float64), **self._options)
        answer = self._booster.predict(matrix)
        if len(answer) != rows.count:
            raise BadOutput(f"The model answered {len(answer)} values for {rows.count} instances.")
        return answer

    def predictions(self, outputs: Any, start: int, stop: int) -> list[Any]:
        """Plain numbers, or lists of them."""
        answers: list[Any] = plain(outputs[start:stop])
        refuse_unsayable(answers)
        return answers
