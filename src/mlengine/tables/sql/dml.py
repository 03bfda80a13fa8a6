"""INSERT, UPDATE, DELETE and MERGE."""

from __future__ import annotations

from typing import Any

from mlengine.tables.sql import relations
from mlengine.tables.sql.casts import assign
from mlengine.tables.sql.compiler import Compiler
from mlengine.tables.sql.kinds import Type, of_field
from mlengine.tables.sql.operators import condition
from mlengine.tables.sql.plan import Described, Kind, Statement
from mlengine.tables.sql.problems import InvalidQuery, Unsupported
from mlengine.tables.sql.query import Query
from mlengine.tables.sql.select import no_nulls, spread
from mlengine.tables.sql.values import NOTHING, Column, Relation, Scope, Value, field_of, structure
from mlengine.tables.types import quoted

TARGET = "target"


def _target(c: Compiler, tree: Any) -> tuple[Described, str]:
    parts = [part.name for part in tree.parts]
    place = c.place(tree)
    described = c.described(c.resolve(parts, place), place)
    if described.view:
        raise InvalidQuery(f"{described.reference} is a view; DML statements need a table", place=place)
    if described.kind == "SNAPSHOT":
        raise InvalidQuery(f"{described.reference} is a snapshot, which cannot be changed", place=place)
    return described, tree.alias or parts[-1]


def _relation(described: Described, name: str, alias: str = TARGET) -> Relation:
    prefix = quoted(alias)
    columns = tuple(
        Column(field.name, Value(f"{prefix}.{quoted(field.name)}", of_field(field), stored=True))
        for field in described.schema
    )
    return Relation(name, columns)


def _column(described: Described, name: str, place: Any) -> tuple[str, Type]:
    for field in described.schema:
        if field.name.casefold() == name.casefold():
            return field.name, of_field(field)
    raise InvalidQuery(f"Column {name} is not present in table {described.reference}", place=place)


def _default(c: Compiler, described: Described, name: str) -> Value:
    field = next(one for one in described.schema if one.name == name)
    if not field.default:
        return NOTHING
    from mlengine.tables.sql import parse

    text, words = parse.tokens(f"SELECT {field.default}")
    tree = parse.statement(text.sql, 0, len(words)).expressions[0]
    kept, c.text = c.text, text
    try:
        return c.value(tree, Scope())
    finally:
        c.text = kept


def _stored(c: Compiler, value: Value, kind: Type, name: str, place: Any) -> str:
    made = assign(c, value, kind, name, place)
    if kind.element is not None and not value.stored:
        return no_nulls(made.sql, kind, name)
    return made.sql


def _value(c: Compiler, tree: Any, scope: Scope, described: Described, name: str, kind: Type) -> str:
    if (
        type(tree).__name__ in ("Var", "Column")
        and tree.name.upper() == "DEFAULT"
        and not tree.args.get("table")
    ):
        return _stored(c, _default(c, described, name), kind, name, c.place(tree))
    return _stored(c, c.value(tree, scope), kind, name, c.place(tree))


def insert(c: Compiler, tree: Any) -> Statement:
    """INSERT … VALUES or a query."""
    goal = tree.this
    named = None
    if type(goal).__name__ == "Schema":
        named, goal = [part.name for part in goal.expressions], goal.this
    described, _ = _target(c, goal)
    place = c.place(goal)
    columns = (
        [_column(described, name, place) for name in named]
        if named is not None
        else [(field.name, of_field(field)) for field in described.schema]
    )
    if len({name for name, _ in columns}) < len(columns):
        raise InvalidQuery("INSERT has columns with duplicate name", place=place)
    source = tree.expression
    if type(source).__name__ == "Values":
        body = _values(c, source, columns, described)
    else:
        body = _from_query(c, c.query(source, None), columns, source)
    left = [
        field
        for field in described.schema
        if field.default and field.name not in {name for name, _ in columns}
    ]
    header = [name for name, _ in columns]
    if left:
        defaults = ", ".join(
            f"{_stored(c, _default(c, described, f.name), of_field(f), f.name, place)} AS {quoted(f.name)}"
            for f in left
        )
        body = f'SELECT *, {defaults} FROM ({body}) AS "given"'
        header += [field.name for field in left]
    listed = ", ".join(quoted(name) for name in header)
    sql = f"INSERT INTO {quoted(TARGET)} ({listed}) {body}"
    return Statement(kind=Kind.INSERT, sql=sql, reads=c.reads, writes=described.reference, target=TARGET)


