"""Google's `explanation_metadata.json` beside a model of tensors: names, baselines, and the output.

    {"inputs": {"data": {"input_tensor_name": "dense_input:0", "input_baselines": [0],
                         "encoding": "bag_of_features", "index_feature_mapping": ["age", "fare"]}},
     "outputs": {"probability": {"output_tensor_name": "dense_1"}}, "framework": "tensorflow"}

What would change an answer and is not known here is refused by name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlengine.serving.runtimes.model import LoadFailed, nearest
from mlengine.serving.runtimes.rules import ABSENT

FILE = "explanation_metadata.json"
_INPUT = ("input_tensor_name", "input_baselines", "encoding", "modality", "index_feature_mapping")
_OUTPUT = ("output_tensor_name",)
_TOP = ("inputs", "outputs", "framework")
_ENCODINGS = ("identity", "bag_of_features")
# What TensorFlow makes of the inputs and outputs of a signature in the names of its graph.
_TENSOR = re.compile(r"^(?:serving_default_)?(.*?)(?::(\d+))?$")
_ALL_OUTPUTS = "StatefulPartitionedCall"


@dataclass(frozen=True)
class InputMetadata:
    """What the file says of one input.

    Attributes:
        name: In answers.
        baseline: A value, to be spread over the input's shape; ABSENT for none.
        features: Names of the elements, in order; empty for none.
    """

    name: str
    baseline: Any = ABSENT
    features: tuple[str, ...] = ()


@dataclass(frozen=True)
class Metadata:
    """The file.

    Attributes:
        inputs: By the name of the model's input.
        output: The model's output to explain; empty where the file names none.
        output_name: What it is called in answers.
    """

    inputs: dict[str, InputMetadata] = field(default_factory=dict)
    output: str = ""
    output_name: str = ""


def metadata_of(model_dir: Path, *, inputs: Sequence[str], outputs: Sequence[str]) -> Metadata | None:
    """Read the file, if there is one. Raises LoadFailed.

    Args:
        model_dir: Where the model is.
        inputs: Names of the model's inputs.
        outputs: Names of its outputs.
    """
    path = model_dir / FILE
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise LoadFailed(f"{path} is not JSON: {error}.") from error
    _only(content, _TOP, FILE)
    found: dict[str, InputMetadata] = {}
    for name, entry in _entries(content, "inputs"):
        where = f"{FILE}: inputs.{name}"
        _only(entry, _INPUT, where)
        alias = _meant(name, entry.get("input_tensor_name"), inputs, where, word="input")
        if alias in found:
            raise LoadFailed(f"{where}: input {alias} of the model is there twice. Remove one.")
        found[alias] = InputMetadata(name, _baseline(entry, where), _features(entry, where))
    missing = [name for name in inputs if name not in found] if found else []
    if missing:
        raise LoadFailed(f"{FILE}: inputs lacks {missing[0]}; all inputs of the model are explained. Add it.")
    chosen = _entries(content, "outputs")
    if len(chosen) > 1:
        raise LoadFailed(f"{FILE}: outputs names {len(chosen)} outputs; one is explained. Keep one.")
    if not chosen:
        return Metadata(found)
    name, entry = chosen[0]
    where = f"{FILE}: outputs.{name}"
    _only(entry, _OUTPUT, where)
    output = _meant(name, entry.get("output_tensor_name"), outputs, where, word="output")
    return Metadata(found, output, name)


def _entries(content: dict[str, Any], key: str) -> list[tuple[str, Any]]:
    entries = content.get(key) or {}
    if not isinstance(entries, dict):
        raise LoadFailed(f"{FILE}: {key} must be an object with a key per {key[:-1]}.")
    return list(entries.items())


def _only(entry: Any, known: Sequence[str], where: str) -> None:
    if not isinstance(entry, dict):
        raise LoadFailed(f"{where} must be an object.")
    for key in entry:
        if key not in known:
            hint = nearest(key, known) or f"Known: {', '.join(known)}. Remove it."
            raise LoadFailed(f"{where}: '{key}' can have no effect here. {hint}")


def _meant(name: str, tensor: Any, known: Sequence[str], where: str, *, word: str) -> str:
    """The input or output of the signature that a name of the file, or of the graph, means."""
    if isinstance(tensor, str):
        match = _TENSOR.match(tensor)
        base, number = (match[1], match[2]) if match else (tensor, None)
        for candidate in (tensor, base, base.split("/")[0]):
            if candidate in known:
                return candidate
        if base == _ALL_OUTPUTS and word == "output" and int(number or 0) < len(known):
            # A signature's outputs stand there in order of their names.
            return sorted(known)[int(number or 0)]
    if name in known:
        return name
    if len(known) == 1:
        return known[0]
    said = tensor if isinstance(tensor, str) else name
    raise LoadFailed(f"{where}: the model has no {word} '{said}'. It has: {', '.join(known)}.")


def _baseline(entry: dict[str, Any], where: str) -> Any:
    given = entry.get("input_baselines", [])
    if not isinstance(given, list) or len(given) > 1:
        raise LoadFailed(
            f"{where}: input_baselines must be a list of one baseline; several are not averaged here."
        )
    return given[0] if given else ABSENT


def _features(entry: dict[str, Any], where: str) -> tuple[str, ...]:
    encoding = str(entry.get("encoding", "identity")).lower()
    if encoding not in _ENCODINGS:
        raise LoadFailed(
            f"{where}: encoding '{encoding}' is not offered. Use one of {', '.join(_ENCODINGS)}."
        )
    names = entry.get("index_feature_mapping", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise LoadFailed(f"{where}: index_feature_mapping must be a list of names.")
    if len(set(names)) < len(names):
        raise LoadFailed(f"{where}: index_feature_mapping has a name twice.")
    return tuple(names)
