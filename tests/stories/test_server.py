"""A server's life: started, looked at, killed while a job runs, started again, stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.stories.conftest import Server, Shell, wait_until

SLOW_TRAINER = """
import sys, time
for number in range(100):
    print(f"line {number}", flush=True)
    time.sleep(0.1)
"""
STUBBORN_TRAINER = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
for _ in range(2):
    subprocess.Popen([sys.executable, "-c", child], start_new_session=True)
print("ready", os.environ["CLOUD_ML_JOB_ID"], flush=True)
time.sleep(600)
"""


def package(folder: Path, source: str) -> None:
    (folder / "trainer").mkdir()
    (folder / "trainer" / "__init__.py").touch()
    (folder / "trainer" / "task.py").write_text(source)


def submit(shell: Shell, job: str, bucket: str) -> None:
    shell.run(
        "jobs", "submit", "training", job, "--module-name", "trainer.task", "--package-path", "trainer",
        "--region", "us-central1", "--runtime-version", "2026.11-sklearn", "--job-dir", f"gs://{bucket}/{job}",
    )  # fmt: skip


def memory_of(pid: int) -> float:
    """Proportional memory of a process and its children, in MiB."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    own = next(int(line.split()[1]) for line in rollup if line.startswith("Pss:")) / 1024
    return own + sum(memory_of(int(child)) for child in children)


def test_status_tells_what_runs_and_stop_leaves_nothing(tmp_path: Path):
    server = Server(tmp_path / "data", Shell(tmp_path))
    assert "not running" in server.shell.run("server", "status", code=1).stderr.lower()

    server.start()
    pid = server.record()["pid"]
    shown = server.shell.run("server", "status").stdout
    memory = memory_of(pid)
    server.stop()

    assert server.endpoint in shown
    assert memory < 200
    assert not Path(f"/proc/{pid}").exists()
    assert not (tmp_path / "data" / "run" / "server.json").exists()


def test_a_second_server_on_the_same_data_is_refused(own_server: Server):
    done = own_server.shell.run("server", "start", "--port", "0", code=1)

    assert "Another server uses" in done.stderr or "already" in done.stderr


def test_a_taken_port_is_named_with_a_cure(own_server: Server, tmp_path: Path):
    done = own_server.shell.run(
        "server",
        "start",
        "--port",
        str(own_server.record()["port"]),
        "--data-dir",
        str(tmp_path / "other"),
        code=1,
    )

    assert str(own_server.record()["port"]) in done.stderr
    assert "--port" in done.stderr


def test_without_tokens_only_loopback_is_served(tmp_path: Path):
    done = Shell(tmp_path).run(
        *("server", "start", "--host", "0.0.0.0", "--auth", "loopback", "--data-dir", str(tmp_path / "data")),
        code=1,
    )

    assert "other machines would be let in without a token" in done.stderr


def test_a_job_survives_the_servers_sigkill_with_its_full_log(own_server: Server, tmp_path: Path):
    package(tmp_path, SLOW_TRAINER)
    own_server.shell.run("storage", "mb", "gs://survivors")
    submit(own_server.shell, "survivor", "survivors")
    wait_until(
        lambda: own_server.shell.json("jobs", "describe", "survivor")["state"] == "RUNNING", "the job to run"
    )

    own_server.kill()
    wait_until(
        lambda: not _processes_named("mlengine.app", str(own_server.data_dir)), "all of the server to end"
    )
    own_server.start()
    streamed = own_server.shell.run("jobs", "stream-logs", "survivor")

    assert own_server.shell.json("jobs", "describe", "survivor")["state"] == "SUCCEEDED"
    shown = [line.split("\t")[-1] for line in (streamed.stdout + streamed.stderr).splitlines()]
    assert [line for line in shown if line.startswith("line ")] == [f"line {number}" for number in range(100)]


def test_a_restart_finds_jobs_models_versions_and_buckets_again(own_server: Server, tmp_path: Path):
    package(tmp_path, "print('done')")
    shell = own_server.shell
    shell.run("storage", "mb", "gs://lasting")
    submit(shell, "lasting_1", "lasting")
    shell.run("jobs", "stream-logs", "lasting_1")
    shell.run("models", "create", "lasting", "--regions", "us-central1")
    train = (
        "import sys, joblib, numpy\nfrom sklearn.linear_model import LinearRegression\n"
        "joblib.dump(LinearRegression().fit(numpy.array([[0.0], [1.0]]), [1.0, 3.0]), sys.argv[1])\n"
    )
    (tmp_path / "model").mkdir()
    python = shell.run("runtimes", "build", "2026.11-sklearn", timeout=600).stdout.split()[-1]
    shell.program(python, "-c", train, str(tmp_path / "model" / "model.joblib"))
    shell.run("versions", "create", "v1", "--model", "lasting", "--origin", "model")
    before = {
        "jobs": shell.run("jobs", "list").stdout,
        "versions": shell.run("versions", "list", "--model", "lasting").stdout,
        "objects": shell.run("storage", "ls", "gs://lasting").stdout,
        "predictions": shell.run(
            "predict", "--model", "lasting", "--json-instances", "-", stdin="[2]\n[5]\n"
        ).stdout,
    }

    own_server.stop()
    own_server.start()

    assert json.loads(before["predictions"]) == pytest.approx([5.0, 11.0])
    assert before == {
        "jobs": shell.run("jobs", "list").stdout,
        "versions": shell.run("versions", "list", "--model", "lasting").stdout,
        "objects": shell.run("storage", "ls", "gs://lasting").stdout,
        "predictions": shell.run(
            "predict", "--model", "lasting", "--json-instances", "-", stdin="[2]\n[5]\n"
        ).stdout,
    }


def test_cancel_kills_the_whole_process_tree(own_server: Server, tmp_path: Path):
    package(tmp_path, STUBBORN_TRAINER)
    shell = own_server.shell
    shell.run("storage", "mb", "gs://cancelled")
    submit(shell, "stubborn", "cancelled")
    wait_until(lambda: "ready stubborn" in _logs(shell, "stubborn"), "the trainer's line")
    tree = _processes_with("CLOUD_ML_JOB_ID=stubborn")

    silent = shell.run("jobs", "cancel", "stubborn")
    wait_until(lambda: shell.json("jobs", "describe", "stubborn")["state"] == "CANCELLED", "the end")

    assert len(tree) >= 3
    assert silent.stdout == ""
    assert _processes_with("CLOUD_ML_JOB_ID=stubborn") == []
    shell.run("jobs", "cancel", "stubborn")
    assert shell.run("jobs", "stream-logs", "stubborn", code=1)


def test_ctrl_c_in_stream_logs_leaves_the_job_running_and_says_so(own_server: Server, tmp_path: Path):
    package(tmp_path, SLOW_TRAINER)
    shell = own_server.shell
    shell.run("storage", "mb", "gs://interrupted")
    submit(shell, "watched", "interrupted")
    watcher = subprocess.Popen(
        [str(Path(os.sys.executable).with_name("mlengine")), "jobs", "stream-logs", "watched"],
        env=shell.full, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert watcher.stdout.readline()

    watcher.send_signal(signal.SIGINT)
    rest, _ = watcher.communicate(timeout=30)

    assert watcher.returncode == 130
    assert "mlengine jobs stream-logs watched" in rest
    assert "Traceback" not in rest
    assert shell.run("jobs", "stream-logs", "watched").returncode == 0


def _logs(shell: Shell, job: str) -> str:
    folder = Path(shell.environment["MLENGINE_DATA_DIR"]) / "tasks"
    return "".join(path.read_text() for path in folder.glob("*/log.jsonl"))


def _processes_named(*words: str) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if all(word in line for word in words):
            found.append(int(folder.name))
    return found


def _processes_with(mark: str) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found
