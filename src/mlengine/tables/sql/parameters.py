"""Query parameters: what the REST body says of them, as values."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from mlengine.tables.sql.kinds import NAMED, Type, array
from mlengine.tables.sql.problems import InvalidQuery, Unsupported
from mlengine.tables.sql.values import Value, number, octets, real, string, structure, truth
from mlengine.tables.types import literal as text_literal


def read(parameters: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Value], list[Value]]:
    """Named parameters by their names in small letters, and positional ones.

    Raises:
        InvalidQuery: one is not what its type says.
    """
    named: dict[str, Value] = {}
    positional = []
    for at, parameter in enumerate(parameters):
        name = str(parameter.get("name") or "")
        shown = f"@{name}" if name else f"at position {at + 1}"
        kind = _kind(parameter.get("parameterType") or {}, shown)
        made = _value(kind, parameter.get("parameterValue") or {}, shown)
        if name:
            named[name.casefold()] = made
        else:
            positional.append(made)
    return named, positional


def _kind(given: Mapping[str, Any], shown: str) -> Type:
    name = str(given.get("type") or "").upper()
    if name == "ARRAY":
        return array(_kind(given.get("arrayType") or {}, shown))
    if name in ("STRUCT", "RECORD"):
        fields = given.get("structTypes") or []
        return Type(
            "STRUCT",
            fields=tuple((str(f.get("name") or ""), _kind(f.get("type") or {}, shown)) for f in fields),
        )
    if name not in NAMED:
        raise Unsupported(f"The type {name or 'nothing'} of query parameter {shown}")
    return NAMED[name]


def _value(kind: Type, given: Mapping[str, Any], shown: str) -> Value:
    if kind.element is not None:
        items = given.get("arrayValues")
        if items is None and "arrayValues" not in given and given.get("value", 0) is None:
            return Value(f"CAST(NULL AS {kind.sql})", kind, None, True)
        parts = [_value(kind.element, item, shown) for item in items or []]
        inside = ", ".join(part.sql for part in parts)
        constant = [part.constant for part in parts]
        return Value(f"CAST([{inside}] AS {kind.sql})", kind, constant, True, tuple(parts))
    if kind.kind == "STRUCT":
        have = given.get("structValues") or {}
        parts = [_value(of, have.get(name) or {}, shown) for name, of in kind.fields]
        return structure(kind, tuple(parts))
    text = given.get("value")
    if text is None:
        return Value(f"CAST(NULL AS {kind.sql})", kind, None, True)
    try:
        return _scalar(kind, str(text))
    except (ValueError, ArithmeticError, binascii.Error):
        raise InvalidQuery(f"Query parameter {shown}: '{text}' is no valid {kind}") from None


def _scalar(kind: Type, text: str) -> Value:
    name = kind.kind
    if name == "INT64":
        return number(int(text))
    if name == "FLOAT64":
        float(text)
        return real(text)
    if name == "STRING":
        return string(text)
    if name == "BYTES":
        return octets(base64.b64decode(text, validate=False))
    if name == "BOOL":
        if text.lower() not in ("true", "false"):
            raise ValueError(text)
        return truth(text.lower() == "true")
    if name in ("NUMERIC", "BIGNUMERIC"):
        exact = Decimal(text)
        return Value(f"CAST('{exact:f}' AS {kind.sql})", kind, exact, True)
    if name == "TIMESTAMP":
        plain = text.strip().replace("T", " ")
        plain = plain[:-1] + "+00" if plain.endswith("Z") else plain
        plain = plain.removesuffix(" UTC")
        return Value(f"CAST({text_literal(plain)} AS TIMESTAMPTZ)", kind, text, True)
    if name == "DATETIME":
        text = text.replace("T", " ")
    return Value(f"CAST({text_literal(text)} AS {kind.sql})", kind, text, True)
