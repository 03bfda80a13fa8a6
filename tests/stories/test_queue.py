"""200 jobs in the queue at once: all of them run, in their order, and the server answers meanwhile."""

from __future__ import annotations

import json
import statistics
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.stories.conftest import Server, Shell, wait_until

JOBS = 200
URGENT = 5
PACKAGE = {
    "trainer/__init__.py": "",
    "trainer/task.py": "import sys; print('done', sys.argv[1:3])",
}


def call(server: Server, verb: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    request = urllib.request.Request(
        f"{server.endpoint}/v1/projects/local/{path}",
        method=verb,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def pages(server: Server) -> Iterator[dict[str, Any]]:
    token = ""
    while True:
        page = call(server, "GET", f"jobs?pageSize=100&pageToken={token}")
        yield from page.get("jobs", [])
        if not (token := page.get("nextPageToken", "")):
            return


@pytest.fixture
def package(own_server: Server, tmp_path: Path) -> str:
    """The URL of a small trainer, uploaded with a first job, which builds what all need."""
    for name, text in PACKAGE.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    shell = own_server.shell
    shell.run("storage", "mb", "gs://crowd")
    shell.run(
        *("jobs", "submit", "training", "first", "--module-name", "trainer.task"),
        *("--package-path", "trainer", "--job-dir", "gs://crowd/out", "--stream-logs"),
        *("--runtime-version", "2026.11-sklearn"),
    )
    [uri] = shell.json("jobs", "describe", "first")["trainingInput"]["packageUris"]
    return str(uri)


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_two_hundred_jobs_all_run_in_their_order_while_the_server_answers(
    own_server: Server, package: str
) -> None:
    training = {
        "pythonModule": "trainer.task",
        "packageUris": [package],
        "region": "here",
        "runtimeVersion": "2026.11-sklearn",
    }
    for number in range(JOBS):
        urgent = {"scheduling": {"priority": 9}} if number >= JOBS - URGENT else {}
        call(own_server, "POST", "jobs", {"jobId": f"j{number}", "trainingInput": training | urgent})
    waits: list[float] = []
    deadline = time.monotonic() + 1200
    while True:
        began = time.monotonic()
        page = call(own_server, "GET", "jobs?pageSize=100")
        waits.append(time.monotonic() - began)
        if page["jobs"][0]["jobId"] != "first" and not unfinished(own_server):
            break
        assert time.monotonic() < deadline, "not all of them have run"
        time.sleep(0.2)

    jobs = {job["jobId"]: job for job in pages(own_server)}
    assert set(jobs) == {"first", *(f"j{number}" for number in range(JOBS))}
    assert {job["state"] for job in jobs.values()} == {"SUCCEEDED"}
    assert all("restarts" not in job["trainingOutput"]["mlengine"] for job in jobs.values())
    started = [job["startTime"] for job in (jobs[f"j{number}"] for number in range(JOBS - URGENT))]
    # Two run side by side, and of those the one that was second may be seen to run first.
    misplaced = [n for n, moment in enumerate(started[2:]) if moment < started[n]]
    assert misplaced == []
    # What was more urgent and came last still overtook most of those before.
    last_urgent = max(jobs[f"j{number}"]["startTime"] for number in range(JOBS - URGENT, JOBS))
    assert sum(moment > last_urgent for moment in started) > JOBS // 2
    assert statistics.median(waits) < 0.1


def unfinished(server: Server) -> bool:
    query = "NOT%20state%3DSUCCEEDED%20AND%20NOT%20state%3DFAILED"
    return "jobs" in call(server, "GET", f"jobs?pageSize=1&filter={query}")


def test_a_job_that_waits_says_for_what_and_runs_when_its_turn_comes(
    own_server: Server, package: str
) -> None:
    shell: Shell = own_server.shell
    (own_server.shell.cwd / "trainer" / "task.py").write_text("import time; time.sleep(3600)")
    for job_id in ("long_1", "long_2"):
        shell.run(
            *("jobs", "submit", "training", job_id, "--module-name", "trainer.task"),
            *("--package-path", "trainer", "--job-dir", "gs://crowd/out", "--scale-tier", "custom"),
            *("--master-machine-type", "n1-highmem-96", "--runtime-version", "2026.11-sklearn"),
        )
    wait_until(lambda: shell.json("jobs", "describe", "long_1")["state"] == "RUNNING", "the first")

    waiting = shell.json("jobs", "describe", "long_2")
    assert (waiting["state"], waiting["jobPosition"]) == ("QUEUED", "1")
    assert "job long_1 has it" in waiting["trainingOutput"]["mlengine"]["waitReason"]

    shell.run("jobs", "cancel", "long_1")
    wait_until(lambda: shell.json("jobs", "describe", "long_2")["state"] == "RUNNING", "the second")
    said = (own_server.data_dir / "logs" / "local" / "long_2" / "service.jsonl").read_text()
    assert "Position 1 in the queue. It waits for" in said
    shell.run("jobs", "cancel", "long_2")


def test_what_a_job_used_is_shown_while_it_runs_and_after(own_server: Server, package: str) -> None:
    shell = own_server.shell
    (shell.cwd / "trainer" / "task.py").write_text(
        "import time\nend = time.time() + 3\nwhile time.time() < end: sum(range(1000))\n"
    )
    shell.run(
        *("jobs", "submit", "training", "used_1", "--module-name", "trainer.task", "--stream-logs"),
        *("--package-path", "trainer", "--job-dir", "gs://crowd/out", "--runtime-version", "2026.11-sklearn"),
    )

    rows = shell.json("jobs", "metrics", "used_1")
    table = shell.run("jobs", "metrics", "used_1", "--rows", "2").stdout
    lock = shell.run("jobs", "requirements", "used_1").stdout

    assert {row["task"] for row in rows} == {"master-replica-0"}
    assert float(rows[-1]["cpuSeconds"]) > 2
    assert max(int(row["memoryBytes"]) for row in rows) > 1e6
    assert table.splitlines()[0].split()[:4] == ["TASK", "TIME", "CPUS", "MEMORY_MB"]
    assert len(table.splitlines()) == 3
    assert "scikit-learn==" in lock


def test_machine_types_are_listed_with_what_they_are_mapped_to(shell: Shell) -> None:
    rows = {row["name"]: row for row in shell.json("machine-types", "list")}
    table = shell.run("machine-types", "list", "--filter", "name=n1-standard-4").stdout

    assert rows["BASIC"]["available"] is True
    assert rows["standard_p100"]["replicas"] == [
        {
            "role": "master",
            "count": 1,
            "type": "standard_p100",
            "cpus": 8,
            "memoryGb": 30,
            "accelerators": {"type": "NVIDIA_TESLA_P100", "count": 1},
        }
    ]
    assert rows["BASIC_TPU"]["available"] is False
    assert "4 CPUs, 15 GB" in table
    assert shell.json("machine-types", "describe", "complex_model_m")["kind"] == "LEGACY"
    assert "Did you mean" in shell.run("machine-types", "describe", "n1-standart-4", code=1).stderr
