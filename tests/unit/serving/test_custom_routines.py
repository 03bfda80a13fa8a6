"""Classes of the user's that load and predict in their own way: what is asked of them, and what they get."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlengine.serving.messages import PREDICT
from mlengine.serving.runtimes.model import LoadFailed, Model
from mlengine.serving.runtimes.opening import open_model
from mlengine.serving.runtimes.options import Options
from mlengine.serving.worker import golden
from mlengine.serving.worker.batch import Answerer

GOOD = """
import json
from pathlib import Path

class Predictor:
    def __init__(self, scale):
        self.scale = scale

    @classmethod
    def from_path(cls, model_dir):
        return cls(json.loads(Path(model_dir, "scale.json").read_text()))

    def predict(self, instances, **kwargs):
        return [{"answer": value * self.scale, "told": kwargs} for value in instances]
"""
_NUMBERS = itertools.count()

Load = Callable[..., Model]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Loads the class Predictor of a module with the given text; each module has a name of its own."""

    def load(text: str, *, name: str = "Predictor", framework: str | None = None, **settings: Any) -> Model:
        number = next(_NUMBERS)
        packages, artefacts = tmp_path / f"packages{number}", tmp_path / f"model{number}"
        packages.mkdir()
        artefacts.mkdir()
        (packages / f"routine_{number}.py").write_text(text)
        (artefacts / "scale.json").write_text("3")
        if settings:
            (artefacts / "serving.json").write_text(json.dumps(settings))
        monkeypatch.syspath_prepend(str(packages))
        options = Options(prediction_class=f"routine_{number}.{name}")
        return open_model(artefacts, framework, options)

    return load


def ask(model: Model, body: Any) -> tuple[int, Any]:
    status, answer = Answerer(model).answer([(PREDICT, json.dumps(body).encode())])[0][:2]
    return status, json.loads(answer)


def test_a_class_gets_the_artefacts_and_all_instances_of_a_request_at_once(load: Load) -> None:
    model = load(GOOD)

    status, answer = ask(model, {"instances": [1, 2]})

    told = {"signature_name": None}
    assert (status, answer["predictions"]) == (
        200,
        [{"answer": 3, "told": told}, {"answer": 6, "told": told}],
    )
    assert model.describe()["framework"] == "custom"


def test_other_keys_of_a_request_and_the_signature_s_name_are_keywords(load: Load) -> None:
    model = load(GOOD)

    answer = ask(model, {"instances": [1], "signature_name": "best", "stats": True})[1]

    assert answer["predictions"][0]["told"] == {"signature_name": "best", "stats": True}


def test_requests_that_arrive_together_are_asked_one_by_one(load: Load) -> None:
    model = load(GOOD.replace("[{", "[len(instances)]; [{"))

    answers = Answerer(model).answer([(PREDICT, b'{"instances": [1, 2]}'), (PREDICT, b'{"instances": [3]}')])

    assert [json.loads(answer.body)["predictions"] for answer in answers] == [[2], [1]]


def test_a_class_without_keywords_is_served_and_says_which_key_it_does_not_take(load: Load) -> None:
    model = load(GOOD.replace(", **kwargs", ", *, stats=False").replace("kwargs", "stats"))

    assert ask(model, {"instances": [1], "stats": True})[1]["predictions"][0]["told"] is True
    status, answer = ask(model, {"instances": [1], "colour": "red"})

    assert status == 400
    assert "Unknown key 'colour'" in answer["error"]["message"]
    assert "it takes: stats" in answer["error"]["message"]


def test_it_may_answer_something_else_than_one_value_per_instance(load: Load) -> None:
    model = load(GOOD.replace("[{", "['all']; [{"))

    assert ask(model, {"instances": [1, 2, 3]}) == (200, {"predictions": ["all"]})


def test_arrays_and_numbers_of_numpy_become_json(load: Load) -> None:
    model = load(GOOD.replace("[{", "__import__('numpy').arange(2) / 2; [{"))

    assert ask(model, {"instances": [1]}) == (200, {"predictions": [0.0, 0.5]})


def test_an_answer_that_is_no_list_is_the_class_s_fault(load: Load) -> None:
    status, answer = ask(load(GOOD.replace("[{", "{'a': 1}; [{")), {"instances": [1]})

    assert status == 500
    assert "must return a list, but it returned a dict. (Error code: 4)" in answer["error"]["message"]


def test_what_the_class_raises_is_told_by_name(load: Load) -> None:
    status, answer = ask(load(GOOD.replace("return [{", "raise KeyError('Fare'); [{")), {"instances": [1]})

    assert (status, answer["error"]["message"]) == (500, "Prediction failed: KeyError: 'Fare'")


def test_binary_data_is_decoded_for_tensorflow_only(load: Load) -> None:
    told = GOOD.replace("value * self.scale", "repr(value)")
    body = {"instances": [{"image": {"b64": "aGk="}}]}

    decoded = ask(load(told, framework="tensorflow"), body)[1]["predictions"][0]["answer"]
    plain = ask(load(told), body)[1]["predictions"][0]["answer"]

    assert (decoded, plain) == ("{'image': b'hi'}", "{'image': {'b64': 'aGk='}}")


def test_without_a_sample_it_is_enough_that_the_class_loads(load: Load) -> None:
    model = load(GOOD.replace("return [{", "raise KeyError; [{"))

    golden.prove(model)

    assert model.describe()["sure"] is False


def test_a_sample_in_serving_json_must_be_answered(load: Load) -> None:
    golden.prove(load(GOOD, sample=4))

    with pytest.raises(LoadFailed, match="TypeError"):
        golden.prove(load(GOOD, sample=None))


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        (GOOD, "Absent", "routine_N.Absent cannot be found. Please make sure (1)"),
        ("import no_such_thing", "Predictor", "routine_N.Predictor cannot be imported. ModuleNotFoundError"),
        (GOOD.replace("from_path", "load"), "Predictor", "must implement the from_path method."),
        (GOOD.replace("def predict", "def guess"), "Predictor", "is missing the required predict method."),
        (
            GOOD.replace("instances, **", "instances, threshold, **"),
            "Predictor",
            "has a predict method with an invalid signature. Expected: predict(self, instances, **kwargs). "
            "Got: predict(self, instances, threshold).",
        ),
        (GOOD.replace("scale.json", "size.json"), "Predictor", "from_path failed. FileNotFoundError"),
        (GOOD.replace("return cls", "return int"), "Predictor", "without a predict method, of type int"),
        ("Predictor = 3", "Predictor", "routine_N.Predictor is no class, but of type int."),
    ],
)
def test_a_class_that_breaks_the_contract_is_refused_in_its_words(
    load: Load, text: str, name: str, said: str
) -> None:
    with pytest.raises(LoadFailed) as caught:
        load(text, name=name)

    message = str(caught.value)
    assert message.startswith("There was a problem processing the user code: ")
    assert message.endswith("(Error code: 4)")
    number = message.partition("routine_")[2].partition(".")[0]
    assert said.replace("routine_N", f"routine_{number}") in message


def test_packages_of_the_version_are_imported_from_their_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    packages = tmp_path / "packages"
    packages.mkdir()
    (packages / "from_a_folder.py").write_text(GOOD)
    (tmp_path / "scale.json").write_text("2")
    options = Options(prediction_class="from_a_folder.Predictor", package_folders=(str(packages),))

    model = open_model(tmp_path, None, options)

    assert ask(model, {"instances": [5]})[1]["predictions"][0]["answer"] == 10
