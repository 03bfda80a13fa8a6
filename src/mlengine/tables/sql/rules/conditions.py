"""IF, COALESCE, NULLIF and the like; what a session knows."""

from __future__ import annotations

from mlengine.tables.sql.calls import Call, rule, simple
from mlengine.tables.sql.casts import agree
from mlengine.tables.sql.kinds import STRING, Type
from mlengine.tables.sql.operators import compare, condition
from mlengine.tables.sql.values import Value, typed

simple("GENERATE_UUID", "", "STRING", "CAST(gen_random_uuid() AS VARCHAR)")


@rule("IF")
def if_(call: Call) -> Value:
    call.count(3)
    test = condition(call.c, call.nodes[0], call.scope, "IF condition")
    rest = [call.c.value(node, call.scope) for node in call.nodes[1:]]
    (yes, no), kind = agree(call.c, rest, "function IF", call.place)
    return Value(f"CASE WHEN {test} THEN {yes.sql} ELSE {no.sql} END", kind)


@rule("IFNULL", "COALESCE")
def coalesce(call: Call) -> Value:
    call.count(2 if call.name == "IFNULL" else 1, 2 if call.name == "IFNULL" else 1000)
    values, kind = agree(call.c, call.args, f"function {call.name}", call.place)
    return Value(f"coalesce({', '.join(value.sql for value in values)})", kind)


@rule("NULLIF")
def nullif(call: Call) -> Value:
    call.count(2)
    (one, other), kind = agree(call.c, call.args, "function NULLIF", call.place)
    test = compare(call.c, "=", one, other, call.nodes[0]).sql
    return Value(f"CASE WHEN {test} THEN NULL ELSE {one.sql} END", kind)


@rule("ZEROIFNULL", "NULLIFZERO")
def zero(call: Call) -> Value:
    call.count(1)
    value = typed(call.args[0])
    if not value.kind.numeric:
        call.refuse()
    return Value(
        f"coalesce({value.sql}, 0)" if call.name == "ZEROIFNULL" else f"nullif({value.sql}, 0)",
        value.kind.bare,
    )


@rule("ERROR")
def error(call: Call) -> Value:
    call.count(1)
    value = call.take(0, STRING)
    if call.c.safe:
        return Value("NULL", Type("NULL"))
    return Value(f"error({value.sql})", Type("NULL"))


@rule("TYPEOF")
def typeof(call: Call) -> Value:
    from mlengine.tables.sql.values import string

    call.count(1)
    return string(str(call.args[0].kind))
