"""INTERVAL, parts of dates, and zones: what the date functions share."""

from __future__ import annotations

import re
from typing import Any

from mlengine.tables.sql.calls import Call, rule
from mlengine.tables.sql.casts import coerce
from mlengine.tables.sql.compiler import Compiler, node
from mlengine.tables.sql.kinds import DATE, DATETIME, INT64, INTERVAL, STRING, TIME, TIMESTAMP
from mlengine.tables.sql.problems import InvalidQuery, Place
from mlengine.tables.sql.values import Scope, Value, renamed
from mlengine.tables.types import literal as text_literal

DAYS = ("SUNDAY", "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY")
_MAKE = {
    "YEAR": "to_months(CAST({0} * 12 AS INTEGER))",
    "QUARTER": "to_months(CAST({0} * 3 AS INTEGER))",
    "MONTH": "to_months(CAST({0} AS INTEGER))",
    "WEEK": "to_days(CAST({0} * 7 AS INTEGER))",
    "DAY": "to_days(CAST({0} AS INTEGER))",
    "HOUR": "to_microseconds({0} * 3600000000)",
    "MINUTE": "to_microseconds({0} * 60000000)",
    "SECOND": "to_microseconds({0} * 1000000)",
    "MILLISECOND": "to_microseconds({0} * 1000)",
    "MICROSECOND": "to_microseconds({0})",
}
MICROS = {
    "MICROSECOND": 1,
    "MILLISECOND": 1000,
    "SECOND": 1000000,
    "MINUTE": 60000000,
    "HOUR": 3600000000,
    "DAY": 86400000000,
}


def part(tree: Any, place: Place | None) -> tuple[str, int]:
    """A part of a date as it is written: its name, and the day on which a week begins (0: Sunday)."""
    name = tree.name.upper()
    if name == "WEEK" and getattr(tree, "expressions", None):
        day = tree.expressions[0].name.upper()
        if day not in DAYS:
            raise InvalidQuery(f"A week cannot begin on {day}", place=place)
        return "WEEK", DAYS.index(day)
    if type(tree).__name__ == "WeekStart":
        return "WEEK", DAYS.index(tree.this.name.upper())
    if name == "ISOWEEK":
        return "ISOWEEK", 1
    return name, 0


def refuse_part(name: str, function: str, place: Place | None) -> InvalidQuery:
    """A part that a function does not know."""
    return InvalidQuery(f"{function} does not support the {name} date part", place=place)


@node("Interval")
def interval(c: Compiler, tree: Any, scope: Scope) -> Value:
    unit = tree.args.get("unit")
    place = c.place(tree)
    if unit is None:
        raise InvalidQuery("INTERVAL needs a date part", place=place)
    if type(unit).__name__ == "IntervalSpan":
        value = c.value(tree.this, scope)
        return _span(value, unit.this.name.upper(), unit.expression.name.upper(), place)
    name = unit.name.upper()
    template = _MAKE.get(name)
    if template is None:
        raise InvalidQuery(f"INTERVAL does not support the {name} date part", place=place)
    value = c.value(tree.this, scope)
    if value.kind.kind == "STRING" and value.known and re.fullmatch(r"\s*[+-]?\d+\s*", str(value.constant)):
        return Value(template.format(f"CAST('{int(value.constant)}' AS BIGINT)"), INTERVAL)
    if (
        value.kind.kind == "STRING"
        and value.known
        and name == "SECOND"
        and re.fullmatch(r"[+-]?\d+\.\d{1,6}", str(value.constant))
    ):
        return Value(f"to_microseconds({round(float(value.constant) * 1000000)})", INTERVAL)
    made = coerce(c, value, INT64)
    if made is None:
        raise InvalidQuery(f"Invalid INTERVAL: the value must be INT64, but is {value.kind}", place=place)
    return Value(template.format(made.sql), INTERVAL)


