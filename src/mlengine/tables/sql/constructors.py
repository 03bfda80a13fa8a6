"""STRUCT, arrays, subqueries, element access, and casts as they are written."""

# ruff: noqa: E501 (SQL is easier to read in one piece)

from __future__ import annotations

from typing import Any

from mlengine.tables.sql import kinds
from mlengine.tables.sql.casts import agree, cast, coerce
from mlengine.tables.sql.compiler import Compiler, node
from mlengine.tables.sql.kinds import BOOL, INT64, JSON, Type, array
from mlengine.tables.sql.problems import InvalidQuery, Unsupported
from mlengine.tables.sql.values import (
    NOTHING,
    Scope,
    Value,
    field_of,
    structure,
    typed,
)


@node("Tuple")
def tuple_(c: Compiler, tree: Any, scope: Scope) -> Value:
    parts = tuple(
        typed(c.value(item, scope)) if type(item).__name__ != "Null" else NOTHING for item in tree.expressions
    )
    return structure(Type("STRUCT", fields=tuple(("", part.kind) for part in parts)), parts)


@node("Struct")
def struct_(c: Compiler, tree: Any, scope: Scope) -> Value:
    return make_struct(c, tree.expressions, scope)


def make_struct(c: Compiler, items: list[Any], scope: Scope) -> Value:
    """STRUCT(…), with names from AS and from columns."""
    names, parts = [], []
    for item in items:
        kind = type(item).__name__
        if kind == "PropertyEQ":
            names.append(item.this.name)
            parts.append(c.value(item.expression, scope))
            continue
        names.append(
            item.alias
            if kind == "Alias"
            else item.name
            if kind == "Column"
            else item.expression.name
            if kind == "Dot" and type(item.expression).__name__ == "Identifier"
            else ""
        )
        parts.append(c.value(item, scope))
    kind_of = Type("STRUCT", fields=tuple(zip(names, (part.kind for part in parts), strict=True)))
    return structure(kind_of, tuple(parts))


@node("Array")
def array_(c: Compiler, tree: Any, scope: Scope) -> Value:
    items = tree.expressions
    if (
        len(items) == 1
        and type(items[0]).__name__ in ("Select", "Union", "Except", "Intersect", "Subquery")
        and tree.args.get("value_constructor") is None
    ):
        return array_of_query(c, items[0], scope, tree)
    values = [c.value(item, scope) for item in items]
    if any(value.kind.element is not None for value in values):
        raise InvalidQuery(
            "Cannot construct array with element type ARRAY because nested arrays are not supported",
            place=c.place(tree),
        )
    if not values:
        return Value("CAST([] AS BIGINT[])", array(INT64), [], True, ())
    agreed, kind = agree(c, values, "an array: array elements of different types", c.place(tree))
    inner = Type("INT64") if kind.kind == "NULL" else kind
    known = [value.constant for value in agreed] if all(value.known for value in agreed) else None
    sql = "[" + ", ".join(value.sql for value in agreed) + "]"
    if kind.kind == "NULL":
        sql = f"CAST({sql} AS BIGINT[])"
    made = Value(sql, array(inner), literal=all(value.literal for value in values), parts=tuple(values))
    return made if known is None else Value(sql, made.kind, known, made.literal, made.parts)


def array_of_query(c: Compiler, tree: Any, scope: Scope, whole: Any) -> Value:
    """ARRAY(SELECT …)"""
    from mlengine.tables.sql.query import query

    found = query(c, tree.this if type(tree).__name__ == "Subquery" else tree, scope, for_array=True)
    if len(found.columns) != 1:
        raise InvalidQuery(
            "ARRAY subquery cannot have more than one column unless using SELECT AS STRUCT to build STRUCT values",
            place=c.place(whole),
        )
    kind = found.columns[0].kind
    if kind.element is not None:
        raise InvalidQuery(
            "Cannot use array subquery with column of type ARRAY because nested arrays are not supported",
            place=c.place(whole),
        )
    return Value(f"ARRAY({found.sql})", array(typed(Value("", kind)).kind))


