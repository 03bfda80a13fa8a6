"""A whole server for clients of `ml`, and a trained model in a bucket. Imported by tests that want them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.stories.conftest import Server, Shell
from tests.trainer_package import trainer_package

PARENT = "projects/local"
RUNTIME = "2026.11-sklearn"
TRAIN = (
    "import sys, joblib, numpy\nfrom sklearn.linear_model import LinearRegression\n"
    "joblib.dump(LinearRegression().fit(numpy.array([[0.0], [1.0]]), [1.0, 3.0]), sys.argv[1])\n"
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("whole")
    server = Server(folder / "data", Shell(folder))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def origin(whole: Server) -> str:
    """A folder in a bucket with a model of 2x + 1; a trainer's package lies beside it."""
    shell = whole.shell
    python = shell.run("runtimes", "build", RUNTIME, timeout=600).stdout.split()[-1]
    shell.program(python, "-c", TRAIN, str(shell.cwd / "model.joblib"))
    bucket = f"gs://line-{uuid.uuid4().hex[:8]}"
    shell.run("storage", "mb", bucket)
    shell.run("storage", "cp", "model.joblib", f"{bucket}/line/model.joblib")
    (shell.cwd / "trainer.tar.gz").write_bytes(trainer_package())
    shell.run("storage", "cp", "trainer.tar.gz", f"{bucket}/trainer.tar.gz")
    return f"{bucket}/line"


def unused(prefix: str) -> str:
    """An id that nothing has yet."""
    return f"{prefix}_{uuid.uuid4().hex[:8]}"
