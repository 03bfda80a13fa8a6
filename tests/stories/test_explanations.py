"""A version that explains its predictions: by our command line, and by Google's own client."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from googleapiclient import discovery, errors

from tests.stories.conftest import Server, Shell

TRAIN = """
import sys, joblib, numpy, pandas
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
random = numpy.random.default_rng(1)
frame = pandas.DataFrame({
    "Age": random.integers(1, 80, 200).astype(float), "Fare": random.random(200) * 100,
    "Sex": random.choice(["female", "male"], 200), "Pclass": random.integers(1, 4, 200)})
survived = ((frame.Sex == "female") | (frame.Age < 10)).astype(int)
model = make_pipeline(
    ColumnTransformer([("n", SimpleImputer(strategy="median"), ["Age", "Fare", "Pclass"]),
                       ("s", OneHotEncoder(), ["Sex"])]),
    RandomForestClassifier(20, random_state=1, max_depth=5, n_jobs=1))
joblib.dump(model.fit(frame, survived), sys.argv[1])
"""
TRAIN_TENSORFLOW = """
import sys, keras
keras.utils.set_random_seed(1)
model = keras.Sequential([keras.Input((3,), name="x"), keras.layers.Dense(4, activation="tanh"),
                          keras.layers.Dense(2, activation="softmax", name="kind")])
model.export(sys.argv[1], verbose=False)
"""
PASSENGERS = [
    {"Age": 30, "Fare": 8.0, "Sex": "male", "Pclass": 3},
    {"Age": 4, "Fare": 20.0, "Sex": "female", "Pclass": 2},
]
MODEL = "projects/local/models/explained"


@pytest.fixture(scope="module")
def deployed(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """Version v1 explains, v2 does not."""
    shell = Shell(tmp_path_factory.mktemp("explained"), server.shell.environment)
    python = shell.run("runtimes", "build", "2026.11-sklearn", timeout=600).stdout.split()[-1]
    (shell.cwd / "model").mkdir()
    shell.program(python, "-c", TRAIN, "model/model.joblib")
    create = ("versions", "create", "--model", "explained", "--origin", "model")
    shell.run("models", "create", "explained", "--regions", "us-central1")
    shell.run(*create, "v1", "--explanation-method", "sampled-shapley", "--num-paths", "20")
    shell.run(*create, "v2")
    return shell


@pytest.fixture
def projects(server: Server) -> Iterator[Any]:
    endpoint = {"api_endpoint": server.endpoint}
    with discovery.build("ml", "v1", credentials=AnonymousCredentials(), client_options=endpoint) as client:
        yield client.projects()


def test_googles_client_explains_what_it_predicts(projects: Any, deployed: Shell) -> None:
    body = {"instances": PASSENGERS}

    explanations = projects.explain(name=f"{MODEL}/versions/v1", body=body).execute()["explanations"]
    predictions = projects.predict(name=f"{MODEL}/versions/v1", body=body).execute()["predictions"]

    for explanation, predicted in zip(explanations, predictions, strict=True):
        (said,) = explanation["attributions_by_label"]
        assert said["label_index"] == predicted
        assert set(said["attributions"]) == {"Age", "Fare", "Sex", "Pclass"}
        difference = said["example_score"] - said["baseline_score"]
        assert sum(said["attributions"].values()) == pytest.approx(difference, abs=1e-9)
        assert said["approx_error"] == 0.0
    he = explanations[0]["attributions_by_label"][0]["attributions"]
    assert max(he, key=lambda name: abs(he[name])) == "Sex"
    assert he["Sex"] > 0


def test_the_command_line_prints_the_same_as_json(projects: Any, deployed: Shell) -> None:
    by_client = projects.explain(name=MODEL, body={"instances": PASSENGERS}).execute()

    lines = "\n".join(map(json.dumps, PASSENGERS))
    printed = deployed.run("explain", "--model", "explained", "--json-instances", "-", stdin=lines)

    assert json.loads(printed.stdout) == by_client


def test_a_version_says_how_it_explains_and_another_how_to_make_one_that_does(
    projects: Any, deployed: Shell
) -> None:
    versions = projects.models().versions()

    shown = versions.get(name=f"{MODEL}/versions/v1").execute()
    assert shown["explanationConfig"] == {"sampledShapleyAttribution": {"numPaths": 20}}
    with pytest.raises(errors.HttpError) as refused:
        projects.explain(name=f"{MODEL}/versions/v2", body={"instances": PASSENGERS}).execute()
    assert refused.value.status_code == 400
    assert "Version 'v2' has no explanationConfig" in str(refused.value)
    assert "--explanation-method sampled-shapley" in str(refused.value)


def test_a_method_that_the_model_has_no_gradients_for_fails_the_version_by_name(deployed: Shell) -> None:
    create = ("versions", "create", "--model", "explained", "--origin", "model")

    xrai = deployed.run(*create, "v3", "--explanation-method", "xrai", code=1)
    gradients = deployed.run(*create, "v4", "--explanation-method", "integrated-gradients", code=1)

    assert "xraiAttribution" in xrai.stderr
    assert "integratedGradientsAttribution needs a model with gradients" in gradients.stderr
    assert "sampledShapleyAttribution" in gradients.stderr
    deployed.run("versions", "delete", "v4", "--model", "explained", "-q")


def test_explanations_count_in_the_figures(projects: Any, server: Server, deployed: Shell) -> None:
    def counted() -> float:
        with urllib.request.urlopen(f"{server.endpoint}/metrics") as page:
            lines = page.read().decode().splitlines()
        ours = [line for line in lines if "instances_total" in line and "explained" in line and 'v1"' in line]
        return float(ours[0].rpartition(" ")[2])

    before = counted()
    projects.explain(name=f"{MODEL}/versions/v1", body={"instances": PASSENGERS}).execute()

    assert counted() == before + len(PASSENGERS)


@pytest.mark.slow
def test_googles_client_makes_a_tensorflow_version_that_explains_by_gradients(
    projects: Any, server: Server, deployed: Shell, tmp_path: Path
) -> None:
    shell = Shell(tmp_path, server.shell.environment)
    python = shell.run("runtimes", "build", "2026.11-tensorflow", timeout=900).stdout.split()[-1]
    shell.program(python, "-c", TRAIN_TENSORFLOW, "saved")
    shell.run("storage", "mb", "gs://explained-tensors")
    shell.run("storage", "cp", "-r", "saved", "gs://explained-tensors/")
    version = {
        "name": "gradients",
        "deploymentUri": "gs://explained-tensors/saved",
        "framework": "TENSORFLOW",
        "runtimeVersion": "2026.11-tensorflow",
        "explanationConfig": {"integratedGradientsAttribution": {"numIntegralSteps": 40}},
    }
    made = projects.models().versions().create(parent=MODEL, body=version).execute()
    shell.run("operations", "wait", made["name"].rpartition("/")[2])

    body = {"instances": [[0.5, -1.0, 2.0]]}
    answer = projects.explain(name=f"{MODEL}/versions/gradients", body=body).execute()

    (said,) = answer["explanations"][0]["attributions_by_label"]
    assert said["output_name"] == "output_0"
    assert said["approx_error"] < 0.01
    difference = said["example_score"] - said["baseline_score"]
    assert sum(said["attributions"]["x"]) == pytest.approx(difference, abs=0.01 * abs(difference))
