"""What a DuckDB connection needs before our SQL runs in it: macros, and the few functions that DuckDB lacks."""

# ruff: noqa: E501 (SQL is easier to read in one piece)

from __future__ import annotations

import hashlib
import re
from decimal import Decimal, localcontext
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from mlengine.tables.sql.farm import fingerprint
from mlengine.tables.types import BIGNUMERIC, NUMERIC

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_NAME = re.compile(r"\bbq_\w+")
_MACROS = r"""
bq_float_text(x) AS CASE WHEN x = 0 AND CAST(x AS VARCHAR) LIKE '-%' THEN '-0'
  WHEN abs(x) >= 1e15 AND abs(x) < 1e16 THEN
    regexp_replace(regexp_replace(printf('%.16e', x), '0+e', 'e'), '\.e', 'e')
  ELSE regexp_replace(CAST(x AS VARCHAR), '\.0$', '') END
bq_seconds_text(us) AS CASE WHEN us % 1000000 = 0 THEN '' WHEN us % 1000 = 0 THEN printf('.%03d', (us % 1000000) // 1000)
  ELSE printf('.%06d', us % 1000000) END
bq_datetime_text(x) AS strftime(x, '%Y-%m-%d %H:%M:%S') || bq_seconds_text(CAST(date_part('microseconds', x) AS BIGINT))
bq_time_text(x) AS strftime(DATE '1970-01-01' + x, '%H:%M:%S') || bq_seconds_text(CAST(date_part('microseconds', x) AS BIGINT))
bq_interval_months(x) AS CAST(date_part('year', x) * 12 + date_part('month', x) AS BIGINT)
bq_interval_micros(x) AS CAST(date_part('hour', x) * 3600000000 + date_part('minute', x) * 60000000 + date_part('microseconds', x) AS BIGINT)
bq_interval_text(x) AS CASE WHEN bq_interval_months(x) < 0 THEN '-' ELSE '' END
  || (abs(bq_interval_months(x)) // 12) || '-' || (abs(bq_interval_months(x)) % 12)
  || ' ' || CAST(date_part('day', x) AS BIGINT) || ' '
  || CASE WHEN bq_interval_micros(x) < 0 THEN '-' ELSE '' END
  || (abs(bq_interval_micros(x)) // 3600000000) || ':' || (abs(bq_interval_micros(x)) // 60000000 % 60)
  || ':' || (abs(bq_interval_micros(x)) // 1000000 % 60) || bq_seconds_text(abs(bq_interval_micros(x)))
bq_interval_sum(mo, d, us) AS to_months(CAST(mo AS INTEGER)) + to_days(CAST(d AS INTEGER)) + to_microseconds(CAST(us AS BIGINT))
bq_numeric_multiply(a, b) AS CASE WHEN abs(CAST(a AS DOUBLE)) * abs(CAST(b AS DOUBLE)) < 1e19 THEN CAST(a * b AS NUMERIC_TYPE)
  ELSE bq_exact('*', a, b) END
bq_reverse(s) AS array_to_string(list_reverse(string_split(s, '')), '')
bq_json_scalar(j) AS CASE WHEN json_type(j) IN ('OBJECT', 'ARRAY', 'NULL') THEN NULL ELSE json_extract_string(j, '$') END
bq_json_real(j) AS CASE WHEN j IS NULL OR json_type(j) = 'NULL' THEN NULL ELSE j END
"""


def macros() -> dict[str, str]:
    """The statements that make them, by name, in an order in which each finds those that it calls."""
    made: dict[str, str] = {}
    lines: list[str] = []
    for line in [*_MACROS.strip().split("\n"), "bq_end("]:
        if line.startswith("bq_") and lines:
            text = "CREATE OR REPLACE TEMP MACRO " + "\n".join(lines).replace("NUMERIC_TYPE", NUMERIC)
            made[lines[0].partition("(")[0]] = text
            lines = []
        lines.append(line)
    return made


def _functions() -> dict[str, tuple[Any, list[str], str]]:
    return {
        "bq_farm_fingerprint": (fingerprint, ["BLOB"], "BIGINT"),
        "bq_sha512": (lambda data: hashlib.sha512(data).digest(), ["BLOB"], "BLOB"),
        "bq_exact": (_exact, ["VARCHAR", NUMERIC, NUMERIC], NUMERIC),
        "bq_exact_big": (_exact_big, ["VARCHAR", BIGNUMERIC, BIGNUMERIC], BIGNUMERIC),
        "bq_interval": (_interval_text, ["VARCHAR"], "INTERVAL"),
        "bq_casefold": (lambda text: text.casefold(), ["VARCHAR"], "VARCHAR"),
        "bq_soundex": (_soundex, ["VARCHAR"], "VARCHAR"),
        "bq_initcap": (_initcap, ["VARCHAR", "VARCHAR"], "VARCHAR"),
        "bq_base32": (_base32, ["BLOB"], "VARCHAR"),
        "bq_from_base32": (_from_base32, ["VARCHAR"], "BLOB"),
        "bq_normalize": (_normalize, ["VARCHAR", "VARCHAR"], "VARCHAR"),
        "bq_json_compact": (_json_pretty, ["VARCHAR"], "VARCHAR"),
        "bq_json_edit": (_json_edit, ["VARCHAR", "VARCHAR", "VARCHAR", "VARCHAR"], "VARCHAR"),
        "bq_safe_text": (lambda data: data.decode("utf-8", "replace"), ["BLOB"], "VARCHAR"),
    }


