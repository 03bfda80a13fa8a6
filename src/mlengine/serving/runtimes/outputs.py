"""From what a model returns to JSON values, and the refusal of what JSON cannot say."""

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


def refuse_unsayable(predictions: list[Any]) -> None:
    """Raise BadOutput, naming instance and output, if a number is NaN or infinite, or a value is null."""
    for position, prediction in enumerate(predictions):
        named = prediction.items() if isinstance(prediction, dict) else [("", prediction)]
        for name, value in named:
            what = _unsayable(value)
            if what is not None:
                raise BadOutput(f"{place(position, name)}: the model answered {what}, which JSON cannot say.")


def place(position: int, name: str) -> str:
    """Where in an answer something stands, instances counted from 1."""
    return f"instance {position + 1}, output {name}" if name else f"instance {position + 1}"


def _unsayable(value: Any) -> str | None:
    if isinstance(value, float):
        if math.isfinite(value):
            return None
        return "NaN (not a number)" if math.isnan(value) else "an infinite number"
    if value is None:
        return "nothing (None)"
    if isinstance(value, (list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            what = _unsayable(item)
            if what is not None:
                return what
    return None
