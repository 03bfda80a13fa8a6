"""Builds models of tables to be explained in the folder named on the command line; all tell their weights."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import joblib
import lightgbm
import numpy as np
import pandas
import xgboost
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestRegressor
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

out = Path(sys.argv[1])
random = np.random.default_rng(3)
expected = {}


def keep(name, model):
    (out / name).mkdir(parents=True)
    joblib.dump(model, out / name / "model.joblib")
    return model


numbers = random.normal(size=(60, 4))
values = numbers @ [1.0, -2.0, 0.0, 5.0] + 7
line = keep("linear", make_pipeline(StandardScaler(), LinearRegression()).fit(numbers, values))
weights = line[-1].coef_ / line[0].scale_
expected["numbers"] = numbers[:3].tolist()
expected["linear"] = (weights * (numbers[:3] - line[0].mean_)).tolist()
keep("several", LinearRegression().fit(numbers, np.stack([values, -values], axis=1)))
expected["several_predict"] = joblib.load(out / "several" / "model.joblib").predict(numbers[:3]).tolist()

people = pandas.DataFrame(
    {
        "Age": [22.0, 38.0, None, 35.0, 54.0, 2.0, 27.0, 14.0] * 5,
        "Sex": ["male", "female", "female", "female", "male", "male", "female", "male"] * 5,
        "Port": ["S", "C", "Q", "S", "S", "C", "S", "Q"] * 5,
        "Name": ["A"] * 40,
    }
)
died = np.array(["no", "yes", "yes", "yes", "no", "no", "yes", "no"] * 5)
pipeline = make_pipeline(
    ColumnTransformer(
        [
            ("n", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), ["Age"]),
            ("c", OneHotEncoder(), ["Sex", "Port"]),
        ]
    ),
    LogisticRegression(C=0.3),
).fit(people, died)
keep("people", pipeline)
rows = [{"Age": 30, "Sex": "female", "Port": "C"}, {"Age": 60, "Sex": "male", "Port": "S"}]
neutral = {"Age": 27.0, "Sex": "female", "Port": "C"}
frame = pandas.DataFrame([*rows, neutral]).assign(Name="")
expected["people"] = pipeline.predict_proba(frame).tolist()
keep("labels", RidgeClassifier().fit(numbers, values > 7))
keep("clusters", KMeans(2, n_init=1).fit(numbers))
keep("texts", make_pipeline(CountVectorizer(), LogisticRegression()).fit(["a text", "no text"], [0, 1]))
wide = random.normal(size=(80, 30))
keep("slow", RandomForestRegressor(40, max_depth=6, n_jobs=1).fit(wide, wide.sum(axis=1)))

kinds = (numbers[:, 0] > 0).astype(int) + (numbers[:, 1] > 0)


def booster(name, objective, label):
    (out / name).mkdir(parents=True)
    params = {"objective": objective, "max_depth": 3}
    if "multi" in objective:
        params["num_class"] = 3
    made = xgboost.train(params, xgboost.DMatrix(numbers, label), num_boost_round=5)
    made.save_model(out / name / "model.json")
    return made.predict(xgboost.DMatrix(np.array([*numbers[:3], np.zeros(4)]))).tolist()


expected["soft"] = booster("soft", "multi:softprob", kinds)
booster("hard", "multi:softmax", kinds)
made = lightgbm.LGBMRegressor(n_estimators=5, min_child_samples=5, verbose=-1).fit(numbers, values)
(out / "leaves").mkdir()
made.booster_.save_model(out / "leaves" / "model.txt")
expected["leaves"] = made.booster_.predict(np.array([*numbers[:3], np.zeros(4)])).tolist()

(out / "expected.json").write_text(json.dumps(expected))
