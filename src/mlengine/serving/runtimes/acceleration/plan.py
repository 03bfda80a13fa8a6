"""Compiles a fitted scikit-learn pipeline into a plan over plain columns: no frame, no dispatch, no checks.

Encoders are tabulated: each value that the fitted encoder knows, a missing one and an unknown one are sent
through the fitted steps once, and what comes out is looked up from then on. Steps on numbers have forms of
their own; what has none is called as it was fitted, with an array.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlengine.serving.runtimes.acceleration.blocks import (
    Batch,
    Beside,
    Block,
)
from mlengine.serving.runtimes.acceleration.changes import own_change
from mlengine.serving.runtimes.acceleration.encoders import ENCODERS, WIDEST, dense, encoded
from mlengine.serving.runtimes.acceleration.estimators import (
    Answers,
    asked_as_it_is,
    own_answers,
    without_names,
)
from mlengine.serving.runtimes.acceleration.words import Unsupported, Unusual
from mlengine.serving.runtimes.model import RawInstances


@dataclass(frozen=True)
class Raw:
    """Columns as they came, and the fitted steps that they have yet to pass.

    Attributes:
        columns: Positions among the inputs.
        before: Imputers, in order.
    """

    columns: tuple[int, ...]
    before: tuple[Any, ...] = ()


Source = Raw | Block


class Plan:
    """A compiled pipeline: looks like the estimator at its end to whoever asks it with a Batch.

    Attributes:
        matrix: From a batch to what the estimator takes.
        answers: How the estimator answers that.
    """

    def __init__(self, model: Any, matrix: Block, answers: Answers) -> None:
        self.matrix = matrix
        self.answers = answers
        self._model = model
        self._takes_nan = answers.takes_nan
        if hasattr(model, "classes_"):
            self.classes_ = model.classes_

    def predict(self, batch: Batch) -> Any:
        """Labels or values. Raises Unusual where the original must answer."""
        with np.errstate(all="ignore"):
            return self.answers.predict(self._checked(batch))

    def predict_proba(self, batch: Batch) -> Any:
        """Probabilities. Raises Unusual where the original must answer."""
        if self.answers.predict_proba is None:
            raise Unusual("This estimator tells no probabilities.")
        with np.errstate(all="ignore"):
            return self.answers.predict_proba(self._checked(batch))

    def _checked(self, batch: Batch) -> Any:
        matrix = self.matrix.compute(batch)
        total = np.add.reduce(matrix, axis=None)
        if not np.isfinite(total):
            if np.isinf(matrix).any():
                raise Unusual("A number is infinite.")
            if not self._takes_nan and np.isnan(matrix).any():
                raise Unusual("A value is missing.")
        return matrix


def compile_plan(
    model: Any, intake: Any, decode: Callable[[RawInstances], Any], description: dict[str, Any], *, own: bool
) -> Plan:
    """Make the plan of a fitted object. Raises Unsupported, or whatever goes wrong in strange objects.

    Args:
        model: The fitted object.
        intake: Its intake, which has the columns.
        decode: From instances to rows.
        description: The model's description.
        own: Whether the estimator at the end gets a form of our own; it is asked as it is otherwise.
    """
    names = getattr(model, "feature_names_in_", None)
    compiler = _Compiler(
        [str(name) for name in (range(model.n_features_in_) if names is None else names)],
        intake=intake,
        decode=decode,
        description=description,
    )
    try:
        return _compiled(model, compiler, own=own)
    except Unusual as error:
        raise Unsupported(f"The sample cannot be answered from plain columns: {error}") from error


def _compiled(model: Any, compiler: _Compiler, *, own: bool) -> Plan:
    # Fitted objects say much to those who feed them arrays.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        steps = _steps_of(model)
        source: Source = Raw(tuple(range(len(compiler.names))))
        if not hasattr(compiler.intake, "columns"):
            # The intake of LightGBM's classes makes the matrix itself.
            if type(model).__module__.split(".")[0] != "lightgbm":
                raise Unsupported("The instances do not come in columns.")
            source = compiler.whole()
        for step in steps[:-1]:
            source = compiler.step(step, source)
        last = steps[-1]
        if getattr(last, "_preprocessor", None) is not None and hasattr(last, "_bin_mapper"):
            # Histogram boosting keeps its own encoder of categories.
            source = compiler.step(last._preprocessor, source)
            answers = own_answers(last)
        else:
            answers = own_answers(last) if own else asked_as_it_is(last)
        if answers is None:
            raise Unsupported(f"There is no form of our own for {type(last).__name__}.")
        return Plan(model, compiler.block(source), answers)


def last_step(model: Any) -> Any:
    """The estimator at the end."""
    return _steps_of(model)[-1]


def _steps_of(model: Any) -> list[Any]:
    while hasattr(model, "best_estimator_"):
        model = model.best_estimator_
    if not hasattr(model, "steps"):
        return [model]
    steps: list[Any] = []
    for _, step in model.steps:
        if step is None or isinstance(step, str):
            continue
        steps += _steps_of(step) if hasattr(step, "steps") else [step]
    if not steps:
        raise Unsupported("The pipeline has no steps.")
    return steps


class _Compiler:
    def __init__(
        self,
        names: Sequence[str],
        *,
        intake: Any,
        decode: Callable[[RawInstances], Any],
        description: dict[str, Any],
    ) -> None:
        self.names = list(names)
        self.intake = intake
        self._decode = decode
        self._types = [column["type"] for column in description["inputs"]]
        sample = description["sample"]
        if isinstance(sample, dict):
            sample = [sample.get(name) for name in names]
        self._sample = list(sample)
        self._batch = self.batch([self._sample])

    def batch(self, instances: Sequence[Any]) -> Batch:
        return Batch(self.intake, self._decode(RawInstances(list(instances))))

    def whole(self) -> Block:
        """What the intake makes of all columns."""
        return self._measured(lambda batch: batch.frame())

    def step(self, step: Any, source: Source) -> Source:
        """What `step` makes of `source`."""
        if step is None or step == "passthrough":
            return source
        kind = type(step).__name__
        ours = type(step).__module__.split(".")[0] == "sklearn"
        if ours and kind.endswith("Pipeline") and hasattr(step, "steps"):
            for _, part in step.steps:
                source = self.step(part, source)
            return source
        if ours and hasattr(step, "transformers_"):
            return self._column_transformer(step, source)
        if ours and hasattr(step, "transformer_list"):
            return self._union(step, source)
        if isinstance(source, Raw):
            return self._on_raw(step, source, kind=kind, ours=ours)
        return self._on_numbers(step, source)

    def block(self, source: Source) -> Block:
        """`source` as numbers."""
        if not isinstance(source, Raw):
            return source
        if source.before:
            raise Unsupported("Texts reach a step that takes numbers.")
        if source.columns == tuple(range(len(self._types))) and set(self._types) == {"number"}:
            return Block(lambda batch: batch.all_numbers(), len(self._types))
        return self._measured(_gather(source.columns))

    def _column_transformer(self, step: Any, source: Source) -> Source:
        blocks: list[Block] = []
        weights: list[float | None] = []
        for name, part, chosen in step.transformers_:
            if isinstance(part, str) and part == "drop":
                continue
            taken = self._chosen(source, chosen)
            if taken is None:
                continue
            blocks.append(self.block(self.step(part, taken)))
            weights.append((step.transformer_weights or {}).get(name))
        return self._beside(blocks, weights)

    def _union(self, step: Any, source: Source) -> Source:
        parts = [(name, part) for name, part in step.transformer_list if part != "drop"]
        blocks = [self.block(self.step(part, source)) for _, part in parts]
        return self._beside(blocks, [(step.transformer_weights or {}).get(name) for name, _ in parts])

    def _beside(self, blocks: list[Block], weights: list[float | None]) -> Block:
        if sum(block.width for block in blocks) > WIDEST:
            raise Unsupported(f"More than {WIDEST} columns come out of the preparation.")
        if len(blocks) == 1 and weights[0] is None:
            return blocks[0]
        return Beside(blocks, weights)

    def _chosen(self, source: Source, chosen: Any) -> Source | None:
        names = self.names if isinstance(source, Raw) and len(source.columns) == len(self.names) else None
        if isinstance(chosen, str) or (isinstance(chosen, int) and not isinstance(chosen, bool)):
            raise Unsupported("A step takes a single column as a series.")
        count = len(source.columns) if isinstance(source, Raw) else source.width
        picks = _positions(chosen, names, count)
        if not picks:
            return None
        if isinstance(source, Raw):
            return Raw(tuple(source.columns[pick] for pick in picks), source.before)
        compute, places = source.compute, np.array(picks, dtype=np.intp)
        return Block(lambda batch: compute(batch)[:, places], len(picks))

    def _on_raw(self, step: Any, source: Raw, *, kind: str, ours: bool) -> Source:
        numeric = all(self._types[index] in ("number", "boolean") for index in source.columns)
        if ours and kind == "SimpleImputer" and not numeric and getattr(step, "indicator_", None) is None:
            return Raw(source.columns, (*source.before, step))
        if ours and kind in ENCODERS:
            return encoded(step, source.before, source.columns, sample=self._sample, batch=self.batch)
        if source.before:
            return self._on_frame(step, source)
        if ours and kind == "FunctionTransformer" and _checks_only(step.func):
            return source
        if not ours or (kind == "FunctionTransformer" and own_change(step) is None):
            # Somebody's own code gets what it was fitted on.
            return self._on_frame(step, source)
        if not numeric and kind != "FunctionTransformer" and own_change(step) is None:
            return self._on_frame(step, source)
        return self._on_numbers(step, self.block(source))

    def _on_numbers(self, step: Any, source: Block) -> Block:
        change = own_change(step)
        compute = source.compute
        if change is not None:
            made = change
            return self._measured(lambda batch: made(compute(batch)))
        if not hasattr(step, "transform"):
            raise Unsupported(f"{type(step).__name__} does not transform.")
        transform = without_names(step).transform
        return self._measured(lambda batch: dense(transform(compute(batch))))

    def _on_frame(self, step: Any, source: Raw) -> Block:
        columns = list(source.columns)
        steps = (*source.before, step)

        def compute(batch: Batch) -> Any:
            frame = batch.frame()
            part: Any = frame.iloc[:, columns] if hasattr(frame, "iloc") else frame[:, columns]
            for each in steps:
                part = each.transform(part)
            return dense(part)

        return self._measured(compute)

    def _measured(self, compute: Callable[[Batch], Any]) -> Block:
        shape = np.shape(compute(self._batch))
        if len(shape) != 2 or shape[0] != 1:
            raise Unsupported("A step does not answer one row per instance.")
        return Block(compute, shape[1])


def _gather(columns: Sequence[int]) -> Callable[[Batch], Any]:
    return lambda batch: batch.numbers(columns)


def _checks_only(function: Any) -> bool:
    """Whether this is what histogram boosting puts before its trees: a check, and no change."""
    inner = getattr(function, "func", None)
    return getattr(inner, "__name__", "") == "check_array"


def _positions(chosen: Any, names: Sequence[str] | None, count: int) -> list[int]:
    """What a column transformer picks by names, positions, a slice or a mask, as positions."""
    if isinstance(chosen, slice):
        if isinstance(chosen.start, str) or isinstance(chosen.stop, str):
            if names is None:
                raise Unsupported("Columns are picked by name after they have lost their names.")
            first = names.index(chosen.start) if chosen.start is not None else 0
            last = names.index(chosen.stop) if chosen.stop is not None else len(names) - 1
            return list(range(first, last + 1))
        return list(range(count))[chosen]
    picks = [pick.item() if hasattr(pick, "item") else pick for pick in chosen]
    if picks and all(isinstance(pick, bool) for pick in picks):
        return [position for position, pick in enumerate(picks) if pick]
    if any(isinstance(pick, str) for pick in picks):
        if names is None:
            raise Unsupported("Columns are picked by name after they have lost their names.")
        return [names.index(pick) for pick in picks]
    return [pick % count for pick in picks]
