"""Builds small models of LightGBM, XGBoost and ONNX in the folder named on the command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import joblib
import lightgbm
import numpy as np
import pandas as pd
import xgboost
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

out = Path(sys.argv[1])
random = np.random.default_rng(3)
expected = {}


def folder(name):
    (out / name).mkdir(parents=True)
    return out / name


frame = pd.DataFrame(
    {
        "age": random.uniform(1, 80, 300),
        "port": pd.Categorical(random.choice(["C", "Q", "S"], 300)),
        "class": pd.Categorical(random.choice([1, 2, 3], 300)),
    }
)
label = ((frame["age"] < 30) ^ (frame["port"] == "S")).astype(int)
few = frame.head(6)
rows = json.loads(few.astype({"port": str, "class": int}).to_json(orient="records"))

booster = lightgbm.train({"objective": "binary", "verbose": -1}, lightgbm.Dataset(frame, label), 8)
booster.save_model(folder("lightgbm_text") / "model.txt")
joblib.dump(booster, folder("lightgbm_booster") / "model.joblib")
classifier = lightgbm.LGBMClassifier(n_estimators=8, verbose=-1).fit(frame, label.map({0: "no", 1: "yes"}))
joblib.dump(classifier, folder("lightgbm_class") / "model.joblib")
expected["rows"] = rows
expected["lightgbm"] = booster.predict(few).tolist()
expected["lightgbm_class"] = classifier.predict(few).tolist()
expected["lightgbm_proba"] = classifier.predict_proba(few).tolist()

numbers = random.normal(size=(200, 3))
kind = numbers.argmax(axis=1)
three = xgboost.XGBClassifier(n_estimators=4).fit(numbers, kind)
for ending in ("json", "ubj"):
    three.get_booster().save_model(folder(f"xgboost_{ending}") / f"model.{ending}")
made = three.get_booster().save_raw("ubj")
(folder("xgboost_bst") / "model.bst").write_bytes(made)
sorts = xgboost.XGBClassifier(n_estimators=4, enable_categorical=True).fit(frame, label)
sorts.get_booster().save_model(folder("xgboost_categories") / "model.json")
joblib.dump(sorts, folder("xgboost_class") / "model.joblib")
linear = xgboost.train({"booster": "gblinear"}, xgboost.DMatrix(numbers, kind), 4)
linear.save_model(folder("xgboost_linear") / "model.json")
expected["xgboost_categories"] = sorts.predict_proba(few)[:, 1].tolist()
expected["xgboost_class"] = sorts.predict(few).tolist()
expected["xgboost_linear"] = linear.predict(xgboost.DMatrix(numbers[:5])).tolist()
plain = lightgbm.train(
    {"objective": "multiclass", "num_class": 3, "verbose": -1}, lightgbm.Dataset(numbers, kind), 3
)
plain.save_model(folder("lightgbm_three") / "model.txt")
expected["numbers"] = numbers[:5].tolist()
expected["xgboost"] = three.get_booster().predict(xgboost.DMatrix(numbers[:5])).tolist()
expected["lightgbm_three"] = plain.predict(numbers[:5]).tolist()

regression = LogisticRegression().fit(numbers, kind)
single = numbers[:5].astype(np.float32)
mapped = to_onnx(regression, single, target_opset=18)
(folder("onnx_map") / "model.onnx").write_bytes(mapped.SerializeToString())
expected["onnx_label"] = regression.predict(single).tolist()
expected["onnx_proba"] = regression.predict_proba(single).tolist()

table = frame.astype({"port": str})[["age", "port"]]
pipeline = make_pipeline(
    ColumnTransformer([("n", StandardScaler(), ["age"]), ("c", OneHotEncoder(), ["port"])]),
    LogisticRegression(),
).fit(table, label)
kinds = [("age", FloatTensorType([None, 1])), ("port", StringTensorType([None, 1]))]
columns = to_onnx(pipeline, initial_types=kinds, options={"zipmap": False}, target_opset=18)
(folder("onnx_columns") / "model.onnx").write_bytes(columns.SerializeToString())
(out / "onnx_columns" / "serving.json").write_text('{"sample": {"age": 1, "port": "C"}}')
expected["onnx_columns"] = pipeline.predict_proba(table.head(6)).tolist()

fixed = to_onnx(regression, options={"zipmap": False}, initial_types=[("x", FloatTensorType([2, 3]))])
(folder("onnx_fixed") / "model.onnx").write_bytes(fixed.SerializeToString())
(folder("not_a_tree") / "model.txt").write_text("hello")
(folder("misnamed") / "net.onnx").write_bytes(b"")
(folder("broken_onnx") / "model.onnx").write_bytes(b"no")
(out / "expected.json").write_text(json.dumps(expected))
