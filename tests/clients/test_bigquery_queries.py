"""Google's BigQuery client, unmodified: queries, what they change, and what they can never do."""

from __future__ import annotations

import datetime
import threading
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas_gbq
import pytest
from google.api_core.exceptions import BadRequest, GoogleAPICallError, NotFound
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from google.cloud.bigquery import ArrayQueryParameter, QueryJobConfig, ScalarQueryParameter

from tests.clients.bigquery_server import NO_STORAGE_API, client, dataset, house
from tests.stories.conftest import Server

__all__ = ["client", "dataset", "house"]
pytestmark = [
    NO_STORAGE_API,
    # What Google's packages say of each other.
    pytest.mark.filterwarnings("ignore:(Loading|Retrieving) DataFrames:PendingDeprecationWarning"),
    pytest.mark.filterwarnings("ignore:In a future major release:PendingDeprecationWarning"),
]


def ask(client: bigquery.Client, text: str, **options: Any) -> list[dict[str, Any]]:
    job = client.query(text, job_config=QueryJobConfig(**options))
    return [dict(row) for row in job.result()]


@pytest.fixture
def table(client: bigquery.Client, dataset: str) -> str:
    """Three rows in two segments."""
    name = f"{dataset}.t"
    ask(client, f"CREATE TABLE {name} (i INT64 NOT NULL, s STRING)")
    ask(client, f"INSERT INTO {name} VALUES (1, 'a'), (2, 'b')")
    ask(client, f"INSERT INTO {name} VALUES (3, NULL)")
    return name


def test_every_type_of_a_result_is_told(client: bigquery.Client) -> None:
    found = client.query(
        "SELECT 1 AS i, 0.1 AS f, NUMERIC '1.123456789' AS n, 'x' AS s, b'\\x00' AS b, TRUE AS o, "
        "TIMESTAMP '2026-01-01 00:00:00.000001+00' AS ts, DATE '2026-01-01' AS da, "
        "[1, 2] AS a, STRUCT(1 AS x, ['y'] AS y) AS r"
    ).result()

    assert [one.field_type for one in found.schema] == [
        *(
            "INTEGER",
            "FLOAT",
            "NUMERIC",
            "STRING",
            "BYTES",
            "BOOLEAN",
            "TIMESTAMP",
            "DATE",
            "INTEGER",
            "RECORD",
        )
    ]
    assert dict(next(iter(found))) == {
        "i": 1,
        "f": 0.1,
        "n": Decimal("1.123456789"),
        "s": "x",
        "b": b"\0",
        "o": True,
        "ts": datetime.datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=datetime.UTC),
        "da": datetime.date(2026, 1, 1),
        "a": [1, 2],
        "r": {"x": 1, "y": ["y"]},
    }


def test_parameters_are_values_never_text(client: bigquery.Client) -> None:
    evil = "'; DROP TABLE x; --"
    named = [ScalarQueryParameter("s", "STRING", evil), ArrayQueryParameter("a", "INT64", [1, 2**53 + 1])]

    assert ask(client, "SELECT @s AS s, @a AS a", query_parameters=named) == [
        {"s": evil, "a": [1, 2**53 + 1]}
    ]
    assert ask(client, "SELECT ? AS f", query_parameters=[ScalarQueryParameter(None, "FLOAT64", 5e-324)]) == [
        {"f": 5e-324}
    ]


def test_rows_are_changed_and_counted(client: bigquery.Client, table: str) -> None:
    counts = [
        client.query(text).result().num_dml_affected_rows
        for text in (
            f"UPDATE {table} SET s = 'z' WHERE i < 3",
            f"DELETE FROM {table} WHERE i = 1",
            f"MERGE {table} t USING (SELECT 3 AS i UNION ALL SELECT 4) n ON t.i = n.i "
            "WHEN MATCHED THEN UPDATE SET s = 'm' WHEN NOT MATCHED THEN INSERT (i, s) VALUES (n.i, 'new')",
        )
    ]

    assert counts == [2, 1, 2]
    assert ask(client, f"SELECT * FROM {table} ORDER BY i") == [
        {"i": 2, "s": "z"},
        {"i": 3, "s": "m"},
        {"i": 4, "s": "new"},
    ]


