"""SELECT and what joins SELECTs: WITH, UNION, ORDER BY, LIMIT."""

# ruff: noqa: E501 (SQL is easier to read in one piece)

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from mlengine.tables.sql import relations
from mlengine.tables.sql.casts import coerce, common
from mlengine.tables.sql.compiler import Compiler
from mlengine.tables.sql.kinds import Type, distinct
from mlengine.tables.sql.operators import condition
from mlengine.tables.sql.problems import InvalidQuery, Unsupported
from mlengine.tables.sql.select_list import output
from mlengine.tables.sql.values import Column, Relation, Scope, Value, field_of, structure
from mlengine.tables.types import quoted


@dataclass(frozen=True, slots=True)
class Output:
    """A column of a query's result: `name` is empty if it has none; `sql` is what it is called in DuckDB."""

    name: str
    sql: str
    kind: Type
    literal: bool = False
    stored: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """A query in DuckDB's SQL. `whole` is one whose only column is the row itself: SELECT AS STRUCT or VALUE."""

    sql: str
    columns: tuple[Output, ...]
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Shared:
    """A WITH query: what it is called in DuckDB."""

    sql: str
    columns: tuple[Output, ...]
    whole: bool = False


def query(c: Compiler, tree: Any, outer: Scope | None, *, for_array: bool = False) -> Query:
    """Any query, with its WITH."""
    before = ""
    scope = outer
    if (with_ := tree.args.get("with_")) is not None:
        before, scope = _with(c, with_, outer)
    kind = type(tree).__name__
    if kind == "Select":
        made = _select(c, tree, scope, for_array=for_array)
    elif kind in ("Union", "Intersect", "Except"):
        made = _set_operation(c, tree, scope)
    elif kind in ("Subquery", "Paren"):
        made = query(c, tree.this, scope)
        made = _modified(c, tree, made)
    elif kind == "Table" and len(tree.parts) == 1 and scope is not None and scope.cte(tree.name):
        shared = scope.cte(tree.name)
        made = Query(f"SELECT * FROM {shared.sql}", shared.columns, shared.whole)
    else:
        from mlengine.tables.sql.compiler import words

        raise Unsupported(words(tree), place=c.place(tree))
    return replace(made, sql=before + made.sql) if before else made


def _with(c: Compiler, tree: Any, outer: Scope | None) -> tuple[str, Scope]:
    ctes: dict[str, Shared] = {}
    scope = Scope(parent=outer, ctes=ctes)
    texts = []
    for item in tree.expressions:
        name = item.alias
        if name.casefold() in ctes:
            raise InvalidQuery(f"Duplicate alias {name} for WITH subquery", place=c.place(item))
        internal = quoted(c.name("c"))
        wanted = [column.name for column in (item.args["alias"].args.get("columns") or [])]
        body = item.this
        if tree.args.get("recursive") and type(body).__name__ == "Union" and _mentions(body, name):
            first = query(c, body.this, scope)
            columns = _renamed(first.columns, wanted)
            ctes[name.casefold()] = Shared(internal, columns)
            second = query(c, body.expression, scope)
            fitted = _fitted(c, second, [column.kind for column in columns], body)
            word = "UNION" if body.args.get("distinct") else "UNION ALL"
            header = ", ".join(column.sql for column in columns)
            texts.append(f"{internal}({header}) AS ({first.sql} {word} {fitted})")
            continue
        made = query(c, body, scope)
        columns = _renamed(made.columns, wanted)
        header = "(" + ", ".join(column.sql for column in columns) + ")" if wanted else ""
        ctes[name.casefold()] = Shared(internal, columns, made.whole)
        texts.append(f"{internal}{header} AS ({made.sql})")
    word = "WITH RECURSIVE " if tree.args.get("recursive") else "WITH "
    return word + ", ".join(texts) + " ", scope


def _renamed(columns: tuple[Output, ...], names: list[str]) -> tuple[Output, ...]:
    if not names:
        return columns
    return tuple(
        replace(column, name=name, sql=quoted(name)) for column, name in zip(columns, names, strict=True)
    )


def _mentions(tree: Any, name: str) -> bool:
    from sqlglot import exp

    return any(
        not table.db and table.name.casefold() == name.casefold() for table in tree.find_all(exp.Table)
    )


