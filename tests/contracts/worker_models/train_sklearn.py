"""Trains small scikit-learn and XGBoost models into the folder named on the command line."""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import xgboost
from odd_models import Doubler, Talker, Touchy
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler

random = np.random.default_rng(1)
out = Path(sys.argv[1])


def passengers(rows: int = 300) -> tuple[pd.DataFrame, np.ndarray]:
    age = np.where(random.random(rows) < 0.2, np.nan, random.uniform(1, 80, rows))
    port = random.choice(np.array(["C", "Q", "S", np.nan], dtype=object), rows)
    frame = pd.DataFrame(
        {
            "Pclass": random.integers(1, 4, rows),
            "Sex": random.choice(["male", "female"], rows),
            "Age": age,
            "SibSp": random.integers(0, 5, rows),
            "Embarked": port,
        }
    )
    return frame, ((frame.Sex == "female") ^ (random.random(rows) < 0.1)).astype(int).to_numpy()


def titanic(**encoder: str) -> Pipeline:
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    port = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(**encoder))
    columns = ColumnTransformer(
        [
            ("age", numbers, ["Age"]),
            ("port", port, ["Embarked"]),
            ("class", OneHotEncoder(**encoder), ["Pclass", "Sex"]),
            ("rest", "passthrough", ["SibSp"]),
        ]
    )
    return Pipeline([("columns", columns), ("model", LogisticRegression())])


def save(name: str, model: object, file: str = "model.joblib", **settings: object) -> None:
    folder = out / name
    folder.mkdir(parents=True)
    if file == "model.pkl":
        (folder / file).write_bytes(pickle.dumps(model))
    else:
        joblib.dump(model, folder / file)
    if settings:
        (folder / "serving.json").write_text(json.dumps(settings))


frame, survived = passengers()
strict = titanic().fit(frame, survived)
save("titanic", strict)
save("titanic_proba", strict, signature_name="predict_proba")
save("titanic_typo", strict, signatur_name="predict_proba")
save("titanic_unknown_signature", strict, signature_name="predict_log")
save("titanic_open", titanic(handle_unknown="ignore").fit(frame, survived), "model.pkl")
save("both", strict)
(out / "both" / "model.pkl").write_bytes(pickle.dumps({"not": "this one"}))
search = GridSearchCV(titanic(), {"model__C": [0.1, 1.0]}, cv=2).fit(frame, survived)
save("search", search)
save("calibrated", CalibratedClassifierCV(titanic(), cv=2).fit(frame, survived))

words = frame[["Sex", "Age"]].astype({"Sex": "category"})
boosting = HistGradientBoostingClassifier(max_iter=3, categorical_features="from_dtype").fit(words, survived)
save("boosting", boosting)
codes = make_pipeline(
    OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), LogisticRegression()
).fit(frame[["Sex", "Embarked"]].fillna("S"), survived)
save("ordinal", codes)
dropped = make_pipeline(ColumnTransformer([("sex", OneHotEncoder(), ["Sex"])]), LogisticRegression())
save("dropped", dropped.fit(frame, survived))
save(
    "logarithm",
    make_pipeline(FunctionTransformer(np.log1p), LinearRegression()).fit(frame[["SibSp"]], survived),
)

matrix = np.array([[1, 2, 3], [4, 5, 7], [7, 8, 8], [0, 1, 5], [3, 3, 3]], dtype=float)
linear = LinearRegression().fit(matrix, matrix @ [1, 100, 10_000])
save("linear", linear)
diverged = LinearRegression().fit(matrix, matrix @ [1, 1, 1])
diverged.coef_ = diverged.coef_ * np.nan
save("diverged", diverged)
flags = pd.DataFrame(
    {"adult": [True, False] * 4, "size": [1.5, 2.5] * 4, "day": pd.date_range("2020", periods=8)}
)
save("flags", make_pipeline(OneHotEncoder(), LogisticRegression()).fit(flags[["adult", "size"]], [0, 1] * 4))
save("dates", make_pipeline(OneHotEncoder(), LogisticRegression()).fit(flags[["day"]], [0, 1] * 4))
large = pd.DataFrame({"user": [2**60, 2**60 + 1] * 4})
save("large", make_pipeline(OneHotEncoder(), LogisticRegression()).fit(large, [0, 1] * 4))
words_in = ["good fine nice", "bad awful poor"] * 5
save("text", make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(words_in, ["good", "bad"] * 5))
booleans = LogisticRegression().fit(frame[["SibSp"]], survived == 1)
save("booleans", booleans)
two_answers = LinearRegression().fit(matrix, np.column_stack([matrix[:, 0], matrix[:, 1] * 2]))
save("two_answers", two_answers)

save("touchy", Pipeline([("model", Touchy().fit(None))]))
save("talker", Pipeline([("model", Talker().fit(None))]))
things = pd.DataFrame({"size": [1.0, 2.0, 3.0], "name": ["a", "bb", "dddd"]})
save(
    "own_code",
    make_pipeline(Doubler(), LinearRegression()).fit(things, [1.0, 2.0, 3.0]),
    sample={"size": 1.0, "name": "a"},
)
save("dictionary", {"a": 1})
save("unfitted", LinearRegression())

data = xgboost.DMatrix(matrix, label=[0, 1, 1, 0, 1])
(out / "booster").mkdir()
xgboost.train({"max_depth": 2}, data, 3).save_model(out / "booster" / "model.bst")
named = xgboost.DMatrix(matrix, label=[0, 1, 2, 0, 1], feature_names=["a", "b", "c"])
softprob = {"objective": "multi:softprob", "num_class": 3}
(out / "booster_named").mkdir()
xgboost.train(softprob, named, 3).save_model(out / "booster_named" / "model.bst")
save("booster_pickle", xgboost.train({"max_depth": 2}, data, 3), "model.pkl")
labels = np.array([0, 1, 1, 0, 1])
save(
    "wrapper",
    xgboost.XGBClassifier(n_estimators=3).fit(pd.DataFrame(matrix, columns=["a", "b", "c"]), labels),
)
(out / "expected.json").write_text(
    json.dumps(
        {
            "titanic": strict.predict(frame.iloc[:20]).tolist(),
            "titanic_proba": strict.predict_proba(frame.iloc[:20]).tolist(),
            "rows": json.loads(frame.iloc[:20].to_json(orient="records")),
            "booster": xgboost.train({"max_depth": 2}, data, 3).predict(data).tolist(),
            "matrix": matrix.tolist(),
        }
    )
)
