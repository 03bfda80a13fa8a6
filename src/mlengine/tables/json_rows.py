"""One row of JSON against a schema: what is wrong with it, or the same row with every digit kept."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, InvalidOperation
from typing import Any

from mlengine.tables.schema import Field, Schema

_WIDE = Context(prec=100)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WHOLE = re.compile(r"\s*[+-]?\d+\s*")
_NUMBER = re.compile(
    r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*|\s*[+-]?(inf|infinity|nan)\s*", re.IGNORECASE
)
_DATE = re.compile(r"\s*\d{1,4}-\d{1,2}-\d{1,2}\s*")
_TIME = re.compile(r"\s*\d{1,2}:\d{1,2}(:\d{1,2}(\.\d{1,9})?)?\s*")
_DATETIME = re.compile(
    r"\s*\d{1,4}-\d{1,2}-\d{1,2}([T ]\d{1,2}:\d{1,2}(:\d{1,2}(\.\d{1,9})?)?)?\s*", re.IGNORECASE
)


class RowError(Exception):
    """Why a row cannot be taken.

    Attributes:
        field: The path of the field.
        words: What is wrong with it.
    """

    def __init__(self, field: str, words: str) -> None:
        super().__init__(words)
        self.field = field
        self.words = words


def prepared(row: Any, schema: Schema, *, ignore_unknown: bool, within: str = "") -> dict[str, Any]:
    """The row as DuckDB reads it exactly, with no other fields than those of `schema`.

    Raises:
        RowError: it does not fit.
    """
    if not isinstance(row, Mapping):
        raise RowError(within, "This field is not a record." if within else "The row is no JSON object.")
    known = {one.name.lower(): one for one in schema}
    found: dict[str, Any] = {}
    for name, value in row.items():
        one = known.get(name.lower())
        path = f"{within}.{name}" if within else name
        if one is None:
            if not ignore_unknown:
                raise RowError(path, f"no such field: {path}.")
            continue
        if value is None and one.repeated:
            value = []
        if value is not None:
            found[one.name] = _value(value, one, path, ignore_unknown)
    for one in schema:
        if one.mode == "REQUIRED" and one.name not in found:
            path = f"{within}.{one.name}" if within else one.name
            raise RowError(path, f"Missing required field: {path}.")
    return found


def _value(value: Any, one: Field, path: str, ignore: bool) -> Any:
    if one.repeated:
        if not isinstance(value, list):
            raise RowError(path, f"{path} is REPEATED: give a list.")
        if any(item is None for item in value):
            raise RowError(path, "Only optional fields can be set to NULL; an array cannot hold one.")
        return [_value(item, one.element, f"{path}[{index}]", ignore) for index, item in enumerate(value)]
    if one.type == "RECORD":
        return prepared(value, one.fields, ignore_unknown=ignore, within=path)
    if isinstance(value, list) and one.type != "JSON":
        raise RowError(path, f"Array specified for non-repeated field: {path}.")
    try:
        return _SCALARS[one.type](value)
    except (ValueError, TypeError, OverflowError, InvalidOperation, binascii.Error):
        name = {"INTEGER": "INT64", "FLOAT": "FLOAT64"}.get(one.type, one.type)
        raise RowError(path, f"Cannot convert value to {name}: {str(value)[:80]!r}.") from None


def _whole(value: Any) -> str:
    if isinstance(value, bool):
        raise ValueError
    if isinstance(value, float | Decimal):
        if value != int(value):
            raise ValueError
        value = int(value)
    if isinstance(value, str) and not _WHOLE.fullmatch(value):
        raise ValueError
    number = int(value)
    if not -(2**63) <= number < 2**63:
        raise ValueError
    return str(number)


def _float(value: Any) -> str:
    if isinstance(value, bool) or (isinstance(value, str) and not _NUMBER.fullmatch(value)):
        raise ValueError
    return repr(float(value))


def _decimal(whole: int, places: int) -> Callable[[Any], str]:
    def decimal(value: Any) -> str:
        if isinstance(value, bool):
            raise ValueError
        number = Decimal(repr(value) if isinstance(value, float) else str(value).strip())
        if not number.is_finite() or number.adjusted() >= whole:
            raise ValueError
        if number != number.quantize(Decimal(1).scaleb(-places), context=_WIDE):
            raise ValueError
        return format(number, "f")

    return decimal


def _truth(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in ("true", "t", "yes", "y", "1"):
        return True
    if text in ("false", "f", "no", "n", "0"):
        return False
    raise ValueError


def _text(value: Any) -> str:
    if isinstance(value, dict):
        raise ValueError
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _bytes(value: Any) -> str:
    return base64.b64encode(
        base64.b64decode(str(value).replace("-", "+").replace("_", "/"), validate=True)
    ).decode()


def _like(pattern: re.Pattern[str]) -> Callable[[Any], str]:
    def like(value: Any) -> str:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise ValueError
        return value

    return like


def _timestamp(value: Any) -> str:
    if isinstance(value, bool):
        raise ValueError
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        year, dash, rest = value.strip().partition("-")
        if not year.isdigit() or not dash:
            raise ValueError
        return f"{int(year):04d}-{rest}"
    # Seconds since 1970, with a fraction.
    micros = int((Decimal(str(value)) * 1_000_000).to_integral_value())
    return (_EPOCH + timedelta(microseconds=micros)).isoformat()


def _interval(value: Any) -> str:
    """From "Y-M D H:M:S.F" to what DuckDB reads."""
    if not isinstance(value, str):
        raise ValueError
    found = re.fullmatch(r"\s*(-?)(\d+)-(\d+) (-?\d+) (-?)(\d+):(\d+):(\d+(?:\.\d+)?)\s*", value)
    if not found:
        raise ValueError
    months = (int(found[2]) * 12 + int(found[3])) * (-1 if found[1] else 1)
    sign = "-" if found[5] else ""
    return f"{months} months {found[4]} days {sign}{found[6]}:{found[7]}:{found[8]}"


def _json(value: Any) -> Any:
    # A text holds JSON; anything else is it.
    return json.loads(value) if isinstance(value, str) else _without_decimals(value)


def _without_decimals(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dict):
        return {key: _without_decimals(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_without_decimals(part) for part in value]
    return value


_SCALARS: dict[str, Callable[[Any], Any]] = {
    "STRING": _text,
    "BYTES": _bytes,
    "INTEGER": _whole,
    "FLOAT": _float,
    "NUMERIC": _decimal(29, 9),
    "BIGNUMERIC": _decimal(20, 18),
    "BOOLEAN": _truth,
    "TIMESTAMP": _timestamp,
    "DATE": _like(_DATE),
    "TIME": _like(_TIME),
    "DATETIME": _like(_DATETIME),
    "JSON": _json,
    "INTERVAL": _interval,
}
