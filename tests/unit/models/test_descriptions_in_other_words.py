"""What a model told of itself, as OpenAPI, as calls to copy, and in the words of two other protocols."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import jsonschema_rs
import pytest

from mlengine.errors import NotFound
from mlengine.models import open_inference, openapi, tf_serving
from mlengine.models.domain import State
from mlengine.models.foreign import Found, Known, spellings
from mlengine.web.method import Call, Reply

MODEL = "projects/p/models/titanic"
URL = "http://127.0.0.1:8080"


def column(name: str, kind: str, **more: Any) -> dict[str, Any]:
    plain = {"shape": [], "categories": None, "closed": False, "nullable": False, "required": True}
    return {"name": name, "type": kind} | plain | more


TABLE: dict[str, Any] = {
    "framework": "scikit-learn",
    "signature": "predict",
    "signatures": ["predict", "predict_proba"],
    "instance": "row",
    "named": True,
    "inputs": [
        column("Age", "number", nullable=True, min=0, max=120, description="Years."),
        column("Embarked", "string", categories=["C", "S"], closed=True, default="S", required=False),
        column("Name", "any", required=False, nullable=True),
    ],
    "outputs": [{"name": "", "type": "integer", "shape": []}],
    "sample": {"Age": 30, "Embarked": "S"},
}
TENSOR: dict[str, Any] = {
    "framework": "tensorflow",
    "signature": "serving_default",
    "signatures": ["serving_default"],
    "instance": "tensor",
    "named": True,
    "inputs": [column("x", "number", shape=[2, None])],
    "outputs": [
        {"name": "y", "type": "number", "shape": [10]},
        {"name": "id", "type": "string", "shape": []},
    ],
    "sample": {"x": [[1.0], [2.0]]},
}
FOUND = Found(
    model="titanic",
    default="v2",
    versions=(
        Known(version="v1", state=State.FAILED, error="no file"),
        Known(version="v2", state=State.READY, description=TENSOR),
    ),
)


@pytest.mark.parametrize(
    ("description", "good", "bad"),
    [
        (
            TABLE,
            [{"Age": 0}, {"Age": None, "Embarked": "C", "Name": 1}, [1, "S", "x"]],
            [{}, {"Age": -1}, {"Age": 1, "Embarked": "X"}, {"Age": 1, "Odd": 1}, [1]],
        ),
        (TENSOR, [{"x": [[1], [2]]}, [[1, 2], [3]]], [{}, {"x": [[1]]}, {"x": "a"}, [[1], ["a"]]]),
    ],
)
def test_openapi_says_which_instances_are_right(
    description: dict[str, Any], good: list[Any], bad: list[Any]
) -> None:
    document = openapi.document(description, model=MODEL, version="v1", url=URL)

    operation = document["paths"][f"/v1/{MODEL}/versions/v1:predict"]["post"]
    content = operation["requestBody"]["content"]["application/json"]
    valid = jsonschema_rs.validator_for(content["schema"])
    assert all(valid.is_valid({"instances": [instance]}) for instance in [*good, description["sample"]])
    assert not any(valid.is_valid({"instances": [instance]}) for instance in bad)
    assert not valid.is_valid({"instances": []})
    assert content["example"] == {"instances": [description["sample"]]}


def test_the_answer_in_openapi_is_a_bare_value_or_an_object_by_output() -> None:
    assert openapi.prediction_schema(TABLE) == {"type": "integer"}
    vector = {"type": "array", "items": {"type": "number"}, "minItems": 10, "maxItems": 10}
    assert openapi.prediction_schema(TENSOR)["properties"] == {"y": vector, "id": {"type": "string"}}


def test_samples_are_to_be_typed_as_they_are() -> None:
    samples = openapi.samples(
        TABLE | {"sample": {"Age": 1, "Embarked": "it's"}}, model=MODEL, version="", url=URL
    )

    compile(samples["python"], "sample", "exec")
    shown = subprocess.run(
        ["sh", "-c", f"mlengine() {{ cat; }}; {samples['cli']}"], capture_output=True, text=True, check=True
    )
    assert json.loads(shown.stdout) == {"Age": 1, "Embarked": "it's"}
    curl = f'curl() {{ {sys.executable} -c "import sys; print(sys.argv[6])" "$@"; }}; {samples["curl"]}'
    sent = subprocess.run(["sh", "-c", curl], capture_output=True, text=True, check=True)
    assert json.loads(sent.stdout) == {"instances": [{"Age": 1, "Embarked": "it's"}]}
    assert openapi.samples(TABLE | {"sample": None}, model=MODEL, version="", url=URL) == {}


def test_tensorflow_serving_hears_which_versions_can_answer_and_what_one_takes() -> None:
    status = tf_serving.status(FOUND)["model_version_status"]
    metadata = tf_serving.metadata(FOUND)

    assert [(one["version"], one["state"]) for one in status] == [("v2", "AVAILABLE"), ("v1", "END")]
    assert status[1]["status"] == {"error_code": "UNKNOWN", "error_message": "no file"}
    assert metadata["model_spec"] == {"name": "titanic", "signature_name": "", "version": "v2"}
    signature = metadata["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["inputs"]["x"]["dtype"] == "DT_FLOAT"
    assert [one["size"] for one in signature["inputs"]["x"]["tensor_shape"]["dim"]] == ["-1", "2", "-1"]
    assert set(signature["outputs"]) == {"y", "id"}


def test_open_inference_hears_what_a_version_takes() -> None:
    assert open_inference.metadata(FOUND) == {
        "name": "titanic",
        "versions": ["v1", "v2"],
        "platform": "mlengine_tensorflow",
        "inputs": [{"name": "x", "datatype": "FP64", "shape": [-1, 2, -1]}],
        "outputs": [
            {"name": "y", "datatype": "FP64", "shape": [-1, 10]},
            {"name": "id", "datatype": "BYTES", "shape": [-1]},
        ],
    }
    nameless = Known(version="v1", state=State.READY, description=TABLE | {"named": False})
    one = Found(model="m", default="v1", versions=(nameless,))
    assert open_inference.metadata(one)["inputs"] == [
        {"name": "instances", "datatype": "FP64", "shape": [-1, 3]}
    ]


def test_what_is_not_there_or_not_ready_is_told_in_the_words_of_the_protocol() -> None:
    def look(model: str, version: str) -> Found:
        if model != "titanic":
            raise NotFound(f"There is no model {model}.")
        return Found(model=model, default="v2", versions=FOUND.versions[:1]) if version else FOUND

    rows = {row.id: row for row in [*open_inference.methods(look, "1.0"), *tf_serving.methods(look)]}

    def ask(method: str, **path: str) -> Any:
        reply = rows[f"mlengine.{method}"].handler(Call(path=path))
        return (reply.status, reply.content) if isinstance(reply, Reply) else (200, reply)

    assert ask("openInference.modelReady", model="titanic") == (200, {"name": "titanic", "ready": True})
    assert ask("openInference.versionReady", model="titanic", version="v1")[0] == 503
    assert ask("openInference.model", model="x") == (404, {"error": "There is no model x."})
    assert ask("tfServing.getVersionMetadata", model="titanic", version="v1")[0] == 404
    assert ask("openInference.server") == (200, {"name": "mlengine", "version": "1.0", "extensions": []})


def test_numbers_for_versions_mean_ours_with_a_letter() -> None:
    assert spellings("1") == ("1", "v1", "V1")
    assert spellings("v1") == ("v1",)
