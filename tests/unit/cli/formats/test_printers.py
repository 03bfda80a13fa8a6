"""Each format prints what gcloud's of that name prints, and none breaks on any resource."""

from __future__ import annotations

import csv
import io
import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mlengine.cli.formats.projection import FORMATS
from tests.unit.cli.formats.resources import JOB, NAMES, RESOURCES, show


@pytest.mark.parametrize(
    ("form", "printed"),
    [
        ("value(jobId,trainingInput.args)", "train_1\t--epochs;3\n"),
        ("value[separator='|',delimiter=' '](jobId,trainingInput.args)", "train_1|--epochs 3\n"),
        ("value[quote](jobId)", '"train_1"\n'),
        ("value[terminator=' '](jobId)", "train_1 "),
        ("get(jobId,missing,state)", "train_1\t\tSUCCEEDED\n"),
        ("csv(jobId,trainingInput.args)", "job_id,args\ntrain_1,--epochs;3\n"),
        ("csv[no-heading,separator=';'](jobId,trainingInput.args)", 'train_1;"--epochs;3"\n'),
        ("csv(jobId)[quote]", '"job_id"\n"train_1"\n'),
        ("table(jobId:label=ID,state)", "ID       STATE\ntrain_1  SUCCEEDED\n"),
        ("table[pad=4](jobId,state:align=right)", "JOB_ID         STATE\ntrain_1    SUCCEEDED\n"),
        ('table[title="Jobs"](jobId)', " Jobs\nJOB_ID\ntrain_1\n"),
        ("table(jobId,missing:optional,state)", "JOB_ID   STATE\ntrain_1  SUCCEEDED\n"),
        ("table(trainingInput.args,jobId)", "ARGS               JOB_ID\n['--epochs', '3']  train_1\n"),
        ("yaml(jobId,trainingInput.region)", "---\njobId: train_1\ntrainingInput:\n  region: us-central1\n"),
        ("yaml(createTime)", "---\ncreateTime: '2020-05-01T10:00:00Z'\n"),
        (
            "flattened(jobId,trainingInput.args)",
            "---\njobId:                 train_1\n"
            "trainingInput.args[0]: --epochs\ntrainingInput.args[1]: 3\n",
        ),
        ("text[no-pad](jobId,state)", "---\njobId: train_1\nstate: SUCCEEDED\n"),
        ("list(jobId,state)", " - train_1\n   SUCCEEDED\n"),
        ('list[title="Jobs:",compact](jobId)', "Jobs:\n- train_1\n"),
        ("object(jobId)", "{'jobId': 'train_1'}\n"),
        ("none", ""),
        (
            "multi(jobId:format='value(@)',trainingOutput.trials:format='csv[no-heading](trialId)')",
            "train_1\n10\n9\n",
        ),
    ],
)
def test_a_format_prints(form: str, printed: str):
    assert show(form, JOB) == printed


def test_an_element_of_a_list_stays_in_a_list():
    kept = json.loads(show("json(jobId,trainingInput.args[0])", JOB))

    assert kept == [{"jobId": "train_1", "trainingInput": {"args": ["--epochs"]}}]


def test_a_projection_keeps_the_shape_of_lists():
    kept = json.loads(show("json(trainingOutput.trials[].trialId,trainingOutput.trials.finalMetric)", JOB))

    assert kept == [
        {
            "trainingOutput": {
                "trials": [
                    {"trialId": "10", "finalMetric": {"objectiveValue": 0.9, "trainingStep": "200"}},
                    {"trialId": "9"},
                ]
            }
        }
    ]


def test_one_resource_is_an_object_and_one_of_a_list_an_array():
    assert json.loads(show("json", JOB, listed=False)) == JOB
    assert json.loads(show("json", JOB)) == [JOB]


def test_nested_formats_stand_below_the_table_and_only_where_there_is_something():
    form = "table(jobId,trainingOutput.trials:format='table[box](trialId)',nothing:format='table(a)')"

    assert show(form, JOB) == (
        "JOB_ID\ntrain_1\n    +----------+\n    | TRIAL_ID |\n"
        "    +----------+\n    | 10       |\n    | 9        |\n    +----------+\n"
    )


@given(st.lists(RESOURCES, max_size=4))
def test_json_reads_back_as_what_was_printed(resources: list):
    assert json.loads(show("json", *resources)) == resources


@given(st.lists(RESOURCES, max_size=4))
def test_yaml_of_a_list_reads_back_as_what_was_printed(resources: list):
    assert list(yaml.safe_load_all(show("yaml", *resources))) == resources


@given(st.lists(RESOURCES, min_size=1, max_size=4))
def test_csv_has_a_row_for_each_resource_and_a_cell_for_each_key(resources: list):
    text = show(f"csv({','.join(NAMES)})", *resources)

    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert len(rows) == 1 + len(resources)
    assert {len(row) for row in rows} == {len(NAMES)}


@given(st.lists(RESOURCES, min_size=1, max_size=4))
def test_a_table_has_a_line_for_each_resource_and_no_control_characters(resources: list):
    text = show(f"table({','.join(NAMES)})", *resources)

    assert len(text.removesuffix("\n").split("\n")) == 1 + len(resources)
    assert not [letter for letter in text if ord(letter) < 32 and letter != "\n"]


@given(st.lists(RESOURCES, max_size=4), st.sampled_from(sorted(set(FORMATS) - {"default"})))
def test_every_format_prints_every_resource(resources: list, name: str):
    text = show(f"{name}({','.join(NAMES)})", *resources)

    assert text == "" or text.endswith("\n")
