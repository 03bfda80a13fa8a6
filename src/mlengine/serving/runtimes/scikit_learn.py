"""Serves scikit-learn estimators and pipelines, and classes that behave like them: XGBoost's, LightGBM's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from sklearn.base import is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from mlengine.serving.runtimes.artefact import wrong_type
from mlengine.serving.runtimes.columns import columns_of
from mlengine.serving.runtimes.faults import Faults, shown
from mlengine.serving.runtimes.model import (
    BadOutput,
    Description,
    LoadFailed,
    Model,
    RawInstances,
    Rows,
    Signature,
)
from mlengine.serving.runtimes.outputs import plain
from mlengine.serving.runtimes.schema import Input, Table, sample_of
from mlengine.serving.runtimes.threads import keep_to_one

# Models whose predict is not the class of the highest probability.
_OWN_MIND = ("SVC", "NuSVC", "TunedThresholdClassifierCV", "FixedThresholdClassifier")


def serve(
    model: Any,
    chosen: str | None,
    *,
    framework: str = "scikit-learn",
    intake: Intake | None = None,
    samples: list[Any] | None = None,
) -> Model:
    """Make a fitted object servable. Raises LoadFailed.

    Args:
        model: The object from the model file.
        chosen: The signature that `serving.json` makes the default, if any.
        framework: The name under which the model is served.
        intake: How it is fed, where its framework knows that better; `samples` go with it.
        samples: Instances to try it with.
    """
    if "sklearn" not in type(model).__module__ or not hasattr(model, "predict"):
        raise LoadFailed(wrong_type(model, "sklearn model or pipeline"))
    _refuse_untrained(model)
    keep_to_one(model)
    sure = True
    if intake is None or samples is None:
        intake, samples, sure = _intake_of(model)
    fed, tried = intake, samples
    signatures: dict[str, Signature] = {"predict": Predict(model, fed)}
    if hasattr(model, "predict_proba") and _has_one_list_of_classes(model):
        signatures["predict_proba"] = PredictProba(model, fed)
    default = chosen or "predict"
    if default not in signatures:
        names = ", ".join(signatures)
        raise LoadFailed(f"serving.json: this model has no signature '{default}'. It has: {names}.")

    def describe() -> Description:
        return {
            "framework": framework,
            "signature": default,
            "signatures": sorted(signatures),
            "instance": fed.instance,
            "named": fed.named,
            "inputs": fed.describe(),
            "outputs": _outputs(model, default),
            "sample": tried[0] if tried else None,
            "sure": sure,
        }

    return Model(
        framework=framework,
        signatures=signatures,
        default=default,
        aliases=("serving_default",),
        ignores_unknown_keys=False,
        describe=describe,
        samples=samples,
        sure=sure,
        source=model,
    )


class Intake(Protocol):
    """How instances become what a fitted object takes."""

    @property
    def instance(self) -> str: ...

    @property
    def named(self) -> bool: ...

    def decode(self, instances: RawInstances) -> Rows: ...

    def join(self, parts: Sequence[Rows]) -> Rows: ...

    def matrix(self, rows: Rows) -> Any: ...

    def describe(self) -> list[Description]: ...


class Predict:
    """Labels or values, as `predict` returns them: what Google's service answered."""

    name = "predict"

    def __init__(self, model: Any, intake: Intake) -> None:
        self._model = model
        self.decode: Callable[[RawInstances], Rows] = intake.decode
        self.join: Callable[[Sequence[Rows]], Rows] = intake.join
        self._intake = intake

    def run(self, rows: Rows) -> Any:
        """One call of `predict`."""
        answer = self._model.predict(self._intake.matrix(rows))
        if not isinstance(answer, (np.ndarray, list)):
            raise BadOutput(
                f"Bad output type returned: {type(answer).__name__}. The predict function should return "
                f"either a numpy ndarray or a list."
            )
        return _one_each(answer, rows)

    def predictions(self, outputs: Any, start: int, stop: int) -> list[Any]:
        """Plain labels or values; one list per instance where the model has several outputs."""
        answers: list[Any] = plain(outputs[start:stop])
        return answers


