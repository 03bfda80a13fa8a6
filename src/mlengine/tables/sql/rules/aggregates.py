"""Aggregate functions, which are analytic, too, when OVER follows."""

# ruff: noqa: E501 (SQL is easier to read in one piece)

from __future__ import annotations

from mlengine.tables.sql.calls import Call, rule
from mlengine.tables.sql.casts import as_text
from mlengine.tables.sql.kinds import (
    BIGNUMERIC,
    BOOL,
    BYTES,
    FLOAT64,
    INT64,
    INTERVAL,
    NUMERIC,
    STRING,
    array,
    struct,
)
from mlengine.tables.sql.operators import condition
from mlengine.tables.sql.problems import InvalidQuery, Unsupported
from mlengine.tables.sql.values import Value, typed

_NUMBERS = (INT64, NUMERIC, BIGNUMERIC, FLOAT64)


@rule("COUNT", sort="aggregate")
def count(call: Call) -> Value:
    if len(call.nodes) == 1 and type(call.nodes[0]).__name__ == "Star":
        if call.distinct:
            raise InvalidQuery("COUNT(DISTINCT *) is not valid", place=call.place)
        return Value(call.aggregate("count", ["*"]), INT64)
    if not call.nodes:
        return Value(call.aggregate("count", ["*"]), INT64)
    call.count(1)
    value = call.args[0]
    if call.distinct and value.kind.kind in ("ARRAY", "JSON"):
        raise InvalidQuery(
            f"Aggregate functions with DISTINCT cannot be used with arguments of type {value.kind}",
            place=call.place,
        )
    return Value(call.aggregate("count", [value.sql]), INT64)


@rule("COUNTIF", sort="aggregate")
def countif(call: Call) -> Value:
    call.count(1)
    test = condition(call.c, call.nodes[0], call.scope, "COUNTIF")
    if call.distinct:
        return Value(call.aggregate("count", [f"CASE WHEN {test} THEN true END"]), INT64)
    return Value(call.aggregate("count", ["*"], keep=test), INT64)


@rule("SUM", sort="aggregate")
def sum_(call: Call) -> Value:
    call.count(1)
    if call.args[0].kind.kind == "INTERVAL":
        return Value(call.aggregate("sum", [call.args[0].sql]), INTERVAL)
    value = call.take(0, *_NUMBERS)
    text = call.aggregate("sum", [value.sql])
    return Value(
        text if value.kind.kind == "FLOAT64" else f"CAST({text} AS {value.kind.bare.sql})", value.kind.bare
    )


@rule("AVG", sort="aggregate")
def avg(call: Call) -> Value:
    call.count(1)
    value = call.take(0, FLOAT64, NUMERIC, BIGNUMERIC)
    if value.kind.kind == "FLOAT64":
        inner = call.args[0].sql if call.args[0].kind.kind == "INT64" else value.sql
        return Value(call.aggregate("avg", [inner]), FLOAT64)
    kind = value.kind.bare
    exact = "bq_exact" if kind.kind == "NUMERIC" else "bq_exact_big"
    total, many = call.aggregate("sum", [value.sql]), call.aggregate("count", [value.sql])
    return Value(
        f"CASE WHEN {many} = 0 THEN NULL ELSE {exact}('/', CAST({total} AS {kind.sql}), CAST({many} AS {kind.sql})) END",
        kind,
    )


@rule("MIN", "MAX", sort="aggregate")
def extremes(call: Call) -> Value:
    call.count(1)
    value = typed(call.args[0])
    if value.kind.kind in ("ARRAY", "STRUCT", "JSON"):
        raise InvalidQuery(f"{call.name} is not defined for arguments of type {value.kind}", place=call.place)
    text = call.aggregate(call.name.lower(), [value.sql])
    if value.kind.kind == "FLOAT64":
        call.distinct = False
        odd = call.aggregate("bool_or", [f"isnan({value.sql})"])
        text = f"CASE WHEN {odd} THEN CAST('nan' AS DOUBLE) ELSE {text} END"
    return Value(text, value.kind.bare)


