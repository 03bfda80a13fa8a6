"""Faster forms of models, checked in the Python of a runtime: only there are scikit-learn and TensorFlow."""

from __future__ import annotations

import os
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

import mlengine

CHECKS = Path(__file__).parent / "acceleration"
PATIENCE = 280


def checked(python: Path, file: str, *, only: str = "", examples: int = 8) -> str:
    """Run the checks of a file; returns what pytest said at last.

    Args:
        python: Of the runtime.
        file: With the checks.
        only: Part of the names of those to run; all by default.
        examples: How many hypothesis makes up for a property.
    """
    tools = find_spec("pytest")
    assert tools is not None and tools.origin is not None
    done = subprocess.run(
        [
            python,
            CHECKS / "run_checks.py",
            Path(mlengine.__file__).parents[1],
            Path(tools.origin).parents[1],
            CHECKS / file,
            *(["-k", only] if only else []),
        ],
        env={**os.environ, "MLENGINE_TEST_EXAMPLES": str(examples)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    return done.stdout.strip().splitlines()[-1]


def test_faster_forms_of_tables_answer_as_the_originals(sklearn_python: Path) -> None:
    assert " passed" in checked(sklearn_python, "checks_tables.py")


@pytest.mark.slow
def test_faster_forms_answer_any_rows_as_the_originals(sklearn_python: Path) -> None:
    said = checked(sklearn_python, "checks_tables.py", only="any_rows or any_tables", examples=150)

    assert " passed" in said


def test_only_a_form_that_was_compared_and_is_faster_is_served(sklearn_python: Path) -> None:
    assert " passed" in checked(sklearn_python, "checks_choice.py")


def test_faster_forms_of_graphs_answer_as_tensorflow(tensorflow_python: Path) -> None:
    assert " passed" in checked(tensorflow_python, "checks_tensors.py")


@pytest.mark.parametrize("file", sorted(path.name for path in CHECKS.glob("checks_*.py")))
def test_no_file_of_checks_is_left_out(file: str) -> None:
    assert f'"{file}"' in Path(__file__).read_text(encoding="utf-8")
