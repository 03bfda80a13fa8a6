"""Runs the checks of one file in the Python of a runtime; the test tools come from beside it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

# Where our pytest and hypothesis are; last, so that the runtime's own packages win.
sys.path[1:1] = [sys.argv[1], str(Path(__file__).parent)]
sys.path.append(sys.argv[2])
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
    os.environ[name] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import pytest  # noqa: E402

sys.exit(
    pytest.main(
        [
            *("-q", "-x", "--noconftest", "-p", "no:cacheprovider", "-p", "no:randomly", "--timeout=300"),
            *("-c", os.devnull, "--rootdir", str(Path(__file__).parent), "-o", "python_files=checks_*.py"),
            *("-W", "ignore"),
            *sys.argv[3:],
        ]
    )
)
