"""Functions on STRING and BYTES. Positions and lengths of a STRING count code points."""

# ruff: noqa: E501 (SQL is easier to read in one piece)

from __future__ import annotations

from mlengine.tables.sql.calls import Call, rule, simple
from mlengine.tables.sql.casts import cast
from mlengine.tables.sql.kinds import BYTES, INT64, STRING, array
from mlengine.tables.sql.problems import InvalidQuery, Unsupported
from mlengine.tables.sql.values import Value
from mlengine.tables.types import literal as text_literal

for _name, _sql in (("UPPER", "upper"), ("LOWER", "lower")):
    simple(_name, "STRING", "STRING", _sql + "({0})")
for _name in ("CHAR_LENGTH", "CHARACTER_LENGTH"):
    simple(_name, "STRING", "INT64", "length({0})")
simple("ASCII", "STRING", "INT64", "CASE WHEN {0} = '' THEN 0 ELSE CAST(ascii({0}) AS BIGINT) END")
simple("UNICODE", "STRING", "INT64", "CASE WHEN {0} = '' THEN 0 ELSE CAST(unicode({0}) AS BIGINT) END")
simple("CHR", "INT64", "STRING", "CASE WHEN {0} = 0 THEN '' ELSE chr(CAST({0} AS INTEGER)) END")
simple("TRANSLATE", "STRING STRING STRING", "STRING", "translate({0}, {1}, {2})")
simple("SOUNDEX", "STRING", "STRING", "bq_soundex({0})")
simple("EDIT_DISTANCE", "STRING STRING", "INT64", "levenshtein({0}, {1})")
simple("SAFE_CONVERT_BYTES_TO_STRING", "BYTES", "STRING", "bq_safe_text({0})")
simple(
    "INITCAP",
    "STRING STRING?",
    "STRING",
    "bq_initcap({0}, ' ' || chr(9) || chr(10) || chr(13) || chr(12) || chr(11) || '[](){{}}/|<>!?@\"^#$&~_,.:;*%+-') ;; bq_initcap({0}, {1})",
)
simple(
    "TO_CODE_POINTS",
    "STRING|BYTES",
    "ARRAY<INT64>",
    "list_transform(list_filter(string_split({0}, ''), lambda s: s <> ''), lambda s: CAST(unicode(s) AS BIGINT))",
)
simple(
    "CODE_POINTS_TO_STRING",
    "ARRAY<INT64>",
    "STRING",
    "array_to_string(list_transform({0}, lambda p: chr(CAST(p AS INTEGER))), '')",
)
simple(
    "CODE_POINTS_TO_BYTES",
    "ARRAY<INT64>",
    "BYTES",
    "unhex(array_to_string(list_transform({0}, lambda p: printf('%02x', p)), ''))",
)


@rule("LENGTH", "BYTE_LENGTH", "OCTET_LENGTH")
def length(call: Call) -> Value:
    call.count(1)
    value = call.take(0, STRING, BYTES)
    if value.kind.kind == "BYTES":
        return Value(f"octet_length({value.sql})", INT64)
    return Value(f"length({value.sql})" if call.name == "LENGTH" else f"strlen({value.sql})", INT64)


@rule("CONCAT")
def concat(call: Call) -> Value:
    if not call.nodes:
        call.refuse()
    if any(value.kind.kind == "BYTES" for value in call.args):
        values = [call.take(at, BYTES) for at in range(len(call.nodes))]
        return Value("(" + " || ".join(value.sql for value in values) + ")", BYTES)
    texts = []
    for at, value in enumerate(call.args):
        if value.kind.kind not in ("STRING", "NULL") and value.kind.kind in (
            "INT64",
            "FLOAT64",
            "NUMERIC",
            "BIGNUMERIC",
            "BOOL",
            "DATE",
            "TIME",
            "DATETIME",
            "TIMESTAMP",
        ):
            texts.append(cast(call.c, value, STRING))
        else:
            texts.append(call.take(at, STRING).sql)
    return Value("(" + " || ".join(texts) + ")", STRING)


