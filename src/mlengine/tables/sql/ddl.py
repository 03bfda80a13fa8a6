"""CREATE, DROP, ALTER and TRUNCATE."""

# ruff: noqa: E501 (SQL is easier to read in one piece)

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mlengine.tables.schema import Field, Schema, TableReference
from mlengine.tables.sql.casts import assign, cast
from mlengine.tables.sql.compiler import Compiler, Function
from mlengine.tables.sql.constants import evaluate
from mlengine.tables.sql.constructors import type_of
from mlengine.tables.sql.kinds import STRING, of_field, to_field
from mlengine.tables.sql.plan import TEMPORARY, Definition, Kind, Statement
from mlengine.tables.sql.problems import InvalidQuery, Unsupported
from mlengine.tables.sql.select import finished, no_nulls, spread, titles
from mlengine.tables.sql.values import Scope, Value
from mlengine.tables.types import quoted

_OPTIONS = {
    "description": "description",
    "friendly_name": "friendlyName",
    "labels": "labels",
    "expiration_timestamp": "expirationTime",
    "location": "location",
    "require_partition_filter": "requirePartitionFilter",
    "default_table_expiration_days": "defaultTableExpirationMs",
    "default_partition_expiration_days": "defaultPartitionExpirationMs",
    "partition_expiration_days": "partitionExpirationDays",
}


def create(c: Compiler, tree: Any) -> Statement:
    """CREATE of any kind."""
    kind = (tree.args.get("kind") or "").upper()
    if kind == "FUNCTION":
        return _function(c, tree)
    if kind == "SCHEMA":
        return _schema(c, tree)
    if kind == "VIEW":
        return _view(c, tree)
    if kind == "TABLE":
        return _table(c, tree)
    raise Unsupported(f"CREATE {kind or type(tree).__name__.upper()}", place=c.place(tree))


def _reference(c: Compiler, table: Any) -> TableReference:
    return c.resolve([part.name for part in table.parts], c.place(table))


def _properties(c: Compiler, tree: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"options": {}, "partitioning": {}, "clustering": ()}
    holder = tree.args.get("properties")
    for item in holder.expressions if holder is not None else []:
        kind = type(item).__name__
        if kind == "TemporaryProperty":
            found["temporary"] = True
        elif kind == "LikeProperty":
            found["like"] = item.this
        elif kind == "PartitionedByProperty":
            found["partitioning"] = _partitioning(c, item.this)
        elif kind == "ClusterProperty":
            found["clustering"] = tuple(part.name for part in item.expressions)
        elif kind == "LocationProperty":
            found["options"]["location"] = item.this.name
        elif kind == "Property":
            _option(c, item, found["options"])
        elif kind in ("ReturnsProperty", "LanguageProperty"):
            found[kind] = item.this
        else:
            from mlengine.tables.sql.compiler import words

            raise Unsupported(words(item), place=c.place(item))
    return found


