"""What the model worker answers for TensorFlow SavedModels, and what it says to wrong instances."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from .worker_process import Caller, Worker, run_mode, serving, train

Start = Callable[[str], Worker]


@pytest.fixture(scope="module")
def models(tensorflow_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tensorflow_python, "train_tensorflow.py", tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def start(tensorflow_python: Path, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts a worker of the named model when it is first asked for."""
    started: dict[str, Worker] = {}
    with ExitStack() as stack:

        def start(model: str) -> Worker:
            if model not in started:
                folder = tmp_path_factory.mktemp("run")
                started[model] = stack.enter_context(serving(tensorflow_python, models / model, folder))
            return started[model]

        yield start


@pytest.fixture
def digits(start: Start) -> Caller:
    return start("digits").call()


@pytest.fixture
def greeting(start: Start) -> Caller:
    return start("greeting").call()


@pytest.fixture(scope="module")
def expected(models: Path) -> dict[str, Any]:
    answers: dict[str, Any] = json.loads((models / "expected.json").read_text())
    return answers


def b64(data: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(data).decode()}


def test_every_output_is_a_key_of_every_prediction(digits: Caller, expected: dict[str, Any]) -> None:
    answers = digits.predict(*({"image": image} for image in expected["images"]))

    assert [answer["class"] for answer in answers] == expected["class"]
    for answer, probabilities in zip(answers, expected["probabilities"], strict=True):
        assert answer["probabilities"] == pytest.approx(probabilities, abs=1e-5)


def test_a_single_input_may_be_the_bare_value(digits: Caller, expected: dict[str, Any]) -> None:
    image = expected["images"][0]

    assert digits.predict(image) == digits.predict({"image": image})


def test_requests_sent_together_are_answered_as_if_alone(digits: Caller, expected: dict[str, Any]) -> None:
    alone = [digits.predict(image)[0] for image in expected["images"]]

    ids = [digits.send({"instances": [image]}) for image in expected["images"]]

    for id, answer in zip(ids, alone, strict=True):
        together = digits.receive(id)[1]["predictions"][0]
        assert together["class"] == answer["class"]
        assert together["probabilities"] == pytest.approx(answer["probabilities"], abs=1e-5)


@pytest.mark.parametrize(
    ("instance", "sentence"),
    [
        ([0.0] * 783, "Instance 1, input image: expected 784 values, got 783."),
        (0.5, "Instance 1, input image: expected 784 values, got a single value."),
        (
            [[0.0] * 28] * 28,
            "Instance 1, input image: expected shape 784, got shape 28 × 28. Send a list of 784 numbers.",
        ),
        (
            [0.0] * 783 + ["1"],
            "Instance 1, input image: '1' at [783] is text, but a number is needed. "
            "Send numbers without quotes.",
        ),
        (
            [True] + [0.0] * 783,
            "Instance 1, input image: true at [0] is not a number. Send 1 for true or 0 for false.",
        ),
        (
            [None] + [0.0] * 783,
            "Instance 1, input image: null at [0] is not a number. Send a list of 784 numbers.",
        ),
        ([1e300] + [0.0] * 783, "Instance 1, input image: a number is out of range for float32."),
        (
            [[0.0, 1.0], [0.0]],
            "Instance 1, input image: the lists inside differ in length. Send a list of 784 numbers.",
        ),
        (
            {"img": [0.0] * 784},
            "Instance 1: Expected tensor name: image, got tensor name: ['img']. "
            "Name the key 'image', or send the bare value.",
        ),
        (
            {"image": [0.0] * 784, "key": 1},
            "Instance 1: Unexpected tensor name: key. The model's only input is image. Remove it.",
        ),
    ],
)
def test_a_wrong_tensor_is_refused_with_its_place_and_the_cure(
    digits: Caller, instance: Any, sentence: str
) -> None:
    assert digits.refusal(instance) == sentence


def test_a_wrong_tensor_is_found_among_good_ones(digits: Caller) -> None:
    status, answer = digits.ask({"instances": [[0.0] * 784, [0.0] * 784, [0.0] * 700]})

    assert status == 400
    assert answer["error"]["message"].startswith("Instance 3, input image: expected 784 values, got 700.")
    violations = answer["error"]["details"][0]["fieldViolations"]
    assert [violation["field"] for violation in violations] == ["instances[2].image"]


