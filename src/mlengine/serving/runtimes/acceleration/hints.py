"""Where a fitted model changes its mind: thresholds of its trees, carried back to the inputs."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mlengine.serving.runtimes.acceleration.instances import around

_MOST_PER_COLUMN = 60

Hints = dict[int, list[float]]
Ranges = dict[int, tuple[float, float]]


def hints_of(
    estimator: Any,
    matrix: Callable[[Sequence[Any]], Any],
    *,
    sample: Sequence[Any],
    numeric: Sequence[int],
) -> tuple[Hints, Ranges]:
    """Numbers at which the answer may jump, and the span in which numbers of training lay, by input.

    Args:
        estimator: The one at the end.
        matrix: From instances to what it takes.
        sample: An instance.
        numeric: Positions of the inputs that are numbers.
    """
    hints: Hints = {}
    ranges: Ranges = {}
    if not numeric:
        return hints, ranges
    tried = [[*sample[:index], value, *sample[index + 1 :]] for index in numeric for value in (0.0, 1.0, 2.0)]
    made = np.asarray(matrix(tried), dtype=np.float64)
    thresholds = _thresholds(estimator)
    source = random.Random(7)
    for at, index in enumerate(numeric):
        zero, one, two = made[3 * at : 3 * at + 3]
        with np.errstate(all="ignore"):
            slope = one - zero
            straight = np.abs(two - one - slope) <= 1e-9 * (1.0 + np.abs(slope))
        found: list[float] = []
        for column in np.flatnonzero(straight & (slope != 0) & np.isfinite(slope)):
            here = thresholds.get(int(column), [])
            here = source.sample(here, min(len(here), _MOST_PER_COLUMN))
            found += [(value - float(zero[column])) / float(slope[column]) for value in here]
            middle = sample[index] if isinstance(sample[index], (int, float)) else 0.0
            # Scaled columns have most of their values within a few units of the middle.
            reach = 4.0 / abs(float(slope[column])) if slope[column] != 1 else max(10.0, 3.0 * abs(middle))
            ranges.setdefault(index, (middle - reach, middle + reach))
        found = [value for value in found if math.isfinite(value)]
        if len(found) > 1 and max(found) > min(found):
            ranges[index] = (min(found), max(found))
        if found:
            hints[index] = around(found)
    return hints, ranges


def _thresholds(estimator: Any) -> dict[int, list[float]]:
    found: dict[int, set[float]] = {}
    if hasattr(estimator, "get_booster") or hasattr(estimator, "get_dump"):
        booster = estimator.get_booster() if hasattr(estimator, "get_booster") else estimator
        names = {name: at for at, name in enumerate(booster.feature_names or ())}
        for text in booster.get_dump(dump_format="json")[:40]:
            _walk(json.loads(text), names, found)
    elif hasattr(estimator, "booster_"):
        dump = estimator.booster_.dump_model(num_iteration=40)
        for tree in dump["tree_info"]:
            _walk_lightgbm(tree["tree_structure"], found)
    elif hasattr(estimator, "_predictors"):
        for predictor in [each for stage in estimator._predictors for each in stage][:100]:
            nodes = predictor.nodes[predictor.nodes["is_leaf"] == 0]
            for column, value in zip(nodes["feature_idx"], nodes["num_threshold"], strict=True):
                found.setdefault(int(column), set()).add(float(value))
    else:
        for member in _members(estimator)[:100]:
            inner = member.tree_.children_left >= 0
            columns, values = member.tree_.feature[inner], member.tree_.threshold[inner]
            for column, value in zip(columns, values, strict=True):
                found.setdefault(int(column), set()).add(float(value))
    return {column: sorted(values) for column, values in found.items()}


def _members(estimator: Any) -> list[Any]:
    if hasattr(estimator, "tree_"):
        return [estimator]
    members = getattr(estimator, "estimators_", None)
    members = list(np.ravel(np.asarray(members, dtype=object))) if members is not None else []
    return [member for member in members if hasattr(member, "tree_")]


def _walk(node: dict[str, Any], names: dict[str, int], found: dict[int, set[float]]) -> None:
    if "children" not in node:
        return
    split = node["split"]
    column = names.get(split, int(split[1:]) if split[1:].isdigit() else -1)
    if isinstance(node.get("split_condition"), (int, float)):
        found.setdefault(column, set()).add(float(node["split_condition"]))
    for child in node["children"]:
        _walk(child, names, found)


def _walk_lightgbm(node: dict[str, Any], found: dict[int, set[float]]) -> None:
    if "split_feature" not in node:
        return
    if isinstance(node["threshold"], (int, float)):
        found.setdefault(int(node["split_feature"]), set()).add(float(node["threshold"]))
    for child in ("left_child", "right_child"):
        _walk_lightgbm(node[child], found)