def _values(c: Compiler, tree: Any, columns: list[tuple[str, Type]], described: Described) -> str:
    rows = []
    for row in tree.expressions:
        items = (
            row.expressions
            if type(row).__name__ == "Tuple"
            else [row.this if type(row).__name__ == "Paren" else row]
        )
        if len(items) != len(columns):
            raise InvalidQuery(
                f"Inserted row has wrong column count; Has {len(items)}, expected {len(columns)}",
                place=c.place(row),
            )
        texts = [
            _value(c, item, Scope(), described, name, kind)
            for item, (name, kind) in zip(items, columns, strict=True)
        ]
        rows.append(
            "SELECT "
            + ", ".join(f"{text} AS {quoted(name)}" for text, (name, _) in zip(texts, columns, strict=True))
        )
    return " UNION ALL ".join(rows)


def _from_query(c: Compiler, made: Query, columns: list[tuple[str, Type]], tree: Any) -> str:
    sql, found = spread(made)
    if len(found) != len(columns):
        raise InvalidQuery(
            f"Inserted row has wrong column count; Has {len(found)}, expected {len(columns)}",
            place=c.place(tree),
        )
    texts = []
    for output, (name, kind) in zip(found, columns, strict=True):
        value = Value(f'"q".{output.sql}', output.kind, literal=output.literal, stored=output.stored)
        texts.append(f"{_stored(c, value, kind, name, c.place(tree))} AS {quoted(name)}")
    return f'SELECT {", ".join(texts)} FROM ({sql}) AS "q"'


def update(c: Compiler, tree: Any) -> Statement:
    """UPDATE, with FROM, too."""
    described, name = _target(c, tree.this)
    where = tree.args.get("where")
    if where is None:
        raise InvalidQuery("UPDATE must have a WHERE clause", place=c.place(tree))
    scope = Scope(relations=[_relation(described, name)])
    source = ""
    if (clause := tree.args.get("from_")) is not None:
        inner = Scope()
        text, relation = relations.source(c, clause.this, inner)
        scope.relations.append(relation)
        for join in [*(clause.this.args.get("joins") or []), *(tree.args.get("joins") or [])]:
            text = relations._join(c, text, join, scope)
        source = text
    test = condition(c, where.this, scope, "WHERE clause")
    changes = _changes(c, tree.expressions, scope, described)
    goal = quoted(TARGET)
    if not source:
        sets = ", ".join(f"{quoted(column)} = {text}" for column, text in changes)
        sql = f"UPDATE {goal} SET {sets} WHERE {test}"
    else:
        listed = ", ".join(f"{text} AS {quoted(f'n{at}')}" for at, (_, text) in enumerate(changes))
        sets = ", ".join(
            f'{quoted(column)} = "u".{quoted(f"n{at}")}' for at, (column, _) in enumerate(changes)
        )
        found = (
            f'SELECT {goal}.rowid AS "row", count(*) OVER (PARTITION BY {goal}.rowid) AS "times", {listed} '
            f"FROM {goal} CROSS JOIN {source} WHERE {test}"
        )
        said = "'UPDATE/MERGE must match at most one source row for each target row'"
        sql = (
            f'UPDATE {goal} SET {sets} FROM ({found}) AS "u" WHERE {goal}.rowid = "u"."row" '
            f'AND CASE WHEN "u"."times" > 1 THEN error({said}) ELSE true END'
        )
    return Statement(kind=Kind.UPDATE, sql=sql, reads=c.reads, writes=described.reference, target=TARGET)


def _changes(c: Compiler, items: list[Any], scope: Scope, described: Described) -> list[tuple[str, str]]:
    changes: dict[str, str] = {}
    for item in items:
        goal = item.this
        parts = [part.name for part in goal.parts] if hasattr(goal, "parts") else [goal.name]
        place = c.place(item)
        own = scope.relations[0]
        if len(parts) > 1 and own.name.casefold() == parts[0].casefold() and not own.find(parts[0]):
            parts = parts[1:]
        name, kind = _column(described, parts[0], place)
        if name in changes:
            raise InvalidQuery(f"Update item {name} assigned more than once", place=place)
        if len(parts) == 1:
            changes[name] = _value(c, item.expression, scope, described, name, kind)
            continue
        current = next(value for value in own.find(name))
        changes[name] = _replaced(c, current, parts[1:], c.value(item.expression, scope), place).sql
    return list(changes.items())


def _replaced(c: Compiler, value: Value, path: list[str], new: Value, place: Any) -> Value:
    if not path:
        return assign(c, new, value.kind, "field", place)
    if value.kind.kind != "STRUCT":
        raise InvalidQuery(f"Cannot access field {path[0]} on a value with type {value.kind}", place=place)
    fields = [field_of(value, at) for at in range(len(value.kind.fields))]
    found = [at for at, (name, _) in enumerate(value.kind.fields) if name.casefold() == path[0].casefold()]
    if not found:
        raise InvalidQuery(f"Field name {path[0]} does not exist in {value.kind}", place=place)
    fields[found[0]] = _replaced(c, fields[found[0]], path[1:], new, place)
    return structure(value.kind, tuple(fields))


