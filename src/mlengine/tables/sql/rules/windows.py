"""Functions that only exist with OVER."""

from __future__ import annotations

from mlengine.tables.sql.calls import Call, rule
from mlengine.tables.sql.casts import agree
from mlengine.tables.sql.kinds import FLOAT64, INT64
from mlengine.tables.sql.problems import InvalidQuery
from mlengine.tables.sql.values import Value, typed


@rule("ROW_NUMBER", "RANK", "DENSE_RANK", sort="analytic")
def ranks(call: Call) -> Value:
    call.count(0)
    if call.name != "ROW_NUMBER" and "ORDER BY" not in (call.over or ""):
        raise InvalidQuery(
            f"Window ORDER BY is required for analytic function {call.name.lower()}", place=call.place
        )
    return Value(call.aggregate(call.name.lower(), []), INT64)


@rule("PERCENT_RANK", "CUME_DIST", sort="analytic")
def shares(call: Call) -> Value:
    call.count(0)
    return Value(call.aggregate(call.name.lower(), []), FLOAT64)


@rule("NTILE", sort="analytic")
def ntile(call: Call) -> Value:
    call.count(1)
    return Value(call.aggregate("ntile", [call.take(0, INT64).sql]), INT64)


@rule("FIRST_VALUE", "LAST_VALUE", "NTH_VALUE", sort="analytic")
def values(call: Call) -> Value:
    nth = call.name == "NTH_VALUE"
    call.count(2 if nth else 1)
    value = typed(call.args[0])
    ignore = " IGNORE NULLS" if call.nulls == "IGNORE" else ""
    second = f", {call.take(1, INT64).sql}" if nth else ""
    return Value(f"{call.name.lower()}({value.sql}{second}{ignore}) OVER ({call.over})", value.kind.bare)


@rule("LAG", "LEAD", sort="analytic")
def neighbours(call: Call) -> Value:
    call.count(1, 3)
    value = typed(call.args[0])
    kind = value.kind.bare
    texts = [value.sql]
    if len(call.nodes) > 1:
        texts.append(call.take(1, INT64).sql)
    if len(call.nodes) > 2:
        (value, other), kind = agree(call.c, (value, call.args[2]), f"function {call.name}", call.place)
        texts = [value.sql, texts[1], other.sql]
    ignore = " IGNORE NULLS" if call.nulls == "IGNORE" else ""
    return Value(f"{call.name.lower()}({', '.join(texts)}{ignore}) OVER ({call.over})", kind)
