"""57 scenarios of everyday work with google-cloud-bigquery and pandas-gbq, one line each in a list.

The list by which this server is compared with emulators: each scenario is what a user would write.
"""

from __future__ import annotations

import gzip
import io
import json
import math
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from google.api_core.exceptions import BadRequest, Conflict, NotFound
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery, storage
from google.cloud.bigquery import (
    ArrayQueryParameter,
    LoadJobConfig,
    QueryJobConfig,
    ScalarQueryParameter,
    SchemaField,
    StructQueryParameter,
)
from pyarrow import parquet

from tests.clients.bigquery_server import NO_STORAGE_API, client, house

__all__ = ["client", "house"]
pytestmark = [
    NO_STORAGE_API,
    pytest.mark.filterwarnings("ignore:(Loading|Retrieving) DataFrames:PendingDeprecationWarning"),
    pytest.mark.filterwarnings("ignore:In a future major release:PendingDeprecationWarning"),
]

PEOPLE = [SchemaField("id", "INTEGER"), SchemaField("name", "STRING")]
CSV = b"id,name\n1,Ada\n2,Bob\n3,\n"
ALL_TYPES = [
    *(SchemaField(kind.lower(), kind) for kind in ("STRING", "BYTES", "INTEGER", "FLOAT", "BOOLEAN")),
    *(SchemaField(kind.lower(), kind) for kind in ("TIMESTAMP", "DATE", "TIME", "DATETIME", "JSON")),
    *(SchemaField(kind.lower(), kind) for kind in ("NUMERIC", "BIGNUMERIC")),
    SchemaField("tags", "STRING", mode="REPEATED"),
    SchemaField("point", "RECORD", fields=[SchemaField("x", "FLOAT"), SchemaField("y", "FLOAT")]),
]


class Desk:
    """What a scenario works with: a client, and a dataset with a table `people` of three rows."""

    def __init__(self, opened: bigquery.Client, buckets: storage.Client, dataset: str) -> None:
        self.client = opened
        self.dataset = dataset
        self.bucket = buckets.bucket("scenarios")

    def table(self, name: str = "") -> str:
        return f"{self.dataset}.{name or 't' + uuid.uuid4().hex[:8]}"

    def load(self, content: bytes, table: str = "", **config: Any) -> str:
        table = table or self.table()
        job = self.client.load_table_from_file(
            io.BytesIO(content), table, job_config=LoadJobConfig(**config), size=len(content)
        )
        job.result()
        return table

    def people(self) -> str:
        return self.load(CSV, schema=PEOPLE, skip_leading_rows=1)

    def rows(self, sql: str, **config: Any) -> list[tuple[Any, ...]]:
        found = self.client.query(sql, job_config=QueryJobConfig(**config)).result()
        return [tuple(row.values()) for row in found]

    def names(self, table: str) -> list[Any]:
        return sorted((row["name"] for row in self.client.list_rows(table)), key=str)


@pytest.fixture(scope="module")
def desk(client: bigquery.Client) -> Iterator[Desk]:
    client.create_dataset("scenarios")
    buckets = storage.Client(project="local", credentials=AnonymousCredentials())
    buckets.create_bucket("scenarios")
    yield Desk(client, buckets, "local.scenarios")
    buckets.close()


def datasets_are_made_listed_and_deleted(desk: Desk) -> None:
    desk.client.create_dataset("made")
    assert "made" in [one.dataset_id for one in desk.client.list_datasets()]
    desk.client.delete_dataset("made")
    with pytest.raises(NotFound):
        desk.client.get_dataset("made")


def a_dataset_is_made_once(desk: Desk) -> None:
    with pytest.raises(Conflict):
        desk.client.create_dataset("scenarios")
    desk.client.create_dataset("scenarios", exists_ok=True)


def a_dataset_has_labels_and_a_description(desk: Desk) -> None:
    found = desk.client.get_dataset("scenarios")
    found.description, found.labels = "told", {"a": "b"}
    desk.client.update_dataset(found, ["description", "labels"])
    again = desk.client.get_dataset("scenarios")
    assert (again.description, again.labels) == ("told", {"a": "b"})


def a_full_dataset_goes_only_with_its_contents(desk: Desk) -> None:
    desk.client.create_dataset("full")
    desk.client.create_table(bigquery.Table("local.full.t", schema=PEOPLE))
    with pytest.raises(BadRequest):
        desk.client.delete_dataset("full")
    desk.client.delete_dataset("full", delete_contents=True)


def projects_are_listed(desk: Desk) -> None:
    assert "local" in [one.project_id for one in desk.client.list_projects()]


