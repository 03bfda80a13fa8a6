"""Queries: a script's statements one after the other, each in a DuckDB of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

from mlengine.errors import Conflict, InvalidArgument, NotFound, Problem
from mlengine.tables.catalogue import CallersCatalogue, May
from mlengine.tables.domain import RESULTS, Content, Segment, Table, check_schema
from mlengine.tables.engine import Brake, Engine, Sandbox, Stopped, write_parquet
from mlengine.tables.scans import scan, stored
from mlengine.tables.schema import Field, Schema, TableReference
from mlengine.tables.segments import Segments
from mlengine.tables.service import RESULTS_FOR, Manner, TableService, planned
from mlengine.tables.sql.plan import TEMPORARY, Kind, Outcome, Plan, Statement
from mlengine.tables.statements import Definitions
from mlengine.tables.types import column_type, literal, quoted, schema_of

_DML = (Kind.INSERT, Kind.UPDATE, Kind.DELETE, Kind.MERGE)
_ATTEMPTS = 5  # to change a table that others change, too
_MOST_VALUES = 10_000  # rows that a script can ask for as values
_UNKNOWN = (Field(name="unknown", type="STRING"),)  # the columns of a query that has not been read yet


@dataclass(slots=True, kw_only=True)
class Answer:
    """What a query has given.

    Attributes:
        kind: The statement's; "SCRIPT" for several.
        table: Where the rows of the last SELECT are; None if there was none.
        affected: Rows the last DML statement changed; None if there was none.
        target: The table that DDL or DML was about.
        operation: Of DDL: CREATE, SKIP, REPLACE, ALTER or DROP.
        read: Tables that were read, each with its version.
        size: Bytes of the tables that were read.
        dml: insertedRowCount, updatedRowCount, deletedRowCount.
        plan: How the rows of the last SELECT were found, drawn as a tree.
    """

    kind: str = ""
    table: Table | None = None
    affected: int | None = None
    target: TableReference | None = None
    operation: str = ""
    read: dict[TableReference, int] = field(default_factory=dict)
    size: int = 0
    dml: dict[str, int] = field(default_factory=dict)
    plan: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A script, and how it is to be run.

    Attributes:
        destination: Where the rows of a SELECT go; None for a table of its own that ends after a day.
        job_id: Names that table.
        default: The dataset of tables without one; its `table` is empty.
        most_bytes: Most bytes that may be read; None for any number.
    """

    text: str
    project: str
    job_id: str
    parameters: Sequence[Mapping[str, Any]] = ()
    default: TableReference | None = None
    destination: TableReference | None = None
    manner: Manner = field(default_factory=lambda: Manner(write="WRITE_EMPTY"))
    most_bytes: int | None = None


class QueryRunner:
    """Runs queries."""

    def __init__(self, service: TableService, segments: Segments, engine: Engine) -> None:
        self._service = service
        self._segments = segments
        self._engine = engine

    def run(self, query: Query, may: May, brake: Brake) -> Answer:
        """Run a script to its end.

        Raises:
            Problem: as the first statement that failed and was not handled says.
        """
        return _Run(self._service, self._segments, self._engine, query, may, brake).run()

    def look(self, query: Query, may: May) -> tuple[Answer, Schema]:
        """What a query would give, without running it: a dry run. Of a script, its first statement."""
        run = _Run(self._service, self._segments, self._engine, query, may, Brake())
        return run.look()