def _fitted(c: Compiler, made: Query, kinds: list[Type], tree: Any) -> str:
    if len(made.columns) != len(kinds):
        raise InvalidQuery(
            f"Queries in {type(tree).__name__.upper()} have mismatched column count; query 1 has {len(kinds)} "
            f"column{'s' * (len(kinds) > 1)}, query 2 has {len(made.columns)} column{'s' * (len(made.columns) > 1)}",
            place=c.place(tree.expression),
        )
    texts, changed = [], False
    for column, kind in zip(made.columns, kinds, strict=True):
        value = Value(f'"q".{column.sql}', column.kind, literal=column.literal)
        fit = coerce(c, value, kind) if kind.kind != "NULL" else value
        if fit is None:
            raise InvalidQuery(
                f"Column has incompatible types: {column.kind}, {kind}", place=c.place(tree.expression)
            )
        changed = changed or fit.sql != value.sql
        texts.append(f"{fit.sql} AS {column.sql}")
    return f'SELECT {", ".join(texts)} FROM ({made.sql}) AS "q"' if changed else f"({made.sql})"


def _set_operation(c: Compiler, tree: Any, scope: Scope | None) -> Query:
    if tree.args.get("by_name") or tree.args.get("side") or tree.args.get("kind"):
        raise Unsupported("BY NAME and CORRESPONDING in set operations", place=c.place(tree))
    parts, rest = [], tree
    same = (type(tree), tree.args.get("distinct"))
    while (type(rest), rest.args.get("distinct")) == same and not (rest is not tree and _has_modifiers(rest)):
        parts.append(rest.expression)
        rest = rest.this
    parts.append(rest)
    queries = [query(c, part, scope) for part in reversed(parts)]
    first = queries[0]
    for number, other in enumerate(queries[1:], start=2):
        if len(other.columns) != len(first.columns):
            words_ = f"{type(tree).__name__.upper()} {'DISTINCT' if tree.args.get('distinct') else 'ALL'}"
            one, two = len(first.columns), len(other.columns)
            raise InvalidQuery(
                f"Queries in {words_} have mismatched column count; query 1 has {one} column{'s' * (one > 1)}, "
                f"query {number} has {two} column{'s' * (two > 1)}",
                place=c.place(parts[len(parts) - number]),
            )
    kinds = []
    for position in range(len(first.columns)):
        values = [Value("x", q.columns[position].kind, literal=q.columns[position].literal) for q in queries]
        kind = common(c, values)
        if kind is None:
            told = ", ".join(dict.fromkeys(str(value.kind) for value in values))
            raise InvalidQuery(
                f"Column {position + 1} in {type(tree).__name__.upper()} "
                f"{'DISTINCT' if tree.args.get('distinct') else 'ALL'} has incompatible types: {told}",
                place=c.place(parts[-2]),
            )
        kinds.append(kind)
    word = type(tree).__name__.upper() + ("" if tree.args.get("distinct") else " ALL")
    sql = f" {word} ".join(_fitted(c, made, kinds, tree) for made in queries)
    columns = tuple(
        replace(column, kind=kind, literal=all(q.columns[at].literal for q in queries), stored=False)
        for at, (column, kind) in enumerate(zip(first.columns, kinds, strict=True))
    )
    return _modified(c, tree, Query(sql, columns, first.whole))


def _has_modifiers(tree: Any) -> bool:
    return any(tree.args.get(name) is not None for name in ("order", "limit", "offset", "with_"))


def _modified(c: Compiler, tree: Any, made: Query) -> Query:
    if not any(tree.args.get(name) is not None for name in ("order", "limit", "offset")):
        return made
    keys = ""
    if (order := tree.args.get("order")) is not None:
        columns = tuple(
            Column(column.name, Value(column.sql, column.kind)) for column in made.columns if column.name
        )
        inner = Scope(relations=[Relation("", columns)])
        keys = " ORDER BY " + ", ".join(
            _position(c, item, made.columns) or order_key(c, item, inner) for item in order.expressions
        )
    return replace(made, sql=f'SELECT * FROM ({made.sql}) AS "q"{keys}{_limit(c, tree)}')


def _position(c: Compiler, item: Any, columns: tuple[Output, ...]) -> str:
    key = item.this
    if type(key).__name__ == "Literal" and not key.is_string:
        number = int(key.this)
        if not 1 <= number <= len(columns):
            raise InvalidQuery(
                f"ORDER BY is out of SELECT column number range: {number}", place=c.place(item)
            )
        _orderable(c, columns[number - 1].kind, item, "ORDER BY")
        return f"{number}{_direction(item)}"
    return ""


