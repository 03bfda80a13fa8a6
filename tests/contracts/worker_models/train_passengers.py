"""Writes one model of the size and kind that most tables lead to: imputers, categories, a regression."""

from __future__ import annotations

import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

random = np.random.default_rng(1)
passengers = pd.DataFrame(
    {
        "Pclass": random.integers(1, 4, 800),
        "Sex": random.choice(["male", "female"], 800),
        "Age": np.where(random.random(800) < 0.2, np.nan, random.uniform(1, 80, 800)),
        "Fare": random.lognormal(3, 1, 800),
        "Embarked": random.choice(["C", "Q", "S"], 800),
    }
)
survived = (passengers["Sex"] == "female") ^ (random.random(800) < 0.2)
numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
words = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
columns = ColumnTransformer([("n", numbers, ["Pclass", "Age", "Fare"]), ("w", words, ["Sex", "Embarked"])])
folder = Path(sys.argv[1]) / "passengers"
folder.mkdir()
joblib.dump(make_pipeline(columns, LogisticRegression()).fit(passengers, survived), folder / "model.joblib")
