"""FROM: tables, views, subqueries, UNNEST, joins, samples, and tables as they were."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from mlengine.tables.schema import TableReference
from mlengine.tables.sql.casts import coerce, common
from mlengine.tables.sql.compiler import Compiler
from mlengine.tables.sql.kinds import INT64, STRING, Type, of_field
from mlengine.tables.sql.problems import InvalidQuery, Unsupported
from mlengine.tables.sql.values import Column, Relation, Scope, Value, field_of
from mlengine.tables.types import literal as text_literal
from mlengine.tables.types import quoted

Source = tuple[str, Relation]


def from_(c: Compiler, tree: Any, scope: Scope) -> str:
    """The FROM clause with its joins; the names it brings are put into `scope`."""
    clause = tree.args.get("from_")
    if clause is None:
        return ""
    text, relation = source(c, clause.this, scope)
    scope.relations.append(relation)
    for inner in clause.this.args.get("joins") or []:
        text = _join(c, text, inner, scope)
    for join in tree.args.get("joins") or []:
        text = _join(c, text, join, scope)
    if tree.args.get("laterals"):
        raise Unsupported("LATERAL", place=c.place(tree.args["laterals"][0]))
    return " FROM " + text


def natural_order(scope: Scope) -> str:
    """The order of an array's elements, which ARRAY(SELECT … FROM UNNEST(…)) keeps."""
    return (
        f" ORDER BY {', '.join(scope.orders)}"
        if scope.orders and len(scope.orders) == len(scope.relations)
        else ""
    )


def _join(c: Compiler, left: str, join: Any, scope: Scope) -> str:
    side, kind = (join.args.get("side") or "").upper(), (join.args.get("kind") or "").upper()
    if join.args.get("method"):
        raise Unsupported(f"{join.args['method']} JOIN", place=c.place(join))
    if kind in ("SEMI", "ANTI"):
        raise Unsupported(f"{kind} JOIN", place=c.place(join))
    before = list(scope.relations)
    text, relation = source(c, join.this, scope)
    _check_alias(c, relation, before, join)
    scope.relations.append(relation)
    for inner in join.this.args.get("joins") or []:
        text = "(" + _join(c, text, inner, scope) + ")"
    on, using = join.args.get("on"), join.args.get("using")
    if on is not None:
        from mlengine.tables.sql.operators import condition

        scope.forbids = "JOIN ON clause"
        test = condition(c, on, scope, "JOIN ON clause")
        scope.forbids = ""
        return f"{left} {side or 'INNER'} JOIN {text} ON {test}"
    if using:
        tests = []
        for column in using:
            tests.append(_merge(c, column, before, relation, side, scope))
        return f"{left} {side or 'INNER'} JOIN {text} ON {' AND '.join(tests)}"
    if side or kind == "INNER":
        if type(join.this).__name__ == "Unnest" or text.startswith("UNNEST("):
            return f"{left} {side or 'INNER'} JOIN {text} ON true"
        raise InvalidQuery(
            f"{side or kind} JOIN must have an immediately following ON or USING clause", place=c.place(join)
        )
    return f"{left} CROSS JOIN {text}"


def _check_alias(c: Compiler, relation: Relation, before: list[Relation], tree: Any) -> None:
    if relation.name and any(other.name.casefold() == relation.name.casefold() for other in before):
        raise InvalidQuery(
            f"Duplicate table alias {relation.name} in the same FROM clause", place=c.place(tree)
        )


def _merge(c: Compiler, column: Any, before: list[Relation], right: Relation, side: str, scope: Scope) -> str:
    name = column.name
    merged = scope.merged.get(name.casefold())
    lefts = [merged] if merged else [value for one in before for value in one.find(name)]
    rights = right.find(name)
    if not lefts or not rights:
        where = "left" if not lefts else "right"
        raise InvalidQuery(
            f"Column {name} in USING clause not found on {where} side of join", place=c.place(column)
        )
    if len(lefts) > 1:
        raise InvalidQuery(f"Column name {name} is ambiguous", place=c.place(column))
    kind = common(c, [lefts[0], rights[0]])
    if kind is None:
        raise InvalidQuery(
            f"Column {name} in USING has incompatible types on either side of the join: "
            f"{lefts[0].kind} and {rights[0].kind}",
            place=c.place(column),
        )
    one, other = (coerce(c, value, kind) or value for value in (lefts[0], rights[0]))
    seen = {"RIGHT": other, "FULL": Value(f"coalesce({one.sql}, {other.sql})", kind)}.get(side, one)
    scope.merged[name.casefold()] = seen
    scope.merged_order[:] = [item for item in scope.merged_order if item[0].casefold() != name.casefold()]
    scope.merged_order.append((name, seen))
    return f"{one.sql} = {other.sql}"


