"""The model: input, feature columns, training, evaluation, export. Every number comes from task.py."""

from __future__ import annotations

import json
from typing import Any

import fsspec
import pandas
import xgboost

TARGET = "fare"
# What is known before the ride. Their names become part of the model, so that a request can use them.
FEATURES = [
    "trip_start_month",
    "trip_start_day",
    "trip_start_hour",
    "pickup_latitude",
    "pickup_longitude",
    "dropoff_latitude",
    "dropoff_longitude",
    "trip_miles",
]


def train_and_evaluate(args: dict[str, Any]) -> float:
    """Train on one set of files, measure on another, save the model; returns the error in dollars (RMSE)."""
    train, valid = read(args["train_data_paths"]), read(args["eval_data_paths"])
    print(f"Read {train.num_row()} trips to train on and {valid.num_row()} to evaluate on.", flush=True)

    booster = xgboost.train(
        {
            "objective": "reg:squarederror",
            "learning_rate": args["learning_rate"],
            "max_depth": args["max_depth"],
            "seed": 0,
        },
        train,
        num_boost_round=args["train_steps"],
        evals=[(train, "train"), (valid, "valid")],
        verbose_eval=10,
    )
    error = _rmse(booster, valid)
    export(booster, args["output_dir"].rstrip("/"))
    _write(f"{args['job_dir'].rstrip('/')}/metrics.json", json.dumps({"rmse": error}).encode())
    return error


def read(pattern: str) -> xgboost.DMatrix:
    """The trips in all CSV files that `pattern` matches, local or gs://. Empty cells stay missing values."""
    files = fsspec.open_files([pattern], "rb")
    if not files:
        raise SystemExit(f"No file matches {pattern}.")
    tables = []
    for file in files:
        with file as content:
            tables.append(pandas.read_csv(content))
    trips = pandas.concat(tables, ignore_index=True)
    return xgboost.DMatrix(trips[FEATURES].astype("float32"), label=trips[TARGET])


def export(booster: xgboost.Booster, output_dir: str) -> None:
    """Write `model/model.bst`; the folder is what a version is made of."""
    _write(f"{output_dir}/model/model.bst", booster.save_raw("ubj"))


def _rmse(booster: xgboost.Booster, data: xgboost.DMatrix) -> float:
    return float(((booster.predict(data) - data.get_label()) ** 2).mean() ** 0.5)


def _write(url: str, content: bytes | bytearray) -> None:
    with fsspec.open(url, "wb") as file:
        file.write(content)
