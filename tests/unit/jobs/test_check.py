"""`jobs:check`: what submitting would say, said before."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mlengine.errors import NotFound
from mlengine.jobs.methods import methods
from mlengine.jobs.preflight import Preflight
from mlengine.jobs.service import JobService
from mlengine.jobs.usage import UsageService
from mlengine.machines import Machine
from mlengine.names import ObjectUrl
from mlengine.web.method import Call
from tests.conftest import HandClock
from tests.trainer_package import trainer_package

PACKAGE = "gs://box/t-1.tar.gz"
GOOD = {
    "pythonModule": "trainer.task",
    "packageUris": [PACKAGE],
    "region": "us-central1",
    "jobDir": "gs://box/out",
}


@pytest.fixture
def rows(sqlite: Any, clock: HandClock) -> dict[str, Any]:
    def find(bucket: str) -> None:
        if bucket != "box":
            raise NotFound(f"There is no bucket '{bucket}'.")

    preflight = Preflight(lambda url, most: trainer_package("import no_such_framework\n"))
    service = JobService(
        sqlite,
        clock,
        object_exists=lambda url: url == ObjectUrl.parse(PACKAGE),
        find_bucket=find,
        changed=lambda: None,
        machine=Machine(cpus=4, memory_bytes=16 * 10**9),
        slots=1,
        report=preflight.report,
    )
    usage = UsageService.__new__(UsageService)  # the check asks nothing of it
    return {row.id: row.handler for row in methods(service, usage)}


def asked(rows: dict[str, Any], method: str, job_id: str, **training: Any) -> Any:
    body = json.dumps({"jobId": job_id, "trainingInput": {**GOOD, **training}}).encode()
    return rows[method](Call(path={"project": "local"}, body=iter((body,))))


def test_what_the_checks_find_is_told_with_its_severity(rows: dict[str, Any]) -> None:
    found = asked(rows, "mlengine.jobs.check", "j1", jobDir="gs://box/")["findings"]

    assert {(each["code"], each["severity"]) for each in found} == {
        ("missing-import", "ERROR"),
        ("job-dir-bucket-root", "WARNING"),
    }
    assert all(each["message"] for each in found)


def test_a_job_id_that_was_used_is_found_with_the_next_free_one(rows: dict[str, Any]) -> None:
    asked(rows, "ml.projects.jobs.create", "j1")

    found = asked(rows, "mlengine.jobs.check", "j1")["findings"]

    (taken,) = [each for each in found if each["code"] == "duplicate-job"]
    assert (taken["field"], taken["severity"]) == ("jobId", "ERROR")
    assert "j1_2" in taken["hint"] or "j2" in taken["hint"]


def test_all_that_is_missing_is_told_at_once_at_its_fields(rows: dict[str, Any]) -> None:
    found = asked(
        rows, "mlengine.jobs.check", "j1", packageUris=["gs://box/none.tar.gz"], jobDir="gs://none/out"
    )["findings"]

    fields = {each["field"] for each in found if each["severity"] == "ERROR"}
    assert {"trainingInput.packageUris[0]", "trainingInput.jobDir"} <= fields


def test_a_form_that_is_not_filled_in_is_a_finding_and_no_error(rows: dict[str, Any]) -> None:
    found = asked(rows, "mlengine.jobs.check", "j1", region="")["findings"]

    assert [(each["field"], each["severity"]) for each in found] == [("trainingInput.region", "ERROR")]


def test_checking_submits_nothing(rows: dict[str, Any]) -> None:
    asked(rows, "mlengine.jobs.check", "j1")

    answer = rows["ml.projects.jobs.list"](Call(path={"project": "local"}))

    assert "jobs" not in answer or answer["jobs"] == []
