"""Entry of the model worker. Makes the few modules it needs importable, in a Python without mlengine."""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path

_HERE = Path(__file__).resolve().parent
_PACKAGE = _HERE.parents[1]


def _make_importable() -> None:
    # Python puts the folder of a script first on the path: there a `server.py` of the user would find ours.
    if sys.path and Path(sys.path[0]).resolve() == _HERE:
        del sys.path[0]
    # A bare package: no search path changes, and nothing of the mlengine that may be installed here gets in.
    package = types.ModuleType("mlengine")
    package.__path__ = [str(_PACKAGE)]
    sys.modules["mlengine"] = package


def _quieten() -> None:
    # Before any framework is imported. A batch is computed by one thread: on a busy machine more of them, and
    # above all threads that spin while they wait, cost a hundred times what they save.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")


if __name__ == "__main__":
    _make_importable()
    _quieten()

    from mlengine.serving.worker.command import main

    sys.exit(main(sys.argv[1:]))
