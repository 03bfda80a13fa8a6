"""FORMAT, FORMAT_DATE and its family, PARSE_DATE and its family, and CAST … FORMAT."""

# ruff: noqa: E501 (SQL is easier to read in one piece)

from __future__ import annotations

import re
from typing import Any

from mlengine.tables.sql.calls import Call, rule
from mlengine.tables.sql.casts import cast
from mlengine.tables.sql.kinds import DATE, DATETIME, FLOAT64, INT64, STRING, TIME, TIMESTAMP, Type
from mlengine.tables.sql.problems import InvalidQuery, Unsupported
from mlengine.tables.sql.rules.intervals import instant, local
from mlengine.tables.sql.values import Value
from mlengine.tables.types import literal as text_literal

_SAME = {
    "a": "%a",
    "A": "%A",
    "b": "%b",
    "B": "%B",
    "h": "%b",
    "d": "%d",
    "H": "%H",
    "I": "%I",
    "j": "%j",
    "m": "%m",
    "M": "%M",
    "p": "%p",
    "S": "%S",
    "U": "%U",
    "u": "%u",
    "V": "%V",
    "W": "%W",
    "w": "%w",
    "y": "%y",
    "Y": "%Y",
    "G": "%G",
    "F": "%Y-%m-%d",
    "T": "%H:%M:%S",
    "R": "%H:%M",
    "D": "%m/%d/%y",
    "x": "%m/%d/%y",
    "X": "%H:%M:%S",
    "%": "%%",
    "n": "\n",
    "t": "\t",
}
_SPECIAL = {
    "e": "lpad(CAST(day({0}) AS VARCHAR), 2, ' ')",
    "k": "lpad(CAST(hour({0}) AS VARCHAR), 2, ' ')",
    "l": "lpad(CAST((hour({0}) + 11) % 12 + 1 AS VARCHAR), 2, ' ')",
    "C": "printf('%02d', year({0}) // 100)",
    "Q": "CAST(quarter({0}) AS VARCHAR)",
    "P": "lower(strftime({0}, '%p'))",
    "g": "printf('%02d', isoyear({0}) % 100)",
    "s": "CAST(epoch_us({0}) // 1000000 AS VARCHAR)",
    "J": "CAST(date_diff('day', date_trunc('week', make_date(isoyear({0}), 1, 4)), {0}) + 1 AS VARCHAR)",
    "E*S": "(strftime({0}, '%S') || rtrim(rtrim(printf('.%06d', microsecond({0}) % 1000000), '0'), '.'))",
    "E4Y": "printf('%04d', year({0}))",
    "c": "(strftime({0}, '%a %b ') || lpad(CAST(day({0}) AS VARCHAR), 2, ' ') || strftime({0}, ' %H:%M:%S %Y'))",
    "+": "strftime({0}, '%a %b %d %H:%M:%S UTC %Y')",
}
_ELEMENT = re.compile(r"%(E\*S|E\dS|E4Y|Ez|.)", re.DOTALL)


def _form(call: Call, kind: Type, clock: str, shape: str, zone: Value | None) -> str:
    """`clock` written after `shape`."""
    pieces: list[str] = []
    run, last = "", 0

    def flush() -> None:
        nonlocal run
        if run:
            pieces.append(
                f"strftime({clock}, {text_literal(run)})"
                if "%" in run.replace("%%", "")
                else text_literal(run.replace("%%", "%"))
            )
        run = ""

    for found in _ELEMENT.finditer(shape):
        run += shape[last : found.start()]
        last = found.end()
        name = found[1]
        if name in _SAME:
            run += _SAME[name]
            continue
        flush()
        if name in ("z", "Ez", "Z"):
            pieces.append(_zone_text(clock, name, zone, kind))
        elif name in _SPECIAL:
            pieces.append(_SPECIAL[name].format(clock))
        elif re.fullmatch(r"E\dS", name):
            digits = int(name[1])
            fraction = (
                f" || '.' || left(printf('%06d', microsecond({clock}) % 1000000), {min(digits, 6)})"
                if digits
                else ""
            )
            pieces.append(f"(strftime({clock}, '%S'){fraction})")
        else:
            raise Unsupported(f"Format element %{name}", place=call.place)
    run += shape[last:]
    flush()
    return "(" + " || ".join(pieces) + ")" if pieces else "''"