def a_table_has_all_types(desk: Desk) -> None:
    made = desk.client.create_table(bigquery.Table(desk.table(), schema=ALL_TYPES))
    assert [one.field_type for one in desk.client.get_table(made).schema] == [
        one.field_type for one in ALL_TYPES
    ]


def tables_are_listed_and_deleted(desk: Desk) -> None:
    table = desk.people()
    assert table.split(".")[-1] in [one.table_id for one in desk.client.list_tables("scenarios")]
    desk.client.delete_table(table)
    with pytest.raises(NotFound):
        desk.client.get_table(table)


def a_missing_table_may_be_deleted(desk: Desk) -> None:
    desk.client.delete_table(desk.table(), not_found_ok=True)


def a_table_gets_a_column(desk: Desk) -> None:
    table = desk.client.get_table(desk.people())
    table.schema = [*table.schema, SchemaField("age", "INTEGER")]
    desk.client.update_table(table, ["schema"])
    assert desk.rows(f"SELECT age FROM {table} WHERE id = 1") == [(None,)]


def a_table_is_partitioned_and_clustered(desk: Desk) -> None:
    wanted = bigquery.Table(desk.table(), schema=[SchemaField("d", "DATE"), *PEOPLE])
    wanted.time_partitioning = bigquery.TimePartitioning(field="d")
    wanted.clustering_fields = ["id"]
    found = desk.client.get_table(desk.client.create_table(wanted))
    assert (found.time_partitioning.field, found.clustering_fields) == ("d", ["id"])


def a_view_is_made_and_queried(desk: Desk) -> None:
    view = bigquery.Table(desk.table())
    view.view_query = f"SELECT name FROM {desk.people()} WHERE id = 2"
    desk.client.create_table(view)
    assert desk.rows(f"SELECT * FROM `{view}`") == [("Bob",)]


def rows_are_inserted_as_json(desk: Desk) -> None:
    table = desk.people()
    assert desk.client.insert_rows_json(table, [{"id": 4, "name": "Cy"}]) == []
    assert "Cy" in desk.names(table)


def rows_are_inserted_as_tuples(desk: Desk) -> None:
    table = desk.client.get_table(desk.people())
    assert desk.client.insert_rows(table, [(5, "Di")]) == []
    assert "Di" in desk.names(str(table))


def a_bad_inserted_row_is_told(desk: Desk) -> None:
    [error] = desk.client.insert_rows_json(desk.people(), [{"id": "x"}])
    assert error["index"] == 0


def a_row_with_the_same_id_comes_once(desk: Desk) -> None:
    table = desk.people()
    for _ in range(2):
        desk.client.insert_rows_json(table, [{"id": 6, "name": "Ed"}], row_ids=["one"])
    assert desk.rows(f"SELECT COUNT(*) FROM {table} WHERE id = 6") == [(1,)]


def all_types_come_back(desk: Desk) -> None:
    table = desk.client.create_table(bigquery.Table(desk.table(), schema=ALL_TYPES))
    row = {
        "string": "ä",
        "bytes": b"\0\xff",
        "integer": -(2**63),
        "float": 5e-324,
        "boolean": True,
        "timestamp": datetime(2026, 1, 2, 3, 4, 5, 678901, UTC),
        "date": date(1, 1, 1),
        "time": time(23, 59, 59, 999999),
        "datetime": datetime(9999, 12, 31, 23, 59, 59, 999999),
        "json": {"a": [1, None]},
        "numeric": Decimal("0.000000001"),
        "bignumeric": Decimal("1.000000000000000001"),
        "tags": ["a", ""],
        "point": {"x": 0.1, "y": -0.0},
    }
    assert desk.client.insert_rows(table, [row]) == []
    [found] = desk.client.list_rows(table)
    assert dict(found) == row
    assert math.copysign(1, found["point"]["y"]) == -1


def csv_is_loaded(desk: Desk) -> None:
    assert desk.names(desk.people()) == ["Ada", "Bob", None]


def csv_is_loaded_packed(desk: Desk) -> None:
    assert len(desk.names(desk.load(gzip.compress(CSV), schema=PEOPLE, skip_leading_rows=1))) == 3


def csv_is_loaded_with_its_own_schema(desk: Desk) -> None:
    found = desk.client.get_table(desk.load(CSV, autodetect=True))
    assert [(one.name, one.field_type) for one in found.schema] == [("id", "INTEGER"), ("name", "STRING")]


def csv_is_loaded_resumably(desk: Desk) -> None:
    table = desk.table()
    config = LoadJobConfig(schema=PEOPLE, skip_leading_rows=1)
    desk.client.load_table_from_file(io.BytesIO(CSV), table, job_config=config).result()
    assert desk.client.get_table(table).num_rows == 3