def _direction(item: Any) -> str:
    return f" {'DESC' if item.args.get('desc') else 'ASC'} NULLS {'FIRST' if item.args.get('nulls_first') else 'LAST'}"


def _orderable(c: Compiler, kind: Type, tree: Any, clause: str) -> None:
    if kind.kind in ("ARRAY", "JSON", "GEOGRAPHY") or (kind.kind == "STRUCT" and clause == "ORDER BY"):
        if clause == "ORDER BY":
            raise InvalidQuery(f"ORDER BY does not support expressions of type {kind}", place=c.place(tree))
        raise InvalidQuery(f"{clause} by expressions of type {kind.kind} is not allowed", place=c.place(tree))


def order_key(c: Compiler, item: Any, scope: Scope) -> str:
    """One key; NULL is least, then NaN, then numbers."""
    value = c.value(item.this, scope)
    _orderable(c, value.kind, item, "ORDER BY")
    if value.literal:
        return f"({value.sql}){_direction(item)}" if value.kind.kind != "NULL" else "NULL"
    if value.kind.kind == "FLOAT64":
        return f"(NOT isnan({value.sql})){_direction(item)}, {value.sql}{_direction(item)}"
    return f"{value.sql}{_direction(item)}"


def _limit(c: Compiler, tree: Any) -> str:
    text = ""
    for name, word in (("limit", "LIMIT"), ("offset", "OFFSET")):
        part = tree.args.get(name)
        if part is None:
            continue
        value = c.value(part.expression, Scope())
        if not value.known or not isinstance(value.constant, int) or value.constant < 0:
            raise InvalidQuery(
                f"{word} expects a non-negative integer literal or parameter", place=c.place(part)
            )
        text += f" {word} {value.constant}"
    return text


def _select(c: Compiler, tree: Any, outer: Scope | None, *, for_array: bool = False) -> Query:
    scope = Scope(parent=outer)
    source = relations.from_(c, tree, scope)
    where = ""
    if (clause := tree.args.get("where")) is not None:
        scope.forbids = "WHERE clause"
        where = " WHERE " + condition(c, clause.this, scope, "WHERE clause")
        scope.forbids = ""
    for window in tree.args.get("windows") or []:
        scope.windows[window.this.name.casefold()] = window
    scope.loose.clear()
    items = list(tree.expressions)
    group = _group(c, tree, items, scope)
    scope.loose.clear()
    outputs: list[tuple[str, Value]] = []
    for item in items:
        outputs += output(c, item, scope)
    loose = list(scope.loose)
    scope.aliases = {name.casefold(): _constant(value) for name, value in reversed(outputs) if name}
    scope.loose.clear()
    having = qualify = ""
    if (clause := tree.args.get("having")) is not None:
        if not group and not scope.aggregated and tree.args.get("group") is None:
            scope.aggregated = True
        having = " HAVING " + condition(c, clause.this, scope, "HAVING clause")
        loose += scope.loose
    if (clause := tree.args.get("qualify")) is not None:
        qualify = " QUALIFY " + condition(c, clause.this, scope, "QUALIFY clause")
    if (tree.args.get("group") is not None or scope.aggregated) and not group.endswith(" ALL"):
        _check_grouped(loose)
    kind = (tree.args.get("kind") or "").upper()
    if not outputs:
        raise InvalidQuery("SELECT list must not be empty", place=c.place(tree))
    if kind == "STRUCT":
        whole = structure(
            Type("STRUCT", fields=tuple((name, value.kind) for name, value in outputs)),
            tuple(value for _, value in outputs),
        )
        outputs = [("", whole)]
    elif kind == "VALUE" and len(outputs) != 1:
        raise InvalidQuery("SELECT AS VALUE query must have exactly one column", place=c.place(tree))
    unique = tree.args.get("distinct") is not None
    if unique:
        for _, value in outputs:
            if value.kind.kind in ("ARRAY", "JSON"):
                raise InvalidQuery(
                    f"Column of type {value.kind.kind} cannot be used in SELECT DISTINCT", place=c.place(tree)
                )
    names = list(distinct((name for name, _ in outputs), "$col{}"))
    columns = tuple(
        Output(name, quoted(internal), value.kind, value.literal, value.stored)
        for internal, (name, value) in zip(names, outputs, strict=True)
    )
    order = _order(c, tree, columns, outputs, scope, unique, kind)
    if not order and for_array and not group and not unique and not scope.aggregated:
        order = relations.natural_order(scope)
    listed = ", ".join(
        f"{value.sql} AS {column.sql}" for column, (_, value) in zip(columns, outputs, strict=True)
    )
    text = f"SELECT {'DISTINCT ' if unique else ''}{listed}{source}{where}{group}{having}{qualify}{order}{_limit(c, tree)}"
    return Query(text, columns, kind in ("STRUCT", "VALUE"))