@node("Subquery", "Select", "Union", "Intersect", "Except")
def scalar_subquery(c: Compiler, tree: Any, scope: Scope) -> Value:
    if type(tree).__name__ == "Subquery" and type(tree.this).__name__ not in (
        "Select",
        "Union",
        "Intersect",
        "Except",
        "Subquery",
    ):
        return c.value(tree.this, scope)
    found = c.query(
        tree.this if type(tree).__name__ == "Subquery" and not tree.args.get("with_") else tree, scope
    )
    if len(found.columns) != 1:
        raise InvalidQuery(
            "Scalar subquery cannot have more than one column unless using SELECT AS STRUCT to build STRUCT values",
            place=c.place(tree),
        )
    return Value(f"({found.sql})", found.columns[0].kind)


@node("Exists")
def exists(c: Compiler, tree: Any, scope: Scope) -> Value:
    inner = tree.this.this if type(tree.this).__name__ == "Subquery" else tree.this
    return Value(f"EXISTS ({c.query(inner, scope).sql})", BOOL)


@node("Bracket")
def bracket(c: Compiler, tree: Any, scope: Scope) -> Value:
    value = c.value(tree.this, scope)
    index = c.value(tree.expressions[0], scope)
    offset, safe = tree.args.get("offset"), bool(tree.args.get("safe"))
    if value.kind.kind == "JSON":
        if index.kind.kind == "STRING":
            return Value(f"json_extract({value.sql}, '$.\"' || {index.sql} || '\"')", JSON)
        return Value(f"json_extract({value.sql}, '$[' || {index.sql} || ']')", JSON)
    if value.kind.kind == "STRUCT" and index.kind.kind == "INT64":
        if not index.known:
            raise InvalidQuery(
                "Field element access is only supported for literal positions", place=c.place(tree)
            )
        position = int(index.constant) - (1 if offset == 1 else 0)
        if not 0 <= position < len(value.kind.fields):
            raise InvalidQuery("Field position out of range", place=c.place(tree))
        return field_of(value, position)
    if value.kind.element is None:
        raise InvalidQuery(
            f"Element access using [] is not supported on values of type {value.kind}", place=c.place(tree)
        )
    if index.kind.kind not in ("INT64", "NULL"):
        raise InvalidQuery(
            f"Array position in [] must be coercible to INT64 type, but has type {index.kind}",
            place=c.place(tree),
        )
    one_based = f"({index.sql} + 1)" if offset != 1 else index.sql
    done = f"list_extract({value.sql}, {one_based})"
    outside = f"({one_based} < 1 OR {one_based} > len({value.sql}))"
    if safe:
        return Value(f"CASE WHEN {outside} THEN NULL ELSE {done} END", value.kind.element)
    said = f"'Array index ' || {index.sql} || ' is out of bounds'"
    return Value(c.guard(outside, said, done), value.kind.element)


@node("Cast", "TryCast")
def cast_(c: Compiler, tree: Any, scope: Scope) -> Value:
    to = type_of(c, tree.args["to"])
    safe = type(tree).__name__ == "TryCast"
    if (shape := tree.args.get("format")) is not None:
        from mlengine.tables.sql.rules.formats import cast_with_format

        return cast_with_format(c, c.value(tree.this, scope), to, c.value(shape, scope), safe, c.place(tree))
    c.safe += safe
    try:
        value = c.value(tree.this, scope)
        inner = type(tree.this).__name__
        if inner == "Struct" and value.parts is not None and len(value.parts) == len(to.fields):
            parts = []
            for part, (_, kind) in zip(value.parts, to.fields, strict=True):
                made = coerce(c, part, kind)
                if made is None:
                    raise InvalidQuery(
                        f"Struct field has type {part.kind} which does not coerce to {kind}",
                        place=c.place(tree),
                    )
                parts.append(made)
            return structure(to, tuple(parts))
        if inner == "Array" and value.parts is not None and to.element is not None:
            made = coerce(c, value, to)
            if made is None:
                raise InvalidQuery(
                    f"Array element type {value.kind.element} does not coerce to {to.element}",
                    place=c.place(tree),
                )
            return Value(made.sql, to, value.constant, made.literal, value.parts and made.parts)
        place = c.place(tree)
        if value.literal and isinstance(value.constant, str) and not safe:
            _check_literal(value.constant, to, place)
        done = cast(c, value, to, place)
        constant = (
            value.constant
            if to.kind in ("STRING", "BYTES") and value.kind.kind == to.kind
            else Value("", to).constant
        )
        if (
            value.known
            and isinstance(value.constant, str)
            and to.kind in ("DATE", "TIMESTAMP", "DATETIME", "TIME")
        ):
            constant = value.constant
        return Value(done, to.bare, constant)
    finally:
        c.safe -= safe


