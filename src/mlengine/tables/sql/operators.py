"""Operators: arithmetic, comparisons, conditions, bits."""

# ruff: noqa: E501 (SQL is easier to read in one piece)

from __future__ import annotations

from decimal import Decimal
from typing import Any

from mlengine.tables.sql.casts import agree, cast, coerce, common
from mlengine.tables.sql.compiler import Compiler, node
from mlengine.tables.sql.kinds import BOOL, FLOAT64, INT64, STRING, array
from mlengine.tables.sql.problems import InvalidQuery, Unsupported
from mlengine.tables.sql.values import (
    Scope,
    Value,
    number,
    real,
    typed,
)


def _operands(c: Compiler, tree: Any, scope: Scope) -> tuple[Value, Value]:
    return c.value(tree.this, scope), c.value(tree.expression, scope)


def _wrong(c: Compiler, sign: str, values: tuple[Value, ...], tree: Any) -> InvalidQuery:
    told = ", ".join(str(value.kind) for value in values)
    return InvalidQuery(
        f"No matching signature for operator {sign} for argument types: {told}", place=c.place(tree)
    )


_SIGNS = {"Add": "+", "Sub": "-", "Mul": "*"}


@node("Add", "Sub", "Mul")
def arithmetic(c: Compiler, tree: Any, scope: Scope) -> Value:
    left, right = _operands(c, tree, scope)
    return arithmetic_of(c, _SIGNS[type(tree).__name__], left, right, tree)


def arithmetic_of(c: Compiler, sign: str, left: Value, right: Value, tree: Any) -> Value:
    """left + right, left - right, left * right"""
    if left.kind.numeric and right.kind.numeric:
        kind = common(c, [left, right])
        if kind is None:
            raise _wrong(c, sign, (left, right), tree)
        kind = INT64 if kind.kind == "NULL" else kind
        one, other = coerce(c, left, kind) or left, coerce(c, right, kind) or right
        if kind.kind == "FLOAT64":
            done = f"({one.sql} {sign} {other.sql})"
            bad = f"isinf({done}) AND isfinite({one.sql}) AND isfinite({other.sql})"
            if sign == "*" and not (left.literal or right.literal):
                said = f"'Floating point error in function: ' || {one.sql} || ' {sign} ' || {other.sql}"
                return Value(c.guard(bad, said, done), kind)
            return Value(done, kind)
        if kind.kind == "NUMERIC" and sign == "*":
            return Value(f"bq_numeric_multiply({one.sql}, {other.sql})", kind)
        if kind.kind == "BIGNUMERIC" and sign == "*":
            return Value(f"bq_exact_big('*', {one.sql}, {other.sql})", kind)
        return Value(c.attempt(f"({one.sql} {sign} {other.sql})"), kind)
    from mlengine.tables.sql.rules.intervals import interval_arithmetic

    found = interval_arithmetic(sign, left, right)
    if found is None:
        raise _wrong(c, sign, (left, right), tree)
    return found


@node("Div")
def division(c: Compiler, tree: Any, scope: Scope) -> Value:
    left, right = _operands(c, tree, scope)
    return divide(c, left, right, tree)


def divide(c: Compiler, left: Value, right: Value, tree: Any) -> Value:
    """left / right: FLOAT64 for whole numbers, exact for NUMERIC."""
    if left.kind.kind == "INTERVAL" and right.kind.kind == "INT64":
        from mlengine.tables.sql.rules.intervals import divided

        return divided(left, right)
    if not left.kind.numeric or not right.kind.numeric:
        raise _wrong(c, "/", (left, right), tree)
    kind = common(c, [left, right]) or FLOAT64
    kind = FLOAT64 if kind.kind in ("INT64", "NULL") else kind
    one, other = coerce(c, left, kind) or left, coerce(c, right, kind) or right
    said = f"'division by zero: ' || {_shown(c, left)} || ' / ' || {_shown(c, right)}"
    if kind.kind == "FLOAT64":
        done = f"({one.sql} / {other.sql})"
    elif kind.kind == "NUMERIC":
        done = f"bq_exact('/', {one.sql}, {other.sql})"
    else:
        done = f"bq_exact_big('/', {one.sql}, {other.sql})"
    if right.known and isinstance(right.constant, int | Decimal) and right.constant != 0:
        return Value(done, kind)
    return Value(c.guard(f"{other.sql} = 0", said, done), kind)


def _shown(c: Compiler, value: Value) -> str:
    return cast(c, typed(value), STRING)


