"""Arrays."""

# ruff: noqa: E501 (SQL is easier to read in one piece)

from __future__ import annotations

from mlengine.tables.sql.calls import Call, rule
from mlengine.tables.sql.casts import agree, coerce, common
from mlengine.tables.sql.kinds import (
    BIGNUMERIC,
    BOOL,
    BYTES,
    DATE,
    FLOAT64,
    INT64,
    NUMERIC,
    STRING,
    TIMESTAMP,
    Type,
    array,
)
from mlengine.tables.sql.values import Value


def _array(call: Call, position: int = 0) -> tuple[Value, Type]:
    value = call.args[position]
    if value.kind.kind == "NULL":
        return Value("CAST(NULL AS BIGINT[])", array(INT64)), INT64
    if value.kind.element is None:
        raise call.refuse(f"{call.name}(ARRAY)")
    return value, value.kind.element


@rule("ARRAY_LENGTH")
def array_length(call: Call) -> Value:
    call.count(1)
    return Value(f"len({_array(call)[0].sql})", INT64)


@rule("ARRAY_REVERSE")
def array_reverse(call: Call) -> Value:
    call.count(1)
    value, _ = _array(call)
    return Value(f"list_reverse({value.sql})", value.kind)


@rule("ARRAY_CONCAT")
def array_concat(call: Call) -> Value:
    if not call.nodes:
        call.refuse()
    values, kind = agree(call.c, call.args, "function ARRAY_CONCAT", call.place)
    if kind.element is None:
        call.refuse("ARRAY_CONCAT(ARRAY, [ARRAY, …])")
    text = values[0].sql
    for value in values[1:]:
        text = f"list_concat({text}, {value.sql})"
    nulls = " OR ".join(f"{value.sql} IS NULL" for value in values if not value.literal)
    return Value(f"CASE WHEN {nulls} THEN NULL ELSE {text} END" if nulls else text, kind)


@rule("ARRAY_TO_STRING")
def array_to_string(call: Call) -> Value:
    call.count(2, 3)
    value, element = _array(call)
    sign = call.take(1, STRING)
    if element.kind not in ("STRING", "BYTES") and call.args[0].kind.kind != "NULL":
        call.refuse("ARRAY_TO_STRING(ARRAY<STRING>, STRING, [STRING])")
    if call.args[0].kind.kind == "NULL":
        return Value("CAST(NULL AS VARCHAR)", STRING)
    rows = value.sql
    if len(call.nodes) == 3:
        text = call.take(2, STRING)
        rows = f"list_transform({rows}, lambda part: coalesce(part, {text.sql}))"
    return Value(f"array_to_string({rows}, {sign.sql})", STRING)


@rule("ARRAY_FIRST", "ARRAY_LAST")
def array_end(call: Call) -> Value:
    call.count(1)
    value, element = _array(call)
    at = "1" if call.name == "ARRAY_FIRST" else "-1"
    said = f"'{call.name} cannot get the {'first' if at == '1' else 'last'} element of an empty array'"
    return Value(call.c.guard(f"len({value.sql}) = 0", said, f"list_extract({value.sql}, {at})"), element)


@rule("ARRAY_SLICE")
def array_slice(call: Call) -> Value:
    call.count(3)
    value, _ = _array(call)
    size = f"len({value.sql})"
    ends = []
    for at in (1, 2):
        spot = call.take(at, INT64).sql
        ends.append(f"CASE WHEN {spot} < 0 THEN {size} + {spot} ELSE {spot} END")
    first = f"greatest({ends[0]}, 0) + 1"
    last = f"({ends[1]}) + 1"
    return Value(
        f"CASE WHEN {last} < 1 THEN [] ELSE list_slice({value.sql}, {first}, {last}) END", value.kind
    )


