"""What is printed: tables, YAML, JSON, csv and value."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from mlengine.cli.output import snake, table, yaml_text
from tests.unit.cli.conftest import Run
from tests.unit.client.small_server import SmallServer, error

PROJECT = "/v1/projects/local"
JOBS = [
    {"jobId": "train1", "state": "SUCCEEDED", "createTime": "2020-05-01T10:00:00Z", "labels": {"a": "b"}},
    {"jobId": "bp1", "state": "RUNNING", "createTime": "2020-05-01T10:00:00.123456Z"},
]
MODEL = {
    "name": f"{PROJECT[4:]}/models/m1",
    "regions": ["us-central1"],
    "description": "두 줄\n1.5",
    "defaultVersion": {"name": "projects/local/models/m1/versions/v1", "runtimeVersion": "1.8"},
}


@pytest.fixture(autouse=True)
def resources(server: SmallServer) -> None:
    server.answers |= {
        f"GET {PROJECT}/jobs": (200, {"jobs": JOBS}),
        f"GET {PROJECT}/models": (200, {"models": [MODEL, {"name": "projects/local/models/m2"}]}),
        f"GET {PROJECT}/models/m1": (200, MODEL),
        f"GET {PROJECT}/models/m1/versions": (
            200,
            {"versions": [{"name": "x/versions/v1", "deploymentUri": "gs://b/model/v1", "state": "READY"}]},
        ),
        f"GET {PROJECT}/operations": (
            200,
            {
                "operations": [
                    {
                        "name": "p/op_CREATE_VERSION",
                        "metadata": {"operationType": "CREATE_VERSION"},
                        "done": True,
                    },
                    {"name": "p/op_DELETE_MODEL", "metadata": {"operationType": "DELETE_MODEL"}},
                ]
            },
        ),
    }


def test_the_tables_are_those_of_gcloud(run: Run):
    assert run("jobs", "list").out == (
        "JOB_ID  STATUS     CREATED\n"
        "train1  SUCCEEDED  2020-05-01T10:00:00\n"
        "bp1     RUNNING    2020-05-01T10:00:00\n"
    )
    assert run("models", "list").out == "NAME  DEFAULT_VERSION_NAME\nm1    v1\nm2\n"
    assert run("versions", "list", "--model=m1").out == (
        "NAME  DEPLOYMENT_URI   STATE\nv1    gs://b/model/v1  READY\n"
    )
    assert run("operations", "list").out == (
        "NAME               OPERATION_TYPE  DONE\n"
        "op_CREATE_VERSION  CREATE_VERSION  True\n"
        "op_DELETE_MODEL    DELETE_MODEL\n"
    )


@pytest.mark.parametrize(
    ("form", "printed"),
    [
        ("csv(jobId,state)", "job_id,status\ntrain1,SUCCEEDED\nbp1,RUNNING\n"),
        ("csv[no-heading](jobId)", "train1\nbp1\n"),
        ("value(jobId,labels.a)", "train1\tb\nbp1\t\n"),
        ("table(state)", "STATUS\nSUCCEEDED\nRUNNING\n"),
        ("table[no-heading](jobId,state)", "train1  SUCCEEDED\nbp1     RUNNING\n"),
        ("yaml(jobId)", "---\njobId: train1\n---\njobId: bp1\n"),
    ],
)
def test_formats_take_keys(run: Run, form: str, printed: str):
    assert run("jobs", "list", "--format", form).out == printed


def test_json_is_the_resources_whole(run: Run):
    assert json.loads(run("jobs", "list", "--format", "json").out) == JOBS
    assert json.loads(run("models", "describe", "m1", "--format=json").out) == MODEL


def test_limit_shows_so_many(run: Run):
    assert run("jobs", "list", "--limit", "1", "--format", "value(jobId)").out == "train1\n"


def test_nothing_found_is_said_beside_the_result(run: Run, server: SmallServer):
    server.answers[f"GET {PROJECT}/jobs"] = (200, {})

    table_form, json_form = run("jobs", "list"), run("jobs", "list", "--format", "json")

    assert (table_form.out, table_form.err) == ("", "Listed 0 items.\n")
    assert json_form.out == "[]\n"


def test_uri_prints_addresses_alone(run: Run, server: SmallServer):
    done = run("models", "list", "--uri", "--format", "json")

    assert done.out.splitlines() == [
        f"{server.endpoint}/v1/projects/local/models/m1",
        f"{server.endpoint}/v1/projects/local/models/m2",
    ]


def test_an_order_in_the_format_is_that_of_all_before_the_limit(run: Run):
    done = run("jobs", "list", "--limit", "1", "--format", "table[no-heading](jobId:sort=1)")

    assert done.out == "bp1\n"


def test_disable_does_not_ask_and_none_does(run: Run, server: SmallServer):
    run("jobs", "list", "--format", "disable")
    asked = len(server.seen)
    run("jobs", "list", "--format", "none")

    assert (asked, len(server.seen)) == (0, 1)


def test_a_wrong_expression_is_told_before_the_server_is_asked(run: Run, server: SmallServer):
    assert run("jobs", "list", "--filter", "a=").code == 2
    assert run("jobs", "list", "--format", "table(").code == 2
    assert server.seen == []


def test_summarize_prints_boxes_whatever_the_format(run: Run, server: SmallServer):
    server.answers[f"GET {PROJECT}/jobs/train1"] = (200, JOBS[0] | {"trainingInput": {"region": "r"}})

    done = run("jobs", "describe", "train1", "--summarize", "--format", "json")

    assert "Job Overview" in done.out
    assert "Training Input Summary" in done.out
    assert "WARNING: --format is ignored when --summarize is present." in done.err


def test_describe_is_yaml_with_sorted_keys_and_quoted_numbers(run: Run):
    assert run("models", "describe", "m1").out == (
        "defaultVersion:\n"
        "  name: projects/local/models/m1/versions/v1\n"
        "  runtimeVersion: '1.8'\n"
        "description: |-\n"
        "  두 줄\n"
        "  1.5\n"
        "name: projects/local/models/m1\n"
        "regions:\n"
        "- us-central1\n"
    )


def test_value_of_one_resource_digs_into_it(run: Run):
    done = run("models", "describe", "m1", "--format", "value(defaultVersion.name.basename(),regions)")

    assert done.out == "v1\tus-central1\n"


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        (
            error(404, "NOT_FOUND", "Field: name Error: No model 'm9'."),
            "NOT_FOUND: Field: name Error: No model 'm9'.",
        ),
        (error(409, "ALREADY_EXISTS", "It is there."), "ALREADY_EXISTS: It is there."),
        (error(400, "INVALID_ARGUMENT", "Wrong."), "INVALID_ARGUMENT: Wrong."),
    ],
)
def test_the_servers_refusals_carry_their_status(run: Run, server: SmallServer, answer: tuple, line: str):
    server.answers[f"GET {PROJECT}/models/m9"] = answer

    done = run("models", "describe", "m9")

    assert (done.code, done.out, done.err) == (1, "", f"ERROR: (mlengine.models.describe) {line}\n")


def test_wide_letters_take_two_places():
    assert table(["A", "B"], [["모델", "x"], ["ab", "y"]]) == "A     B\n모델  x\nab    y"


def test_a_cell_stays_on_one_line():
    assert table(["A", "B"], [["x\ny", "z"]]) == "A     B\nx\\ny  z"


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("classIds", "class_ids"),
        ("class_ids", "class_ids"),
        ("my key", "my_key"),
        ("dense/Softmax:0", "dense/softmax:0"),
        ("확률", "확률"),
    ],
)
def test_headings_are_snake_form_and_keep_odd_letters(key: str, name: str):
    assert snake(key) == name


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(TREES)
@example({"\x85": "a\x85b"})
@example(["\n\u2028", {"\u2029\n": "\x85"}])
def test_yaml_reads_back_as_what_was_printed(value: object):
    assert yaml.safe_load(yaml_text(value)) == value
