"""How fast the queue and lists of jobs are: with 100,000 finished jobs, and while 200 jobs run.

    python -m benchmarks.queue [--jobs 100000] [--queued 200]

A server of its own, SQLite. The finished jobs are written into its database; the queued ones are submitted
over HTTP and really run: each prints a line, in a job's usual environment.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert
from sqlalchemy import text as sql

from mlengine.backends.database import open_database
from mlengine.jobs import store
from mlengine.jobs.domain import Job, State, TrainingInput
from mlengine.names import JobName

MLENGINE = str(Path(sys.executable).with_name("mlengine"))
QUERIES = (
    *("", "state=FAILED", "state=QUEUED OR state=RUNNING", "labels.team=rare", "labels.team=many"),
    *("jobId=j77", "createTime>2026-11-02", "state=FAILED labels.team=many", "errorMessage:disk"),
)
RUNTIME = "2026.11-sklearn"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="How fast the queue and lists of jobs are.")
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--queued", type=int, default=200)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder), asked.jobs)
        with server(Path(folder)) as (endpoint, environment):
            say(f"First page of 20, with {asked.jobs:,} finished jobs, 30 times each:\n")
            say("| filter | median ms | longest ms |\n|---|---|---|")
            for query in QUERIES:
                times = [seconds(endpoint, query) * 1000 for _ in range(30)]
                say(f"| `{query}` | {statistics.median(times):.1f} | {max(times):.1f} |")
            if asked.queued:
                run_queue(endpoint, environment, Path(folder), asked.queued)


def say(text: str) -> None:
    """A line of the result."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def fill(folder: Path, count: int) -> None:
    """Write finished jobs, one in a thousand failed, one in five hundred with a rare label."""
    database = open_database(f"sqlite:///{folder / 'mlengine.db'}")
    began = datetime(2026, 11, 1, tzinfo=UTC)
    training = TrainingInput(
        python_module="trainer.task",
        package_uris=("gs://box/trainer-0.1.tar.gz",),
        region="us-central1",
        runtime=RUNTIME,
        args=("--epochs", "10", "--learning-rate", "0.01"),
    )
    model = Job(name=JobName("local", "j"), uid="", training=training, created=began)
    with database.begin() as db:
        for start in range(0, count, 5000):
            jobs = [
                replace(
                    model,
                    name=JobName("local", f"j{number}"),
                    uid=f"{number:016x}",
                    created=began + timedelta(seconds=number),
                    started=began + timedelta(seconds=number),
                    ended=began + timedelta(seconds=number + 60),
                    state=State.FAILED if number % 1000 == 0 else State.SUCCEEDED,
                    labels={"team": "rare" if number % 500 == 0 else "many"},
                )
                for number in range(start, min(count, start + 5000))
            ]
            db.execute(insert(store.JOBS), [store._row(job) for job in jobs])
            labels = [
                {"uid": job.uid, "key": "team", "value": job.labels["team"], "project": "local"}
                | {"created": job.created}
                for job in jobs
            ]
            db.execute(insert(store.LABELS), labels)
        db.execute(sql("ANALYZE"))
    database.close()


@contextmanager
def server(folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """A running server on `folder`; its address, and the environment for commands."""
    foreign = ("MLENGINE_", "PYTHON")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
    environment["MLENGINE_DATA_DIR"] = str(folder)
    run(environment, "server", "start", "--detach", "--port", "0")
    try:
        endpoint = run(environment, "server", "status", "--format", "value(endpoint)").strip()
        environment["MLENGINE_ENDPOINT"] = endpoint
        yield endpoint, environment
    finally:
        run(environment, "server", "stop")


def run(environment: dict[str, str], *words: str) -> str:
    """The output of a command that must succeed."""
    return subprocess.run(
        [MLENGINE, *words], env=environment, check=True, capture_output=True, text=True
    ).stdout


def call(endpoint: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """One request; the answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{endpoint}/v1/projects/local/{path}", data=data)
    with urllib.request.urlopen(request, timeout=60) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def seconds(endpoint: str, query: str) -> float:
    """How long the first page takes."""
    began = time.monotonic()
    call(endpoint, f"jobs?pageSize=20&filter={urllib.parse.quote(query)}")
    return time.monotonic() - began


def run_queue(endpoint: str, environment: dict[str, str], folder: Path, count: int) -> None:
    """Submit jobs, and list while they run."""
    (folder / "trainer").mkdir()
    (folder / "trainer" / "__init__.py").touch()
    (folder / "trainer" / "task.py").write_text("print('done')\n")
    run(environment, "storage", "mb", "gs://queue")
    run(
        environment,
        *("jobs", "submit", "training", "first", "--module-name", "trainer.task", "--stream-logs"),
        *("--package-path", str(folder / "trainer"), "--job-dir", "gs://queue/out"),
        *("--runtime-version", RUNTIME),
    )
    training = call(endpoint, "jobs/first")["trainingInput"]
    began = time.monotonic()
    for number in range(count):
        call(endpoint, "jobs", {"jobId": f"queued_{number}", "trainingInput": training})
    submitted = time.monotonic() - began
    times = []
    while "jobs" in call(endpoint, "jobs?pageSize=1&filter=state%3AING%20OR%20state%3DQUEUED"):
        times.append(seconds(endpoint, "") * 1000)
        time.sleep(0.25)
    ended = time.monotonic() - began
    good = sum(call(endpoint, f"jobs/queued_{number}")["state"] == "SUCCEEDED" for number in range(count))
    say(
        f"\n{count} jobs: submitted in {submitted:.1f} s, all ended after {ended:.1f} s, {good} succeeded. "
        f"`jobs list` meanwhile: median {statistics.median(times):.1f} ms, longest {max(times):.1f} ms, "
        f"of {len(times)}."
    )


if __name__ == "__main__":
    main()