@rule("ANY_VALUE", sort="aggregate")
def any_value(call: Call) -> Value:
    call.count(1)
    value = typed(call.args[0])
    if call.having:
        key = call.c.value(call.having[1], call.scope)
        return Value(
            call.aggregate(
                f"arg_{call.having[0]}_null" if call.having[0] == "max" else "arg_min_null",
                [value.sql, key.sql],
                keep=f"{key.sql} IS NOT NULL",
            ),
            value.kind,
        )
    return Value(call.aggregate("any_value", [value.sql]), value.kind)


@rule("MAX_BY", "MIN_BY", sort="aggregate")
def by(call: Call) -> Value:
    call.count(2)
    value, key = typed(call.args[0]), call.args[1]
    name = "arg_max_null" if call.name == "MAX_BY" else "arg_min_null"
    return Value(call.aggregate(name, [value.sql, key.sql], keep=f"{key.sql} IS NOT NULL"), value.kind)


@rule("LOGICAL_AND", "LOGICAL_OR", sort="aggregate")
def logical(call: Call) -> Value:
    call.count(1)
    test = condition(call.c, call.nodes[0], call.scope, call.name)
    return Value(call.aggregate("bool_and" if call.name == "LOGICAL_AND" else "bool_or", [test]), BOOL)


@rule("BIT_AND", "BIT_OR", "BIT_XOR", sort="aggregate")
def bits(call: Call) -> Value:
    call.count(1)
    return Value(call.aggregate(call.name.lower(), [call.take(0, INT64).sql]), INT64)


@rule("ARRAY_AGG", sort="aggregate")
def array_agg(call: Call) -> Value:
    call.count(1)
    value = typed(call.args[0])
    if value.kind.element is not None:
        raise InvalidQuery(
            "The argument to ARRAY_AGG must not be an array type but was " + str(value.kind), place=call.place
        )
    keep = f"{value.sql} IS NOT NULL" if call.nulls == "IGNORE" else ""
    text = call.aggregate("list", [value.sql], keep=keep)
    return Value(_cut(call, text), array(value.kind.bare))


def _cut(call: Call, text: str) -> str:
    if call.limit is None:
        return text
    limit = call.c.value(call.limit, call.scope)
    if not limit.known or not isinstance(limit.constant, int) or limit.constant < 0:
        raise InvalidQuery("LIMIT expects a non-negative integer literal or parameter", place=call.place)
    return f"({text})[1:{limit.constant}]"


@rule("ARRAY_CONCAT_AGG", sort="aggregate")
def array_concat_agg(call: Call) -> Value:
    call.count(1)
    value = call.args[0]
    if value.kind.element is None:
        call.refuse("ARRAY_CONCAT_AGG(ARRAY)")
    text = call.aggregate("list", [value.sql], keep=f"{value.sql} IS NOT NULL")
    return Value(f"flatten({_cut(call, text)})", value.kind)


@rule("STRING_AGG", sort="aggregate")
def string_agg(call: Call) -> Value:
    call.count(1, 2)
    value = call.take(0, STRING, BYTES)
    sign = call.take(1, STRING).sql if len(call.nodes) > 1 else "','"
    if value.kind.kind == "BYTES":
        raise Unsupported("STRING_AGG of BYTES", place=call.place)
    if call.limit is not None or call.over is not None:
        text = _cut(call, call.aggregate("list", [value.sql], keep=f"{value.sql} IS NOT NULL"))
        return Value(f"array_to_string({text}, {sign})", STRING)
    return Value(call.aggregate("string_agg", [value.sql, sign]), STRING)


_SAMPLES = {
    "STDDEV": "stddev_samp",
    "STDDEV_SAMP": "stddev_samp",
    "STDDEV_POP": "stddev_pop",
    "VARIANCE": "var_samp",
    "VAR_SAMP": "var_samp",
    "VAR_POP": "var_pop",
}


