"""DDL: what statements say about tables, views and datasets themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from mlengine.errors import AlreadyExists, InvalidArgument, NotFound
from mlengine.tables import store
from mlengine.tables.catalogue import CallersCatalogue, May
from mlengine.tables.domain import Content, Segment, Table, check_schema
from mlengine.tables.schema import Schema, TableReference
from mlengine.tables.service import Manner, TableService
from mlengine.tables.sql.plan import TEMPORARY, Definition, Kind, Statement
from mlengine.tables.wire import expiration, merged, said_of_dataset, said_of_table


class Definitions:
    """Carries DDL statements out.

    Args:
        temporary: The script's own tables, by name in small letters.
        view_schema: The columns that a view with a query has.
    """

    def __init__(
        self,
        service: TableService,
        catalogue: CallersCatalogue,
        may: May,
        temporary: dict[str, Table],
        view_schema: Callable[[str], Schema],
    ) -> None:
        self._service = service
        self._catalogue = catalogue
        self._may = may
        self._temporary = temporary
        self._view_schema = view_schema

    def run(self, statement: Statement) -> str:
        """Carry one out; BigQuery's word for what was done: CREATE, REPLACE, SKIP, ALTER, DROP."""
        where, what = statement.writes, statement.definition
        if where is None:
            raise InvalidArgument(f"{statement.kind} names nothing.")
        match statement.kind:
            case Kind.CREATE_TABLE:
                return self._create_table(where, what)
            case Kind.CREATE_VIEW:
                return self._create_view(where, what)
            case Kind.DROP_TABLE | Kind.DROP_VIEW:
                return self._drop(where, what, statement.kind)
            case Kind.ALTER_TABLE:
                return self._alter(where, what)
            case Kind.CREATE_SCHEMA:
                return self._create_schema(where, what)
            case Kind.DROP_SCHEMA:
                return self._drop_schema(where, what)
        raise InvalidArgument(f"{statement.kind} is not supported.")

    def create_as(self, statement: Statement, content: Callable[[], tuple[Schema, Segment]]) -> str:
        """CREATE TABLE … AS SELECT."""
        where, what = statement.writes, statement.definition
        if where is None:
            raise InvalidArgument("CREATE TABLE names no table.")
        old = self._before(where, what)
        if old is not None and not what.replace:
            return "SKIP"
        schema, segment = content()
        self._put(where, what, schema, old, (segment,) if segment.rows else ())
        return "CREATE" if old is None else "REPLACE"

    def _create_table(self, where: TableReference, what: Definition) -> str:
        old = self._before(where, what)
        if old is not None and not what.replace:
            return "SKIP"
        schema = what.schema or ()
        segments: tuple[Segment, ...] = ()
        said: dict[str, Any] = {}
        if what.like is not None:
            like = self._catalogue.table(what.like)
            schema, said = like.schema, dict(like.said)
            segments = like.content.segments if what.copy else ()
        self._put(where, what, schema, old, segments, said)
        return "CREATE" if old is None else "REPLACE"

    def _before(self, where: TableReference, what: Definition) -> Table | None:
        """The table of this name, which is none that is in the way."""
        if what.temporary or where.dataset == TEMPORARY:
            old = self._temporary.get(where.table.lower())
        else:
            self._may("bigquery.tables.create", where.project)
            old = self._service.find(where)
            if old is None:
                self._service.dataset(where.project, where.dataset)
        if old is not None and not (what.replace or what.if_not_exists):
            raise AlreadyExists(f"Already Exists: Table {where}")
        return old

    def _put(
        self,
        where: TableReference,
        what: Definition,
        schema: Schema,
        old: Table | None,
        segments: tuple[Segment, ...],
        inherited: Mapping[str, Any] | None = None,
    ) -> None:
        check_schema(schema)
        said, expires = _said(what)
        said = dict(inherited or {}) | said
        if what.temporary or where.dataset == TEMPORARY:
            now = self._service.now()
            self._temporary[where.table.lower()] = Table(
                uid=store.new_uid(),
                reference=replace(where.now, dataset=TEMPORARY),
                created=now,
                updated=now,
                schema=schema,
                content=Content(segments=segments),
            )
            return
        if old is not None and old.kind != "TABLE":
            raise InvalidArgument(f"{where} is a {old.kind.lower()}, not a table.")
        self._service.write(
            where,
            schema=schema,
            segments=segments,
            manner=Manner(write="WRITE_TRUNCATE", said=said, expires=expires),
            base=old,
        )

    def _create_view(self, where: TableReference, what: Definition) -> str:
        old = self._before(where, what)
        if old is not None and not what.replace:
            return "SKIP"
        schema = self._view_schema(what.view)
        if what.schema:  # its own names for the columns
            if len(what.schema) != len(schema):
                raise InvalidArgument(f"The view names {len(what.schema)} columns, its query {len(schema)}.")
            schema = tuple(replace(one, name=own.name) for one, own in zip(schema, what.schema, strict=True))
        said, expires = _said(what)
        if old is not None:
            if old.kind != "VIEW":
                raise InvalidArgument(f"{where} is a {old.kind.lower()}, not a view.")
            self._service.delete_table(where)
        self._service.create_table(where, schema=schema, view=what.view, said=said, expires=expires)
        return "CREATE" if old is None else "REPLACE"

    def _drop(self, where: TableReference, what: Definition, kind: Kind) -> str:
        if where.dataset == TEMPORARY and self._temporary.pop(where.table.lower(), None) is not None:
            return "DROP"
        self._may("bigquery.tables.delete", where.project)
        old = self._service.find(where)
        if old is None and what.if_exists:
            return "SKIP"
        if old is None:
            raise NotFound(f"Not found: Table {where}")
        if (old.kind == "VIEW") != (kind is Kind.DROP_VIEW):
            raise InvalidArgument(f"{where} is a {old.kind.lower()}.", hint=f"Use DROP {old.kind}.")
        self._service.delete_table(where)
        return "DROP"

    def _alter(self, where: TableReference, what: Definition) -> str:
        self._may("bigquery.tables.update", where.project)
        if self._service.find(where) is None and what.if_exists:
            return "SKIP"
        if what.rename:
            self._service.rename_table(where, what.rename)
        else:
            said, expires = _said(what)
            new = what.schema

            def change(old: Table) -> Table:
                return replace(
                    old,
                    schema=old.schema if new is None else new,
                    said=merged(old.said, said),
                    expires=expires if "expirationTime" in what.options else old.expires,
                )

            self._service.change_table(where, change)
        return "ALTER"

    def _create_schema(self, where: TableReference, what: Definition) -> str:
        self._may("bigquery.datasets.create", where.project)
        options = dict(what.options)
        location = str(options.pop("location", "US"))
        try:
            self._service.create_dataset(
                where.project, where.dataset, location=location, said=said_of_dataset(options)
            )
        except AlreadyExists:
            if what.if_not_exists:
                return "SKIP"
            raise
        return "CREATE"

    def _drop_schema(self, where: TableReference, what: Definition) -> str:
        self._may("bigquery.datasets.delete", where.project)
        try:
            self._service.delete_dataset(where.project, where.dataset, contents=what.cascade)
        except NotFound:
            if what.if_exists:
                return "SKIP"
            raise
        return "DROP"


def _said(what: Definition) -> tuple[dict[str, Any], datetime | None]:
    """What OPTIONS, PARTITION BY and CLUSTER BY say, as a resource would."""
    resource: dict[str, Any] = {**what.options, **what.partitioning}
    if what.clustering:
        resource["clustering"] = {"fields": list(what.clustering)}
    return said_of_table(resource), expiration(resource)
