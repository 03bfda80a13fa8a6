"""How long a submitted job takes to its first line, as a ratio to `python -m trainer.task`, in one run.

    python -m benchmarks.submit [--runtime 2026.11-sklearn] [--rounds 10]

The runtime is built before. Every round starts the trainer in the runtime's own Python, then submits it to a
server of its own over HTTP, its package being in a bucket already, and reads the job's log until the line is
there (A B, A B, ...), so that what else happens on the machine hits both alike; the table shows medians. Each
trainer says when its own first statement ran, by which the time on the way to the log is told apart.
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
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from mlengine.environments import Builder, default_cache_dir, resolve

MLENGINE = str(Path(sys.executable).with_name("mlengine"))
TASK = "import time\nprint(f'first line {time.time()}', flush=True)\n"
SETUP = "from setuptools import setup\nsetup(name='trainer', version='0.1', packages=['trainer'])\n"
BUCKET = "benchmark-submit"
BARE = "python -m trainer.task"
STEPS = {
    BARE: "until its line is read",
    "job: service": "until the first line of the job's log is read",
    "job: trainer starts": "until the trainer's first statement runs",
    "job: trainer's line": "until the trainer's first line is read from the log",
}


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description="How long a job takes to its first line.")
    parser.add_argument("--runtime", default="2026.11-sklearn")
    parser.add_argument("--rounds", type=int, default=10)
    chosen = parser.parse_args()
    cache = default_cache_dir(os.environ)
    python = Builder(cache).build(resolve(chosen.runtime).runtime, _say)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # Without PYTHON…: compiled modules are kept, as on anybody's machine.
        foreign = ("MLENGINE_", "PYTHON")
        environment = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
        environment |= {"MLENGINE_DATA_DIR": str(folder / "data"), "MLENGINE_CACHE_DIR": str(cache)}
        archive = _package(folder)
        _run([MLENGINE, "server", "start", "--detach", "--port", "0"], environment)
        try:
            status = [MLENGINE, "server", "status", "--format", "value(endpoint)"]
            endpoint = _run(status, environment).strip()
            environment["MLENGINE_ENDPOINT"] = endpoint
            _run([MLENGINE, "storage", "mb", f"gs://{BUCKET}"], environment)
            _run([MLENGINE, "storage", "cp", str(archive), f"gs://{BUCKET}/"], environment)
            times: dict[str, list[float]] = {name: [] for name in STEPS}
            for number in range(chosen.rounds + 2):
                found = _bare(str(python), folder) | _job(endpoint, chosen.runtime, archive.name, number)
                if number >= 2:  # the first ones compile and fill the page cache
                    for name, seconds in found.items():
                        times[name].append(seconds)
        finally:
            _run([MLENGINE, "server", "stop"], environment)
    _print(times)


def _package(folder: Path) -> Path:
    (folder / "trainer").mkdir()
    (folder / "trainer" / "__init__.py").write_text("")
    (folder / "trainer" / "task.py").write_text(TASK)
    (folder / "setup.py").write_text(SETUP)
    subprocess.run(
        [sys.executable, "setup.py", "--quiet", "sdist"], cwd=folder, capture_output=True, check=True
    )
    return next((folder / "dist").glob("*.tar.gz"))


def _bare(python: str, folder: Path) -> dict[str, float]:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    began = time.time()
    command = [python, "-m", "trainer.task"]
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        ended = time.time()
    assert line.startswith(b"first line "), line
    return {BARE: ended - began}


def _job(endpoint: str, runtime: str, archive: str, number: int) -> dict[str, float]:
    job_id = f"round_{number}"
    training = {
        "scaleTier": "BASIC",
        "region": "us-central1",
        "runtimeVersion": runtime,
        "pythonModule": "trainer.task",
        "packageUris": [f"gs://{BUCKET}/{archive}"],
    }
    began, first = time.time(), 0.0
    _post(f"{endpoint}/v1/projects/local/jobs", {"jobId": job_id, "trainingInput": training})
    query = {
        "resourceNames": ["projects/local"],
        "filter": f'resource.labels.job_id="{job_id}"',
        "orderBy": "timestamp asc",
    }
    while time.time() < began + 120:
        for entry in _post(f"{endpoint}/v2/entries:list", query).get("entries", ()):
            first = first or time.time() - began
            message = entry.get("jsonPayload", {}).get("message") or entry.get("textPayload") or ""
            if message.startswith("first line "):
                return {
                    "job: service": first,
                    "job: trainer starts": float(message.split()[-1]) - began,
                    "job: trainer's line": time.time() - began,
                }
        time.sleep(0.01)
    sys.exit(f"The trainer of {job_id} printed nothing within 120 s.")


def _post(url: str, body: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(
        url, data=json.dumps(body).encode(), headers={"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request) as answer:
            found: dict[str, Any] = json.load(answer)
    except urllib.error.HTTPError as error:
        sys.exit(f"{url} answered {error.code}: {error.read().decode()}")
    return found


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _run(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


def _print(times: dict[str, list[float]]) -> None:
    medians = {name: statistics.median(found) for name, found in times.items()}
    lines = [f"| from start or submit | | median ms | × `{BARE}` |\n| --- | --- | --- | --- |"]
    for name, median in medians.items():
        lines.append(f"| {name} | {STEPS[name]} | {1000 * median:.0f} | {median / medians[BARE]:.1f} |")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
