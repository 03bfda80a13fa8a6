"""The languages of prediction: each reaches the model through the same checks, and is answered in kind."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from mlengine.serving.messages import ARROW, CSV, EXPLAIN, INFER, JSON_LINES, PREDICT, TF_SERVING
from mlengine.serving.runtimes.model import Model
from mlengine.serving.worker.batch import Answer, Answerer
from mlengine.serving.worker.protocols import arrow

from .small_models import table_model, tensor_model, text_model

JACK = {"Age": 22, "Embarked": "S", "Old": False}
ROSE = {"Age": 17, "Embarked": "C", "Old": True}
FARES = [46.0, 34.5]


def ask(model: Model, kind: int, body: Any) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answerer(model).answer([(kind, raw)])[0]


def good(model: Model, kind: int, body: Any) -> Any:
    answer = ask(model, kind, body)
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


def refusal(model: Model, kind: int, body: Any, *, status: int = 400) -> str:
    answer = ask(model, kind, body)
    assert answer.status == status, answer.body
    error = json.loads(answer.body)["error"]
    message: str = error if kind in (TF_SERVING, INFER) else error["message"]
    return message


def stream(columns: Mapping[str, Any]) -> bytes:
    table = pa.table(dict(columns))
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def columns_in(body: bytes) -> dict[str, Any]:
    with pa.ipc.open_stream(io.BytesIO(body)) as reader:
        columns: dict[str, Any] = reader.read_all().to_pydict()
    return columns


def test_the_same_rows_get_the_same_fares_in_every_language() -> None:
    model = table_model()
    columns = {name: [JACK[name], ROSE[name]] for name in JACK}
    infer = {
        "inputs": [
            {"name": "Age", "shape": [2], "datatype": "INT32", "data": columns["Age"]},
            {"name": "Embarked", "shape": [2, 1], "datatype": "BYTES", "data": columns["Embarked"]},
            {"name": "Old", "shape": [2], "datatype": "BOOL", "data": columns["Old"]},
        ]
    }

    assert good(model, PREDICT, {"instances": [JACK, ROSE]}) == {"predictions": FARES}
    assert good(model, TF_SERVING, {"instances": [JACK, ROSE]}) == {"predictions": FARES}
    assert good(model, TF_SERVING, {"inputs": columns}) == {"outputs": FARES}
    assert good(model, INFER, infer)["outputs"][0]["data"] == FARES
    assert good(model, CSV, b"Embarked,Old,Age\nS,false,22\nC,true,17\n") == {"predictions": FARES}
    assert good(model, CSV, b"22,S,false\r\n17,C,true") == {"predictions": FARES}
    lines = ask(model, JSON_LINES, json.dumps(JACK).encode() + b"\n\n" + json.dumps(ROSE).encode())
    assert lines.body == b"46.0\n34.5\n"
    assert columns_in(ask(model, ARROW, stream(columns)).body) == {"predict": FARES}


def test_requests_of_different_languages_share_a_model_call() -> None:
    model = table_model()
    requests = [(PREDICT, json.dumps({"instances": [JACK]}).encode()), (CSV, b"17,C,true")]

    answers = Answerer(model).answer(requests)

    assert [json.loads(answer.body)["predictions"] for answer in answers] == [[46.0], [34.5]]
    assert model.signatures["predict"].calls == [2]  # type: ignore[attr-defined]
    assert {answer.instances for answer in answers} == {2}


def test_tensorflow_serving_s_shapes_are_bare_for_one_output_and_objects_for_several() -> None:
    one, two = tensor_model(), tensor_model(outputs=2)
    rows, columns = {"instances": [[1, 2, 3]]}, {"inputs": {"x": [[1, 2, 3]]}}

    assert good(one, TF_SERVING, rows) == {"predictions": [[2, 4, 6]]}
    assert good(one, TF_SERVING, columns) == {"outputs": [[2, 4, 6]]}
    assert good(one, TF_SERVING, {"inputs": [[1, 2, 3]], "signature_name": "serving_default"}) == {
        "outputs": [[2, 4, 6]]
    }
    assert good(two, TF_SERVING, rows) == {"predictions": [{"total": 12, "y": [2, 4, 6]}]}
    assert good(two, TF_SERVING, columns) == {"outputs": {"total": [12], "y": [[2, 4, 6]]}}


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "Missing 'inputs' or 'instances' key."),
        ({"instances": [[1]], "inputs": [[1]]}, "The request has both 'instances' and 'inputs'."),
        ({"inputs": {"x": [[1, 2, 3]], "z": []}}, "The inputs differ in length: x 1, z 0."),
        ({"inputs": {"x": 1}}, "Input x is 1, but a list with one entry per instance is needed."),
        ({"instances": [[1, 2]]}, "Instance 1, input x: expected 3 values, got 2."),
        (
            {"instances": [[1, 2, 3]], "signature_name": "other"},
            "No signature found for signature key other.",
        ),
    ],
)
def test_errors_of_tensorflow_serving_are_one_text(body: dict[str, Any], sentence: str) -> None:
    assert refusal(tensor_model(), TF_SERVING, body).startswith(sentence)


@pytest.mark.parametrize("data", [[1, 2, 3, 4, 5, 6], [[1, 2, 3], [4, 5, 6]]])
def test_open_inference_takes_data_flat_and_nested_and_echoes_the_id(data: list[Any]) -> None:
    model = tensor_model(model_name="m", version_name="v1")
    sent = {"id": "42", "inputs": [{"name": "x", "shape": [2, 3], "datatype": "FP32", "data": data}]}

    answer = good(model, INFER, sent)

    assert answer == {
        "model_name": "m",
        "model_version": "v1",
        "id": "42",
        "outputs": [{"name": "y", "shape": [2, 3], "datatype": "FP32", "data": [2, 4, 6, 8, 10, 12]}],
    }


def test_open_inference_answers_only_the_outputs_that_are_wanted() -> None:
    tensor = {"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]}
    model = tensor_model(outputs=2)

    answer = good(model, INFER, {"inputs": [tensor], "outputs": [{"name": "total"}]})
    refused = refusal(model, INFER, {"inputs": [tensor], "outputs": [{"name": "totals"}]})

    assert answer["outputs"] == [{"name": "total", "shape": [1], "datatype": "FP32", "data": [12]}]
    assert refused == "There is no output 'totals'. The outputs are total, y. Did you mean 'total'?"


@pytest.mark.parametrize(("data", "content"), [("pots", {}), ("cG90cw==", {"content_type": "base64"})])
def test_bytes_of_open_inference_are_texts_or_base64(data: str, content: dict[str, str]) -> None:
    tensor = {"name": "text", "shape": [1], "datatype": "BYTES", "parameters": content, "data": [data]}

    answer = good(text_model(), INFER, {"inputs": [tensor]})

    assert answer["outputs"] == [{"name": "back", "shape": [1], "datatype": "BYTES", "data": ["stop"]}]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"datatype": "FP23"}, "inputs[0] (x): unknown datatype 'FP23'. Did you mean 'FP32'?"),
        ({"shape": [2, 3]}, "inputs[0] (x): shape 2 × 3 has 6 values, got 3."),
        ({"data": [1, None, 3]}, "inputs[0] (x): null is no FP32."),
        ({"datatype": "UINT8", "data": [1, 2, 256]}, "inputs[0] (x): a number is out of range for UINT8."),
        ({"data": [1, 2, 1e39]}, "inputs[0] (x): a number is out of range for FP32."),
        ({"data": [[1, 2, 3], [4]]}, "inputs[0] (x): the lists at depth 1 are not as shape 1 × 3 says."),
        ({"name": "y"}, "Instance 1: Expected tensor name: x, got tensor name: ['y']."),
        (
            {"parameters": {"binary_data_size": 12}},
            "binary_data_size: this server takes and gives tensors in",
        ),
        ({"parameters": {"speed": 12}}, "The parameter 'speed' of inputs[0] has no meaning here. Remove it."),
        ({"colour": 1}, "Unknown key 'colour' in inputs[0]. Known: name, shape, datatype"),
    ],
)
def test_wrong_tensors_of_open_inference_are_refused(change: dict[str, Any], sentence: str) -> None:
    tensor = {"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]} | change

    assert refusal(tensor_model(), INFER, {"inputs": [tensor]}).startswith(sentence)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "The request is empty."),
        (b"Age,Embarked,Old\n", "There is a line of names, but no row below it"),
        (b"22,S,false\nx,S,false", "Line 2, column 1 (Age): 'x' is text, but a number is needed."),
        (b"Old,Age,Embarked\nno,22,S", "Line 2, column 1 (Old): 'no' is neither true nor false."),
        (b"22,S,false\n\n1,X,true", "Line 3, column 2 (Embarked): 'X' is not one of C, Q, S."),
        (b"22,S", "Line 1: expected 3 values, got 2. Send one value per column, in this order: Age"),
        (
            b"Age,Embarked,Odl\n22,S,false",
            "Line 2, column 3 (Odl): unknown field 'Odl'; the model was trained on",
        ),
        (b"Age,Age,Old\n1,2,3", "Line 1, column 2: the name 'Age' is there twice."),
        (b'22,"S,false\n', "Line 1: this is not CSV: unexpected end of data."),
        (b"1e999,S,false", "Line 1, column 1 (Age): '1e999' is too large a number."),
        (b"\xff,S,false", "The request is not UTF-8 text: invalid start byte at byte 0."),
    ],
)
def test_mistakes_in_csv_are_told_by_line_and_column(body: bytes, sentence: str) -> None:
    assert refusal(table_model(), CSV, body).startswith(sentence)


def test_quotes_in_csv_may_hold_commas_quotes_and_ends_of_lines() -> None:
    answer = good(text_model(), CSV, b'text\r\n"a,""b""\nc"\r\n')

    assert answer == {"predictions": [{"back": 'c\n"b",a'}]}


def test_a_row_of_numbers_in_csv_is_a_vector() -> None:
    assert good(tensor_model(), CSV, b"1,2.5,3\n4,5,6") == {
        "predictions": [{"y": [2, 5, 6]}, {"y": [8, 10, 12]}]
    }


def test_a_model_that_no_row_can_feed_says_what_to_send_instead() -> None:
    assert "Send JSON or JSON lines instead." in refusal(tensor_model(names=2), CSV, b"1,2", status=501)


def test_mistakes_in_json_lines_are_told_by_line() -> None:
    model = table_model()

    assert refusal(model, JSON_LINES, b'\n{"Age": 1, "Embarked": "X", "Old": true}').startswith(
        "Line 2, field Embarked: 'X' is not one of C, Q, S."
    )
    assert refusal(model, JSON_LINES, b"{}\n{,}").startswith("Line 2: it is not JSON")
    assert refusal(model, JSON_LINES, b"\n\n").startswith("The request is empty.")


def test_arrow_carries_tensors_as_lists_of_one_length_and_missing_numbers_as_nulls() -> None:
    vectors = pa.FixedSizeListArray.from_arrays(pa.array([1.0, 2, 3, 4, 5, 6]), 3)

    tensors = columns_in(ask(tensor_model(), ARROW, stream({"x": vectors})).body)
    answer = ask(
        table_model(), ARROW, stream({"Age": [None, 1.0], "Embarked": ["S", "C"], "Old": [True, False]})
    )
    fares = columns_in(answer.body)

    assert tensors == {"y": [[2, 4, 6], [8, 10, 12]]}
    assert math.isnan(fares["predict"][0])
    assert fares["predict"][1] == 2.0


def test_what_is_no_arrow_is_refused_and_without_pyarrow_one_hears_what_to_send(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert refusal(table_model(), ARROW, b"{}").startswith("The request is not an Arrow IPC stream")
    monkeypatch.setattr(arrow, "pyarrow", None)
    assert "Send JSON, JSON lines or CSV" in refusal(table_model(), ARROW, b"", status=501)


def test_explaining_without_a_configuration_is_not_offered() -> None:
    assert "explanationConfig" in refusal(table_model(), EXPLAIN, b"{}", status=400)


@pytest.mark.parametrize(
    ("policy", "said"), [("NULL", [None, None, -1.5]), ("TEXT", ["NaN", "Infinity", -1.5])]
)
@pytest.mark.parametrize("kind", [PREDICT, TF_SERVING])
def test_nan_and_infinity_are_written_as_the_version_wants(kind: int, policy: str, said: list[Any]) -> None:
    model = tensor_model(non_finite=policy)
    signature: Any = model.signatures["serving_default"]
    signature._call = lambda _: {"y": np.array([[math.nan, math.inf, -1.5]], dtype=np.float32)}

    (prediction,) = good(model, kind, {"instances": [[1, 2, 3]]})["predictions"]

    assert (prediction["y"] if kind == PREDICT else prediction) == said


def test_where_a_tensor_has_a_type_nan_does_not_change_it() -> None:
    model = tensor_model(non_finite="TEXT")
    signature: Any = model.signatures["serving_default"]
    signature._call = lambda _: {"y": np.array([[math.nan, math.inf, -1.5]], dtype=np.float32)}
    tensor = {"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]}

    (output,) = good(model, INFER, {"inputs": [tensor]})["outputs"]
    column = columns_in(ask(model, ARROW, stream({"x": pa.array([[1.0, 2, 3]])})).body)["y"]

    assert (output["datatype"], output["data"]) == ("FP32", ["NaN", "Infinity", -1.5])
    assert math.isnan(column[0][0])
    assert column[0][1:] == [math.inf, -1.5]


def test_under_reject_an_answer_of_nan_is_an_error_that_names_the_place() -> None:
    model = tensor_model(non_finite="REJECT")
    signature: Any = model.signatures["serving_default"]
    signature._call = lambda _: {"y": np.array([[1, 1, 1], [1, 1, math.nan]], dtype=np.float32)}

    message = refusal(model, PREDICT, {"instances": [[1, 2, 3]] * 2}, status=500)

    assert message == (
        "Prediction failed: instance 2, output y: the model answered NaN (not a number), "
        "which JSON cannot say."
    )


def test_a_container_gets_bodies_as_they_are_and_no_language_but_its_own() -> None:
    model = replace(table_model(), passthrough=lambda bodies: [(200, body.upper()) for body in bodies])

    answers = Answerer(model).answer([(PREDICT, b"abc"), (CSV, b"1,2"), (PREDICT, b"def")])

    assert [answer.status for answer in answers] == [200, 501, 200]
    assert [answers[0].body, answers[2].body] == [b"ABC", b"DEF"]
    assert "only what its own server does" in json.loads(answers[1].body)["error"]["message"]
