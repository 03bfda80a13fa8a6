"""From one type to another: what happens by itself, and what CAST and SAFE_CAST do."""

# ruff: noqa: E501 (SQL is easier to read in one piece)

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from itertools import count
from typing import TYPE_CHECKING

from mlengine.tables.sql import kinds
from mlengine.tables.sql.kinds import NULL, STRING, Type
from mlengine.tables.sql.problems import InvalidQuery, Place
from mlengine.tables.sql.values import Value, field_of, structure
from mlengine.tables.types import literal as text_literal

if TYPE_CHECKING:
    from mlengine.tables.sql.compiler import Compiler

_BY_ITSELF = {
    "INT64": ("NUMERIC", "BIGNUMERIC", "FLOAT64"),
    "NUMERIC": ("BIGNUMERIC", "FLOAT64"),
    "BIGNUMERIC": ("FLOAT64",),
    "DATE": ("DATETIME",),
}
_LITERALS = {
    "STRING": ("DATE", "TIME", "DATETIME", "TIMESTAMP", "INTERVAL"),
    "FLOAT64": ("NUMERIC", "BIGNUMERIC"),
}
_EXPLICIT = {
    "INT64": "INT64 NUMERIC BIGNUMERIC FLOAT64 BOOL STRING",
    "NUMERIC": "INT64 NUMERIC BIGNUMERIC FLOAT64 STRING",
    "BIGNUMERIC": "INT64 NUMERIC BIGNUMERIC FLOAT64 STRING",
    "FLOAT64": "INT64 NUMERIC BIGNUMERIC FLOAT64 STRING",
    "BOOL": "INT64 BOOL STRING",
    "STRING": "STRING INT64 NUMERIC BIGNUMERIC FLOAT64 BOOL BYTES DATE TIME DATETIME TIMESTAMP INTERVAL",
    "BYTES": "BYTES STRING",
    "DATE": "DATE STRING DATETIME TIMESTAMP",
    "TIME": "TIME STRING",
    "DATETIME": "DATETIME DATE TIME TIMESTAMP STRING",
    "TIMESTAMP": "TIMESTAMP DATETIME DATE TIME STRING",
    "INTERVAL": "INTERVAL STRING",
    "JSON": "JSON",
}
_numbers = count(1)


def same(left: Type, right: Type) -> bool:
    """Whether both are one type, parameters and field names aside."""
    if left.kind != right.kind:
        return False
    if left.element is not None and right.element is not None:
        return same(left.element, right.element)
    return len(left.fields) == len(right.fields) and all(
        same(one, other) for (_, one), (_, other) in zip(left.fields, right.fields, strict=True)
    )


def identical(left: Type, right: Type) -> bool:
    """Whether DuckDB would write both the same way."""
    return left.sql == right.sql


def coerce(c: Compiler, value: Value, to: Type) -> Value | None:
    """`value` as `to` if BigQuery does that without being asked; None if it does not."""
    have = value.kind
    if have.kind == "NULL":
        return Value(f"CAST(NULL AS {to.sql})", to, None, value.literal)
    if same(have, to):
        return (
            value
            if identical(have, to)
            else Value(_reshape(c, value, to, None), to, value.constant, value.literal)
        )
    if have.kind == to.kind and (have.kind == "STRUCT" or have.kind == "ARRAY"):
        return _coerce_parts(c, value, to)
    if to.kind in _BY_ITSELF.get(have.kind, ()) or (
        value.literal and to.kind in _LITERALS.get(have.kind, ())
    ):
        return Value(cast(c, value, to), to, value.constant, value.literal)
    return None


def _coerce_parts(c: Compiler, value: Value, to: Type) -> Value | None:
    if value.parts is None:
        if to.element is not None and value.kind.element is not None and value.kind.element.kind == "NULL":
            return Value(f"CAST({value.sql} AS {to.sql})", to)
        return None
    if to.element is not None:
        parts = [coerce(c, part, to.element) for part in value.parts]
        if any(part is None for part in parts):
            return None
        inside = ", ".join(part.sql for part in parts if part)
        return Value(f"CAST([{inside}] AS {to.sql})", to, literal=value.literal)
    if len(value.parts) != len(to.fields):
        return None
    fields = [coerce(c, part, kind) for part, (_, kind) in zip(value.parts, to.fields, strict=True)]
    if any(part is None for part in fields):
        return None
    return structure(to, tuple(part for part in fields if part))


