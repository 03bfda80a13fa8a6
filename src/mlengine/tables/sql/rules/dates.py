"""DATE, and arithmetic that DATE, DATETIME, TIMESTAMP and TIME share."""

# ruff: noqa: E501 (SQL is easier to read in one piece)

from __future__ import annotations

from mlengine.tables.sql.calls import Call, rule, simple
from mlengine.tables.sql.kinds import DATE, DATETIME, INT64, INTERVAL, TIME, TIMESTAMP, Type
from mlengine.tables.sql.problems import InvalidQuery
from mlengine.tables.sql.rules.intervals import (
    MICROS,
    boundaries,
    instant,
    local,
    part,
    refuse_part,
    truncated,
    zone_of,
)
from mlengine.tables.sql.values import Value

simple("UNIX_DATE", "DATE", "INT64", "date_diff('day', DATE '1970-01-01', {0})")
simple("DATE_FROM_UNIX_DATE", "INT64", "DATE", "(DATE '1970-01-01' + CAST({0} AS INTEGER))")
_KINDS = {"DATE": DATE, "DATETIME": DATETIME, "TIMESTAMP": TIMESTAMP, "TIME": TIME}
_ALLOWED = {
    "DATE": ("DAY", "WEEK", "MONTH", "QUARTER", "YEAR"),
    "DATETIME": (
        "MICROSECOND",
        "MILLISECOND",
        "SECOND",
        "MINUTE",
        "HOUR",
        "DAY",
        "WEEK",
        "MONTH",
        "QUARTER",
        "YEAR",
    ),
    "TIMESTAMP": ("MICROSECOND", "MILLISECOND", "SECOND", "MINUTE", "HOUR", "DAY"),
    "TIME": ("MICROSECOND", "MILLISECOND", "SECOND", "MINUTE", "HOUR"),
}


@rule("CURRENT_DATE", "CURRENT_DATETIME", "CURRENT_TIME", "CURRENT_TIMESTAMP")
def current(call: Call) -> Value:
    call.count(0, 1)
    now = f"CAST('{call.c.around.now:%Y-%m-%d %H:%M:%S.%f}+00' AS TIMESTAMPTZ)"
    kind = _KINDS[call.name[8:]]
    if kind is TIMESTAMP:
        return Value(now, TIMESTAMP)
    return Value(f"CAST({local(now, zone_of(call, 0))} AS {kind.sql})", kind)


@rule("DATE")
def date(call: Call) -> Value:
    call.count(1, 3)
    if len(call.nodes) == 3:
        year, month, day = (call.take(at, INT64).sql for at in range(3))
        return Value(call.c.attempt(f"make_date({year}, {month}, {day})"), DATE)
    value = call.args[0]
    if value.kind.kind == "DATE":
        return value
    if value.kind.kind == "DATETIME":
        return Value(f"CAST({value.sql} AS DATE)", DATE)
    if value.kind.kind == "STRING" and len(call.nodes) == 1:
        return call.take(0, DATE)
    return Value(f"CAST({local(call.take(0, TIMESTAMP).sql, zone_of(call, 1))} AS DATE)", DATE)


def _subject(call: Call, family: str) -> Value:
    """The first argument; DATE_… functions take the other types, too."""
    value = call.args[0]
    if family == "DATE" and value.kind.kind in ("DATETIME", "TIMESTAMP"):
        return value
    if family == "DATETIME" and value.kind.kind == "TIMESTAMP":
        return value
    if family == "TIMESTAMP" and value.kind.kind == "DATETIME":
        return value
    return call.take(0, _KINDS[family])


@rule(*(f"{family}_{verb}" for family in _KINDS for verb in ("ADD", "SUB")))
def shift(call: Call) -> Value:
    call.count(2)
    family, verb = call.name.split("_")
    tree = call.nodes[1]
    value = call.c.value(call.nodes[0], call.scope)
    step = call.c.value(tree, call.scope)
    call._args = [value, step]
    if step.kind.kind == "INT64" and family == "DATE":
        return Value(
            f"({call.take(0, DATE).sql} {'+' if verb == 'ADD' else '-'} CAST({step.sql} AS INTEGER))", DATE
        )
    if step.kind.kind != "INTERVAL":
        call.refuse(f"{call.name}({family}, INTERVAL INT64 DATE_PART)")
    value = _subject(call, family)
    unit = (
        tree.args["unit"].name.upper()
        if type(tree).__name__ == "Interval" and tree.args.get("unit") is not None
        else ""
    )
    allowed = _ALLOWED[value.kind.kind]
    if unit and unit not in allowed:
        raise refuse_part(unit, call.name, call.place)
    done = f"({value.sql} {'+' if verb == 'ADD' else '-'} {step.sql})"
    return Value(f"CAST({call.c.attempt(done)} AS {value.kind.sql})", value.kind)


