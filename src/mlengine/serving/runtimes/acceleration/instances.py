"""Makes up instances over what a model's description allows, to compare two forms of the model."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Instances = list[Any]
# Where they are by training is not known, numbers come from here.
_PLAIN_RANGE = (-10.0, 100.0)
_EDGES = (0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 3.0, -1e-9, 1e6, -1e6, 1e-300)
_EXTREMES = (1e38, 3.5e38, -3.5e38, 1e300, -1e300, 1.7e308)


def around(thresholds: Any) -> list[float]:
    """Each threshold, and the numbers next to it, as float64 and as float32 has them."""
    exact = np.asarray(thresholds, dtype=np.float64).ravel()
    with np.errstate(over="ignore"):
        small = exact.astype(np.float32)
        found = [
            exact,
            np.nextafter(exact, -np.inf),
            np.nextafter(exact, np.inf),
            small,
            np.nextafter(small, np.float32(-np.inf)),
            np.nextafter(small, np.float32(np.inf)),
        ]
    values = np.concatenate([each.astype(np.float64) for each in found])
    return [float(value) for value in values[np.isfinite(values)]]


def rows(
    description: Mapping[str, Any],
    *,
    count: int,
    seed: int,
    hints: Mapping[int, Sequence[float]] | None = None,
    ranges: Mapping[int, tuple[float, float]] | None = None,
) -> tuple[Instances, Instances]:
    """Rows for a table-like model.

    Args:
        description: Of the model; its inputs tell types, categories and whether null may be sent.
        count: How many.
        seed: The same one makes the same rows.
        hints: For inputs by position: numbers at which the model changes its mind.
        ranges: For inputs by position: where the numbers of training lay.

    Returns:
        Ordinary rows, and a few that a model may well refuse, each of which is to be sent by itself.
    """
    source = random.Random(seed)
    columns = [
        _values(column, source, count, (hints or {}).get(at, ()), (ranges or {}).get(at))
        for at, column in enumerate(description["inputs"])
    ]
    ordinary = [list(row) for row in zip(*columns, strict=True)]
    odd: Instances = []
    for at, column in enumerate(description["inputs"]):
        for value in _odd_values(column)[: max(2, 24 // len(columns))]:
            row = list(source.choice(ordinary))
            row[at] = value
            odd.append(row)
        if len(odd) >= 40:
            break
    if any(column["nullable"] for column in description["inputs"]):
        row = list(ordinary[0])
        ordinary.append(
            [None if c["nullable"] else v for c, v in zip(description["inputs"], row, strict=True)]
        )
    return ordinary, odd


def _values(
    column: Mapping[str, Any],
    source: random.Random,
    count: int,
    hints: Sequence[float],
    span: tuple[float, float] | None,
) -> list[Any]:
    categories = list(column["categories"] or ())
    pool: list[Any] = []
    if categories:
        pool = categories * (count // len(categories) + 1) if len(categories) <= count else categories
    elif column["type"] == "boolean":
        pool = [True, False]
    elif column["type"] == "string":
        pool = ["", "a", "b", "A", "some text", "é", "1"]
    elif column["type"] == "any":
        pool = [0, 1, 2, 3, -1, 0.5, 10.25]
    else:
        low, high = span or _PLAIN_RANGE
        wide = (high - low) or 1.0
        hinted = list(hints)
        source.shuffle(hinted)
        spread = [source.uniform(low - wide / 2, high + wide / 2) for _ in range(count)]
        whole: list[Any] = [
            source.randint(round(low), max(round(low) + 1, round(high))) for _ in range(count)
        ]
        pool = [*_EDGES, *hinted[:count], *whole[: count // 3], *spread]
    chosen = pool[:count] if len(pool) >= count else [source.choice(pool) for _ in range(count)]
    if len(pool) > count:
        chosen = source.sample(pool, count)
    source.shuffle(chosen)
    if categories and not column["closed"]:
        for at in range(0, count, 12):
            chosen[at] = _no_category(categories)
    if column["nullable"]:
        for at in source.sample(range(count), count // 12):
            chosen[at] = None
    return chosen


def _no_category(categories: Sequence[Any]) -> Any:
    if all(isinstance(category, str) for category in categories):
        return f"{max(categories)} and more"
    if any(isinstance(category, (str, bool)) for category in categories):
        return categories[0]
    return max(categories) + 7


def _odd_values(column: Mapping[str, Any]) -> list[Any]:
    if column["type"] in ("number", "integer") and not column["closed"]:
        return list(_EXTREMES)
    if column["categories"]:
        return [_no_category(column["categories"]), str(column["categories"][0]) + " "]
    if column["type"] == "any":
        return ["text", True, None, 1e300]
    return [None]


def tensors(description: Mapping[str, Any], *, count: int, seed: int) -> Instances:
    """Instances of numbers for a model of tensors, dimensions that may vary filled with a few sizes."""
    source = np.random.default_rng(seed)
    inputs = description["inputs"]
    made: Instances = []
    for number in range(count):
        scale = (0.1, 1.0, 1.0, 5.0, 255.0)[number % 5]
        instance = {}
        for column in inputs:
            shape = [4 if size is None else size for size in (column["shape"] or [])]
            drawn = source.normal(0.0, scale, shape) if number % 2 else source.uniform(0.0, scale, shape)
            if number % 17 == 3:
                drawn = np.zeros(shape)
            instance[column["name"]] = np.asarray(drawn, dtype=np.float32).astype(np.float64).tolist()
        made.append(instance if len(inputs) > 1 else next(iter(instance.values())))
    return made
