"""Google's BigQuery client, unmodified: datasets, tables, and rows that are listed and inserted."""

from __future__ import annotations

import datetime
import math
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from google.api_core.exceptions import BadRequest, Conflict, NotFound
from google.cloud import bigquery
from google.cloud.bigquery import SchemaField

from tests.clients.bigquery_server import NO_STORAGE_API, client, dataset, house

__all__ = ["client", "dataset", "house"]
pytestmark = NO_STORAGE_API

ALL_TYPES = [
    SchemaField("s", "STRING"),
    SchemaField("i", "INTEGER"),
    SchemaField("f", "FLOAT"),
    SchemaField("n", "NUMERIC"),
    SchemaField("bn", "BIGNUMERIC"),
    SchemaField("b", "BYTES"),
    SchemaField("o", "BOOLEAN"),
    SchemaField("ts", "TIMESTAMP"),
    SchemaField("da", "DATE"),
    SchemaField("ti", "TIME"),
    SchemaField("dt", "DATETIME"),
    SchemaField("j", "JSON"),
    SchemaField("a", "INTEGER", mode="REPEATED"),
    SchemaField(
        "r",
        "RECORD",
        mode="REPEATED",
        fields=[SchemaField("x", "FLOAT"), SchemaField("y", "STRING", mode="REPEATED")],
    ),
]
FULL = {
    "s": 'ü "quoted"\n\t\\ 한국어 \U0001f600',
    "i": -(2**63),
    "f": 0.1,
    "n": Decimal("-12345678901234567890123456789.123456789"),
    "bn": Decimal("0.000000000000000001"),
    "b": b"\x00\xff\n",
    "o": True,
    "ts": datetime.datetime(1, 1, 1, 0, 0, 0, 1, tzinfo=datetime.UTC),
    "da": datetime.date(9999, 12, 31),
    "ti": datetime.time(23, 59, 59, 999999),
    "dt": datetime.datetime(2026, 11, 2, 3, 4, 5, 600000),
    "j": {"a": [1, 2.5, None, "x"], "b": {}},
    "a": [1, 2**53 + 1],
    "r": [{"x": -0.0, "y": ["p", "q"]}, {"x": None, "y": []}],
}


@pytest.fixture
def table(client: bigquery.Client, dataset: str) -> bigquery.Table:
    return client.create_table(bigquery.Table(f"{dataset}.t", schema=ALL_TYPES))


@pytest.fixture
def numbers(client: bigquery.Client, dataset: str) -> Iterator[bigquery.Table]:
    """Ten rows in three segments."""
    made = client.create_table(bigquery.Table(f"{dataset}.n", schema=[SchemaField("i", "INTEGER")]))
    for rows in (range(4), range(4, 5), range(5, 10)):
        assert client.insert_rows_json(made, [{"i": i} for i in rows]) == []
    yield made


def test_datasets_are_made_listed_changed_and_deleted(client: bigquery.Client) -> None:
    name = f"local.d_{uuid.uuid4().hex[:8]}"
    wanted = bigquery.Dataset(name)
    wanted.description, wanted.labels, wanted.location = "words", {"team": "a"}, "EU"

    made = client.create_dataset(wanted)
    with pytest.raises(Conflict):
        client.create_dataset(name)
    client.create_dataset(name, exists_ok=True)
    made.friendly_name = "friend"
    made.labels = {"team": None, "new": "b"}
    changed = client.update_dataset(made, ["friendly_name", "labels"])
    listed = [one.dataset_id for one in client.list_datasets(filter="labels.new:b")]
    client.delete_dataset(name)

    assert (changed.description, changed.friendly_name, changed.location) == ("words", "friend", "EU")
    assert changed.labels == {"new": "b"}
    assert listed == [wanted.dataset_id]
    with pytest.raises(NotFound):
        client.get_dataset(name)
    client.delete_dataset(name, not_found_ok=True)


def test_a_dataset_with_tables_is_deleted_only_with_its_contents(
    client: bigquery.Client, table: bigquery.Table
) -> None:
    with pytest.raises(BadRequest, match="still in use"):
        client.delete_dataset(table.dataset_id)

    client.delete_dataset(table.dataset_id, delete_contents=True)

    with pytest.raises(NotFound):
        client.get_table(table)


def test_a_table_keeps_all_that_is_said_of_it(client: bigquery.Client, dataset: str) -> None:
    wanted = bigquery.Table(
        f"{dataset}.t", schema=[SchemaField("d", "DATE", "REQUIRED", description="a day"), ALL_TYPES[1]]
    )
    wanted.description, wanted.labels = "words", {"a": "b"}
    wanted.time_partitioning = bigquery.TimePartitioning(field="d")
    wanted.clustering_fields = ["i"]
    client.create_table(wanted)

    found = client.get_table(f"{dataset}.t")
    found.schema = [*found.schema, SchemaField("new", "STRING")]
    changed = client.update_table(found, ["schema"])
    listed = list(client.list_tables(dataset))

    assert (found.description, found.labels, found.clustering_fields) == ("words", {"a": "b"}, ["i"])
    assert found.time_partitioning.field == "d"
    assert found.schema[0].description == "a day" and found.schema[0].mode == "REQUIRED"
    assert [one.name for one in changed.schema] == ["d", "i", "new"]
    assert [one.table_id for one in listed] == ["t"]


