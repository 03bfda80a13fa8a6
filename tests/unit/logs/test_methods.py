"""`entries:list`, request by request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mlengine.errors import InvalidArgument
from mlengine.logs.methods import methods
from mlengine.logs.service import LogService
from mlengine.names import JobName
from mlengine.web.method import Call
from tests.conftest import HandClock

JOB = JobName("demo-project", "train_1")


@pytest.fixture
def logs(tmp_path: Path, clock: HandClock) -> LogService:
    made = LogService(tmp_path, clock)
    for number in range(5):
        clock.forward()
        made.write(JOB, f"line {number}", "ERROR" if number == 3 else "INFO")
    made.write(JobName("demo-project", "train_2"), "another job's")
    made.write(JobName("other-project", "train_1"), "another project's")
    return made


def ask(logs: LogService, **fields: Any) -> Any:
    (method,) = methods(logs)
    content = json.dumps({"resourceNames": ["projects/demo-project"]} | fields).encode()
    return method.handler(Call(path={}, body=iter([content])))


def told(answer: Any) -> list[str]:
    return [entry["jsonPayload"]["message"] for entry in answer.get("entries", [])]


def test_an_entry_has_what_gcloud_reads(logs: LogService) -> None:
    entry = ask(logs, filter='resource.labels.job_id="train_1"', pageSize=1)["entries"][0]

    assert entry == {
        "insertId": entry["insertId"],
        "timestamp": "2026-11-02T09:30:01.000000Z",
        "receiveTimestamp": "2026-11-02T09:30:01.000000Z",
        "severity": "INFO",
        "logName": "projects/demo-project/logs/service",
        "resource": {
            "type": "ml_job",
            "labels": {"job_id": "train_1", "task_name": "service", "project_id": "demo-project"},
        },
        "labels": {"ml.googleapis.com/job_id": "train_1", "ml.googleapis.com/task_name": "service"},
        "jsonPayload": {"message": "line 0"},
    }


@pytest.mark.parametrize("order", ["timestamp asc", "timestamp desc", "timestamp", ""])
def test_pages_tell_everything_once(logs: LogService, order: str) -> None:
    told_all: list[str] = []
    token, pages = "", 0
    while pages == 0 or token:
        page = ask(
            logs, filter='resource.labels.job_id="train_1"', orderBy=order, pageSize=2, pageToken=token
        )
        told_all += told(page)
        token = page.get("nextPageToken", "")
        pages += 1

    expected = [f"line {number}" for number in range(5)]
    assert told_all == (expected[::-1] if "desc" in order else expected)
    assert pages == 3


def test_a_page_that_ends_the_log_has_no_token(logs: LogService) -> None:
    assert "nextPageToken" not in ask(logs, filter='resource.labels.job_id="train_1"', pageSize=5)
    assert ask(logs, filter='resource.labels.job_id="nobody"') == {}


def test_without_a_job_all_of_the_project_is_told(logs: LogService) -> None:
    assert sorted(told(ask(logs, filter="severity=INFO")))[0] == "another job's"
    assert "another project's" not in told(ask(logs))
    assert told(ask(logs, filter="severity>=ERROR")) == ["line 3"]
    both = ask(logs, resourceNames=["projects/demo-project", "projects/other-project"])
    assert len(told(both)) == 7


def test_a_follower_by_timestamp_and_insert_id_misses_nothing(logs: LogService, clock: HandClock) -> None:
    last = ask(logs, filter='resource.labels.job_id="train_1"')["entries"][-1]
    logs.write(JOB, "same moment")
    clock.forward()
    logs.write(JOB, "later")

    moment = f'"{last["timestamp"]}"'
    behind = f'((timestamp={moment} AND insertId>"{last["insertId"]}") OR timestamp>{moment})'

    assert told(ask(logs, filter=f'resource.labels.job_id="train_1" AND {behind}')) == [
        "same moment",
        "later",
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"orderBy": "severity"},
        {"pageSize": "x"},
        {"pageSize": -1},
        {"pageToken": "!!"},
        {"resourceNames": []},
        {"resourceNames": ["folders/1"]},
        {"resourceNames": ["projects/../x"]},
        {"resourceNames": "projects/demo-project"},
        {"filter": 3},
        {"filter": "colour=red"},
    ],
)
def test_a_request_that_cannot_be_read_is_refused(logs: LogService, fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        ask(logs, **fields)


@pytest.mark.parametrize("order", ["timestamp asc", "timestamp desc"])
def test_lines_of_other_severities_are_passed_over_and_words_in_a_line_are_no_severity(
    logs: LogService, order: str
) -> None:
    logs.write(JOB, 'it said "ERROR"', "INFO")
    logs.write(JOB, "the last one", "CRITICAL")

    answer = ask(logs, filter='resource.labels.job_id="train_1" AND severity>=ERROR', orderBy=order)

    assert sorted(told(answer)) == ["line 3", "the last one"]


def test_a_job_without_a_log_has_no_entries(logs: LogService) -> None:
    assert told(ask(logs, filter='resource.labels.job_id="no_such"')) == []
    assert told(ask(logs, filter='resource.labels.job_id="../train_1"')) == []