def source(c: Compiler, tree: Any, scope: Scope) -> Source:
    """One item of FROM."""
    kind = type(tree).__name__
    if kind == "Table":
        found = _table(c, tree, scope)
    elif kind == "Unnest":
        found = _unnest(c, tree, scope)
    elif kind == "Subquery" and type(tree.this).__name__ in ("Table", "Unnest"):
        found = _parenthesised(c, tree, scope)
    elif kind in ("Subquery", "Paren"):
        found = _subquery(c, tree, scope)
    else:
        from mlengine.tables.sql.compiler import words

        raise Unsupported(words(tree), place=c.place(tree))
    for pivot in tree.args.get("pivots") or []:
        from mlengine.tables.sql.pivots import pivoted

        found = pivoted(c, pivot, found, scope)
    if (sample := tree.args.get("sample")) is not None:
        found = _sampled(c, sample, found)
    return found


def _parenthesised(c: Compiler, tree: Any, scope: Scope) -> Source:
    text, relation = source(c, tree.this, scope)
    return text, relation


def _subquery(c: Compiler, tree: Any, scope: Scope) -> Source:
    made = c.query(tree.this, scope.parent if scope.parent is not None else None)
    alias = quoted(c.name("r"))
    return f"({made.sql}) AS {alias}", named(tree.alias, alias, made)


def named(name: str, alias: str, made: Any) -> Relation:
    """The names that a query brings into FROM."""
    if made.whole:
        column = made.columns[0]
        whole = Value(f"{alias}.{column.sql}", column.kind)
        return Relation(name, _parts(whole, name), whole)
    columns = tuple(
        Column(column.name, Value(f"{alias}.{column.sql}", column.kind, stored=column.stored))
        for column in made.columns
    )
    return Relation(name, columns)


def _parts(whole: Value, name: str) -> tuple[Column, ...]:
    if whole.kind.kind == "STRUCT":
        return tuple(Column(field, field_of(whole, at)) for at, (field, _) in enumerate(whole.kind.fields))
    return (Column(name, whole),)


def _unnest(c: Compiler, tree: Any, scope: Scope) -> Source:
    inner = Scope(
        parent=scope.parent, relations=scope.relations, merged=scope.merged, arguments=scope.arguments
    )
    if len(tree.expressions) != 1:
        raise Unsupported("UNNEST of several arrays", place=c.place(tree))
    array = c.value(tree.expressions[0], inner)
    alias = tree.args.get("alias")
    names = [part.name for part in (alias.args.get("columns") or [])] if alias is not None else []
    name = (alias.this.name if alias is not None and alias.this is not None else "") or (
        names[0] if names else ""
    )
    offset = tree.args.get("offset")
    return unnested(c, array, name, offset, tree, scope)


def unnested(c: Compiler, array: Value, name: str, offset: Any, tree: Any, scope: Scope) -> Source:
    """The elements of an array as rows."""
    if array.kind.element is None:
        raise InvalidQuery(
            f"Values referenced in UNNEST must be arrays. UNNEST contains expression of type {array.kind}",
            place=c.place(tree),
        )
    alias = quoted(c.name("r"))
    element = INT64 if array.kind.element.kind == "NULL" else array.kind.element
    whole = Value(f'{alias}."v"', element)
    place = Value(f'({alias}."o" - 1)', INT64)
    scope.orders.append(f'{alias}."o"')
    columns = _parts(whole, name)
    if offset:
        called = offset.name if hasattr(offset, "name") and offset.name else "offset"
        columns = (*columns, Column(called, place))
    return f'UNNEST({array.sql}) WITH ORDINALITY AS {alias}("v", "o")', Relation(name, columns, whole)


def _table(c: Compiler, tree: Any, scope: Scope) -> Source:
    if type(tree.this).__name__ in ("Anonymous", "Func"):
        raise Unsupported(f"Table function {tree.this.name}", place=c.place(tree))
    parts = [part.name for part in tree.parts]
    if type(tree.this).__name__ == "Dot":
        parts = [part.name for part in (tree.args.get("catalog"), tree.args.get("db")) if part is not None]
        parts += tree.this.sql("bigquery").replace("`", "").split(".")
    alias = tree.alias
    place = c.place(tree)
    if parts[-1].upper().startswith("INFORMATION_SCHEMA."):
        from mlengine.tables.sql.information import view

        return view(c, parts, alias, place)
    if len(parts) == 1 and (shared := scope.cte(parts[0])) is not None:
        internal = quoted(c.name("r"))
        return f"{shared.sql} AS {internal}", named(alias or parts[0], internal, shared)
    if len(parts) > 1 or scope.relations:
        found = _array_path(c, tree, parts, scope)
        if found is not None:
            return found
    if parts[-1].endswith("*"):
        return _wildcard(c, parts, alias, place)
    reference = c.resolve(parts, place)
    if (version := tree.args.get("version")) is not None:
        reference = replace(reference, at=_moment(c, version))
    return stored(c, reference, alias or parts[-1], place)


