"""Calls: to our rules, to a user's own functions, over windows, and SAFE ones."""

from __future__ import annotations

from typing import Any

from mlengine.tables.sql import constructors, expressions, operators, rules  # noqa: F401  (each registers itself)
from mlengine.tables.sql.calls import Call, find
from mlengine.tables.sql.casts import coerce
from mlengine.tables.sql.compiler import Compiler, Function, node
from mlengine.tables.sql.problems import InvalidQuery, Unsupported
from mlengine.tables.sql.values import Scope, Value, renamed


@node("Anonymous")
def anonymous(c: Compiler, tree: Any, scope: Scope) -> Value:
    return call(c, tree.name, tree, scope)


@node("CurrentDate", "CurrentTime", "CurrentTimestamp", "CurrentDatetime", "CurrentUser")
def no_brackets(c: Compiler, tree: Any, scope: Scope) -> Value:
    name = {
        "CurrentDate": "CURRENT_DATE",
        "CurrentTime": "CURRENT_TIME",
        "CurrentTimestamp": "CURRENT_TIMESTAMP",
        "CurrentDatetime": "CURRENT_DATETIME",
        "CurrentUser": "CURRENT_USER",
    }[type(tree).__name__]
    entry = find(name, c.place(tree))
    return entry.rule(Call(c, scope, name, c.place(tree), []))


@node("SafeFunc")
def safe(c: Compiler, tree: Any, scope: Scope) -> Value:
    c.safe += 1
    try:
        value = c.value(tree.this, scope)
        return renamed(value, c.attempt(value.sql))
    finally:
        c.safe -= 1


@node("NetFunc")
def net(c: Compiler, tree: Any, scope: Scope) -> Value:
    return call(c, f"NET.{tree.this.name}", tree.this, scope)


def dotted(c: Compiler, tree: Any, scope: Scope) -> Value:
    """dataset.function(…) and name.spaced functions."""
    right = tree.expression
    inner = right.this if type(right).__name__ == "Window" else right
    raise_for = f"{tree.this.sql('bigquery')}.{inner.name}"
    entry_name = f"{tree.this.name}.{inner.name}".upper()
    if entry_name.startswith(("NET.", "SAFE.")):
        return call(c, entry_name, inner, scope)
    find_name = raise_for.replace("`", "")
    if find_name.upper().startswith(("ML.", "AI.", "HLL_COUNT.", "KEYS.", "AEAD.", "KLL_QUANTILES.", "OBJ.")):
        raise Unsupported(f"Function {find_name.upper()}", place=c.place(tree))
    raise InvalidQuery(
        f"Function not found: {find_name}",
        place=c.place(tree),
        hint="Functions kept in a dataset are not supported: use CREATE TEMP FUNCTION.",
    )


@node("Window")
def window(c: Compiler, tree: Any, scope: Scope) -> Value:
    inner = tree.this
    nulls = ""
    if type(inner).__name__ in ("IgnoreNulls", "RespectNulls"):
        nulls = type(inner).__name__[:-5].upper()
        inner = inner.this
    if type(inner).__name__ != "Anonymous":
        raise InvalidQuery("OVER needs a function before it", place=c.place(tree))
    if scope.forbids:
        raise InvalidQuery(f"Analytic function not allowed in {scope.forbids}", place=c.place(tree))
    return call(c, inner.name, inner, scope, over=window_text(c, tree, scope), nulls=nulls)


@node("IgnoreNulls", "RespectNulls")
def stray_nulls(c: Compiler, tree: Any, scope: Scope) -> Value:
    return call(c, tree.this.name, tree.this, scope, nulls=type(tree).__name__[:-5].upper())