def csv_has_another_delimiter_and_null(desk: Desk) -> None:
    table = desk.load(b"1\tN\n", schema=PEOPLE, field_delimiter="\t", null_marker="N")
    assert desk.names(table) == [None]


def csv_has_line_breaks_in_quotes(desk: Desk) -> None:
    table = desk.load(b'1,"a\nb"\n', schema=PEOPLE, allow_quoted_newlines=True)
    assert desk.names(table) == ["a\nb"]


def bad_csv_names_its_line(desk: Desk) -> None:
    with pytest.raises(BadRequest, match="line 2"):
        desk.load(b"1,a\nx,b\n", schema=PEOPLE)


def some_bad_rows_may_be_left_out(desk: Desk) -> None:
    assert desk.names(desk.load(b"1,a\nx,b\n", schema=PEOPLE, max_bad_records=1)) == ["a"]


def lines_of_json_are_loaded(desk: Desk) -> None:
    content = b'{"id": 1, "name": "Ada"}\n{"id": 2}\n'
    table = desk.load(content, schema=PEOPLE, source_format="NEWLINE_DELIMITED_JSON")
    assert desk.names(table) == ["Ada", None]


def lines_of_json_tell_their_schema(desk: Desk) -> None:
    content = b'{"a": [1, 2], "r": {"x": 1.5}}\n'
    table = desk.load(content, autodetect=True, source_format="NEWLINE_DELIMITED_JSON")
    assert desk.rows(f"SELECT a[OFFSET(1)], r.x FROM {table}") == [(2, 1.5)]


def python_objects_are_loaded(desk: Desk) -> None:
    table = desk.table()
    rows = [{"id": 1, "name": "Ada"}]
    desk.client.load_table_from_json(rows, table, job_config=LoadJobConfig(schema=PEOPLE)).result()
    assert desk.names(table) == ["Ada"]


def parquet_is_loaded(desk: Desk) -> None:
    out = io.BytesIO()
    parquet.write_table(pa.table({"id": [1], "name": ["Ada"]}), out)
    assert desk.names(desk.load(out.getvalue(), source_format="PARQUET")) == ["Ada"]


def a_data_frame_is_loaded(desk: Desk) -> None:
    table = desk.table()
    desk.client.load_table_from_dataframe(pd.DataFrame({"id": [1], "name": ["Ada"]}), table).result()
    assert desk.names(table) == ["Ada"]


def a_bucket_is_loaded_from(desk: Desk) -> None:
    for number in range(2):
        desk.bucket.blob(f"in/{number}.csv").upload_from_string(b"%d,x\n" % number)
    table = desk.table()
    config = LoadJobConfig(schema=PEOPLE)
    desk.client.load_table_from_uri("gs://scenarios/in/*.csv", table, job_config=config).result()
    assert desk.client.get_table(table).num_rows == 2


def a_missing_object_is_told(desk: Desk) -> None:
    job = desk.client.load_table_from_uri("gs://scenarios/none.csv", desk.table())
    with pytest.raises(NotFound):
        job.result()


def a_load_appends(desk: Desk) -> None:
    table = desk.people()
    desk.load(b"9,Zoe\n", table, schema=PEOPLE)
    assert len(desk.names(table)) == 4


def a_load_truncates(desk: Desk) -> None:
    table = desk.people()
    desk.load(b"9,Zoe\n", table, schema=PEOPLE, write_disposition="WRITE_TRUNCATE")
    assert desk.names(table) == ["Zoe"]


def a_load_into_a_full_table_can_be_refused(desk: Desk) -> None:
    with pytest.raises(Conflict):
        desk.load(b"9,Zoe\n", desk.people(), schema=PEOPLE, write_disposition="WRITE_EMPTY")


def a_load_adds_a_column(desk: Desk) -> None:
    table = desk.people()
    wider = [*PEOPLE, SchemaField("age", "INTEGER")]
    desk.load(b"9,Zoe,8\n", table, schema=wider, schema_update_options=["ALLOW_FIELD_ADDITION"])
    assert desk.rows(f"SELECT SUM(age) FROM {table}") == [(8,)]


def a_load_job_is_found_again(desk: Desk) -> None:
    config = LoadJobConfig(schema=PEOPLE)
    job = desk.client.load_table_from_file(io.BytesIO(b"1,a\n"), desk.table(), job_config=config)
    job.result()
    assert desk.client.get_job(job.job_id).output_rows == 1
    assert job.job_id in [one.job_id for one in desk.client.list_jobs()]