def prepare(connection: DuckDBPyConnection, *statements: str) -> None:
    """Make `connection` ready: time in UTC, and what `translate` may call.

    Args:
        statements: What will run in it: only what they call is made, which takes a millisecond and not thirty.
            Without any, all is made.
    """
    connection.execute("SET TimeZone = 'UTC'")
    written = macros()
    wanted = set(_NAME.findall(" ".join(statements))) if statements else {*written, *_functions()}
    for name in reversed(written):
        if name in wanted:
            wanted.update(_NAME.findall(written[name]))
    for name, (function, takes, gives) in _functions().items():
        if name in wanted:
            connection.create_function(name, function, takes, gives)  # type: ignore[arg-type]
    for name, text in written.items():
        if name in wanted:
            connection.execute(text)


def _compute(sign: str, left: Decimal, right: Decimal, step: Decimal, bound: Decimal) -> Decimal:
    from decimal import ROUND_HALF_UP

    with localcontext() as context:
        context.prec = 120
        context.rounding = ROUND_HALF_UP
        if sign == "*":
            value = left * right
        elif not right:
            raise ValueError(f"division by zero: {left.normalize():f} / 0")
        else:
            value = left / right
        value = value.quantize(step)
        if abs(value) >= bound:
            raise ValueError(f"numeric overflow: {left.normalize():f} {sign} {right.normalize():f}")
        return value


def _exact(sign: str, left: Decimal, right: Decimal) -> Decimal:
    return _compute(sign, left, right, Decimal("1e-9"), Decimal("1e29"))


def _exact_big(sign: str, left: Decimal, right: Decimal) -> Decimal:
    return _compute(sign, left, right, Decimal("1e-18"), Decimal("1e20"))


def _interval_text(text: str) -> Any:
    from datetime import timedelta

    found = re.fullmatch(r"\s*(-?)(\d+)-(\d+)\s+(-?\d+)\s+(-?)(\d+):(\d+):(\d+)(?:\.(\d{1,6}))?\s*", text)
    if not found:
        raise ValueError(f"Invalid INTERVAL value '{text}'")
    months = int(found[2]) * 12 + int(found[3])
    if months:
        raise ValueError("An interval of months from text needs a literal")
    sign = -1 if found[5] else 1
    seconds = int(found[6]) * 3600 + int(found[7]) * 60 + int(found[8])
    micros = int((found[9] or "0").ljust(6, "0"))
    return timedelta(days=int(found[4])) + sign * timedelta(seconds=seconds, microseconds=micros)


def _soundex(text: str) -> str:
    codes = {
        **dict.fromkeys("BFPV", "1"),
        **dict.fromkeys("CGJKQSXZ", "2"),
        **dict.fromkeys("DT", "3"),
        "L": "4",
        **dict.fromkeys("MN", "5"),
        "R": "6",
    }
    letters = [sign for sign in text.upper() if "A" <= sign <= "Z"]
    if not letters:
        return ""
    made, last = letters[0], codes.get(letters[0], "")
    for sign in letters[1:]:
        code = codes.get(sign, "")
        if code and code != last:
            made += code
        if sign not in "HW":
            last = code
    return (made + "000")[:4]


def _initcap(text: str, delimiters: str) -> str:
    made, begins = [], True
    for sign in text:
        made.append(sign.upper() if begins else sign.lower())
        begins = sign in delimiters
    return "".join(made)


def _base32(data: bytes) -> str:
    import base64

    return base64.b32encode(data).decode()


def _from_base32(text: str) -> bytes:
    import base64

    return base64.b32decode(text)


def _normalize(text: str, form: str) -> str:
    import unicodedata

    return unicodedata.normalize(form, text)  # type: ignore[arg-type]


def _json_edit(verb: str, document: str, steps: str, value: str) -> str:
    """`document` after "set" or "remove" at the place `steps` (a list of names and positions), or "strip"."""
    import json

    found = json.loads(document)
    if verb == "strip":
        return json.dumps(_stripped(found), ensure_ascii=False)
    path = json.loads(steps)
    if not path:
        return value if verb == "set" else document
    inner = found
    for step, following in pairwise(path):
        if isinstance(step, str) and isinstance(inner, dict):
            if inner.get(step) is None and verb == "set":
                inner[step] = [] if isinstance(following, int) else {}
            if step not in inner:
                return document
            inner = inner[step]
        elif isinstance(step, int) and isinstance(inner, list) and step < len(inner):
            inner = inner[step]
        else:
            return document
    last = path[-1]
    if isinstance(last, str) and isinstance(inner, dict):
        if verb == "set":
            inner[last] = json.loads(value)
        else:
            inner.pop(last, None)
    elif isinstance(last, int) and isinstance(inner, list):
        if verb == "set":
            inner.extend([None] * (last + 1 - len(inner)))
            inner[last] = json.loads(value)
        elif last < len(inner):
            del inner[last]
    return json.dumps(found, ensure_ascii=False)


def _stripped(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _stripped(part) for key, part in value.items() if part is not None}
    return [_stripped(part) for part in value if part is not None] if isinstance(value, list) else value


def _json_pretty(text: str) -> str:
    import json

    return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