def _zone_text(clock: str, name: str, zone: Value | None, kind: Type) -> str:
    if kind is not TIMESTAMP:
        return "''"
    if zone is None or str(zone.constant).upper() in ("UTC", "+00", "+00:00"):
        return {"z": "'+0000'", "Ez": "'+00:00'", "Z": "'UTC'"}[name]
    minutes = f"date_diff('minute', {clock}, timezone({zone.sql}, timezone('UTC', {clock})))"
    between = ":" if name == "Ez" else ""
    lead = "UTC" if name == "Z" else ""
    text = (
        f"('{lead}' || CASE WHEN {minutes} < 0 THEN '-' ELSE '+' END || printf('%02d', abs({minutes}) // 60)"
    )
    if name == "Z":
        return text.replace("printf('%02d', ", "CAST(").replace(" // 60)", " // 60 AS VARCHAR)") + ")"
    return text + f" || '{between}' || printf('%02d', abs({minutes}) % 60))"


@rule("FORMAT_DATE", "FORMAT_DATETIME", "FORMAT_TIMESTAMP", "FORMAT_TIME")
def form(call: Call) -> Value:
    call.count(2, 3)
    shape = call.constant(0)
    if shape is None:
        return Value("CAST(NULL AS VARCHAR)", STRING)
    kind = {"DATE": DATE, "DATETIME": DATETIME, "TIMESTAMP": TIMESTAMP, "TIME": TIME}[call.name[7:]]
    if call.name == "FORMAT_DATE" and call.args[1].kind.kind in ("DATETIME", "TIMESTAMP"):
        kind = call.args[1].kind.bare
    if call.name == "FORMAT_DATETIME" and call.args[1].kind.kind == "DATE":
        kind = DATETIME
    value = call.take(1, kind)
    zone = call.take(2, STRING) if len(call.nodes) > 2 else None
    clock = value.sql
    if kind is TIMESTAMP:
        clock = local(value.sql, zone)
    elif kind is TIME:
        clock = f"(DATE '1970-01-01' + {value.sql})"
    elif kind is DATE:
        clock = f"CAST({value.sql} AS TIMESTAMP)"
    return Value(_form(call, kind, clock, str(shape), zone), STRING)


_PARSED = {
    **_SAME,
    "e": "%-d",
    "E4Y": "%Y",
    "E*S": "%S.%f",
    "c": "%a %b %-d %H:%M:%S %Y",
    "k": "%-H",
    "l": "%-I",
    "z": "%z",
    "Ez": "%z",
    "Z": "%Z",
    "P": "%p",
}


@rule("PARSE_DATE", "PARSE_DATETIME", "PARSE_TIMESTAMP", "PARSE_TIME")
def parse(call: Call) -> Value:
    call.count(2, 3)
    shape, value = call.constant(0), call.take(1, STRING)
    kind = {"DATE": DATE, "DATETIME": DATETIME, "TIMESTAMP": TIMESTAMP, "TIME": TIME}[call.name[6:]]
    if shape is None:
        return Value(f"CAST(NULL AS {kind.sql})", kind)
    shape = str(shape)
    zone = call.take(2, STRING) if len(call.nodes) > 2 else None
    text = f"trim({value.sql})"
    if shape.strip() == "%s":
        done = f"make_timestamp(CAST({text} AS BIGINT) * 1000000)"
    else:
        pattern, last = "", 0
        for found in _ELEMENT.finditer(shape):
            pattern += shape[last : found.start()].replace("%", "%%")
            last = found.end()
            name = found[1]
            if re.fullmatch(r"E\dS", name):
                pattern += "%S.%f"
            elif name in _PARSED:
                pattern += _PARSED[name]
            else:
                raise Unsupported(f"Format element %{name} in {call.name}", place=call.place)
        pattern = (pattern + shape[last:]).strip()
        options = [pattern]
        if "%S.%f" in pattern:
            options.append(pattern.replace("%S.%f", "%S"))
        tries = (
            "[" + ", ".join(text_literal(option) for option in options) + "]"
            if len(options) > 1
            else text_literal(pattern)
        )
        done = f"try_strptime({text}, {tries})"
        said = f"'Failed to parse input string \"' || {value.sql} || '\"'"
        done = call.c.guard(f"{value.sql} IS NOT NULL AND {done} IS NULL", said, done)
        if not re.search(r"%(Y|y|G)", pattern):
            done = f"({done} + INTERVAL 70 YEAR)"
    if kind is TIMESTAMP:
        zoned = "%z" in (shape or "") or "%Ez" in shape or "%Z" in shape
        return Value(
            f"CAST({done} AS TIMESTAMPTZ)" if zoned else instant(f"CAST({done} AS TIMESTAMP)", zone),
            TIMESTAMP,
        )
    return Value(f"CAST({done} AS {kind.sql})", kind)


_SPEC = re.compile(r"%([-+ #0']*)(\*|\d+)?(?:\.(\*|\d+))?([diouxXfFeEgGsptT%])")


