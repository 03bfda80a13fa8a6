"""Mathematics, and functions on bits."""

# ruff: noqa: E501 (SQL is easier to read in one piece)

from __future__ import annotations

from mlengine.tables.sql.calls import Call, rule, simple
from mlengine.tables.sql.casts import agree, cast, coerce, common
from mlengine.tables.sql.kinds import BIGNUMERIC, FLOAT64, INT64, NUMERIC, STRING, array
from mlengine.tables.sql.problems import InvalidQuery
from mlengine.tables.sql.values import Value

_ANY = (INT64, NUMERIC, BIGNUMERIC, FLOAT64)

for _name in (
    "SIN",
    "COS",
    "TAN",
    "ASIN",
    "ACOS",
    "ATAN",
    "SINH",
    "COSH",
    "TANH",
    "ASINH",
    "ACOSH",
    "ATANH",
    "CBRT",
):
    simple(_name, "FLOAT64", "FLOAT64", _name.lower() + "({0})")
simple("ATAN2", "FLOAT64 FLOAT64", "FLOAT64", "atan2({0}, {1})")
for _name, _sql in (("CSC", "sin"), ("SEC", "cos"), ("COT", "tan")):
    simple(_name, "FLOAT64", "FLOAT64", "(1 / " + _sql + "({0}))")
simple("PI", "", "FLOAT64", "pi()")
simple("IS_NAN", "FLOAT64", "BOOL", "isnan({0})")
simple("IS_INF", "FLOAT64", "BOOL", "isinf({0})")
simple(
    "IEEE_DIVIDE",
    "FLOAT64 FLOAT64",
    "FLOAT64",
    "CASE WHEN {1} = 0 AND {0} = 0 THEN CAST('nan' AS DOUBLE) ELSE {0} / {1} END",
)
simple("RAND", "", "FLOAT64", "random()")
simple("BIT_COUNT", "INT64", "INT64", "CAST(bit_count({0}) AS BIGINT)")


@rule("ABS", "SIGN")
def keep_type(call: Call) -> Value:
    call.count(1)
    value = call.take(0, *_ANY)
    name = call.name.lower()
    if name == "abs":
        return Value(call.c.attempt(f"abs({value.sql})"), value.kind.bare)
    return Value(
        f"CAST(sign({value.sql}) AS {value.kind.bare.sql})"
        if value.kind.kind != "FLOAT64"
        else f"CASE WHEN isnan({value.sql}) THEN {value.sql} ELSE CAST(sign({value.sql}) AS DOUBLE) END",
        value.kind.bare,
    )


@rule("ROUND", "TRUNC")
def rounding(call: Call) -> Value:
    call.count(1, 3)
    value = call.take(0, FLOAT64, NUMERIC, BIGNUMERIC)
    digits = call.take(1, INT64).sql if len(call.nodes) > 1 else "0"
    kind = value.kind.bare
    if kind.kind == "FLOAT64":
        if call.name == "TRUNC":
            scaled = f"pow(10, {digits})"
            return Value(
                f"trunc({value.sql})" if digits == "0" else f"(trunc({value.sql} * {scaled}) / {scaled})",
                kind,
            )
        return Value(f"round({value.sql}, CAST({digits} AS INTEGER))", kind)
    unit = f"CAST(pow(10, {digits}) AS DECIMAL(38,9))" if digits != "0" else "1"
    if call.name == "TRUNC":
        down = (
            f"trunc({value.sql})"
            if digits == "0"
            else f"(trunc(CAST({value.sql} * {unit} AS DECIMAL(38,9))) / {unit})"
        )
        return Value(f"CAST({down} AS {kind.sql})", kind)
    if len(call.nodes) > 2:
        mode = str(call.constant(2))
        if mode not in ("ROUND_HALF_AWAY_FROM_ZERO", "ROUND_HALF_EVEN"):
            raise InvalidQuery(f"Unknown rounding mode {mode}", place=call.place)
        if mode == "ROUND_HALF_EVEN":
            if not isinstance(call.constant(1), int):
                call.refuse()
            return Value(
                f"CAST(round_even(CAST({value.sql} AS DOUBLE), CAST({digits} AS INTEGER)) AS {kind.sql})",
                kind,
            )
    known = call.args[1].constant if len(call.nodes) > 1 else 0
    if isinstance(known, int) and -20 <= known <= 18:
        return Value(f"CAST(round({value.sql}, {known}) AS {kind.sql})", kind)
    raise InvalidQuery("ROUND of NUMERIC needs a literal number of digits", place=call.place)


