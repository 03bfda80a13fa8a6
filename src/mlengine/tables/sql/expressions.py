"""Literals, names and what stands behind a dot."""

# ruff: noqa: ARG001 (all who turn trees take the same three things)

from __future__ import annotations

from typing import Any

from mlengine.tables.sql.compiler import Compiler, node
from mlengine.tables.sql.kinds import JSON
from mlengine.tables.sql.problems import InvalidQuery, Place, Unsupported
from mlengine.tables.sql.values import (
    NOTHING,
    Scope,
    Value,
    field_of,
    number,
    octets,
    real,
    string,
    truth,
)
from mlengine.tables.types import literal as text_literal


@node("Literal")
def literal(c: Compiler, tree: Any, scope: Scope) -> Value:
    if tree.is_string:
        return string(tree.this)
    text = tree.this
    if text.isdigit():
        if int(text) > 9223372036854775807:
            raise InvalidQuery(
                f"Invalid integer literal: {text}", place=c.place(tree) or c.place(tree.parent)
            )
        return number(int(text))
    return real(text)


@node("RawString")
def raw_string(c: Compiler, tree: Any, scope: Scope) -> Value:
    return string(tree.this)


@node("ByteString")
def byte_string(c: Compiler, tree: Any, scope: Scope) -> Value:
    return octets(
        tree.this.encode("latin-1", "surrogateescape") if _narrow(tree.this) else tree.this.encode()
    )


def _narrow(text: str) -> bool:
    return all(ord(sign) < 256 for sign in text)


@node("HexString")
def hex_string(c: Compiler, tree: Any, scope: Scope) -> Value:
    return number(int(tree.this, 16))


@node("Boolean")
def boolean(c: Compiler, tree: Any, scope: Scope) -> Value:
    return truth(bool(tree.this))


@node("Null")
def null(c: Compiler, tree: Any, scope: Scope) -> Value:
    return NOTHING


@node("Paren")
def paren(c: Compiler, tree: Any, scope: Scope) -> Value:
    return c.value(tree.this, scope)


@node("Alias")
def alias(c: Compiler, tree: Any, scope: Scope) -> Value:
    return c.value(tree.this, scope)


@node("Parameter")
def parameter(c: Compiler, tree: Any, scope: Scope) -> Value:
    inner = tree.this
    if type(inner).__name__ == "Parameter":
        return system_variable(c, inner.name, c.place(tree))
    if type(inner).__name__ == "SessionParameter":
        return system_variable(c, inner.name, c.place(tree))
    name = inner.name.casefold()
    if name not in c.around.named:
        raise InvalidQuery(f"Query parameter '{inner.name}' not found", place=_before(c.place(tree), 1))
    return c.around.named[name]


@node("SessionParameter")
def session_parameter(c: Compiler, tree: Any, scope: Scope) -> Value:
    return system_variable(c, tree.name, c.place(tree))


def system_variable(c: Compiler, name: str, place: Any) -> Value:
    found = c.around.system.get(name.casefold())
    if found is None:
        raise Unsupported(f"System variable @@{name}", place=_before(place, 2))
    return found


def _before(place: Place | None, signs: int) -> Place | None:
    # SQLGlot keeps the place of the name; BigQuery tells that of the @ before it.
    return (place[0], max(place[1] - signs, 1)) if place else None


@node("Placeholder")
def placeholder(c: Compiler, tree: Any, scope: Scope) -> Value:
    if tree.this:
        raise InvalidQuery(f"Syntax error: Unexpected :{tree.this}", place=c.place(tree))
    return c.placeholder(c.place(tree))


@node("Identifier", "Var")
def identifier(c: Compiler, tree: Any, scope: Scope) -> Value:
    return path(c, [tree], scope)


@node("Column")
def column(c: Compiler, tree: Any, scope: Scope) -> Value:
    return path(c, list(tree.parts), scope)


@node("Dot")
def dot(c: Compiler, tree: Any, scope: Scope) -> Value:
    left, right = tree.this, tree.expression
    if type(left).__name__ == "Parameter" and type(left.this).__name__ == "Parameter":
        return system_variable(c, f"{left.this.name}.{right.name}", c.place(tree))
    if type(right).__name__ in ("Anonymous", "Window"):
        from mlengine.tables.sql.functions import dotted

        return dotted(c, tree, scope)
    parts = _parts(tree)
    if parts is not None:
        return path(c, parts, scope)
    return member(c, c.value(left, scope), right)


