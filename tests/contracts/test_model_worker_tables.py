"""What the model worker answers for scikit-learn and XGBoost models, and what it says to wrong instances."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from .worker_process import Caller, serving, train

JACK = {"Pclass": 3, "Sex": "male", "Age": 22, "SibSp": 1, "Embarked": "S"}
TRAINED_ON = "Pclass, Sex, Age, SibSp, Embarked"

Connect = Callable[..., Caller]


@pytest.fixture(scope="module")
def models(sklearn_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(sklearn_python, "train_sklearn.py", tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def expected(models: Path) -> dict[str, Any]:
    answers: dict[str, Any] = json.loads((models / "expected.json").read_text())
    return answers


@pytest.fixture(scope="module")
def connect(
    sklearn_python: Path, models: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Connect]:
    """Connects to a worker of the named model, started when it is first asked for."""
    open_calls: dict[tuple[str, ...], Caller] = {}
    with ExitStack() as stack:

        def connect(model: str, *arguments: str) -> Caller:
            key = (model, *arguments)
            if key not in open_calls:
                folder = tmp_path_factory.mktemp("run")
                worker = stack.enter_context(serving(sklearn_python, models / model, folder, *arguments))
                open_calls[key] = worker.call()
            return open_calls[key]

        yield connect


@pytest.fixture
def titanic(connect: Connect) -> Caller:
    return connect("titanic")


def test_predict_answers_the_labels_that_the_pipeline_answers(
    titanic: Caller, expected: dict[str, Any]
) -> None:
    assert titanic.predict(*expected["rows"]) == expected["titanic"]


@pytest.mark.parametrize("name", ["", "serving_default", "predict", None])
def test_these_names_mean_the_labels(titanic: Caller, name: str | None) -> None:
    assert titanic.predict(JACK, signature_name=name) == [0]


def test_predict_proba_answers_the_class_and_the_probability_of_each(
    titanic: Caller, expected: dict[str, Any]
) -> None:
    answers = titanic.predict(*expected["rows"], signature_name="predict_proba")

    assert [answer["class"] for answer in answers] == expected["titanic"]
    for answer, probabilities in zip(answers, expected["titanic_proba"], strict=True):
        assert answer["probabilities"] == pytest.approx(probabilities)


def test_serving_json_makes_another_signature_the_default(connect: Connect) -> None:
    caller = connect("titanic_proba")

    assert set(caller.predict(JACK)[0]) == {"class", "probabilities"}
    assert set(caller.predict(JACK, signature_name="serving_default")[0]) == {"class", "probabilities"}
    assert caller.predict(JACK, signature_name="predict") == [0]


def test_an_unknown_signature_is_refused_with_the_names_there_are(titanic: Caller) -> None:
    assert titanic.refusal(JACK, signature_name="predict_probs") == (
        "No signature found for signature key predict_probs. This model has: predict, predict_proba. "
        "Did you mean 'predict_proba'?"
    )


def test_lists_are_rows_in_the_order_of_training(titanic: Caller, expected: dict[str, Any]) -> None:
    assert titanic.predict(*(list(row.values()) for row in expected["rows"])) == expected["titanic"]


def test_the_order_of_the_keys_does_not_matter(titanic: Caller) -> None:
    backwards = dict(reversed(JACK.items()))

    assert titanic.predict(backwards, signature_name="predict_proba") == titanic.predict(
        JACK, signature_name="predict_proba"
    )


def test_a_row_is_answered_alike_alone_and_beside_rows_with_gaps(titanic: Caller) -> None:
    gaps = {**JACK, "Age": None, "Embarked": None}

    alone = titanic.predict(gaps, signature_name="predict_proba")
    beside = titanic.predict(JACK, gaps, signature_name="predict_proba")

    assert beside[1]["probabilities"] == pytest.approx(alone[0]["probabilities"])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"Embarked": "X"}, "Instance 1, field Embarked: 'X' is not one of C, Q, S."),
        ({"Embarked": "s"}, "Instance 1, field Embarked: 's' is not one of C, Q, S. Did you mean 'S'?"),
        (
            {"Sex": "femal"},
            "Instance 1, field Sex: 'femal' is not one of female, male. Did you mean 'female'?",
        ),
        ({"Pclass": 4}, "Instance 1, field Pclass: 4 is not one of 1, 2, 3."),
        (
            {"Pclass": "3"},
            "Instance 1, field Pclass: '3' is text, but a number is needed. Send 3 without quotes.",
        ),
        (
            {"Age": "22"},
            "Instance 1, field Age: '22' is text, but a number is needed. Send 22 without quotes.",
        ),
        (
            {"Age": "old"},
            "Instance 1, field Age: 'old' is text, but a number is needed. "
            "Send a number, or null if it is unknown.",
        ),
        (
            {"Age": True},
            "Instance 1, field Age: true is a boolean, but a number is needed. "
            "Send 1 for true or 0 for false.",
        ),
        (
            {"Age": [22]},
            "Instance 1, field Age: a list of 1 value was sent, but a number is needed. "
            "Send a number, or null if it is unknown.",
        ),
        (
            {"Sex": 1},
            "Instance 1, field Sex: 1 is a number, but a text is needed. Send one of female, male.",
        ),
        (
            {"SibSp": None},
            "Instance 1, field SibSp: null is not allowed, since the model cannot work without it. "
            "Send a number.",
        ),
        (
            {"Fare": 7.25},
            f"Instance 1: unknown field 'Fare'; the model was trained on {TRAINED_ON}. Remove it.",
        ),
    ],
)
def test_a_wrong_value_is_refused_with_its_field_and_the_cure(
    titanic: Caller, change: dict[str, Any], sentence: str
) -> None:
    assert titanic.refusal({**JACK, **change}) == sentence


@pytest.mark.parametrize(
    ("field", "cure"),
    [
        ("Age", "Send a number, or null if it is unknown."),
        ("SibSp", "Send a number."),
        ("Embarked", "Send one of C, Q, S, or null if it is unknown."),
    ],
)
def test_a_missing_field_is_named_with_what_to_send(titanic: Caller, field: str, cure: str) -> None:
    row = {name: value for name, value in JACK.items() if name != field}

    assert titanic.refusal(JACK, row) == f"Instance 2: field '{field}' is missing. {cure}"


def test_a_misspelt_field_is_one_fault_and_not_two(titanic: Caller) -> None:
    row = {**JACK, "age": JACK["Age"]}
    del row["Age"]

    status, answer = titanic.ask({"instances": [row]})

    assert status == 400
    assert len(answer["error"]["details"][0]["fieldViolations"]) == 1
    assert answer["error"]["message"] == (
        f"Instance 1: unknown field 'age'; the model was trained on {TRAINED_ON}. Did you mean 'Age'?"
    )


@pytest.mark.parametrize(
    ("instance", "sentence"),
    [
        (
            "male",
            "Instance 1 is 'male', but an object or a list is needed. Send an object with the keys "
            f"{TRAINED_ON}, or a list of 5 values in this order.",
        ),
        (
            [3, "male"],
            f"Instance 1: expected 5 values, got 2. Send one value per feature, in this order: {TRAINED_ON}.",
        ),
    ],
)
def test_an_instance_that_is_no_row_is_refused(titanic: Caller, instance: Any, sentence: str) -> None:
    assert titanic.refusal(instance) == sentence


def test_of_several_wrong_instances_the_first_is_told_and_all_are_listed(titanic: Caller) -> None:
    rows = [JACK, {**JACK, "Age": "x", "Sex": "x"}, {**JACK, "Embarked": "X"}, [3, "male", 1, 1, "X"]]

    status, answer = titanic.ask({"instances": rows})

    detail = answer["error"]["details"][0]
    assert status == 400
    assert answer["error"]["message"].startswith("Instance 2, field Sex: 'x' is not one of female, male.")
    assert answer["error"]["message"].endswith(" 2 more instances have errors.")
    assert detail["@type"] == "type.googleapis.com/google.rpc.BadRequest"
    fields = [violation["field"] for violation in detail["fieldViolations"]]
    assert fields == ["instances[1].Sex", "instances[1].Age", "instances[2].Embarked", "instances[3][4]"]


def test_an_unseen_category_is_allowed_where_the_encoder_ignores_it(connect: Connect) -> None:
    assert connect("titanic_open").predict({**JACK, "Embarked": "X", "Sex": None}) in ([0], [1])


def test_the_framework_s_own_pickle_wins_over_a_second_file(connect: Connect) -> None:
    assert connect("both", "--framework", "SCIKIT_LEARN").predict(JACK) == [0]


def test_columns_that_training_dropped_may_be_sent_and_may_be_left_out(connect: Connect) -> None:
    caller = connect("dropped")

    assert caller.predict(JACK) == caller.predict({"Sex": "male"}) == [0]
    assert "field 'Sex' is missing" in caller.refusal({"Age": 22})


def test_a_model_without_feature_names_takes_lists_only(connect: Connect) -> None:
    caller = connect("linear")

    assert caller.predict([1, 2, 3], [0, 0.5, 0]) == pytest.approx([30201, 50])
    assert caller.refusal({"a": 1}) == (
        "Instance 1 is an object, but the model was trained without feature names. Send a list of 3 values."
    )
    assert caller.refusal([1, "2", 3]) == (
        "Instance 1, value 2: '2' is text, but a number is needed. Send 2 without quotes."
    )
    assert caller.refusal([1, 2, True]).startswith("Instance 1, value 3: true is a boolean")


@pytest.mark.parametrize(
    ("request_text", "words"),
    [
        (b'[{"Age": 1}]', 'The request is a list, but an object is needed. Send {"instances": [ … ]}'),
        (b'"text"', "The request is 'text', but an object is needed."),
        (b"{}", "'instances' is missing. Send"),
        (b'{"Age": 1}', '\'instances\' is missing. Wrap what you sent: {"instances": [{"Age": …}]}.'),
        (b'{"instances": {"Age": 1}}', "'instances' is an object, but a list is needed."),
        (b'{"instances": []}', "'instances' is an empty list: there is nothing to predict."),
        (b'{"instance": [1]}', "Unknown key 'instance' in the request. Did you mean 'instances'?"),
        (
            b'{"instances": [1], "signatureName": "a"}',
            "Unknown key 'signatureName' in the request. Did you mean 'signature_name'?",
        ),
        (b'{"instances": [1], "other": 1}', "Unknown key 'other' in the request. Known keys:"),
        (b'{"instances": [1], "signature_name": 1}', "'signature_name' is 1, but a text is needed."),
        (b'{"instances": [NaN]}', "NaN is no JSON number. Send null for a missing value."),
        (b'{"instances": [-Infinity]}', "-Infinity is no JSON number."),
        (b'{"instances": [1e999]}', "the number 1e999, which is too large"),
        (b'{"instances": [1,]}', "The request is not JSON: "),
        (b'{"instances": [1', "at line 1, column 17"),
        (b"{'instances': [1]}", "JSON wants double quotes."),
        (b'{"Age": 1}\n{"Age": 2}', "at line 2, column 1. One object per line is the form of a file"),
        (b"", "The request is empty."),
        (b'\xff{"instances": [1]}', "The request is not UTF-8 text"),
        (b'{"instances": [' + b"[" * 100_000, "nested too deeply"),
    ],
)
def test_a_request_that_cannot_be_read_is_refused_with_the_place_and_the_cure(
    titanic: Caller, request_text: bytes, words: str
) -> None:
    status, answer = titanic.ask(request_text)

    assert (status, answer["error"]["code"], answer["error"]["status"]) == (400, 400, "INVALID_ARGUMENT")
    assert words in answer["error"]["message"]


@pytest.mark.parametrize("model", ["search", "calibrated"])
def test_the_schema_is_found_inside_searches_and_calibrations(connect: Connect, model: str) -> None:
    caller = connect(model)

    assert caller.predict({**JACK, "Age": None}) == [0]
    assert "is not one of C, Q, S" in caller.refusal({**JACK, "Embarked": "X"})


def test_histogram_boosting_takes_texts_and_gaps_as_in_training(connect: Connect) -> None:
    caller = connect("boosting")

    assert caller.predict({"Sex": "male", "Age": None}, {"Sex": "female", "Age": 30}) == [0, 1]
    assert "'22' is text" in caller.refusal({"Sex": "male", "Age": "22"})


def test_an_ordinal_encoder_with_a_code_for_the_unknown_takes_anything_new(connect: Connect) -> None:
    assert connect("ordinal").predict({"Sex": "male", "Embarked": None}, {"Sex": "x", "Embarked": "S"})


def test_a_text_model_takes_texts(connect: Connect) -> None:
    caller = connect("text")

    assert caller.predict("good and nice", "awful") == ["good", "bad"]
    assert caller.refusal("good", {"text": "good"}) == (
        "Instance 2 is an object, but a text is needed. Send a text."
    )


def test_somebody_s_own_step_gets_columns_of_the_type_that_was_sent(connect: Connect) -> None:
    caller = connect("own_code")

    rows = [{"size": 1, "name": "a"}, {"size": 2.0, "name": "bb"}, {"size": "text", "name": "a"}]
    ids = [caller.send({"instances": [row]}) for row in rows]

    assert [caller.receive(id)[0] for id in ids] == [200, 200, 500]
    assert caller.predict({"size": 1, "name": "a"}, {"size": 3.0, "name": "dddd"}) == pytest.approx([1, 3])
    assert "a list of 1 value is not a single value" in caller.refusal({"size": [1], "name": "a"})


def test_booleans_are_categories_of_their_own_kind(connect: Connect) -> None:
    caller = connect("flags")

    assert caller.predict({"adult": True, "size": 1.5}, [False, 2.5]) == [0, 1]
    assert caller.refusal({"adult": 1, "size": 1.5}).endswith("Send one of false, true.")


def test_large_whole_numbers_that_name_something_keep_every_digit(connect: Connect) -> None:
    assert connect("large").predict({"user": 2**60}, {"user": 2**60 + 1}) == [0, 1]


def test_labels_keep_their_kind(connect: Connect) -> None:
    assert connect("booleans").predict({"SibSp": 0})[0] in (True, False)
    assert isinstance(connect("booleans").predict({"SibSp": 0})[0], bool)
    assert connect("two_answers").predict([1, 2, 3]) == [pytest.approx([1, 4])]
    assert connect("logarithm").predict({"SibSp": 3})[0] == pytest.approx(0.5, abs=0.5)


def test_a_booster_answers_as_it_does_in_training(connect: Connect, expected: dict[str, Any]) -> None:
    for model in ("booster", "booster_pickle"):
        assert connect(model).predict(*expected["matrix"]) == pytest.approx(expected["booster"])


def test_a_booster_with_feature_names_takes_objects_and_lists_and_gaps(connect: Connect) -> None:
    caller = connect("booster_named")

    by_name = caller.predict({"c": 3, "b": 2, "a": 1}, {"a": 4, "b": None, "c": 7})
    assert by_name == caller.predict([1, 2, 3], [4, None, 7])
    assert sum(by_name[0]) == pytest.approx(1)
    assert "unknown field 'd'" in caller.refusal({"a": 1, "b": 2, "c": 3, "d": 4})
    assert "expected 3 values, got 2" in caller.refusal([1, 2])
    assert "This model has: predict." in caller.refusal([1, 2, 3], signature_name="predict_proba")


@pytest.mark.parametrize("arguments", [(), ("--framework", "xgboost")])
def test_xgboost_s_wrapper_answers_labels(connect: Connect, arguments: tuple[str, ...]) -> None:
    caller = connect("wrapper", *arguments)

    assert caller.predict({"a": 1, "b": 2, "c": 3}, [4, 5, 7])[0] in (0, 1)
    assert set(caller.predict([1, 2, 3], signature_name="predict_proba")[0]) == {"class", "probabilities"}


def test_the_description_has_what_a_form_needs(titanic: Caller) -> None:
    description = titanic.describe()

    columns = {column["name"]: column for column in description["inputs"]}
    assert list(columns) == TRAINED_ON.split(", ")
    assert columns["Pclass"]["categories"] == [1, 2, 3]
    assert (columns["Age"]["type"], columns["Age"]["nullable"]) == ("number", True)
    assert (columns["Embarked"]["type"], columns["Embarked"]["closed"]) == ("string", True)
    assert description["signatures"] == ["predict", "predict_proba"]
    assert titanic.predict(description["sample"]) in ([0], [1])
