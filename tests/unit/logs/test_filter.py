"""The filter language, as gcloud and people write it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mlengine.errors import InvalidArgument
from mlengine.logs.domain import FIRST, LAST, Entry
from mlengine.logs.filter import parse_filter
from mlengine.names import JobName

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)


def entry(**changes: Any) -> Entry:
    values: dict[str, Any] = {
        "job": JobName("demo-project", "train_1"),
        "task": "master-replica-0",
        "file": "0",
        "seq": 3,
        "time": NOON,
        "severity": "WARNING",
        "message": "Loss is 0.25",
        "trial": "2",
    }
    return Entry(**values | changes)


GCLOUD = (
    '(resource.type="ml_job" OR resource.type="cloudml_job") AND resource.labels.job_id="train_1"'
    ' AND timestamp>="1970-01-01T01:00:00.000000000Z" AND timestamp<"2026-11-02T12:00:05Z"'
)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("", True),
        ("  \n ", True),
        (GCLOUD, True),
        (GCLOUD.replace("train_1", "train_2"), False),
        (GCLOUD + ' AND (resource.labels.task_name="master-replica-0" OR labels.task_name="x")', True),
        (GCLOUD + ' AND (resource.labels.task_name="x" OR labels.task_name="x")', False),
        (
            'resource.labels.job_id="train_1" AND ((timestamp="2026-11-02T12:00:00Z" AND insertId>"0")'
            ' OR timestamp>"2026-11-02T12:00:00Z")',
            True,
        ),
        ('timestamp="2026-11-02T12:00:00Z" AND insertId>"f"', False),
        ("severity>=ERROR", False),
        ("severity>=warning", True),
        ("severity=400", True),
        ("severity!=WARNING", False),
        ('labels."ml.googleapis.com/task_name"="master-replica-0"', True),
        ('labels."ml.googleapis.com/trial_id"="2"', True),
        ("resource.labels.trial_id=2", True),
        ("resource.labels.project_id=demo-project", True),
        ('jsonPayload.message:"LOSS IS"', True),
        ("textPayload:loss", True),
        ('jsonPayload.message="loss is 0.25"', False),
        ("NOT severity=WARNING", False),
        ("-severity=WARNING", False),
        ('-jsonPayload.message:"accuracy"', True),
        ('severity=WARNING\njsonPayload.message:"loss" -- a comment\nresource.type=ml_job', True),
        ("severity=WARNING severity=ERROR", False),
        # OR binds closer than AND.
        ("severity=WARNING OR severity=ERROR AND severity=ERROR", False),
        ("severity=ERROR AND severity=ERROR OR severity=WARNING", False),
        ("(severity=ERROR AND severity=ERROR) OR severity=WARNING", True),
        ("NOT (severity=ERROR OR severity=INFO)", True),
        ("timestamp<=2026-11-02T12:00:00Z", True),
        ("timestamp<2026-11-02T21:00:00+09:00", False),
        ('logName="projects/demo-project/logs/master-replica-0"', True),
    ],
)
def test_a_filter_holds_or_not(text: str, holds: bool) -> None:
    assert parse_filter(text).match(entry()) is holds


def test_escapes_in_a_string_are_undone() -> None:
    assert parse_filter(r'jsonPayload.message="a \"b\" \\ c\n"').match(entry(message='a "b" \\ c\n'))


def test_no_entry_lies_outside_of_what_a_filter_implies() -> None:
    tick = timedelta(microseconds=1)
    text = '"2026-11-02T12:00:00Z"'

    assert parse_filter("").span() == (FIRST, LAST)
    assert parse_filter(GCLOUD).span() == (
        datetime(1970, 1, 1, 1, tzinfo=UTC),
        datetime(2026, 11, 2, 12, 0, 5, 1, tzinfo=UTC),
    )
    assert parse_filter(f"timestamp={text}").span() == (NOON, NOON + tick)
    assert parse_filter(f"timestamp={text} OR timestamp>{text}").span() == (NOON, LAST)
    assert parse_filter(f"timestamp={text} OR severity=INFO").span() == (FIRST, LAST)
    assert parse_filter(f"NOT timestamp={text}").span() == (FIRST, LAST)


@pytest.mark.parametrize(
    ("text", "jobs"),
    [
        (GCLOUD, {"train_1"}),
        ("resource.labels.job_id=a OR resource.labels.job_id=b", {"a", "b"}),
        ("resource.labels.job_id=a resource.labels.job_id=b", set()),
        ("resource.labels.job_id=a OR severity=INFO", None),
        ("NOT resource.labels.job_id=a", None),
        ("resource.labels.job_id:a", None),
        ("", None),
    ],
)
def test_a_filter_tells_which_jobs_can_match(text: str, jobs: set[str] | None) -> None:
    assert parse_filter(text).jobs() == jobs


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("sevrity=INFO", 1),
        ("severity", 9),
        ("severity INFO", 10),
        ("severity=", 10),
        ("severity=LOUD", 10),
        ("timestamp>yesterday", 11),
        ('timestamp>"2026-11-02T12:00:00"', 11),
        ("severity=INFO AND", 18),
        ("severity=INFO OR", 17),
        ("NOT", 4),
        ("(severity=INFO", 15),
        ("severity=INFO)", 14),
        ("()", 2),
        ('"free text"', 1),
        ("severity=~INFO", 10),
        ("AND severity=INFO", 1),
        ('jsonPayload.message="open', 21),
        ("(" * 60 + "severity=INFO" + ")" * 60, 51),
        ("-" * 1, 2),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(text: str, position: int) -> None:
    with pytest.raises(InvalidArgument, match=rf"at character {position} "):
        parse_filter(text)


def test_a_misspelled_field_gets_the_nearest_one() -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse_filter('resource.labels.jobid="a"')

    assert "resource.labels.job_id" in str(caught.value)


def test_an_endless_filter_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="longer than"):
        parse_filter("severity=INFO " * 2_000)


@pytest.mark.parametrize(
    ("text", "severities"),
    [
        ("severity>=ERROR", {"ERROR", "CRITICAL", "ALERT", "EMERGENCY"}),
        ("severity=WARNING", {"WARNING"}),
        ("severity=WARNING OR severity=ERROR", {"WARNING", "ERROR"}),
        ("severity>=CRITICAL AND severity>=ERROR AND textPayload:x", {"CRITICAL", "ALERT", "EMERGENCY"}),
        ("severity=WARNING OR textPayload:x", None),
        ("NOT severity=WARNING", None),
        ("severity<=INFO", None),
        ("textPayload:ERROR", None),
        ("", None),
    ],
)
def test_a_filter_tells_which_severities_alone_can_match(text: str, severities: set[str] | None):
    assert parse_filter(text).severities() == severities
