"""Following a job's log."""

from __future__ import annotations

import pytest

from mlengine.client.api import Api
from mlengine.client.logs import Pace, Place, follow, line
from mlengine.errors import NotFound
from tests.unit.client.small_server import Cut, SmallServer

JOB = "GET /v1/projects/local/jobs/j1"
LIST = "/v2/entries:list"


def entry(number: int, moment: str = "2026-11-02T09:30:00.5Z") -> dict:
    return {"timestamp": moment, "insertId": f"i{number:03}", "textPayload": f"line {number}"}


def test_all_lines_come_once_in_order_and_following_ends_with_the_job(server: SmallServer, api: Api):
    server.answers[JOB] = [(200, {}), (200, {}), (200, {"endTime": "2026-11-02T09:31:00Z"})]
    server.answers[f"POST {LIST}"] = [
        (200, {"entries": [entry(1), entry(2)], "nextPageToken": "more"}),
        (200, {"entries": [entry(3)]}),
        (200, {}),
        (200, {"entries": [entry(4)]}),
    ]
    naps: list[float] = []

    texts = [found["textPayload"] for found in follow(api, "j1", sleep=naps.append)]

    assert texts == ["line 1", "line 2", "line 3", "line 4"]
    assert naps == [0.5, 0.625]
    first, second, third, _ = (seen.json for seen in server.asked("POST", LIST))
    assert first["resourceNames"] == ["projects/local"]
    assert first["orderBy"] == "timestamp asc"
    assert 'resource.labels.job_id="j1" AND timestamp>="1970' in first["filter"]
    assert second["pageToken"] == "more"
    assert 'AND timestamp>="2026-11-02T09:29:59.500000Z"' in third["filter"]


def test_the_pauses_grow_while_nothing_comes_and_have_an_end(server: SmallServer, api: Api):
    server.answers[JOB] = [*[(200, {})] * 20, (200, {"endTime": "x"})]
    server.answers[f"POST {LIST}"] = (200, {})
    naps: list[float] = []

    assert list(follow(api, "j1", sleep=naps.append)) == []

    assert naps == sorted(naps)
    assert (naps[0], naps[-1], len(naps)) == (0.625, 2.0, 20)


def test_a_pause_that_was_chosen_stays(server: SmallServer, api: Api):
    server.answers[JOB] = [*[(200, {})] * 3, (200, {"endTime": "x"})]
    server.answers[f"POST {LIST}"] = (200, {})
    naps: list[float] = []

    assert list(follow(api, "j1", pace=Pace(7, 7), sleep=naps.append)) == []

    assert naps == [7, 7, 7]


def test_a_line_that_becomes_visible_after_a_younger_one_is_not_lost(server: SmallServer, api: Api):
    late, young = entry(1, "2026-11-02T09:30:00.1Z"), entry(2, "2026-11-02T09:30:00.2Z")
    server.answers[JOB] = [(200, {}), (200, {"endTime": "x"})]
    server.answers[f"POST {LIST}"] = [(200, {"entries": [young]}), (200, {"entries": [late, young]})]

    texts = [found["textPayload"] for found in follow(api, "j1", sleep=lambda _: None)]

    assert texts == ["line 2", "line 1"]


def test_a_task_is_asked_for_under_both_labels(server: SmallServer, api: Api):
    server.answers[JOB] = (200, {"endTime": "x"})
    server.answers[f"POST {LIST}"] = (200, {})

    assert list(follow(api, "j1", task="master-replica-0")) == []

    asked = server.asked("POST", LIST)[0].json["filter"]
    assert '(resource.labels.task_name="master-replica-0" OR labels.task_name="master-replica-0")' in asked


def test_a_server_that_restarts_is_waited_for_and_nothing_is_lost_or_doubled(server: SmallServer, api: Api):
    def away(_: object):
        raise Cut

    server.answers[JOB] = [(200, {}), away, away, (200, {"endTime": "x"})]
    server.answers[f"POST {LIST}"] = [(200, {"entries": [entry(1)]}), (200, {"entries": [entry(2)]})]
    said: list[str] = []

    texts = [found["textPayload"] for found in follow(api, "j1", notify=said.append, sleep=lambda _: None)]

    assert texts == ["line 1", "line 2"]
    assert said == [
        f"No answer from {server.endpoint}; the job goes on there. Trying again.",
        "The server answers again.",
    ]


def test_an_unknown_job_is_said_at_once(api: Api):
    with pytest.raises(NotFound):
        list(follow(api, "j1"))


def test_a_crowded_second_is_asked_for_from_the_last_entry_on():
    place = Place()

    assert all(place.passed(entry(number)) for number in range(1000))
    assert not place.passed(entry(999))
    assert place.after == (
        '((timestamp="2026-11-02T09:30:00.5Z" AND insertId>"i999") OR timestamp>"2026-11-02T09:30:00.5Z")'
    )


def test_what_is_remembered_of_a_long_log_is_its_last_second():
    place = Place()

    for number in range(10_000):
        moment = f"2026-11-02T{9 + number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}Z"
        assert place.passed(entry(number, moment))

    assert place.after.startswith("timestamp>=")


def test_task_trial_and_message_are_found_under_each_of_their_names():
    modern = line(
        {
            "severity": "INFO",
            "timestamp": "t",
            "resource": {"labels": {"task_name": "service"}},
            "labels": {"ml.googleapis.com/trial_id": "3"},
            "jsonPayload": {"message": "hello"},
        }
    )
    bare = line({"labels": {"ml.googleapis.com/task_name": "ps-replica-0"}, "textPayload": "x"})

    assert (modern.task, modern.trial, modern.message) == ("service", "3", "hello")
    assert (bare.severity, bare.task, bare.trial, bare.message) == ("DEFAULT", "ps-replica-0", "", "x")
    assert line({}).task == "unknown_task"