@node("StrToDate", "StrToTime")
def cast_with_shape(c: Compiler, tree: Any, scope: Scope) -> Value:
    from mlengine.tables.sql.rules.formats import parsed_with

    kind = kinds.DATE if type(tree).__name__ == "StrToDate" else kinds.TIMESTAMP
    return parsed_with(c, c.value(tree.this, scope), tree.args["format"].name, kind)


def _check_literal(text: str, to: Type, place: Any) -> None:
    from datetime import date

    if to.kind == "DATE":
        pieces = text.strip().split("-")
        try:
            date(*(int(piece) for piece in pieces))
        except (ValueError, TypeError):
            if text[:10].count("-") == 2 and len(text) > 10:
                return
            raise InvalidQuery(f'Could not cast literal "{text}" to type DATE', place=place) from None


@node("ParseJSON")
def json_literal(c: Compiler, tree: Any, scope: Scope) -> Value:
    from mlengine.tables.sql.rules.json import parse_json

    return parse_json(c, c.value(tree.this, scope))


def type_of(c: Compiler, tree: Any) -> Type:
    """A type as it is written."""
    kind = tree.this.name if hasattr(tree.this, "name") else str(tree.this)
    inner = tree.expressions
    if kind == "ARRAY":
        if not inner:
            raise InvalidQuery("ARRAY needs an element type: ARRAY<…>", place=c.place(tree))
        element = type_of(c, inner[0])
        if element.element is not None:
            raise InvalidQuery("Arrays of arrays are not supported", place=c.place(tree))
        return array(element)
    if kind == "STRUCT":
        fields = []
        for part in inner:
            if type(part).__name__ == "ColumnDef":
                fields.append((part.name, type_of(c, part.args["kind"])))
            else:
                fields.append(("", type_of(c, part)))
        return Type("STRUCT", fields=tuple(fields))
    limits = tuple(int(part.this.name) for part in inner if type(part).__name__ == "DataTypeParam")
    found = _TYPES.get(kind)
    if found is None:
        found = kinds.NAMED.get(kind.upper())
    if kind == "USERDEFINED":
        found = kinds.NAMED.get(str(tree.args.get("kind") or "").upper())
    if found is None:
        raise Unsupported(f"Type {str(tree.args.get('kind') or kind).upper()}", place=c.place(tree))
    return Type(found.kind, limits=limits) if limits else found


_TYPES = {
    "BIGINT": kinds.INT64,
    "INT": kinds.INT64,
    "SMALLINT": kinds.INT64,
    "TINYINT": kinds.INT64,
    "DOUBLE": kinds.FLOAT64,
    "FLOAT": kinds.FLOAT64,
    "DECIMAL": kinds.NUMERIC,
    "BIGDECIMAL": kinds.BIGNUMERIC,
    "BOOLEAN": kinds.BOOL,
    "TEXT": kinds.STRING,
    "VARCHAR": kinds.STRING,
    "BINARY": kinds.BYTES,
    "VARBINARY": kinds.BYTES,
    "DATE": kinds.DATE,
    "TIME": kinds.TIME,
    "TIMESTAMP": kinds.DATETIME,
    "DATETIME": kinds.DATETIME,
    "TIMESTAMPTZ": kinds.TIMESTAMP,
    "JSON": kinds.JSON,
    "INTERVAL": kinds.INTERVAL,
}
