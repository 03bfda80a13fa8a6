"""Regular expressions: both sides use RE2."""

# ruff: noqa: E501 (SQL is easier to read in one piece)

from __future__ import annotations

import re

from mlengine.tables.sql.calls import Call, rule
from mlengine.tables.sql.kinds import BOOL, INT64, STRING, array
from mlengine.tables.sql.problems import InvalidQuery
from mlengine.tables.sql.values import Value


def _pattern(call: Call) -> tuple[str, int]:
    """The pattern, and how many groups it has."""
    pattern = call.take(1, STRING)
    if not pattern.known:
        return pattern.sql, 0
    try:
        groups = re.compile(re.sub(r"\(\?P?<\w+>", "(", _plain(str(pattern.constant)))).groups
    except re.error as problem:
        if (
            "(" in str(problem)
            or "parenthes" in str(problem)
            or "bracket" in str(problem)
            or "repeat" in str(problem)
        ):
            raise InvalidQuery(f"Cannot parse regular expression: {problem}", place=call.place) from None
        groups = 0
    return pattern.sql, groups


def _plain(pattern: str) -> str:
    return re.sub(r"\\[pP]\{\w+\}|\\[pP]\w", "x", re.sub(r"^\(\?[imsU]+\)", "", pattern)).replace(
        r"\z", r"\Z"
    )


@rule("REGEXP_CONTAINS")
def contains(call: Call) -> Value:
    call.count(2)
    value = call.take(0, STRING)
    pattern, _ = _pattern(call)
    return Value(f"regexp_matches({value.sql}, {pattern})", BOOL)


@rule("REGEXP_EXTRACT", "REGEXP_SUBSTR")
def extract(call: Call) -> Value:
    call.count(2, 4)
    value = call.take(0, STRING)
    pattern, groups = _pattern(call)
    if groups > 1:
        raise InvalidQuery(
            f"Regular expression {call.args[1].constant!r} has more than one capturing group".replace(
                "'", '"'
            ),
            place=call.place,
        )
    text = value.sql
    if len(call.nodes) > 2:
        start = call.take(2, INT64).sql
        text = f"substring({text}, {start})"
        text = call.c.guard(f"{start} <= 0", f"'Position in {call.name} must be positive'", text)
    if len(call.nodes) > 3:
        nth = call.take(3, INT64).sql
        return Value(f"list_extract(regexp_extract_all({text}, {pattern}, {groups}), {nth})", STRING)
    return Value(
        f"CASE WHEN regexp_matches({text}, {pattern}) THEN regexp_extract({text}, {pattern}, {groups}) END",
        STRING,
    )


@rule("REGEXP_EXTRACT_ALL")
def extract_all(call: Call) -> Value:
    call.count(2)
    value = call.take(0, STRING)
    pattern, groups = _pattern(call)
    if groups > 1:
        raise InvalidQuery(
            "Regular expressions passed into extraction functions must not have more than 1 capturing group",
            place=call.place,
        )
    return Value(f"regexp_extract_all({value.sql}, {pattern}, {groups})", array(STRING))


@rule("REGEXP_REPLACE")
def replace(call: Call) -> Value:
    call.count(3)
    value, new = call.take(0, STRING), call.take(2, STRING)
    pattern, groups = _pattern(call)
    if new.known:
        asked = [int(found) for found in re.findall(r"\\(\d)", str(new.constant))]
        if asked and max(asked) > groups and call.args[1].known:
            raise InvalidQuery(
                f"Invalid REGEXP_REPLACE pattern: Rewrite schema requests {max(asked)} matches, "
                f"but the regexp only has {groups} parenthesized subexpressions",
                place=call.place,
            )
    return Value(f"regexp_replace({value.sql}, {pattern}, {new.sql}, 'g')", STRING)


@rule("REGEXP_INSTR")
def instr(call: Call) -> Value:
    call.count(2, 5)
    value = call.take(0, STRING)
    pattern, groups = _pattern(call)
    start = call.take(2, INT64).sql if len(call.nodes) > 2 else "1"
    nth = call.constant(3) if len(call.nodes) > 3 else 1
    after = call.constant(4) if len(call.nodes) > 4 else 0
    if nth != 1 or groups > 0:
        raise InvalidQuery(
            "REGEXP_INSTR is supported for the first occurrence of a pattern without groups", place=call.place
        )
    text = f"substring({value.sql}, {start})"
    match = f"regexp_extract({text}, {pattern}, 0)"
    spot = f"(length(regexp_extract({text}, '(?s)^(.*?)(?:' || {pattern} || ')', 1)) + {start}{f' + length({match})' if after else ''})"
    return Value(
        f"CASE WHEN {value.sql} IS NULL OR {pattern} IS NULL THEN NULL WHEN regexp_matches({text}, {pattern}) THEN {spot} ELSE 0 END",
        INT64,
    )