def window_text(c: Compiler, tree: Any, scope: Scope) -> str:
    """What stands inside OVER (…)."""
    partition = order = frame = ""
    base = tree.args.get("alias")
    if base is not None:
        named = scope.windows.get(base.name.casefold())
        if named is None:
            raise InvalidQuery(f"Unrecognized window alias {base.name}", place=c.place(base))
        inherited = window_text(c, named, scope)
        if not any(tree.args.get(part) for part in ("partition_by", "order", "spec")):
            return inherited
        partition = inherited
    if keys := tree.args.get("partition_by"):
        partition = "PARTITION BY " + ", ".join(c.value(key, scope).sql for key in keys)
    if (clause := tree.args.get("order")) is not None:
        order = "ORDER BY " + ", ".join(c.order_key(item, scope) for item in clause.expressions)
    if (spec := tree.args.get("spec")) is not None:
        frame = (
            f"{spec.args['kind']} BETWEEN {_bound(c, spec, 'start', scope)} AND "
            f"{_bound(c, spec, 'end', scope) if spec.args.get('end') else 'CURRENT ROW'}"
        )
    return " ".join(part for part in (partition, order, frame) if part)


def _bound(c: Compiler, spec: Any, end: str, scope: Scope) -> str:
    what, side = spec.args.get(end), spec.args.get(f"{end}_side")
    if isinstance(what, str):
        return f"{what} {side}" if side else what
    return f"{c.value(what, scope).sql} {side}"


def call(
    c: Compiler, name: str, tree: Any, scope: Scope, *, over: str | None = None, nulls: str = ""
) -> Value:
    """A function called by its name."""
    place = c.place(tree)
    own = c.around.functions.get(name.casefold())
    if own is not None:
        return _own(c, own, tree, scope, place)
    entry = find(name, place)
    made = _stripped(Call(c, scope, name.upper(), place, [], over=over, nulls=nulls), list(tree.expressions))
    if entry.sort == "scalar":
        made.plain()
        return entry.rule(made)
    if entry.sort == "analytic":
        if over is None:
            raise InvalidQuery(
                f"Analytic function {name.upper()} cannot be called without an OVER clause", place=place
            )
        scope.analytic = True
        return entry.rule(made)
    if over is not None:
        return entry.rule(made)
    if scope.forbids:
        raise InvalidQuery(f"Aggregate function {name.upper()} not allowed in {scope.forbids}", place=place)
    before, aliases, forbids = len(scope.loose), scope.aliases, scope.forbids
    scope.aliases, scope.forbids = {}, "the argument of an aggregate function"
    try:
        value = entry.rule(made)
    finally:
        scope.aliases, scope.forbids = aliases, forbids
    del scope.loose[before:]
    scope.aggregated = True
    return value


def _stripped(made: Call, nodes: list[Any]) -> Call:
    for item in nodes:
        rest = item
        while True:
            kind = type(rest).__name__
            if kind == "Limit":
                made.limit = rest.expression
            elif kind == "Order":
                made.order = tuple(rest.expressions)
            elif kind in ("IgnoreNulls", "RespectNulls"):
                made.nulls = kind[:-5].upper()
            elif kind == "HavingMax":
                made.having = ("max" if rest.args.get("max") else "min", rest.expression)
            elif kind == "Distinct":
                made.distinct = True
                made.nodes += rest.expressions
                break
            elif kind in ("Kwarg", "PropertyEQ"):
                made.named[rest.this.name.casefold()] = rest.expression
                break
            else:
                made.nodes.append(rest)
                break
            rest = rest.this
    return made


def _own(c: Compiler, own: Function, tree: Any, scope: Scope, place: Any) -> Value:
    if len(tree.expressions) != len(own.parameters):
        raise InvalidQuery(
            f"Number of arguments does not match for function {own.name}: "
            f"{len(own.parameters)} expected, {len(tree.expressions)} given",
            place=place,
        )
    arguments = {}
    for item, (name, kind) in zip(tree.expressions, own.parameters, strict=True):
        value = c.value(item, scope)
        if kind is not None:
            made = coerce(c, value, kind)
            if made is None:
                raise InvalidQuery(
                    f"No matching signature for function {own.name} for argument types: {value.kind}",
                    place=place,
                )
            value = made
        arguments[name.casefold()] = value
    text, c.text = c.text, own.text
    c.enter_function(place)
    try:
        value = c.value(own.body, Scope(arguments=arguments))
    finally:
        c.text = text
        c.leave_function()
    if own.returns is not None:
        made = coerce(c, value, own.returns)
        if made is None:
            raise InvalidQuery(
                f"Function {own.name} returns {value.kind}, which does not coerce to {own.returns}",
                place=place,
            )
        value = made
    return Value(f"({value.sql})", value.kind)
