"""DATETIME, TIMESTAMP and TIME: how they are made, and seconds since 1970."""

from __future__ import annotations

from mlengine.tables.sql.calls import Call, rule, simple
from mlengine.tables.sql.kinds import DATE, DATETIME, INT64, STRING, TIME, TIMESTAMP
from mlengine.tables.sql.rules.intervals import instant, local, zone_of
from mlengine.tables.sql.values import Value

for _name, _factor in (("SECONDS", "1000000"), ("MILLIS", "1000"), ("MICROS", "1")):
    simple(f"TIMESTAMP_{_name}", "INT64", "TIMESTAMP", "make_timestamptz({0} * " + _factor + ")")
    simple(
        f"UNIX_{_name}",
        "TIMESTAMP",
        "INT64",
        "CAST(floor(epoch_us({0}) / " + _factor + ".0) AS BIGINT)" if _factor != "1" else "epoch_us({0})",
    )


@rule("DATETIME")
def datetime(call: Call) -> Value:
    call.count(1, 6)
    if len(call.nodes) == 6:
        year, month, day, hour, minute, second = (call.take(at, INT64).sql for at in range(6))
        return Value(
            call.c.attempt(
                f"make_timestamp({year}, {month}, {day}, {hour}, {minute}, CAST({second} AS DOUBLE))"
            ),
            DATETIME,
        )
    value = call.args[0]
    if len(call.nodes) == 2 and value.kind.kind == "DATE":
        return Value(f"({value.sql} + {call.take(1, TIME).sql})", DATETIME)
    if value.kind.kind == "DATETIME":
        return value
    if value.kind.kind == "DATE" or (value.kind.kind == "STRING" and len(call.nodes) == 1):
        return call.take(0, DATETIME)
    return Value(local(call.take(0, TIMESTAMP).sql, zone_of(call, 1)), DATETIME)


@rule("TIMESTAMP")
def timestamp(call: Call) -> Value:
    from mlengine.tables.sql.casts import cast

    call.count(1, 2)
    value, zone = call.args[0], zone_of(call, 1)
    if value.kind.kind == "TIMESTAMP":
        return value
    if value.kind.kind == "STRING":
        if zone is None:
            return Value(cast(call.c, value, TIMESTAMP), TIMESTAMP)
        return Value(instant(cast(call.c, value, DATETIME), zone), TIMESTAMP)
    if value.kind.kind in ("DATE", "DATETIME"):
        return Value(instant(f"CAST({value.sql} AS TIMESTAMP)", zone), TIMESTAMP)
    return Value(call.take(0, TIMESTAMP).sql, TIMESTAMP)


@rule("TIME")
def time(call: Call) -> Value:
    call.count(1, 3)
    if len(call.nodes) == 3:
        hour, minute, second = (call.take(at, INT64).sql for at in range(3))
        return Value(call.c.attempt(f"make_time({hour}, {minute}, CAST({second} AS DOUBLE))"), TIME)
    value = call.args[0]
    if value.kind.kind == "TIME":
        return value
    if value.kind.kind == "DATETIME":
        return Value(f"CAST({value.sql} AS TIME)", TIME)
    return Value(f"CAST({local(call.take(0, TIMESTAMP).sql, zone_of(call, 1))} AS TIME)", TIME)


@rule("STRING")
def string(call: Call) -> Value:
    from mlengine.tables.sql.casts import cast

    call.count(1, 2)
    value = call.args[0]
    if value.kind.kind == "JSON":
        from mlengine.tables.sql.rules.json import strict

        return strict(call)
    if value.kind.kind == "TIMESTAMP" and len(call.nodes) == 2:
        zone = zone_of(call, 1)
        clock = local(value.sql, zone)
        minutes = f"date_diff('minute', timezone('UTC', {value.sql}), {clock})"
        sign = f"CASE WHEN {minutes} < 0 THEN '-' ELSE '+' END"
        rest = f"CASE WHEN abs({minutes}) % 60 = 0 THEN '' ELSE printf(':%02d', abs({minutes}) % 60) END"
        return Value(
            f"(bq_datetime_text({clock}) || {sign} || printf('%02d', abs({minutes}) // 60) || {rest})", STRING
        )
    if value.kind.kind not in ("TIMESTAMP", "DATE", "DATETIME", "TIME"):
        value = call.take(0, TIMESTAMP, DATE)
    return Value(cast(call.c, value, STRING), STRING)
