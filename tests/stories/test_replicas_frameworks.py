"""Real distributed trainings: TensorFlow's mirrored workers, torch's gloo, an Estimator with a ps."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.stories.conftest import Server, Shell
from tests.stories.test_replicas import left_of, lines

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
PACKAGES = Path(__file__).parent / "packages"
WORKER = (
    *("--scale-tier", "custom", "--master-machine-type", "standard"),
    *("--worker-machine-type", "standard", "--worker-count", "1"),
)
PS = ("--parameter-server-machine-type", "standard", "--parameter-server-count", "1")


def train(shell: Shell, package: str, runtime: str, *flags: str) -> dict:
    """Run a trainer to its end; the job."""
    shell.run("storage", "mb", f"gs://{package}")
    shell.run(
        *("jobs", "submit", "training", package, "--module-name", "trainer.task"),
        *("--package-path", str(PACKAGES / package / "trainer"), "--job-dir", f"gs://{package}/out"),
        *("--runtime-version", runtime, "--stream-logs", *WORKER, *flags),
        code=None,
        timeout=1400,
    )
    return shell.json("jobs", "describe", package)


def learned(shell: Shell, job_id: str, task: str) -> str:
    [found] = [line for line in lines(shell, job_id, task) if line.startswith("learned ")]
    return found


def test_mirrored_workers_of_tensorflow_learn_together(own_server: Server) -> None:
    shell = own_server.shell

    # Keras 3 knows no mirrored workers; trainers for 2.x get Keras 2.
    job = train(shell, "mirrored", "2.11")

    assert job["state"] == "SUCCEEDED", job.get("errorMessage")
    said = lines(shell, "mirrored", "worker-replica-0")
    assert "replicas in sync: 2" in said
    assert learned(shell, "mirrored", "master-replica-0") == "learned chief 3.00 1.00"
    assert shell.run("storage", "cat", "gs://mirrored/out/weights.txt").stdout == "3.00 1.00"
    assert left_of(own_server) == []


def test_two_replicas_of_torch_learn_together(own_server: Server) -> None:
    shell = own_server.shell

    job = train(shell, "ddp", "2026.11-torch")

    assert job["state"] == "SUCCEEDED", job.get("errorMessage")
    assert learned(shell, "ddp", "master-replica-0") == "learned 0 of 2: 3.00 1.00"
    assert left_of(own_server) == []


def test_an_estimator_with_a_parameter_server_learns_and_nothing_of_it_stays(own_server: Server) -> None:
    shell = own_server.shell

    job = train(shell, "estimator", "1.14", *PS)

    assert job["state"] == "SUCCEEDED", job.get("errorMessage")
    assert "task ps 0" in lines(shell, "estimator", "ps-replica-0")
    assert "task worker 0" in lines(shell, "estimator", "worker-replica-0")
    assert float(learned(shell, "estimator", "master-replica-0").split()[1]) == pytest.approx(3, abs=0.3)
    assert left_of(own_server) == []