def test_a_change_that_breaks_a_rule_changes_nothing(client: bigquery.Client, table: str) -> None:
    with pytest.raises(BadRequest, match="Required field i cannot be null"):
        ask(client, f"UPDATE {table} SET i = NULL WHERE i = 2")
    with pytest.raises(BadRequest):
        ask(client, f"UPDATE {table} SET s = CAST(1 / (i - 2) AS STRING) WHERE TRUE")

    assert [row["i"] for row in ask(client, f"SELECT i FROM {table} ORDER BY i")] == [1, 2, 3]


def test_tables_views_and_datasets_are_defined_by_statements(client: bigquery.Client, table: str) -> None:
    dataset = table.rpartition(".")[0]
    ask(client, f"CREATE VIEW {dataset}.v AS SELECT i * 10 AS ten FROM {table} WHERE i > 1")
    ask(client, f"CREATE TABLE {dataset}.u AS SELECT ten FROM {dataset}.v")
    ask(client, f"ALTER TABLE {dataset}.u ADD COLUMN more STRING")
    found = ask(client, f"SELECT * FROM {dataset}.u ORDER BY ten")
    view = client.get_table(f"{dataset}.v")
    ask(client, f"DROP VIEW {dataset}.v; DROP TABLE {dataset}.u")

    assert found == [{"ten": 20, "more": None}, {"ten": 30, "more": None}]
    assert view.table_type == "VIEW" and [one.name for one in view.schema] == ["ten"]
    assert [one.table_id for one in client.list_tables(dataset)] == ["t"]


def test_a_view_can_be_made_by_its_resource(client: bigquery.Client, table: str) -> None:
    view = bigquery.Table(f"{table.rpartition('.')[0]}.w")
    view.view_query = f"SELECT COUNT(*) AS n FROM {table}"

    made = client.create_table(view)

    assert [(one.name, one.field_type) for one in made.schema] == [("n", "INTEGER")]
    assert ask(client, f"SELECT n FROM {view.full_table_id or view.reference}".replace(":", ".")) == [
        {"n": 3}
    ]
    with pytest.raises(BadRequest, match="type VIEW"):
        list(client.list_rows(made, selected_fields=made.schema))


def test_scripts_have_variables_and_tables_of_their_own(client: bigquery.Client, dataset: str) -> None:
    found = ask(
        client,
        "DECLARE x INT64 DEFAULT 3; CREATE TEMP TABLE own AS SELECT x AS v; "
        "INSERT INTO own VALUES (4); SELECT SUM(v) AS total FROM own",
    )

    assert found == [{"total": 7}]
    assert list(client.list_tables(dataset)) == []


def test_results_go_where_they_are_sent(client: bigquery.Client, table: str) -> None:
    target = f"{table}_copy"
    ask(client, f"SELECT i FROM {table}", destination=target)
    with pytest.raises(GoogleAPICallError, match="Already Exists"):
        ask(client, f"SELECT i FROM {table}", destination=target)
    ask(client, f"SELECT 9 AS i FROM {table} LIMIT 1", destination=target, write_disposition="WRITE_APPEND")

    assert sorted(row.i for row in client.list_rows(target)) == [1, 2, 3, 9]


def test_a_dry_run_tells_columns_and_reads_nothing(client: bigquery.Client, table: str) -> None:
    job = client.query(f"SELECT s, i + 0.5 AS h FROM {table}", job_config=QueryJobConfig(dry_run=True))

    assert [(one.name, one.field_type) for one in job.schema] == [("s", "STRING"), ("h", "FLOAT")]
    assert job.total_bytes_processed > 0
    with pytest.raises(BadRequest, match="nope"):
        client.query(f"SELECT nope FROM {table}", job_config=QueryJobConfig(dry_run=True))


def test_a_long_result_comes_in_pages(client: bigquery.Client) -> None:
    text = "SELECT x, REPEAT('y', 500) AS y FROM UNNEST(GENERATE_ARRAY(1, 40000)) AS x ORDER BY x"

    rows = client.query_and_wait(text)

    found = rows.to_arrow()
    assert found["x"].to_pylist() == list(range(1, 40001))
    assert rows.total_rows == 40000


