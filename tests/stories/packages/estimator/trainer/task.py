"""An Estimator with a parameter server, as trainers of 2018 were written."""

import argparse
import json
import os

import numpy as np
import tensorflow as tf


def rows():
    x = np.linspace(-1, 1, 256).astype(np.float32)
    return tf.data.Dataset.from_tensor_slices(({"x": x}, 3 * x + 1)).repeat().batch(32)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--job-dir", required=True)
    job_dir = parser.parse_args().job_dir

    tf.compat.v1.logging.set_verbosity(tf.compat.v1.logging.INFO)
    estimator = tf.estimator.LinearRegressor(
        [tf.feature_column.numeric_column("x")],
        model_dir=job_dir,
        optimizer=lambda: tf.keras.optimizers.legacy.SGD(0.1),
    )
    task = json.loads(os.environ["TF_CONFIG"])["task"]
    print(f"task {task['type']} {task['index']}", flush=True)
    tf.estimator.train_and_evaluate(
        estimator,
        tf.estimator.TrainSpec(rows, max_steps=200),
        tf.estimator.EvalSpec(rows, steps=4, start_delay_secs=0, throttle_secs=0),
    )
    if task["type"] == "master":
        slope = float(estimator.get_variable_value("linear/linear_model/x/weights")[0, 0])
        print(f"learned {slope:.2f}", flush=True)


if __name__ == "__main__":
    main()
