"""A training of several processes on this machine."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlengine.client.local_cluster import Cluster, config, tensorflow_version
from tests.stories.conftest import wait_until

# Each task listens where the cluster says; the first one asks every other for its name.
TASK = """\
import json, os, socket, sys
told = json.loads(os.environ["TF_CONFIG"])
kind, index, cluster = told["task"]["type"], told["task"]["index"], told["cluster"]
def place(text):
    host, port = text.split(":")
    return host, int(port)
if kind == "evaluator":
    open(f"evaluator-{index}", "w").write(str(os.getpid()))
    import time; time.sleep(600)
if kind not in ("chief", "master"):
    with socket.create_server(place(cluster[kind][index])) as door:
        while True:
            caller, _ = door.accept()
            caller.sendall(f"{kind}-{index}-{os.getpid()}".encode())
            caller.close()
def ask(address):
    while True:
        try:
            with socket.create_connection(address) as line:
                return line.makefile().read()
        except ConnectionRefusedError:
            continue
names = [ask(place(address)) for others in ("ps", "worker") for address in cluster.get(others, [])]
torch = {name: os.environ[name] for name in ("MASTER_ADDR", "MASTER_PORT", "RANK", "WORLD_SIZE")}
print(json.dumps({"torch": torch, "told": told, "names": names, "args": sys.argv[1:], "cwd": os.getcwd()}))
sys.exit(int(sys.argv[1]))
"""


@pytest.fixture
def trainer(tmp_path: Path) -> Path:
    (tmp_path / "trainer").mkdir()
    (tmp_path / "trainer" / "__init__.py").touch()
    (tmp_path / "trainer" / "task.py").write_text(TASK)
    return tmp_path


@pytest.fixture
def port() -> Iterator[int]:
    """The first of some free ports."""
    # Below those that the kernel gives to clients: nobody takes one between this look and the test.
    for first in random.sample(range(20000, 30000, 10), 100):
        with contextlib.ExitStack() as held:
            try:
                for number in range(first, first + 6):
                    held.enter_context(socket.socket()).bind(("127.0.0.1", number))
            except OSError:
                continue
        yield first
        return
    pytest.fail("no six free ports in a row")


def line(*words: str) -> list[str]:
    return [
        sys.executable, "-m", "mlengine", "local", "train", "--module-name", "trainer.task",
        "--package-path", "trainer", "--python", sys.executable, "--distributed", *words,
    ]  # fmt: skip


def test_every_task_runs_and_finds_the_others_and_ends_with_the_first(trainer: Path, port: int):
    done = subprocess.run(
        line(
            "--worker-count", "2", "--parameter-server-count", "1", "--evaluator-count", "1",
            "--start-port", str(port), "--job-dir", "out", "--", "7",
        ),
        cwd=trainer, capture_output=True, text=True,
    )  # fmt: skip

    assert done.returncode == 7, done.stderr
    said = json.loads(done.stdout)
    assert said["args"] == ["7", "--job-dir", "out"]
    assert said["cwd"] == str(trainer)
    assert said["told"] == {
        "job": {"job_name": "trainer.task", "args": ["7", "--job-dir", "out"]},
        "task": {"type": "chief", "index": 0},
        "cluster": {
            "chief": [f"localhost:{port}"],
            "ps": [f"localhost:{port + 1}"],
            "worker": [f"localhost:{port + 2}", f"localhost:{port + 3}"],
        },
        "environment": "cloud",
    }
    assert said["torch"] == {
        "MASTER_ADDR": "localhost",
        "MASTER_PORT": str(port),
        "RANK": "0",
        "WORLD_SIZE": "3",
    }
    assert [name.rpartition("-")[0] for name in said["names"]] == ["ps-0", "worker-0", "worker-1"]
    assert not [name for name in said["names"] if alive(int(name.rpartition("-")[2]))]
    assert "the first process is called 'chief'" in done.stderr


def test_a_task_that_fails_is_named_while_the_first_goes_on(trainer: Path, port: int):
    (trainer / "trainer" / "task.py").write_text(
        "import json, os, sys, time\n"
        "if json.loads(os.environ['TF_CONFIG'])['task']['type'] == 'worker': sys.exit(5)\n"
        "while not os.path.exists('go'): time.sleep(0.01)\n"
    )
    child = subprocess.Popen(
        line("--worker-count", "1", "--parameter-server-count", "0", "--start-port", str(port)),
        cwd=trainer, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stderr

    said = [child.stderr.readline(), child.stderr.readline()]
    (trainer / "go").touch()
    child.communicate()

    assert any("Task worker-0 ended with status 5." in text for text in said)
    assert child.returncode == 0


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)]
)
def test_whoever_ends_the_command_ends_all_its_tasks(
    trainer: Path, port: int, number: signal.Signals, code: int
):
    waiting = "open('chief', 'w').close(); import time; time.sleep(600)\nnames = "
    (trainer / "trainer" / "task.py").write_text(TASK.replace("names = ", waiting))
    child = subprocess.Popen(
        line(
            "--worker-count", "0", "--parameter-server-count", "0", "--evaluator-count", "1",
            "--start-port", str(port), "--", "0",
        ),
        cwd=trainer, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    written = trainer / "evaluator-0"
    wait_until(lambda: written.exists() and written.read_text(), "the evaluator")
    wait_until((trainer / "chief").exists, "the first process")
    evaluator = int(written.read_text())

    # Ctrl-C reaches everything in the foreground; the others only the command.
    (os.killpg if number is signal.SIGINT else os.kill)(child.pid, number)

    assert child.wait(timeout=30) == code
    assert not alive(evaluator)


def test_a_taken_port_is_named_before_anything_starts(trainer: Path):
    with socket.create_server(("127.0.0.1", 0)) as door:
        taken = door.getsockname()[1]
        done = subprocess.run(
            line("--start-port", str(taken - 1)), cwd=trainer, capture_output=True, text=True
        )

    assert done.returncode == 1
    assert f"Port {taken} cannot be used" in done.stderr or f"Port {taken - 1} cannot" in done.stderr
    assert "--start-port N" in done.stderr
    assert done.stdout == ""


def test_ports_beyond_the_last_one_are_refused(trainer: Path):
    done = subprocess.run(line("--start-port", "65533"), cwd=trainer, capture_output=True, text=True)

    assert done.returncode == 1
    assert "5 ports are needed, and 65535 is the last" in done.stderr


def test_without_distributed_the_counts_are_warned_of(trainer: Path):
    (trainer / "trainer" / "task.py").write_text("import os\nprint(os.environ['TF_CONFIG'])\n")
    words = [word for word in line("--worker-count", "1", "--start-port", "9") if word != "--distributed"]

    done = subprocess.run(words, cwd=trainer, capture_output=True, text=True)

    assert done.returncode == 0
    assert json.loads(done.stdout)["cluster"] == {}
    assert "WARNING: --worker-count is for --distributed only" in done.stderr
    assert "WARNING: --start-port is for --distributed only" in done.stderr


def test_a_count_of_zero_leaves_the_kind_out_and_an_evaluator_has_no_address():
    cluster = Cluster(primary="master", parameter_servers=0, workers=1, evaluators=1, start_port=5000)

    told = json.loads(config("m", [], cluster, "evaluator", 0))

    assert told["cluster"] == {"master": ["localhost:5000"], "worker": ["localhost:5001"]}
    assert told["task"] == {"type": "evaluator", "index": 0}


def test_the_tensorflow_of_a_python_is_told_by_its_packages(tmp_path: Path):
    (tmp_path / "tensorflow_cpu-1.15.5.dist-info").mkdir()
    (tmp_path / "tensorflow_cpu-1.15.5.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: tensorflow-cpu\nVersion: 1.15.5\n"
    )

    found = tensorflow_version(sys.executable, {**os.environ, "PYTHONPATH": str(tmp_path)})

    assert found == "1.15.5"
    assert tensorflow_version("/no/such/python", os.environ) == ""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False