@rule("DATE_DIFF", "DATETIME_DIFF", "TIME_DIFF", "TIMESTAMP_DIFF")
def difference(call: Call) -> Value:
    call.count(3)
    family = call.name.split("_")[0]
    unit, day = part(call.nodes[2], call.place)
    later, earlier = (call.c.value(node, call.scope) for node in call.nodes[:2])
    call._args = [later, earlier]
    if family == "DATE" and later.kind.kind in ("TIMESTAMP", "DATETIME"):
        family = later.kind.kind
    later, earlier = call.take(0, _KINDS[family]), call.take(1, _KINDS[family])
    if family == "TIMESTAMP":
        size = MICROS.get(unit)
        if size is None:
            raise refuse_part(unit, call.name, call.place)
        micros = f"(epoch_us({later.sql}) - epoch_us({earlier.sql}))"
        return Value(f"({micros} // {size})" if size > 1 else micros, INT64)
    if family == "TIME":
        if unit not in _ALLOWED["TIME"]:
            raise refuse_part(unit, call.name, call.place)
        ends = [f"(DATE '1970-01-01' + {value.sql})" for value in (later, earlier)]
        return Value(boundaries(ends[0], ends[1], unit, day, call.name, call.place), INT64)
    if family == "DATE" and unit in MICROS and unit != "DAY":
        raise refuse_part(unit, call.name, call.place)
    return Value(boundaries(later.sql, earlier.sql, unit, day, call.name, call.place), INT64)


@rule("DATE_TRUNC", "DATETIME_TRUNC", "TIMESTAMP_TRUNC", "TIME_TRUNC")
def truncate(call: Call) -> Value:
    call.count(2, 3)
    family = call.name.split("_")[0]
    unit, day = part(call.nodes[1], call.place)
    value = call.c.value(call.nodes[0], call.scope)
    zone = call.c.value(call.nodes[2], call.scope) if len(call.nodes) > 2 else None
    call._args = [value]
    value = _subject(call, family)
    kind = value.kind.kind
    if kind == "DATE" and unit in MICROS and unit != "DAY":
        raise refuse_part(unit, call.name, call.place)
    if kind == "TIME":
        if unit not in _ALLOWED["TIME"]:
            raise refuse_part(unit, call.name, call.place)
        done = truncated(f"(DATE '1970-01-01' + {value.sql})", unit, day, call.name, call.place)
        return Value(f"CAST({done} AS TIME)", TIME)
    if kind == "TIMESTAMP":
        return Value(
            instant(truncated(local(value.sql, zone), unit, day, call.name, call.place), zone), TIMESTAMP
        )
    return Value(
        f"CAST({truncated(value.sql, unit, day, call.name, call.place)} AS {value.kind.sql})", value.kind.bare
    )


@rule("LAST_DAY")
def last_day(call: Call) -> Value:
    call.count(1, 2)
    unit, day = part(call.nodes[1], call.place) if len(call.nodes) > 1 else ("MONTH", 0)
    value = call.c.value(call.nodes[0], call.scope)
    call._args = [value]
    value = _subject(call, "DATE")
    steps = {"YEAR": "1 YEAR", "QUARTER": "3 MONTH", "MONTH": "1 MONTH", "WEEK": "7 DAY", "ISOWEEK": "7 DAY"}
    if unit == "ISOYEAR":
        done = f"date_trunc('week', make_date(isoyear({value.sql}) + 1, 1, 4)) - INTERVAL 1 DAY"
    elif unit in steps:
        done = f"{truncated(value.sql, unit, day, call.name, call.place)} + INTERVAL {steps[unit]} - INTERVAL 1 DAY"
    else:
        raise refuse_part(unit, call.name, call.place)
    return Value(f"CAST({done} AS DATE)", DATE)


@rule("DATE_BUCKET", "DATETIME_BUCKET", "TIMESTAMP_BUCKET")
def bucket(call: Call) -> Value:
    call.count(2, 3)
    kind: Type = _KINDS[call.name.split("_")[0]]
    value, width = call.take(0, kind), call.take(1, INTERVAL)
    origin = call.take(2, kind).sql if len(call.nodes) > 2 else f"CAST('1950-01-01' AS {kind.sql})"
    if kind is TIMESTAMP:
        done = instant(f"time_bucket({width.sql}, {local(value.sql, None)}, {local(origin, None)})", None)
        return Value(done, kind)
    return Value(
        f"CAST(time_bucket({width.sql}, CAST({value.sql} AS TIMESTAMP), CAST({origin} AS TIMESTAMP)) AS {kind.sql})",
        kind,
    )


__all__ = ["InvalidQuery"]
