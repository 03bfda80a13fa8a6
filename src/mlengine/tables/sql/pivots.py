"""PIVOT and UNPIVOT: rows to columns and back."""

# ruff: noqa: E501 (SQL is easier to read in one piece)

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mlengine.tables.sql.casts import agree
from mlengine.tables.sql.compiler import Compiler
from mlengine.tables.sql.kinds import STRING
from mlengine.tables.sql.operators import compare
from mlengine.tables.sql.problems import InvalidQuery, Unsupported
from mlengine.tables.sql.values import Column, Relation, Scope, Value
from mlengine.tables.types import literal as text_literal
from mlengine.tables.types import quoted

Source = tuple[str, Relation]


def pivoted(c: Compiler, tree: Any, found: Source, scope: Scope) -> Source:
    """`found` after PIVOT(…) or UNPIVOT(…)."""
    if len(tree.args.get("fields") or []) != 1:
        raise Unsupported("PIVOT over several FOR clauses", place=c.place(tree))
    made = _unpivot(c, tree, found) if tree.args.get("unpivot") else _pivot(c, tree, found, scope)
    alias = tree.args.get("alias")
    name = alias.this.name if alias is not None and alias.this is not None else ""
    return made[0], replace(made[1], name=name or found[1].name)


def _pivot(c: Compiler, tree: Any, found: Source, scope: Scope) -> Source:
    text, relation = found
    inner = Scope(parent=scope.parent, relations=[relation])
    field = tree.args["fields"][0]
    subject = c.value(field.this, inner)
    inner.loose.clear()
    pieces: list[tuple[str, Value]] = []
    used = {subject.sql}
    many = len(tree.expressions) > 1
    for option in field.expressions:
        aliased = type(option).__name__ in ("PivotAlias", "Alias")
        wanted = c.value(option.this if aliased else option, inner)
        name = option.args["alias"].name if aliased else _name_of(c, wanted, option)
        c.keep = (
            compare(c, "=", subject, wanted, option).sql
            if wanted.kind.kind != "NULL"
            else f"{subject.sql} IS NULL"
        )
        try:
            for aggregate in tree.expressions:
                label = aggregate.alias if type(aggregate).__name__ == "Alias" else ""
                if many and not label:
                    raise InvalidQuery(
                        "PIVOT expression must have an alias unless there is exactly one PIVOT expression",
                        place=c.place(aggregate),
                    )
                value = c.value(aggregate, inner)
                pieces.append((f"{label}_{name}" if label else name, value))
        finally:
            c.keep = ""
    for aggregate in tree.expressions:
        used |= _columns_in(aggregate, relation)
    internal = quoted(c.name("r"))
    keys = [column for column in relation.columns if column.value.sql not in used and not column.hidden]
    listed = [f"{column.value.sql} AS {quoted(column.name)}" for column in keys]
    listed += [f"{value.sql} AS {quoted(name)}" for name, value in pieces]
    group = " GROUP BY " + ", ".join(column.value.sql for column in keys) if keys else ""
    columns = [
        Column(column.name, Value(f"{internal}.{quoted(column.name)}", column.value.kind)) for column in keys
    ]
    columns += [Column(name, Value(f"{internal}.{quoted(name)}", value.kind)) for name, value in pieces]
    return f"(SELECT {', '.join(listed)} FROM {text}{group}) AS {internal}", Relation("", tuple(columns))


def _columns_in(tree: Any, relation: Relation) -> set[str]:
    from sqlglot import exp

    named = {column.name.casefold() for column in tree.find_all(exp.Column)}
    return {column.value.sql for column in relation.columns if column.name.casefold() in named}


def _name_of(c: Compiler, value: Value, tree: Any) -> str:
    if value.kind.kind == "NULL":
        return "NULL"
    if not value.known:
        raise InvalidQuery("PIVOT values must be constant; give this one an alias", place=c.place(tree))
    text = str(value.constant).upper() if isinstance(value.constant, bool) else str(value.constant)
    text = text.replace("-", "minus_" if text.startswith("-") else "_").replace(".", "_point_")
    return f"_{text}" if text[:1].isdigit() else text


def _unpivot(c: Compiler, tree: Any, found: Source) -> Source:
    text, relation = found
    inner = Scope(relations=[relation])
    field = tree.args["fields"][0]
    values = [part.name for part in _listed(tree.expressions[0])]
    label = field.this.name
    rows, used = [], set()
    names: list[Value] = []
    for option in field.expressions:
        aliased = type(option).__name__ in ("PivotAlias", "Alias")
        columns = [c.value(part, inner) for part in _listed(option.this if aliased else option)]
        if len(columns) != len(values):
            raise InvalidQuery(
                "UNPIVOT needs as many columns in each group as it has value names", place=c.place(option)
            )
        used |= {column.sql for column in columns}
        if aliased:
            alias = option.args["alias"]
            names.append(
                c.value(alias, inner)
                if type(alias).__name__ != "Identifier"
                else Value(text_literal(alias.name), STRING, alias.name, True)
            )
        else:
            shown = "_".join(part.name for part in _listed(option))
            names.append(Value(text_literal(shown), STRING, shown, True))
        rows.append(columns)
    kinds = []
    for position in range(len(values)):
        agreed, kind = agree(c, [row[position] for row in rows], "UNPIVOT columns", c.place(tree))
        for row, value in zip(rows, agreed, strict=True):
            row[position] = value
        kinds.append(kind)
    names, name_kind = agree(c, names, "UNPIVOT row values", c.place(tree))
    structs = [
        "{"
        + ", ".join([*(f"'v{at}': {value.sql}" for at, value in enumerate(row)), f"'n': {name.sql}"])
        + "}"
        for row, name in zip(rows, names, strict=True)
    ]
    unit, internal = quoted(c.name("u")), quoted(c.name("r"))
    keys = [column for column in relation.columns if column.value.sql not in used and not column.hidden]
    listed = [f"{column.value.sql} AS {quoted(column.name)}" for column in keys]
    listed += [f'{unit}."e".v{at} AS {quoted(name)}' for at, name in enumerate(values)]
    listed.append(f'{unit}."e".n AS {quoted(label)}')
    where = (
        ""
        if tree.args.get("include_nulls")
        else " WHERE " + " OR ".join(f'{unit}."e".v{at} IS NOT NULL' for at in range(len(values)))
    )
    made = [
        Column(column.name, Value(f"{internal}.{quoted(column.name)}", column.value.kind)) for column in keys
    ]
    made += [
        Column(name, Value(f"{internal}.{quoted(name)}", kind))
        for name, kind in zip(values, kinds, strict=True)
    ]
    made.append(Column(label, Value(f"{internal}.{quoted(label)}", name_kind)))
    body = f'SELECT {", ".join(listed)} FROM {text} CROSS JOIN UNNEST([{", ".join(structs)}]) AS {unit}("e"){where}'
    return f"({body}) AS {internal}", Relation("", tuple(made))


def _listed(tree: Any) -> list[Any]:
    kind = type(tree).__name__
    return list(tree.expressions) if kind == "Tuple" else [tree.this] if kind == "Paren" else [tree]