@node("Neg")
def negation(c: Compiler, tree: Any, scope: Scope) -> Value:
    inner = tree.this
    if type(inner).__name__ == "Literal" and not inner.is_string:
        text = f"-{inner.this}"
        if inner.this.isdigit():
            if int(text) < -9223372036854775808:
                raise InvalidQuery(f"Invalid integer literal: {text}", place=c.place(tree))
            return number(int(text))
        return real(text)
    value = c.value(inner, scope)
    if value.kind.kind == "INTERVAL":
        return Value(f"(-{value.sql})", value.kind)
    if not value.kind.numeric:
        raise _wrong(c, "-", (value,), tree)
    if value.kind.kind == "INT64":
        return Value(f"(0::BIGINT - {value.sql})", value.kind)
    return Value(f"(-{value.sql})", value.kind)


@node("And", "Or")
def logic(c: Compiler, tree: Any, scope: Scope) -> Value:
    sign = type(tree).__name__.upper()
    parts, rest = [], tree
    while type(rest) is type(tree):
        parts.append(rest.expression)
        rest = rest.this
    parts.append(rest)
    texts = [condition(c, part, scope, sign) for part in reversed(parts)]
    return Value("(" + f" {sign} ".join(texts) + ")", BOOL)


def condition(c: Compiler, tree: Any, scope: Scope, where: str) -> str:
    """An expression that has to be BOOL."""
    value = c.value(tree, scope)
    if value.kind.kind not in ("BOOL", "NULL"):
        if where in ("AND", "OR", "NOT"):
            raise InvalidQuery(
                f"No matching signature for operator {where} for argument types: {value.kind}",
                place=c.place(tree),
            )
        raise InvalidQuery(f"{where} should return type BOOL, but returns {value.kind}", place=c.place(tree))
    return value.sql if value.kind.kind == "BOOL" else "CAST(NULL AS BOOLEAN)"


@node("Not")
def negated(c: Compiler, tree: Any, scope: Scope) -> Value:
    return Value(f"(NOT {condition(c, tree.this, scope, 'NOT')})", BOOL)


_COMPARISONS = {
    "EQ": "=",
    "NEQ": "<>",
    "LT": "<",
    "LTE": "<=",
    "GT": ">",
    "GTE": ">=",
    "NullSafeEQ": "IS NOT DISTINCT FROM",
    "NullSafeNEQ": "IS DISTINCT FROM",
}


@node(*_COMPARISONS)
def comparison(c: Compiler, tree: Any, scope: Scope) -> Value:
    left, right = _operands(c, tree, scope)
    return compare(c, _COMPARISONS[type(tree).__name__], left, right, tree)


def compare(c: Compiler, sign: str, left: Value, right: Value, tree: Any) -> Value:
    """left = right and the like. NaN equals nothing and is below and above nothing."""
    kind = common(c, [left, right])
    shown = {"<>": "!=", "IS NOT DISTINCT FROM": "IS NOT DISTINCT FROM"}.get(sign, sign)
    if (
        kind is None
        or kind.kind == "JSON"
        or (kind.kind in ("STRUCT", "ARRAY") and sign in ("<", "<=", ">", ">="))
    ):
        raise _wrong(c, shown, (left, right), tree)
    if kind.kind == "ARRAY":
        raise InvalidQuery(f"Equality is not defined for arguments of type {kind}", place=c.place(tree))
    one, other = (coerce(c, value, kind) or value for value in (left, right))
    text = f"({one.sql} {sign} {other.sql})"
    if kind.kind == "FLOAT64" and "DISTINCT" not in sign:
        suspects = {
            "=": (one,),
            "<>": (one, other),
            ">": (one,),
            ">=": (one,),
            "<": (other,),
            "<=": (other,),
        }[sign]
        doubtful = [v for v in suspects if not v.literal and not _whole(v)]
        if sign == "<>":
            doubtful = doubtful[:1]
        for value in doubtful:
            text = (
                f"({text} OR isnan({value.sql}))" if sign == "<>" else f"({text} AND NOT isnan({value.sql}))"
            )
    return Value(text, BOOL)


def _whole(value: Value) -> bool:
    return value.sql.startswith("CAST(") and value.sql.endswith("::BIGINT AS DOUBLE)")