@rule("SUBSTR", "SUBSTRING")
def substr(call: Call) -> Value:
    call.count(2, 3)
    value, start = call.take(0, STRING, BYTES), call.take(1, INT64).sql
    many = call.take(2, INT64).sql if len(call.nodes) > 2 else ""
    size = f"length({value.sql})" if value.kind.kind == "STRING" else f"octet_length({value.sql})"
    first = f"CASE WHEN {start} > 0 THEN {start} WHEN {start} = 0 THEN 1 ELSE greatest({size} + {start} + 1, 1) END"
    text = value.sql if value.kind.kind == "STRING" else f"hex({value.sql})"
    if value.kind.kind == "BYTES":
        length_ = f", 2 * ({many})" if many else ""
        done = f"unhex(substring({text}, 2 * ({first}) - 1{length_}))"
    else:
        done = f"substring({text}, {first}{', ' + many if many else ''})"
    if many:
        done = call.c.guard(f"{many} < 0", "'Third argument in SUBSTR() cannot be negative'", done)
    return Value(done, value.kind.bare)


@rule("LEFT", "RIGHT")
def ends(call: Call) -> Value:
    call.count(2)
    value, many = call.take(0, STRING, BYTES), call.take(1, INT64)
    text = value.sql if value.kind.kind == "STRING" else f"hex({value.sql})"
    count = many.sql if value.kind.kind == "STRING" else f"2 * {many.sql}"
    done = f"{call.name.lower()}({text}, {count})"
    done = done if value.kind.kind == "STRING" else f"unhex({done})"
    return Value(
        call.c.guard(f"{many.sql} < 0", f"'Second argument in {call.name}() cannot be negative'", done),
        value.kind.bare,
    )


@rule("TRIM", "LTRIM", "RTRIM")
def trim(call: Call) -> Value:
    call.count(1, 2)
    value = call.take(0, STRING, BYTES)
    if value.kind.kind == "BYTES":
        raise Unsupported(f"{call.name} of BYTES", place=call.place)
    if len(call.nodes) == 2:
        return Value(f"{call.name.lower()}({value.sql}, {call.take(1, STRING).sql})", STRING)
    spaces = r"[\s\x{85}\p{Z}]+"
    done = value.sql
    if call.name in ("TRIM", "LTRIM"):
        done = f"regexp_replace({done}, '^{spaces}', '')"
    if call.name in ("TRIM", "RTRIM"):
        done = f"regexp_replace({done}, '{spaces}$', '')"
    return Value(done, STRING)


@rule("LPAD", "RPAD")
def pad(call: Call) -> Value:
    call.count(2, 3)
    value, size = call.take(0, STRING), call.take(1, INT64)
    fill = call.take(2, STRING).sql if len(call.nodes) > 2 else "' '"
    done = f"{call.name.lower()}({value.sql}, CAST({size.sql} AS INTEGER), {fill})"
    done = (
        call.c.guard(f"{fill} = ''", f"'Third argument in {call.name}() cannot be empty'", done)
        if fill != "' '"
        else done
    )
    return Value(
        call.c.guard(f"{size.sql} < 0", f"'Second argument in {call.name}() cannot be negative'", done),
        STRING,
    )


@rule("REPEAT")
def repeat(call: Call) -> Value:
    call.count(2)
    value, many = call.take(0, STRING), call.take(1, INT64)
    return Value(
        call.c.guard(
            f"{many.sql} < 0",
            "'Second argument in REPEAT() cannot be negative'",
            f"repeat({value.sql}, {many.sql})",
        ),
        STRING,
    )


@rule("REVERSE")
def reverse(call: Call) -> Value:
    call.count(1)
    value = call.take(0, STRING, BYTES)
    if value.kind.kind == "BYTES":
        return Value(
            f"unhex(array_to_string(list_reverse(regexp_extract_all(hex({value.sql}), '..')), ''))", BYTES
        )
    return Value(f"bq_reverse({value.sql})", STRING)


