"""Explanations of real models of each framework, against what their weights and predictions say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlengine.serving.messages import EXPLAIN

from .conftest import runtime_interpreter
from .test_model_worker_frameworks import Asked, instances
from .worker_process import Worker, serving

SHAPLEY = {"explanation": {"sampledShapleyAttribution": {"numPaths": 10}}}
GRADIENTS = {"explanation": {"integratedGradientsAttribution": {"numIntegralSteps": 50}}}


def attributions(told: Any, body: int = 0) -> list[list[dict[str, Any]]]:
    assert "explained" in told, told
    status, answer = told["explained"][body]
    assert status == 200, answer
    return [each["attributions_by_label"] for each in answer["explanations"]]


def only(told: Any) -> list[dict[str, Any]]:
    found = attributions(told)
    assert {len(labels) for labels in found} == {1}
    return [labels[0] for labels in found]


def total(said: dict[str, Any]) -> float:
    return float(sum(np.sum(values) for values in said["attributions"].values()))


def adds_up(said: dict[str, Any], **tolerance: float) -> bool:
    return total(said) == pytest.approx(said["example_score"] - said["baseline_score"], **tolerance)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("explained")


@pytest.fixture(scope="module")
def tables(sklearn_python: Path, folder: Path) -> Asked:
    def orders(expected: Any) -> dict[str, dict[str, Any]]:
        numbers = {"options": SHAPLEY, "explain": [instances(expected["numbers"])]}
        people = [{"Age": 30, "Sex": "female", "Port": "C"}, {"Age": 60, "Sex": "male", "Port": "S"}]
        refused = {"options": SHAPLEY}
        return {
            **dict.fromkeys(("linear", "several", "soft", "leaves"), numbers),
            "people": {"options": SHAPLEY, "explain": [instances(people)]},
            **dict.fromkeys(("labels", "clusters", "texts", "hard"), refused),
        }

    return Asked(sklearn_python, "train_explained.py", folder, orders)


@pytest.fixture(scope="module")
def slow(
    sklearn_python: Path, tables: Asked, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Worker]:
    """A worker whose explanations of 30 instances take many seconds: 175,000 rows of a forest."""
    run = tmp_path_factory.mktemp("run")
    config = {"sampledShapleyAttribution": {"numPaths": 200}}
    (run / "options.json").write_text(json.dumps({"explanation": config, "accelerate": False}))
    with serving(sklearn_python, folder / "slow", run) as worker:
        yield worker


def test_a_linear_pipeline_is_explained_by_its_weights_against_the_means_of_training(tables: Asked) -> None:
    for said, expected in zip(only(tables.told["linear"]), tables.expected["linear"], strict=True):
        assert list(said["attributions"].values()) == pytest.approx(expected, abs=1e-9)
        assert adds_up(said, abs=1e-9)


def test_the_probability_of_the_predicted_class_is_explained_field_by_field(tables: Asked) -> None:
    first, second = only(tables.told["people"])
    *probabilities, neutral = tables.expected["people"]

    # The baseline: the median age, the first of the sexes and of the ports.
    for said, expected in zip((first, second), probabilities, strict=True):
        label = said["label_index"]
        assert label == int(np.argmax(expected))
        assert said["example_score"] == pytest.approx(expected[label])
        assert said["baseline_score"] == pytest.approx(neutral[label])
        assert said["output_name"] == "probabilities"
        assert adds_up(said, abs=1e-12)
    assert second["attributions"]["Sex"] > 0
    assert second["attributions"]["Name"] == 0.0


def test_all_values_of_a_regression_of_several_are_explained(tables: Asked) -> None:
    found = attributions(tables.told["several"])

    for labels, predicted in zip(found, tables.expected["several_predict"], strict=True):
        assert [said["label_index"] for said in labels] == [0, 1]
        assert [said["example_score"] for said in labels] == pytest.approx(predicted)
        assert list(labels[0]["attributions"].values()) == pytest.approx(
            [-value for value in labels[1]["attributions"].values()]
        )


def test_boosters_are_explained(tables: Asked) -> None:
    *soft, start = tables.expected["soft"]
    for said, expected in zip(only(tables.told["soft"]), soft, strict=True):
        assert said["label_index"] == int(np.argmax(expected))
        assert said["example_score"] == pytest.approx(max(expected))
        assert said["baseline_score"] == pytest.approx(start[said["label_index"]])
        assert adds_up(said, abs=1e-6)
    *leaves, start = tables.expected["leaves"]
    for said, expected in zip(only(tables.told["leaves"]), leaves, strict=True):
        assert (said["example_score"], said["baseline_score"]) == pytest.approx((expected, start))
        assert adds_up(said, abs=1e-9)


def test_what_answers_labels_is_refused_with_what_to_do(tables: Asked) -> None:
    assert "RidgeClassifier has no predict_proba" in tables.told["labels"]["error"]
    assert "KMeans answers labels" in tables.told["clusters"]["error"]
    assert "An instance is one text" in tables.told["texts"]["error"]
    assert "Train with multi:softprob" in tables.told["hard"]["error"]


MUCH = {"instances": [[1.0] * 30] * 30}
LITTLE = {"instances": [[1.0] * 30]}


def test_predictions_are_answered_while_an_explanation_is_computed(slow: Worker) -> None:
    caller = slow.call()

    explanation = caller.send(MUCH, kind=EXPLAIN)
    predictions = [caller.predict([0.0] * 30) for _ in range(5)]

    assert len(predictions) == 5
    assert not caller.answered(explanation)
    caller.cancel(explanation)
    status, answer = caller.ask(LITTLE, kind=EXPLAIN)
    assert (status, len(answer["explanations"])) == (200, 1)
    assert not caller.answered(explanation)


def test_an_explanation_ends_when_its_time_is_over(slow: Worker) -> None:
    caller = slow.call()

    status, answer = caller.receive(caller.send(MUCH, kind=EXPLAIN, seconds=0.3))

    assert (status, answer["error"]["status"]) == (504, "DEADLINE_EXCEEDED")
    assert caller.ask(LITTLE, kind=EXPLAIN)[0] == 200


def test_the_explanation_of_a_caller_who_has_gone_stops(slow: Worker) -> None:
    gone, other = slow.call(), slow.call()
    gone.send(MUCH, kind=EXPLAIN)
    gone.predict([0.0] * 30)
    gone.close()

    id = other.send(LITTLE, kind=EXPLAIN)
    assert other.receive(id)[0] == 200

    # Waited for what was under way: not for all of it.
    assert other.times[id][0] < 5_000_000
    assert other.times[id][4] == 1


def check_deep(told: Any, expected: list[list[float]]) -> None:
    *scores, start = expected
    for said, of_classes in zip(only(told), scores, strict=True):
        label = said["label_index"]
        assert label == int(np.argmax(of_classes))
        assert said["example_score"] == pytest.approx(of_classes[label], rel=1e-4)
        assert said["baseline_score"] == pytest.approx(start[label], rel=1e-4)
        off = abs(total(said) - (said["example_score"] - said["baseline_score"]))
        assert off < 0.01 * abs(said["example_score"] - said["baseline_score"])
        assert said["approx_error"] == pytest.approx(
            off / abs(said["example_score"] - said["baseline_score"]), abs=1e-9
        )


@pytest.mark.slow
def test_tensorflow_is_explained_by_gradients_and_by_coalitions(
    tensorflow_python: Path, tmp_path: Path
) -> None:
    def orders(expected: Any) -> dict[str, dict[str, Any]]:
        points = [instances(expected["points"])]
        by_gradients = {"options": GRADIENTS, "explain": points}
        names = ("line", "deep_saved", "deep_keras", "fixed")
        return {
            **dict.fromkeys(names, by_gradients),
            **{name: {"options": GRADIENTS} for name in ("rounded", "whole")},
        }

    asked = Asked(tensorflow_python, "train_explained_tensorflow.py", tmp_path, orders)
    told, expected = asked.told, asked.expected

    for said, terms in zip(only(told["line"]), expected["line"], strict=True):
        assert said["attributions"]["x"] == pytest.approx(terms, rel=1e-4, abs=1e-6)
        assert said["approx_error"] < 1e-4
    check_deep(told["deep_saved"], expected["deep"])
    check_deep(told["deep_keras"], expected["deep"])
    for said, point in zip(only(told["fixed"]), expected["points"], strict=True):
        assert said["attributions"]["x"] == pytest.approx(np.multiply(point, [1, 2, 3, 4]), rel=1e-4)
    assert "No gradient reaches the inputs" in told["rounded"]["error"]
    assert "input x is of type integer. Use sampledShapley" in told["whole"]["error"]


@pytest.mark.slow
def test_pytorch_is_explained_by_gradients(tmp_path: Path) -> None:
    def orders(expected: Any) -> dict[str, dict[str, Any]]:
        order = {"options": GRADIENTS, "explain": [instances(expected["points"])]}
        return {"deep_program": order, "deep_script": order}

    python = runtime_interpreter("torch", "MLENGINE_TEST_TORCH_PYTHON")
    asked = Asked(python, "train_explained_pytorch.py", tmp_path, orders)

    check_deep(asked.told["deep_program"], asked.expected["deep"])
    check_deep(asked.told["deep_script"], asked.expected["deep"])
