"""From what a model returns to JSON values, and what becomes of numbers that JSON cannot say."""

from __future__ import annotations

import base64
import math
from typing import Any

from mlengine.serving.runtimes.model import BadOutput


def plain(value: Any) -> Any:
    """`value` with NumPy's scalars and arrays made JSON values, down to the leaves. Raises BadOutput."""
    if isinstance(value, float):
        # Covers numpy.float64, which is a float: its repr is not JSON.
        return float(value)
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, bytes):
        return text(value)
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    raise BadOutput(
        f"The model answered a {type(value).__module__}.{type(value).__name__}, which JSON cannot say."
    )


def text(value: bytes | str) -> str:
    """A string output as text. Raises BadOutput where it is not UTF-8."""
    if isinstance(value, str):
        return value
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadOutput(
            f"it is binary data, not UTF-8 text ({error.reason} at byte {error.start}). Give the output a "
            f'name that ends in _bytes, and it will be sent as {{"b64": "…"}}.'
        ) from None


def binary(value: Any) -> Any:
    """A string output, at any depth of lists, as `{"b64": …}` objects."""
    if isinstance(value, list):
        return [binary(item) for item in value]
    raw = value.encode("utf-8") if isinstance(value, str) else bytes(value)
    return {"b64": base64.b64encode(raw).decode("ascii")}


def finite(predictions: list[Any], policy: str) -> list[Any]:
    """`predictions` without NaN and infinity, which JSON cannot say.

    Args:
        predictions: Ready for JSON but for that; arrays of NumPy may be in them.
        policy: "NULL" or "TEXT" for what stands in, "REJECT" to raise BadOutput that names the place.
    """
    made: list[Any] = []
    for position, prediction in enumerate(predictions):
        if isinstance(prediction, dict):
            made.append(
                {name: _finite(value, policy, position, str(name)) for name, value in prediction.items()}
            )
        else:
            made.append(_finite(prediction, policy, position, ""))
    return made


def place(position: int, name: str) -> str:
    """Where in an answer something stands, instances counted from 1."""
    return f"instance {position + 1}, output {name}" if name else f"instance {position + 1}"


def _finite(value: Any, policy: str, position: int, name: str) -> Any:
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        if policy == "NULL":
            return None
        if policy == "TEXT":
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        what = "NaN (not a number)" if math.isnan(value) else "an infinite number"
        raise BadOutput(f"{place(position, name)}: the model answered {what}, which JSON cannot say.")
    if isinstance(value, (list, tuple)):
        return [_finite(item, policy, position, name) for item in value]
    if isinstance(value, dict):
        return {key: _finite(item, policy, position, name) for key, item in value.items()}
    return value