@rule("REPLACE")
def replace(call: Call) -> Value:
    call.count(3)
    value, old, new = (call.take(at, STRING) for at in range(3))
    return Value(
        f"CASE WHEN {old.sql} = '' THEN {value.sql} ELSE replace({value.sql}, {old.sql}, {new.sql}) END",
        STRING,
    )


@rule("STARTS_WITH", "ENDS_WITH")
def starts(call: Call) -> Value:
    from mlengine.tables.sql.kinds import BOOL

    call.count(2)
    name = "starts_with" if call.name == "STARTS_WITH" else "ends_with"
    if call.args[0].kind.kind == "BYTES":
        return Value(f"{name}(hex({call.take(0, BYTES).sql}), hex({call.take(1, BYTES).sql}))", BOOL)
    return Value(f"{name}({call.take(0, STRING).sql}, {call.take(1, STRING).sql})", BOOL)


@rule("STRPOS")
def strpos(call: Call) -> Value:
    call.count(2)
    return Value(f"strpos({call.take(0, STRING).sql}, {call.take(1, STRING).sql})", INT64)


@rule("INSTR")
def instr(call: Call) -> Value:
    call.count(2, 4)
    value, part = call.take(0, STRING), call.take(1, STRING)
    start = call.constant(2) if len(call.nodes) > 2 else 1
    nth = call.constant(3) if len(call.nodes) > 3 else 1
    if not isinstance(start, int) or not isinstance(nth, int) or start == 0 or nth < 1:
        raise InvalidQuery(
            "INSTR needs a position other than 0 and an occurrence from 1 on", place=call.place
        )
    size, width = f"length({value.sql})", f"length({part.sql})"
    if start > 0:
        spots = f"list_filter(range({start}, {size} - {width} + 2), lambda i: substring({value.sql}, i, {width}) = {part.sql})"
    else:
        last = f"least({size} + {start} + 1, {size} - {width} + 1)"
        spots = f"list_reverse(list_filter(range(1, {last} + 1), lambda i: substring({value.sql}, i, {width}) = {part.sql}))"
    return Value(
        f"CASE WHEN {value.sql} IS NULL OR {part.sql} IS NULL THEN NULL ELSE coalesce(list_extract({spots}, {nth}), 0) END",
        INT64,
    )


@rule("SPLIT")
def split(call: Call) -> Value:
    call.count(1, 2)
    value = call.take(0, STRING, BYTES)
    if value.kind.kind == "BYTES":
        raise Unsupported("SPLIT of BYTES", place=call.place)
    sign = call.take(1, STRING).sql if len(call.nodes) > 1 else "','"
    known = call.args[1].constant if len(call.nodes) > 1 else ","
    done = f"string_split({value.sql}, {sign})"
    if known == "":
        done = f"CASE WHEN {value.sql} = '' THEN [''] ELSE list_filter({done}, lambda s: s <> '') END"
    return Value(done, array(STRING))


@rule("CONTAINS_SUBSTR")
def contains_substr(call: Call) -> Value:
    from mlengine.tables.sql.kinds import BOOL

    call.count(2)
    value, part = call.args[0], call.take(1, STRING)
    text = value.sql if value.kind.kind == "STRING" else f"CAST({value.sql} AS VARCHAR)"
    return Value(
        f"contains(bq_casefold(nfc_normalize({text})), bq_casefold(nfc_normalize({part.sql})))", BOOL
    )


@rule("NORMALIZE", "NORMALIZE_AND_CASEFOLD")
def normalize(call: Call) -> Value:
    call.count(1, 2)
    call._args = [call.c.value(call.nodes[0], call.scope)]
    value = call.take(0, STRING)
    form = call.nodes[1].name.upper() if len(call.nodes) > 1 else "NFC"
    if form not in ("NFC", "NFD", "NFKC", "NFKD"):
        raise InvalidQuery(f"{call.name}: {form} is not one of NFC, NFKC, NFD, NFKD", place=call.place)
    done = f"bq_normalize({value.sql}, {text_literal(form)})"
    return Value(f"bq_casefold({done})" if call.name != "NORMALIZE" else done, STRING)