_SPANS = {
    ("YEAR", "MONTH"): r"(?P<year>\d+)-(?P<month>\d+)",
    ("YEAR", "DAY"): r"(?P<year>\d+)-(?P<month>\d+) (?P<day>-?\d+)",
    ("YEAR", "SECOND"): r"(?P<year>\d+)-(?P<month>\d+) (?P<day>-?\d+) (?P<clock>-?\d+:\d+:\d+(\.\d+)?)",
    ("DAY", "HOUR"): r"(?P<day>\d+) (?P<clock>-?\d+)",
    ("DAY", "MINUTE"): r"(?P<day>\d+) (?P<clock>-?\d+:\d+)",
    ("DAY", "SECOND"): r"(?P<day>\d+) (?P<clock>-?\d+:\d+:\d+(\.\d+)?)",
    ("HOUR", "MINUTE"): r"(?P<clock>\d+:\d+)",
    ("HOUR", "SECOND"): r"(?P<clock>\d+:\d+:\d+(\.\d+)?)",
    ("MINUTE", "SECOND"): r"(?P<short>\d+:\d+(\.\d+)?)",
}


def _span(value: Value, first: str, last: str, place: Place | None) -> Value:
    pattern = _SPANS.get((first, last))
    if pattern is None or not isinstance(value.constant, str):
        raise InvalidQuery(f"INTERVAL … {first} TO {last} needs a literal", place=place)
    found = re.fullmatch(r"(?P<sign>[+-]?)" + pattern, value.constant.strip())
    if not found:
        raise InvalidQuery(f"Invalid INTERVAL value '{value.constant}'", place=place)
    have = found.groupdict()
    sign = -1 if have["sign"] == "-" else 1
    months = int(have.get("year") or 0) * 12 + int(have.get("month") or 0)
    clock = have.get("clock") or (f"0:{have['short']}" if have.get("short") else "0")
    negative = clock.startswith("-")
    hours, minutes, seconds = ([*clock.lstrip("-").split(":"), "0", "0"])[:3]
    micros = int(hours) * 3600000000 + int(minutes) * 60000000 + round(float(seconds) * 1000000)
    micros = -micros if negative else micros
    days = int(have.get("day") or 0)
    return Value(f"bq_interval_sum({sign * months}, {sign * days}, {sign * micros})", INTERVAL)


@rule("MAKE_INTERVAL")
def make_interval(call: Call) -> Value:
    order = ("year", "month", "day", "hour", "minute", "second")
    given = {name: call.take(at, INT64).sql for at, name in zip(range(len(call.nodes)), order, strict=False)}
    for name, tree in call.named.items():
        given[name] = call.c.value(tree, call.scope).sql
    pieces = [_MAKE[name.upper()].format(sql) for name, sql in given.items()]
    return Value("(" + " + ".join(pieces or ["to_days(0)"]) + ")", INTERVAL)


@rule("JUSTIFY_HOURS", "JUSTIFY_DAYS", "JUSTIFY_INTERVAL")
def justify(call: Call) -> Value:
    call.count(1)
    value = call.take(0, INTERVAL).sql
    months, days, micros = (
        f"bq_interval_months({value})",
        f"date_part('day', {value})",
        f"bq_interval_micros({value})",
    )
    if call.name != "JUSTIFY_DAYS":
        days, micros = f"({days} + {micros} // 86400000000)", f"({micros} % 86400000000)"
    if call.name != "JUSTIFY_HOURS":
        months, days = f"({months} + {days} // 30)", f"({days} % 30)"
    return Value(f"bq_interval_sum({months}, {days}, {micros})", INTERVAL)


