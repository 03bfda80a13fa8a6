"""Twenty thousand requests made from our OpenAPI page: none breaks the server, all answers can be read."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.stories.conftest import Server, Shell, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).resolve().parents[2]
REQUESTS = 20_000
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "answer_is_readable",
)
# Each half has a core to itself and one thread: in Python 3.11, two that parse can end in a SystemError.
# The first has the methods that take the largest messages.
_LARGE = "/(jobs|models)"
HALVES = {"large": ("--include-path-regex", _LARGE), "others": ("--exclude-path-regex", _LARGE)}
RUNTIME = "2026.11-sklearn"
TRAIN = (
    "import sys, joblib, numpy\nfrom sklearn.linear_model import LinearRegression\n"
    "joblib.dump(LinearRegression().fit(numpy.array([[0.0], [1.0]]), [1.0, 3.0]), sys.argv[1])\n"
)


class Caller:
    """Asks the server, one JSON after the other."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint

    def __call__(self, verb: str, path: str, body: Any = None) -> Any:
        content = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.endpoint + path, data=content, method=verb)
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.loads(response.read() or b"{}")


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[Server]:
    """A server whose only slot is taken by a job that sleeps: whatever else is submitted waits."""
    server = Server(tmp_path / "data", Shell(tmp_path, {"MLENGINE_MAX_RUNNING_JOBS": "1"}))
    server.start()
    yield server
    call = Caller(server.endpoint)
    while queued := [job for job in _jobs(call) if job["state"] == "QUEUED"]:
        for job in queued:
            call("POST", f"/v1/projects/local/jobs/{job['jobId']}:cancel", {})
    call("POST", "/v1/projects/local/jobs/sleeper:cancel", {})
    wait_until(lambda: _state(call, "sleeper") in ("CANCELLED", "FAILED"), "the sleeper's end")
    server.shell.run("server", "stop", code=None)


def _jobs(call: Caller) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    token = ""
    while True:
        page = call("GET", f"/v1/projects/local/jobs?pageSize=100{token}")
        found += page.get("jobs", [])
        if "nextPageToken" not in page:
            return found
        token = f"&pageToken={quote(page['nextPageToken'])}"


def _state(call: Caller, job: str) -> str:
    return str(call("GET", f"/v1/projects/local/jobs/{job}")["state"])


def _package() -> bytes:
    """An sdist of a trainer that sleeps."""
    files = {
        "setup.py": "from setuptools import setup\nsetup(name='t', version='1', packages=['trainer'])\n",
        "trainer/__init__.py": "",
        "trainer/task.py": "import time\ntime.sleep(900)\n",
    }
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"t-1/{name}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return packed.getvalue()


