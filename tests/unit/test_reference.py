"""The generated reference is up to date, and no method of `ml` is without a test through Google's client."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

from tests import reference


def test_the_page_of_methods_is_up_to_date():
    assert reference.PAGE.read_text() == reference.page(), "run scripts/reference"


def test_every_method_of_ml_is_called_through_googles_client():
    tested = set(reference.claims())

    assert {row.id for row in reference.table() if row.id.startswith("ml.")} - tested == set()


def test_no_test_claims_a_method_that_is_not_there():
    assert set(reference.claims()) <= {row.id for row in reference.table()}


def test_the_mark_of_a_method_is_read_from_the_source():
    tree = ast.parse(
        "@pytest.mark.slow\n@pytest.mark.method('ml.a', 'ml.b')\ndef test_x():\n    pass\n"
        "def test_y():\n    pass\n"
    )

    assert list(reference.marked(tree)) == [("test_x", "ml.a"), ("test_x", "ml.b")]


def test_a_marked_test_that_calls_nothing_fails(tmp_path: Path):
    (tmp_path / "conftest.py").write_text("from tests.exercised import exercised as exercised\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = method\n")
    (tmp_path / "test_it.py").write_text(
        "import pytest\n@pytest.mark.method('ml.a')\ndef test_x():\n    pass\n"
    )

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", tmp_path],
        env=dict(os.environ) | {"PYTHONPATH": str(reference.ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 1
    assert "marked with ml.a, but called only []" in done.stdout
