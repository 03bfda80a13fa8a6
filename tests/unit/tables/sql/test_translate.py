"""How a script becomes statements: places, plans, what is read and written, and how long it takes."""

# ruff: noqa: E501 (SQL is easier to read in one piece)

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest

from mlengine.errors import Problem
from mlengine.tables.schema import Field, TableReference
from mlengine.tables.sql import translate
from mlengine.tables.sql.farm import fingerprint
from mlengine.tables.sql.plan import Described, Kind, Outcome, Statement
from tests.conformance.sql.engine import Engine

TABLE = TableReference(project="p", dataset="d", table="t")


@pytest.fixture
def engine() -> Engine:
    made = Engine()
    made.found["d", "t"] = Described(
        reference=TABLE, schema=(Field(name="a", type="INTEGER"), Field(name="b", type="STRING"))
    )
    return made


def first(engine: Engine, script: str) -> Statement:
    return next(translate(script, catalogue=_AtAnyTime(engine), project="p").steps())


class _AtAnyTime:
    def __init__(self, engine: Engine) -> None:
        self.tables, self.datasets, self._engine = engine.tables, engine.datasets, engine

    def find(self, table: TableReference) -> Described:
        return self._engine.find(table)


def test_a_query_says_what_it_reads(engine: Engine) -> None:
    statement = first(engine, "SELECT a FROM d.t WHERE a IN (SELECT a FROM `p.d.t`)")

    assert statement.kind is Kind.SELECT
    assert list(statement.reads.values()) == [TABLE]
    assert [(field.name, field.type) for field in statement.schema or ()] == [("a", "INTEGER")]


def test_a_statement_that_changes_a_table_says_which(engine: Engine) -> None:
    statement = first(engine, "DELETE FROM d.t WHERE a = 1")

    assert (statement.kind, statement.writes, statement.target) == (Kind.DELETE, TABLE, "target")


def test_a_table_is_read_as_it_was(engine: Engine) -> None:
    statement = first(
        engine, "SELECT a FROM d.t FOR SYSTEM_TIME AS OF TIMESTAMP '2024-01-02 03:04:05+00' AS x"
    )

    [reference] = statement.reads.values()
    assert reference.at == datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_time_in_the_future_is_refused(engine: Engine) -> None:
    with pytest.raises(Problem, match="future"):
        first(
            engine,
            "SELECT a FROM d.t FOR SYSTEM_TIME AS OF TIMESTAMP_ADD(CURRENT_TIMESTAMP(), INTERVAL 1 HOUR)",
        )


def test_a_view_keeps_its_query_as_it_was_written(engine: Engine) -> None:
    statement = first(engine, "CREATE VIEW d.v OPTIONS (description = 'x') AS SELECT a -- why\nFROM d.t")

    assert statement.definition.view == "SELECT a -- why\nFROM d.t"
    assert statement.definition.options == {"description": "x"}


def test_partitioning_and_clustering_are_told_as_rest_has_them(engine: Engine) -> None:
    statement = first(
        engine, "CREATE TABLE d.n (a INT64, s TIMESTAMP) PARTITION BY TIMESTAMP_TRUNC(s, HOUR) CLUSTER BY a"
    )

    assert statement.definition.partitioning == {"timePartitioning": {"type": "HOUR", "field": "s"}}
    assert statement.definition.clustering == ("a",)


def test_a_later_statement_knows_its_own_place(engine: Engine) -> None:
    steps = translate("SELECT 1;\n  SELECT nothing;", catalogue=engine, project="p").steps()
    next(steps)

    with pytest.raises(Problem, match=r"Unrecognized name: nothing at \[2:10\]"):
        steps.send(Outcome())


def test_functions_before_a_query_do_not_make_a_script(engine: Engine) -> None:
    assert not translate("SELECT 1", catalogue=engine, project="p").script
    assert not translate(
        "CREATE TEMP FUNCTION f(x INT64) AS (x); SELECT f(1)", catalogue=engine, project="p"
    ).script
    assert translate("SELECT 1; SELECT 2", catalogue=engine, project="p").script
    assert translate("DECLARE x INT64; SELECT x", catalogue=engine, project="p").script


def test_a_syntax_error_is_found_before_anything_runs(engine: Engine) -> None:
    with pytest.raises(Problem, match="Syntax error"):
        translate("SELECT 1; SELECT FROM WHERE", catalogue=engine, project="p")


@pytest.mark.parametrize("depth", [200, 5000])
def test_nesting_without_end_is_refused(engine: Engine, depth: int) -> None:
    with pytest.raises(Problem):
        first(engine, "SELECT " + "(" * depth + "1" + " + 1)" * depth)


def test_a_simple_query_is_translated_within_5_ms(engine: Engine) -> None:
    first(engine, "SELECT 1")
    best = 1.0
    for turn in range(20):
        begin = time.perf_counter()
        first(
            engine, f"SELECT a, COUNT(*) AS n FROM d.t WHERE a > {turn} GROUP BY a ORDER BY n DESC LIMIT 10"
        )
        best = min(best, time.perf_counter() - begin)

    assert best < 0.005


def test_importing_the_package_does_not_import_sqlglot() -> None:
    code = "import sys; import mlengine.tables.sql, mlengine.tables.sql.session; assert 'sqlglot' not in sys.modules"

    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize(("text", "value"), [
    ("1footrue", -1541654101129638711), ("2applefalse", 2794438866806483259), ("3true", -4880158226897771312),
])  # fmt: skip
def test_farm_fingerprint_is_what_bigquery_documents(text: str, value: int) -> None:
    assert fingerprint(text.encode()) == value