def a_query_gives_rows(desk: Desk) -> None:
    assert desk.rows(f"SELECT name FROM {desk.people()} WHERE id < 3 ORDER BY id") == [("Ada",), ("Bob",)]


def a_query_and_wait_gives_rows(desk: Desk) -> None:
    assert [row.n for row in desk.client.query_and_wait("SELECT 1 AS n")] == [1]


def a_query_has_named_parameters(desk: Desk) -> None:
    wanted = [ScalarQueryParameter("i", "INT64", 2)]
    found = desk.rows(f"SELECT name FROM {desk.people()} WHERE id = @i", query_parameters=wanted)
    assert found == [("Bob",)]


def a_query_has_parameters_by_place(desk: Desk) -> None:
    wanted = [ScalarQueryParameter(None, "STRING", "a"), ScalarQueryParameter(None, "FLOAT64", 0.1)]
    assert desk.rows("SELECT ?, ?", query_parameters=wanted) == [("a", 0.1)]


def a_query_has_an_array_parameter(desk: Desk) -> None:
    wanted = [ArrayQueryParameter("ids", "INT64", [1, 3])]
    sql = f"SELECT COUNT(*) FROM {desk.people()} WHERE id IN UNNEST(@ids)"
    assert desk.rows(sql, query_parameters=wanted) == [(2,)]


def a_query_has_a_struct_parameter(desk: Desk) -> None:
    wanted = [StructQueryParameter("s", ScalarQueryParameter("x", "INT64", 4))]
    assert desk.rows("SELECT @s.x", query_parameters=wanted) == [(4,)]


def a_dry_run_costs_nothing(desk: Desk) -> None:
    job = desk.client.query(f"SELECT * FROM {desk.people()}", job_config=QueryJobConfig(dry_run=True))
    assert job.total_bytes_processed > 0
    assert [one.name for one in job.schema] == ["id", "name"]


def a_query_has_a_destination(desk: Desk) -> None:
    table = desk.table()
    desk.rows(f"SELECT * FROM {desk.people()}", destination=table)
    assert desk.client.get_table(table).num_rows == 3


def a_wrong_query_says_where(desk: Desk) -> None:
    with pytest.raises(BadRequest, match="nope"):
        desk.rows(f"SELECT nope FROM {desk.people()}")


def a_query_of_a_missing_table_is_not_found(desk: Desk) -> None:
    with pytest.raises(NotFound):
        desk.rows(f"SELECT 1 FROM {desk.table()}")


def ddl_makes_and_drops(desk: Desk) -> None:
    table = desk.table()
    desk.rows(f"CREATE TABLE {table} (id INT64, tags ARRAY<STRING>)")
    assert desk.client.get_table(table).schema[1].mode == "REPEATED"
    desk.rows(f"DROP TABLE {table}")
    with pytest.raises(NotFound):
        desk.client.get_table(table)


def dml_changes_rows(desk: Desk) -> None:
    table = desk.people()
    assert (
        desk.client.query(f"UPDATE {table} SET name = 'x' WHERE id > 1").result().num_dml_affected_rows == 2
    )
    assert desk.client.query(f"DELETE FROM {table} WHERE id = 1").result().num_dml_affected_rows == 1
    desk.rows(f"INSERT INTO {table} (id, name) VALUES (7, 'y')")
    assert desk.names(table) == ["x", "x", "y"]


def rows_merge(desk: Desk) -> None:
    table, other = desk.people(), desk.load(b"1,Eve\n8,New\n", schema=PEOPLE)
    desk.rows(
        f"MERGE {table} t USING {other} s ON t.id = s.id "
        "WHEN MATCHED THEN UPDATE SET name = s.name WHEN NOT MATCHED THEN INSERT ROW"
    )
    assert desk.names(table) == ["Bob", "Eve", "New", None]


def rows_come_page_by_page(desk: Desk) -> None:
    pages = desk.client.list_rows(desk.people(), page_size=2).pages
    assert [page.num_items for page in pages] == [2, 1]


def some_fields_from_some_row_on(desk: Desk) -> None:
    found = desk.client.list_rows(desk.people(), selected_fields=PEOPLE[:1], start_index=1, max_results=1)
    assert [tuple(row.values()) for row in found] == [(2,)]


def rows_become_arrow_and_pandas(desk: Desk) -> None:
    table = desk.people()
    assert desk.client.list_rows(table).to_arrow().to_pydict()["id"] == [1, 2, 3]
    assert list(desk.client.list_rows(table).to_dataframe()["id"]) == [1, 2, 3]


