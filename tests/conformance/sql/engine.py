"""The least that runs a plan: tables in a DuckDB in memory, so that the list tests the SQL and nothing else."""

# ruff: noqa: E501 (SQL is easier to read in one piece)

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import duckdb

from mlengine.errors import AlreadyExists, NotFound
from mlengine.tables.schema import Field, Schema, TableReference
from mlengine.tables.sql import translate
from mlengine.tables.sql.plan import TEMPORARY, Described, Kind, Outcome, Statement
from mlengine.tables.sql.problems import in_bigquery_words
from mlengine.tables.sql.session import prepare
from mlengine.tables.types import column_type, literal, quoted

PROJECT = "p"


class Engine:
    """Datasets and tables in memory; dataset `d` is there from the start."""

    def __init__(self) -> None:
        self.connection = duckdb.connect(
            config={"enable_external_access": "false", "autoinstall_known_extensions": "false"}
        )
        prepare(self.connection)
        self.clear()

    def clear(self) -> None:
        """Forget all tables."""
        self.found: dict[tuple[str, str], Described] = {}
        self.names = {"d"}
        self.count = 0

    def find(self, table: TableReference) -> Described:
        if (table.dataset, table.table) not in self.found:
            raise NotFound(f"Not found: Table {table} was not found in location US")
        return self.found[table.dataset, table.table]

    def tables(self, project: str, dataset: str) -> Sequence[Described]:
        if dataset not in self.names:
            raise NotFound(f"Not found: Dataset {project}:{dataset} was not found in location US")
        return [self.found[key] for key in sorted(self.found) if key[0] == dataset]

    def datasets(self, project: str) -> Sequence[Mapping[str, Any]]:
        return [
            {"datasetReference": {"projectId": project, "datasetId": name}, "creationTime": "0"}
            for name in sorted(self.names)
        ]

    def run(
        self, script: str, parameters: Sequence[Mapping[str, Any]] = ()
    ) -> tuple[list[list[Any]], Schema]:
        """The rows of the last SELECT, as JSON has them, and their columns."""
        plan = translate(script, catalogue=self, parameters=parameters, project=PROJECT)
        steps = plan.steps()
        rows: list[list[Any]] = []
        schema: Schema = ()
        outcome: Outcome | None = None
        failed: duckdb.Error | None = None
        while True:
            try:
                statement = steps.send(outcome) if outcome is not None else next(steps)
            except StopIteration:
                if failed is not None:
                    raise RuntimeError(in_bigquery_words(failed)) from None
                return rows, schema
            failed = None
            try:
                outcome = self.step(statement)
                if statement.kind is Kind.SELECT:
                    rows, schema = self.rows, statement.schema or ()
            except duckdb.Error as problem:
                failed = problem
                outcome = Outcome(problem=in_bigquery_words(problem))

    def step(self, statement: Statement) -> Outcome:
        """Run one statement."""
        for name, reference in statement.reads.items():
            key = (reference.dataset, reference.table)
            self.connection.execute(
                f"CREATE OR REPLACE TEMP VIEW {quoted(name)} AS SELECT * FROM {self._store(key)}"
            )
        kind = statement.kind
        if kind in (Kind.SELECT, Kind.EXPRESSION, Kind.ASSERT):
            if kind is Kind.EXPRESSION:
                return self._values(statement)
            if kind is Kind.ASSERT:
                self.connection.execute(statement.sql).fetchall()
            else:
                self.rows = self._shown(statement.sql, statement.schema or ())
            return Outcome()
        if kind in (Kind.INSERT, Kind.UPDATE, Kind.DELETE, Kind.MERGE):
            return self._change(statement)
        return self._define(statement)

    def _store(self, key: tuple[str, str]) -> str:
        return quoted(f"store.{key[0]}.{key[1]}")

    def _values(self, statement: Statement) -> Outcome:
        relation = self.connection.execute(statement.sql)
        columns = [entry[0] for entry in relation.description or []]
        raw = relation.fetchall()
        parts = [f"{quoted(name)}" for name in columns]
        texts = self.connection.execute(
            f"SELECT {', '.join(f'CAST({part} AS VARCHAR)' for part in parts)} FROM ({statement.sql})"
        ).fetchall()
        rows = tuple(tuple("NULL" if text is None else literal(text) for text in row) for row in texts)
        truths = tuple(tuple(value if isinstance(value, bool) else None for value in row) for row in raw)
        return Outcome(rows=rows, truths=truths)

    def _change(self, statement: Statement) -> Outcome:
        assert statement.writes is not None
        key = (statement.writes.dataset, statement.writes.table)
        target = quoted(statement.target)
        columns = ", ".join(
            f"{quoted(f.name)} {column_type(f)}{' NOT NULL' if f.mode == 'REQUIRED' else ''}"
            for f in self.found[key].schema
        )
        self.connection.execute(f"CREATE OR REPLACE TEMP TABLE {target} ({columns})")
        self.connection.execute(f"INSERT INTO {target} SELECT * FROM {self._store(key)}")
        counted = self.connection.execute(statement.sql).fetchone()
        self.connection.execute(f"CREATE OR REPLACE TABLE {self._store(key)} AS SELECT * FROM {target}")
        return Outcome(affected=int(counted[0]) if counted else 0)

    def _define(self, statement: Statement) -> Outcome:
        kind, said, goal = statement.kind, statement.definition, statement.writes
        if kind is Kind.CREATE_FUNCTION:
            return Outcome()
        assert goal is not None
        key = (goal.dataset, goal.table)
        if kind is Kind.CREATE_SCHEMA:
            if goal.dataset in self.names and not said.if_not_exists:
                raise AlreadyExists(f"Already Exists: Dataset {goal.project}:{goal.dataset}")
            self.names.add(goal.dataset)
            return Outcome()
        if kind is Kind.DROP_SCHEMA:
            self.names.discard(goal.dataset)
            return Outcome()
        if kind in (Kind.DROP_TABLE, Kind.DROP_VIEW):
            if key not in self.found and not said.if_exists:
                raise NotFound(f"Not found: Table {goal}")
            self.found.pop(key, None)
            return Outcome()
        if kind is Kind.TRUNCATE_TABLE:
            self.connection.execute(f"DELETE FROM {self._store(key)}")
            return Outcome()
        if kind is Kind.ALTER_TABLE:
            return self._alter(statement, key)
        if goal.dataset not in self.names and goal.dataset != TEMPORARY:
            raise NotFound(f"Not found: Dataset {goal.project}:{goal.dataset} was not found in location US")
        if key in self.found and not said.replace:
            if said.if_not_exists:
                return Outcome()
            raise AlreadyExists(f"Already Exists: Table {goal}")
        schema = said.schema or statement.schema or ()
        if said.like is not None:
            schema = self.find(said.like).schema
        body = statement.sql
        if kind is not Kind.CREATE_VIEW:
            if not body:
                nothing = ", ".join(f"CAST(NULL AS {column_type(f)}) AS {quoted(f.name)}" for f in schema)
                body = f"SELECT {nothing} WHERE false"
                if said.like is not None and said.copy:
                    body = f"SELECT * FROM {self._store((said.like.dataset, said.like.table))}"
            self.connection.execute(f"CREATE OR REPLACE TABLE {self._store(key)} AS {body}")
        self.count += 1
        self.found[key] = Described(
            reference=goal,
            schema=schema,
            kind="VIEW" if said.view else "TABLE",
            view=said.view,
            partitioning=said.partitioning,
            clustering=said.clustering,
            resource={"creationTime": str(self.count)},
        )
        return Outcome()

    def _alter(self, statement: Statement, key: tuple[str, str]) -> Outcome:
        schema = statement.definition.schema or ()
        body = statement.sql
        if not body:
            have = {field.name for field in self.found[key].schema}
            parts = [
                quoted(f.name)
                if f.name in have
                else f"CAST({'[]' if f.repeated else 'NULL'} AS {column_type(f)}) AS {quoted(f.name)}"
                for f in schema
            ]
            body = f"SELECT {', '.join(parts)} FROM {self._store(key)}"
        self.connection.execute(f"CREATE OR REPLACE TABLE {quoted('altered')} AS {body}")
        new = (key[0], statement.definition.rename or key[1])
        old = self.found.pop(key)
        self.connection.execute(f"CREATE OR REPLACE TABLE {self._store(new)} AS SELECT * FROM altered")
        reference = TableReference(project=old.reference.project, dataset=new[0], table=new[1])
        self.found[new] = Described(reference=reference, schema=schema, resource=old.resource)
        return Outcome()

    def _shown(self, sql: str, schema: Schema) -> list[list[Any]]:
        rows = self.connection.execute(sql).fetchall()
        return [[shown(value, field) for value, field in zip(row, schema, strict=True)] for row in rows]


def shown(value: Any, field: Field) -> Any:
    """A value as the list writes it."""
    if value is None:
        return None
    if field.repeated:
        return [shown(item, field.element) for item in value]
    if field.type == "RECORD":
        return {part.name: shown(value[part.name], part) for part in field.fields}
    if isinstance(value, float):
        return (
            value
            if value == value and abs(value) != float("inf")
            else str(value).replace("inf", "Infinity").replace("nan", "NaN")
        )
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime):
        clock = value.astimezone(UTC) if value.tzinfo else value
        text = clock.strftime("%Y-%m-%d %H:%M:%S") + (
            f".{clock.microsecond:06d}" if clock.microsecond else ""
        )
        return text + "+00" if value.tzinfo else text.replace(" ", "T")
    if isinstance(value, date | time):
        return value.isoformat()
    if field.type == "JSON":
        import json

        return json.loads(value)
    return value
