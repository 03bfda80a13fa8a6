"""What the contract tests share: an object store, and the interpreters of the runtimes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.object_store import S3Server, running_s3


def runtime_interpreter(family: str, variable: str) -> Path:
    """The Python of a runtime; built where it is not there yet.

    Args:
        family: "sklearn" or "tensorflow".
        variable: The environment variable that names a ready one.
    """
    given = os.environ.get(variable)
    if given:
        return Path(given)
    from mlengine.environments import Builder, default_cache_dir, runtimes

    runtime = next(runtime for runtime in runtimes() if runtime.name.endswith(family))
    return Builder(default_cache_dir(os.environ)).build(runtime)


@pytest.fixture(scope="session")
def sklearn_python() -> Path:
    return runtime_interpreter("sklearn", "MLENGINE_TEST_SKLEARN_PYTHON")


@pytest.fixture(scope="session")
def tensorflow_python() -> Path:
    return runtime_interpreter("tensorflow", "MLENGINE_TEST_TENSORFLOW_PYTHON")


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """One real server that speaks S3, for the whole run."""
    with running_s3() as server:
        yield server
