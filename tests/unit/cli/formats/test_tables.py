"""Tables as they stand on a screen: wide letters, lines, colours."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlengine.cli.formats.summaries import summary
from mlengine.cli.formats.tables import Style, boxed_table, plain_table
from mlengine.cli.formats.width import one_line, padded, width
from tests.unit.cli.formats.resources import JOB, show

CELLS = st.text(max_size=6) | st.sampled_from(
    ["한국어", "한\u3163", "é", "e\u0301", "\u200b", "a\nb", "\x1b[31m"]
)


@pytest.mark.parametrize(
    ("text", "columns"),
    [("", 0), ("abc", 3), ("한국", 4), ("한a", 3), ("e\u0301", 1), ("ア", 2), ("\u200b", 0)],
)
def test_width_is_that_of_a_screen(text: str, columns: int):
    assert width(text) == columns
    assert width(padded(text, 8)) == 8
    assert width(padded(text, 8, "center")) == 8


def test_a_box_has_its_title_and_headings_in_the_middle():
    assert boxed_table(["A", "LONGER"], [["1", "2"], ["한국", "4"]], title="T") == (
        "+---------------+\n"
        "|       T       |\n"
        "+------+--------+\n"
        "|  A   | LONGER |\n"
        "+------+--------+\n"
        "| 1    | 2      |\n"
        "| 한국 | 4      |\n"
        "+------+--------+"
    )


def test_a_title_wider_than_its_columns_widens_them_all():
    assert boxed_table(["A", "B"], [["1", "2"]], title="A long title").splitlines()[1:4] == [
        "| A long title |",
        "+-------+------+",
        "|   A   |  B   |",
    ]


def test_a_box_keeps_the_lines_of_a_cell_and_all_box_parts_the_rows():
    assert boxed_table([], [["a\nb", "c"], ["d", "e"]], every_row=True) == (
        "+---+---+\n| a | c |\n| b |   |\n+---+---+\n| d | e |\n+---+---+"
    )


def test_lines_are_drawn_where_the_terminal_has_them():
    assert boxed_table(["A"], [["1"]], style=Style(lines=True)) == "┌───┐\n│ A │\n├───┤\n│ 1 │\n└───┘"


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=5), st.booleans(), st.text(max_size=20))
def test_all_lines_of_a_box_are_equally_wide(rows: list, every_row: bool, title: str):
    box = boxed_table(["A", "한글", "C"], rows, title=title, every_row=every_row)

    assert len({width(line) for line in box.split("\n")}) == 1


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=5))
def test_the_second_column_begins_at_one_place(rows: list):
    lines = plain_table(["HEAD", "|"], [(first, "|") for first, _ in rows]).split("\n")

    assert len({width(line) for line in lines}) == 1
    assert len(lines) == 1 + len(rows)


def test_control_characters_are_written_out():
    assert one_line("a\x1b[31m\tb\x9b\n") == "a\\x1b[31m\\tb\\x9b\\n"


def test_colours_are_there_only_where_they_can_be_seen():
    form = "table(state.color(red=FAIL,green=SUCC),jobId)"

    plain, bright = show(form, JOB), show(form, JOB, style=Style(colour=True))

    assert plain == "STATE      JOB_ID\nSUCCEEDED  train_1\n"
    assert bright == "STATE      JOB_ID\n\x1b[32mSUCCEEDED\x1b[0m  train_1\n"
    assert re.sub(r"\x1b\[\d+m", "", bright) == plain
    assert show("value(state.color(green=SUCC))", JOB, style=Style(colour=True)) == "SUCCEEDED\n"
    assert show("json(state.color(green=SUCC))", JOB) == '[\n  {\n    "state": "SUCCEEDED"\n  }\n]\n'
    assert show("yaml(state.color(green=SUCC))", JOB, listed=False) == "state: SUCCEEDED\n"


def test_a_training_is_summed_up_in_boxes():
    job = JOB | {"trainingOutput": {"consumedMLUnits": 0.5}}

    text = show(summary(job), job, listed=False)

    assert [line.strip(" |") for line in text.splitlines() if "ummary" in line or "Overview" in line] == [
        "Job Overview",
        "Training Input Summary",
        "Training Output Summary",
    ]
    assert "PYTHON_MODULE |   REGION    | SCALE_TIER |" in text
    assert "TRIALS" not in text


def test_a_tuning_job_shows_its_own_input_and_its_trials_in_order():
    job = JOB | {"trainingInput": JOB["trainingInput"] | {"hyperparameters": {"goal": "MAXIMIZE"}}}

    text = show(summary(job), job, listed=False)

    assert "Training Input Summary" in text
    assert text[text.index("Training Output Trials") :].splitlines()[2:] == [
        "    | TRIAL | OBJECTIVE_VALUE | STEP | HYPERPARAMETERS |",
        "    +-------+-----------------+------+-----------------+",
        "    | 9     |                 |      | depth=3         |",
        "    |       |                 |      | lr=0.1          |",
        "    | 10    | 0.9             | 200  |                 |",
        "    +-------+-----------------+------+-----------------+",
    ]


def test_a_prediction_job_has_summaries_of_its_own():
    job = {
        "jobId": "p",
        "predictionInput": {
            "region": "r",
            "versionName": "a/b/v1",
            "outputPath": "gs://b",
            "dataFormat": "TEXT",
        },
        "predictionOutput": {"errorCount": "0", "nodeHours": 1.5, "predictionCount": "7"},
    }

    text = show(summary(job), job, listed=False)

    assert "Predict Input Summary" in text
    assert "| VERSION |" in text
    assert "Predict Output Summary" in text
    assert "| 0           | 1.5" in text
