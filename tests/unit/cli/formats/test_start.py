"""What a plain line does not wait for."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("line", "absent"),
    [
        ("--help", "mlengine.cli.formats"),
        ("jobs list --help", "mlengine.cli.formats"),
        ("jobs lst", "mlengine.cli.formats"),
        ("runtimes list", "mlengine.cli.formats.filters"),
        ("runtimes list", "mlengine.cli.completion"),
        ("runtimes list", "yaml"),
    ],
)
def test_nothing_is_loaded_that_is_not_used(line: str, absent: str):
    command = [sys.executable, "-X", "importtime", "-m", "mlengine", *line.split()]

    done = subprocess.run(command, capture_output=True, text=True, timeout=60)

    loaded = {
        row.rpartition("|")[2].strip() for row in done.stderr.splitlines() if row.startswith("import time")
    }
    assert "mlengine.cli.main" in loaded
    assert absent not in loaded
