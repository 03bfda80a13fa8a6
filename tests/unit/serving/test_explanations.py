"""Explanations from the bytes of a request to those of its answer, on models that need no framework."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlengine.serving.messages import EXPLAIN, PREDICT
from mlengine.serving.runtimes.explanation import explained
from mlengine.serving.runtimes.explanation import explainer as explainer_module
from mlengine.serving.runtimes.governing import governed
from mlengine.serving.runtimes.model import LoadFailed, Model, RawInstances, Rows, Signature
from mlengine.serving.runtimes.options import Options
from mlengine.serving.runtimes.tensor_signature import TensorSignature
from mlengine.serving.runtimes.tensors import Tensor
from mlengine.serving.worker.batch import Answerer
from tests.unit.serving.small_models import table_model, tensor_model, text_model

SHAPLEY: dict[str, Any] = {"sampledShapleyAttribution": {"numPaths": 10}}


def ready(model: Model, folder: Path, config: dict[str, Any] = SHAPLEY, **files: Any) -> Model:
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    options = Options(explanation=config)
    return explained(governed(model, options, folder), options, folder, bare=model)


def ask(model: Model, instances: list[Any], *, status: int = 200, **more: Any) -> Any:
    body = json.dumps({"instances": instances, **more}).encode()
    answer = Answerer(model).answer([(EXPLAIN, body)])[0]
    assert answer.status == status, answer.body
    content = json.loads(answer.body)
    return content["explanations"] if status == 200 else content["error"]


def only(explanation: dict[str, Any]) -> dict[str, Any]:
    (attribution,) = explanation["attributions_by_label"]
    return dict(attribution)


def score_model(score: Any, *, wide: int, name: str = "y", **outputs: Any) -> Model:
    """Answers `score` of vectors of float64 as output `name`, and whatever else `outputs` makes of them."""
    calls = {name: score, **outputs}
    signature = TensorSignature(
        "serving_default",
        [Tensor("x", "float64", [None, wide])],
        [{"name": key, "type": "number", "shape": None} for key in calls],
        lambda arrays: {key: call(arrays["x"]) for key, call in calls.items()},
    )
    return replace(
        tensor_model(),
        signatures={"serving_default": signature},
        describe=lambda: signature.describe("onnx", default="serving_default", names=["serving_default"]),
        samples=signature.samples(),
        framework="onnx",
    )


# What is answered


def test_a_row_is_explained_field_by_field_against_what_training_left(tmp_path: Path) -> None:
    model = ready(table_model(), tmp_path)

    said = only(ask(model, [{"Age": 4, "Embarked": "S", "Old": True}])[0])

    # The baseline: no age to fill in, the first port, not old.
    assert said["attributions"] == pytest.approx({"Age": 8.0, "Embarked": 2.0, "Old": 0.5})
    assert said["baseline_score"] == 0.0
    assert said["example_score"] == 10.5
    assert said["label_index"] == 0
    assert said["approx_error"] == 0.0
    assert said["output_name"] == "predictions"


def test_the_example_score_is_what_predict_answers(tmp_path: Path) -> None:
    model = ready(table_model(), tmp_path)
    instances = [[age, port, age % 2 == 0] for age, port in ((1, "C"), (22.5, "Q"), (80, "S"))]

    predictions = Answerer(model).answer([(PREDICT, json.dumps({"instances": instances}).encode())])[0].body
    explanations = ask(model, instances)

    assert [only(one)["example_score"] for one in explanations] == json.loads(predictions)["predictions"]


def test_the_baseline_is_what_schema_json_says(tmp_path: Path) -> None:
    inputs = [{"name": "Age", "baseline": 10}, {"name": "Embarked", "baseline": "Q"}]
    model = ready(table_model(), tmp_path, schema={"inputs": inputs})

    said = only(ask(model, [{"Age": 4, "Embarked": "Q", "Old": False}])[0])

    assert said["attributions"] == pytest.approx({"Age": -12.0, "Embarked": 0.0, "Old": 0.0})
    assert said["baseline_score"] == 21.0


def test_a_baseline_that_the_model_cannot_take_is_refused_with_the_field(tmp_path: Path) -> None:
    with pytest.raises(LoadFailed, match=r"cannot be explained: .*field Embarked: 'X' is not one of"):
        ready(table_model(), tmp_path, schema={"inputs": [{"name": "Embarked", "baseline": "X"}]})


def test_a_tensor_is_explained_element_by_element_in_its_shape(tmp_path: Path) -> None:
    weights = np.array([1.0, -2.0, 0.5])
    model = ready(score_model(lambda x: x @ weights, wide=3), tmp_path)

    first, second = (only(one) for one in ask(model, [[2, 1, 4], {"x": [0, 0, 1]}]))

    assert first["attributions"] == {"x": pytest.approx([2.0, -2.0, 2.0])}
    assert second["attributions"] == {"x": pytest.approx([0.0, 0.0, 0.5])}
    assert first["output_name"] == "y"


def test_the_probability_of_the_predicted_class_is_explained(tmp_path: Path) -> None:
    def probabilities(x: Any) -> Any:
        rising = np.exp(x * [1.0, 2.0, 3.0])
        return rising / rising.sum(axis=1, keepdims=True)

    model = ready(score_model(probabilities, wide=3, name="p"), tmp_path)
    instance = np.array([0.5, 2.0, 1.0])

    said = only(ask(model, [instance.tolist()])[0])

    assert said["label_index"] == 1
    assert said["example_score"] == pytest.approx(probabilities(instance[None])[0, 1])
    assert said["baseline_score"] == pytest.approx(1 / 3)
    total = sum(said["attributions"]["x"])
    assert total == pytest.approx(said["example_score"] - said["baseline_score"], abs=1e-12)


def test_many_instances_with_many_features_add_up_each_by_itself(tmp_path: Path) -> None:
    source = np.random.default_rng(0)
    weights = source.normal(size=(40, 40))
    model = ready(score_model(lambda x: np.tanh(x @ weights).sum(axis=1), wide=40), tmp_path)
    instances = source.normal(size=(23, 40))

    explanations = [only(one) for one in ask(model, instances.tolist())]

    for instance, said in zip(instances, explanations, strict=True):
        assert said["example_score"] == pytest.approx(np.tanh(instance @ weights).sum())
        assert sum(said["attributions"]["x"]) == pytest.approx(said["example_score"], abs=1e-9)
        assert said["approx_error"] > 0
    alone = only(ask(model, [instances[7].tolist()])[0])
    assert alone["attributions"]["x"] == pytest.approx(explanations[7]["attributions"]["x"], abs=1e-9)


class Anything:
    """A routine of somebody's own, of which nothing is known: it answers what an object costs."""

    name = "predict"

    def decode(self, instances: RawInstances) -> Rows:
        return Rows(len(instances.values), object(), instances.values)

    def join(self, parts: Sequence[Rows]) -> Rows:
        (only,) = parts
        return only

    def run(self, rows: Rows) -> list[float]:
        return [one["days"] * (2.0 if one["class"] == "first" else 1.0) for one in rows.data]

    def predictions(self, outputs: Any, start: int, stop: int) -> list[Any]:
        return list(outputs[start:stop])


