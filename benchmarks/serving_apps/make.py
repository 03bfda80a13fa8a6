"""Makes the two models, the requests' instances and the answers they must get. Seeded: each run the same.

The passengers are made up in the shape of the real ones, because a benchmark must not need the network; the
images are noise: a dense network takes as long for them as for digits.
"""

from __future__ import annotations

import itertools
import json
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas

FOLDER = Path(sys.argv[1])
NUMBERS = ["Pclass", "Age", "SibSp", "Parch", "Fare"]
WORDS = {"Sex": ["female", "male"], "Embarked": ["C", "Q", "S"]}


def passenger(chance: random.Random) -> dict[str, Any]:
    return {
        "Pclass": chance.choice([1, 2, 3]),
        "Sex": chance.choice(WORDS["Sex"]),
        "Age": round(chance.uniform(1, 80), 1),
        "SibSp": chance.randrange(5),
        "Parch": chance.randrange(4),
        "Fare": round(chance.uniform(4, 250), 4),
        "Embarked": chance.choice(WORDS["Embarked"]),
    }


def titanic() -> None:
    import joblib
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import GradientBoostingClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    chance = random.Random(1)
    rows = [passenger(chance) for _ in range(1200)]
    frame = pandas.DataFrame(rows)
    lucky = (frame["Sex"] == "female").astype(int) * 2 + (frame["Pclass"] == 1) - (frame["Age"] > 60)
    survived = (lucky + np.random.default_rng(1).normal(0, 0.7, len(rows)) > 1).astype(int)
    frame.loc[::7, "Age"] = np.nan
    frame.loc[::111, "Embarked"] = np.nan
    numeric = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    encoder = OneHotEncoder(categories=list(WORDS.values()), handle_unknown="error")
    words = make_pipeline(SimpleImputer(strategy="most_frequent"), encoder)
    columns = ColumnTransformer([("numeric", numeric, NUMBERS), ("words", words, list(WORDS))])
    model = make_pipeline(columns, GradientBoostingClassifier(n_estimators=100, random_state=0))
    model.fit(frame, survived)
    folder = FOLDER / "titanic"
    folder.mkdir(parents=True, exist_ok=True)
    joblib.dump(model, folder / "model.joblib")
    asked = [passenger(chance) for _ in range(512)]
    answers = model.predict(pandas.DataFrame(asked)).tolist()
    (FOLDER / "titanic.json").write_text(json.dumps({"instances": asked, "answers": answers}))


def mnist() -> None:
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    chance = np.random.default_rng(2)
    sizes, initial, nodes, name = [784, 128, 10], [], [], "image"
    for layer, (before, after) in enumerate(itertools.pairwise(sizes)):
        weights = (chance.normal(size=(before, after)) / before**0.5).astype(np.float32)
        initial += [numpy_helper.from_array(weights, f"w{layer}")]
        initial += [numpy_helper.from_array(chance.normal(size=after).astype(np.float32), f"b{layer}")]
        nodes += [helper.make_node("Gemm", [name, f"w{layer}", f"b{layer}"], [f"z{layer}"])]
        last = layer == len(sizes) - 2
        name = "probabilities" if last else f"a{layer}"
        nodes += [helper.make_node("Softmax" if last else "Relu", [f"z{layer}"], [name])]
    graph = helper.make_graph(
        nodes,
        "mnist",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 784])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", 10])],
        initial,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    folder = FOLDER / "mnist"
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(model, folder / "model.onnx")
    images = chance.uniform(0, 1, (256, 784)).round(4)
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    answers = session.run(None, {"image": images.astype(np.float32)})[0]
    content = {"instances": images.tolist(), "answers": answers.tolist()}
    (FOLDER / "mnist.json").write_text(json.dumps(content))


titanic()
mnist()