@rule("FORMAT")
def format_(call: Call) -> Value:
    if not call.nodes:
        call.refuse()
    shape = call.constant(0, "a literal or parameter")
    if shape is None:
        return Value("CAST(NULL AS VARCHAR)", STRING)
    call.take(0, STRING)
    pieces, last, used = [], 0, 1
    text = str(shape)
    for found in _SPEC.finditer(text):
        if found.start() > last:
            pieces.append(_plain(call, text[last : found.start()]))
        last = found.end()
        flags, width, exact, kind = found.groups()
        if kind == "%":
            pieces.append("'%'")
            continue
        if width == "*":
            width, used = str(call.constant(used)), used + 1
        if exact == "*":
            exact, used = str(call.constant(used)), used + 1
        if used >= len(call.args):
            raise InvalidQuery(
                "Too few arguments to FORMAT for pattern " + repr(text).replace("'", '"'), place=call.place
            )
        pieces.append(_spec(call, call.args[used], flags, width or "", exact, kind))
        used += 1
    if last < len(text):
        pieces.append(_plain(call, text[last:]))
    if used < len(call.args):
        raise InvalidQuery(
            "Too many arguments to FORMAT for pattern " + repr(text).replace("'", '"'), place=call.place
        )
    return Value("(" + " || ".join(pieces or ["''"]) + ")", STRING)


def _plain(call: Call, text: str) -> str:
    if "%" in text:
        raise InvalidQuery(f"Invalid format specifier in FORMAT: {text}", place=call.place)
    return text_literal(text)


def _spec(call: Call, value: Value, flags: str, width: str, exact: str | None, kind: str) -> str:
    place = call.place
    comma, flags = "'" in flags, flags.replace("'", "")
    if kind in "diouxX":
        if value.kind.kind not in ("INT64", "NULL"):
            raise InvalidQuery(
                f"Invalid type for argument to FORMAT; Expected integer; Got {value.kind}", place=place
            )
        kind = "d" if kind in "diu" else kind
        if comma:
            body = f"format('{{:,}}', {value.sql})"
            return f"lpad({body}, CAST(greatest({width}, length({body})) AS INTEGER), ' ')" if width else body
        return f"printf('%{flags}{width}{kind}', {value.sql})"
    if kind in "fFeEgG":
        if not value.kind.numeric:
            raise InvalidQuery(
                f"Invalid type for argument to FORMAT; Expected numeric; Got {value.kind}", place=place
            )
        digits = f".{exact}" if exact is not None else ""
        number = cast(call.c, value, FLOAT64)
        if comma:
            body = f"format('{{:,{digits or '.6'}f}}', {number})"
            return f"lpad({body}, CAST(greatest({width}, length({body})) AS INTEGER), ' ')" if width else body
        return f"printf('%{flags}{width}{digits}{kind}', {number})"
    if kind == "s":
        if value.kind.kind not in ("STRING", "NULL"):
            raise InvalidQuery(
                f"Invalid type for argument to FORMAT; Expected string; Got {value.kind}", place=place
            )
        body = f"CAST({value.sql} AS VARCHAR)"
    elif kind in "pP":
        raise Unsupported(f"Format specifier %{kind}", place=place)
    else:
        body = shown(call.c, value, typed=kind == "T")
    if exact is not None:
        body = f"left({body}, {exact})"
    if width:
        pad = "rpad" if "-" in flags else "lpad"
        body = f"{pad}({body}, CAST(greatest({width}, length({body})) AS INTEGER), ' ')"
    return body


def shown(c: Any, value: Value, *, typed: bool) -> str:
    """%t and %T: a value as people, or as SQL, write it."""
    kind, sql = value.kind, value.sql
    if kind.element is not None:
        inner = shown(c, Value("item", kind.element), typed=typed)
        body = f"'[' || array_to_string(list_transform({sql}, lambda item: {inner}), ', ') || ']'"
    elif kind.kind == "STRUCT":
        from mlengine.tables.sql.values import field_of

        parts = " || ', ' || ".join(
            shown(c, field_of(value, at), typed=typed) for at in range(len(kind.fields))
        )
        body = f"'(' || {parts or text_literal('')} || ')'"
    elif kind.kind == "FLOAT64":
        text = f"bq_float_text({sql})"
        body = f"CASE WHEN regexp_matches({text}, '^-?[0-9]+$') THEN {text} || '.0' ELSE {text} END"
        if typed:
            body = f"CASE WHEN isfinite({sql}) THEN {body} ELSE 'CAST(\"' || {text} || '\" AS FLOAT64)' END"
    elif typed and kind.kind in ("STRING", "NULL"):
        body = (
            "'\"' || replace(replace(replace("
            + sql
            + ", '\\', '\\\\'), '\"', '\\\"'), chr(10), '\\n') || '\"'"
            if kind.kind == "STRING"
            else "'NULL'"
        )
    elif typed and kind.kind in ("DATE", "DATETIME", "TIMESTAMP", "TIME", "NUMERIC", "BIGNUMERIC", "JSON"):
        quote = "'" if kind.kind in ("NUMERIC", "BIGNUMERIC") else '"'
        body = f"'{kind.kind} ' || {text_literal(quote)} || {cast(c, value, STRING) if kind.kind != 'JSON' else f'CAST({sql} AS VARCHAR)'} || {text_literal(quote)}"
    elif kind.kind == "JSON":
        body = f"CAST({sql} AS VARCHAR)"
    else:
        body = cast(c, value, STRING)
    return f"coalesce({body}, 'NULL')"


