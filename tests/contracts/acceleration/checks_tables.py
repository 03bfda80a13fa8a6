"""Faster forms of scikit-learn, XGBoost and LightGBM models: the same answers as the original."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn import (
    decomposition,
    discriminant_analysis,
    ensemble,
    feature_selection,
    impute,
    linear_model,
    naive_bayes,
    neighbors,
    neural_network,
    preprocessing,
    svm,
    tree,
)
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from tables import NUMBERS, TEXTS, assert_same, first_form, passengers, pipeline, rows, serve

from mlengine.serving.runtimes.acceleration.instances import around
from mlengine.serving.runtimes.acceleration.plan import last_step
from mlengine.serving.runtimes.model import RawInstances

FRAME, SURVIVED, PORT, PAID = passengers()
SENT = [
    *rows(passengers(40, seed=9)[0]),
    {"Pclass": 3, "Age": None, "SibSp": 0, "Fare": None, "Sex": None, "Embarked": None},
    {"Pclass": None, "Age": -1e9, "SibSp": 1e9, "Fare": 0, "Sex": "Male", "Embarked": "X"},
    {"Pclass": 3, "Age": 1e300, "SibSp": 0, "Fare": 3.5e38, "Sex": "male", "Embarked": "S"},
]
EXAMPLES = int(os.environ.get("MLENGINE_TEST_EXAMPLES", "8"))
# Forms of our own; the rest is asked as it was fitted.
OWN = "compiled estimator"

TWO_CLASSES = {
    "logistic": linear_model.LogisticRegression(),
    "logistic_cv": linear_model.LogisticRegressionCV(cv=2),
    "sgd_hinge": linear_model.SGDClassifier(random_state=0),
    "sgd_log": linear_model.SGDClassifier(loss="log_loss", random_state=0),
    "ridge": linear_model.RidgeClassifier(),
    "perceptron": linear_model.Perceptron(),
    "linear_svc": svm.LinearSVC(),
    "discriminant": discriminant_analysis.LinearDiscriminantAnalysis(),
    "tree": tree.DecisionTreeClassifier(random_state=0),
    "forest": ensemble.RandomForestClassifier(20, random_state=0),
    "one_tree_forest": ensemble.RandomForestClassifier(1, random_state=0),
    "extra_trees": ensemble.ExtraTreesClassifier(20, random_state=0),
    "boosted": ensemble.GradientBoostingClassifier(n_estimators=20, random_state=0),
    "boosted_exponential": ensemble.GradientBoostingClassifier(n_estimators=9, loss="exponential"),
    "histogram": ensemble.HistGradientBoostingClassifier(max_iter=20, random_state=0),
    "network": neural_network.MLPClassifier((8, 6), max_iter=30, random_state=0),
    "network_tanh": neural_network.MLPClassifier((5,), activation="tanh", max_iter=30, random_state=0),
    "xgboost": xgboost.XGBClassifier(n_estimators=15),
    "lightgbm": lightgbm.LGBMClassifier(n_estimators=15, verbose=-1),
}
AS_FITTED = {
    "svc": svm.SVC(),
    "neighbours": neighbors.KNeighborsClassifier(),
    "bayes": naive_bayes.GaussianNB(),
    "bagging": ensemble.BaggingClassifier(n_estimators=3, random_state=0),
    "voting": ensemble.VotingClassifier(
        [("a", linear_model.LogisticRegression()), ("b", tree.DecisionTreeClassifier(max_depth=3))]
    ),
}
THREE_CLASSES = {
    name: TWO_CLASSES[name]
    for name in (
        "logistic",
        "sgd_log",
        "ridge",
        "discriminant",
        "forest",
        "boosted",
        "histogram",
        "network",
        "lightgbm",
    )
}
QUANTITIES = {
    "linear": linear_model.LinearRegression(),
    "ridge": linear_model.Ridge(),
    "lasso": linear_model.Lasso(),
    "huber": linear_model.HuberRegressor(),
    "poisson": linear_model.PoissonRegressor(max_iter=300),
    "sgd": linear_model.SGDRegressor(random_state=0),
    "linear_svr": svm.LinearSVR(),
    "tree": tree.DecisionTreeRegressor(random_state=0),
    "forest": ensemble.RandomForestRegressor(15, random_state=0),
    "boosted": ensemble.GradientBoostingRegressor(n_estimators=15, random_state=0),
    "histogram": ensemble.HistGradientBoostingRegressor(max_iter=15, random_state=0),
    "network": neural_network.MLPRegressor(hidden_layer_sizes=(6,), max_iter=30, random_state=0),
    "xgboost": xgboost.XGBRegressor(n_estimators=15),
    "lightgbm": lightgbm.LGBMRegressor(n_estimators=15, verbose=-1),
}
CASES = [
    *[pytest.param(each, SURVIVED, OWN, id=f"two-{name}") for name, each in TWO_CLASSES.items()],
    *[pytest.param(each, PORT, OWN, id=f"three-{name}") for name, each in THREE_CLASSES.items()],
    *[pytest.param(each, np.abs(PAID), OWN, id=f"quantity-{name}") for name, each in QUANTITIES.items()],
    *[
        pytest.param(each, SURVIVED, "fitted estimator on arrays", id=f"fitted-{name}")
        for name, each in AS_FITTED.items()
    ],
]


@pytest.mark.parametrize(("estimator", "target", "detail"), CASES)
def test_an_estimator_answers_alike(estimator: Any, target: Any, detail: str, tmp_path: Path) -> None:
    model = serve(pipeline(estimator).fit(FRAME, target))

    form = first_form(model, tmp_path)

    assert form.detail == detail
    assert assert_same(model, form, SENT, 1e-6) >= 40


FILLED = impute.SimpleImputer(strategy="mean")
NUMBER_STEPS = {
    "min_max": preprocessing.MinMaxScaler(),
    "min_max_clipped": preprocessing.MinMaxScaler(clip=True),
    "max_abs": preprocessing.MaxAbsScaler(),
    "robust": preprocessing.RobustScaler(),
    "not_centred": preprocessing.StandardScaler(with_mean=False),
    "not_scaled": preprocessing.StandardScaler(with_std=False),
    "binarizer": preprocessing.Binarizer(threshold=2.0),
    "l1": preprocessing.Normalizer("l1"),
    "l2": preprocessing.Normalizer("l2"),
    "max": preprocessing.Normalizer("max"),
    "polynomial": preprocessing.PolynomialFeatures(2),
    "polynomial_3": preprocessing.PolynomialFeatures((2, 3), include_bias=False),
    "interactions": preprocessing.PolynomialFeatures(3, interaction_only=True),
    "bins": preprocessing.KBinsDiscretizer(4, quantile_method="averaged_inverted_cdf"),
    "bins_ordinal": preprocessing.KBinsDiscretizer(3, encode="ordinal", strategy="uniform"),
    "bins_dense": preprocessing.KBinsDiscretizer(3, encode="onehot-dense", strategy="uniform"),
    "ufunc": preprocessing.FunctionTransformer(np.cbrt),
    "own_function": preprocessing.FunctionTransformer(lambda numbers: numbers * 2 + 1),
    "nothing": "passthrough",
    "pca": decomposition.PCA(3),
    "pca_whitened": decomposition.PCA(2, whiten=True),
    "svd": decomposition.TruncatedSVD(2),
    "variance": feature_selection.VarianceThreshold(0.7),
    "best": feature_selection.SelectKBest(k=2),
    "power": preprocessing.PowerTransformer(),
    "quantiles": preprocessing.QuantileTransformer(n_quantiles=20),
    "splines": preprocessing.SplineTransformer(n_knots=3),
}
GAP_STEPS = {
    "constant": impute.SimpleImputer(strategy="constant", fill_value=-1),
    "indicator": impute.SimpleImputer(add_indicator=True),
    "marker": impute.SimpleImputer(missing_values=3.0),
    "neighbours": impute.KNNImputer(),
}
TEXT_STEPS = {
    "refusing": preprocessing.OneHotEncoder(),
    "first_dropped": preprocessing.OneHotEncoder(drop="first", handle_unknown="ignore"),
    "binary_dropped": preprocessing.OneHotEncoder(drop="if_binary"),
    "infrequent": preprocessing.OneHotEncoder(min_frequency=70, handle_unknown="infrequent_if_exist"),
    "most": preprocessing.OneHotEncoder(max_categories=2, handle_unknown="infrequent_if_exist"),
    "dense": preprocessing.OneHotEncoder(sparse_output=False, handle_unknown="ignore"),
    "ordinal": preprocessing.OrdinalEncoder(),
    "ordinal_open": preprocessing.OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
    "target": preprocessing.TargetEncoder(cv=2),
}


@pytest.mark.parametrize("name", NUMBER_STEPS)
def test_a_step_on_numbers_answers_alike(name: str, tmp_path: Path) -> None:
    steps = [FILLED, NUMBER_STEPS[name]]
    fitted = pipeline(linear_model.LogisticRegression(max_iter=2000), numbers=make_pipeline(*steps))
    model = serve(fitted.fit(FRAME, SURVIVED))

    assert assert_same(model, first_form(model, tmp_path), SENT, 1e-6) >= 40


@pytest.mark.parametrize("name", GAP_STEPS)
def test_a_step_that_fills_gaps_answers_alike(name: str, tmp_path: Path) -> None:
    steps = [*([FILLED] if name == "marker" else []), GAP_STEPS[name]]
    fitted = pipeline(linear_model.LogisticRegression(max_iter=2000), numbers=make_pipeline(*steps))
    model = serve(fitted.fit(FRAME, SURVIVED))

    assert assert_same(model, first_form(model, tmp_path), SENT, 1e-6) >= 40


@pytest.mark.parametrize("filled", [True, False], ids=["filled", "gaps"])
@pytest.mark.parametrize("name", TEXT_STEPS)
def test_a_step_on_texts_answers_alike(name: str, filled: bool, tmp_path: Path) -> None:
    steps = [*([impute.SimpleImputer(strategy="most_frequent")] if filled else []), TEXT_STEPS[name]]
    estimator = ensemble.RandomForestClassifier(5, random_state=0)
    model = serve(pipeline(estimator, texts=make_pipeline(*steps)).fit(FRAME, SURVIVED))

    assert assert_same(model, first_form(model, tmp_path), SENT, 1e-6) >= 40


def test_a_search_a_union_a_selection_and_nested_pipelines_answer_alike(tmp_path: Path) -> None:
    numbers = Pipeline(
        [
            ("fill", FILLED),
            (
                "both",
                FeatureUnion(
                    [("plain", "passthrough"), ("scaled", preprocessing.StandardScaler())],
                    transformer_weights={"scaled": 0.5},
                ),
            ),
        ]
    )
    columns = ColumnTransformer(
        [
            ("numbers", numbers, [0, 1, 2, 3]),
            ("texts", preprocessing.OneHotEncoder(), [False] * 4 + [True] * 2),
        ],
        remainder="drop",
        transformer_weights={"numbers": 2.0},
    )
    whole = make_pipeline(columns, feature_selection.SelectKBest(k=5), linear_model.LogisticRegression())
    search = GridSearchCV(whole, {"logisticregression__C": [0.1, 1.0]}, cv=2)
    model = serve(search.fit(FRAME, SURVIVED))

    form = first_form(model, tmp_path)

    assert form.detail == OWN
    assert assert_same(model, form, SENT, 1e-6) >= 40


def test_a_step_of_the_users_own_gets_the_frame_that_it_was_fitted_on(tmp_path: Path) -> None:
    def family(frame: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"fare": frame["Fare"].fillna(0.0) / (frame["SibSp"] + 1.0)})

    columns = ColumnTransformer(
        [
            ("own", preprocessing.FunctionTransformer(family), ["SibSp", "Fare"]),
            ("texts", preprocessing.OneHotEncoder(handle_unknown="ignore"), TEXTS),
        ]
    )
    fitted = make_pipeline(columns, linear_model.LogisticRegression()).fit(FRAME, SURVIVED)
    model = serve(fitted)

    sent = [{**row, "SibSp": 1.0} for row in SENT[:-1]]

    assert assert_same(model, first_form(model, tmp_path), sent, 1e-6) >= 40


@pytest.mark.parametrize("name", ["forest", "boosted", "histogram"])
def test_large_batches_answer_alike(name: str, tmp_path: Path) -> None:
    numbers = FRAME[NUMBERS].fillna(30.0)
    model = serve(clone(TWO_CLASSES[name]).set_params(random_state=1).fit(numbers, PORT))
    form = first_form(model, tmp_path)
    many = [list(row) for row in np.random.default_rng(2).uniform(0, 80, (20_000, 4)).tolist()]

    signature = model.signatures["predict_proba"]
    decoded = signature.decode(RawInstances(many))
    wanted, found = signature.run(decoded), form.run_for(signature)(decoded)

    assert np.array_equal(wanted[0], found[0])
    assert np.allclose(wanted[1], found[1], rtol=1e-12, atol=1e-15)


def test_rows_without_names_answer_alike(tmp_path: Path) -> None:
    numbers = FRAME[NUMBERS].to_numpy()
    fitted = make_pipeline(FILLED, preprocessing.StandardScaler(), linear_model.LogisticRegression())
    model = serve(fitted.fit(numbers, SURVIVED))

    sent = [[row[name] for name in NUMBERS] for row in SENT]

    assert assert_same(model, first_form(model, tmp_path), sent, 1e-6) >= 40


def test_categories_of_histogram_boosting_answer_alike(tmp_path: Path) -> None:
    frame = FRAME.assign(**{name: FRAME[name].astype("category") for name in TEXTS})
    fitted = ensemble.HistGradientBoostingClassifier(max_iter=15, categorical_features=TEXTS, max_bins=20)
    model = serve(fitted.fit(frame, SURVIVED))

    assert assert_same(model, first_form(model, tmp_path), SENT, 1e-6) >= 30


def test_a_booster_of_xgboost_answers_alike(tmp_path: Path) -> None:
    from mlengine.serving.runtimes import xgboost as runtime

    booster = xgboost.train(
        {"objective": "binary:logistic"}, xgboost.DMatrix(FRAME[NUMBERS], label=SURVIVED), 10
    )
    model = runtime.serve(booster, None)

    sent = [{name: row[name] for name in NUMBERS} for row in SENT]

    assert assert_same(model, first_form(model, tmp_path), sent, 1e-6) >= 40


def test_a_class_of_lightgbm_with_categories_answers_alike(tmp_path: Path) -> None:
    from mlengine.serving.runtimes import lightgbm as runtime

    frame = FRAME.assign(**{name: FRAME[name].astype("category") for name in TEXTS})
    fitted = lightgbm.LGBMClassifier(n_estimators=10, verbose=-1).fit(frame, SURVIVED)
    model = runtime.serve(fitted, None)

    assert assert_same(model, first_form(model, tmp_path), SENT, 1e-6) >= 40


NUMBER = st.none() | st.integers(-5, 100) | st.floats(allow_nan=False, allow_infinity=False)
ROW = st.fixed_dictionaries(
    {
        **dict.fromkeys(NUMBERS, NUMBER),
        "Sex": st.sampled_from(["male", "female", "Female", None]),
        "Embarked": st.sampled_from(["C", "Q", "S", "", "X", None]),
    }
)
HELD = {
    name: serve(pipeline(TWO_CLASSES[name]).fit(FRAME, SURVIVED))
    for name in ("logistic", "forest", "boosted", "histogram", "network", "xgboost", "lightgbm")
}
FORMS: dict[str, Any] = {}


@pytest.mark.parametrize("name", HELD)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sent=st.lists(ROW, min_size=1, max_size=6))
def test_any_rows_get_the_same_answers(name: str, sent: list[dict[str, Any]], tmp_path: Path) -> None:
    if name not in FORMS:
        FORMS[name] = first_form(HELD[name], tmp_path)

    assert_same(HELD[name], FORMS[name], sent, 1e-6)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_models_of_any_tables_answer_alike(data: st.DataObject, tmp_path: Path) -> None:
    seed = data.draw(st.integers(0, 10_000))
    source = np.random.default_rng(seed)
    texts = data.draw(st.lists(st.text(min_size=1, max_size=4), min_size=2, max_size=5, unique=True))
    gaps = data.draw(st.booleans())
    frame = pd.DataFrame(
        {
            **{
                name: np.where(source.random(50) < 0.2 * gaps, np.nan, source.normal(0, 10**at, 50))
                for at, name in enumerate(NUMBERS)
            },
            **{name: source.choice(np.array(texts, dtype=object), 50) for name in TEXTS},
        }
    )
    estimator = data.draw(st.sampled_from([TWO_CLASSES["tree"], TWO_CLASSES["logistic"]]))
    model = serve(pipeline(estimator).fit(frame, source.integers(0, 2, 50) | (np.arange(50) < 2)))

    sent = data.draw(st.lists(ROW, min_size=1, max_size=4)) + rows(frame.head(5))

    assert assert_same(model, first_form(model, tmp_path), sent, 1e-6) > 0


@pytest.mark.parametrize("name", ["tree", "forest", "boosted", "histogram", "xgboost", "lightgbm"])
def test_numbers_at_thresholds_and_next_to_them_fall_to_the_same_side(name: str, tmp_path: Path) -> None:
    numbers = FRAME[NUMBERS].fillna(30.0)
    model = serve(clone(TWO_CLASSES[name]).fit(numbers, SURVIVED))
    form = first_form(model, tmp_path)
    hints, _ = form.hints()
    source = random.Random(1)

    values = {at: hints.get(at) or around([1.5]) for at in range(4)}
    sent = [{column: source.choice(values[at]) for at, column in enumerate(NUMBERS)} for _ in range(400)]

    assert sum(len(found) for found in hints.values()) > 40
    assert assert_same(model, form, sent, 1e-9) == 800
    assert type(last_step(model.source)).__name__ == type(TWO_CLASSES[name]).__name__
