"""JSON, and STRINGs that hold it."""

# ruff: noqa: E501 (SQL is easier to read in one piece)

from __future__ import annotations

import re
from typing import Any

from mlengine.tables.sql.calls import Call, rule
from mlengine.tables.sql.casts import cast
from mlengine.tables.sql.kinds import BOOL, FLOAT64, INT64, JSON, STRING, Type, array
from mlengine.tables.sql.problems import InvalidQuery, Unsupported
from mlengine.tables.sql.values import Value, field_of, structure
from mlengine.tables.types import literal as text_literal


def parse_json(c: Any, value: Value) -> Value:
    """PARSE_JSON(value)"""
    return Value(c.attempt(f"json({value.sql})") if not c.safe else f"TRY(json({value.sql}))", JSON)


@rule("PARSE_JSON")
def parse(call: Call) -> Value:
    call.count(1)
    for name in call.named:
        if name != "wide_number_mode":
            raise Unsupported(f"Argument {name} of PARSE_JSON", place=call.place)
    return parse_json(call.c, call.take(0, STRING))


def _path(call: Call, position: int = 1) -> str:
    """DuckDB's form of a JSONPath."""
    if len(call.nodes) <= position:
        return "'$'"
    text = call.constant(position, "a string literal or query parameter")
    if not isinstance(text, str) or not text.startswith("$"):
        raise InvalidQuery(f"Invalid JSONPath: {text}", place=call.place)
    rest, made = text[1:], "$"
    while rest:
        if found := re.match(
            r"\.\"((?:[^\"\\]|\\.)*)\"|\['((?:[^'\\]|\\.)*)'\]|\[\"((?:[^\"\\]|\\.)*)\"\]|\.([^.\[\]\"']+)",
            rest,
        ):
            name = next(group for group in found.groups() if group is not None)
            made += '."' + name.replace('"', '\\"') + '"'
        elif found := re.match(r"\[(\d+)\]", rest):
            made += f"[{found[1]}]"
        else:
            raise InvalidQuery(f"Invalid JSONPath: unsupported operator in {text}", place=call.place)
        rest = rest[found.end() :]
    return text_literal(made)


def _document(call: Call) -> tuple[str, Type]:
    """The first argument as JSON that is NULL where its text is none, and the type of what comes out."""
    value = call.args[0]
    if value.kind.kind == "JSON":
        return value.sql, JSON
    text = call.take(0, STRING).sql
    return f"CASE WHEN json_valid({text}) THEN CAST({text} AS JSON) END", STRING


@rule("JSON_QUERY", "JSON_EXTRACT")
def extract(call: Call) -> Value:
    call.count(1, 2)
    document, kind = _document(call)
    found = f"json_extract({document}, {_path(call)})"
    if kind is STRING:
        return Value(f"CASE WHEN json_type({found}) <> 'NULL' THEN CAST({found} AS VARCHAR) END", STRING)
    return Value(found, JSON)


@rule("JSON_VALUE", "JSON_EXTRACT_SCALAR")
def value(call: Call) -> Value:
    call.count(1, 2)
    document, _ = _document(call)
    return Value(f"bq_json_scalar(json_extract({document}, {_path(call)}))", STRING)


@rule("JSON_QUERY_ARRAY", "JSON_EXTRACT_ARRAY")
def extract_array(call: Call) -> Value:
    call.count(1, 2)
    document, kind = _document(call)
    found = f"json_extract({document}, {_path(call)})"
    rows = f"CASE WHEN json_type({found}) = 'ARRAY' THEN json_extract({found}, '$[*]') END"
    if kind is STRING:
        return Value(f"list_transform({rows}, lambda j: CAST(j AS VARCHAR))", array(STRING))
    return Value(rows, array(JSON))


@rule("JSON_VALUE_ARRAY", "JSON_EXTRACT_STRING_ARRAY")
def value_array(call: Call) -> Value:
    call.count(1, 2)
    document, _ = _document(call)
    found = f"json_extract({document}, {_path(call)})"
    rows = f"json_extract({found}, '$[*]')"
    plain = f"len(list_filter({rows}, lambda j: json_type(j) IN ('OBJECT', 'ARRAY'))) = 0"
    return Value(
        f"CASE WHEN json_type({found}) = 'ARRAY' AND {plain} THEN list_transform({rows}, lambda j: bq_json_scalar(j)) END",
        array(STRING),
    )