def test_a_column_that_is_there_cannot_change(client: bigquery.Client, table: bigquery.Table) -> None:
    table.schema = [SchemaField("s", "INTEGER"), *ALL_TYPES[1:]]

    with pytest.raises(BadRequest, match="s has changed type from STRING to INTEGER"):
        client.update_table(table, ["schema"])


@pytest.mark.parametrize(
    ("resource", "words"),
    [
        ({"schema": {"fields": [{"name": "g", "type": "GEOGRAPHY"}]}}, "GEOGRAPHY is not supported"),
        ({"timePartitioning": {"type": "DAY"}}, "time of loading"),
        ({"materializedView": {"query": "x"}}, "materializedView"),
        ({"schema": {"fields": [{"name": "1x", "type": "STRING"}]}}, "1x"),
        ({"encryptionConfiguration": {"kmsKeyName": "k"}}, "encryptionConfiguration"),
    ],
)
def test_what_would_have_no_effect_is_refused_by_name(
    client: bigquery.Client, dataset: str, resource: dict[str, object], words: str
) -> None:
    project, name = dataset.split(".")
    reference = {"projectId": project, "datasetId": name, "tableId": "x"}

    with pytest.raises(BadRequest, match=words):
        client.create_table(bigquery.Table.from_api_repr({"tableReference": reference, **resource}))


def test_every_type_comes_out_as_it_went_in(client: bigquery.Client, table: bigquery.Table) -> None:
    empty = dict.fromkeys(FULL) | {"a": [], "r": []}

    assert client.insert_rows(table, [FULL, empty]) == []

    found = [dict(row) for row in client.list_rows(table)]
    assert found == [FULL, empty]
    assert math.copysign(1, found[0]["r"][0]["x"]) == -1


def test_arrow_has_the_same_values(client: bigquery.Client, table: bigquery.Table) -> None:
    row = {key: value for key, value in FULL.items() if key not in ("bn", "j")}
    client.insert_rows(table, [FULL])

    got = client.list_rows(table).to_arrow().to_pylist()[0]

    assert {key: got[key] for key in row} == row


def test_pages_are_as_long_as_asked_and_go_across_segments(
    client: bigquery.Client, numbers: bigquery.Table
) -> None:
    pages = [[row.i for row in page] for page in client.list_rows(numbers, page_size=3).pages]
    some = [row.i for row in client.list_rows(numbers, start_index=3, max_results=4)]

    assert pages == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]
    assert some == [3, 4, 5, 6]
    assert client.get_table(numbers).num_rows == 10


def test_only_selected_fields_come(client: bigquery.Client, table: bigquery.Table) -> None:
    client.insert_rows(table, [FULL])

    found = client.list_rows(table, selected_fields=[ALL_TYPES[1], ALL_TYPES[0]])

    assert [dict(row) for row in found] == [{"s": FULL["s"], "i": FULL["i"]}]


def test_pages_are_all_of_one_version_though_rows_come_meanwhile(
    client: bigquery.Client, numbers: bigquery.Table
) -> None:
    pages = client.list_rows(numbers, page_size=4).pages
    first = [row.i for row in next(pages)]

    client.insert_rows_json(numbers, [{"i": 100}])

    assert first + [row.i for page in pages for row in page] == list(range(10))
    assert client.get_table(numbers).num_rows == 11


def test_bad_rows_are_named_one_by_one(client: bigquery.Client, table: bigquery.Table) -> None:
    rows = [{"i": "x"}, {"i": 1}, {"nope": 1}, {"a": 5}, {"i": 1.5}]

    errors = client.insert_rows_json(table, rows)
    kept = client.insert_rows_json(table, rows, skip_invalid_rows=True, ignore_unknown_values=True)

    reasons = {error["index"]: error["errors"][0]["reason"] for error in errors}
    assert reasons == {0: "invalid", 1: "stopped", 2: "invalid", 3: "invalid", 4: "invalid"}
    assert [error["errors"][0]["location"] for error in errors] == ["i", "", "nope", "a", "i"]
    assert [error["index"] for error in kept] == [0, 3, 4]
    assert [row.i for row in client.list_rows(table)] == [1, None]


def test_a_row_that_is_sent_twice_comes_once(client: bigquery.Client, numbers: bigquery.Table) -> None:
    for _ in range(2):
        client.insert_rows_json(numbers, [{"i": 77}, {"i": 78}], row_ids=["a", "b"])

    assert [row.i for row in client.list_rows(numbers, start_index=10)] == [77, 78]


def test_many_writers_lose_no_row(client: bigquery.Client, numbers: bigquery.Table) -> None:
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda i: client.insert_rows_json(numbers, [{"i": i}]), range(100, 116)))

    assert done == [[]] * 16
    assert sorted(row.i for row in client.list_rows(numbers)) == [*range(10), *range(100, 116)]


def test_the_projects_and_their_account_are_told(client: bigquery.Client) -> None:
    assert "local" in [project.project_id for project in client.list_projects()]
    assert client.get_service_account_email().endswith("iam.gserviceaccount.com")


def test_a_name_that_is_nearly_right_is_suggested(client: bigquery.Client, numbers: bigquery.Table) -> None:
    with pytest.raises(NotFound, match="Did you mean 'n'"):
        client.get_table(f"local.{numbers.dataset_id}.nn")
