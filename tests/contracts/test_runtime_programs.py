"""One real program for each framework of each runtime: it trains, saves, loads and predicts the same."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from mlengine.environments import Builder, default_cache_dir, framework_variables, resolve
from mlengine.environments.contract import machine_variables

pytestmark = pytest.mark.slow

TABLE = """
import numpy as np
generator = np.random.default_rng(0)
x = generator.normal(size=(200, 3)).astype(np.float32)
y = (x[:, 0] + x[:, 1] > 0).astype(np.int64)
"""

SKLEARN = """
import joblib
from sklearn.linear_model import LogisticRegression
model = LogisticRegression().fit(x, y)
joblib.dump(model, "model.joblib")
assert (joblib.load("model.joblib").predict(x) == model.predict(x)).all()
assert model.score(x, y) > 0.95
"""

XGBOOST = """
import xgboost
model = xgboost.train({"objective": "binary:logistic"}, xgboost.DMatrix(x, y), 20)
model.save_model("model.json")
again = xgboost.Booster(model_file="model.json")
assert (again.predict(xgboost.DMatrix(x)) == model.predict(xgboost.DMatrix(x))).all()
assert ((model.predict(xgboost.DMatrix(x)) > 0.5) == y).mean() > 0.95
"""

LIGHTGBM = """
import lightgbm
model = lightgbm.train({"objective": "binary", "verbose": -1}, lightgbm.Dataset(x, y), 20)
model.save_model("model.txt")
assert (lightgbm.Booster(model_file="model.txt").predict(x) == model.predict(x)).all()
assert ((model.predict(x) > 0.5) == y).mean() > 0.95
"""

ONNX = """
import onnx, onnxruntime
from sklearn.ensemble import RandomForestClassifier
from skl2onnx import to_onnx
model = RandomForestClassifier(20, random_state=0).fit(x, y)
onnx.save(to_onnx(model, x[:1]), "model.onnx")
session = onnxruntime.InferenceSession("model.onnx")
assert (session.run(None, {"X": x})[0] == model.predict(x)).all()
"""

KERAS = """
import keras
assert keras.__version__.startswith("3.")
keras.utils.set_random_seed(0)
model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, activation="sigmoid")])
model.compile(keras.optimizers.Adam(0.05), loss="binary_crossentropy")
model.fit(x, y, epochs=20, verbose=0)
model.save("model.keras")
again = keras.models.load_model("model.keras")
assert np.allclose(again.predict(x, verbose=0), model.predict(x, verbose=0))
assert ((model.predict(x, verbose=0)[:, 0] > 0.5) == y).mean() > 0.9
"""

# As trainers of 2019 have it: feature columns, lr=, a SavedModel folder, all without a word about Keras 2.
KERAS_2 = """
import tensorflow as tf
from tensorflow.keras.models import Sequential
from tensorflow.keras.optimizers import RMSprop
assert Sequential.__module__.startswith("tf_keras."), Sequential.__module__
columns = [tf.feature_column.numeric_column("a"), tf.feature_column.numeric_column("b")]
model = Sequential([tf.keras.layers.DenseFeatures(columns), tf.keras.layers.Dense(1, activation="sigmoid")])
model.compile(optimizer=RMSprop(learning_rate=0.05), loss="binary_crossentropy", metrics=["accuracy"])
features = {"a": x[:, 0], "b": x[:, 1]}
model.fit(features, y, epochs=20, verbose=0)
model.save("model")
again = tf.keras.models.load_model("model")
assert np.allclose(again.predict(features, verbose=0), model.predict(features, verbose=0))
assert model.evaluate(features, y, verbose=0)[1] > 0.9
"""

SAVED_MODEL = """
import tensorflow as tf
class Twice(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
    def __call__(self, value):
        return {"twice": 2 * value}
module = Twice()
tf.saved_model.save(module, "twice", signatures=module.__call__)
loaded = tf.saved_model.load("twice").signatures["serving_default"]
assert loaded(value=tf.constant([1.5]))["twice"].numpy() == [3]
"""

ESTIMATOR = """
import tensorflow as tf
feature = tf.feature_column.numeric_column("x", shape=(3,))
estimator = tf.estimator.LinearClassifier([feature], model_dir="out")
read = tf.compat.v1.estimator.inputs.numpy_input_fn
train = tf.estimator.TrainSpec(read({"x": x}, y, num_epochs=None, shuffle=True), max_steps=300)
serving = tf.estimator.export.build_parsing_serving_input_receiver_fn(
    tf.feature_column.make_parse_example_spec([feature])
)
evaluate = tf.estimator.EvalSpec(
    read({"x": x}, y, shuffle=False),
    exporters=tf.estimator.LatestExporter("export", serving),
    start_delay_secs=0,
)
result, _ = tf.estimator.train_and_evaluate(estimator, train, evaluate)
assert result["accuracy"] > 0.9, result
import glob
loaded = tf.saved_model.load(glob.glob("out/export/export/*")[0])
example = tf.train.Example()
example.features.feature["x"].float_list.value.extend([3, 3, 0])
said = loaded.signatures["predict"](examples=tf.constant([example.SerializeToString()]))
assert said["class_ids"].numpy() == [[1]]
"""

TORCH = """
import torch
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
optimizer = torch.optim.Adam(model.parameters(), 0.05)
rows, classes = torch.from_numpy(x), torch.from_numpy(y)
for _ in range(100):
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(model(rows), classes).backward()
    optimizer.step()
torch.save(model.state_dict(), "model.pt")
again = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
again.load_state_dict(torch.load("model.pt"))
assert torch.equal(again(rows), model(rows))
assert (model(rows).argmax(1) == classes).float().mean() > 0.95
from torch.utils.tensorboard import SummaryWriter
with SummaryWriter("logs") as writer:
    writer.add_scalar("loss", 0.5)
"""

EVERYWHERE = {"sklearn": SKLEARN, "xgboost": XGBOOST, "lightgbm": LIGHTGBM}
TENSORFLOW = {"keras": KERAS, "saved model": SAVED_MODEL}
OF_RUNTIME = {
    "2026.11-sklearn": EVERYWHERE | {"onnx": ONNX},
    "2026.11-tensorflow": EVERYWHERE | TENSORFLOW | {"onnx": ONNX},
    "2026.11-torch": EVERYWHERE | {"onnx": ONNX, "torch": TORCH},
    "2026.11-full": EVERYWHERE | TENSORFLOW | {"onnx": ONNX, "torch": TORCH},
    "1.15": EVERYWHERE | {"saved model": SAVED_MODEL, "estimator": ESTIMATOR},
    "2.4": {"keras 2": KERAS_2, "saved model": SAVED_MODEL},
}
PROGRAMS = [
    pytest.param(version, program, id=f"{version}-{name}")
    for version, programs in OF_RUNTIME.items()
    for name, program in programs.items()
]


@pytest.mark.parametrize(("version", "program"), PROGRAMS)
def test_a_program_trains_saves_loads_and_predicts_the_same(
    version: str, program: str, tmp_path: Path
) -> None:
    python = Builder(default_cache_dir(os.environ)).build(resolve(version).runtime)
    env = machine_variables(os.environ) | framework_variables(version) | {"HOME": str(tmp_path)}

    done = subprocess.run(
        [python, "-c", TABLE + program],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )

    assert done.returncode == 0, done.stderr[-3000:]
