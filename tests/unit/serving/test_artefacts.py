"""Which file of a folder is the model, and what `serving.json` beside it may say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mlengine.serving.runtimes.artefact import (
    FILES,
    TensorSetting,
    framework_of,
    model_file,
    serving_settings,
)
from mlengine.serving.runtimes.model import LoadFailed
from mlengine.serving.runtimes.opening import open_model


def put(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).write_bytes(b"")
    return folder


@pytest.mark.parametrize(
    ("framework", "name"), [(key, name) for key, names in FILES.items() for name in names]
)
def test_each_file_is_found_by_its_framework_and_without(tmp_path: Path, framework: str, name: str) -> None:
    put(tmp_path, name)

    assert model_file(tmp_path, framework).name == name
    assert model_file(tmp_path, None).name == name


def test_a_framework_that_is_named_chooses_among_several_files(tmp_path: Path) -> None:
    put(tmp_path, "model.onnx", "model.joblib", "model.pkl")

    assert model_file(tmp_path, "onnx").name == "model.onnx"
    assert model_file(tmp_path, "scikit-learn").name == "model.joblib"
    with pytest.raises(LoadFailed, match=r"Multiple model files .*: model.onnx, model.joblib, model.pkl\."):
        model_file(tmp_path, None)


@pytest.mark.parametrize(
    ("present", "framework", "said"),
    [
        ((), None, "The directory is empty."),
        (("weights.pt2",), None, "It holds: weights.pt2. Is weights.pt2 the model? Name it model.pt2."),
        (("net.keras",), "tensorflow", "Is net.keras the model? Name it model.keras."),
        (("model.onnx",), "pytorch", "model.onnx is a file of onnx: say so, or leave the framework"),
        (("readme.md",), "lightgbm", "Could not find any of model.txt, model.joblib, model.pkl in"),
        (("readme.md",), "scikit-learn", "Could not find either model.joblib or model.pkl in"),
    ],
)
def test_a_folder_without_the_model_says_what_it_holds(
    tmp_path: Path, present: tuple[str, ...], framework: str | None, said: str
) -> None:
    put(tmp_path, *present)

    with pytest.raises(LoadFailed) as caught:
        model_file(tmp_path, framework)

    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("module", "framework"),
    [
        ("sklearn.pipeline", "scikit-learn"),
        ("xgboost.sklearn", "xgboost"),
        ("xgboost.core", "xgboost"),
        ("lightgbm.sklearn", "lightgbm"),
        ("lightgbm.basic", "lightgbm"),
    ],
)
def test_a_pickle_is_of_the_framework_whose_class_it_holds(module: str, framework: str) -> None:
    assert framework_of(type("Model", (), {"__module__": module})()) == framework


def said(folder: Path, settings: Any) -> Path:
    (folder / "serving.json").write_text(json.dumps(settings))
    return folder


def test_serving_json_tells_inputs_and_outputs(tmp_path: Path) -> None:
    inputs = {"image": {"shape": [3, None]}, "size": {"type": "int64", "shape": []}, "rest": {}}

    settings = serving_settings(said(tmp_path, {"inputs": inputs, "outputs": ["score"], "sample": None}))

    assert settings.inputs == {
        "image": TensorSetting("float32", (3, None)),
        "size": TensorSetting("int64", ()),
        "rest": TensorSetting("float32", None),
    }
    assert (settings.outputs, settings.samples) == (("score",), (None,))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"inputs": ["image"]}, "inputs must be an object such as"),
        ({"inputs": {"image": {"shapes": [1]}}}, "image is not"),
        ({"inputs": {"image": {"type": "string"}}}, "input image is of type 'string'. Known: float32"),
        ({"inputs": {"image": {"shape": [0]}}}, "the shape of image is not, which is of one instance"),
        ({"inputs": {"image": {"shape": [True]}}}, "the shape of image is not"),
        ({"outputs": "score"}, "outputs must be a list of names"),
        ({"output": ["score"]}, "unknown key 'output'. Did you mean 'outputs'?"),
    ],
)
def test_serving_json_that_cannot_be_obeyed_is_refused(tmp_path: Path, settings: Any, words: str) -> None:
    with pytest.raises(LoadFailed) as caught:
        serving_settings(said(tmp_path, settings))

    assert words in str(caught.value)


def test_what_a_model_tells_by_itself_is_not_to_be_said_again(tmp_path: Path) -> None:
    put(said(tmp_path, {"outputs": ["score"]}), "model.onnx")

    with pytest.raises(LoadFailed, match=r"'outputs' is for PyTorch; model\.onnx tells it by itself"):
        open_model(tmp_path, None)