def interval_arithmetic(sign: str, left: Value, right: Value) -> Value | None:
    """Sums and differences of dates and intervals."""
    one, other = left.kind.kind, right.kind.kind
    if sign == "*":
        if {one, other} == {"INTERVAL", "INT64"}:
            many, what = (left, right) if one == "INT64" else (right, left)
            sums = ", ".join(
                f"{piece} * {many.sql}"
                for piece in (
                    f"bq_interval_months({what.sql})",
                    f"date_part('day', {what.sql})",
                    f"bq_interval_micros({what.sql})",
                )
            )
            return Value(f"bq_interval_sum({sums})", INTERVAL)
        return None
    if one == "INTERVAL" and other == "INTERVAL":
        return Value(f"({left.sql} {sign} {right.sql})", INTERVAL)
    if other == "INTERVAL" and one in ("DATE", "DATETIME", "TIMESTAMP", "TIME"):
        done = f"({left.sql} {sign} {right.sql})"
        kind = DATETIME if one == "DATE" else left.kind.bare
        return Value(done, kind)
    if one == "INTERVAL" and other in ("DATE", "DATETIME", "TIMESTAMP", "TIME") and sign == "+":
        return interval_arithmetic(sign, right, left)
    if one == "DATE" and other in ("INT64", "NULL"):
        return Value(f"({left.sql} {sign} CAST({right.sql} AS INTEGER))", DATE)
    if one == "INT64" and other == "DATE" and sign == "+":
        return interval_arithmetic(sign, right, left)
    if sign == "-" and one == other == "DATE":
        return Value(f"to_days(CAST(date_diff('day', {right.sql}, {left.sql}) AS INTEGER))", INTERVAL)
    if sign == "-" and one == other and one in ("TIMESTAMP", "DATETIME"):
        micros = f"(epoch_us({left.sql}) - epoch_us({right.sql}))"
        if one == "DATETIME":
            return Value(f"bq_interval_sum(0, {micros} // 86400000000, {micros} % 86400000000)", INTERVAL)
        return Value(f"to_microseconds({micros})", INTERVAL)
    return None


def divided(left: Value, right: Value) -> Value:
    """INTERVAL / INT64"""
    months, days = f"bq_interval_months({left.sql})", f"date_part('day', {left.sql})"
    rest = f"(({days} % {right.sql}) * 86400000000 + bq_interval_micros({left.sql})) // {right.sql}"
    return Value(f"bq_interval_sum({months} // {right.sql}, {days} // {right.sql}, {rest})", INTERVAL)


def local(value: str, zone: Value | None) -> str:
    """A TIMESTAMP as the clock in `zone` shows it."""
    if zone is None:
        return f"timezone('UTC', {value})"
    if shift := _offset(zone):
        return f"(timezone('UTC', {value}) + {shift})"
    return f"timezone({zone.sql}, {value})"


def instant(value: str, zone: Value | None) -> str:
    """The TIMESTAMP at which the clock in `zone` shows `value`."""
    if zone is None:
        return f"timezone('UTC', {value})"
    if shift := _offset(zone):
        return f"timezone('UTC', {value} - {shift})"
    return f"timezone({zone.sql}, {value})"


def _offset(zone: Value) -> str:
    found = re.fullmatch(r"(?:UTC)?([+-])(\d{1,2})(?::?(\d{2}))?", str(zone.constant)) if zone.known else None
    if not found:
        return ""
    minutes = int(found[2]) * 60 + int(found[3] or 0)
    return f"to_microseconds({(-1 if found[1] == '-' else 1) * minutes * 60000000})"


def zone_of(call: Call, position: int) -> Value | None:
    """The argument that is a zone, if there is one."""
    return call.take(position, STRING) if len(call.nodes) > position else None