def _option(c: Compiler, item: Any, options: dict[str, Any]) -> None:
    name = item.this.name.lower()
    if name not in _OPTIONS:
        raise Unsupported(f"Option {name}", place=c.place(item))
    tree = item.args["value"]
    target = _OPTIONS[name]
    if name == "labels":
        pairs = [pair.expressions for pair in tree.expressions]
        options["labels"] = {key.name: value.name for key, value in pairs}
        return
    value = c.value(tree, Scope())
    if name == "expiration_timestamp":
        micros = evaluate(f"epoch_us({cast(c, value, replace(STRING, kind='TIMESTAMP'))})")
        options[target] = None if micros is None else str(int(micros) // 1000)
        return
    plain = value.constant if value.known else evaluate(value.sql)
    if target.endswith("Ms"):
        plain = None if plain is None else str(int(float(plain) * 86400000))
    options[target] = plain if isinstance(plain, str | bool | int | None) else str(plain)


def _partitioning(c: Compiler, tree: Any) -> dict[str, Any]:
    kind = type(tree).__name__
    if kind == "Column":
        if tree.name.upper() == "_PARTITIONDATE":
            return {"timePartitioning": {"type": "DAY"}}
        return {"timePartitioning": {"type": "DAY", "field": tree.name}}
    if kind == "Paren" or kind == "Schema":
        return _partitioning(c, tree.this if kind == "Paren" else tree.expressions[0])
    if kind == "Anonymous":
        name, args = tree.name.upper(), tree.expressions
        if name == "DATE":
            return {"timePartitioning": {"type": "DAY", "field": args[0].name}}
        if name in ("DATE_TRUNC", "TIMESTAMP_TRUNC", "DATETIME_TRUNC"):
            return {"timePartitioning": {"type": args[1].name.upper(), "field": args[0].name}}
        if name == "RANGE_BUCKET":
            ends = [str(c.value(part, Scope()).constant) for part in args[1].expressions]
            return {
                "rangePartitioning": {
                    "field": args[0].name,
                    "range": dict(zip(("start", "end", "interval"), ends, strict=False)),
                }
            }
    raise InvalidQuery(
        "PARTITION BY expression must be DATE(<timestamp_column>), DATE_TRUNC(…), RANGE_BUCKET(…) or a column",
        place=c.place(tree),
    )


def field(c: Compiler, tree: Any) -> Field:
    """A column as CREATE and ALTER TABLE write it."""
    name = tree.name
    if tree.args.get("kind") is None:
        raise InvalidQuery(f"Column {name} needs a type", place=c.place(tree))
    required, default, description = False, "", ""
    for constraint in tree.args.get("constraints") or []:
        kind = type(constraint.args["kind"]).__name__
        if kind == "NotNullColumnConstraint":
            required = True
        elif kind == "DefaultColumnConstraint":
            inner = constraint.args["kind"].this
            default = _source(inner)
        elif kind == "Properties":
            options: dict[str, Any] = {}
            for item in constraint.args["kind"].expressions:
                if item.this.name.lower() not in ("description", "rounding_mode"):
                    raise Unsupported(f"Option {item.this.name} of a column", place=c.place(item))
                options[item.this.name.lower()] = item.args["value"].name
            description = options.get("description", "")
        else:
            raise Unsupported(f"This constraint of column {name}", place=c.place(tree))
    made = to_field(name, type_of(c, tree.args["kind"]), required=required)
    return replace(made, default=default, description=description)


def _source(tree: Any) -> str:
    return str(tree.sql(dialect="bigquery"))


def _table(c: Compiler, tree: Any) -> Statement:
    goal, columns = tree.this, None
    if type(goal).__name__ == "Schema":
        for part in goal.expressions:
            if type(part).__name__ != "ColumnDef":
                raise Unsupported("Table constraints", place=c.place(part))
        columns = tuple(field(c, part) for part in goal.expressions)
        goal = goal.this
    said = _properties(c, tree)
    temporary = bool(said.get("temporary"))
    if temporary:
        reference = TableReference(project=c.around.project, dataset=TEMPORARY, table=goal.name)
    else:
        reference = _reference(c, goal)
    definition = Definition(
        schema=columns,
        partitioning=said["partitioning"],
        clustering=said["clustering"],
        options=said["options"],
        replace=bool(tree.args.get("replace")),
        if_not_exists=bool(tree.args.get("exists")),
        temporary=temporary,
    )
    if (clone := tree.args.get("clone")) is not None:
        definition = replace(definition, like=_reference(c, clone.this), copy=True)
    elif said.get("like") is not None:
        definition = replace(definition, like=_reference(c, said["like"]))
    made: Statement
    if tree.expression is not None:
        sql, schema = _as_select(c, tree.expression, columns)
        made = Statement(
            kind=Kind.CREATE_TABLE_AS_SELECT,
            sql=sql,
            reads=c.reads,
            writes=reference,
            schema=schema,
            definition=replace(definition, schema=schema),
        )
    else:
        if columns is None and definition.like is None:
            raise InvalidQuery("CREATE TABLE needs columns, AS, LIKE, COPY or CLONE", place=c.place(tree))
        made = Statement(kind=Kind.CREATE_TABLE, writes=reference, definition=definition)
    if temporary:
        c.around.temporary[goal.name] = reference
    return made


def _as_select(c: Compiler, tree: Any, columns: Schema | None) -> tuple[str, Schema]:
    made = c.query(tree.this if type(tree).__name__ == "Subquery" else tree, None)
    if columns is None:
        return finished(_named(c, made, tree), unique=True)
    sql, outputs = spread(made)
    if len(outputs) != len(columns):
        raise InvalidQuery(
            f"Number of columns in the schema ({len(columns)}) and in the query ({len(outputs)}) differ",
            place=c.place(tree),
        )
    texts = []
    for output, column in zip(outputs, columns, strict=True):
        value = Value(f'"q".{output.sql}', output.kind, literal=output.literal, stored=output.stored)
        text = assign(c, value, of_field(column), column.name, c.place(tree)).sql
        if column.repeated and not output.stored:
            text = no_nulls(text, of_field(column), column.name)
        texts.append(f"{text} AS {quoted(column.name)}")
    return f'SELECT {", ".join(texts)} FROM ({sql}) AS "q"', columns


def _named(c: Compiler, made: Any, tree: Any) -> Any:
    for at, output in enumerate(made.columns, start=1):
        if not output.name and not made.whole:
            raise InvalidQuery(
                f"CREATE TABLE columns must be named, but column {at} has no name", place=c.place(tree)
            )
    return made


def _view(c: Compiler, tree: Any) -> Statement:
    goal, names = tree.this, []
    if type(goal).__name__ == "Schema":
        names, goal = [part.name for part in goal.expressions], goal.this
    said = _properties(c, tree)
    if tree.args.get("materialized") or said.get("temporary"):
        raise Unsupported("This kind of view", place=c.place(tree))
    made = c.query(tree.expression, None)
    _, schema = finished(_named(c, made, tree), unique=True) if not names else finished(made)
    text = c.query_text()
    if names:
        if len(names) != len(schema):
            raise InvalidQuery("View column name list has different size than the query", place=c.place(goal))
        schema = tuple(replace(one, name=name) for one, name in zip(schema, names, strict=True))
        listed = ", ".join(f"`{name}`" for name in names)
        text = f"WITH view_query({listed}) AS (\n{text}\n) SELECT * FROM view_query"
    definition = Definition(
        schema=schema,
        options=said["options"],
        view=text,
        replace=bool(tree.args.get("replace")),
        if_not_exists=bool(tree.args.get("exists")),
    )
    return Statement(
        kind=Kind.CREATE_VIEW, reads=c.reads, writes=_reference(c, goal), schema=schema, definition=definition
    )


def _dataset(c: Compiler, table: Any) -> TableReference:
    parts = [part.name for part in table.parts if part is not None and part.name]
    project = parts[0] if len(parts) > 1 else c.around.project
    return TableReference(project=project, dataset=parts[-1], table="")


def _schema(c: Compiler, tree: Any) -> Statement:
    said = _properties(c, tree)
    definition = Definition(options=said["options"], if_not_exists=bool(tree.args.get("exists")))
    return Statement(kind=Kind.CREATE_SCHEMA, writes=_dataset(c, tree.this), definition=definition)


def _function(c: Compiler, tree: Any) -> Statement:
    place = c.place(tree)
    said = _properties(c, tree)
    if (language := said.get("LanguageProperty")) is not None:
        raise Unsupported(
            f"A function in {language.name}",
            place=place,
            hint="Write it in SQL: CREATE TEMP FUNCTION f(x INT64) AS (x + 1)",
        )
    if not said.get("temporary"):
        raise Unsupported("CREATE FUNCTION without TEMP", place=place)
    parameters = []
    for part in tree.this.expressions:
        kind = part.args["kind"]
        any_type = getattr(kind.this, "name", "") == "VARIANT"
        parameters.append((part.name, None if any_type else type_of(c, kind)))
    returns = said.get("ReturnsProperty")
    name = tree.this.this.name
    body = tree.expression
    c.around.functions[name.casefold()] = Function(
        name=name,
        parameters=tuple(parameters),
        body=body,
        text=c.text,
        returns=type_of(c, returns) if returns is not None else None,
    )
    if all(kind is not None for _, kind in parameters):
        arguments = {
            known.casefold(): Value(f"CAST(NULL AS {kind.sql})", kind) for known, kind in parameters if kind
        }
        kept, c.reads = c.reads, {}
        c.value(body, Scope(arguments=arguments))
        c.reads = kept
    return Statement(kind=Kind.CREATE_FUNCTION)


def drop(c: Compiler, tree: Any) -> Statement:
    """DROP TABLE, VIEW, SCHEMA, SNAPSHOT TABLE."""
    kind = (tree.args.get("kind") or "").upper()
    tables = tree.args.get("tables") or ([tree.this] if tree.this is not None else [])
    if len(tables) != 1:
        raise InvalidQuery("DROP takes one name", place=c.place(tree))
    definition = Definition(if_exists=bool(tree.args.get("exists")), cascade=bool(tree.args.get("cascade")))
    if kind == "SCHEMA":
        return Statement(kind=Kind.DROP_SCHEMA, writes=_dataset(c, tables[0]), definition=definition)
    if kind not in ("TABLE", "VIEW"):
        raise Unsupported(f"DROP {kind}", place=c.place(tree))
    reference = _reference(c, tables[0])
    if reference.dataset == TEMPORARY:
        c.around.temporary.pop(reference.table, None)
    return Statement(
        kind=Kind.DROP_TABLE if kind == "TABLE" else Kind.DROP_VIEW, writes=reference, definition=definition
    )


def truncate(c: Compiler, tree: Any) -> Statement:
    """TRUNCATE TABLE."""
    if len(tree.expressions) != 1:
        raise InvalidQuery("TRUNCATE TABLE takes one table", place=c.place(tree))
    reference = _reference(c, tree.expressions[0])
    c.described(reference, c.place(tree))
    return Statement(kind=Kind.TRUNCATE_TABLE, writes=reference)


def alter(c: Compiler, tree: Any) -> Statement:
    """ALTER TABLE."""
    if (tree.args.get("kind") or "").upper() != "TABLE":
        raise Unsupported(f"ALTER {tree.args.get('kind')}", place=c.place(tree))
    reference = _reference(c, tree.this)
    exists = bool(tree.args.get("exists"))
    described = c.described(reference, c.place(tree))
    before = list(described.schema)
    pairs: list[tuple[Field | None, Field]] = [(one, one) for one in before]
    options: dict[str, Any] = {}
    rename, rewritten = "", False
    for action in tree.args.get("actions") or []:
        kind = type(action).__name__
        place = c.place(action)
        if kind == "ColumnDef":
            if any(new.name.casefold() == action.name.casefold() for _, new in pairs):
                if action.args.get("exists"):
                    continue
                raise InvalidQuery(f"Column already exists: {action.name}", place=place)
            made = field(c, action)
            if made.mode == "REQUIRED":
                raise InvalidQuery(
                    f"Cannot add required column {made.name} to an existing table", place=place
                )
            pairs.append((None, made))
            continue
        if kind == "AlterSet":
            for holder in action.expressions:
                for item in holder.expressions:
                    _option(c, item, options)
            continue
        if kind == "AlterRename":
            rename = action.this.name
            continue
        target = action.args["tables"][0] if kind == "Drop" else action.this
        found = [at for at, (_, new) in enumerate(pairs) if new.name.casefold() == target.name.casefold()]
        if not found:
            if action.args.get("exists"):
                continue
            raise InvalidQuery(f"Column not found: {target.name}", place=place)
        old, new = pairs[found[0]]
        if kind == "Drop":
            if len(pairs) == 1:
                raise InvalidQuery(f"Cannot drop the only column {new.name} of a table", place=place)
            del pairs[found[0]]
            rewritten = True
        elif kind == "RenameColumn":
            pairs[found[0]] = (old, replace(new, name=action.args["to"].name))
            rewritten = True
        elif kind == "AlterColumn":
            pairs[found[0]] = (old, _altered(c, action, new))
            rewritten = rewritten or action.args.get("dtype") is not None
        else:
            from mlengine.tables.sql.compiler import words

            raise Unsupported(words(action), place=place)
    schema = tuple(new for _, new in pairs)
    definition = Definition(schema=schema, options=options, if_exists=exists, rename=rename)
    sql = ""
    if rewritten:
        alias = c.read(reference)
        texts = []
        for old, new in pairs:
            kind_ = of_field(new)
            text = "NULL" if old is None else quoted(old.name)
            if old is None or old.type != new.type:
                text = f"CAST({text} AS {kind_.sql})"
            texts.append(f"{text} AS {quoted(new.name)}")
        sql = f"SELECT {', '.join(texts)} FROM {alias}"
    return Statement(kind=Kind.ALTER_TABLE, sql=sql, reads=c.reads, writes=reference, definition=definition)


def _altered(c: Compiler, action: Any, old: Field) -> Field:
    if (kind := action.args.get("dtype")) is not None:
        made = to_field(old.name, type_of(c, kind))
        widening = {
            ("INTEGER", "NUMERIC"),
            ("INTEGER", "BIGNUMERIC"),
            ("INTEGER", "FLOAT"),
            ("NUMERIC", "BIGNUMERIC"),
            ("NUMERIC", "FLOAT"),
        }
        if made.type != old.type and (old.type, made.type) not in widening:
            raise InvalidQuery(
                f"ALTER TABLE ALTER COLUMN SET DATA TYPE requires that the existing column type ({old.type}) "
                f"is assignable to the new type ({made.type})",
                place=c.place(action),
            )
        return replace(made, mode=old.mode, description=old.description, default=old.default)
    if action.args.get("drop") and action.args.get("allow_null") is not None:
        return replace(old, mode="NULLABLE")
    if action.args.get("default") is not None:
        return replace(old, default=_source(action.args["default"]))
    if action.args.get("drop"):
        return replace(old, default="")
    raise Unsupported("This change of a column", place=c.place(action))


__all__ = ["titles"]