def common(c: Compiler, values: Sequence[Value]) -> Type | None:
    """The type that all of `values` can become; None if there is none."""
    candidates: list[Type] = []
    firm = [v for v in values if not v.literal and v.kind.kind != "NULL"] or [
        v for v in values if v.kind.kind != "NULL"
    ]
    for value in firm:
        if not any(same(value.kind, other) and value.kind.sql == other.sql for other in candidates):
            candidates.append(value.kind)
    for value in values:
        if value.kind.kind != "NULL" and not any(same(value.kind, o) for o in candidates):
            candidates.append(value.kind)
    if not candidates:
        return NULL
    if all(kind.kind in kinds.NUMBERS for kind in candidates):
        order = {name: rank for rank, name in enumerate(("INT64", "NUMERIC", "BIGNUMERIC", "FLOAT64"))}
        strong = [k for k in candidates if any(v.kind.kind == k.kind and not v.literal for v in values)]
        best = max(strong or candidates, key=lambda kind: order[kind.kind]).bare
        if all(coerce(c, value, best) is not None for value in values):
            return best
        return max(candidates, key=lambda kind: order[kind.kind]).bare
    for kind in candidates:
        plain = kind.bare
        if all(coerce(c, value, plain) is not None for value in values):
            return plain
    if all(kind.kind == "STRUCT" for kind in candidates) and len({len(k.fields) for k in candidates}) == 1:
        merged = []
        for position, (name, _) in enumerate(candidates[0].fields):
            inner = common(c, [field_of(v, position) for v in values if v.kind.kind == "STRUCT"])
            if inner is None:
                return None
            merged.append((name, inner))
        return Type("STRUCT", fields=tuple(merged))
    return None


def agree(c: Compiler, values: Iterable[Value], what: str, place: Place | None) -> tuple[list[Value], Type]:
    """All `values` in their common type.

    Raises:
        InvalidQuery: they have none.
    """
    listed = list(values)
    kind = common(c, listed)
    if kind is None:
        told = ", ".join(dict.fromkeys(str(value.kind) for value in listed))
        raise InvalidQuery(f"No matching signature for {what} for argument types: {told}", place=place)
    if kind.kind == "NULL":
        return listed, kind
    return [coerce(c, value, kind) or value for value in listed], kind


def assign(c: Compiler, value: Value, to: Type, name: str, place: Place | None) -> Value:
    """`value` as it is stored in a column or variable of type `to`.

    Raises:
        InvalidQuery: it is of another type.
    """
    found = coerce(c, value, to.bare)
    if found is None and value.kind.numeric and to.kind in kinds.NUMBERS and value.literal:
        found = Value(cast(c, value, to), to)
    if found is None:
        raise InvalidQuery(
            f"Value has type {value.kind} which cannot be inserted into column {name}, which has type {to}",
            place=place,
        )
    return Value(limited(c, found, to), to) if to.limits else found


def limited(c: Compiler, value: Value, to: Type) -> str:
    """`value` within the parameters of `to`."""
    sql = value.sql
    if to.kind in ("NUMERIC", "BIGNUMERIC"):
        scale = to.limits[1] if len(to.limits) > 1 else 0
        rounded = f"CAST(round({sql}, {scale}) AS {to.sql})"
        bound = "1" + "0" * (to.limits[0] - scale)
        message = text_literal(
            f"{to.kind}({to.limits[0]}, {scale}) has precision {to.limits[0]} and scale {scale}"
            " but got a value that is not in range of it"
        )
        return c.guard(f"abs({rounded}) >= {bound}", message, rounded)
    length = f"length({sql})" if to.kind == "STRING" else f"octet_length({sql})"
    said = f"'{to.kind}({to.limits[0]}) has maximum length {to.limits[0]} but got a value with length ' || {length}"
    return c.guard(f"{length} > {to.limits[0]}", said, sql)