@rule("CEIL", "CEILING", "FLOOR")
def whole(call: Call) -> Value:
    call.count(1)
    value = call.take(0, FLOAT64, NUMERIC, BIGNUMERIC)
    name = "floor" if call.name == "FLOOR" else "ceil"
    return Value(f"CAST({name}({value.sql}) AS {value.kind.bare.sql})", value.kind.bare)


@rule("MOD", "DIV")
def integer_division(call: Call) -> Value:
    call.count(2)
    (one, other), kind = agree(call.c, call.args, f"function {call.name}", call.place)
    if kind.kind not in ("INT64", "NUMERIC", "BIGNUMERIC", "NULL"):
        call.refuse(f"{call.name}(INT64, INT64)")
    sign = "%" if call.name == "MOD" else "//"
    if kind.kind == "INT64" or kind.kind == "NULL":
        done = f"({one.sql} {sign} {other.sql})"
    elif sign == "%":
        done = f"CAST({one.sql} % {other.sql} AS {kind.sql})"
    else:
        exact = "bq_exact" if kind.kind == "NUMERIC" else "bq_exact_big"
        done = f"CAST(trunc({exact}('/', {one.sql}, {other.sql})) AS {kind.sql})"
    said = f"'division by zero: {call.name}(' || {cast(call.c, one, STRING)} || ', ' || {cast(call.c, other, STRING)} || ')'"
    return Value(call.c.guard(f"{other.sql} = 0", said, done), INT64 if kind.kind == "NULL" else kind)


@rule("SAFE_DIVIDE", "SAFE_ADD", "SAFE_SUBTRACT", "SAFE_MULTIPLY")
def safe_arithmetic(call: Call) -> Value:
    from mlengine.tables.sql.operators import arithmetic_of, divide

    call.count(2)
    for position in range(2):
        call.take(position, *_ANY)
    left, right = call.args
    call.c.safe += 1
    try:
        if call.name == "SAFE_DIVIDE":
            return divide(call.c, left, right, None)
        sign = {"SAFE_ADD": "+", "SAFE_SUBTRACT": "-", "SAFE_MULTIPLY": "*"}[call.name]
        return arithmetic_of(call.c, sign, left, right, None)
    finally:
        call.c.safe -= 1


@rule("SAFE_NEGATE")
def safe_negate(call: Call) -> Value:
    call.count(1)
    value = call.take(0, *_ANY)
    if value.kind.kind == "INT64":
        return Value(
            f"CASE WHEN {value.sql} = CAST('-9223372036854775808' AS BIGINT) THEN NULL ELSE 0::BIGINT - {value.sql} END",
            INT64,
        )
    return Value(f"(-{value.sql})", value.kind.bare)


@rule("SQRT", "LN", "LOG10", "EXP")
def one_number(call: Call) -> Value:
    call.count(1)
    value = call.take(0, FLOAT64)
    sql = value.sql
    kind = call.args[0].kind.bare if call.args[0].kind.kind in ("NUMERIC", "BIGNUMERIC") else FLOAT64
    done = f"{call.name.lower()}({sql})"
    bad = {
        "SQRT": f"{sql} < 0",
        "LN": f"{sql} <= 0",
        "LOG10": f"{sql} <= 0",
        "EXP": f"isinf(exp({sql})) AND isfinite({sql})",
    }[call.name]
    said = {
        "SQRT": "'Argument to SQRT cannot be negative: '",
        "LN": "'Argument to LN must be positive: '",
        "LOG10": "'Argument to LOG10 must be positive: '",
        "EXP": "'Floating point overflow in function: EXP('",
    }[call.name]
    text = call.c.guard(bad, f"{said} || {cast(call.c, value, STRING)}", done)
    return Value(text if kind is FLOAT64 else f"CAST({text} AS {kind.sql})", kind)


