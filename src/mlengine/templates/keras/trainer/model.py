"""The model: a small Keras network. Change `create` to try another one; the rest can stay."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Sequence

import fsspec
import keras
import numpy
import pandas
import tensorflow as tf

from trainer.data import Columns


def input_name(column: str) -> str:
    """What the column is called in requests: a SavedModel knows letters, digits, _ only, a letter first."""
    name = re.sub(r"\W", "_", column)
    return name if name[:1].isalpha() else f"column_{name}"


def create(
    rows: pandas.DataFrame,
    columns: Columns,
    *,
    hidden_units: Sequence[int],
    dropout: float,
    learning_rate: float,
) -> keras.Model:
    """One input per column, by its name; gaps, scale and texts are dealt with inside the model.

    Args:
        rows: The training rows: a number's mean and spread become part of the model.
    """
    inputs, prepared = {}, []
    for name in columns.numeric:
        mean, variance = float(rows[name].mean()), float(rows[name].var(ddof=0)) or 1.0
        inputs[name] = number = keras.Input(shape=(), dtype="float32")
        known = keras.ops.where(keras.ops.isnan(number), mean, number)
        prepared.append(keras.ops.expand_dims((known - mean) / variance**0.5, -1))
    for name, texts in columns.categories.items():
        inputs[name] = text = keras.Input(shape=(), dtype="string")
        # A text that training has not seen, or none, has a place of its own.
        prepared.append(keras.layers.StringLookup(vocabulary=texts, output_mode="one_hot")(text))

    h = keras.ops.concatenate(prepared, axis=-1)
    for units in hidden_units:
        h = keras.layers.Dense(units, activation="relu")(h)
        h = keras.layers.Dropout(dropout)(h)

    optimizer = keras.optimizers.Adam(learning_rate)
    if columns.classes:
        model = keras.Model(inputs, keras.layers.Dense(len(columns.classes), activation="softmax")(h))
        model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    else:
        model = keras.Model(inputs, keras.layers.Dense(1)(h))
        model.compile(optimizer, loss="mse", metrics=[keras.metrics.RootMeanSquaredError("rmse")])
    return model


def dataset(
    rows: pandas.DataFrame, target: pandas.Series, columns: Columns, *, batch_size: int
) -> tf.data.Dataset:
    """The rows in batches, as the model takes them: one array per column, and the target."""
    arrays = {name: rows[name].to_numpy("float32") for name in columns.numeric}
    arrays |= {name: rows[name].fillna("").to_numpy("str") for name in columns.categories}
    label: numpy.ndarray = target.to_numpy()
    if columns.classes:
        label = pandas.Categorical(target, categories=columns.classes).codes
    return tf.data.Dataset.from_tensor_slices((arrays, label)).batch(batch_size)


def save(model: keras.Model, metrics: dict[str, float], columns: Columns, job_dir: str) -> None:
    """Write `model/`, which is what a version is made of, and `metrics.json` beside it; job_dir may be gs://."""
    fs, target = fsspec.core.url_to_fs(f"{job_dir}/model")
    if fs.exists(target):
        # A model of an earlier run may have other files.
        fs.rm(target, recursive=True)
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(model, folder, signatures={"serving_default": _signature(model, columns)})
        # The slashes say "what is in it", whether or not the target is there.
        fs.put(f"{folder}/", f"{target}/", recursive=True)
    with fsspec.open(f"{job_dir}/metrics.json", "w") as file:
        json.dump(metrics, file, indent=2)


def _signature(model: keras.Model, columns: Columns) -> tf.types.experimental.ConcreteFunction:
    def serve(**row: tf.Tensor) -> dict[str, tf.Tensor]:
        output = model(row, training=False)
        if not columns.classes:
            return {"prediction": tf.squeeze(output, axis=-1)}
        return {"class": tf.gather(columns.classes, tf.argmax(output, axis=1)), "probabilities": output}

    specs = {name: tf.TensorSpec([None], tf.float32, name=name) for name in columns.numeric}
    specs |= {name: tf.TensorSpec([None], tf.string, name=name) for name in columns.categories}
    return tf.function(serve).get_concrete_function(**specs)