@node("Is")
def is_(c: Compiler, tree: Any, scope: Scope) -> Value:
    value = c.value(tree.this, scope)
    right = type(tree.expression).__name__
    if right == "Null":
        return Value(f"({value.sql} IS NULL)", BOOL)
    if right == "Boolean":
        if value.kind.kind not in ("BOOL", "NULL"):
            raise _wrong(c, "IS", (value,), tree)
        return Value(
            f"({value.sql} IS NOT DISTINCT FROM {'true' if tree.expression.this else 'false'})", BOOL
        )
    raise Unsupported(f"IS {right.upper()}", place=c.place(tree))


@node("Between")
def between(c: Compiler, tree: Any, scope: Scope) -> Value:
    value, low, high = (c.value(tree.args[part], scope) for part in ("this", "low", "high"))
    (value, low, high), _ = agree(c, (value, low, high), "operator BETWEEN", c.place(tree))
    return Value(
        f"({compare(c, '>=', value, low, tree).sql} AND {compare(c, '<=', value, high, tree).sql})", BOOL
    )


@node("In")
def in_(c: Compiler, tree: Any, scope: Scope) -> Value:
    value = c.value(tree.this, scope)
    if (sub := tree.args.get("query")) is not None:
        found = c.query(sub.this if type(sub).__name__ == "Subquery" else sub, scope)
        if len(found.columns) != 1:
            raise InvalidQuery("Subquery of type IN must have only one output column", place=c.place(tree))
        inner = found.columns[0].kind
        kind = common(c, [value, Value("x", inner)])
        if kind is None:
            raise InvalidQuery(
                f"No matching signature for operator IN for argument types: {value.kind}, {inner}",
                place=c.place(tree),
            )
        left = coerce(c, value, kind) or value
        right = coerce(c, Value('"q"."c"', inner), kind)
        if right is None or right.sql == '"q"."c"':
            return Value(f"({left.sql} IN ({found.sql}))", BOOL)
        return Value(f'({left.sql} IN (SELECT {right.sql} FROM ({found.sql}) AS "q"("c")))', BOOL)
    if (unnest := tree.args.get("unnest")) is not None:
        items = c.value(unnest.expressions[0], scope)
        return member_of(c, value, items, tree)
    if tree.args.get("field") is not None:
        raise InvalidQuery("Syntax error: Expected ( or keyword UNNEST after IN", place=c.place(tree))
    options = [c.value(item, scope) for item in tree.expressions]
    if value.kind.kind == "STRUCT":
        tests = [compare(c, "=", value, option, tree).sql for option in options]
        return Value("(" + " OR ".join(tests) + ")", BOOL)
    (first, *rest), kind = agree(c, (value, *options), "operator IN", c.place(tree))
    text = f"({first.sql} IN ({', '.join(option.sql for option in rest)}))"
    return Value(f"({text} AND NOT isnan({first.sql}))" if kind.kind == "FLOAT64" else text, BOOL)


def member_of(c: Compiler, value: Value, items: Value, tree: Any) -> Value:
    """value IN UNNEST(items)"""
    if items.kind.element is None:
        raise InvalidQuery(
            f"Values referenced in UNNEST must be arrays. UNNEST contains expression of type {items.kind}",
            place=c.place(tree),
        )
    kind = common(c, [value, Value("x", items.kind.element)]) if not items.literal else items.kind.element
    one = coerce(c, value, kind) if kind else None
    rows = coerce(c, items, array(kind)) if kind else None
    if one is None or rows is None:
        raise InvalidQuery(
            f"No matching signature for operator IN UNNEST for argument types: {value.kind}, {items.kind}",
            place=c.place(tree),
        )
    return Value(
        f"CASE WHEN len({rows.sql}) IS NULL OR len({rows.sql}) = 0 THEN false ELSE ({one.sql} = ANY({rows.sql})) END",
        BOOL,
    )


@node("Like")
def like(c: Compiler, tree: Any, scope: Scope) -> Value:
    value, right = c.value(tree.this, scope), tree.expression
    quantifier = type(right).__name__
    if quantifier in ("Any", "All"):
        inner = right.this
        items = (
            inner.expressions
            if type(inner).__name__ in ("Tuple", "Array")
            else [inner.this if type(inner).__name__ == "Paren" else inner]
        )
        tests = [_like(c, value, c.value(item, scope), tree) for item in items]
        return Value("(" + (" OR " if quantifier == "Any" else " AND ").join(tests) + ")", BOOL)
    return Value(_like(c, value, c.value(right, scope), tree), BOOL)


