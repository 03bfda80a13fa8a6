"""What an instance is compared with: what `schema.json` says, else what training left, else zeros."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlengine.serving.runtimes.explanation.metadata import Metadata
from mlengine.serving.runtimes.model import Description
from mlengine.serving.runtimes.rules import ABSENT, Declared

_ZEROS = {"string": "", "bytes": "", "boolean": False}


def row_baselines(
    description: Description, samples: list[Any], declared: Mapping[str, Declared]
) -> list[list[Any]]:
    """Rows to try as the baseline, the most likely first.

    Args:
        description: Of the model, as its framework tells it.
        samples: Made from what training left: what an imputer fills in, means, first categories, else zeros.
        declared: What `schema.json` says.
    """
    names = [column["name"] for column in description["inputs"]]
    found = []
    for sample in samples:
        values = [sample.get(name) for name in names] if isinstance(sample, dict) else list(sample)
        if len(values) != len(names):
            continue
        row = [
            value if name not in declared else _chosen(declared[name], value)
            for name, value in zip(names, values, strict=True)
        ]
        if row not in found:
            found.append(row)
    return found


def tensor_baselines(
    description: Description, declared: Mapping[str, Declared], metadata: Metadata | None
) -> dict[str, Any]:
    """A value per input, to be spread over its shape."""
    found: dict[str, Any] = {}
    for tensor in description["inputs"]:
        name = tensor["name"]
        said = metadata.inputs.get(name) if metadata is not None else None
        if said is not None and said.baseline is not ABSENT:
            found[name] = said.baseline
            continue
        zero = _ZEROS.get(tensor["type"], 0.0)
        found[name] = _chosen(declared[name], zero) if name in declared else zero
    return found


def object_baseline(declared: Mapping[str, Declared]) -> dict[str, Any]:
    """An object of all fields that `schema.json` declares."""
    return {name: _chosen(one, _ZEROS.get(one.type or "any", 0)) for name, one in declared.items()}


def _chosen(declared: Declared, value: Any) -> Any:
    if declared.baseline is not ABSENT:
        return declared.baseline
    return declared.mended(value)