_CAST_ELEMENTS = (
    ("YYYY", "%Y"),
    ("HH24", "%H"),
    ("HH12", "%I"),
    ("SSSSS", ""),
    ("MONTH", "%B"),
    ("MON", "%b"),
    ("DAY", "%A"),
    ("DDD", "%j"),
    ("YY", "%y"),
    ("MM", "%m"),
    ("DD", "%d"),
    ("DY", "%a"),
    ("HH", "%I"),
    ("MI", "%M"),
    ("SS", "%S"),
    ("AM", "%p"),
    ("PM", "%p"),
    ("A.M.", ""),
    ("TZH", ""),
)


def cast_with_format(c: Any, value: Value, to: Type, shape: Value, safe: bool, place: Any) -> Value:
    """CAST(value AS to FORMAT '…') for dates, clock times and BYTES."""
    if not isinstance(shape.constant, str):
        raise InvalidQuery("FORMAT in CAST must be a string literal", place=place)
    style = shape.constant.upper()
    if value.kind.kind == "BYTES" and to.kind == "STRING" and style in ("HEX", "BASE64", "UTF-8", "UTF8"):
        return Value(
            {"HEX": f"lower(hex({value.sql}))", "BASE64": f"to_base64({value.sql})"}.get(
                style, f"decode({value.sql})"
            ),
            STRING,
        )
    if value.kind.kind == "STRING" and to.kind == "BYTES" and style in ("HEX", "BASE64", "UTF-8", "UTF8"):
        return Value(
            {"HEX": f"unhex({value.sql})", "BASE64": f"from_base64({value.sql})"}.get(
                style, f"encode({value.sql})"
            ),
            to,
        )
    pattern, rest, original = "", style, shape.constant
    upper_after = []
    while rest:
        for element, code in _CAST_ELEMENTS:
            if rest.startswith(element):
                if not code:
                    raise Unsupported(f"Format element {element}", place=place)
                written = original[len(original) - len(rest) :][: len(element)]
                if element in ("MONTH", "MON", "DAY", "DY") and written.isupper():
                    upper_after.append(code)
                pattern += code
                rest = rest[len(element) :]
                break
        else:
            if rest[0] == '"':
                end = rest.index('"', 1)
                at = len(original) - len(rest)
                pattern += original[at + 1 : at + end].replace("%", "%%")
                rest = rest[end + 1 :]
            elif rest[0].isalnum():
                raise Unsupported(f"Format element {rest.split()[0]}", place=place)
            else:
                pattern += rest[0]
                rest = rest[1:]
    if to.kind == "STRING" and value.kind.kind in ("DATE", "DATETIME", "TIMESTAMP", "TIME"):
        clock = local(value.sql, None) if value.kind.kind == "TIMESTAMP" else value.sql
        if value.kind.kind == "TIME":
            clock = f"(DATE '1970-01-01' + {value.sql})"
        done = f"strftime({clock}, {text_literal(pattern)})"
        return Value(f"upper({done})" if upper_after else done, STRING)
    if value.kind.kind == "STRING" and to.kind in ("DATE", "DATETIME", "TIMESTAMP", "TIME"):
        c.safe += safe
        try:
            return parsed_with(c, value, pattern, to)
        finally:
            c.safe -= safe
    raise Unsupported(f"CAST from {value.kind} to {to} with FORMAT", place=place)


def parsed_with(c: Any, value: Value, pattern: str, to: Type) -> Value:
    """A STRING read after DuckDB's form of a format."""
    parsed = f"try_strptime({value.sql}, {text_literal(pattern)})"
    said = f"'Failed to parse input string \"' || {value.sql} || '\"'"
    parsed = c.guard(f"{value.sql} IS NOT NULL AND {parsed} IS NULL", said, parsed)
    return Value(instant(parsed, None) if to.kind == "TIMESTAMP" else f"CAST({parsed} AS {to.sql})", to)


__all__ = ["INT64"]