def _parts(tree: Any) -> list[Any] | None:
    kind = type(tree).__name__
    if kind == "Dot":
        left = _parts(tree.this)
        return (
            None
            if left is None or type(tree.expression).__name__ != "Identifier"
            else [*left, tree.expression]
        )
    if kind == "Column":
        return list(tree.parts)
    return [tree] if kind == "Identifier" else None


def member(c: Compiler, value: Value, name: Any) -> Value:
    """value.name"""
    text = name.name
    if value.kind.kind == "JSON":
        return Value(f"json_extract({value.sql}, {text_literal('$.' + _json_key(text))})", JSON)
    if value.kind.kind != "STRUCT":
        raise InvalidQuery(
            f"Cannot access field {text} on a value with type {value.kind}", place=c.place(name)
        )
    found = [at for at, (field, _) in enumerate(value.kind.fields) if field.casefold() == text.casefold()]
    if not found:
        raise InvalidQuery(f"Field name {text} does not exist in {value.kind}", place=c.place(name))
    if len(found) > 1:
        raise InvalidQuery(f"Field name {text} is ambiguous in {value.kind}", place=c.place(name))
    return field_of(value, found[0])


def _json_key(name: str) -> str:
    return '"' + name.replace('"', '\\"') + '"'


def path(c: Compiler, parts: list[Any], scope: Scope) -> Value:
    """A name of any number of parts: relation, column, field, field …"""
    first = parts[0].name
    inner: Scope | None = scope
    while inner is not None:
        found = _lookup(c, parts, inner)
        if found is not None:
            value, used = found
            for part in parts[used:]:
                value = member(c, value, part)
            from_list = len(parts) == 1 and first.casefold() in inner.aliases
            if inner is scope and not value.literal and not from_list:
                scope.loose.append((value.sql, ".".join(part.name for part in parts), c.place(parts[0])))
            return value
        inner = inner.parent
    if len(parts) == 1 and first.casefold() in c.around.variables:
        return c.around.variables[first.casefold()]
    if first.casefold() in c.around.variables:
        value = c.around.variables[first.casefold()]
        for part in parts[1:]:
            value = member(c, value, part)
        return value
    raise InvalidQuery(_unknown(first, scope), place=c.place(parts[0]))


def _unknown(name: str, scope: Scope) -> str:
    from mlengine.errors import nearest

    known = [column.name for relation in scope.relations for column in relation.columns]
    known += [relation.name for relation in scope.relations if relation.name]
    hint = nearest(name, tuple(known)).replace("'", "").rstrip()
    return f"Unrecognized name: {name}" + (f"; {hint}" if hint else "")


def _lookup(c: Compiler, parts: list[Any], scope: Scope) -> tuple[Value, int] | None:
    name = parts[0].name
    folded = name.casefold()
    if folded in scope.arguments:
        return scope.arguments[folded], 1
    if len(parts) == 1 and folded in scope.aliases:
        return scope.aliases[folded](), 1
    if folded in scope.merged:
        return scope.merged[folded], 1
    columns = [value for relation in scope.relations for value in relation.find(name)]
    whole = [relation for relation in scope.relations if relation.name.casefold() == folded and relation.name]
    if whole:
        relation = whole[0]
        if len(parts) == 1:
            if columns and relation.whole is None:
                return columns[0], 1
            return relation.row(), 1
        found = relation.find(parts[1].name)
        if found:
            if len(found) > 1:
                raise InvalidQuery(
                    f"Column name {parts[1].name} is ambiguous", place=c.place(parts[1]) or c.place(parts[0])
                )
            return found[0], 2
        if relation.whole is not None:
            return relation.whole, 1
        if not columns:
            raise InvalidQuery(f"Name {parts[1].name} not found inside {name}", place=c.place(parts[1]))
    if len(columns) > 1:
        raise InvalidQuery(f"Column name {name} is ambiguous", place=c.place(parts[0]))
    if columns:
        return columns[0], 1
    if folded in scope.aliases:
        return scope.aliases[folded](), 1
    return None