@rule("JSON_TYPE")
def json_type(call: Call) -> Value:
    call.count(1)
    found = call.take(0, JSON).sql
    return Value(
        f"CASE json_type({found}) WHEN 'OBJECT' THEN 'object' WHEN 'ARRAY' THEN 'array' WHEN 'VARCHAR' THEN 'string' "
        f"WHEN 'BOOLEAN' THEN 'boolean' WHEN 'NULL' THEN 'null' WHEN NULL THEN NULL ELSE "
        f"CASE WHEN {found} IS NULL THEN NULL ELSE 'number' END END",
        STRING,
    )


_STRICT = {
    "STRING": ("VARCHAR", STRING, "string"),
    "BOOL": ("BOOLEAN", BOOL, "boolean"),
    "INT64": ("", INT64, "number"),
    "FLOAT64": ("", FLOAT64, "number"),
    "DOUBLE": ("", FLOAT64, "number"),
}


def strict(call: Call) -> Value:
    """STRING(json), BOOL(json), INT64(json), FLOAT64(json): an error where the JSON is of another type."""
    found = call.take(0, JSON).sql
    name, kind, _ = _STRICT[call.name]
    numbers = "('BIGINT', 'UBIGINT', 'DOUBLE', 'HUGEINT')"
    good = f"json_type({found}) = '{name}'" if name else f"json_type({found}) IN {numbers}"
    done = (
        f"CAST(json_extract_string({found}, '$') AS {kind.sql})"
        if kind is not STRING
        else f"json_extract_string({found}, '$')"
    )
    if kind is INT64:
        good += f" AND CAST(json_extract_string({found}, '$') AS DOUBLE) = trunc(CAST(json_extract_string({found}, '$') AS DOUBLE))"
        done = f"CAST(CAST(json_extract_string({found}, '$') AS DECIMAL(38,9)) AS BIGINT)"
    shown = {
        "STRING": "a string",
        "BOOL": "a boolean",
        "INT64": "an int64",
        "FLOAT64": "a number",
        "DOUBLE": "a number",
    }[call.name]
    return Value(call.c.guard(f"NOT ({good})", f"'The provided JSON input is not {shown}'", done), kind)


@rule("BOOL", "INT64", "FLOAT64", "DOUBLE")
def strictly(call: Call) -> Value:
    call.count(1, 2)
    return strict(call)


@rule("LAX_STRING", "LAX_BOOL", "LAX_INT64", "LAX_FLOAT64")
def lax(call: Call) -> Value:
    call.count(1)
    found = call.take(0, JSON).sql
    text = f"bq_json_scalar({found})"
    if call.name == "LAX_STRING":
        return Value(text, STRING)
    if call.name == "LAX_BOOL":
        return Value(
            f"CASE WHEN json_type({found}) IN ('VARCHAR', 'BOOLEAN') THEN CASE lower({text}) WHEN 'true' THEN true WHEN 'false' THEN false END "
            f"ELSE TRY_CAST({text} AS DOUBLE) <> 0 END",
            BOOL,
        )
    number = f"CASE WHEN json_type({found}) = 'BOOLEAN' THEN CAST({text} = 'true' AS DOUBLE) ELSE TRY_CAST({text} AS DOUBLE) END"
    if call.name == "LAX_FLOAT64":
        return Value(number, FLOAT64)
    exact = (
        f"CASE WHEN json_type({found}) = 'BOOLEAN' THEN CAST({text} = 'true' AS BIGINT) ELSE coalesce("
        f"CASE WHEN regexp_full_match({text}, '[+-]?[0-9]+') THEN TRY_CAST({text} AS BIGINT) END, TRY_CAST(round(TRY_CAST({text} AS DOUBLE)) AS BIGINT)) END"
    )
    return Value(exact, INT64)


@rule("TO_JSON_STRING")
def to_json_string(call: Call) -> Value:
    call.count(1, 2)
    text = written(call.c, call.args[0])
    if len(call.nodes) > 1 and call.constant(1):
        text = f"bq_json_compact({text})"
    return Value(text, STRING)


@rule("TO_JSON")
def to_json(call: Call) -> Value:
    call.count(1)
    if set(call.named) - {"stringify_wide_numbers"}:
        raise Unsupported("This argument of TO_JSON", place=call.place)
    return Value(f"CAST({written(call.c, call.args[0])} AS JSON)", JSON)