def cast(c: Compiler, value: Value, to: Type, place: Place | None = None) -> str:
    """CAST(value AS to); what cannot be is an error, or NULL inside SAFE_CAST.

    Raises:
        InvalidQuery: BigQuery knows no such cast, or the literal does not fit.
    """
    have = value.kind
    if have.kind == "NULL":
        return f"CAST(NULL AS {to.sql})"
    if have.kind in ("ARRAY", "STRUCT") or to.kind in ("ARRAY", "STRUCT"):
        return _reshape(c, value, to, place)
    if to.kind not in _EXPLICIT[have.kind].split():
        raise InvalidQuery(f"Invalid cast from {have} to {to}", place=place)
    if have.kind == to.kind:
        done = value.sql
    elif plain := _literal(value, to):
        done = plain
    elif rule := _RULES.get((have.kind, to.kind)):
        done = rule(c, value)
    else:
        done = _plain(c, f"CAST({value.sql} AS {to.sql})")
    return limited(c, Value(done, to.bare), to) if to.limits else done


_CLOCK = r"[T ]\d{1,2}:\d{1,2}(?::\d{1,2}(?:\.\d{0,6})?)?"
_WRITTEN = {
    "DATE": re.compile(r"\d{4}-\d{1,2}-\d{1,2}"),
    "DATETIME": re.compile(rf"\d{{4}}-\d{{1,2}}-\d{{1,2}}(?:{_CLOCK})?"),
    "TIMESTAMP": re.compile(
        rf"\d{{4}}-\d{{1,2}}-\d{{1,2}}(?:{_CLOCK})?(?: ?(?:Z|UTC|[+-]\d{{1,2}}(?::\d{{2}})?))?"
    ),
}


def _literal(value: Value, to: Type) -> str:
    """A date as it is written, when it is plainly one: DuckDB can then skip what lies outside of it."""
    pattern = _WRITTEN.get(to.kind)
    if pattern is None or not value.literal or not isinstance(value.constant, str):
        return ""
    if not pattern.fullmatch(value.constant):
        return ""
    if to.kind == "DATE":
        try:
            date(*(int(piece) for piece in value.constant.split("-")))
        except ValueError:
            return ""
    text = (
        value.constant.replace("T", " ")
        if not value.constant.endswith("UTC")
        else value.constant[:-3].strip()
    )
    text = text.removesuffix("Z").strip() + "+00" if text.endswith("Z") else text
    if to.kind == "TIMESTAMP" and not re.search(r"[+-]\d{1,2}(:\d{2})?$", text[8:]):
        text += " 00:00:00+00" if ":" not in text else "+00"
    return f"CAST({text_literal(text)} AS {to.sql})"


def _plain(c: Compiler, sql: str) -> str:
    return f"TRY({sql})" if c.safe and "SELECT" not in sql and "error(" not in sql else sql


def _reshape(c: Compiler, value: Value, to: Type, place: Place | None) -> str:
    have = value.kind
    if have.kind != to.kind:
        raise InvalidQuery(f"Invalid cast from {have} to {to}", place=place)
    if identical(have, to):
        return value.sql
    if to.element is not None and have.element is not None:
        if have.element.kind == "NULL" or value.parts == ():
            return f"CAST({value.sql} AS {to.sql})"
        if not same(have.element, to.element) and have.element.kind != "STRUCT":
            raise InvalidQuery(
                f"Casting between arrays with incompatible element types is not supported: Invalid cast from {have} to {to}",
                place=place,
            )
        name = f'"e{next(_numbers)}"'
        inner = _reshape(c, Value(name, have.element), to.element, place)
        return f"list_transform({value.sql}, lambda {name}: {inner})"
    if to.kind != "STRUCT":
        return value.sql
    if len(have.fields) != len(to.fields):
        raise InvalidQuery(f"Invalid cast from {have} to {to}", place=place)
    parts = []
    for position, (_, kind) in enumerate(to.fields):
        part = field_of(value, position)
        parts.append(Value(cast(c, part, kind, place), kind))
    made = structure(to, tuple(parts)).sql
    return made if value.parts is not None else f"CASE WHEN {value.sql} IS NULL THEN NULL ELSE {made} END"


def _from_text(pattern: str, what: str, to: str) -> Callable[[Compiler, Value], str]:
    def rule(c: Compiler, value: Value) -> str:
        sql = f"trim({value.sql})"
        bad = f"NOT regexp_full_match({sql}, '{pattern}')"
        return c.guard(bad, f"'Bad {what} value: ' || {value.sql}", _plain(c, f"CAST({sql} AS {to})"))

    return rule