@pytest.fixture
def ground(busy: Server) -> Path:
    """What is there to be asked for, on the server and in the file that the hooks read."""
    call, shell = Caller(busy.endpoint), busy.shell
    python = shell.run("runtimes", "build", RUNTIME, timeout=600).stdout.split()[-1]
    shell.program(python, "-c", TRAIN, str(shell.cwd / "model.joblib"))
    call("POST", "/storage/v1/b?project=local", {"name": "ground"})
    upload = "/upload/storage/v1/b/ground/o?uploadType=media&name="
    call("POST", upload + "t-1.tar.gz", _package())
    call("POST", upload + quote("line/model.joblib", safe=""), (shell.cwd / "model.joblib").read_bytes())
    spare = [f"spare-{number}" for number in range(20)]
    for name in ("one", "a/b ö", *spare):
        call("POST", upload + quote(name, safe=""), b"content")

    training = {
        "packageUris": ["gs://ground/t-1.tar.gz"],
        "pythonModule": "trainer.task",
        "region": "us-central1",
        "runtimeVersion": RUNTIME,
        "jobDir": "gs://ground/jobs",
    }
    for job in ("sleeper", "waits_1", "waits_2"):
        call("POST", "/v1/projects/local/jobs", {"jobId": job, "trainingInput": training})
    wait_until(lambda: _state(call, "sleeper") in ("RUNNING", "FAILED"), "the sleeper")
    assert _state(call, "sleeper") == "RUNNING"
    models = ["line", *(f"spare_{number}" for number in range(20))]
    for model in models:
        call("POST", "/v1/projects/local/models", {"name": model, "regions": ["us-central1"]})
    version = {"name": "v1", "deploymentUri": "gs://ground/line", "runtimeVersion": RUNTIME}
    operation = call("POST", "/v1/projects/local/models/line/versions", version)
    wait_until(lambda: call("GET", f"/v1/{operation['name']}").get("done"), "the version")
    account, other = (
        call("POST", "/v1/projects/local/serviceAccounts", {"accountId": name})
        for name in ("fuzzed", "fuzzed-too")
    )

    path = shell.cwd / "ground.json"
    path.write_text(
        json.dumps(
            {
                "project": "local",
                "names": {
                    "job": ["waits_1", "waits_2"],
                    "model": ["line"],
                    "version": ["v1"],
                    "operation": [operation["name"].rpartition("/")[2]],
                    "bucket": ["ground"],
                    "target_bucket": ["ground"],
                    "object": ["one", "a/b ö"],
                    "target": ["two", "a/c"],
                    "account": [account["email"]],
                    "location": ["us-central1"],
                },
                "spare": {
                    "model": models[1:],
                    "version": ["v2"],
                    "account": [other["email"]],
                    "object": spare,
                    "target": [f"{name}-new" for name in spare],
                },
                "bodies": {
                    "POST /v1/projects/{project}/jobs": {"trainingInput": training},
                    "POST /v1/projects/{project}/models": {"regions": ["us-central1"]},
                    "PATCH /v1/projects/{project}/jobs/{job}": {"labels": {"a": "b"}},
                    "PATCH /v1/projects/{project}/models/{model}": {"labels": {"a": "b"}},
                    # Its folder is not there: every model that is takes a process to look at it.
                    "POST /v1/projects/{project}/models/{model}/versions": {
                        "deploymentUri": "gs://ground/nothing",
                        "runtimeVersion": RUNTIME,
                    },
                    "POST /v1/projects/{project}/models/{model}:predict": {"instances": [[1.0]]},
                    "POST /v1/projects/{project}/models/{model}/versions/{version}:predict": {
                        "instances": [[1.0], [2.0]]
                    },
                },
                "queries": {
                    "GET /$discovery/rest": {"version": "v1"},
                    "POST /storage/v1/b": {"project": "local"},
                    "POST /upload/storage/v1/b/{bucket}/o": {"uploadType": "media", "name": "two"},
                    "PATCH /v1/projects/{project}/jobs/{job}": {"updateMask": "labels"},
                    "PATCH /v1/projects/{project}/models/{model}": {"updateMask": "labels"},
                },
                "ids": {
                    "POST /v1/projects/{project}/jobs": "jobId",
                    "POST /v1/projects/{project}/models": "name",
                    "POST /v1/projects/{project}/models/{model}/versions": "name",
                },
            }
        )
    )
    return path


def test_no_generated_request_breaks_the_server(busy: Server, ground: Path, tmp_path: Path):
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PYTHONPATH": str(ROOT),
        "SCHEMATHESIS_HOOKS": "tests.clients.schemathesis_hooks",
        "MLENGINE_TEST_GROUND": str(ground),
    }
    program = str(Path(sys.executable).with_name("schemathesis"))
    reports = {half: tmp_path / f"{half}.json" for half in HALVES}
    running = [
        subprocess.Popen(
            [
                program, "run", f"{busy.endpoint}/openapi.json", *chosen, "--no-color", "--seed", "8",
                "--phases", "coverage,fuzzing", "--max-examples", "155", "--continue-on-failure",
                "--checks", ",".join(CHECKS), "--request-timeout", "30",
                "--suppress-health-check", "all", "--warnings", "off",
                "--report", "json", "--report-json-path", str(reports[half]),
            ],
            env=environment, cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        for half, chosen in HALVES.items()
    ]  # fmt: skip
    with ThreadPoolExecutor() as readers:
        said = [out for out, _ in readers.map(lambda process: process.communicate(timeout=800), running)]

    assert [process.returncode for process in running] == [0, 0], "\n".join(said)
    counted = [json.loads(report.read_text()) for report in reports.values()]
    assert sum(report["test_cases"]["generated"] for report in counted) >= REQUESTS
    assert all(report["operations"]["tested"] == report["operations"]["selected"] for report in counted)
    # That all were refused would show nothing.
    rates = {label: rate for report in counted for label, rate in report["valid_rates"].items()}
    for label in ("POST /v1/projects/{project}/jobs", "PATCH /v1/projects/{project}/models/{model}"):
        assert rates[label]["fuzzing"]["accepted"] > 0
    assert Caller(busy.endpoint)("GET", "/readyz") == {"status": "ready"}
