"""The method that a version's explanationConfig names, and what is refused of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mlengine.serving.runtimes.model import LoadFailed

MOST_PATHS = 10_000
MOST_STEPS = 10_000
_SHAPLEY = "sampledShapleyAttribution"
_GRADIENTS = "integratedGradientsAttribution"
_XRAI = "xraiAttribution"
_NUMBERS = {_SHAPLEY: ("numPaths", MOST_PATHS), _GRADIENTS: ("numIntegralSteps", MOST_STEPS)}


@dataclass(frozen=True)
class Method:
    """How predictions are explained; one of the two numbers is 0.

    Attributes:
        paths: Permutations of sampled Shapley.
        steps: Of the integral of integrated gradients.
    """

    paths: int = 0
    steps: int = 0


def method_of(config: dict[str, Any]) -> Method:
    """The method that `config`, Google's explanationConfig, names. Raises LoadFailed."""
    if _XRAI in config:
        raise LoadFailed(
            f"explanationConfig: {_XRAI} (xrai), which explains pictures by regions, is not offered. Use "
            f"{_GRADIENTS} (integrated-gradients) or {_SHAPLEY} (sampled-shapley)."
        )
    if len(config) != 1 or next(iter(config)) not in _NUMBERS:
        raise LoadFailed(f"explanationConfig must name one method: {' or '.join(_NUMBERS)}.")
    name, settings = next(iter(config.items()))
    key, most = _NUMBERS[name]
    number = settings.get(key) if isinstance(settings, dict) and set(settings) == {key} else None
    if type(number) is not int or not 1 <= number <= most:
        raise LoadFailed(f"explanationConfig: {name} needs {key}, a number from 1 to {most}.")
    return Method(paths=number) if name == _SHAPLEY else Method(steps=number)