def test_objects_are_explained_by_the_fields_that_schema_json_declares(tmp_path: Path) -> None:
    made = replace(
        table_model(),
        signatures={"predict": Anything()},
        describe=lambda: {"instance": "any", "named": False, "inputs": [], "outputs": [], "sample": None},
        samples=[],
        framework="custom",
    )
    inputs = [
        {"name": "days", "type": "number", "baseline": 1},
        {"name": "class", "categories": ["second", "first"], "default": "second"},
    ]
    model = ready(made, tmp_path, schema={"inputs": inputs})

    first, second = (only(one) for one in ask(model, [{"days": 3, "class": "first"}, {"days": 3}]))

    # From 1 to 6: what both do together is shared.
    assert first["attributions"] == pytest.approx({"days": 3.0, "class": 2.0})
    assert second["attributions"] == pytest.approx({"days": 2.0, "class": 0.0})
    with pytest.raises(LoadFailed, match=r"does not tell its fields.*schema.json"):
        explained(made, Options(explanation=SHAPLEY), tmp_path, bare=made)


def test_another_signature_is_explained_too_or_refused_as_the_callers_choice(tmp_path: Path) -> None:
    made = score_model(lambda x: x[:, 0], wide=2)
    other = score_model(lambda x: x[:, 0] * 3, wide=2).signatures["serving_default"]
    words = text_model().signatures["serving_default"]
    made = replace(made, signatures={**made.signatures, "triple": other, "words": words})
    model = ready(made, tmp_path)

    assert only(ask(model, [[2, 1]], signature_name="triple")[0])["attributions"] == {"x": [6.0, 0.0]}
    refused = ask(model, ["a"], status=400, signature_name="words")
    assert "No output of the model is a number" in refused["message"]


