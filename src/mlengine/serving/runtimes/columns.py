"""Reads from a fitted scikit-learn object what each input column takes; apart, as it is all about insides.

A walk through pipelines, column transformers and searches follows every input column as far as it can be told
apart, and notes what each step demands of it. What no step tells stays open: nothing is refused on a guess.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mlengine.serving.runtimes.schema import Input

# Steps of scikit-learn whose nth output column is made of their nth input column alone.
_COLUMN_BY_COLUMN = {
    "StandardScaler": "mean_",
    "RobustScaler": "center_",
    "MinMaxScaler": "data_min_",
    "MaxAbsScaler": None,
    "PowerTransformer": None,
    "QuantileTransformer": None,
    "Binarizer": None,
}
_VECTORIZERS = ("CountVectorizer", "TfidfVectorizer", "HashingVectorizer")
_ENCODERS = ("OneHotEncoder", "OrdinalEncoder", "TargetEncoder")
# Where models keep the fitted models that they ask with the same columns.
_INNER = ("best_estimator_", "estimator_", "regressor_", "calibrated_classifiers_")
# Other models of many, such as forests, have `estimators_` too, but check the columns themselves.
_ASKING_MANY = ("Voting", "Stacking", "Bagging", "OneVs", "MultiOutput")
_MOST_INNER = 4


@dataclass(frozen=True)
class Trace:
    """An input column on its way through the steps.

    Attributes:
        column: Where the demands are noted.
        filled: Whether an imputer has replaced missing values.
        raw: Whether the values are still those of the input, so that demands on their type are demands on it.
    """

    column: Input
    filled: bool = False
    raw: bool = True


@dataclass(frozen=True)
class Flow:
    """What comes out of a step.

    Attributes:
        traces: The columns that can still be told apart.
        aligned: Whether `traces` are all columns, in order, so that positions mean something.
    """

    traces: tuple[Trace, ...]
    aligned: bool = True


def columns_of(model: Any, names: Sequence[str]) -> tuple[list[Input], bool]:
    """The input columns of a fitted scikit-learn object.

    Args:
        model: The fitted object.
        names: The columns it was fitted on, in order.

    Returns:
        The columns, and whether the type of each one that matters is known.
    """
    columns = [Input(name) for name in names]
    walk = _Walk()
    walk.visit(model, Flow(tuple(Trace(column) for column in columns)))
    for column in columns:
        column.required = id(column) in walk.used
        if id(column) in walk.opaque:
            column.type, column.categories, column.closed = "any", None, False
        elif column.type == "any" and column.categories is None:
            walk.opaque.add(id(column))
    return columns, not any(column.required and id(column) in walk.opaque for column in columns)


class _Walk:
    """Visits the steps of one model."""

    def __init__(self) -> None:
        self.used: set[int] = set()
        self.opaque: set[int] = set()

    def visit(self, step: Any, flow: Flow) -> Flow:
        """Note what `step` demands of the columns in `flow`, and follow them through it."""
        kind = type(step).__name__
        ours = type(step).__module__.split(".")[0] == "sklearn"
        if step is None or isinstance(step, str):
            return Flow((), aligned=False) if step == "drop" else flow
        if hasattr(step, "steps") and kind.endswith("Pipeline"):
            for _, part in step.steps:
                flow = self.visit(part, flow)
            return flow
        if hasattr(step, "transformers_"):
            return self._column_transformer(step, flow)
        if hasattr(step, "transformer_list"):
            for _, part in step.transformer_list:
                self.visit(part, flow)
            return Flow((), aligned=False)
        self.used.update(id(trace.column) for trace in flow.traces)
        if ours and kind == "FunctionTransformer":
            return self._function(step, flow)
        if ours and kind == "SimpleImputer":
            return self._simple_imputer(step, flow)
        if ours and kind in _VECTORIZERS:
            for trace in flow.traces:
                _demand(trace, "string")
                trace.column.nullable = trace.column.nullable and trace.filled
            return Flow((), aligned=False)
        if ours and kind in _ENCODERS:
            return self._encoder(step, flow)
        if getattr(step, "_preprocessor", None) is not None and hasattr(step, "is_categorical_"):
            return self._histogram_boosting(step, flow)
        inner = _inner_models(step, len(flow.traces)) if flow.aligned else []
        if inner:
            for part in inner:
                self.visit(part, flow)
            return Flow((), aligned=False)
        return self._plain(step, flow, kind=kind)

    def _column_transformer(self, step: Any, flow: Flow) -> Flow:
        if not flow.aligned:
            return self._give_up(flow)
        outgoing: list[Trace] = []
        aligned = True
        for _, part, chosen in step.transformers_:
            if isinstance(part, str) and part == "drop":
                continue
            traces = _chosen(flow.traces, chosen)
            if not traces:
                continue
            self.used.update(id(trace.column) for trace in traces)
            out = self.visit(part, Flow(traces))
            outgoing.extend(out.traces)
            aligned = aligned and out.aligned
        return Flow(tuple(outgoing), aligned)

    def _function(self, step: Any, flow: Flow) -> Flow:
        if step.func is None:
            return flow
        if type(step.func).__name__ == "ufunc":
            for trace in flow.traces:
                _demand(trace, "number")
            return Flow(tuple(replace(trace, raw=False) for trace in flow.traces), flow.aligned)
        return self._give_up(flow)

    def _simple_imputer(self, step: Any, flow: Flow) -> Flow:
        filled = tuple(replace(trace, filled=True) for trace in flow.traces)
        statistics = _plain_list(getattr(step, "statistics_", ()))
        aligned = flow.aligned and len(statistics) == len(flow.traces)
        for trace, statistic in zip(flow.traces, statistics, strict=True) if aligned else ():
            _demand(trace, "number" if step.strategy in ("mean", "median") else _type_of(statistic))
            if trace.raw and not trace.filled:
                trace.column.missing = _plain(step.missing_values)
                if trace.column.default is None and _type_of(statistic) != "any":
                    trace.column.default = statistic
        # A column without any value in training is left out; an indicator adds columns.
        moved = any(map(_is_missing, statistics)) or getattr(step, "indicator_", None) is not None
        return Flow(filled, aligned and not moved)

    def _encoder(self, step: Any, flow: Flow) -> Flow:
        kept = getattr(step, "categories_", ())
        lists = [_plain_list(categories) for categories in kept]
        if not flow.aligned or len(lists) != len(flow.traces):
            return self._give_up(flow)
        # No JSON value equals a date or a time.
        times = [getattr(getattr(categories, "dtype", None), "kind", "") in ("m", "M") for categories in kept]
        self._give_up(
            Flow(tuple(trace for trace, is_time in zip(flow.traces, times, strict=True) if is_time))
        )
        closed = type(step).__name__ != "TargetEncoder" and step.handle_unknown == "error"
        outgoing: list[Trace] = []
        for trace, categories in zip(flow.traces, lists, strict=True):
            gaps = [category for category in categories if _is_missing(category)]
            values = [category for category in categories if not _is_missing(category)]
            if trace.raw:
                _note_categories(trace, values, closed=closed)
            if not trace.filled:
                trace.column.nullable = trace.column.nullable and (bool(gaps) or not closed)
                if gaps and trace.raw:
                    trace.column.missing = gaps[0]
            # A missing value leaves an ordinal encoder as one, or as the number that stands for it.
            code = getattr(step, "encoded_missing_value" if gaps else "unknown_value", 0)
            outgoing.append(replace(trace, raw=False, filled=trace.filled or not _is_missing(code)))
        if type(step).__name__ == "OneHotEncoder":
            return Flow((), aligned=False)
        return Flow(tuple(outgoing))

    def _histogram_boosting(self, step: Any, flow: Flow) -> Flow:
        # Takes missing values and unseen categories as they are; keeps the categories in an encoder.
        encoder = step._preprocessor.named_transformers_.get("encoder")
        lists = [_plain_list(categories) for categories in getattr(encoder, "categories_", ())]
        flags = _plain_list(step.is_categorical_)
        if not flow.aligned or len(flags) != len(flow.traces):
            return self._give_up(flow)
        for trace, categorical in zip(flow.traces, flags, strict=True):
            if categorical and lists:
                _note_categories(
                    trace, [value for value in lists.pop(0) if not _is_missing(value)], closed=False
                )
            else:
                _demand(trace, "number")
        return Flow((), aligned=False)

    def _plain(self, step: Any, flow: Flow, *, kind: str) -> Flow:
        modules = type(step).__module__.split(".")
        allow_nan, takes_anything = _tags(step)
        if modules[0] != "sklearn":
            # The classes of XGBoost and LightGBM say that they take anything, and mean numbers.
            takes_anything = "sklearn" not in modules or _knows_categories(step)
        if takes_anything:
            return self._give_up(flow)
        learned = _COLUMN_BY_COLUMN.get(kind)
        defaults = _plain_list(getattr(step, learned, None) if learned else None)
        for position, trace in enumerate(flow.traces):
            _demand(trace, "number")
            if not allow_nan and not trace.filled and not kind.endswith("Imputer"):
                trace.column.nullable = False
            if flow.aligned and position < len(defaults) and trace.raw and trace.column.default is None:
                trace.column.default = defaults[position]
        if kind.endswith("Imputer"):
            return Flow(tuple(replace(trace, filled=True) for trace in flow.traces), aligned=False)
        if kind in _COLUMN_BY_COLUMN:
            return Flow(tuple(replace(trace, raw=False) for trace in flow.traces), flow.aligned)
        if hasattr(step, "get_support") and flow.aligned:
            kept = _plain_list(step.get_support())
            return Flow(tuple(trace for trace, keep in zip(flow.traces, kept, strict=False) if keep))
        # What comes out is made of these columns, though not one by one: go on asking about missing values.
        return Flow(tuple(replace(trace, raw=False) for trace in flow.traces), aligned=False)

    def _give_up(self, flow: Flow) -> Flow:
        """Somebody's own code: it may do anything with these columns."""
        for trace in flow.traces:
            self.used.add(id(trace.column))
            if trace.raw and trace.column.type == "any":
                self.opaque.add(id(trace.column))
        return Flow((), aligned=False)