def _array_path(c: Compiler, tree: Any, parts: list[str], scope: Scope) -> Source | None:
    from mlengine.tables.sql.expressions import path

    if not any(one.name.casefold() == parts[0].casefold() for one in scope.relations if one.name):
        inner = scope.parent
        while inner is not None:
            if any(one.name.casefold() == parts[0].casefold() for one in inner.relations if one.name):
                break
            inner = inner.parent
        if inner is None or len(parts) == 1:
            return None
    if len(parts) == 1:
        return None
    inner_scope = Scope(parent=scope.parent, relations=scope.relations, merged=scope.merged)
    array = path(c, list(tree.parts), inner_scope)
    return unnested(c, array, tree.alias or parts[-1], tree.args.get("offset"), tree, scope)


def stored(c: Compiler, reference: TableReference, name: str, place: Any) -> Source:
    """A table or view of the catalogue."""
    described = c.described(reference, place)
    internal = quoted(c.name("r"))
    if described.view:
        return _view(c, described, name, internal, place)
    columns = tuple(
        Column(field.name, Value(f"{internal}.{quoted(field.name)}", of_field(field), stored=True))
        for field in described.schema
    )
    return f"{c.read(reference)} AS {internal}", Relation(name, columns)


def _view(c: Compiler, described: Any, name: str, internal: str, place: Any) -> Source:
    from mlengine.tables.sql import parse

    text, words = parse.tokens(described.view)
    tree = parse.statement(described.view, 0, len(words))
    c.enter_view(place)
    around, kept = c.around, c.text
    own = described.reference
    c.around = replace(
        around,
        default=TableReference(project=own.project, dataset=own.dataset, table=""),
        project=own.project,
        variables={},
        temporary={},
        named={},
        positional=(),
        functions={},
    )
    c.text = text
    try:
        made = c.query(tree, None)
    finally:
        c.around, c.text = around, kept
        c.leave_view()
    return f"({made.sql}) AS {internal}", named(name, internal, made)


def _wildcard(c: Compiler, parts: list[str], alias: str, place: Any) -> Source:
    reference = c.resolve(parts, place)
    prefix = reference.table[:-1]
    tables = [
        one
        for one in c.around.catalogue.tables(reference.project, reference.dataset)
        if one.reference.table.startswith(prefix) and not one.view
    ]
    if not tables:
        raise InvalidQuery(
            f"{reference.project}:{reference.dataset}.{reference.table} does not match any table", place=place
        )
    newest = max(
        tables, key=lambda one: (str(one.resource.get("creationTime", "")).zfill(20), one.reference.table)
    )
    texts = []
    for one in tables:
        have = {field.name.casefold(): field for field in one.schema}
        picked = []
        for field in newest.schema:
            kind = of_field(field)
            known = have.get(field.name.casefold())
            sql = quoted(known.name) if known else "NULL"
            picked.append(f"CAST({sql} AS {kind.sql}) AS {quoted(field.name)}")
        suffix = text_literal(one.reference.table[len(prefix) :])
        texts.append(f'SELECT {", ".join(picked)}, {suffix} AS "_TABLE_SUFFIX" FROM {c.read(one.reference)}')
    internal = quoted(c.name("r"))
    columns = [
        Column(f.name, Value(f"{internal}.{quoted(f.name)}", of_field(f), stored=True)) for f in newest.schema
    ]
    columns.append(Column("_TABLE_SUFFIX", Value(f'{internal}."_TABLE_SUFFIX"', STRING), hidden=True))
    return f"({' UNION ALL '.join(texts)}) AS {internal}", Relation(alias or parts[-1], tuple(columns))


def _moment(c: Compiler, version: Any) -> datetime:
    from mlengine.tables.sql.constants import evaluate

    value = c.value(version.expression, Scope())
    found = coerce(c, value, Type("TIMESTAMP"))
    if found is None or "SELECT" in found.sql:
        raise InvalidQuery("FOR SYSTEM_TIME AS OF must be a constant TIMESTAMP", place=c.place(version))
    micros = evaluate(f"epoch_us({found.sql})")
    if micros is None:
        raise InvalidQuery("FOR SYSTEM_TIME AS OF must not be NULL", place=c.place(version))
    moment = datetime.fromtimestamp(int(micros) / 1_000_000, UTC)
    if moment > c.around.now:
        raise InvalidQuery("Invalid snapshot time: it lies in the future", place=c.place(version))
    return moment


def _sampled(c: Compiler, sample: Any, found: Source) -> Source:
    percent = sample.args.get("percent")
    if percent is None:
        raise InvalidQuery("TABLESAMPLE needs SYSTEM (n PERCENT)", place=c.place(sample))
    value = c.value(percent, Scope())
    if not value.known or not 0 <= float(value.constant) <= 100:
        raise InvalidQuery("TABLESAMPLE percentage must be between 0 and 100", place=c.place(sample))
    text, relation = found
    return f"{text} TABLESAMPLE system({float(value.constant)} PERCENT)", relation
