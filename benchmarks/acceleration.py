"""How much faster models are served in their accelerated form, in one process, as ratios in one run.

    python -m benchmarks.acceleration [--runtime 2026.11-sklearn] [--rounds 5]

Trains models on a made-up table of passengers in the runtime's own Python, accelerates each as a worker does,
and asks original and accelerated form in turns (A B, A B, …): rows of dictionaries are decoded, joined,
computed and made plain again, as in a batch of requests with one row each. The medians are of the rounds; all
answers are compared as well. With a runtime that has TensorFlow, a dense network is measured instead.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

SIZES = (1, 16, 64, 512)
_INSIDE = "MLENGINE_BENCHMARK_INSIDE"


def main() -> None:
    """Start the measurement in the runtime's Python, and print its table."""
    parser = argparse.ArgumentParser(description="How much faster accelerated models are.")
    parser.add_argument("--runtime", default="2026.11-sklearn")
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    if os.environ.get(_INSIDE):
        _measure(chosen.runtime, chosen.rounds)
        return
    from mlengine.environments import Builder, default_cache_dir, resolve

    python = Builder(default_cache_dir(os.environ)).build(resolve(chosen.runtime).runtime, _say)
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"), "1")
    environment = {**os.environ, **threads, "TF_CPP_MIN_LOG_LEVEL": "3", _INSIDE: "1"}
    environment.pop("PYTHONPATH", None)
    # Not the folder of this file first on the path: it has a module named queue.
    command = [python, "-P", __file__, "--runtime", chosen.runtime, "--rounds", str(chosen.rounds)]
    sys.exit(subprocess.run(command, env=environment).returncode)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _measure(runtime: str, rounds: int) -> None:
    # As the worker does it: mlengine is not installed in a runtime.
    package = types.ModuleType("mlengine")
    package.__path__ = [str(Path(__file__).resolve().parents[1] / "src" / "mlengine")]
    sys.modules["mlengine"] = package
    models = _networks() if "tensorflow" in runtime else _pipelines()
    head = " | ".join(f"{size} row{'s' * (size > 1)}" for size in SIZES)
    sys.stdout.write(f"| model | form | found in s | start again in s | {head} |\n")
    sys.stdout.write(f"| --- | --- | ---: | ---: |{' ---: |' * len(SIZES)}\n")
    for name, model, instances in models:
        sys.stdout.write(_line(name, model, instances, rounds) + "\n")
        sys.stdout.flush()


def _line(name: str, model: Any, instances: list[Any], rounds: int) -> str:
    from mlengine.serving.runtimes.acceleration import accelerate
    from mlengine.serving.runtimes.options import Options

    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / "model"
        took: list[float] = []
        for _ in range(2):
            begin = time.perf_counter()
            served, report = accelerate(model, None, folder=Path(folder), options=Options(), artefacts=files)
            took.append(time.perf_counter() - begin)
    if report["form"] == "none":
        return f"| {name} | none: {report['reason']} | {took[0]:.2f} | {took[1]:.2f} |{' |' * len(SIZES)}"
    key = model.default or min(model.signatures)
    cells = []
    for size in SIZES:
        chosen = [instances[at % len(instances)] for at in range(size)]
        slow, fast = (_call(each.signatures[key], chosen) for each in (model, served))
        _same(slow(), fast())
        pairs = [(_seconds(slow), _seconds(fast)) for _ in range(rounds)]
        before, after = (statistics.median(column) * 1e6 for column in zip(*pairs, strict=True))
        cells.append(f"{before / after:.1f}× ({before:,.0f} → {after:,.0f} µs)")
    return f"| {name} | {report['form']} | {took[0]:.2f} | {took[1]:.2f} | {' | '.join(cells)} |"


