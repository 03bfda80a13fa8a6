"""What is wrong with a query, said as BigQuery says it: while it is read, and while it runs."""

from __future__ import annotations

import re

from mlengine.errors import InvalidArgument

Place = tuple[int, int]


class InvalidQuery(InvalidArgument):
    """A query that cannot be. The message ends in the place: "… at [line:column]"."""

    def __init__(self, message: str, *, place: Place | None = None, hint: str = "") -> None:
        where = f" at [{place[0]}:{place[1]}]" if place else ""
        super().__init__(f"{message.rstrip('.') if where else message}{where}", hint=hint)
        self.place = place


class Unsupported(InvalidQuery):
    """BigQuery can do this; we cannot."""

    def __init__(self, what: str, *, place: Place | None = None, hint: str = "") -> None:
        super().__init__(f"{what} is not supported", place=place, hint=hint)


_SAYINGS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.DOTALL), words)
    for pattern, words in (
        (r"Overflow in addition of INT64 \((\S+) \+ (\S+)\)", r"int64 overflow: \1 + \2"),
        (r"Overflow in subtraction of INT64 \((\S+) - (\S+)\)", r"int64 overflow: \1 - \2"),
        (r"Overflow in multiplication of INT64 \((\S+) \* (\S+)\)", r"int64 overflow: \1 * \2"),
        (r"Overflow in negation|Overflow on abs|overflow: -\(", "int64 overflow"),
        (r"Type INT128 with value (\S+) can't be cast.*INT64", r"int64 overflow: \1"),
        (r"Type DOUBLE with value (\S+) can't be cast.*INT64", r"Casting to int64 out of range: \1"),
        (r"Could not convert string '(.*?)' to INT64", r"Bad int64 value: \1"),
        (r"Could not convert string '(.*?)' to DOUBLE", r"Bad double value: \1"),
        (
            r"Could not convert string '(.*?)' to DECIMAL|Could not convert string \"(.*?)\" to DECIMAL",
            r"Invalid NUMERIC value: \1",
        ),
        (
            r"Could not cast value .* to DECIMAL|Overflow in .*DECIMAL|out of range for.*DECIMAL",
            "numeric overflow",
        ),
        (
            r"invalid date field format: \"(.*?)\"|date field value out of range: \"(.*?)\"",
            r"Invalid date: '\1\2'",
        ),
        (
            r"invalid timestamp field format: \"(.*?)\"|timestamp field value out of range: \"(.*?)\"",
            r"Invalid timestamp: '\1\2'",
        ),
        (r"Could not convert string '(.*?)' to TIMESTAMP", r"Invalid timestamp: '\1'"),
        (
            r"(?:time field value out of range|Could not convert string).*?[\"'](.*?)[\"'].*TIME",
            r'Invalid time string "\1"',
        ),
        (r"Unknown TimeZone '(.*?)'", r"Invalid time zone: \1"),
        (r"Could not parse string \"(.*?)\" according to format", r'Failed to parse input string "\1"'),
        (r"More than one row returned by a subquery", "Scalar subquery produced more than one element"),
        (r"Malformed JSON.*", "Invalid JSON text"),
        (r"Division by zero", "division by zero"),
        (r"Duplicate struct entry name \"(.*?)\"", r"Duplicate field name \1"),
        (r"NOT NULL constraint failed: (?:[\w$\"]+\.)*\"?(\w+)", r"Required field \1 cannot be null"),
        (r"invalid UTF-?8|Invalid unicode|not valid UTF8", "Invalid UTF-8"),
        (
            r"MERGE INTO command cannot affect the same target row more than once",
            "UPDATE/MERGE must match at most one source row for each target row",
        ),
        (r"recursion|maximum recursive", "A recursive CTE has reached the maximum number of iterations: 500"),
    )
)
_CLASS = re.compile(r"^(?:[A-Z][\w ]* Error: )+")


def in_bigquery_words(problem: BaseException | str) -> str:
    """What DuckDB said while a query ran, as BigQuery would say it."""
    text = str(problem)
    for pattern, words in _SAYINGS:
        if found := pattern.search(text):
            return found.expand(words)
    return _CLASS.sub("", text).split("\n\nLINE ")[0].strip()