# Google's file of metadata


def test_googles_metadata_names_inputs_elements_baseline_and_output(tmp_path: Path) -> None:
    made = score_model(
        lambda x: x.sum(axis=1), wide=2, name="logits", probability=lambda x: x[:, 0] * x[:, 1]
    )
    metadata = {
        "inputs": {
            "data": {
                "input_tensor_name": "serving_default_x:0",
                "input_baselines": [[1, 1]],
                "encoding": "bag_of_features",
                "index_feature_mapping": ["age", "fare"],
            }
        },
        "outputs": {"product": {"output_tensor_name": "StatefulPartitionedCall:1"}},
        "framework": "tensorflow2",
    }
    model = ready(made, tmp_path, explanation_metadata=metadata)

    said = only(ask(model, [[3, 5]])[0])

    # Half of 15 - 1 that comes of both, by symmetry: (2 + 10) / 2 and (4 + 12) / 2.
    assert said["attributions"] == pytest.approx({"age": 6.0, "fare": 8.0})
    assert (said["output_name"], said["baseline_score"]) == ("product", 1.0)


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        (
            {"inputs": {"data": {"input_tensor_name": "keras_tensor_3"}, "x": {}}},
            "input x of the model is there",
        ),
        ({"inputs": {"x": {"visualization": {}}}}, "'visualization' can have no effect"),
        ({"inputs": {"x": {"input_baselines": [0, 1]}}}, "several are not averaged"),
        ({"inputs": {"x": {"encoding": "indicator"}}}, "encoding 'indicator' is not offered"),
        ({"inputs": {"x": {"index_feature_mapping": ["a"]}}}, "has 1 names, but the input has 2"),
        ({"outputs": {"a": {}, "b": {}}}, "names 2 outputs"),
    ],
)
def test_metadata_that_would_change_nothing_is_refused(
    tmp_path: Path, metadata: dict[str, Any], words: str
) -> None:
    with pytest.raises(LoadFailed, match=words):
        ready(score_model(lambda x: x.sum(axis=1), wide=2), tmp_path, explanation_metadata=metadata)


# What is refused


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"xraiAttribution": {"numIntegralSteps": 5}}, r"xraiAttribution \(xrai\).* is not offered"),
        (
            {"integratedGradientsAttribution": {"numIntegralSteps": 5}},
            "scikit-learn model. Use sampledShapley",
        ),
        ({"sampledShapleyAttribution": {"numPaths": 0}}, "from 1 to"),
        ({}, "must name one method"),
    ],
)
def test_a_method_that_cannot_explain_the_model_is_refused(
    tmp_path: Path, config: dict[str, Any], words: str
) -> None:
    with pytest.raises(LoadFailed, match=words):
        ready(table_model(), tmp_path, config)


def test_a_model_of_texts_has_nothing_to_explain(tmp_path: Path) -> None:
    with pytest.raises(LoadFailed, match="No output of the model is a number"):
        ready(text_model(), tmp_path)


