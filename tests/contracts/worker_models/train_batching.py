"""Trains the models of the batching test into the folder named on the command line."""

from __future__ import annotations

import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import xgboost
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

random = np.random.default_rng(7)
out = Path(sys.argv[1])
frame = pd.DataFrame(
    {
        "Age": random.uniform(1, 80, 400),
        "Fare": random.uniform(0, 500, 400),
        "Sex": random.choice(["male", "female"], 400),
    }
)
columns = make_column_transformer((SimpleImputer(), ["Age", "Fare"]), (OneHotEncoder(), ["Sex"]))
label = (frame.Age * 3 + frame.Fare > 300).to_numpy()
for name, model, target in (
    ("forest", RandomForestClassifier(8, random_state=0), label),
    ("ridge", Ridge(), frame.Age * 1000 + frame.Fare),
):
    (out / name).mkdir(parents=True)
    joblib.dump(make_pipeline(columns, model).fit(frame, target), out / name / "model.joblib")
(out / "forest" / "serving.json").write_text('{"signature_name": "predict_proba"}')
matrix = random.uniform(0, 100, (400, 4))
data = xgboost.DMatrix(matrix, label=matrix @ [1, 2, 3, 4])
(out / "booster").mkdir()
xgboost.train({"max_depth": 4}, data, 20).save_model(out / "booster" / "model.bst")
