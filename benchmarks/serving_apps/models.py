"""The two models as every peer's server holds them; run as a program it makes their files.

Needs scikit-learn, pandas, NumPy, ONNX Runtime and joblib: each peer's environment has the same releases.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(os.environ.get("BENCHMARK_MODELS", "."))
TITANIC, MNIST = FOLDER / "titanic" / "model.joblib", FOLDER / "mnist" / "model.onnx"


class Titanic:
    """The pipeline of the first post: imputers, scaler, one-hot encoder, gradient boosting."""

    def __init__(self) -> None:
        import joblib

        self._model = joblib.load(TITANIC)

    def predict(self, rows: list[dict[str, Any]]) -> list[int]:
        """Labels of rows."""
        import pandas

        return self._model.predict(pandas.DataFrame(rows)).tolist()


class Mnist:
    """784 - 128 - 10 with one thread, as a server of many requests wants it."""

    def __init__(self) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(MNIST), options, providers=["CPUExecutionProvider"])

    def predict(self, rows: Any) -> np.ndarray:
        """Ten probabilities a row."""
        return self._session.run(None, {"image": np.asarray(rows, np.float32)})[0]


def load(kind: str) -> Titanic | Mnist:
    """The model of that name."""
    return Titanic() if kind == "titanic" else Mnist()
