"""Builds small PyTorch models in the folder named on the command line."""

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


class Kinds(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 3)

    def forward(self, image):
        return torch.softmax(self.layer(image), 1)


class Scaled(Kinds):
    def forward(self, image, *, scale):
        logits = self.layer(image) * scale[:, None]
        return {"logits": logits, "best": logits.argmax(1)}


class Pair(Kinds):
    def forward(self, pair):
        return self.layer(pair[0] + pair[1])


images = torch.rand(5, 4)
scales = torch.rand(5)
batch = torch.export.Dim("batch")
kinds, scaled = Kinds().eval(), Scaled().eval()
expected["images"], expected["scales"] = images.tolist(), scales.tolist()
with torch.no_grad():
    expected["kinds"] = kinds(images).tolist()
    expected["scaled"] = {name: value.tolist() for name, value in scaled(images, scale=scales).items()}

free = torch.export.export(kinds, (images,), dynamic_shapes={"image": {0: batch}})
torch.export.save(free, folder("program") / "model.pt2")
torch.export.save(torch.export.export(kinds, (images[:2],)), folder("program_fixed") / "model.pt2")
named = torch.export.export(
    scaled, (images,), {"scale": scales}, dynamic_shapes={"image": {0: batch}, "scale": {0: batch}}
)
torch.export.save(named, folder("program_named") / "model.pt2")
torch.export.save(free, folder("program_renamed") / "model.pt2")
(out / "program_renamed" / "serving.json").write_text('{"outputs": ["kind"]}')
pair = torch.export.export(Pair().eval(), ((images, images),))
torch.export.save(pair, folder("program_pair") / "model.pt2")

torch.jit.save(torch.jit.script(scaled), folder("script") / "model.pt")
settings = {"inputs": {"image": {"shape": [4]}, "scale": {"type": "float32", "shape": []}}}
(out / "script" / "serving.json").write_text(json.dumps(settings))
torch.jit.save(torch.jit.trace(kinds, images), folder("script_alone") / "model.pt")
torch.jit.save(torch.jit.trace(kinds, images), folder("script_sample") / "model.pt")
(out / "script_sample" / "serving.json").write_text('{"sample": [0, 0, 0, 1], "outputs": ["kind"]}')
torch.jit.save(torch.jit.trace(kinds, images), folder("script_wrong") / "model.pt")
(out / "script_wrong" / "serving.json").write_text('{"inputs": {"picture": {}}}')
torch.save(kinds.state_dict(), folder("parameters") / "model.pt")
(out / "expected.json").write_text(json.dumps(expected))
