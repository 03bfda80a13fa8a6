"""The faster forms that there may be of a model, by framework."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlengine.serving.runtimes.acceleration.blocks import Batch
from mlengine.serving.runtimes.acceleration.estimators import LARGEST_FLOAT32
from mlengine.serving.runtimes.acceleration.guard import Run, by_plan
from mlengine.serving.runtimes.acceleration.hints import Hints, Ranges, hints_of
from mlengine.serving.runtimes.acceleration.plan import Plan, compile_plan, last_step
from mlengine.serving.runtimes.acceleration.words import Unsupported, Unusual
from mlengine.serving.runtimes.model import Model, RawInstances, Signature

SAME_MATH = 1e-6
SMALLER_FLOATS = 1e-5


@dataclass
class Form:
    """A faster form, not yet compared with the original.

    Attributes:
        name: "arrays", "onnx" or "numpy".
        detail: What is special about it, in a few words.
        tolerance: Largest relative difference of numbers that counts as the same answer.
        run_for: Makes the `run` for one of the model's signatures.
        exact: Whether its arithmetic is the original's; preferred unless another form is much faster.
        hints: Tells numbers worth trying and the spans of numbers in training, by input.
    """

    name: str
    detail: str
    tolerance: float
    run_for: Callable[[Signature], Run]
    exact: bool = True
    hints: Callable[[], tuple[Hints, Ranges]] = lambda: ({}, {})


def forms_of(model: Model, folder: Path) -> Iterator[Form]:
    """Forms to try, the most promising first; nothing where there is none. May raise Unsupported in between.

    Args:
        model: The loaded model, with its source.
        folder: Where the files of a form may be kept.
    """
    signature = model.signatures[model.default or min(model.signatures)]
    if model.framework == "xgboost" and hasattr(signature, "_booster"):
        yield _booster(model)
    elif hasattr(signature, "_model") and hasattr(signature, "_intake"):
        yield from _table_forms(model, signature, folder)
    elif model.framework in ("tensorflow", "keras"):
        from mlengine.serving.runtimes.acceleration.dense import dense_forms

        yield from dense_forms(model, folder)
    else:
        raise Unsupported(f"There is no faster form for {model.framework} models of this kind.")


def _table_forms(model: Model, signature: Any, folder: Path) -> Iterator[Form]:
    description = model.describe()

    def compiled(own: bool) -> Plan:
        return compile_plan(model.source, signature._intake, signature.decode, description, own=own)

    failure: Exception | None = None
    plan: Plan | None = None
    try:
        plan = compiled(own=True)
    except Exception as error:  # no form of its own, or the insides of another release
        failure = error
    if plan is not None:
        yield _arrays(model, plan, "compiled estimator")
    try:
        plan = compiled(own=False)
    except Exception as error:
        raise failure or error from None
    yield _arrays(model, plan, "fitted estimator on arrays")
    from mlengine.serving.runtimes.acceleration.onnx_form import onnx_answers

    answers = onnx_answers(last_step(model.source), plan.matrix.width, folder)
    if answers is not None:
        form = _arrays(model, Plan(model.source, plan.matrix, answers), "estimator as ONNX")
        form.name, form.tolerance, form.exact = "onnx", SMALLER_FLOATS, False
        yield form


def _arrays(model: Model, plan: Plan, detail: str) -> Form:
    signature: Any = model.signatures[model.default or min(model.signatures)]

    def matrix(instances: Any) -> Any:
        return plan.matrix.compute(Batch(signature._intake, signature.decode(RawInstances(list(instances)))))

    def hints() -> tuple[Hints, Ranges]:
        description = model.describe()
        inputs, sample = description["inputs"], description["sample"]
        if isinstance(sample, dict):
            sample = [sample.get(column["name"]) for column in inputs]
        numeric = [
            at
            for at, column in enumerate(inputs)
            if column["type"] in ("number", "integer") and not column["closed"] and column["required"]
        ]
        # Wide rows of equals, such as pixels, need no three trials each.
        return hints_of(last_step(model.source), matrix, sample=sample, numeric=numeric[:200])

    return Form("arrays", detail, SAME_MATH, lambda signature: by_plan(signature, plan), hints=hints)


def _booster(model: Model) -> Form:
    import numpy as np

    booster = model.source
    if booster.feature_types and "c" in booster.feature_types:
        raise Unsupported("The booster knows categories.")
    booster.set_param({"nthread": 1})

    def run_for(signature: Signature) -> Run:
        del signature

        def run(rows: Any) -> Any:
            matrix = np.asarray(rows.data, dtype=np.float64)
            if np.abs(matrix, where=~np.isnan(matrix), out=np.zeros_like(matrix)).max() > LARGEST_FLOAT32:
                # The original refuses what is infinite in small floats.
                raise Unusual("A number is too large.")
            return booster.inplace_predict(matrix, validate_features=False)

        return run

    def hints() -> tuple[Hints, Ranges]:
        columns = len(model.describe()["inputs"])

        def matrix(instances: Any) -> Any:
            return np.array(instances, dtype=np.float64)

        return hints_of(booster, matrix, sample=[0.0] * columns, numeric=range(min(columns, 200)))

    return Form("arrays", "prediction in place", SAME_MATH, run_for, hints=hints)