def _constant(value: Value) -> Callable[[], Value]:
    return lambda: value


def _check_grouped(loose: list[tuple[str, str, Any]]) -> None:
    if not loose:
        return
    _, name, place = loose[0]
    raise InvalidQuery(
        f"SELECT list expression references column {name} which is neither grouped nor aggregated",
        place=place,
    )


def _group(c: Compiler, tree: Any, items: list[Any], scope: Scope) -> str:
    clause = tree.args.get("group")
    if clause is None:
        return ""
    if clause.args.get("all"):
        return " GROUP BY ALL"
    scope.forbids = "GROUP BY"
    texts = [_group_item(c, item, items, scope) for item in clause.expressions]
    for name in ("rollup", "cube", "grouping_sets"):
        texts += [_group_item(c, item, items, scope) for item in clause.args.get(name) or []]
    scope.forbids = ""
    return " GROUP BY " + ", ".join(texts)


def _group_item(c: Compiler, item: Any, items: list[Any], scope: Scope) -> str:
    kind = type(item).__name__
    if kind in ("Rollup", "Cube", "GroupingSets"):
        word = {"Rollup": "ROLLUP", "Cube": "CUBE", "GroupingSets": "GROUPING SETS"}[kind]
        return f"{word}({', '.join(_group_item(c, part, items, scope) for part in item.expressions)})"
    if kind == "Tuple":
        return "(" + ", ".join(_group_item(c, part, items, scope) for part in item.expressions) + ")"
    if kind == "Paren":
        return "(" + _group_item(c, item.this, items, scope) + ")"
    if kind == "Literal" and not item.is_string:
        position = int(item.this)
        flat = (
            [part for one in items for part in output(c, one, scope)]
            if any("Star" in type(one).__name__ or one.is_star for one in items)
            else None
        )
        count = len(flat) if flat is not None else len(items)
        if not 1 <= position <= count:
            raise InvalidQuery(
                f"GROUP BY is out of SELECT column number range: {position}", place=c.place(item)
            )
        value = flat[position - 1][1] if flat is not None else c.value(items[position - 1], scope)
    else:
        target = item
        if kind == "Column" and len(item.parts) == 1:
            named = [
                one
                for one in items
                if type(one).__name__ == "Alias" and one.alias.casefold() == item.name.casefold()
            ]
            if named:
                target = named[0].this
        value = c.value(target, scope)
    if value.kind.kind in ("ARRAY", "JSON"):
        raise InvalidQuery(
            f"Grouping by expressions of type {value.kind.kind} is not allowed", place=c.place(item)
        )
    scope.grouped.add(value.sql)
    if value.kind.kind == "STRUCT":
        for position in range(len(value.kind.fields)):
            scope.grouped.add(field_of(value, position).sql)
    return value.sql


def _order(
    c: Compiler,
    tree: Any,
    columns: tuple[Output, ...],
    outputs: list[tuple[str, Value]],
    scope: Scope,
    unique: bool,
    kind: str,
) -> str:
    clause = tree.args.get("order")
    if clause is None:
        return ""
    keys = []
    for item in clause.expressions:
        position = 0
        key = item.this
        if type(key).__name__ == "Literal" and not key.is_string:
            position = int(key.this)
            _position(c, item, columns)
        else:
            value = c.value(key, scope)
            same = [at for at, (_, output) in enumerate(outputs, start=1) if output.sql == value.sql]
            if same:
                position = same[0]
            elif unique:
                raise InvalidQuery(
                    "ORDER BY clause expression references a column which is not visible after SELECT DISTINCT",
                    place=c.place(item),
                )
        if position and (unique or outputs[position - 1][1].kind.kind != "FLOAT64" or kind):
            _orderable(c, columns[position - 1].kind, item, "ORDER BY")
            keys.append(f"{position}{_direction(item)}")
        elif position:
            sql = outputs[position - 1][1].sql
            volatile = "random()" in sql
            keys.append(
                f"{position}{_direction(item)}"
                if volatile
                else f"(NOT isnan({sql})){_direction(item)}, {position}{_direction(item)}"
            )
        else:
            keys.append(order_key(c, item, scope))
    return " ORDER BY " + ", ".join(keys)