def test_of_several_outputs_the_one_to_explain_must_be_named(tmp_path: Path) -> None:
    made = score_model(lambda x: x[:, 0], wide=2, other=lambda x: x[:, 1])

    with pytest.raises(LoadFailed, match="Several outputs could be explained: y, other"):
        ready(made, tmp_path)
    model = ready(made, tmp_path, explanation_metadata={"outputs": {"other": {}}})
    assert only(ask(model, [[1, 7]])[0])["attributions"] == {"x": [0.0, 7.0]}


def test_a_bad_instance_is_told_as_in_a_prediction(tmp_path: Path) -> None:
    error = ask(ready(table_model(), tmp_path), [[1, "C", True], [1, "X", True]], status=400)

    assert error["message"] == "Instance 2, field Embarked: 'X' is not one of C, Q, S."
    assert error["details"][0]["fieldViolations"][0]["field"] == "instances[1][1]"


def test_unknown_keys_of_a_request_are_refused(tmp_path: Path) -> None:
    error = ask(ready(table_model(), tmp_path), [[1, "C", True]], status=400, label_index=1)

    assert "Unknown key 'label_index'" in error["message"]


def test_a_version_without_a_configuration_says_how_to_make_one() -> None:
    error = ask(table_model(version_name="v1", model_name="titanic"), [[1, "C", True]], status=400)

    assert error["status"] == "FAILED_PRECONDITION"
    assert error["message"].startswith("Version 'v1' has no explanationConfig")
    assert "mlengine versions create VERSION --model titanic" in error["message"]


def test_a_request_that_would_ask_too_much_is_refused_with_what_is_possible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = ready(score_model(lambda x: x.sum(axis=1), wide=30), tmp_path)
    monkeypatch.setattr(explainer_module, "MOST_ROWS", 600)

    error = ask(model, [[1.0] * 30] * 3, status=400)

    # Each itself, and 10 orders of 30 features less the two ends.
    assert "would be asked with 873 rows; at most 600" in error["message"]
    assert "Send at most 2 instances" in error["message"]
    assert len(ask(model, [[1.0] * 30] * 2)) == 2


def test_a_model_whose_one_instance_would_be_too_much_cannot_be_made(tmp_path: Path) -> None:
    with pytest.raises(LoadFailed, match="has 30000 features, so that 10 paths"):
        ready(score_model(lambda x: x.sum(axis=1), wide=30_000), tmp_path)


def test_a_model_that_fails_on_the_way_fails_the_request_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def score(x: Any) -> Any:
        if len(x) == 1 and x.sum() == 13:
            raise RuntimeError("unlucky")
        return x.sum(axis=1)

    model = ready(score_model(score, wide=2), tmp_path)

    error = ask(model, [[6, 7]], status=500)

    assert error["message"] == "Explanation failed: RuntimeError: unlucky"
    assert "Traceback" in capsys.readouterr().err
    assert len(ask(model, [[1, 2]])) == 1


# One after the other


def test_an_explanation_pauses_after_each_call_of_the_model(tmp_path: Path) -> None:
    sizes: list[int] = []

    def score(x: Any) -> Any:
        sizes.append(len(x))
        return x.sum(axis=1)

    model = ready(score_model(score, wide=30), tmp_path)
    sizes.clear()
    steps = Answerer(model).explain(json.dumps({"instances": [[1.0] * 30] * 8}).encode())

    for pauses, _ in enumerate(steps, start=1):
        assert len(sizes) == pauses

    assert sum(sizes) == 8 * 290 + 8 + 1


def test_the_faster_form_of_a_model_explains_too(tmp_path: Path) -> None:
    model = ready(table_model(), tmp_path)
    asked: list[int] = []
    original: Any = model.signatures["predict"]

    class Faster:
        def __getattr__(self, name: str) -> Any:
            return getattr(original, name)

        def run(self, rows: Any) -> Any:
            asked.append(rows.count)
            return original.run(rows)

    faster: Signature = Faster()
    ask(replace(model, signatures={"predict": faster}), [[1, "C", True]])

    assert asked