def test_strings_come_back_as_text_and_bytes_outputs_as_base64(greeting: Caller) -> None:
    answers = greeting.predict({"name": "Jürgen", "age": 40}, {"name": b64(b"Kim"), "age": 17.0})

    assert answers == [
        {"greeting": "Hi Jürgen", "old": True, "raw_bytes": b64("Jürgen".encode()), "twice": 80},
        {"greeting": "Hi Kim", "old": False, "raw_bytes": b64(b"Kim"), "twice": 34},
    ]


@pytest.mark.parametrize(
    ("instance", "sentence"),
    [
        (
            {"name": "Kim"},
            "Instance 1: Input age was missing in at least one input instance. Send a whole number.",
        ),
        (
            {"name": "Kim", "age": 1, "agee": 2},
            "Instance 1: Unexpected tensor name: agee. The model's inputs are age, name. Remove it.",
        ),
        (
            ["Kim", 1],
            "Instance 1 is a list of 2 values, but the model has several inputs. "
            "Send an object with the keys age, name.",
        ),
        ({"name": 5, "age": 1}, "Instance 1, input name: 5 is not a text. Send a text."),
        (
            {"name": {"b64": "***"}, "age": 1},
            "Instance 1, input name: an object is not valid base64. Send a text.",
        ),
        ({"name": "Kim", "age": 1.5}, "Instance 1, input age: 1.5 is not a whole number."),
        (
            {"name": "Kim", "age": 2**31},
            "Instance 1, input age: a number is out of range for int32 (-2147483648 to 2147483647).",
        ),
        (
            {"name": "Kim", "age": [1]},
            "Instance 1, input age: expected a single value, got a list of 1. Send a whole number.",
        ),
    ],
)
def test_wrong_values_of_several_inputs_are_refused_by_name(
    greeting: Caller, instance: Any, sentence: str
) -> None:
    assert greeting.refusal(instance) == sentence


def test_an_object_is_binary_only_if_b64_is_its_only_key(start: Start) -> None:
    caller = start("bytes_only").call()

    assert caller.predict(b64(b"abc"), {"image_bytes": b64(b"de")}, "f") == [
        {"image_bytes": b64(b"abc"), "length": 3, "words": "abc"},
        {"image_bytes": b64(b"de"), "length": 2, "words": "de"},
        {"image_bytes": b64(b"f"), "length": 1, "words": "f"},
    ]
    assert "Expected tensor name: image_bytes" in caller.refusal({**b64(b"abc"), "c": 1})


def test_a_string_output_that_is_no_text_is_an_error_that_names_it(start: Start) -> None:
    status, answer = start("bytes_only").call().ask({"instances": ["a", b64(b"\xff\xfe")]})

    assert (status, answer["error"]["status"]) == (500, "INTERNAL")
    assert "instance 2, output words: it is binary data, not UTF-8 text" in answer["error"]["message"]


def test_signatures_are_chosen_by_name(greeting: Caller) -> None:
    assert greeting.predict("abc", signature_name="reverse")[0]["length"] == 3
    assert greeting.refusal("abc", signature_name="revers") == (
        "No signature found for signature key revers. This model has: mean, reverse, scalar, "
        "serving_default, total. "
        "Did you mean 'reverse'?"
    )


def test_without_serving_default_a_request_must_name_one_of_several(start: Start) -> None:
    caller = start("no_default").call()

    assert caller.refusal({"name": "Kim", "age": 1}) == (
        "No signature found for signature key serving_default. "
        "Name one of predict, reverse with signature_name."
    )
    assert caller.predict({"name": "Kim", "age": 1}, signature_name="predict")[0]["twice"] == 2


def test_other_keys_of_the_request_are_passed_over_as_google_did(digits: Caller) -> None:
    status, _ = digits.ask({"instances": [[0.0] * 784], "key": "x"})

    assert status == 200


def test_an_answer_of_nan_is_null(start: Start) -> None:
    caller = start("unit").call()

    assert caller.predict([3.0, 0.0, 4.0])[0]["unit"] == pytest.approx([0.6, 0.0, 0.8])
    answers = caller.predict([1.0, 0.0, 0.0], [0.0, 0.0, 0.0])
    assert answers == [{"unit": [1.0, 0.0, 0.0]}, {"unit": [None, None, None]}]


