"""STRUCT(…)."""

from __future__ import annotations

from mlengine.tables.sql.calls import Call, rule
from mlengine.tables.sql.constructors import make_struct
from mlengine.tables.sql.values import Value


@rule("STRUCT")
def struct(call: Call) -> Value:
    return make_struct(call.c, call.nodes, call.scope)