def a_table_is_copied(desk: Desk) -> None:
    table = desk.table()
    desk.client.copy_table(desk.people(), table).result()
    assert desk.client.get_table(table).num_rows == 3


def a_table_is_extracted(desk: Desk) -> None:
    desk.client.extract_table(desk.people(), "gs://scenarios/out.json", job_config=_JSON).result()
    lines = desk.bucket.blob("out.json").download_as_text().splitlines()
    assert [json.loads(line).get("name") for line in lines] == ["Ada", "Bob", None]


def pandas_gbq_goes_both_ways(desk: Desk) -> None:
    import pandas_gbq

    table = desk.table().removeprefix("local.")
    frame = pd.DataFrame({"id": [1, 2], "x": [0.1, math.inf]})
    nobody = AnonymousCredentials()
    pandas_gbq.to_gbq(frame, table, project_id="local", credentials=nobody, progress_bar=False)
    found = pandas_gbq.read_gbq(
        f"SELECT * FROM {table} ORDER BY id", project_id="local", credentials=nobody, progress_bar_type=None
    )
    assert list(found["x"]) == [0.1, math.inf]


def floats_survive_parquet(desk: Desk) -> None:
    out = io.BytesIO()
    parquet.write_table(pa.table({"x": _floats()}), out)
    _same(desk, desk.load(out.getvalue(), source_format="PARQUET"))


def floats_survive_csv(desk: Desk) -> None:
    text = "".join(f"{number!r}\n" for number in _floats().tolist())
    _same(desk, desk.load(text.encode(), schema=[SchemaField("x", "FLOAT")]))


_JSON = bigquery.ExtractJobConfig(destination_format="NEWLINE_DELIMITED_JSON")


def _floats() -> Any:
    random = np.random.default_rng(5).integers(0, 2**64, 2000, dtype=np.uint64).view(np.float64)
    odd = [0.0, -0.0, 5e-324, -5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, math.inf, -math.inf]
    return np.array([*random[np.isfinite(random)], *odd, 0.1, 1 / 3])


def _same(desk: Desk, table: str) -> None:
    found = desk.client.list_rows(table).to_arrow()["x"].to_numpy()
    assert (found.view(np.uint64) == _floats().view(np.uint64)).all()


SCENARIOS: list[Callable[[Desk], None]] = [
    datasets_are_made_listed_and_deleted,
    a_dataset_is_made_once,
    a_dataset_has_labels_and_a_description,
    a_full_dataset_goes_only_with_its_contents,
    projects_are_listed,
    a_table_has_all_types,
    tables_are_listed_and_deleted,
    a_missing_table_may_be_deleted,
    a_table_gets_a_column,
    a_table_is_partitioned_and_clustered,
    a_view_is_made_and_queried,
    rows_are_inserted_as_json,
    rows_are_inserted_as_tuples,
    a_bad_inserted_row_is_told,
    a_row_with_the_same_id_comes_once,
    all_types_come_back,
    csv_is_loaded,
    csv_is_loaded_packed,
    csv_is_loaded_with_its_own_schema,
    csv_is_loaded_resumably,
    csv_has_another_delimiter_and_null,
    csv_has_line_breaks_in_quotes,
    bad_csv_names_its_line,
    some_bad_rows_may_be_left_out,
    lines_of_json_are_loaded,
    lines_of_json_tell_their_schema,
    python_objects_are_loaded,
    parquet_is_loaded,
    a_data_frame_is_loaded,
    a_bucket_is_loaded_from,
    a_missing_object_is_told,
    a_load_appends,
    a_load_truncates,
    a_load_into_a_full_table_can_be_refused,
    a_load_adds_a_column,
    a_load_job_is_found_again,
    a_query_gives_rows,
    a_query_and_wait_gives_rows,
    a_query_has_named_parameters,
    a_query_has_parameters_by_place,
    a_query_has_an_array_parameter,
    a_query_has_a_struct_parameter,
    a_dry_run_costs_nothing,
    a_query_has_a_destination,
    a_wrong_query_says_where,
    a_query_of_a_missing_table_is_not_found,
    ddl_makes_and_drops,
    dml_changes_rows,
    rows_merge,
    rows_come_page_by_page,
    some_fields_from_some_row_on,
    rows_become_arrow_and_pandas,
    a_table_is_copied,
    a_table_is_extracted,
    pandas_gbq_goes_both_ways,
    floats_survive_parquet,
    floats_survive_csv,
]


def test_there_are_57_of_them() -> None:
    assert len(set(SCENARIOS)) == 57


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_scenario(desk: Desk, scenario: Callable[[Desk], None]) -> None:
    scenario(desk)