def written(c: Any, value: Value) -> str:
    """A value as JSON text."""
    kind, sql = value.kind, value.sql
    if kind.kind in ("NULL",):
        return "'null'"
    if kind.element is not None:
        body = f"'[' || array_to_string(list_transform({sql}, lambda item: {written(c, Value('item', kind.element))}), ',') || ']'"
    elif kind.kind == "STRUCT":
        parts = []
        for at, (name, _) in enumerate(kind.fields):
            key = to_key(name)
            parts.append(f"{text_literal(key + ':')} || {written(c, field_of(value, at))}")
        body = "'{' || " + (" || ',' || ".join(parts) or "''") + " || '}'"
        if value.parts is not None:
            return body
    elif kind.kind == "FLOAT64":
        body = f"CASE WHEN isnan({sql}) THEN '\"NaN\"' WHEN isinf({sql}) THEN CASE WHEN {sql} > 0 THEN '\"Infinity\"' ELSE '\"-Infinity\"' END ELSE bq_float_text({sql}) END"
    elif kind.kind == "INT64":
        body = f"CASE WHEN {sql} BETWEEN -9007199254740992 AND 9007199254740992 THEN CAST({sql} AS VARCHAR) ELSE '\"' || CAST({sql} AS VARCHAR) || '\"' END"
    elif kind.kind in ("NUMERIC", "BIGNUMERIC", "BOOL"):
        body = cast(c, value, STRING)
    elif kind.kind == "JSON":
        body = f"CAST({sql} AS VARCHAR)"
    elif kind.kind == "TIMESTAMP":
        body = f"'\"' || replace(bq_datetime_text(timezone('UTC', {sql})), ' ', 'T') || 'Z\"'"
    elif kind.kind == "DATETIME":
        body = f"'\"' || replace(bq_datetime_text({sql}), ' ', 'T') || '\"'"
    elif kind.kind == "BYTES":
        body = f"'\"' || to_base64({sql}) || '\"'"
    elif kind.kind == "STRING":
        body = f"CAST(to_json({sql}) AS VARCHAR)"
    else:
        body = f"'\"' || {cast(c, value, STRING)} || '\"'"
    return f"coalesce({body}, 'null')"


def to_key(name: str) -> str:
    import json

    return json.dumps(name, ensure_ascii=False)


@rule("JSON_ARRAY")
def json_array(call: Call) -> Value:
    parts = [written(call.c, item) for item in call.args]
    return Value("CAST('[' || " + (" || ',' || ".join(parts) or "''") + " || ']' AS JSON)", JSON)


@rule("JSON_OBJECT")
def json_object(call: Call) -> Value:
    args = call.args
    if (
        len(args) == 2
        and args[0].kind.element is not None
        and args[0].parts is not None
        and args[1].parts is not None
    ):
        args = [item for pair in zip(args[0].parts, args[1].parts, strict=True) for item in pair]
    if len(args) % 2:
        call.refuse("JSON_OBJECT([STRING, any] …)")
    parts = [
        f"CAST(to_json({key.sql}) AS VARCHAR) || ':' || {written(call.c, item)}"
        for key, item in zip(args[::2], args[1::2], strict=True)
    ]
    return Value("CAST('{' || " + (" || ',' || ".join(parts) or "''") + " || '}' AS JSON)", JSON)


@rule("JSON_KEYS")
def json_keys(call: Call) -> Value:
    call.count(1, 2)
    if len(call.nodes) != 2 or call.constant(1) != 1 or call.named:
        raise Unsupported("JSON_KEYS without a depth of 1", place=call.place)
    return Value(f"list_sort(json_keys({call.take(0, JSON).sql}))", array(STRING))


def _steps(call: Call, position: int) -> str:
    """A JSONPath as the list of its names and positions."""
    import json

    path = _path(call, position)[1:-1].replace("''", "'")
    found = re.findall(r'\."((?:[^"\\]|\\.)*)"|\[(\d+)\]', path)
    return text_literal(json.dumps([int(place) if place else name for name, place in found]))


@rule("JSON_SET", "JSON_REMOVE")
def edit(call: Call) -> Value:
    adds = call.name == "JSON_SET"
    step = 2 if adds else 1
    if call.named or len(call.nodes) < 1 + step or (len(call.nodes) - 1) % step:
        call.refuse()
    text = f"CAST({call.take(0, JSON).sql} AS VARCHAR)"
    for at in range(1, len(call.nodes), step):
        new = written(call.c, call.args[at + 1]) if adds else "'null'"
        text = f"bq_json_edit('{'set' if adds else 'remove'}', {text}, {_steps(call, at)}, {new})"
    return Value(f"CAST({text} AS JSON)", JSON)


@rule("JSON_STRIP_NULLS")
def strip_nulls(call: Call) -> Value:
    call.count(1)
    if call.named:
        raise Unsupported("This argument of JSON_STRIP_NULLS", place=call.place)
    return Value(
        f"CAST(bq_json_edit('strip', CAST({call.take(0, JSON).sql} AS VARCHAR), '[]', 'null') AS JSON)", JSON
    )


__all__ = ["structure"]
