"""TensorFlow's own gs://, unmodified, in a job: every way in which trainers use it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stories.conftest import ROOT, Server, Shell

TRAINER = ROOT / "tests" / "stories" / "packages" / "tf_storage" / "trainer"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A whole server: jobs, gateway and all."""
    folder = tmp_path_factory.mktemp("whole")
    server = Server(folder / "data", Shell(folder))
    server.start()
    yield server
    server.stop()


def test_every_step_of_tensorflow_on_gs_works_in_a_job(whole: Server) -> None:
    steps = re.findall(r"^@step\ndef (\w+)", (TRAINER / "task.py").read_text(), re.MULTILINE)
    whole.shell.run("storage", "mb", "gs://tensors")

    done = whole.shell.run(
        "jobs", "submit", "training", "tensors_1", "--module-name", "trainer.task",
        "--package-path", str(TRAINER), "--region", "us-central1", "--runtime-version", "2026.11-tensorflow",
        "--job-dir", "gs://tensors/job", "--stream-logs",
    )  # fmt: skip

    printed = done.stdout + done.stderr
    assert len(steps) == 31
    assert re.findall(r"\bok (\w+) [\d.]+ s", printed) == steps
    assert "all 31 steps done" in printed
    assert "state: SUCCEEDED" in printed
    # It was our proxy, under Google's names, and the job's token that made it so.
    log = (whole.data_dir / "run" / "server.log").read_text()
    for host in ("www.googleapis.com", "storage.googleapis.com"):
        assert f"Job local.tensors_1 is answered as {host}." in log
    assert ".weights.h5" in whole.shell.run("storage", "ls", "-r", "gs://tensors/job").stdout


def test_what_tensorflow_wrote_is_what_others_read(whole: Server, tmp_path: Path) -> None:
    whole.shell.run("storage", "cp", "gs://tensors/job/files/a.txt", str(tmp_path / "a.txt"))

    assert (tmp_path / "a.txt").read_text() == "안녕\nsecond line\n"
