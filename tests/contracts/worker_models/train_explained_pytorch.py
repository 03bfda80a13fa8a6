"""Builds models of PyTorch to be explained in the folder named on the command line."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import torch

warnings.simplefilter("ignore")
out = Path(sys.argv[1])
torch.manual_seed(7)
expected = {}


def folder(name):
    (out / name).mkdir(parents=True)
    return out / name


deep = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3)).eval()
points = torch.randn(3, 4)
batch = torch.export.Dim("batch")
program = torch.export.export(deep, (points,), dynamic_shapes=({0: batch},))
torch.export.save(program, folder("deep_program") / "model.pt2")
torch.jit.trace(deep, points).save(folder("deep_script") / "model.pt")
settings = {"inputs": {"input": {"type": "float32", "shape": [4]}}}
(out / "deep_script" / "serving.json").write_text(json.dumps(settings))
expected["points"] = points.tolist()
with torch.no_grad():
    expected["deep"] = deep(torch.cat([points, torch.zeros(1, 4)])).tolist()

(out / "expected.json").write_text(json.dumps(expected))