class PredictProba:
    """For each instance the label and the probability of each class, in the order of `classes_`."""

    name = "predict_proba"

    def __init__(self, model: Any, intake: Intake) -> None:
        self._model = model
        self.decode: Callable[[RawInstances], Rows] = intake.decode
        self.join: Callable[[Sequence[Rows]], Rows] = intake.join
        self._intake = intake
        self._asks_twice = type(_last(model)).__name__ in _OWN_MIND

    def run(self, rows: Rows) -> tuple[Any, Any]:
        """One call of `predict_proba`; a second one of `predict` only where the label may differ."""
        matrix = self._intake.matrix(rows)
        probabilities = _one_each(np.asarray(self._model.predict_proba(matrix)), rows)
        if self._asks_twice:
            return _one_each(self._model.predict(matrix), rows), probabilities
        return np.asarray(self._model.classes_)[probabilities.argmax(axis=1)], probabilities

    def predictions(self, outputs: Any, start: int, stop: int) -> list[Any]:
        """Objects with the keys class and probabilities."""
        labels, probabilities = outputs
        return [
            {"class": label, "probabilities": row}
            for label, row in zip(plain(labels[start:stop]), plain(probabilities[start:stop]), strict=True)
        ]


class TableIntake:
    """Rows of an object fitted on a table: a data frame where it was fitted on one, else an array.

    A column's type in the frame must not depend on what other callers sent in the same batch. Where the model
    tells the type it is fixed; elsewhere it follows from the request, and only equal ones are batched.
    """

    instance = "row"

    def __init__(self, table: Table) -> None:
        self._table = table
        self.named = table.named
        self._names = [column.name for column in table.inputs]
        self._open = [i for i, column in enumerate(table.inputs) if column.type == "any"]
        self._fixed = [_fixed_kind(column) for column in table.inputs]
        self._all_numbers = not self._open and set(self._fixed) <= {"f", "i"}

    def decode(self, instances: RawInstances) -> Rows:
        """Check against the columns. Raises Refused."""
        rows = self._table.rows(instances)
        return Rows(len(rows), tuple(_kind([row[i] for row in rows]) for i in self._open), rows)

    def join(self, parts: Sequence[Rows]) -> Rows:
        """All rows in one list."""
        rows = [row for part in parts for row in part.data]
        return Rows(len(rows), parts[0].key, rows)

    def columns(self, rows: Rows) -> tuple[Any, list[str]]:
        """The values column by column, and each column's kind: f, i, b or o."""
        kinds = list(self._fixed)
        for i, kind in zip(self._open, rows.key, strict=True):
            kinds[i] = kind
        data = rows.data
        return (data.T if isinstance(data, np.ndarray) else list(zip(*data, strict=True))), kinds

    def matrix(self, rows: Rows) -> Any:
        """A pandas.DataFrame, or a NumPy array."""
        if not self.named:
            if self._all_numbers or (len(self._open) == len(self._names) and set(rows.key) <= {"f", "i"}):
                return np.array(rows.data, dtype=np.float64)
            return np.array(rows.data, dtype=object)
        import pandas

        kinds = list(self._fixed)
        for i, kind in zip(self._open, rows.key, strict=True):
            kinds[i] = kind
        columns = zip(*rows.data, strict=True)
        return pandas.DataFrame(
            {
                name: _array(values, kind)
                for name, values, kind in zip(self._names, columns, kinds, strict=True)
            }
        )

    def describe(self) -> list[Description]:
        """The columns."""
        return [column.describe() for column in self._table.inputs]


class LooseIntake:
    """Instances of an object that is not asked with tables: texts for a vectorizer, or anything at all.

    Args:
        instance: "text", "object" or "any".
    """

    named = False

    def __init__(self, instance: str) -> None:
        self.instance = instance

    def decode(self, instances: RawInstances) -> Rows:
        """Check the type of each instance as far as it is known. Raises Refused."""
        wanted = {"text": (str, "a text"), "object": (dict, "an object")}.get(self.instance)
        faults = Faults()
        for position, value in enumerate(instances.values):
            if wanted is not None and not isinstance(value, wanted[0]):
                words = (
                    f"Instance {position + 1} is {shown(value)}, but {wanted[1]} is needed. Send {wanted[1]}."
                )
                faults.add(position, "", words)
        faults.raise_if_any()
        # A list of anything may mean something as a whole, so only what is understood is joined.
        key = self.instance if wanted is not None else object()
        return Rows(len(instances.values), key, instances.values)

    def join(self, parts: Sequence[Rows]) -> Rows:
        """All instances in one list."""
        values = [value for part in parts for value in part.data]
        return Rows(len(values), parts[0].key, values)

    def matrix(self, rows: Rows) -> Any:
        """The plain list, as Google's service handed it over."""
        return rows.data

    def describe(self) -> list[Description]:
        """Nothing is known column by column."""
        return []