def test_the_past_can_be_asked_for_and_copied_from(client: bigquery.Client, table: str) -> None:
    before = client.get_table(table).modified
    time.sleep(0.01)
    ask(client, f"DELETE FROM {table} WHERE TRUE")
    stamp = (before + datetime.timedelta(milliseconds=1)).isoformat()
    project, dataset, name = table.split(".")
    millis = int(before.timestamp() * 1000) + 1

    past = ask(client, f"SELECT COUNT(*) AS n FROM {table} FOR SYSTEM_TIME AS OF TIMESTAMP '{stamp}'")
    client.delete_table(table)
    client.copy_table(f"{table}@{millis}", f"{project}.{dataset}.{name}_back").result()

    assert past == [{"n": 3}]
    assert client.get_table(f"{table}_back").num_rows == 3


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM read_csv('{secret}')",
        "SELECT * FROM read_text('{secret}')",
        "SELECT * FROM `{secret}`",
        "SELECT * FROM glob('/etc/*')",
        "CREATE TABLE {dataset}.x AS SELECT * FROM read_blob('{secret}')",
        "SELECT * FROM read_parquet('http://127.0.0.1:{port}/x')",
        "COPY (SELECT 1) TO '{secret}.out'",
        "ATTACH '{secret}.db' AS y",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "PRAGMA database_list",
        "SELECT getenv('HOME')",
        "SELECT * FROM duckdb_settings()",
    ],
)
def test_no_query_reaches_files_or_network(
    client: bigquery.Client, dataset: str, house: Server, tmp_path: Path, text: str
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the secret\n")
    port = house.endpoint.rpartition(":")[2]

    with pytest.raises(GoogleAPICallError) as caught:
        ask(client, text.format(secret=secret, dataset=dataset, port=port))

    assert caught.value.code in (400, 404)
    assert "the secret" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_a_query_that_runs_too_long_can_be_cancelled(client: bigquery.Client) -> None:
    text = (
        "SELECT COUNT(*) AS n FROM UNNEST(GENERATE_ARRAY(1, 10000000)) a, UNNEST(GENERATE_ARRAY(1, 100000)) b"
    )
    job = client.query(text + " WHERE MOD(a * b, 7) = 3")
    assert job.state in ("PENDING", "RUNNING")

    job.cancel()

    with pytest.raises(GoogleAPICallError, match="cancelled"):
        job.result(job_retry=None)


def test_readers_see_the_old_or_the_new_never_half(client: bigquery.Client, dataset: str) -> None:
    table, seen, stop = f"{dataset}.t", set(), threading.Event()
    ask(client, f"CREATE TABLE {table} AS SELECT 0 AS v FROM UNNEST(GENERATE_ARRAY(1, 1000))")

    def read() -> None:
        while not stop.is_set():
            (row,) = ask(client, f"SELECT MIN(v) AS a, MAX(v) AS b, COUNT(*) AS n FROM {table}")
            seen.add((row["a"], row["b"], row["n"]))

    reader = threading.Thread(target=read)
    reader.start()
    for version in range(1, 6):
        ask(client, f"UPDATE {table} SET v = {version} WHERE TRUE")
    stop.set()
    reader.join()

    assert seen <= {(version, version, 1000) for version in range(6)}


def test_lineage_tells_the_versions_that_were_read(client: bigquery.Client, table: str) -> None:
    job = client.query(f"SELECT * FROM {table}")
    job.result()

    told = job._properties["statistics"]["query"]
    assert [one.table_id for one in job.referenced_tables] == ["t"]
    assert told["mlengine"]["versions"] == {table.replace(".", ":", 1): "3"}


def test_a_missing_table_is_not_found(client: bigquery.Client, dataset: str) -> None:
    with pytest.raises(NotFound, match="nope"):
        ask(client, f"SELECT * FROM {dataset}.nope")


def test_pandas_gbq_reads_a_query(client: bigquery.Client, table: str) -> None:
    frame = pandas_gbq.read_gbq(
        f"SELECT i FROM {table} ORDER BY i",
        "local",
        credentials=AnonymousCredentials(),
        progress_bar_type=None,
    )

    assert frame["i"].tolist() == [1, 2, 3]


def test_a_job_ends_when_its_own_time_is_over(client: bigquery.Client) -> None:
    many = "UNNEST(GENERATE_ARRAY(1, 1000000))"
    config = QueryJobConfig(job_timeout_ms=300)

    job = client.query(f"SELECT COUNT(*) FROM {many} a, {many} b WHERE MOD(a * b, 7) = 3", job_config=config)

    with pytest.raises(GoogleAPICallError, match="took longer than it may"):
        job.result()


def test_a_finished_query_shows_its_plan_and_no_path_of_the_server(client: bigquery.Client) -> None:
    job = client.query("SELECT x, COUNT(*) AS n FROM UNNEST([1, 2, 2]) AS x GROUP BY x")
    job.result()

    plan = client.get_job(job.job_id)._properties["statistics"]["query"]["mlengine"]["plan"]

    assert "Group By" in plan
    assert ".parquet" not in plan
