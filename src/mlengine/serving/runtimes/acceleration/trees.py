"""Many decision trees as one: a single call of scikit-learn's traversal instead of one per tree.

The trees are put below a small tree that decides by an additional column, the number of the tree. Each row is
then asked once per tree, with that number filled in. Thresholds, rounding and the way of missing values are
those of scikit-learn, whose own compiled loop does the walking; so the answers are the same to the last bit.
For many rows the rows dominate, and the trees are asked one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

# Up to this many (row, tree) pairs one merged call is faster than a call per tree; each is a row of its own.
_MERGED_PAIRS = 8192
_MERGED_CELLS = 1_000_000
# The merged tree is a copy: 64 bytes a node and the values.
_MOST_NODES = 400_000
_MOST_NODE_VALUES = 4_000_000

Leaves = Callable[[Any], Any]


def grown(trees: Sequence[Any], values: Sequence[Any]) -> Leaves:
    """A function from a float32 matrix to the values of the leaves, (trees, rows, outputs).

    Args:
        trees: The `tree_` of fitted scikit-learn trees, all on the same columns.
        values: For each tree one row of values per node.
    """
    count, width = len(trees), values[0].shape[1]
    merged = _merge(trees, values) if _mergeable(trees, width) else None
    numbers: Any = np.arange(count, dtype=np.float32)[:, None]
    columns = trees[0].n_features
    few = _few(count, columns)

    def leaves(matrix: Any) -> Any:
        rows = len(matrix)
        if merged is not None and rows <= few:
            asked = np.empty((count, rows, columns + 1), dtype=np.float32)
            asked[:, :, :columns] = matrix
            asked[:, :, columns] = numbers
            return merged.predict(asked.reshape(-1, columns + 1)).reshape(count, rows, width)
        found = np.empty((count, rows, width))
        for number, tree in enumerate(trees):
            values[number].take(tree.apply(matrix), axis=0, out=found[number])
        return found

    return leaves


def _few(count: int, columns: int) -> int:
    """Up to how many rows the merged trees are asked."""
    return min(_MERGED_PAIRS, _MERGED_CELLS // (columns + 1)) // count


def _mergeable(trees: Sequence[Any], width: int) -> bool:
    nodes: int = sum(int(tree.node_count) for tree in trees)
    return nodes <= _MOST_NODES and nodes * width <= _MOST_NODE_VALUES


def _merge(trees: Sequence[Any], values: Sequence[Any]) -> Any:
    from sklearn.tree._tree import Tree

    states = [tree.__getstate__() for tree in trees]
    columns = trees[0].n_features
    total = len(trees) - 1 + sum(state["node_count"] for state in states)
    nodes = np.zeros(total, dtype=states[0]["nodes"].dtype)
    merged_values = np.zeros((total, 1, values[0].shape[1]))
    roots: list[int] = []
    place = len(trees) - 1
    for state, value in zip(states, values, strict=True):
        stop = place + state["node_count"]
        nodes[place:stop] = state["nodes"]
        inner: Any = np.flatnonzero(state["nodes"]["left_child"] >= 0) + place
        for child in ("left_child", "right_child"):
            nodes[child][inner] += place
        merged_values[place:stop, 0] = value
        roots.append(place)
        place = stop
    _choose_between(nodes, roots, column=columns)
    merged = Tree(columns + 1, np.array([values[0].shape[1]], dtype=np.intp), 1)
    depth = max(state["max_depth"] for state in states) + len(trees).bit_length() + 1
    merged.__setstate__({"max_depth": depth, "node_count": total, "nodes": nodes, "values": merged_values})
    return merged


def _choose_between(
    nodes: Any,
    roots: Sequence[int],
    *,
    column: int,
    left: str = "left_child",
    right: str = "right_child",
    feature: str = "feature",
    threshold: str = "threshold",
) -> None:
    """Fill the first `len(roots) - 1` nodes with a balanced tree that leads number i to `roots[i]`."""
    free = iter(range(len(roots) - 1))

    def build(first: int, last: int) -> int:
        if last - first == 1:
            return roots[first]
        here, middle = next(free), (first + last) // 2
        nodes[here][feature] = column
        nodes[here][threshold] = middle - 0.5
        nodes[here][left] = build(first, middle)
        nodes[here][right] = build(middle, last)
        return here

    # A single tree needs no choice, and is its own root: the caller has put it first.
    build(0, len(roots))


def histogram_leaves(predictors: Sequence[Any], known: Any, positions: Any, columns: int) -> Leaves:
    """As `grown`, for the trees of histogram gradient boosting; takes a float64 matrix.

    Args:
        predictors: The trees in the order in which their values are added.
        known: Bit sets of the known categories, one per categorical column.
        positions: For each column its place in `known`.
        columns: Number of columns.
    """
    from sklearn.ensemble._hist_gradient_boosting._predictor import _predict_from_raw_data

    count = len(predictors)
    nodes, bitsets = _merge_predictors(predictors, columns)
    merged = len(nodes) <= _MOST_NODES
    few = _few(count, columns)
    numbers: Any = np.arange(count, dtype=np.float64)[:, None]
    more_positions = np.append(positions, 0).astype(positions.dtype)

    def leaves(matrix: Any) -> Any:
        rows = len(matrix)
        if merged and rows <= few:
            asked = np.empty((count, rows, columns + 1))
            asked[:, :, :columns] = matrix
            asked[:, :, columns] = numbers
            found = np.empty(count * rows)
            flat = asked.reshape(-1, columns + 1)
            _predict_from_raw_data(nodes, flat, bitsets, known, more_positions, 1, found)
            return found.reshape(count, rows, 1)
        found = np.empty((count, rows))
        matrix = np.ascontiguousarray(matrix)
        for number, predictor in enumerate(predictors):
            _predict_from_raw_data(
                predictor.nodes, matrix, predictor.raw_left_cat_bitsets, known, positions, 1, found[number]
            )
        return found.reshape(count, rows, 1)

    return leaves


def _merge_predictors(predictors: Sequence[Any], columns: int) -> tuple[Any, Any]:
    choosing = len(predictors) - 1
    nodes = np.zeros(
        choosing + sum(len(predictor.nodes) for predictor in predictors), dtype=predictors[0].nodes.dtype
    )
    roots: list[int] = []
    place, sets = choosing, 0
    for predictor in predictors:
        stop = place + len(predictor.nodes)
        nodes[place:stop] = predictor.nodes
        inner: Any = np.flatnonzero(predictor.nodes["is_leaf"] == 0) + place
        for child in ("left", "right"):
            nodes[child][inner] += place
        categorical: Any = np.flatnonzero(predictor.nodes["is_categorical"]) + place
        nodes["bitset_idx"][categorical] += sets
        sets += len(predictor.raw_left_cat_bitsets)
        roots.append(place)
        place = stop
    _choose_between(
        nodes,
        roots,
        column=columns,
        left="left",
        right="right",
        feature="feature_idx",
        threshold="num_threshold",
    )
    bitsets = np.concatenate([predictor.raw_left_cat_bitsets for predictor in predictors])
    return nodes, bitsets