@rule("LOG")
def log(call: Call) -> Value:
    call.count(1, 2)
    value = call.take(0, FLOAT64)
    if len(call.nodes) == 1:
        done = f"ln({value.sql})"
        return Value(
            call.c.guard(f"{value.sql} <= 0", f"'Argument to LOG must be positive: ' || {value.sql}", done),
            FLOAT64,
        )
    base = call.take(1, FLOAT64)
    bad = f"({value.sql} <= 0 OR {base.sql} <= 0 OR {base.sql} = 1)"
    return Value(
        call.c.guard(
            bad,
            "'Floating point error in function: LOG'",
            f"CASE WHEN {base.sql} = 10 THEN log10({value.sql}) WHEN {base.sql} = 2 THEN log2({value.sql}) "
            f"ELSE ln({value.sql}) / ln({base.sql}) END",
        ),
        FLOAT64,
    )


@rule("POW", "POWER")
def power(call: Call) -> Value:
    call.count(2)
    kind = common(call.c, call.args)
    base, exponent = call.take(0, FLOAT64), call.take(1, FLOAT64)
    done = f"pow({base.sql}, {exponent.sql})"
    bad = (
        f"(({base.sql} = 0 AND {exponent.sql} < 0) OR ({base.sql} < 0 AND isfinite({base.sql}) AND {exponent.sql} <> trunc({exponent.sql})) "
        f"OR (isinf({done}) AND isfinite({base.sql}) AND isfinite({exponent.sql})))"
    )
    said = f"'Floating point error in function: POW(' || {base.sql} || ', ' || {exponent.sql} || ')'"
    text = call.c.guard(bad, said, done)
    if kind is not None and kind.kind in ("NUMERIC", "BIGNUMERIC"):
        return Value(f"CAST(CAST({text} AS VARCHAR) AS {kind.sql})", kind)
    return Value(text, FLOAT64)


@rule("GREATEST", "LEAST")
def extremes(call: Call) -> Value:
    if not call.nodes:
        call.refuse()
    values, kind = agree(call.c, call.args, f"function {call.name}", call.place)
    if kind.kind in ("STRUCT", "JSON") or kind.element is not None:
        call.refuse()
    listed = ", ".join(value.sql for value in values)
    nulls = " OR ".join(
        f"{value.sql} IS NULL" for value in values if not value.literal or value.constant is None
    )
    text = f"{call.name.lower()}({listed})"
    if kind.kind == "FLOAT64":
        odd = " OR ".join(f"isnan({value.sql})" for value in values)
        text = f"CASE WHEN {odd} THEN CAST('nan' AS DOUBLE) ELSE {text} END"
    return Value(f"CASE WHEN {nulls} THEN NULL ELSE {text} END" if nulls else text, kind)


@rule("RANGE_BUCKET")
def range_bucket(call: Call) -> Value:
    call.count(2)
    point, bounds = call.args
    if bounds.kind.element is None:
        raise call.refuse("RANGE_BUCKET(T, ARRAY<T>)")
    kind = common(call.c, [point, Value("x", bounds.kind.element, literal=bounds.literal)])
    one = coerce(call.c, point, kind) if kind else None
    rows = coerce(call.c, bounds, array(kind)) if kind else None
    if kind is None or one is None or rows is None:
        raise call.refuse("RANGE_BUCKET(T, ARRAY<T>)")
    return Value(
        f"CASE WHEN {one.sql} IS NULL OR {rows.sql} IS NULL THEN NULL ELSE "
        f"len(list_filter({rows.sql}, lambda bound: bound <= {one.sql})) END",
        INT64,
    )


@rule("PARSE_NUMERIC", "PARSE_BIGNUMERIC")
def parse_numeric(call: Call) -> Value:
    call.count(1)
    value = call.take(0, STRING)
    kind = NUMERIC if call.name == "PARSE_NUMERIC" else BIGNUMERIC
    bare = Value(
        f"regexp_replace(regexp_replace({value.sql}, '[\\s,]', '', 'g'), '^([0-9.]+)([+-])$', '\\2\\1')",
        STRING,
    )
    return Value(cast(call.c, bare, kind), kind)