def _chosen(traces: Sequence[Trace], chosen: Any) -> tuple[Trace, ...]:
    """The traces that a column transformer picks by names, positions, a slice or a mask."""
    if isinstance(chosen, (str, int)):
        chosen = [chosen]
    if isinstance(chosen, slice):
        names = [trace.column.name for trace in traces]
        if isinstance(chosen.start, str) or isinstance(chosen.stop, str):
            first = names.index(chosen.start) if chosen.start is not None else 0
            last = names.index(chosen.stop) if chosen.stop is not None else len(names) - 1
            return tuple(traces[first : last + 1])
        return tuple(traces[chosen])
    picks = _plain_list(chosen)
    if picks and all(isinstance(pick, bool) for pick in picks):
        return tuple(trace for trace, pick in zip(traces, picks, strict=False) if pick)
    by_name = {trace.column.name: trace for trace in traces}
    return tuple(by_name[pick] if isinstance(pick, str) else traces[pick] for pick in picks)


def _inner_models(step: Any, count: int) -> list[Any]:
    """Fitted models within `step` that are asked with the same `count` columns, at most a few of them."""
    places = [*_INNER, "estimators_"] if type(step).__name__.startswith(_ASKING_MANY) else _INNER
    for place in places:
        found = getattr(step, place, None)
        parts = list(found) if isinstance(found, Iterable) else [found]
        if place == "calibrated_classifiers_":
            parts = [getattr(part, "estimator", None) for part in parts]
        same = [part for part in parts if getattr(part, "n_features_in_", None) == count]
        if same:
            return same[:_MOST_INNER]
    return []