class _Run:
    """One script."""

    def __init__(
        self,
        service: TableService,
        segments: Segments,
        engine: Engine,
        query: Query,
        may: May,
        brake: Brake,
    ) -> None:
        self._service = service
        self._segments = segments
        self._engine = engine
        self._query = query
        self._may = may
        self._brake = brake
        self._temporary: dict[str, Table] = {}
        self._catalogue = CallersCatalogue(service, may, self._temporary)
        self._definitions = Definitions(service, self._catalogue, may, self._temporary, self.view_schema)
        self._answer = Answer()

    def run(self) -> Answer:
        """Carry the steps out, and tell the script what each gave."""
        plan = self._plan()
        steps = plan.steps()
        # What the script itself makes is not collected while it runs.
        with ExitStack() as kept:
            try:
                statement = next(steps)
                while True:
                    self._brake.check()
                    problem: Problem | None = None
                    try:
                        outcome = self._one(statement, kept)
                    except (Stopped, NotImplementedError):
                        raise
                    except Problem as error:
                        problem, outcome = error, Outcome(problem=str(error))
                    try:
                        statement = steps.send(outcome)
                    except StopIteration:
                        if problem is not None:
                            raise problem from None
                        raise
            except StopIteration:
                pass
            finally:
                steps.close()
        if plan.script:
            self._answer.kind = "SCRIPT"
        return self._answer

    def look(self) -> tuple[Answer, Schema]:
        """What the first statement would do."""
        plan = self._plan()
        steps = plan.steps()
        try:
            statement = next(steps, None)
            if statement is None:
                return self._answer, ()
            self._answer.kind = "SCRIPT" if plan.script else statement.kind.value
            reads = self._reads(statement)
            schema: Schema = ()
            if statement.sql and statement.kind in (Kind.SELECT, Kind.CREATE_TABLE_AS_SELECT):
                with self._engine.sandbox() as sandbox:
                    sandbox.equip(statement.sql)
                    sandbox.prepare([*self._views(reads, empty=True), *statement.before])
                    schema = statement.schema or schema_of(sandbox.columns(statement.sql))
            elif statement.sql and statement.kind in _DML:
                target = self._target(statement)
                with self._engine.sandbox() as sandbox:
                    copy = self._copy_of(target, statement.target, empty=True)
                    sandbox.equip(statement.sql)
                    sandbox.prepare([*self._views(reads, empty=True), copy, *statement.before])
                    sandbox.rows(f"EXPLAIN {statement.sql}")
            self._answer.target = statement.writes
            return self._answer, schema
        finally:
            steps.close()

    def view_schema(self, text: str) -> Schema:
        """The columns that a view with this query has."""
        query = replace(self._query, text=text, parameters=())
        run = _Run(self._service, self._segments, self._engine, query, self._may, self._brake)
        answer, schema = run.look()
        if answer.kind != Kind.SELECT:
            raise InvalidArgument("A view must be one SELECT statement.")
        return schema

    def _plan(self) -> Plan:
        from mlengine.tables.sql import translate

        query = self._query
        return translate(
            query.text,
            catalogue=self._catalogue,
            parameters=query.parameters,
            default_dataset=query.default,
            project=query.project,
        )

    def _one(self, statement: Statement, kept: ExitStack) -> Outcome:
        kind = statement.kind
        if kind is Kind.EXPRESSION:
            return self._values(statement)
        if kind is Kind.ASSERT:
            return self._assert(statement)
        self._answer.kind = kind.value
        if kind is Kind.SELECT:
            self._answer.table = self._select(statement)
            return Outcome()
        self._answer.target = statement.writes
        if kind in _DML:
            self._answer.affected = self._change(statement)
            return Outcome(affected=self._answer.affected)
        if kind is Kind.CREATE_TABLE_AS_SELECT:
            self._answer.operation = self._definitions.create_as(
                statement, lambda: self._content(statement, kept)
            )
        elif kind is Kind.ALTER_TABLE and statement.sql:
            self._alter(statement, kept)
            self._answer.operation = "ALTER"
        elif kind is Kind.TRUNCATE_TABLE:
            self._answer.affected = self._truncate(statement)
            return Outcome(affected=self._answer.affected)
        elif kind is not Kind.CREATE_FUNCTION:
            self._answer.operation = self._definitions.run(statement)
        return Outcome()

    def _values(self, statement: Statement) -> Outcome:
        """Every value as a literal that gives the very same again."""
        reads = self._reads(statement)
        with ExitStack() as stack:
            sandbox = self._sandbox(stack, statement, reads)
            columns = sandbox.columns(statement.sql)
            parts = ", ".join(
                f"CASE WHEN {quoted(name)} IS NULL THEN NULL ELSE CAST({quoted(name)} AS VARCHAR) END"
                for name, _ in columns
            )
            rows = sandbox.rows(f"SELECT {parts} FROM ({statement.sql})", most=_MOST_VALUES + 1)
        if len(rows) > _MOST_VALUES:
            raise InvalidArgument(f"A script can ask for {_MOST_VALUES} rows at most.")
        kinds = [kind for _, kind in columns]
        return Outcome(
            rows=tuple(
                tuple(
                    f"CAST({'NULL' if value is None else literal(value)} AS {kind})"
                    for value, kind in zip(row, kinds, strict=True)
                )
                for row in rows
            ),
            truths=tuple(
                tuple(
                    value == "true" if kind == "BOOLEAN" and value is not None else None
                    for value, kind in zip(row, kinds, strict=True)
                )
                for row in rows
            ),
        )

    def _assert(self, statement: Statement) -> Outcome:
        with ExitStack() as stack:
            rows = self._sandbox(stack, statement, self._reads(statement)).rows(statement.sql)
        if not rows or rows[0][0] is not True:
            words = statement.definition.options.get("description") or "Assertion failed"
            raise InvalidArgument(str(words))
        return Outcome()

    def _select(self, statement: Statement) -> Table:
        """Rows into the destination, or into a table of the job's own."""
        query = self._query
        destination, manner = query.destination, query.manner
        if destination is None:
            destination = TableReference(project=query.project, dataset=RESULTS, table=query.job_id)
            manner = Manner(write="WRITE_TRUNCATE", expires=self._service.now() + RESULTS_FOR)
        else:
            self._may("bigquery.tables.updateData", destination.project)
        for attempt in range(_ATTEMPTS):
            base = self._service.find(destination)
            if query.destination is not None:
                planned(base, None if base and base.schema else _UNKNOWN, manner, destination)
            with ExitStack() as kept:
                schema, segment = self._content(statement, kept, hidden=destination.dataset == RESULTS)
                if query.destination is not None:
                    schema = planned(base, schema, manner, destination)
                try:
                    return self._service.write(
                        destination,
                        schema=schema,
                        segments=[segment] if segment.rows else [],
                        manner=manner,
                        base=base,
                    )
                except Conflict:
                    if attempt == _ATTEMPTS - 1:
                        raise
        raise AssertionError

    def _content(
        self, statement: Statement, kept: ExitStack, *, hidden: bool = False
    ) -> tuple[Schema, Segment]:
        """What a query gives, in a sealed segment that is pinned until `kept` ends."""
        reads = self._reads(statement)
        key, path = kept.enter_context(self._segments.landing())
        with ExitStack() as stack:
            sandbox = self._sandbox(stack, statement, reads, writable=path)
            told = sandbox.columns(statement.sql)
            self._answer.plan = sandbox.plan(statement.sql)
            schema = statement.definition.schema or statement.schema or schema_of(told)
            if not hidden:
                check_schema(schema)
            if len(schema) != len(told):
                raise InvalidArgument(f"The query has {len(told)} columns, but the table {len(schema)}.")
            names = ", ".join(quoted(one.name) for one in schema)
            source = f"SELECT * FROM ({statement.sql}) AS rows({names})"
            rows = sandbox.count(write_parquet(stored(schema, source), path))
        size = self._segments.seal(key, path)
        columns = tuple(one.name for one in schema)
        return schema, Segment(key=key, rows=rows, size=size, columns=columns)

    def _change(self, statement: Statement) -> int:
        """INSERT adds a segment; the others write the table anew."""
        for attempt in range(_ATTEMPTS):
            table = self._target(statement)
            try:
                return self._change_once(statement, table)
            except Conflict:
                if attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError

    def _change_once(self, statement: Statement, table: Table) -> int:
        inserts = statement.kind is Kind.INSERT
        reads = self._reads(statement)
        with ExitStack() as stack:
            key, path = stack.enter_context(self._segments.landing())
            sandbox = self._sandbox(
                stack,
                statement,
                reads,
                writable=path,
                also=table if not inserts else None,
                target=self._copy_of(table, statement.target, empty=inserts),
            )
            affected = sandbox.count(statement.sql)
            name = quoted(statement.target)
            self._check_required(sandbox, table.schema, name)
            rows = sandbox.count(write_parquet(stored(table.schema, f"SELECT * FROM {name}"), path))
            if not affected:
                return 0
            size = self._segments.seal(key, path) if rows else 0
            columns = tuple(one.name for one in table.schema)
            fresh = [Segment(key=key, rows=rows, size=size, columns=columns)] if rows else []
            if table.reference.dataset == TEMPORARY:
                kept = table.content.segments if inserts else ()
                content = Content(segments=(*kept, *fresh))
                self._temporary[table.reference.table.lower()] = replace(table, content=content)
            elif inserts:
                self._service.append(table, fresh[0])
            else:
                self._service.rewrite(table, segments=fresh)
        names = {
            Kind.INSERT: "insertedRowCount",
            Kind.UPDATE: "updatedRowCount",
            Kind.DELETE: "deletedRowCount",
        }
        if statement.kind in names:
            self._answer.dml = {names[statement.kind]: affected}
        return affected

    def _truncate(self, statement: Statement) -> int:
        table = self._target(statement)
        if table.reference.dataset == TEMPORARY:
            self._temporary[table.reference.table.lower()] = replace(table, content=Content())
        else:
            self._service.rewrite(table, segments=[])
        self._answer.dml = {"deletedRowCount": table.content.rows}
        return table.content.rows

    def _alter(self, statement: Statement, kept: ExitStack) -> None:
        table = self._target(statement, "bigquery.tables.update")
        schema, segment = self._content(statement, kept)
        self._service.rewrite(table, segments=[segment] if segment.rows else [], schema=schema)

    def _check_required(self, sandbox: Sandbox, schema: Schema, name: str) -> None:
        for one in schema:
            if one.mode == "REQUIRED":
                found = sandbox.rows(f"SELECT 1 FROM {name} WHERE {quoted(one.name)} IS NULL", most=1)
                if found:
                    raise InvalidArgument(f"Required field {one.name} cannot be null")

    def _target(self, statement: Statement, permission: str = "bigquery.tables.updateData") -> Table:
        if statement.writes is None:
            raise NotFound("The statement names no table.")
        if statement.writes.dataset != TEMPORARY:
            self._may(permission, statement.writes.project)
        table = self._catalogue.table(statement.writes)
        if table.kind != "TABLE":
            raise InvalidArgument(f"{table.reference} is a {table.kind.lower()}, and cannot be changed.")
        return table

    def _reads(self, statement: Statement) -> dict[str, Table]:
        found = {alias: self._catalogue.table(reference) for alias, reference in statement.reads.items()}
        for table in found.values():
            if table.reference not in self._answer.read:
                self._answer.size += table.content.size
            self._answer.read[table.reference] = table.version
        most = self._query.most_bytes
        if most is not None and self._answer.size > most:
            raise InvalidArgument(
                f"Query exceeded limit for bytes billed: {most}. {self._answer.size} or higher required."
            )
        return found

    def _views(self, reads: Mapping[str, Table], *, empty: bool = False) -> list[str]:
        return [
            f"CREATE VIEW {quoted(alias)} AS "
            + scan(table.schema, Content() if empty else table.content, self._segments.path)
            for alias, table in reads.items()
        ]

    def _copy_of(self, table: Table, name: str, *, empty: bool) -> str:
        columns = ", ".join(f"{quoted(one.name)} {column_type(one)}" for one in table.schema)
        if empty:
            return f"CREATE TABLE {quoted(name)} ({columns})"
        source = scan(table.schema, table.content, self._segments.path)
        return f"CREATE TABLE {quoted(name)} AS {source}"

    def _sandbox(
        self,
        stack: ExitStack,
        statement: Statement,
        reads: Mapping[str, Table],
        *,
        writable: Any = None,
        also: Table | None = None,
        target: str = "",
    ) -> Sandbox:
        tables = [*reads.values(), *([also] if also else [])]
        keys = {segment.key for table in tables for segment in table.content.segments}
        stack.enter_context(self._segments.pinned(keys))
        sandbox: Sandbox = stack.enter_context(
            self._engine.sandbox(
                readable=[self._segments.path(key) for key in keys],
                writable=[writable] if writable else [],
                brake=self._brake,
            )
        )
        sandbox.equip(statement.sql)
        sandbox.prepare([*self._views(reads), *([target] if target else []), *statement.before])
        return sandbox
