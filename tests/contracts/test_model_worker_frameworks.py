"""Models of other frameworks than scikit-learn and SavedModels: what they answer, what wrong files are told.

Each is opened and asked as the worker does it, in the Python of its runtime; one process opens them all.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .conftest import runtime_interpreter
from .worker_process import MODELS, PATIENCE, WORKER, environment, train

Told = dict[str, Any]


def ask(python: Path, models: Path, orders: dict[str, dict[str, Any]]) -> dict[str, Told]:
    """What became of each order, by the folder of its model: its description and answers, or its error."""
    listed = [{"model_dir": str(models / name), "bodies": [], **order} for name, order in orders.items()]
    done = subprocess.run(
        [python, MODELS / "ask.py"],
        input=json.dumps(listed),
        env=environment({"WORKER": str(WORKER)}),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(orders, json.loads(done.stdout), strict=True))


def predictions(told: Told, body: int = 0) -> list[Any]:
    assert "answers" in told, told
    status, answer = told["answers"][body]
    assert status == 200, answer
    return list(answer["predictions"])


def refusal(told: Told, body: int) -> str:
    status, answer = told["answers"][body]
    assert status == 400, answer
    return str(answer["error"]["message"])


def column(told: Told, name: str) -> list[Any]:
    return [prediction[name] for prediction in predictions(told)]


def close(expected: Any, answered: Any) -> bool:
    return bool(np.allclose(expected, answered, atol=1e-5))


def inputs(told: Told) -> dict[str, tuple[str, Any]]:
    return {each["name"]: (each["type"], each["shape"]) for each in told["describe"]["inputs"]}


class Asked:
    """What the models of one script were trained to answer, and what each of them told."""

    def __init__(
        self, python: Path, script: str, folder: Path, orders: Callable[[Any], dict[str, dict[str, Any]]]
    ) -> None:
        train(python, script, folder)
        self.expected = json.loads((folder / "expected.json").read_text())
        self.told = ask(python, folder, orders(self.expected))


def instances(values: list[Any], **more: Any) -> dict[str, Any]:
    return {"instances": values, **more}


@pytest.fixture(scope="module")
def tables(sklearn_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Asked:
    def orders(expected: Any) -> dict[str, dict[str, Any]]:
        rows = expected["rows"]
        unknown = [{**rows[0], "port": "X"}, {**rows[0], "port": None}]
        asked = [instances(rows), instances(unknown), instances([{**rows[0], "port": 3}])]
        columns = [{key: row[key] for key in ("age", "port")} for row in rows]
        return {
            "lightgbm_text": {"bodies": asked},
            "lightgbm_booster": {"bodies": asked},
            "lightgbm_class": {"bodies": [*asked, instances(rows, signature_name="predict_proba")]},
            "lightgbm_three": {"bodies": [instances(expected["numbers"])]},
            **{
                f"xgboost_{ending}": {"bodies": [instances(expected["numbers"])]}
                for ending in ("bst", "json", "ubj")
            },
            **{name: {"bodies": asked} for name in ("xgboost_categories", "xgboost_class")},
            "xgboost_linear": {"bodies": [instances(expected["numbers"])]},
            "onnx_map": {"bodies": [instances(expected["numbers"]), instances([[1, 2]])]},
            "onnx_fixed": {"bodies": [instances(expected["numbers"])]},
            "onnx_columns": {"bodies": [instances(columns), instances([{"age": 1, "port": "X"}])]},
            **{name: {} for name in ("not_a_tree", "misnamed", "broken_onnx")},
        }

    return Asked(sklearn_python, "train_tables.py", tmp_path_factory.mktemp("tables"), orders)


@pytest.fixture(scope="module")
def keras(tensorflow_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Asked:
    def orders(expected: Any) -> dict[str, dict[str, Any]]:
        pixels = [instances(expected["pixels"]), instances([{"pixel": [1]}])]
        two = [{"port": "C", "age": [1.0]}, {"port": "S", "age": [2.0]}]
        return {
            "keras_file": {"bodies": pixels},
            "keras_h5": {"bodies": pixels, "framework": "tensorflow"},
            "keras_2": {"bodies": pixels},
            "keras_two": {"bodies": [instances(two)]},
            "keras_varying": {},
            "keras_own_class": {},
        }

    return Asked(tensorflow_python, "train_keras.py", tmp_path_factory.mktemp("keras"), orders)


@pytest.fixture(scope="module")
def pytorch(tmp_path_factory: pytest.TempPathFactory) -> Asked:
    def orders(expected: Any) -> dict[str, dict[str, Any]]:
        images = [instances(expected["images"]), instances([[1, 2]])]
        pairs = zip(expected["images"], expected["scales"], strict=True)
        scaled = [instances([{"image": image, "scale": scale} for image, scale in pairs])]
        return {
            **{
                name: {"bodies": images}
                for name in ("program", "program_fixed", "program_renamed", "script_sample")
            },
            **{name: {"bodies": scaled} for name in ("program_named", "script")},
            **{name: {} for name in ("program_pair", "script_alone", "script_wrong", "parameters")},
        }

    python = runtime_interpreter("torch", "MLENGINE_TEST_TORCH_PYTHON")
    return Asked(python, "train_pytorch.py", tmp_path_factory.mktemp("pytorch"), orders)


@pytest.mark.parametrize("name", ["lightgbm_text", "lightgbm_booster"])
def test_a_booster_of_lightgbm_answers_rows_with_the_categories_of_its_training(
    tables: Asked, name: str
) -> None:
    told = tables.told[name]

    assert predictions(told) == pytest.approx(tables.expected["lightgbm"])
    assert told["describe"]["framework"] == "lightgbm"
    assert inputs(told) == {"age": ("number", []), "port": ("string", []), "class": ("any", [])}
    assert told["describe"]["inputs"][1]["categories"] == ["C", "Q", "S"]


def test_a_category_that_lightgbm_has_not_seen_is_a_missing_one(tables: Asked) -> None:
    unknown, missing = predictions(tables.told["lightgbm_text"], 1)

    assert unknown == missing
    assert "3 is a number, but a text is needed" in refusal(tables.told["lightgbm_text"], 2)


def test_a_class_of_lightgbm_answers_labels_and_probabilities(tables: Asked) -> None:
    told = tables.told["lightgbm_class"]

    assert predictions(told) == tables.expected["lightgbm_class"]
    assert close(tables.expected["lightgbm_proba"], [p["probabilities"] for p in predictions(told, 3)])


def test_several_classes_are_a_list_per_instance(tables: Asked) -> None:
    told = tables.told["lightgbm_three"]

    assert close(tables.expected["lightgbm_three"], predictions(told))
    assert told["describe"]["outputs"] == [{"name": "", "type": "number", "shape": [3]}]


@pytest.mark.parametrize("ending", ["bst", "json", "ubj"])
def test_every_format_of_xgboost_answers_the_same(tables: Asked, ending: str) -> None:
    told = tables.told[f"xgboost_{ending}"]

    assert close(tables.expected["xgboost"], predictions(told))
    assert told["describe"]["framework"] == "xgboost"


def test_categories_of_xgboost_are_sent_as_they_were_in_training(tables: Asked) -> None:
    booster, classifier = tables.told["xgboost_categories"], tables.told["xgboost_class"]

    assert close(tables.expected["xgboost_categories"], predictions(booster))
    assert predictions(classifier) == tables.expected["xgboost_class"]
    unknown, missing = predictions(booster, 1)
    assert unknown == missing
    assert inputs(classifier)["port"] == ("string", [])


def test_a_linear_booster_is_served_too(tables: Asked) -> None:
    assert close(tables.expected["xgboost_linear"], predictions(tables.told["xgboost_linear"]))


def test_onnx_answers_every_output_and_maps_as_objects(tables: Asked) -> None:
    told = tables.told["onnx_map"]

    assert column(told, "output_label") == tables.expected["onnx_label"]
    probabilities = [list(each.values()) for each in column(told, "output_probability")]
    assert close(tables.expected["onnx_proba"], probabilities)
    assert inputs(told) == {"X": ("number", [3])}
    assert "expected 3 values, got 2" in refusal(told, 1)


def test_an_onnx_model_of_a_fixed_batch_takes_any_number_of_instances(tables: Asked) -> None:
    assert close(tables.expected["onnx_proba"], column(tables.told["onnx_fixed"], "probabilities"))


def test_columns_of_an_onnx_model_are_plain_values(tables: Asked) -> None:
    told = tables.told["onnx_columns"]

    assert close(tables.expected["onnx_columns"], column(told, "probabilities"))
    assert inputs(told) == {"age": ("number", []), "port": ("string", [])}
    assert "Unknown Category" in refusal(told, 1)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("not_a_tree", "model.txt is not a model of LightGBM."),
        ("misnamed", "It holds: net.onnx. Is net.onnx the model? Name it model.onnx."),
        ("broken_onnx", "Could not load the model"),
    ],
)
def test_files_that_are_no_model_say_so(tables: Asked, name: str, said: str) -> None:
    assert said in tables.told[name]["error"]


@pytest.mark.parametrize("name", ["keras_file", "keras_h5"])
def test_a_keras_file_answers_by_the_names_of_its_layers(keras: Asked, name: str) -> None:
    told = keras.told[name]

    assert close(keras.expected["kind"], column(told, "kind"))
    assert told["describe"]["framework"] == "keras"
    assert inputs(told) == {"pixels": ("number", [6])}
    assert "Expected tensor name: pixels" in refusal(told, 1)


def test_a_file_of_keras_2_is_read_by_keras_2(keras: Asked) -> None:
    assert close(keras.expected["old"], column(keras.told["keras_2"], "old"))


def test_a_keras_model_of_several_inputs_takes_texts_too(keras: Asked) -> None:
    told = keras.told["keras_two"]

    assert inputs(told) == {"age": ("number", [1]), "port": ("string", [])}
    for name in ("score", "odds"):
        assert close(keras.expected["two"][name], column(told, name))


def test_a_model_of_images_of_any_size_proves_itself_with_a_larger_one(keras: Asked) -> None:
    assert inputs(keras.told["keras_varying"]) == {"image": ("number", [None, None, 1])}


def test_a_class_that_keras_does_not_know_is_told_with_a_cure(keras: Asked) -> None:
    error = keras.told["keras_own_class"]["error"]

    assert "Could not locate class 'Own'" in error
    assert "Export it with model.export(DIRECTORY)" in error


@pytest.mark.slow
@pytest.mark.parametrize("name", ["program", "program_fixed", "script_sample", "program_renamed"])
def test_a_model_of_pytorch_answers_any_number_of_instances(pytorch: Asked, name: str) -> None:
    output = "kind" if name in ("script_sample", "program_renamed") else "output_0"

    assert close(pytorch.expected["kinds"], column(pytorch.told[name], output))
    assert pytorch.told[name]["describe"]["framework"] == "pytorch"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["program_named", "script"])
def test_arguments_by_name_and_outputs_of_a_dictionary_keep_their_names(pytorch: Asked, name: str) -> None:
    told = pytorch.told[name]

    assert inputs(told) == {"image": ("number", [4]), "scale": ("number", [])}
    for output in ("logits", "best"):
        assert close(pytorch.expected["scaled"][output], column(told, output))


@pytest.mark.slow
def test_a_wrong_shape_is_refused_by_whoever_knows_the_shape(pytorch: Asked) -> None:
    assert "expected 4 values, got 2" in refusal(pytorch.told["program"], 1)
    assert "shapes cannot be multiplied" in refusal(pytorch.told["script_sample"], 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("program_pair", "takes other arguments than tensors by themselves"),
        ("script_alone", 'serving.json beside the model: {"sample": …}'),
        ("script_wrong", "serving.json: the model in model.pt has no input 'picture'. It has: image."),
        ("parameters", "It holds parameters, not a model. Write one with torch.export.save"),
    ],
)
def test_files_of_pytorch_that_cannot_be_served_say_why(pytorch: Asked, name: str, said: str) -> None:
    assert said in pytorch.told[name]["error"]