@rule(*_SAMPLES, sort="aggregate")
def spread(call: Call) -> Value:
    call.count(1)
    kind = call.args[0].kind
    value = call.take(0, FLOAT64)
    text = call.aggregate(_SAMPLES[call.name], [value.sql])
    return (
        Value(f"CAST({text} AS {kind.bare.sql})", kind.bare)
        if kind.kind in ("NUMERIC", "BIGNUMERIC")
        else Value(text, FLOAT64)
    )


@rule("CORR", "COVAR_POP", "COVAR_SAMP", sort="aggregate")
def together(call: Call) -> Value:
    call.count(2)
    return Value(
        call.aggregate(call.name.lower(), [call.take(0, FLOAT64).sql, call.take(1, FLOAT64).sql]), FLOAT64
    )


@rule("APPROX_COUNT_DISTINCT", sort="aggregate")
def approx_count_distinct(call: Call) -> Value:
    call.count(1)
    call.distinct = True  # exact is within what an approximation may be
    return Value(call.aggregate("count", [call.args[0].sql]), INT64)


@rule("APPROX_QUANTILES", sort="aggregate")
def approx_quantiles(call: Call) -> Value:
    call.count(2)
    value, many = typed(call.args[0]), call.constant(1)
    if not isinstance(many, int) or many < 1:
        raise InvalidQuery("APPROX_QUANTILES needs a positive literal number of quantiles", place=call.place)
    points = "[" + ", ".join(f"{at / many!r}" for at in range(many + 1)) + "]"
    return Value(call.aggregate("quantile_disc", [value.sql, points]), array(value.kind.bare))


@rule("APPROX_TOP_COUNT", "APPROX_TOP_SUM", sort="aggregate")
def approx_top(call: Call) -> Value:
    weighted = call.name == "APPROX_TOP_SUM"
    call.count(3 if weighted else 2)
    if call.over is not None:
        raise InvalidQuery(f"{call.name} does not support an OVER clause", place=call.place)
    value, many = typed(call.args[0]), call.constant(len(call.nodes) - 1)
    weight = typed(call.take(1, *_NUMBERS)) if weighted else Value("1::BIGINT", INT64)
    kind = weight.kind.bare
    rows = call.aggregate("list", [f"{{'value': {value.sql}, 'w': {weight.sql}}}"])
    names = f"list_distinct(list_transform({rows}, lambda r: r.value))"
    nulls = f"CASE WHEN len(list_filter({rows}, lambda r: r.value IS NULL)) > 0 THEN [NULL] ELSE [] END"
    label = "sum" if weighted else "count"
    total = f"CAST(list_sum(list_transform(list_filter({rows}, lambda r: r.value IS NOT DISTINCT FROM n), lambda r: r.w)) AS {kind.sql})"
    made = f"list_transform(list_concat({names}, {nulls}), lambda n: {{'k': {total}, 'value': n}})"
    ranked = f"list_sort({made}, 'DESC', 'NULLS LAST')[1:{int(many)}]"
    final = f"list_transform({ranked}, lambda t: {{'value': t.value, '{label}': t.k}})"
    return Value(final, array(struct(("value", value.kind.bare), (label, kind))))


@rule("GROUPING", sort="aggregate")
def grouping(call: Call) -> Value:
    call.count(1)
    return Value(f"CAST(grouping({call.args[0].sql}) AS BIGINT)", INT64)


@rule("PERCENTILE_CONT", "PERCENTILE_DISC", sort="analytic")
def percentile(call: Call) -> Value:
    call.count(2)
    point = call.constant(1)
    if not 0 <= float(point) <= 1:
        raise InvalidQuery(f"Percentile must be between 0 and 1: {point}", place=call.place)
    if call.name == "PERCENTILE_DISC":
        value = typed(call.args[0])
        return Value(call.aggregate("quantile_disc", [value.sql, repr(float(point))]), value.kind.bare)
    value = call.take(0, FLOAT64, NUMERIC, BIGNUMERIC)
    return Value(
        call.aggregate("quantile_cont", [f"CAST({value.sql} AS DOUBLE)", repr(float(point))]), FLOAT64
    )


__all__ = ["as_text"]
