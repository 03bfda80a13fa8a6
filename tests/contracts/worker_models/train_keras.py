"""Builds small Keras models in the folder named on the command line."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import keras
import numpy as np

out = Path(sys.argv[1])
random = np.random.default_rng(5)
keras.utils.set_random_seed(5)
expected = {}


def folder(name):
    (out / name).mkdir(parents=True)
    return out / name


pixels = random.random((4, 6)).astype("float32")
small = keras.Sequential(
    [keras.Input((6,), name="pixels"), keras.layers.Dense(3, activation="softmax", name="kind")]
)
small.save(folder("keras_file") / "model.keras")
small.save(folder("keras_h5") / "model.h5")
expected["pixels"] = pixels.tolist()
expected["kind"] = np.asarray(small(pixels)).tolist()

port = keras.Input((), dtype="string", name="port")
age = keras.Input((1,), name="age")
codes = keras.layers.StringLookup(vocabulary=["C", "Q", "S"], output_mode="one_hot")(port)
joined = keras.layers.Concatenate()([codes, age])
two = keras.Model(
    {"port": port, "age": age},
    {"score": keras.layers.Dense(1, name="s")(joined), "odds": keras.layers.Dense(2, name="o")(joined)},
)
two.save(folder("keras_two") / "model.keras")
given = {"port": ["C", "S"], "age": [[1.0], [2.0]]}
import tensorflow as tf  # noqa: E402

answers = two({"port": tf.constant(given["port"]), "age": tf.constant(given["age"])})
expected["two"] = {name: np.asarray(value).tolist() for name, value in answers.items()}


@keras.saving.register_keras_serializable("here")
class Own(keras.layers.Layer):
    def call(self, x):
        return x * 2


own = keras.Sequential([keras.Input((2,)), Own()])
own.save(folder("keras_own_class") / "model.keras")

varying = keras.Sequential(
    [keras.Input((None, None, 1), name="image"), keras.layers.Conv2D(2, 5), keras.layers.GlobalMaxPooling2D()]
)
varying.save(folder("keras_varying") / "model.keras")

os.environ["TF_USE_LEGACY_KERAS"] = "1"
import tf_keras  # noqa: E402

old = tf_keras.Sequential([tf_keras.layers.Dense(1, input_shape=(6,), name="old")])
old.save(folder("keras_2") / "model.h5")
expected["old"] = np.asarray(old(pixels)).tolist()
(out / "expected.json").write_text(json.dumps(expected))
