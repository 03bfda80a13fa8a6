"""Small models with known answers, behind the same checks as the real ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mlengine.serving.runtimes.model import Model, RawInstances, Rows
from mlengine.serving.runtimes.rules import Rules
from mlengine.serving.runtimes.schema import Input, Table, sample_of
from mlengine.serving.runtimes.tensor_signature import TensorSignature
from mlengine.serving.runtimes.tensors import Tensor

AGE = Input("Age", type="number")
PORT = Input("Embarked", type="string", categories=("C", "Q", "S"), closed=True, nullable=False)
OLD = Input("Old", type="boolean", nullable=False)


class Fares:
    """A model of tables: what a row costs, or NaN where the age is not known. Keeps the size of calls."""

    name = "predict"

    def __init__(self, table: Table) -> None:
        self.table = table
        self.calls: list[int] = []

    def decode(self, instances: RawInstances) -> Rows:
        rows = self.table.rows(instances)
        return Rows(len(rows), None, rows)

    def join(self, parts: Sequence[Rows]) -> Rows:
        rows = [row for part in parts for row in part.data]
        return Rows(len(rows), None, rows)

    def run(self, rows: Rows) -> list[float]:
        self.calls.append(rows.count)
        return [self.fare(*row) for row in rows.data]

    def predictions(self, outputs: Any, start: int, stop: int) -> list[Any]:
        answers: list[Any] = outputs[start:stop]
        return answers

    @staticmethod
    def fare(age: float, port: str, old: bool) -> float:
        return age * 2 + "CQS".index(port) + 0.5 * old


def table_model(**rules: Any) -> Model:
    """Fares, by Age, Embarked and Old."""
    table = Table([AGE, PORT, OLD], named=True)
    signature = Fares(table)
    return Model(
        framework="scikit-learn",
        signatures={"predict": signature},
        default="predict",
        aliases=("serving_default",),
        ignores_unknown_keys=False,
        describe=lambda: {
            "framework": "scikit-learn",
            "signature": "predict",
            "signatures": ["predict"],
            "instance": "row",
            "named": True,
            "inputs": [column.describe() for column in table.inputs],
            "outputs": [{"name": "", "type": "number", "shape": []}],
            "sample": sample_of(table),
            "sure": True,
        },
        samples=[sample_of(table)],
        sure=True,
        rules=Rules(**rules),
    )


def tensor_model(*, wide: int = 3, outputs: int = 1, names: int = 1, **rules: Any) -> Model:
    """Doubles vectors of float32: `x` to `y`; `total` is a second output, and `z` a second input to add."""
    tensors = [Tensor("x", "float32", [None, wide])]
    if names == 2:
        tensors.append(Tensor("z", "float32", [None]))

    def call(arrays: dict[str, Any]) -> dict[str, Any]:
        y = arrays["x"] * np.float32(2)
        if names == 2:
            y = y + arrays["z"][:, None]
        return {"y": y} if outputs == 1 else {"total": y.sum(axis=1), "y": y}

    described = [{"name": "y", "type": "number", "shape": [wide]}]
    if outputs == 2:
        described.insert(0, {"name": "total", "type": "number", "shape": []})
    signature = TensorSignature("serving_default", tensors, described, call)
    return Model(
        framework="tensorflow",
        signatures={"serving_default": signature},
        default="serving_default",
        aliases=(),
        ignores_unknown_keys=True,
        describe=lambda: signature.describe(
            "tensorflow", default="serving_default", names=["serving_default"]
        ),
        samples=signature.samples(),
        sure=True,
        rules=Rules(**rules),
    )


def text_model(**rules: Any) -> Model:
    """Says texts backwards: string `text` to `back`, and as bytes."""
    tensors = [Tensor("text", object, [None])]

    def call(arrays: dict[str, Any]) -> dict[str, Any]:
        return {"back": np.array([text[::-1] for text in arrays["text"]], dtype=object)}

    signature = TensorSignature(
        "serving_default", tensors, [{"name": "back", "type": "string", "shape": []}], call
    )
    made = tensor_model(**rules)
    return replace(
        made,
        signatures={"serving_default": signature},
        describe=lambda: signature.describe(
            "tensorflow", default="serving_default", names=["serving_default"]
        ),
        samples=signature.samples(),
    )
