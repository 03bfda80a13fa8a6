"""The network, and how it is saved so that it answers `class` and `probabilities`."""

from __future__ import annotations

import tempfile

import fsspec
import keras
import tensorflow as tf


def create_model() -> keras.Model:
    image = keras.Input(shape=(784,), name="image")
    # Scaling is part of the model: who asks for a prediction sends pixels as they are in the file.
    h = keras.layers.Rescaling(1 / 255)(image)
    h = keras.layers.Dense(512, activation="relu")(h)
    h = keras.layers.Dropout(0.2, seed=0)(h)
    h = keras.layers.Dense(256, activation="relu")(h)
    h = keras.layers.Dropout(0.2, seed=0)(h)
    probabilities = keras.layers.Dense(10, activation="softmax")(h)

    model = keras.Model(image, probabilities)
    model.compile(
        loss="sparse_categorical_crossentropy",
        optimizer=keras.optimizers.SGD(learning_rate=0.01, momentum=0.9),
        metrics=["accuracy"],
    )
    return model


def save_as_tensorflow(model: keras.Model, export_path: str) -> None:
    """Write a SavedModel to `export_path`, local or gs://, whose `serving_default` takes `image`."""

    @tf.function(input_signature=[tf.TensorSpec([None, 784], tf.float32, name="image")])
    def serve(image: tf.Tensor) -> dict[str, tf.Tensor]:
        probabilities = model(image, training=False)
        return {"class": tf.argmax(probabilities, axis=1), "probabilities": probabilities}

    fs, target = fsspec.core.url_to_fs(export_path)
    if fs.exists(target):
        # A model of an earlier run may have other files.
        fs.rm(target, recursive=True)
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(model, folder, signatures={"serving_default": serve})
        # The slashes say "what is in it", whether or not the target is there.
        fs.put(f"{folder}/", f"{target}/", recursive=True)
