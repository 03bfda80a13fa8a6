"""Writes the models of `mortal_models`, one folder each."""

from __future__ import annotations

import sys
from pathlib import Path

import joblib
from mortal_models import Mortal, Napping, Slow
from sklearn.pipeline import make_pipeline

MODELS = {
    "mortal": make_pipeline(Mortal().fit(None)),
    "slow": make_pipeline(Slow().fit(None)),
    "napping": make_pipeline(Napping().fit(None)),
    "no_model": {"a": 1},
}

for name, model in MODELS.items():
    folder = Path(sys.argv[1]) / name
    folder.mkdir()
    joblib.dump(model, folder / "model.joblib")
