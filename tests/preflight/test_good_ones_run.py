"""The good trainers really are: they run to their end under `local train`, which makes the same checks."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from mlengine.cli.main import main
from tests.preflight.cases import Case
from tests.preflight.good import PLAIN


@pytest.mark.slow
@pytest.mark.parametrize("case", [pytest.param(case, id=case.name.replace(" ", "-")) for case in PLAIN])
def test_a_good_trainer_runs_to_its_end(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    case.write(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLENGINE_LOCAL_PYTHON", sys.executable)
    monkeypatch.setenv("MLENGINE_ENDPOINT", "http://127.0.0.1:9")

    code = main(["local", "train", *shlex.split(case.line)[1:]])

    assert code == 0, capfd.readouterr().err
