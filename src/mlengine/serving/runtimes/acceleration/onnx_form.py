"""The estimator at the end of a pipeline as an ONNX graph, where the environment can make and run one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from mlengine.serving.runtimes.acceleration.estimators import LARGEST_FLOAT32, Answers
from mlengine.serving.runtimes.acceleration.words import Unusual

# Converting takes a second per some ten thousand nodes.
_MOST_NODES = 60_000


def onnx_answers(estimator: Any, columns: int, folder: Path) -> Answers | None:
    """How the estimator answers as ONNX, or None where it cannot be converted.

    Args:
        estimator: The fitted one.
        columns: Number of columns that it takes.
        folder: Where the graph is kept for the next start.
    """
    if _nodes(estimator) > _MOST_NODES or _linear(estimator):
        return None
    classifies = hasattr(estimator, "classes_")
    file = folder / "acceleration.onnx"
    try:
        content = file.read_bytes() if file.exists() else _converted(estimator, columns)
        session = session_of(content)
        store(file, content)
    except Exception:  # no converter here, a kind that it does not know, or a graph that the runtime refuses
        return None
    taken = session.get_inputs()[0].name
    names = [output.name for output in session.get_outputs()]
    ask = session.run

    def asked(matrix: Any, wanted: str) -> Any:
        if np.abs(matrix).max(initial=0.0) > LARGEST_FLOAT32:
            raise Unusual("A number is too large.")
        return ask([wanted], {taken: np.ascontiguousarray(matrix, dtype=np.float32)})[0]

    if not classifies:
        return Answers(lambda matrix: _values(asked(matrix, names[0])), exact=False)
    classes = np.asarray(estimator.classes_)
    if classes.ndim != 1 or len(names) < 2:
        return None

    def predict(matrix: Any) -> Any:
        found = asked(matrix, names[0])
        return found.astype(classes.dtype) if found.dtype != classes.dtype else found

    proba = (lambda matrix: asked(matrix, names[1])) if hasattr(estimator, "predict_proba") else None
    return Answers(predict, proba, exact=False)


def session_of(content: bytes) -> Any:
    """A session of ONNX Runtime that computes with one thread. Raises what that one raises.

    Args:
        content: The graph, serialised.
    """
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    settings.log_severity_level = 4
    return onnxruntime.InferenceSession(content, settings, providers=["CPUExecutionProvider"])


def store(file: Path, content: bytes) -> None:
    """Keep a graph for the next start, where the folder can be written to."""
    if file.exists():
        return
    early = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        early.write_bytes(content)
        early.replace(file)
    except OSError:
        pass  # made again at the next start


def _converted(estimator: Any, columns: int) -> bytes:
    from skl2onnx import to_onnx

    options = {id(estimator): {"zipmap": False}} if hasattr(estimator, "classes_") else None
    graph = to_onnx(estimator, np.zeros((1, columns), dtype=np.float32), options=options)
    content: bytes = graph.SerializeToString()
    return content


def _values(found: Any) -> Any:
    values = found.astype(np.float64)
    return values.ravel() if values.ndim == 2 and values.shape[1] == 1 else values


def _linear(estimator: Any) -> bool:
    return hasattr(estimator, "coef_") or hasattr(estimator, "get_booster") or hasattr(estimator, "booster_")


def _nodes(estimator: Any) -> int:
    members = getattr(estimator, "estimators_", None)
    members = np.ravel(np.asarray(members, dtype=object)) if members is not None else [estimator]
    return sum(int(member.tree_.node_count) for member in members if hasattr(member, "tree_"))
