"""Builds models of TensorFlow to be explained in the folder named on the command line."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
import tensorflow as tf

out = Path(sys.argv[1])
keras.utils.set_random_seed(5)
random = np.random.default_rng(5)
expected = {}


def folder(name):
    (out / name).mkdir(parents=True)
    return out / name


line = keras.Sequential([keras.Input((4,), name="x"), keras.layers.Dense(1, name="y")])
weights = line.layers[0].kernel.numpy()[:, 0]
line.export(folder("line"), verbose=False)
points = random.normal(size=(3, 4)).astype("float32")
expected["points"] = points.tolist()
expected["line"] = (points * weights).tolist()

deep = keras.Sequential(
    [
        keras.Input((4,), name="x"),
        keras.layers.Dense(8, activation="tanh"),
        keras.layers.Dense(3, activation="softmax", name="kind"),
    ]
)
deep.export(folder("deep_saved"), verbose=False)
deep.save(folder("deep_keras") / "model.keras")
expected["deep"] = np.asarray(deep(np.concatenate([points, np.zeros((1, 4), "float32")]))).tolist()


class Fixed(tf.Module):
    def __init__(self):
        super().__init__()
        self.weights = tf.Variable([[1.0], [2.0], [3.0], [4.0]])

    @tf.function(input_signature=[tf.TensorSpec([2, 4], tf.float32, name="x")])
    def __call__(self, x):
        return {"y": x @ self.weights}


class Rounded(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, name="x")])
    def __call__(self, x):
        return {"y": tf.reduce_sum(tf.round(x), axis=1)}


class Whole(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.int64, name="x")])
    def __call__(self, x):
        return {"y": tf.reduce_sum(tf.cast(x, tf.float32), axis=1)}


for name, module in (("fixed", Fixed()), ("rounded", Rounded()), ("whole", Whole())):
    tf.saved_model.save(module, str(folder(name)), signatures=module.__call__)

(out / "expected.json").write_text(json.dumps(expected))
