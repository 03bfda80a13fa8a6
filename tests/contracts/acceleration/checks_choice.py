"""Which form is served: only one that was compared, is faster, and leaves the original where it gives up."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sklearn import ensemble, linear_model, preprocessing
from tables import first_form, passengers, pipeline, rows, serve

from mlengine.serving.runtimes.acceleration import accelerate
from mlengine.serving.runtimes.acceleration.choice import FILE
from mlengine.serving.runtimes.acceleration.choice import accelerate as choose
from mlengine.serving.runtimes.acceleration.comparison import distance
from mlengine.serving.runtimes.acceleration.forms import Form
from mlengine.serving.runtimes.acceleration.guard import Guarded
from mlengine.serving.runtimes.model import Model, RawInstances, Rows, Signature
from mlengine.serving.runtimes.options import Options

FRAME, SURVIVED, PORT, _ = passengers()
SENT = rows(FRAME.head(20))


@pytest.fixture(scope="module")
def model() -> Model:
    return serve(pipeline(linear_model.LogisticRegression()).fit(FRAME, SURVIVED))


def strict_model() -> Model:
    """Fails for categories that it has not seen."""
    whole = FRAME.notna().all(axis=1)
    fitted = pipeline(linear_model.LogisticRegression(), texts=preprocessing.OrdinalEncoder())
    return serve(fitted.fit(FRAME[whole], SURVIVED[whole]))


def spoilt(model: Model, change: Callable[[str, Rows, Any], Any]) -> Callable[[Model, Path], Iterator[Form]]:
    """The good form, with its outputs changed."""

    def forms(_: Model, folder: Path) -> Iterator[Form]:
        good = first_form(model, folder)

        def run_for(signature: Signature) -> Any:
            run = good.run_for(signature)
            return lambda rows: change(signature.name, rows, run(rows))

        yield replace(good, run_for=run_for)

    return forms


def asked(model: Model, instances: list[Any], name: str = "predict") -> Any:
    signature = model.signatures[name]
    decoded = signature.decode(RawInstances(instances))
    return signature.predictions(signature.run(decoded), 0, decoded.count)


def test_a_pipeline_is_served_many_times_faster_with_a_report(model: Model, tmp_path: Path) -> None:
    served, report = accelerate(model, None, folder=tmp_path, options=Options())

    assert report["form"] == "arrays"
    assert report["instances"] == report["sameAnswers"] > 500
    assert report["largestDifference"] <= report["tolerance"] == 1e-6
    assert report["after_us"] * 10 < report["before_us"]
    assert report["seconds"] < 10
    assert json.loads(json.dumps(report)) == report
    assert asked(served, SENT) == asked(model, SENT)
    assert all(isinstance(signature, Guarded) for signature in served.signatures.values())


def test_the_switch_leaves_all_as_it_is(model: Model, tmp_path: Path) -> None:
    served, report = accelerate(model, None, folder=tmp_path, options=Options(accelerate=False))

    assert served is model
    assert report == {"form": "none", "reason": "It is switched off for this version."}
    assert not list(tmp_path.iterdir())


def flip_one_label(name: str, rows: Rows, outputs: Any) -> Any:
    if name == "predict" and rows.count > 30:
        outputs = outputs.copy()
        outputs[7] = 1 - outputs[7]
    return outputs


def shift_probabilities(name: str, rows: Rows, outputs: Any) -> Any:
    return (outputs[0], outputs[1] + 1e-4) if name == "predict_proba" else outputs


def lose_a_row(name: str, rows: Rows, outputs: Any) -> Any:
    return outputs[:-1] if name == "predict" else outputs


def fail(name: str, rows: Rows, outputs: Any) -> Any:
    raise KeyError("no such thing")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (flip_one_label, "answers differ; the first: "),
        (shift_probabilities, "where the original answers {'class'"),
        (lose_a_row, "answers to "),
        (fail, "it fails with KeyError"),
    ],
)
def test_a_form_that_answers_otherwise_is_refused(
    model: Model, change: Callable[[str, Rows, Any], Any], words: str, tmp_path: Path
) -> None:
    served, report = choose(model, None, folder=tmp_path, options=Options(), forms=spoilt(model, change))

    assert served is model
    assert report["form"] == "none"
    assert words in report["reason"]
    assert report["sameAnswers"] < report["instances"]


def test_a_form_that_answers_what_the_original_refuses_is_refused(tmp_path: Path) -> None:
    # Its trees refuse numbers that small floats cannot hold.
    forest = serve(pipeline(ensemble.RandomForestClassifier(5, random_state=0)).fit(FRAME, PORT))

    def forms(_: Model, folder: Path) -> Iterator[Form]:
        good = first_form(forest, folder)

        def run_for(signature: Signature) -> Any:
            run = good.run_for(signature)

            def lenient(decoded: Rows) -> Any:
                try:
                    return run(decoded)
                except Exception:
                    return run(signature.decode(RawInstances([forest.describe()["sample"]])))

            return lenient

        yield replace(good, run_for=run_for)

    served, report = choose(forest, None, folder=tmp_path, options=Options(), forms=forms)

    assert served is forest
    assert "the original fails where it answers" in report["reason"]


def test_a_form_that_is_not_faster_is_refused(model: Model, tmp_path: Path) -> None:
    def slow(name: str, rows: Rows, outputs: Any) -> Any:
        stop = time.perf_counter() + 0.02
        while time.perf_counter() < stop:
            pass
        return outputs

    served, report = choose(model, None, folder=tmp_path, options=Options(), forms=spoilt(model, slow))

    assert served is model
    assert report["reason"].startswith("It is not faster: ")
    assert report["sameAnswers"] == report["instances"]


def test_a_crash_in_making_a_form_never_fails_the_version(model: Model, tmp_path: Path) -> None:
    def forms(_: Model, folder: Path) -> Iterator[Form]:
        raise ZeroDivisionError("by zero")
        yield

    served, report = choose(model, None, folder=tmp_path, options=Options(), forms=forms)

    assert served is model
    assert report == {
        "form": "none",
        "reason": "Looking for a faster form failed: ZeroDivisionError: by zero",
    }


def test_the_comparison_ends_in_time(model: Model, tmp_path: Path) -> None:
    served, report = choose(model, None, folder=tmp_path, options=Options(), limit=0.01)

    assert served is model
    assert report["reason"] == "The comparison was not finished within 0.01 s."


def test_another_start_compares_nothing_again(model: Model, tmp_path: Path) -> None:
    files = tmp_path / "model"
    _, first = accelerate(model, None, folder=tmp_path, options=Options(), artefacts=files)

    served, second = accelerate(model, None, folder=tmp_path, options=Options(), artefacts=files)

    assert second == first
    assert isinstance(served.signatures["predict"], Guarded)
    assert asked(served, SENT) == asked(model, SENT)


def test_another_model_file_is_compared_anew(model: Model, tmp_path: Path) -> None:
    files = tmp_path / "model"
    files.mkdir()
    (files / "model.joblib").write_bytes(b"one")
    accelerate(model, None, folder=tmp_path, options=Options(), artefacts=files)
    kept = json.loads((tmp_path / FILE).read_text())
    kept["report"]["reason"] = "from before"
    (tmp_path / FILE).write_text(json.dumps(kept))

    _, same = accelerate(model, None, folder=tmp_path, options=Options(), artefacts=files)
    (files / "model.joblib").write_bytes(b"another one")
    _, other = accelerate(model, None, folder=tmp_path, options=Options(), artefacts=files)

    assert same["reason"] == "from before"
    assert other["reason"] != "from before"


def test_a_torn_note_of_an_earlier_start_is_passed_over(model: Model, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"key": "')

    _, report = accelerate(model, None, folder=tmp_path, options=Options(), artefacts=tmp_path / "model")

    assert report["form"] == "arrays"


def test_where_the_faster_form_fails_the_original_answers(
    model: Model, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(_: Rows) -> Any:
        raise RuntimeError("out of order")

    original = model.signatures["predict"]
    guarded = Guarded(original, broken)

    decoded = guarded.decode(RawInstances(SENT))
    answers = [guarded.predictions(guarded.run(decoded), 0, 20) for _ in range(3)]

    assert answers == [asked(model, SENT)] * 3
    assert guarded.fallbacks == 3
    said = capfd.readouterr().err
    assert said.count("This is said once.") == 1
    assert "out of order" in said


def test_an_unknown_category_gets_the_error_of_the_original(tmp_path: Path) -> None:
    strict = strict_model()
    served, report = accelerate(strict, None, folder=tmp_path, options=Options())
    signature: Any = served.signatures["predict"]
    decoded = signature.decode(RawInstances([[1, 30.0, 0, 10.0, "male", "S"]]))

    wrong = Rows(1, decoded.key, [[1, 30.0, 0, 10.0, "other", "S"]])

    assert report["form"] == "arrays"
    with pytest.raises(ValueError, match="unknown categories"):
        signature.run(wrong)
    assert signature.fallbacks == 1


def test_rows_of_several_requests_are_joined_and_told_apart(model: Model, tmp_path: Path) -> None:
    served, _ = accelerate(model, None, folder=tmp_path, options=Options())

    for name, signature in served.signatures.items():
        parts = [signature.decode(RawInstances(SENT[start : start + 3])) for start in range(0, 18, 3)]
        outputs = signature.run(signature.join(parts))
        for at in range(6):
            found = signature.predictions(outputs, 3 * at, 3 * at + 3)
            wanted = asked(model, SENT[3 * at : 3 * at + 3], name)

            assert distance(found, wanted, 1.0) < 1e-12


def test_an_estimator_without_a_form_of_its_own_may_be_served_as_onnx(tmp_path: Path) -> None:
    many = ensemble.AdaBoostClassifier(n_estimators=60, random_state=0)
    model = serve(pipeline(many).fit(FRAME, PORT))
    files = tmp_path / "model"

    served, report = accelerate(model, None, folder=tmp_path, options=Options(), artefacts=files)
    again, same = accelerate(model, None, folder=tmp_path, options=Options(), artefacts=files)

    assert report["form"] == "onnx"
    assert report["tolerance"] == 1e-5
    assert same == report
    assert [file.name for file in tmp_path.glob("*.onnx")] == ["acceleration.onnx"]
    for each in (served, again):
        found, wanted = (asked(one, SENT, "predict_proba") for one in (each, model))
        assert distance(found, wanted, 1.0) < 1e-5