def _text_to_number(sql_type: str, name: str) -> Callable[[Compiler, Value], str]:
    def rule(c: Compiler, value: Value) -> str:
        if value.known and isinstance(value.constant, str):
            try:
                Decimal(value.constant.strip())
            except InvalidOperation:
                pass
        sql = f"trim({value.sql})"
        bad = rf"NOT regexp_full_match({sql}, '[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?')"
        return c.guard(
            bad, f"'Invalid {name} value: ' || {value.sql}", _plain(c, f"CAST({sql} AS {sql_type})")
        )

    return rule


def _text_to_double(c: Compiler, value: Value) -> str:
    sql = f"trim({value.sql})"
    bad = rf"NOT regexp_full_match(lower({sql}), '[+-]?(\d+\.?\d*(e[+-]?\d+)?|\.\d+(e[+-]?\d+)?|inf|infinity|nan)')"
    return c.guard(bad, f"'Bad double value: ' || {value.sql}", _plain(c, f"CAST({sql} AS DOUBLE)"))


def _text_to_bool(c: Compiler, value: Value) -> str:
    low = f"lower(trim({value.sql}))"
    return c.guard(
        f"{low} NOT IN ('true', 'false')", f"'Bad bool value: ' || {value.sql}", f"({low} = 'true')"
    )


def _real_to_integer(c: Compiler, value: Value) -> str:
    rounded = f"round({value.sql})"
    bad = (
        f"(NOT isfinite({value.sql}) OR {rounded} >= 9223372036854775808 OR {rounded} < -9223372036854775808)"
    )
    if (
        value.kind.kind == "FLOAT64"
        and value.known
        and isinstance(value.constant, Decimal)
        and abs(value.constant) < 2**62
    ):
        return f"CAST({rounded} AS BIGINT)"
    return c.guard(bad, f"'Casting to int64 out of range: ' || {value.sql}", f"CAST({rounded} AS BIGINT)")


def _real_to_numeric(sql_type: str, digits: int) -> Callable[[Compiler, Value], str]:
    def rule(c: Compiler, value: Value) -> str:
        if value.known and isinstance(value.constant, Decimal):
            return f"CAST('{value.constant:f}' AS {sql_type})"
        bad = f"(NOT isfinite({value.sql}) OR abs({value.sql}) >= 1e{digits})"
        # Through text, because that has the shortest digits that mean this number, as BigQuery takes them.
        done = f"CAST(CAST({value.sql} AS VARCHAR) AS {sql_type})"
        return c.guard(bad, f"'Casting to {'NUMERIC'} out of range: ' || {value.sql}", done)

    return rule


def text_of(c: Compiler, value: Value) -> str:
    """CAST(value AS STRING)."""
    sql, kind = value.sql, value.kind.kind
    if kind == "FLOAT64":
        return f"bq_float_text({sql})"
    if kind in ("NUMERIC", "BIGNUMERIC"):
        return f"rtrim(rtrim(CAST({sql} AS VARCHAR), '0'), '.')"
    if kind == "TIMESTAMP":
        return f"(bq_datetime_text(timezone('UTC', {sql})) || '+00')"
    if kind == "DATETIME":
        return f"bq_datetime_text({sql})"
    if kind == "TIME":
        return f"bq_time_text({sql})"
    if kind == "INTERVAL":
        return f"bq_interval_text({sql})"
    if kind == "BYTES":
        return _plain(c, f"decode({sql})")
    return f"CAST({sql} AS VARCHAR)"