def _intake_of(model: Any) -> tuple[Intake, list[Any], bool]:
    """How to feed `model`, instances to try it with, and whether their types are known."""
    names = getattr(model, "feature_names_in_", None)
    named = names is not None
    count = getattr(model, "n_features_in_", None)
    if count is None:
        first = _first(model)
        if type(first).__module__ == "sklearn.feature_extraction.text":
            return LooseIntake("text"), ["a text", "another text"], True
        if type(first).__name__ == "DictVectorizer":
            return LooseIntake("object"), [{}], True
        return LooseIntake("any"), _guesses(model), False
    columns, sure = columns_of(model, [str(name) for name in (range(count) if names is None else names)])
    table = Table(columns, named=named)
    fillers: list[Any] = [0, 1] if sure else [0, 1, "a"]
    samples: list[Any] = []
    for filler in fillers:
        sample = sample_of(table, filler=filler)
        if sample not in samples:
            samples.append(sample)
    return TableIntake(table), samples, sure


def _guesses(model: Any) -> list[Any]:
    """Rows as wide as the first step that knows its width takes them: what stands before may keep it."""
    for _, step in getattr(model, "steps", ()):
        count = getattr(step, "n_features_in_", None)
        if count is not None:
            return [[value] * count for value in (0.0, 1.0)]
    return []


def _refuse_untrained(model: Any) -> None:
    last = _last(model)
    # Other people's classes need not follow the rule by which scikit-learn tells.
    if type(last).__module__.split(".")[0] == "sklearn":
        try:
            check_is_fitted(last)
        except NotFittedError as error:
            raise LoadFailed(
                f"The model is not trained: {error} Call fit before you save it, and save that object."
            ) from error


def _has_one_list_of_classes(model: Any) -> bool:
    classes = getattr(model, "classes_", None)
    return isinstance(classes, np.ndarray) and classes.ndim == 1


def _first(model: Any) -> Any:
    """The step that meets the instances."""
    while True:
        if hasattr(model, "best_estimator_"):
            model = model.best_estimator_
        elif hasattr(model, "steps"):
            model = model.steps[0][1]
        else:
            return model


def _last(model: Any) -> Any:
    """The step that decides."""
    while True:
        if hasattr(model, "best_estimator_"):
            model = model.best_estimator_
        elif hasattr(model, "steps"):
            model = model.steps[-1][1]
        else:
            return model


def _outputs(model: Any, signature: str) -> list[Description]:
    classes: list[Any] = plain(getattr(model, "classes_", []))
    kind = getattr(getattr(model, "classes_", None), "dtype", np.dtype(np.void)).kind
    type_name = {"b": "boolean", "i": "integer", "u": "integer", "f": "number"}.get(kind, "any")
    if kind in "UO" and all(isinstance(label, str) for label in classes):
        type_name = "string"
    if signature == "predict_proba":
        return [
            {"name": "class", "type": type_name, "shape": []},
            {"name": "probabilities", "type": "number", "shape": [len(classes)]},
        ]
    if is_regressor(_last(model)):
        type_name = "number"
    return [{"name": "", "type": type_name, "shape": None}]


def _one_each(answer: Any, rows: Rows) -> Any:
    if len(answer) != rows.count:
        raise BadOutput(f"The model answered {len(answer)} values for {rows.count} instances.")
    return answer


def _fixed_kind(column: Input) -> str:
    """The NumPy kind of a column whose type is known: f, i, b, or o for texts."""
    if column.type == "number":
        # Exact where a float is not: whole numbers past 2**53 that name something.
        named = column.closed and not column.nullable and all(type(c) is int for c in column.categories or ())
        return "i" if named else "f"
    return "b" if column.type == "boolean" else "o"


def _kind(values: Sequence[Any]) -> str:
    """The NumPy kind of a column as pandas would read it from a file: i, f, b or o."""
    types = set(map(type, values))
    if types == {int}:
        return "i"
    if types <= {int, float}:
        return "f"
    return "b" if types == {bool} else "o"


def _array(values: Sequence[Any], kind: str) -> Any:
    if kind == "f":
        try:
            return np.array(values, dtype=np.float64)
        except TypeError:  # a marker for missing values that is no number, such as pandas.NA
            kind = "o"
    if kind == "b" and set(map(type, values)) != {bool}:
        kind = "o"
    if kind == "o":
        column: Any = np.empty(len(values), dtype=object)
        column[:] = values
        return column
    return np.array(values, dtype=np.int64 if kind == "i" else np.bool_)
