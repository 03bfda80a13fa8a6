"""The items of a select list: expressions with names, stars, EXCEPT and REPLACE."""

# ruff: noqa: E501 (the words of an error are easier to find in one piece)

from __future__ import annotations

from typing import Any

from mlengine.tables.sql.compiler import Compiler
from mlengine.tables.sql.problems import InvalidQuery, Unsupported
from mlengine.tables.sql.values import Scope, Value, field_of


def output(c: Compiler, item: Any, scope: Scope) -> list[tuple[str, Value]]:
    """The columns, with their names, that one item of a select list gives: one, or all that a star stands for."""
    kind = type(item).__name__
    if kind == "Star":
        if not scope.relations:
            raise InvalidQuery("SELECT * must have a FROM clause", place=c.place(item))
        return _starred(c, item, _all_columns(scope), scope)
    if kind == "Column" and type(item.this).__name__ == "Star":
        parts = [part for part in item.parts if type(part).__name__ != "Star"]
        return _starred(c, item.this, _columns_of(c, parts, scope, item), scope)
    if kind == "Dot" and type(item.expression).__name__ == "Star":
        return _starred(c, item.expression, _fields(c, c.value(item.this, scope), item), scope)
    if kind == "Alias":
        return [(item.alias, c.value(item.this, scope))]
    name = ""
    if kind == "Column":
        name = item.name
    elif kind == "Dot" and type(item.expression).__name__ == "Identifier":
        name = item.expression.name
    elif kind == "Identifier":
        name = item.name
    return [(name, c.value(item, scope))]


def _all_columns(scope: Scope) -> list[tuple[str, Value]]:
    merged = [(name, value) for name, value in scope.merged_order]
    taken = {name.casefold() for name, _ in merged}
    rest = []
    for relation in scope.relations:
        shown = [(column.name, column.value) for column in relation.columns if not column.hidden]
        rest += [(name, value) for name, value in shown if name.casefold() not in taken]
    for name, value in merged + rest:
        scope.loose.append((value.sql, name, None)) if value.sql not in scope.grouped else None
    return merged + rest


def _columns_of(c: Compiler, parts: list[Any], scope: Scope, item: Any) -> list[tuple[str, Value]]:
    from mlengine.tables.sql.expressions import path

    if len(parts) == 1:
        inner: Scope | None = scope
        while inner is not None:
            for relation in inner.relations:
                if relation.name.casefold() == parts[0].name.casefold() and relation.name:
                    shown = [column for column in relation.columns if not column.hidden]
                    if relation.whole is None or shown:
                        for column in shown:
                            if column.value.sql not in scope.grouped:
                                scope.loose.append((column.value.sql, column.name, None))
                        return [(column.name, column.value) for column in shown]
            inner = inner.parent
    return _fields(c, path(c, parts, scope), item)


def _fields(c: Compiler, value: Value, item: Any) -> list[tuple[str, Value]]:
    if value.kind.kind != "STRUCT":
        raise InvalidQuery(f"Dot-star is not supported for type {value.kind}", place=c.place(item))
    return [(name, field_of(value, at)) for at, (name, _) in enumerate(value.kind.fields)]


def _starred(
    c: Compiler, star: Any, columns: list[tuple[str, Value]], scope: Scope
) -> list[tuple[str, Value]]:
    without = {part.name.casefold(): part for part in star.args.get("except_") or []}
    instead = {part.alias.casefold(): part for part in star.args.get("replace") or []}
    have = {name.casefold() for name, _ in columns}
    for clause, named in (("EXCEPT", without), ("REPLACE", instead)):
        for name, part in named.items():
            if name not in have:
                raise InvalidQuery(
                    f"Column {part.alias_or_name} in SELECT * {clause} list does not exist",
                    place=c.place(part),
                )
    if star.args.get("rename"):
        raise Unsupported("SELECT * RENAME", place=c.place(star))
    kept = [
        (name, c.value(instead[name.casefold()].this, scope) if name.casefold() in instead else value)
        for name, value in columns
        if name.casefold() not in without
    ]
    if not kept:
        raise InvalidQuery("SELECT * expands to zero columns after applying EXCEPT", place=c.place(star))
    return kept