def test_an_input_that_the_model_itself_finds_invalid_is_the_caller_s_fault_alone(start: Start) -> None:
    caller = start("parser").call()

    ids = [caller.send({"instances": [text]}) for text in ("1.5", "no number", "2")]

    assert caller.receive(ids[0])[1] == {"predictions": [{"number": 1.5}]}
    status, answer = caller.receive(ids[1])
    assert status == 400
    assert answer["error"]["message"].startswith("Prediction failed: Error during model execution: ")
    assert caller.receive(ids[2])[1] == {"predictions": [{"number": 2.0}]}


def test_a_model_whose_input_can_only_be_guessed_is_tried_with_the_user_s_sample(start: Start) -> None:
    caller = start("parser").call()

    assert caller.describe()["sample"] == "7"
    assert caller.predict("8") == [{"number": 8.0}]


def test_without_a_sample_a_model_that_does_not_answer_the_guess_is_refused(
    tensorflow_python: Path, models: Path, tmp_path: Path
) -> None:
    path = tmp_path / "worker.sock"

    ended = run_mode(tensorflow_python, "serve", "--model-dir", models / "parser_alone", "--socket", path)

    assert ended.returncode == 1
    assert "into serving.json beside the model" in json.loads(ended.stderr.decode().splitlines()[-1])["error"]
    assert not path.exists()


def test_instances_of_different_shapes_go_in_separate_requests(greeting: Caller) -> None:
    requests = [{"instances": [[1.0] * n], "signature_name": "total"} for n in (1, 2, 2, 3)]

    ids = [greeting.send(request) for request in requests]

    assert [greeting.receive(id)[1]["predictions"][0]["total"] for id in ids] == [1, 2, 2, 3]
    assert greeting.refusal([1.0], [1.0, 2.0], signature_name="total") == (
        "Instance 2, input ragged: its shape differs from that of instance 1. "
        "Send instances of different shapes in separate requests."
    )


def test_an_output_without_batch_serves_single_instances_only(greeting: Caller) -> None:
    ids = [greeting.send({"instances": [n], "signature_name": "scalar"}) for n in (1.0, 2.0)]

    assert [greeting.receive(id)[1] for id in ids] == [{"predictions": [{"count": 1}]}] * 2
    status, answer = greeting.ask({"instances": [1.0, 2.0], "signature_name": "scalar"})
    assert status == 500
    assert "output count has 1 rows for 2 instances" in answer["error"]["message"]


def test_small_numbers_are_checked_for_their_range(greeting: Caller) -> None:
    def refusal(pixels: Any) -> str:
        return greeting.refusal(pixels, signature_name="mean")

    assert greeting.predict([[0, 255], [0, 1]], signature_name="mean") == [{"mean": 64.0}]
    assert refusal([[0, 256], [0, 0]]).endswith("a number is out of range for uint8 (0 to 255).")
    assert refusal([0, 1, 2, 3]) == (
        "Instance 1, input pixels: expected shape 2 × 2, got a flat list of 4. "
        "Send whole numbers in lists nested as 2 × 2."
    )


def test_a_model_that_answers_nan_to_every_sample_is_not_served(
    tensorflow_python: Path, models: Path, tmp_path: Path
) -> None:
    ended = run_mode(
        tensorflow_python, "serve", "--model-dir", models / "diverged", "--socket", tmp_path / "worker.sock"
    )

    said = json.loads(ended.stderr.decode().splitlines()[-1])["error"]
    assert ended.returncode == 1
    assert "output probabilities: the model answered NaN" in said


def test_once_answers_for_a_saved_model_too(
    tensorflow_python: Path, models: Path, expected: dict[str, Any]
) -> None:
    request = {"instances": [{"image": image} for image in expected["images"]]}

    ended = run_mode(
        tensorflow_python, "once", "--model-dir", models / "digits", stdin=json.dumps(request).encode()
    )

    answers = json.loads(ended.stdout)["predictions"]
    assert ended.returncode == 0
    assert [answer["class"] for answer in answers] == expected["class"]