def truncated(sql: str, unit: str, day: int, function: str, place: Place | None) -> str:
    """A date or clock time cut down to the beginning of a part; a DuckDB TIMESTAMP."""
    if unit in ("WEEK", "ISOWEEK"):
        shift = (day - 1) % 7
        if not shift:
            return f"date_trunc('week', {sql})"
        return f"(date_trunc('week', {sql} - INTERVAL {shift} DAY) + INTERVAL {shift} DAY)"
    if unit == "ISOYEAR":
        return f"date_trunc('week', make_date(isoyear({sql}), 1, 4))"
    if unit in ("YEAR", "QUARTER", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND", "MILLISECOND", "MICROSECOND"):
        return f"date_trunc('{unit.lower()}', {sql})"
    raise refuse_part(unit, function, place)


def boundaries(later: str, earlier: str, unit: str, day: int, function: str, place: Place | None) -> str:
    """How many beginnings of a part lie between two dates."""
    if unit in ("WEEK", "ISOWEEK"):
        ends = (truncated(sql, unit, day, function, place) for sql in (earlier, later))
        return f"(date_diff('day', {', '.join(ends)}) // 7)"
    if unit == "ISOYEAR":
        return f"(isoyear({later}) - isoyear({earlier}))"
    if unit in ("YEAR", "QUARTER", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND", "MILLISECOND", "MICROSECOND"):
        return f"date_diff('{unit.lower()}', {earlier}, {later})"
    raise refuse_part(unit, function, place)


@node("Extract")
def extract(c: Compiler, tree: Any, scope: Scope) -> Value:
    place = c.place(tree)
    name, day = part(tree.this, place)
    source = tree.expression
    zone = None
    if type(source).__name__ == "AtTimeZone":
        zone = c.value(source.args["zone"], scope)
        source = source.this
    value = c.value(source, scope)
    kind = value.kind.kind
    if zone is not None and kind != "TIMESTAMP":
        raise InvalidQuery(f"EXTRACT from {kind} does not support AT TIME ZONE", place=place)
    if kind == "INTERVAL":
        sql = {
            "YEAR": f"bq_interval_months({value.sql}) // 12",
            "MONTH": f"bq_interval_months({value.sql}) % 12",
            "DAY": f"date_part('day', {value.sql})",
            "HOUR": f"bq_interval_micros({value.sql}) // 3600000000",
            "MINUTE": f"bq_interval_micros({value.sql}) // 60000000 % 60",
            "SECOND": f"bq_interval_micros({value.sql}) // 1000000 % 60",
            "MILLISECOND": f"bq_interval_micros({value.sql}) // 1000 % 1000",
            "MICROSECOND": f"bq_interval_micros({value.sql}) % 1000000",
        }.get(name)
        if sql is None:
            raise refuse_part(name, "EXTRACT", place)
        return Value(f"CAST({sql} AS BIGINT)", INT64)
    if kind not in ("DATE", "DATETIME", "TIMESTAMP", "TIME"):
        raise InvalidQuery(f"EXTRACT does not support arguments of type {value.kind}", place=place)
    sql = local(value.sql, zone) if kind == "TIMESTAMP" else value.sql
    clock = name in ("HOUR", "MINUTE", "SECOND", "MILLISECOND", "MICROSECOND", "TIME")
    if (kind == "DATE" and clock) or (kind == "TIME" and not clock):
        raise InvalidQuery(f"EXTRACT from {kind} does not support the {name} date part", place=place)
    if name in ("DATE", "TIME", "DATETIME"):
        made = {"DATE": DATE, "TIME": TIME, "DATETIME": DATETIME}[name]
        return Value(f"CAST({sql} AS {made.sql})", made)
    if name == "WEEK":
        sql = f"CAST((dayofyear({sql}) + 6 - (dayofweek({sql}) + 7 - {day}) % 7) // 7 AS BIGINT)"
        return Value(sql, INT64)
    found = {
        "YEAR": "year({0})",
        "QUARTER": "quarter({0})",
        "MONTH": "month({0})",
        "DAY": "day({0})",
        "DAYOFWEEK": "dayofweek({0}) + 1",
        "DAYOFYEAR": "dayofyear({0})",
        "ISOWEEK": "weekofyear({0})",
        "ISOYEAR": "isoyear({0})",
        "HOUR": "hour({0})",
        "MINUTE": "minute({0})",
        "SECOND": "second({0})",
        "MILLISECOND": "millisecond({0}) % 1000",
        "MICROSECOND": "microsecond({0}) % 1000000",
    }.get(name)
    if found is None:
        raise refuse_part(name, "EXTRACT", place)
    return Value(f"CAST({found.format(sql)} AS BIGINT)", INT64)


__all__ = ["TIMESTAMP", "renamed", "text_literal"]
