"""Builds small SavedModels in the folder named on the command line; training would add nothing to see."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

out = Path(sys.argv[1])
random = np.random.default_rng(1)


def spec(shape, dtype, name):
    return tf.TensorSpec(shape, dtype, name=name)


def save(name, module, **signatures):
    tf.saved_model.save(module, str(out / name), signatures=signatures)


class Digits(tf.Module):
    def __init__(self, scale=1.0):
        super().__init__()
        self.weights = tf.Variable((random.normal(size=(784, 10)) * scale).astype("float32"))

    @tf.function
    def serve(self, image):
        probabilities = tf.nn.softmax(image @ self.weights)
        return {"class": tf.argmax(probabilities, axis=1), "probabilities": probabilities}


digits = Digits()
save(
    "digits",
    digits,
    serving_default=digits.serve.get_concrete_function(spec([None, 784], tf.float32, "image")),
)
diverged = Digits(scale=np.nan)
image = spec([None, 784], tf.float32, "image")
save("diverged", diverged, serving_default=diverged.serve.get_concrete_function(image))


class Many(tf.Module):
    @tf.function
    def greet(self, name, age):
        return {
            "greeting": tf.strings.join(["Hi ", name]),
            "raw_bytes": name,
            "old": age >= 18,
            "twice": age * 2,
        }

    @tf.function
    def reverse(self, image_bytes):
        return {"length": tf.strings.length(image_bytes), "image_bytes": image_bytes, "words": image_bytes}

    @tf.function
    def number(self, image_bytes):
        return {"number": tf.strings.to_number(image_bytes)}

    @tf.function
    def unit(self, vector):
        return {"unit": vector / tf.norm(vector, axis=1, keepdims=True)}

    @tf.function
    def total(self, ragged):
        return {"total": tf.reduce_sum(ragged, axis=1)}

    @tf.function
    def scalar(self, x):
        return {"count": tf.shape(x)[0]}

    @tf.function
    def image(self, pixels):
        return {"mean": tf.reduce_mean(tf.cast(pixels, tf.float32), axis=[1, 2])}


many = Many()
binary = spec([None], tf.string, "image_bytes")
greet = many.greet.get_concrete_function(spec([None], tf.string, "name"), spec([None], tf.int32, "age"))
reverse = many.reverse.get_concrete_function(binary)
save(
    "greeting",
    many,
    serving_default=greet,
    reverse=reverse,
    total=many.total.get_concrete_function(spec([None, None], tf.float32, "ragged")),
    scalar=many.scalar.get_concrete_function(spec([None], tf.float32, "x")),
    mean=many.image.get_concrete_function(spec([None, 2, 2], tf.uint8, "pixels")),
)
save("no_default", many, predict=greet, reverse=reverse)
save("bytes_only", many, serving_default=reverse)
save("parser", many, serving_default=many.number.get_concrete_function(binary))
(out / "parser" / "serving.json").write_text('{"sample": "7"}')
save("parser_alone", many, serving_default=many.number.get_concrete_function(binary))
save("unit", many, serving_default=many.unit.get_concrete_function(spec([None, 3], tf.float32, "vector")))

pixels = random.random((8, 784)).astype("float32")
answers = digits.serve(pixels)
(out / "expected.json").write_text(
    json.dumps(
        {
            "images": pixels.tolist(),
            "class": answers["class"].numpy().tolist(),
            "probabilities": answers["probabilities"].numpy().tolist(),
        }
    )
)
