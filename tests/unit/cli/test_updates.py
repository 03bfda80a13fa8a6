"""`jobs update`, `models update`, `versions update`: what is read, what is sent, what is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.conftest import Run
from tests.unit.client.small_server import SmallServer

PROJECT = "/v1/projects/local"
JOB, MODEL, VERSION = f"{PROJECT}/jobs/j1", f"{PROJECT}/models/m", f"{PROJECT}/models/m/versions/v"


@pytest.fixture
def present(server: SmallServer) -> SmallServer:
    """A job, a model and a version with labels, and a server that takes any change."""
    done = (200, {"name": "projects/local/operations/op1", "done": True, "response": {}})
    for path in (JOB, MODEL, VERSION):
        server.answers[f"GET {path}"] = (200, {"labels": {"team": "a", "old": "x"}})
        server.answers[f"PATCH {path}"] = (200, {}) if path == JOB else done
    return server


@pytest.mark.parametrize(
    ("flags", "labels"),
    [
        ("--update-labels team=b,new=y", {"team": "b", "old": "x", "new": "y"}),
        ("--remove-labels old,none", {"team": "a"}),
        ("--clear-labels", {}),
        ("--clear-labels --update-labels team=c", {"team": "c"}),
        ("--remove-labels team --update-labels team=d", {"team": "d", "old": "x"}),
    ],
)
def test_a_label_update_sends_the_whole_merged_map(run: Run, present: SmallServer, flags: str, labels: dict):
    done = run("jobs", "update", "j1", *flags.split())

    assert (done.code, done.out, done.err) == (0, "", "Updated ml engine job [j1].\n")
    (sent,) = present.asked("PATCH", JOB)
    assert sent.json == {"labels": labels}
    assert sent.query == {"updateMask": "labels"}


@pytest.mark.parametrize("words", ["jobs update j1", "models update m", "versions update v --model m"])
def test_an_update_without_a_change_is_refused_and_asks_nobody(run: Run, present: SmallServer, words: str):
    done = run(*words.split())

    assert done.code == 1
    assert "No updates requested." in done.err
    assert present.seen == []


@pytest.mark.parametrize("words", ["jobs update j1", "models update m", "versions update v --model m"])
def test_labels_that_are_so_already_change_nothing(run: Run, present: SmallServer, words: str):
    done = run(*words.split(), "--update-labels", "team=a")

    assert (done.code, done.out, done.err) == (0, "", "No update to perform.\n")
    assert {seen.verb for seen in present.seen} == {"GET"}


def test_a_models_update_names_labels_before_the_description(run: Run, present: SmallServer):
    done = run("models", "update", "m", "--description", "", "--remove-labels", "old")

    assert (done.code, done.out) == (0, "")
    assert done.err == "Updating model [m]...done.\nUpdated ai platform model [m].\n"
    (sent,) = present.asked("PATCH", MODEL)
    assert sent.json == {"description": "", "labels": {"team": "a"}}
    assert sent.query == {"updateMask": "labels,description"}


def test_a_versions_update_sends_a_sorted_mask_with_scaling_by_its_fields(
    run: Run, present: SmallServer, tmp_path: Path
):
    (tmp_path / "v.yaml").write_text("autoScaling: {minNodes: 1, maxNodes: 3}\ndescription: file\n")

    done = run(
        "versions", "update", "v", "--model", "m", "--config", "v.yaml", "--description", "flag",
        "--bigquery-table-name", "p.d.t", "--sampling-percentage", "0.5",
    )  # fmt: skip

    assert (done.code, done.out) == (0, "")
    assert done.err == "Updating version [v]...done.\nUpdated AI Platform version [v].\n"
    (sent,) = present.asked("PATCH", VERSION)
    assert sent.query == {
        "updateMask": "autoScaling.maxNodes,autoScaling.minNodes,description,requestLoggingConfig"
    }
    assert sent.json == {
        "autoScaling": {"minNodes": 1, "maxNodes": 3},
        "description": "flag",
        "requestLoggingConfig": {"bigqueryTableName": "p.d.t", "samplingPercentage": 0.5},
    }


def test_how_a_version_is_served_is_changed_field_by_field(run: Run, present: SmallServer):
    done = run("versions", "update", "v", "--model", "m", "--nodes", "2", "--max-batch-size", "8")

    assert done.code == 0
    (sent,) = present.asked("PATCH", VERSION)
    assert sent.query == {"updateMask": "manualScaling.nodes,mlengine.maxBatchSize"}
    assert sent.json == {"manualScaling": {"nodes": 2}, "mlengine": {"maxBatchSize": 8}}


def test_the_file_of_an_update_may_hold_only_what_can_change(run: Run, tmp_path: Path):
    (tmp_path / "v.yaml").write_text("framework: XGBOOST\n")

    done = run("versions", "update", "v", "--model", "m", "--config", "v.yaml")

    assert done.code == 1
    assert (
        "Invalid fields [framework] in configuration file [v.yaml]. "
        "Allowed fields: [autoScaling, description, manualScaling, mlengine, requestLoggingConfig]"
    ) in done.err


def test_an_update_that_fails_later_ends_with_1_and_claims_nothing(run: Run, present: SmallServer):
    failed = {"name": "projects/local/operations/op1", "done": True, "error": {"code": 9, "message": "no"}}
    present.answers[f"PATCH {MODEL}"] = (200, failed)

    done = run("models", "update", "m", "--description", "x")

    assert done.code == 1
    assert "ERROR: (mlengine.models.update) no" in done.err
    assert "Updated" not in done.err
