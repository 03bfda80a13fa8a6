"""`predict`: slices, the table, and errors by the file's own numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Run
from tests.unit.client.small_server import SmallServer, error

DEFAULT = "POST /v1/projects/local/models/m:predict"


def ask(run: Run, *more: str, stdin: str = "[1]\n"):
    return run("predict", "--model", "m", "--json-instances", "-", *more, stdin=stdin)


@pytest.mark.parametrize(
    ("predictions", "printed"),
    [
        (
            [
                {"class_ids": [0], "classes": ["0"], "probabilities": [0.97, 0.03]},
                {"class_ids": [1], "classes": ["1"], "probabilities": [0.2, 0.8]},
            ],
            "CLASS_IDS  CLASSES  PROBABILITIES\n"
            "[0]        ['0']    [0.97, 0.03]\n"
            "[1]        ['1']    [0.2, 0.8]\n",
        ),
        (
            [{"dense/Softmax:0": 1, "my key": 2, "확률": 0.5}],
            "DENSE/SOFTMAX:0  MY_KEY  확률\n1                2       0.5\n",
        ),
        ([{"a.b": 1}, {"a.b": None}], "A.B\n1\n\n"),
        ([[0.1, 0.9], [0.8, 0.2]], "[[0.1, 0.9], [0.8, 0.2]]\n"),
        (["a", "b"], "['a', 'b']\n"),
        ([5.0, 11.0], "[5.0, 11.0]\n"),
        ([], "predictions: []\n"),
    ],
)
def test_predictions_are_printed_as_gcloud_prints_them(
    run: Run, server: SmallServer, predictions: list, printed: str
):
    server.answers[DEFAULT] = (200, {"predictions": predictions})

    done = ask(run)

    assert (done.code, done.out) == (0, printed)


def test_an_answer_without_predictions_is_printed_whole_and_is_no_failure(run: Run, server: SmallServer):
    server.answers[DEFAULT] = (200, {"error": "Prediction failed: no"})

    done = ask(run)

    assert done.code == 0
    assert json.loads(done.out) == {"error": "Prediction failed: no"}


@pytest.mark.parametrize(
    ("form", "printed"),
    [
        (
            "json",
            json.dumps({"predictions": [{"a": 1, "b": [2, 3]}]}, indent=2) + "\n",
        ),
        ("yaml", "predictions:\n- a: 1\n  b:\n  - 2\n  - 3\n"),
        ("value(a,b)", "1\t2;3\n"),
        ("csv(b,a)", "b,a\n2;3,1\n"),
        ("value(predictions)", "{'a': 1, 'b': [2, 3]}\n"),
    ],
)
def test_formats_of_predictions(run: Run, server: SmallServer, form: str, printed: str):
    server.answers[DEFAULT] = (200, {"predictions": [{"a": 1, "b": [2, 3]}]})

    assert ask(run, "--format", form).out == printed


def test_any_number_of_instances_is_sent_in_hundreds_and_gathered(run: Run, server: SmallServer):
    server.answers[DEFAULT] = lambda seen: (200, {"predictions": [2 * n for n in seen.json["instances"]]})

    done = ask(run, "--signature-name", "s", stdin="".join(f"{n}\n" for n in range(250)))

    assert json.loads(done.out) == [2 * n for n in range(250)]
    assert [len(seen.json["instances"]) for seen in server.seen] == [100, 100, 50]
    assert {seen.json["signature_name"] for seen in server.seen} == {"s"}
    assert done.err == ""


def test_an_error_in_a_later_slice_names_the_line_of_the_file(run: Run, server: SmallServer):
    def refuse(seen):
        if 142 not in seen.json["instances"]:
            return 200, {"predictions": seen.json["instances"]}
        place = seen.json["instances"].index(142) + 1
        return error(400, "INVALID_ARGUMENT", f"Instance {place}, field Age: '142' is no number.")

    server.answers[DEFAULT] = refuse

    done = ask(run, stdin="".join(f"{n}\n" for n in range(1, 251)))

    assert done.code == 1
    assert done.out == ""
    assert (
        done.err
        == "ERROR: (mlengine.predict) INVALID_ARGUMENT: Instance 142, field Age: '142' is no number.\n"
    )


def test_how_an_unusual_file_was_read_is_said(run: Run, server: SmallServer, tmp_path: Path):
    server.answers[DEFAULT] = (200, {"predictions": [1, 2]})
    (tmp_path / "test.json").write_text('[{"a": 1},\n {"a": 2}]')

    done = run("predict", "--model", "m", "--json-instances", "test.json")

    assert done.err == "Note: read as a JSON array of 2 instances.\n"
    assert server.seen[-1].json == {"instances": [{"a": 1}, {"a": 2}]}


def test_a_file_that_is_wrong_is_named_before_anything_is_sent(run: Run, server: SmallServer):
    done = ask(run, stdin='{"a": 1}\n\n')

    assert done.code == 1
    assert "line 2 is empty" in done.err
    assert server.seen == []