def delete(c: Compiler, tree: Any) -> Statement:
    """DELETE."""
    tables = tree.args.get("tables")  # DELETE without FROM
    described, name = _target(c, tables[0] if tables else tree.this)
    where = tree.args.get("where")
    if where is None:
        raise InvalidQuery("DELETE must have a WHERE clause", place=c.place(tree))
    test = condition(c, where.this, Scope(relations=[_relation(described, name)]), "WHERE clause")
    sql = f"DELETE FROM {quoted(TARGET)} WHERE {test}"
    return Statement(kind=Kind.DELETE, sql=sql, reads=c.reads, writes=described.reference, target=TARGET)


def merge(c: Compiler, tree: Any) -> Statement:
    """MERGE."""
    described, name = _target(c, tree.this)
    goal = _relation(described, name)
    text, source = relations.source(c, tree.args["using"], Scope())
    both = Scope(relations=[goal, source])
    on = condition(c, tree.args["on"], both, "MERGE ON clause")
    # A row of the source that is used twice on one row of the target is an error in BigQuery.
    branches = []
    for when in tree.args["whens"].expressions:
        matched, by_source = bool(when.args.get("matched")), bool(when.args.get("source"))
        scope = both if matched else Scope(relations=[goal]) if by_source else Scope(relations=[source])
        head = "MATCHED" if matched else "NOT MATCHED BY SOURCE" if by_source else "NOT MATCHED"
        extra = when.args.get("condition")
        test = f" AND {condition(c, extra, scope, 'MERGE WHEN clause')}" if extra is not None else ""
        branches.append(
            f"WHEN {head}{test} THEN {_action(c, when.args['then'], scope, described, goal, source)}"
        )
    sql = f"MERGE INTO {quoted(TARGET)} USING {text} ON ({on}) {' '.join(branches)}"
    return Statement(kind=Kind.MERGE, sql=sql, reads=c.reads, writes=described.reference, target=TARGET)


def _action(
    c: Compiler, then: Any, scope: Scope, described: Described, goal: Relation, source: Relation
) -> str:
    kind = type(then).__name__
    if kind == "Var" and then.name.upper() == "DELETE":
        return "DELETE"
    if kind == "Update":
        first = (
            scope
            if scope.relations and scope.relations[0] is goal
            else Scope(relations=[goal, *scope.relations])
        )
        sets = ", ".join(
            f"{quoted(column)} = {text}" for column, text in _changes(c, then.expressions, first, described)
        )
        return f"UPDATE SET {sets}"
    if kind != "Insert":
        raise Unsupported("This action in MERGE", place=c.place(then))
    whole = [(field.name, of_field(field)) for field in described.schema]
    this, values = then.this, then.expression
    row = type(this).__name__ == "Var" and this.name.upper() == "ROW"
    if row or (values and type(values).__name__ in ("Column", "Var") and values.name.upper() == "ROW"):
        columns = (
            whole if row else [_column(described, part.name, c.place(then)) for part in this.expressions]
        )
        shown = [column for column in source.columns if not column.hidden]
        if len(shown) != len(columns):
            raise InvalidQuery(
                f"Inserted row has wrong column count; Has {len(shown)}, expected {len(columns)}",
                place=c.place(then),
            )
        texts = [
            _stored(c, column.value, kind_, name, c.place(then))
            for column, (name, kind_) in zip(shown, columns, strict=True)
        ]
    else:
        columns = (
            [_column(described, part.name, c.place(then)) for part in this.expressions] if this else whole
        )
        items = (
            values.expressions
            if type(values).__name__ == "Tuple"
            else [values.this if type(values).__name__ == "Paren" else values]
        )
        if len(items) != len(columns):
            raise InvalidQuery(
                f"Inserted row has wrong column count; Has {len(items)}, expected {len(columns)}",
                place=c.place(then),
            )
        texts = [
            _value(c, item, scope, described, name, kind_)
            for item, (name, kind_) in zip(items, columns, strict=True)
        ]
    for field in described.schema:
        if field.default and field.name not in {name for name, _ in columns}:
            columns = [*columns, (field.name, of_field(field))]
            texts.append(
                _stored(c, _default(c, described, field.name), of_field(field), field.name, c.place(then))
            )
    return f"INSERT ({', '.join(quoted(name) for name, _ in columns)}) VALUES ({', '.join(texts)})"