def _like(c: Compiler, value: Value, pattern: Value, tree: Any) -> str:
    if {value.kind.kind, pattern.kind.kind} - {"STRING", "NULL"}:
        raise _wrong(c, "LIKE", (value, pattern), tree)
    if pattern.known and isinstance(pattern.constant, str) and "\\" not in pattern.constant:
        return f"({value.sql} LIKE {pattern.sql})"
    return f"({value.sql} LIKE {pattern.sql} ESCAPE '\\')"


@node("DPipe")
def concatenation(c: Compiler, tree: Any, scope: Scope) -> Value:
    left, right = _operands(c, tree, scope)
    if left.kind.kind == "NULL" and right.kind.kind == "NULL":
        return Value("CAST(NULL AS VARCHAR)", STRING)
    kind = common(c, [left, right])
    if kind is None or (kind.kind not in ("STRING", "BYTES") and kind.element is None):
        raise _wrong(c, "||", (left, right), tree)
    one, other = coerce(c, left, kind) or left, coerce(c, right, kind) or right
    if kind.element is not None:
        return Value(
            f"CASE WHEN {one.sql} IS NULL OR {other.sql} IS NULL THEN NULL ELSE list_concat({one.sql}, {other.sql}) END",
            kind,
        )
    return Value(f"({one.sql} || {other.sql})", kind)


_BITS = {"BitwiseAnd": "&", "BitwiseOr": "|", "BitwiseXor": "^"}


@node(*_BITS)
def bits(c: Compiler, tree: Any, scope: Scope) -> Value:
    left, right = _operands(c, tree, scope)
    sign = _BITS[type(tree).__name__]
    for value in (left, right):
        if value.kind.kind not in ("INT64", "NULL"):
            raise _wrong(c, sign, (left, right), tree)
    return Value(
        f"xor({left.sql}, {right.sql})" if sign == "^" else f"({left.sql} {sign} {right.sql})", INT64
    )


@node("BitwiseNot")
def bit_not(c: Compiler, tree: Any, scope: Scope) -> Value:
    value = c.value(tree.this, scope)
    if value.kind.kind != "INT64":
        raise _wrong(c, "~", (value,), tree)
    return Value(f"(~{value.sql})", INT64)


@node("BitwiseLeftShift", "BitwiseRightShift")
def shift(c: Compiler, tree: Any, scope: Scope) -> Value:
    left, right = _operands(c, tree, scope)
    if left.kind.kind != "INT64" or right.kind.kind != "INT64":
        raise _wrong(c, "<<" if "Left" in type(tree).__name__ else ">>", (left, right), tree)
    pattern = f"CAST(CASE WHEN {left.sql} < 0 THEN {left.sql}::HUGEINT + 18446744073709551616 ELSE {left.sql}::HUGEINT END AS HUGEINT)"
    factor = f"CAST(pow(2, {right.sql}) AS HUGEINT)"
    if "Left" in type(tree).__name__:
        # The bits that stay are taken off before they move, so that nothing overflows.
        kept = f"({pattern} % CAST(pow(2, 64 - {right.sql}) AS HUGEINT)) * {factor}"
    else:
        kept = f"({pattern} // {factor})"
    signed = f"CAST(CASE WHEN {kept} >= 9223372036854775808 THEN {kept} - 18446744073709551616 ELSE {kept} END AS BIGINT)"
    text = (
        f"CASE WHEN {right.sql} >= 64 THEN 0::BIGINT WHEN {right.sql} = 0 THEN {left.sql} ELSE {signed} END"
    )
    return Value(c.guard(f"{right.sql} < 0", "'Bitwise shift by negative offset.'", text), INT64)


@node("Case")
def case(c: Compiler, tree: Any, scope: Scope) -> Value:
    subject = c.value(tree.this, scope) if tree.this is not None else None
    tests, results = [], []
    for branch in tree.args["ifs"]:
        if subject is None:
            tests.append(condition(c, branch.this, scope, "CASE WHEN"))
        else:
            tests.append(compare(c, "=", subject, c.value(branch.this, scope), branch).sql)
        results.append(c.value(branch.args["true"], scope))
    if tree.args.get("default") is not None:
        results.append(c.value(tree.args["default"], scope))
    results, kind = agree(c, results, "operator CASE", c.place(tree))
    texts = [f"WHEN {test} THEN {result.sql}" for test, result in zip(tests, results, strict=False)]
    otherwise = f" ELSE {results[-1].sql}" if len(results) > len(tests) else ""
    return Value(f"CASE {' '.join(texts)}{otherwise} END", kind)
