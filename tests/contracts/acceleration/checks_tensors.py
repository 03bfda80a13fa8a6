"""Faster forms of TensorFlow graphs, against TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from mlengine.serving.runtimes import keras as keras_runtime
from mlengine.serving.runtimes import tensorflow as runtime
from mlengine.serving.runtimes.acceleration import accelerate
from mlengine.serving.runtimes.acceleration.dense import dense_forms
from mlengine.serving.runtimes.model import Model, RawInstances
from mlengine.serving.runtimes.options import Options


def asked(model: Model, instances: list[Any]) -> list[dict[str, Any]]:
    (signature,) = {id(each): each for each in [next(iter(model.signatures.values()))]}.values()
    decoded = signature.decode(RawInstances(instances))
    found = signature.predictions(signature.run(decoded), 0, decoded.count)
    return [{name: np.asarray(value) for name, value in answer.items()} for answer in found]


def exported(network: Any, folder: Path) -> Model:
    network.export(str(folder / "saved"), verbose=False)
    return runtime.load(folder / "saved", None)


def numbers(*shape: int) -> list[Any]:
    return np.random.default_rng(1).normal(size=(9, *shape)).astype(np.float32).tolist()


DENSE = keras.Sequential(
    [
        layers.Input((12,)),
        layers.Rescaling(0.5),
        layers.Dense(16, activation="relu"),
        layers.BatchNormalization(),
        layers.Dense(16, activation="gelu"),
        layers.LayerNormalization(),
        layers.Dense(8, activation="swish"),
        layers.Dropout(0.5),
        layers.Dense(8, activation="elu"),
        layers.Dense(8, activation="selu"),
        layers.Dense(8, activation="tanh"),
        layers.Dense(4, activation="softmax"),
    ]
)


def test_a_dense_network_is_served_faster_with_the_same_answers(tmp_path: Path) -> None:
    model = exported(DENSE, tmp_path)
    (tmp_path / "run").mkdir()

    served, report = accelerate(
        model, None, folder=tmp_path / "run", options=Options(), artefacts=tmp_path / "saved"
    )
    again, same = accelerate(
        model, None, folder=tmp_path / "run", options=Options(), artefacts=tmp_path / "saved"
    )

    assert report["form"] in ("numpy", "onnx"), report
    assert same == report
    assert report["sameAnswers"] == report["instances"] >= 200
    for each in (served, again):
        for one, other in zip(asked(each, numbers(12)), asked(model, numbers(12)), strict=True):
            assert one.keys() == other.keys()
            for name, value in one.items():
                assert value.dtype == other[name].dtype == np.float32
                np.testing.assert_allclose(value, other[name], rtol=1e-4, atol=1e-6)


def test_the_graph_in_numpy_is_that_of_tensorflow(tmp_path: Path) -> None:
    pixels = keras.Sequential(
        [layers.Input((4, 3)), layers.Flatten(), layers.Dense(5, activation="sigmoid"), layers.Dense(1)]
    )
    pixels.save(tmp_path / "model.keras")
    model = keras_runtime.load(tmp_path / "model.keras", None)
    signature = next(iter(model.signatures.values()))

    form = next(dense_forms(model, tmp_path))
    decoded = signature.decode(RawInstances(numbers(4, 3)))
    found, wanted = form.run_for(signature)(decoded), signature.run(decoded)

    assert form.name == "numpy"
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-6)


def test_inputs_and_outputs_keep_their_names(tmp_path: Path) -> None:
    class Two(tf.Module):
        @tf.function(
            input_signature=[
                tf.TensorSpec([None, 2], tf.float32, name="zeta"),
                tf.TensorSpec([None], tf.float32, name="alpha"),
            ]
        )
        def __call__(self, zeta: Any, alpha: Any) -> dict[str, Any]:
            return {"sum": tf.reduce_sum(zeta, axis=1) + alpha, "ahead": zeta - 2.0 * alpha[:, None]}

    tf.saved_model.save(Two(), str(tmp_path / "saved"))
    model = runtime.load(tmp_path / "saved", None)
    signature = next(iter(model.signatures.values()))

    form = next(dense_forms(model, tmp_path))
    decoded = signature.decode(RawInstances([{"zeta": [1.0, 2.0], "alpha": 10.0}]))
    found = signature.predictions(form.run_for(signature)(decoded), 0, 1)[0]

    assert found["sum"] == 13.0
    assert found["ahead"].tolist() == [-19.0, -18.0]


@pytest.mark.parametrize("kind", ["texts", "random"])
def test_what_has_no_faster_form_stays_with_tensorflow(kind: str, tmp_path: Path) -> None:
    spec = tf.TensorSpec([None], tf.string if kind == "texts" else tf.float32, name="given")

    class Odd(tf.Module):
        @tf.function(input_signature=[spec])
        def __call__(self, given: Any) -> dict[str, Any]:
            if kind == "texts":
                return {"length": tf.strings.length(given)}
            return {"noise": given + tf.random.uniform(tf.shape(given))}

    tf.saved_model.save(Odd(), str(tmp_path / "saved"))
    model = runtime.load(tmp_path / "saved", None)

    served, report = accelerate(model, None, folder=tmp_path, options=Options())

    assert served is model
    assert report["form"] == "none"
    if kind == "texts":
        assert report["reason"] == "The model takes texts."