def _text_to_time(sql_type: str, what: str) -> Callable[[Compiler, Value], str]:
    def rule(c: Compiler, value: Value) -> str:
        sql = value.sql
        if sql_type == "TIMESTAMPTZ":
            sql = f"regexp_replace(regexp_replace(trim({sql}), '^(\\d+-\\d+-\\d+)[tT ]', '\\1 '), ' ?[zZ]$', '+00')"
            bad = f"NOT regexp_matches({sql}, '^\\d{{1,4}}-\\d{{1,2}}-\\d{{1,2}}')"
            done = _plain(c, f"CAST({sql} AS TIMESTAMPTZ)")
            return c.guard(bad, f"'Invalid timestamp: ''' || {value.sql} || ''''", done)
        if sql_type == "TIMESTAMP":
            sql = f"regexp_replace(trim({sql}), '^(\\d+-\\d+-\\d+)[tT ]', '\\1 ')"
            bad = f"NOT regexp_full_match({sql}, '\\d{{1,4}}-\\d{{1,2}}-\\d{{1,2}}( \\d{{1,2}}:\\d{{1,2}}(:\\d{{1,2}}(\\.\\d{{0,6}})?)?)?')"
            done = _plain(c, f"CAST({sql} AS TIMESTAMP)")
            return c.guard(bad, f"'Invalid datetime string \"' || {value.sql} || '\"'", done)
        if sql_type == "DATE":
            bad = f"NOT regexp_matches({sql}, '^\\s*\\d{{1,4}}-\\d{{1,2}}-\\d{{1,2}}')"
            return c.guard(bad, f"'Invalid date: ''' || {sql} || ''''", _plain(c, f"CAST({sql} AS DATE)"))
        bad = f"NOT regexp_full_match({sql}, '\\d{{1,2}}:\\d{{1,2}}:\\d{{1,2}}(\\.\\d{{0,6}})?')"
        return c.guard(
            bad, f"'Invalid {what} string \"' || {sql} || '\"'", _plain(c, f"CAST({sql} AS {sql_type})")
        )

    return rule


_RULES: dict[tuple[str, str], Callable[[Compiler, Value], str]] = {
    ("STRING", "INT64"): _from_text(r"[+-]?(\d+|0[xX][0-9a-fA-F]+)", "int64", "BIGINT"),
    ("STRING", "FLOAT64"): _text_to_double,
    ("STRING", "NUMERIC"): _text_to_number(kinds.NUMERIC.sql, "NUMERIC"),
    ("STRING", "BIGNUMERIC"): _text_to_number(kinds.BIGNUMERIC.sql, "BIGNUMERIC"),
    ("STRING", "BOOL"): _text_to_bool,
    ("STRING", "BYTES"): lambda _, value: f"encode({value.sql})",
    ("STRING", "DATE"): _text_to_time("DATE", "date"),
    ("STRING", "TIME"): _text_to_time("TIME", "time"),
    ("STRING", "DATETIME"): _text_to_time("TIMESTAMP", "datetime"),
    ("STRING", "TIMESTAMP"): _text_to_time("TIMESTAMPTZ", "timestamp"),
    ("STRING", "INTERVAL"): lambda _, value: f"bq_interval({value.sql})",
    ("FLOAT64", "INT64"): _real_to_integer,
    ("NUMERIC", "INT64"): lambda _, value: f"CAST(round({value.sql}, 0) AS BIGINT)",
    ("BIGNUMERIC", "INT64"): lambda _, value: f"CAST(round({value.sql}, 0) AS BIGINT)",
    ("FLOAT64", "NUMERIC"): _real_to_numeric(kinds.NUMERIC.sql, 29),
    ("FLOAT64", "BIGNUMERIC"): _real_to_numeric(kinds.BIGNUMERIC.sql, 20),
    ("INT64", "BOOL"): lambda _, value: f"({value.sql} <> 0)",
    ("DATETIME", "TIMESTAMP"): lambda _, value: f"timezone('UTC', {value.sql})",
    ("DATE", "TIMESTAMP"): lambda _, value: f"timezone('UTC', CAST({value.sql} AS TIMESTAMP))",
    ("TIMESTAMP", "DATETIME"): lambda _, value: f"timezone('UTC', {value.sql})",
    ("TIMESTAMP", "DATE"): lambda _, value: f"CAST(timezone('UTC', {value.sql}) AS DATE)",
    ("TIMESTAMP", "TIME"): lambda _, value: f"CAST(timezone('UTC', {value.sql}) AS TIME)",
    **{(kind, "STRING"): text_of for kind in _EXPLICIT if kind not in ("STRING", "JSON")},
}


def as_text(c: Compiler, value: Value) -> Value:
    """`value` as a STRING."""
    return value if value.kind.kind == "STRING" else Value(cast(c, value, STRING), STRING)
