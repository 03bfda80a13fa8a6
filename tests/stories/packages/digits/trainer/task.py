"""Softmax regression on MNIST whose answers look like an Estimator's: `class_ids` is a list of one."""

import argparse
import gzip
import tempfile

import fsspec
import numpy as np
import tensorflow as tf

parser = argparse.ArgumentParser()
parser.add_argument("--data")
parser.add_argument("--steps", type=int)
parser.add_argument("--job-dir")
args = parser.parse_args()


def read(name, offset):
    with fsspec.open(f"{args.data}/{name}-ubyte.gz", "rb") as file:
        return np.frombuffer(gzip.decompress(file.read()), np.uint8, offset=offset)


images = read("train-images-idx3", 16).reshape(-1, 784).astype("float32") / 255
labels = read("train-labels-idx1", 8).astype("int64")
weights, bias = tf.Variable(tf.zeros([784, 10])), tf.Variable(tf.zeros([10]))


@tf.function
def step(x, y, rate):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, x @ weights + bias))
    for variable, gradient in zip((weights, bias), tape.gradient(loss, (weights, bias)), strict=True):
        variable.assign_sub(rate * gradient)
    return loss


for number in range(args.steps):
    chosen = slice(number * 200 % 60000, number * 200 % 60000 + 200)
    loss = step(images[chosen], labels[chosen], 0.5)
print(f"loss {float(loss):.3f}")

module = tf.Module()
module.variables_ = [weights, bias]


@tf.function(input_signature=[tf.TensorSpec([None, 784], tf.float32, name="image")])
def serve(image):
    logits = image @ weights + bias
    return {
        "class_ids": tf.argmax(logits, 1)[:, None],
        "probabilities": tf.nn.softmax(logits),
        "logits": logits,
    }


module.serve = serve
with tempfile.TemporaryDirectory() as folder:
    tf.saved_model.save(module, folder, signatures={"serving_default": serve})
    files = fsspec.filesystem("gs")
    files.put(f"{folder}/", f"{args.job_dir}/model/", recursive=True)
