"""Whatever a query says, DuckDB sees only what a rule of ours wrote."""

# ruff: noqa: E501 (SQL is easier to read in one piece)

from __future__ import annotations

import pytest

from mlengine.errors import Problem
from mlengine.tables.sql import functions  # noqa: F401  (registers the rules)
from mlengine.tables.sql.calls import RULES
from tests.conformance.sql.engine import Engine

FORBIDDEN = (
    "read_csv",
    "read_csv_auto",
    "read_text",
    "read_blob",
    "read_json",
    "read_json_auto",
    "read_parquet",
    "parquet_scan",
    "sniff_csv",
    "glob",
    "getenv",
    "getvariable",
    "current_setting",
    "duckdb_settings",
    "duckdb_extensions",
    "duckdb_secrets",
    "pragma_version",
    "query",
    "query_table",
    "bq_exact",
    "bq_float_text",
    "bq_farm_fingerprint",
    "nextval",
    "write_log",
    "import_database",
    "sql_auto_complete",
    "json_execute_serialized_sql",
    "json_deserialize_sql",
    "json_serialize_plan",
    "checkpoint",
    "force_checkpoint",
    "arrow_scan",
    "seq_scan",
    "which_secret",
)


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine()


@pytest.mark.parametrize("name", FORBIDDEN)
def test_a_function_of_duckdb_s_cannot_be_called(engine: Engine, name: str) -> None:
    for query in (
        f"SELECT {name}('/etc/hostname')",
        f"SELECT SAFE.{name}('/etc/hostname')",
        f"SELECT `{name}`('x')",
        f"SELECT {name.upper()}()",
        f"SELECT * FROM {name}('/etc/hostname')",
        f"SELECT * FROM UNNEST([1]) WHERE {name}('x') IS NULL",
        f"SELECT main.{name}('x')",
    ):
        with pytest.raises(Problem):
            engine.run(query)


@pytest.mark.parametrize("statement", [
    "ATTACH '/tmp/x.db' AS x", "DETACH x", "COPY t TO '/tmp/x'", "COPY (SELECT 1) TO '/tmp/x'", "INSTALL httpfs",
    "LOAD 'httpfs'", "PRAGMA database_list", "SET memory_limit = '1GB'", "RESET memory_limit", "EXPORT DATABASE '/tmp/x'",
    "IMPORT DATABASE '/tmp/x'", "USE memory", "CHECKPOINT", "VACUUM", "EXPLAIN SELECT 1", "DESCRIBE SELECT 1", "SHOW TABLES",
    "CREATE MACRO f(x) AS x", "CREATE SECRET s (TYPE S3)", "CREATE SEQUENCE s", "CREATE INDEX i ON d.t (a)", "PREPARE p AS SELECT 1",
    "EXECUTE p", "DEALLOCATE p", "BEGIN TRANSACTION", "COMMIT", "ROLLBACK", "ANALYZE", "SUMMARIZE SELECT 1",
    "CALL pragma_version()", "SELECT * FROM '/etc/passwd'", "SELECT * FROM \"/etc/passwd\"", "VALUES (1)",
    "ATTACH ':memory:'; SELECT 1", "SELECT 1; PRAGMA version", "EXECUTE IMMEDIATE 'PRAGMA version'",
    "EXECUTE IMMEDIATE \"COPY (SELECT 1) TO '/tmp/x'\"", "SELECT 1 INTO OUTFILE '/tmp/x'",
])  # fmt: skip
def test_a_statement_of_duckdb_s_cannot_be_run(engine: Engine, statement: str) -> None:
    with pytest.raises(Problem):
        engine.run(statement)


@pytest.mark.parametrize(
    "text", ["'", "''", "\\", "\\'", '"', "a'; SELECT 2; --", "$$", "\x00", "é\n", "x' || error('y') || '"]
)
def test_text_stays_text(engine: Engine, text: str) -> None:
    given = [{"name": "s", "parameterType": {"type": "STRING"}, "parameterValue": {"value": text}}]

    assert engine.run("SELECT @s", given)[0] == [[text]]


def test_names_stay_names(engine: Engine) -> None:
    rows, schema = engine.run('SELECT 1 AS `a"; DROP TABLE x; --`, x.`b"c` FROM (SELECT 2 AS `b"c`) AS x')

    assert rows == [[1, 2]]
    assert [field.name for field in schema] == ['a"; DROP TABLE x; --', 'b"c']


def test_every_rule_has_the_name_of_a_function_of_bigquery() -> None:
    assert not [
        name
        for name in RULES
        if name != name.upper() or name.startswith(("BQ_", "READ_", "PRAGMA", "DUCKDB"))
    ]
