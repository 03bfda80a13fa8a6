"""Instances as JSON, one by one: what Python, NumPy and pandas put into them, and what JSON cannot say."""

from __future__ import annotations

import base64
import json
import math
import sys
from collections.abc import Mapping
from datetime import date, time
from typing import Any, Literal, NoReturn

from mlengine.errors import InvalidArgument

Nan = Literal["error", "null"]
NANS = ("error", "null")


class Encoder:
    """Writes instances as JSON.

    `bytes` become `{"b64": …}` and moments ISO 8601, as the API has them.

    Args:
        nan: What becomes of NaN, NaT and pandas' NA, for which JSON has no word: a refusal, or null.
    """

    def __init__(self, nan: Nan) -> None:
        self._nan = nan
        self._json = json.JSONEncoder(
            ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=plain
        )

    def encode(self, number: int, instance: object) -> bytes:
        """One instance. Raises InvalidArgument, naming instance, field and value.

        Args:
            number: Counted from 0; messages count from 1, as the server's do.
        """
        try:
            return self._json.encode(instance).encode()
        except (TypeError, ValueError, RecursionError):
            pass
        # Only now, for this walk is ten times slower.
        where = f"Instance {number + 1}"
        try:
            return self._json.encode(self._settled(instance, where, ())).encode()
        except RecursionError:
            raise InvalidArgument(f"{where} is nested too deeply.") from None
        except (TypeError, ValueError) as error:
            raise InvalidArgument(f"{where} cannot be written as JSON: {error}.") from None

    def _settled(self, value: Any, where: str, path: tuple[object, ...]) -> Any:
        """`value` with null for what is missing; raises InvalidArgument at what JSON cannot hold."""
        if not isinstance(value, str | int | float | list | tuple | Mapping | None):
            try:
                value = plain(value)
            except TypeError:
                _refuse(where, path, f"a {type(value).__name__} cannot be written as JSON.")
        if isinstance(value, Mapping):
            return {key: self._settled(inner, where, (*path, key)) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self._settled(inner, where, (*path, at)) for at, inner in enumerate(value)]
        if isinstance(value, float) and not math.isfinite(value):
            if math.isinf(value):
                _refuse(where, path, f"{value} is no JSON number.")
            if self._nan == "error":
                hint = "Fill it in, or send null: predict(..., nan='null')."
                _refuse(where, path, "NaN is no JSON number.", hint=hint)
            return None
        return value


def plain(value: Any) -> Any:
    """What JSON can hold in place of `value`; NaN for what is missing. Raises TypeError."""
    if _is_missing(value):
        return math.nan
    if isinstance(value, bytes | bytearray | memoryview):
        return {"b64": base64.b64encode(value).decode()}
    if isinstance(value, date | time):
        return value.isoformat()
    if type(value).__module__ == "numpy":
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} has no place in JSON")


def _is_missing(value: object) -> bool:
    pandas = sys.modules.get("pandas")
    return pandas is not None and (value is pandas.NA or value is pandas.NaT)


def _refuse(where: str, path: tuple[object, ...], what: str, *, hint: str = "") -> NoReturn:
    field = ".".join(str(step) for step in path)
    raise InvalidArgument(f"{where}{f', field {field}' if field else ''}: {what}", hint=hint)