def _call(signature: Any, instances: list[Any]) -> Callable[[], list[Any]]:
    from mlengine.serving.runtimes.model import RawInstances

    def call() -> list[Any]:
        parts = [signature.decode(RawInstances([instance])) for instance in instances]
        outputs = signature.run(signature.join(parts) if len(parts) > 1 else parts[0])
        return [signature.predictions(outputs, at, at + 1)[0] for at in range(len(parts))]

    return call


def _same(wanted: list[Any], found: list[Any]) -> None:
    from mlengine.serving.runtimes.acceleration.comparison import distance, plain

    worst = max(distance(plain(one), plain(other), 1.0) for one, other in zip(wanted, found, strict=True))
    if worst > 1e-4:
        raise SystemExit(f"The answers differ by {worst}.")


def _seconds(call: Callable[[], Any]) -> float:
    taken = []
    stop = time.perf_counter() + 0.1
    while len(taken) < 3 or time.perf_counter() < stop:
        begin = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


def _pipelines() -> Any:
    import lightgbm
    import numpy as np
    import pandas as pd
    import xgboost
    from sklearn import ensemble, linear_model, neural_network, svm
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    from mlengine.serving.runtimes import scikit_learn

    random, rows = np.random.default_rng(0), 900
    numbers = ["Pclass", "Age", "SibSp", "Parch", "Fare"]
    table = pd.DataFrame(
        {
            "Pclass": random.integers(1, 4, rows).astype(float),
            "Age": np.where(random.random(rows) < 0.2, np.nan, random.uniform(1, 80, rows)),
            "SibSp": random.integers(0, 5, rows).astype(float),
            "Parch": random.integers(0, 5, rows).astype(float),
            "Fare": random.exponential(30, rows),
            "Sex": random.choice(["male", "female"], rows),
            "Embarked": random.choice(np.array(["C", "Q", "S", np.nan], dtype=object), rows),
        }
    )
    survived = ((table.Sex == "female") ^ (table.Fare > 60) ^ (random.random(rows) < 0.2)).astype(int)
    instances = json.loads(table.head(100).to_json(orient="records"))
    estimators = {
        "logistic regression": linear_model.LogisticRegression(),
        "gradient boosting, 100 trees": ensemble.GradientBoostingClassifier(random_state=0),
        "random forest, 100 trees": ensemble.RandomForestClassifier(random_state=0),
        "histogram gradient boosting": ensemble.HistGradientBoostingClassifier(random_state=0),
        "XGBoost, 100 trees": xgboost.XGBClassifier(n_estimators=100),
        "LightGBM, 100 trees": lightgbm.LGBMClassifier(n_estimators=100, verbose=-1),
        "neural network, 50": neural_network.MLPClassifier((50,), max_iter=200, tol=0.01, random_state=0),
        "support vectors": svm.SVC(),
        "AdaBoost, 50": ensemble.AdaBoostClassifier(random_state=0),
    }
    for name, estimator in estimators.items():
        columns = ColumnTransformer(
            [
                ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
                (
                    "texts",
                    make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder()),
                    ["Sex", "Embarked"],
                ),
            ]
        )
        fitted = make_pipeline(columns, estimator).fit(table, survived)
        yield name, scikit_learn.serve(fitted, None), instances


def _networks() -> Any:
    import keras
    import numpy as np

    from mlengine.serving.runtimes import tensorflow

    images = np.random.default_rng(0).random((20, 784)).astype(np.float32)
    layers = keras.layers
    networks = {
        "dense 784-512-256-10": [
            layers.Input((784,)),
            layers.Dense(512, activation="relu"),
            layers.Dense(256, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ],
        "convolutions on 28 × 28": [
            layers.Input((784,)),
            layers.Reshape((28, 28, 1)),
            layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ],
    }
    for name, parts in networks.items():
        with tempfile.TemporaryDirectory() as folder:
            keras.Sequential(parts).export(folder, verbose=False)
            yield name, tensorflow.load(Path(folder), None), images.tolist()


if __name__ == "__main__":
    main()
