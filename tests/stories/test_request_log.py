"""Samples of requests and answers lie in a table and in a bucket; a place that is gone costs no answer."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from googleapiclient import discovery

from tests.stories.conftest import Server, Shell, wait_until
from tests.stories.test_monitoring import call, predict
from tests.stories.test_versions import TRAIN

COLUMNS = [
    *(
        {"name": name, "type": "STRING", "mode": "REQUIRED"}
        for name in ("model", "model_version", "raw_data")
    ),
    {"name": "time", "type": "TIMESTAMP", "mode": "REQUIRED"},
    *({"name": name, "type": "STRING"} for name in ("raw_prediction", "groundtruth")),
]
MODEL = "logged"


def ask(url: str, verb: str, body: Any = None) -> Any:
    """Any method of the server; an empty answer is None."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, method=verb, headers={"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def metrics(server: Server) -> Any:
    return call(f"{server.endpoint}/mlengine/v1/projects/local/models/{MODEL}/versions/v1/metrics")


@pytest.fixture(scope="module")
def version(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    folder = tmp_path_factory.mktemp("logged")
    shell = Shell(folder, dict(server.shell.environment))
    python = shell.run("runtimes", "build", "2026.11-sklearn", timeout=600).stdout.split()[-1]
    (folder / "line").mkdir()
    shell.program(python, "-c", TRAIN, str(folder / "line" / "model.joblib"))
    shell.run("models", "create", MODEL, "--regions", "us-central1")
    shell.run("versions", "create", "v1", "--model", MODEL, "--origin", "line")
    return shell


def test_a_table_gets_samples_and_its_end_costs_no_answer(server: Server, version: Shell) -> None:
    tables = f"{server.endpoint}/bigquery/v2/projects/local/datasets"
    update = ("versions", "update", "v1", "--model", MODEL)
    ask(tables, "POST", {"datasetReference": {"projectId": "local", "datasetId": "request_logs"}})
    for name, columns in (("good", COLUMNS), ("bad", COLUMNS[:3])):
        reference = {"projectId": "local", "datasetId": "request_logs", "tableId": name}
        body = {"tableReference": reference, "schema": {"fields": columns}}
        ask(f"{tables}/request_logs/tables", "POST", body)

    absent = version.run(*update, "--bigquery-table-name", "local.request_logs.none", code=1)
    lacking = version.run(*update, "--bigquery-table-name", "local.request_logs.bad", code=1)
    patch_with_googles_client(
        server, {"bigqueryTableName": "local.request_logs.good", "samplingPercentage": 1.0}
    )
    described = version.json("versions", "describe", "v1", "--model", MODEL)
    wait_until(lambda: logged_after_asking(server) >= 3, "a row in the table", 30)

    rows = ask(f"{tables}/request_logs/tables/good/data", "GET")["rows"]
    cells = dict(
        zip([column["name"] for column in COLUMNS], [cell["v"] for cell in rows[0]["f"]], strict=True)
    )
    assert "Not found: Table local:request_logs.none" in absent.stderr
    assert "it has no column time" in lacking.stderr
    assert described["requestLoggingConfig"] == {
        "bigqueryTableName": "local.request_logs.good",
        "samplingPercentage": 1,
    }
    assert (cells["model"], cells["model_version"], cells["groundtruth"]) == (MODEL, "v1", None)
    assert json.loads(cells["raw_data"]) == {"instances": [[2.0]]}
    assert json.loads(cells["raw_prediction"])["predictions"] == [pytest.approx(5.0)]

    ask(f"{tables}/request_logs/tables/good", "DELETE")
    answered = predict(server, [[2.0]], MODEL)
    wait_until(lambda: metrics(server)["sum"]["unlogged"] >= 1, "what was lost", 30)
    told = version.run("versions", "metrics", "v1", "--model", MODEL)

    assert answered["predictions"] == [pytest.approx(5.0)]
    assert "Table local:request_logs.good" in metrics(server)["requestLoggingError"]
    assert "are not logged" in told.stderr


def patch_with_googles_client(server: Server, config: dict[str, Any]) -> None:
    """As its documentation says: only by a patch, with this mask."""
    service = discovery.build(
        "ml", "v1", credentials=AnonymousCredentials(), client_options={"api_endpoint": server.endpoint}
    )
    versions = service.projects().models().versions()
    name = f"projects/local/models/{MODEL}/versions/v1"
    body = {"requestLoggingConfig": config}
    done = versions.patch(name=name, body=body, updateMask="requestLoggingConfig").execute()
    assert done["response"]["requestLoggingConfig"] == config
    service.close()


def logged_after_asking(server: Server) -> int:
    """Rows in the table, after one more request: the way of the first ones may not have been open yet."""
    predict(server, [[2.0]], MODEL)
    return int(metrics(server)["sum"]["logged"])


def test_a_bucket_gets_an_object_of_json_lines_for_the_hour(server: Server, version: Shell) -> None:
    version.run("storage", "mb", "gs://request-logs")
    before = metrics(server)["sum"]["logged"]
    update = ("versions", "update", "v1", "--model", MODEL)

    nowhere = version.run(*update, "--request-log", "gs://no-such-bucket-here/x", code=1)
    version.run(*update, "--request-log", "gs://request-logs/all")
    wait_until(lambda: logged_after_asking(server) >= before + 2, "an object in the bucket", 30)

    [name] = version.run("storage", "ls", f"gs://request-logs/all/{MODEL}/v1/*").stdout.split()
    lines = [json.loads(line) for line in version.run("storage", "cat", name).stdout.splitlines()]
    assert "no-such-bucket-here" in nowhere.stderr
    assert name.endswith(".jsonl")
    assert lines[0]["time"][:13] in name
    assert json.loads(lines[0]["raw_data"]) == {"instances": [[2.0]]}
    assert (lines[0]["model"], lines[0]["model_version"]) == (MODEL, "v1")
    assert "requestLoggingError" not in metrics(server)

    version.run(*update, "--clear-request-log")
    described = version.json("versions", "describe", "v1", "--model", MODEL)
    assert "requestLogging" not in described["mlengine"] and "requestLoggingConfig" not in described