@rule("ARRAY_INCLUDES")
def array_includes(call: Call) -> Value:
    call.count(2)
    value, element = _array(call)
    kind = common(call.c, [call.args[1], Value("x", element)])
    one = coerce(call.c, call.args[1], element) if kind else None
    if one is None:
        raise call.refuse()
    return Value(
        f"CASE WHEN {value.sql} IS NULL OR {one.sql} IS NULL THEN NULL ELSE list_contains({value.sql}, {one.sql}) END",
        BOOL,
    )


@rule("ARRAY_IS_DISTINCT")
def array_is_distinct(call: Call) -> Value:
    call.count(1)
    value, _ = _array(call)
    extra = f"CASE WHEN list_count({value.sql}) < len({value.sql}) THEN 1 ELSE 0 END"
    return Value(f"(len({value.sql}) = len(list_distinct({value.sql})) + {extra})", BOOL)


@rule("ARRAY_SUM", "ARRAY_AVG", "ARRAY_MIN", "ARRAY_MAX")
def array_fold(call: Call) -> Value:
    call.count(1)
    value, element = _array(call)
    name = call.name.lower().replace("array", "list")
    if call.name == "ARRAY_AVG":
        if element.kind in ("NUMERIC", "BIGNUMERIC"):
            return Value(
                f"bq_exact('/', CAST(list_sum({value.sql}) AS {element.sql}), CAST(list_count({value.sql}) AS {element.sql}))",
                element,
            )
        return Value(f"list_avg({value.sql})", FLOAT64)
    return Value(f"CAST({name}({value.sql}) AS {element.sql})", element)


@rule("GENERATE_ARRAY")
def generate_array(call: Call) -> Value:
    call.count(2, 3)
    values, kind = agree(call.c, call.args, "function GENERATE_ARRAY", call.place)
    if kind.kind == "NULL":
        return Value("CAST(NULL AS BIGINT[])", array(INT64))
    if kind not in (INT64, NUMERIC, BIGNUMERIC, FLOAT64):
        call.refuse("GENERATE_ARRAY(INT64, INT64, [INT64])")
    first, last = values[0].sql, values[1].sql
    step = values[2].sql if len(values) > 2 else f"CAST(1 AS {kind.sql})"
    if kind.kind == "INT64":
        done = f"CAST(generate_series({first}, {last}, {step}) AS BIGINT[])"
    else:
        count = f"CAST(floor(({last} - {first}) / {step} + 0.0000000001) AS BIGINT)"
        done = f"list_transform(generate_series(0::BIGINT, greatest({count}, -1)), lambda i: CAST({first} + i * {step} AS {kind.sql}))"
    done = call.c.guard(f"{step} = 0", "'Sequence step cannot be 0.'", done)
    nulls = " OR ".join(
        f"{value.sql} IS NULL" for value in values if not value.literal or value.constant is None
    )
    return Value(f"CASE WHEN {nulls} THEN NULL ELSE {done} END" if nulls else done, array(kind))


@rule("GENERATE_DATE_ARRAY", "GENERATE_TIMESTAMP_ARRAY")
def generate_days(call: Call) -> Value:
    call.count(2, 3)
    kind = DATE if call.name == "GENERATE_DATE_ARRAY" else TIMESTAMP
    first, last = call.take(0, kind), call.take(1, kind)
    if len(call.nodes) == 2 and kind is TIMESTAMP:
        call.refuse("GENERATE_TIMESTAMP_ARRAY(TIMESTAMP, TIMESTAMP, INTERVAL INT64 DATE_PART)")
    step = call.args[2].sql if len(call.nodes) > 2 else "INTERVAL 1 DAY"
    if len(call.nodes) > 2 and call.args[2].kind.kind != "INTERVAL":
        call.refuse()
    ends = (first.sql, last.sql)
    done = f"CAST(generate_series({ends[0]}, {ends[1]}, {step}) AS {kind.sql}[])"
    said = "'Sequence step cannot be 0.'"
    done = call.c.guard(f"{step} = INTERVAL 0 DAY", said, done)
    return Value(
        f"CASE WHEN {first.sql} IS NULL OR {last.sql} IS NULL THEN NULL ELSE {done} END", array(kind)
    )


__all__ = ["BYTES"]