def _demand(trace: Trace, type_name: str) -> None:
    if trace.raw and trace.column.type == "any" and type_name != "any":
        trace.column.type = type_name


def _note_categories(trace: Trace, values: list[Any], *, closed: bool) -> None:
    column = trace.column
    types = {_type_of(value) for value in values}
    if "any" in types:
        return
    if len(types) == 1:
        _demand(trace, types.pop())
    if column.categories is None:
        column.categories, column.closed = tuple(values), closed
    elif closed:
        # Two encoders read this column: a value must please both.
        both = tuple(value for value in column.categories if value in values)
        column.categories, column.closed = (both if column.closed else tuple(values)), True


def _knows_categories(step: Any) -> bool:
    """Whether a model of XGBoost or LightGBM was trained on columns of pandas' type category."""
    if hasattr(step, "get_booster"):
        return "c" in (step.get_booster().feature_types or ())
    return bool(getattr(getattr(step, "booster_", None), "pandas_categorical", None))


def _tags(step: Any) -> tuple[bool, bool]:
    """Whether a step takes missing values, and whether it takes anything at all. Lenient where unsaid."""
    try:
        from sklearn.utils import get_tags
    except ImportError:  # before scikit-learn 1.6
        old = step._get_tags() if hasattr(step, "_get_tags") else {}
        return bool(old.get("allow_nan", True)), bool(old.get("no_validation", False))
    try:
        tags = get_tags(step)
    except Exception:  # an estimator of another package, written for another release
        return True, False
    return bool(tags.input_tags.allow_nan), bool(tags.no_validation)


def _type_of(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "string"
    return "number" if isinstance(value, (int, float)) and not _is_missing(value) else "any"


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def _plain_list(values: Any) -> list[Any]:
    if values is None:
        return []
    listed = values.tolist() if hasattr(values, "tolist") else list(values)
    return [_plain(value) for value in listed] if isinstance(listed, list) else [listed]


def _is_missing(value: Any) -> bool:
    # pandas.NA is neither None nor a float, and has no truth value when compared.
    return (
        value is None or (isinstance(value, float) and math.isnan(value)) or type(value).__name__ == "NAType"
    )
