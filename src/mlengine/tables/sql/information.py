"""INFORMATION_SCHEMA: the catalogue as tables, written out into the query."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from mlengine.tables.schema import Field
from mlengine.tables.sql.compiler import Compiler
from mlengine.tables.sql.kinds import BOOL, INT64, STRING, TIMESTAMP, Type, of_field
from mlengine.tables.sql.plan import Described
from mlengine.tables.sql.problems import InvalidQuery, Unsupported
from mlengine.tables.sql.values import Column, Relation, Value
from mlengine.tables.types import literal as text_literal
from mlengine.tables.types import quoted

Rows = list[tuple[Any, ...]]
_COLUMNS: dict[str, tuple[tuple[str, Type], ...]] = {
    "SCHEMATA": (
        ("catalog_name", STRING),
        ("schema_name", STRING),
        ("schema_owner", STRING),
        ("creation_time", TIMESTAMP),
        ("last_modified_time", TIMESTAMP),
        ("location", STRING),
    ),
    "TABLES": (
        ("table_catalog", STRING),
        ("table_schema", STRING),
        ("table_name", STRING),
        ("table_type", STRING),
        ("is_insertable_into", STRING),
        ("is_typed", STRING),
        ("creation_time", TIMESTAMP),
    ),
    "COLUMNS": (
        ("table_catalog", STRING),
        ("table_schema", STRING),
        ("table_name", STRING),
        ("column_name", STRING),
        ("ordinal_position", INT64),
        ("is_nullable", STRING),
        ("data_type", STRING),
        ("is_hidden", STRING),
        ("is_partitioning_column", STRING),
        ("clustering_ordinal_position", INT64),
        ("column_default", STRING),
    ),
    "COLUMN_FIELD_PATHS": (
        ("table_catalog", STRING),
        ("table_schema", STRING),
        ("table_name", STRING),
        ("column_name", STRING),
        ("field_path", STRING),
        ("data_type", STRING),
        ("description", STRING),
    ),
    "VIEWS": (
        ("table_catalog", STRING),
        ("table_schema", STRING),
        ("table_name", STRING),
        ("view_definition", STRING),
        ("use_standard_sql", STRING),
    ),
}


def view(c: Compiler, parts: list[str], alias: str, place: Any) -> tuple[str, Relation]:
    """One view of INFORMATION_SCHEMA as a relation."""
    name = parts[-1].split(".")[-1].upper()
    if name not in _COLUMNS:
        raise Unsupported(f"INFORMATION_SCHEMA.{name}", place=place)
    project, dataset = c.around.project, ""
    before = parts[:-1]
    if len(before) == 2:
        project, dataset = before
    elif len(before) == 1:
        dataset = before[0]
    if dataset.lower().startswith("region-"):
        dataset = ""
    if not dataset and name != "SCHEMATA" and not before:
        if c.around.default is None:
            raise InvalidQuery(
                f"INFORMATION_SCHEMA.{name} must be qualified with a dataset or region", place=place
            )
        dataset = c.around.default.dataset
    rows = _rows(c, name, project, dataset)
    columns = _COLUMNS[name]
    internal = quoted(c.name("r"))
    empty = ", ".join(f"CAST(NULL AS {kind.sql})" for _, kind in columns)
    listed = ", ".join(
        "(" + ", ".join(_literal(value, kind) for value, (_, kind) in zip(row, columns, strict=True)) + ")"
        for row in rows
    )
    header = ", ".join(quoted(column) for column, _ in columns)
    body = f"SELECT * FROM (VALUES {listed}) AS v" if rows else f"SELECT {empty} WHERE false"
    seen = tuple(Column(column, Value(f"{internal}.{quoted(column)}", kind)) for column, kind in columns)
    return f"({body}) AS {internal}({header})", Relation(alias or name, seen)


def _literal(value: Any, kind: Type) -> str:
    if value is None:
        return f"CAST(NULL AS {kind.sql})"
    if kind is INT64:
        return f"{int(value)}::BIGINT"
    if kind is BOOL:
        return "true" if value else "false"
    if kind is TIMESTAMP:
        moment = datetime.fromtimestamp(int(value) / 1000, UTC)
        return f"CAST('{moment:%Y-%m-%d %H:%M:%S.%f}+00' AS TIMESTAMPTZ)"
    return text_literal(str(value))


def _rows(c: Compiler, name: str, project: str, dataset: str) -> Rows:
    catalogue = c.around.catalogue
    if name == "SCHEMATA":
        return [
            (
                project,
                one["datasetReference"]["datasetId"],
                None,
                one.get("creationTime"),
                one.get("lastModifiedTime"),
                one.get("location"),
            )
            for one in catalogue.datasets(project)
        ]
    names = (
        [dataset]
        if dataset
        else [one["datasetReference"]["datasetId"] for one in catalogue.datasets(project)]
    )
    tables = [table for one in names for table in catalogue.tables(project, one)]
    return [row for table in tables for row in _of_table(name, table)]


def _of_table(name: str, table: Described) -> Rows:
    own = table.reference
    first = (own.project, own.dataset, own.table)
    if name == "TABLES":
        kind = {"TABLE": "BASE TABLE"}.get(table.kind, table.kind)
        return [
            (*first, kind, "YES" if table.kind == "TABLE" else "NO", "NO", table.resource.get("creationTime"))
        ]
    if name == "VIEWS":
        return [(*first, table.view, "YES")] if table.view else []
    if name == "COLUMN_FIELD_PATHS":
        return [
            (*first, field.name, path, str(of_field(inner)), inner.description or None)
            for field in table.schema
            for path, inner in _paths(field, field.name)
        ]
    divided = str(
        (table.partitioning.get("timePartitioning") or table.partitioning.get("rangePartitioning") or {}).get(
            "field"
        )
        or ""
    )
    return [
        (
            *first,
            field.name,
            at,
            "NO" if field.mode == "REQUIRED" else "YES",
            _declared(field),
            "NO",
            "YES" if divided and divided == field.name else "NO",
            table.clustering.index(field.name) + 1 if field.name in table.clustering else None,
            field.default or "NULL",
        )
        for at, field in enumerate(table.schema, start=1)
    ]


def _declared(field: Field) -> str:
    kind = of_field(field)
    if kind.limits:
        return f"{kind}({', '.join(str(limit) for limit in kind.limits)})"
    return str(kind)


def _paths(field: Field, path: str) -> list[tuple[str, Field]]:
    found = [(path, field)]
    for inner in field.fields:
        found += _paths(inner, f"{path}.{inner.name}")
    return found
