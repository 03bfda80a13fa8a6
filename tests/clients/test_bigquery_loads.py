"""Google's BigQuery client, unmodified: loads in every format, copies and extracts."""

from __future__ import annotations

import gzip
import io
import math
import random
import struct
import uuid
from typing import Any

import fastavro
import numpy as np
import pandas as pd
import pandas_gbq
import pyarrow as pa
import pytest
from google.api_core.exceptions import BadRequest, Conflict, NotFound
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery, storage
from google.cloud.bigquery import LoadJobConfig, SchemaField
from pyarrow import orc, parquet

from tests.clients.bigquery_server import NO_STORAGE_API, client, dataset, house

__all__ = ["client", "dataset", "house"]
pytestmark = [
    NO_STORAGE_API,
    # What Google's packages say of each other.
    pytest.mark.filterwarnings("ignore:(Loading|Retrieving) DataFrames:PendingDeprecationWarning"),
    pytest.mark.filterwarnings("ignore:In a future major release:PendingDeprecationWarning"),
]

ID_AND_VALUE = [SchemaField("id", "INTEGER"), SchemaField("v", "FLOAT")]
_random = random.Random(7)
HARD_FLOATS = [0.0, -0.0, math.inf, -math.inf, math.nan, 5e-324, -5e-324, 2.2250738585072014e-308, 0.1, 1e23]
HARD_FLOATS += [struct.unpack("<d", _random.randbytes(8))[0] for _ in range(2000)]


def load(client: bigquery.Client, content: bytes, table: str, **options: Any) -> bigquery.LoadJob:
    job = begin(client, content, table, **options)
    job.result()
    return job


def begin(client: bigquery.Client, content: bytes, table: str, **options: Any) -> bigquery.LoadJob:
    return client.load_table_from_file(io.BytesIO(content), table, job_config=LoadJobConfig(**options))


def places(job: bigquery.LoadJob) -> list[str]:
    """Where errors are, the first of which is the job's own."""
    return [error["location"] for error in job.errors[1:]]


def values(client: bigquery.Client, table: str) -> list[tuple[Any, ...]]:
    return [row.values() for row in client.list_rows(table)]


def bits(numbers: Any) -> list[int]:
    """Bit by bit, but all NaNs of a text are one."""
    array = np.array(numbers, dtype=np.float64)
    array[np.isnan(array)] = np.nan
    return array.view(np.uint64).tolist()


def as_csv(numbers: list[float]) -> bytes:
    return "".join(f"{i},{number!r}\n" for i, number in enumerate(numbers)).encode()


def as_ndjson(numbers: list[float]) -> bytes:
    lines = [
        f'{{"id": {i}, "v": {number!r}}}\n'
        if math.isfinite(number)
        else f'{{"id": {i}, "v": "{number!r}"}}\n'
        for i, number in enumerate(numbers)
    ]
    return "".join(lines).encode()


def columns(numbers: list[float]) -> dict[str, Any]:
    return {"id": list(range(len(numbers))), "v": numbers}


def as_parquet(numbers: list[float]) -> bytes:
    out = io.BytesIO()
    parquet.write_table(pa.table(columns(numbers)), out)
    return out.getvalue()


def as_orc(numbers: list[float]) -> bytes:
    out = io.BytesIO()
    orc.write_table(pa.table(columns(numbers)), out)
    return out.getvalue()


def as_avro(numbers: list[float]) -> bytes:
    out = io.BytesIO()
    fields = [{"name": "id", "type": "long"}, {"name": "v", "type": ["null", "double"]}]
    records = [{"id": i, "v": number} for i, number in enumerate(numbers)]
    fastavro.writer(out, {"type": "record", "name": "r", "fields": fields}, records)
    return out.getvalue()


@pytest.mark.parametrize(
    ("form", "write"),
    [
        ("CSV", as_csv),
        ("NEWLINE_DELIMITED_JSON", as_ndjson),
        ("PARQUET", as_parquet),
        ("ORC", as_orc),
        ("AVRO", as_avro),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_every_bit_of_a_float_survives_every_format(
    client: bigquery.Client, dataset: str, form: str, write: Any, packed: bool
) -> None:
    if packed and form not in ("CSV", "NEWLINE_DELIMITED_JSON"):
        packed = False  # they pack by themselves
    content = gzip.compress(write(HARD_FLOATS)) if packed else write(HARD_FLOATS)

    job = load(client, content, f"{dataset}.t", source_format=form, schema=ID_AND_VALUE)

    assert job.errors is None
    got = client.list_rows(f"{dataset}.t").to_arrow()
    assert got["id"].to_pylist() == list(range(len(HARD_FLOATS)))
    assert bits(got["v"].to_numpy()) == bits(HARD_FLOATS)


def test_a_data_frame_survives_with_its_arrays(client: bigquery.Client, dataset: str) -> None:
    frame = pd.DataFrame({"x": HARD_FLOATS, "a": [[1, 2, 3]] * len(HARD_FLOATS)})
    frame["t"] = pd.Timestamp("2026-01-01T00:00:00.000001", tz="UTC")

    client.load_table_from_dataframe(frame, f"{dataset}.t").result()

    got = client.list_rows(f"{dataset}.t").to_dataframe()
    assert bits(got["x"]) == bits(frame["x"])
    assert [list(one) for one in got["a"]] == frame["a"].tolist()
    assert got["t"].tolist() == frame["t"].tolist()


def test_text_that_loses_digits_is_counted_and_loaded(client: bigquery.Client, dataset: str) -> None:
    text = b"0.1,1.5\n0.12345678901234567890123,2.1234567891\n-1e-7,3\n0.30000000000000004,0.1\n"
    schema = [SchemaField("f", "FLOAT"), SchemaField("n", "NUMERIC")]

    job = load(client, text, f"{dataset}.t", schema=schema)

    assert job.error_result is None
    assert [error["location"] for error in job.errors] == ["column f", "column n"]
    assert all("1 value lost digits" in error["message"] for error in job.errors)
    assert job.output_rows == 4


def test_csv_options_have_their_effect(client: bigquery.Client, dataset: str) -> None:
    text = "skip me\n1|'a|b'|NA\n2||x\n3\n4|ü\n".encode("latin-1")
    schema = [SchemaField("i", "INTEGER"), SchemaField("s", "STRING"), SchemaField("t", "STRING")]

    load(
        client,
        text,
        f"{dataset}.t",
        schema=schema,
        skip_leading_rows=1,
        field_delimiter="|",
        quote_character="'",
        null_marker="NA",
        allow_jagged_rows=True,
        encoding="ISO-8859-1",
    )

    assert values(client, f"{dataset}.t") == [
        (1, "a|b", None),
        (2, "", "x"),
        (3, None, None),
        (4, "ü", None),
    ]


def test_columns_are_detected(client: bigquery.Client, dataset: str) -> None:
    load(client, b"id,name,when,v\n1,a,2024-01-01,0.5\n2,b,2024-01-02,\n", f"{dataset}.t", autodetect=True)

    schema = client.get_table(f"{dataset}.t").schema
    assert [(one.name, one.field_type) for one in schema] == [
        ("id", "INTEGER"),
        ("name", "STRING"),
        ("when", "DATE"),
        ("v", "FLOAT"),
    ]


def test_bad_csv_is_told_by_line_and_column_and_nothing_is_loaded(
    client: bigquery.Client, dataset: str
) -> None:
    text = b"1,0.5\nx,0.5\n3,0.5,9\n1.5,1\n5,y\n6,1\n"

    failed = begin(client, text, f"{dataset}.t", schema=ID_AND_VALUE)
    with pytest.raises(BadRequest, match=r"line 2, column id: .*'x'"):
        failed.result()
    with pytest.raises(NotFound):
        client.get_table(f"{dataset}.t")
    job = load(client, text, f"{dataset}.t", schema=ID_AND_VALUE, max_bad_records=4)

    assert [place.partition(",")[0] for place in places(failed)] == ["line 2", "line 3", "line 4", "line 5"]
    assert values(client, f"{dataset}.t") == [(1, 0.5), (6, 1.0)]
    assert job._properties["statistics"]["load"]["badRecords"] == "4"


def test_bad_json_is_told_by_line_and_column(client: bigquery.Client, dataset: str) -> None:
    text = b'{"id": 1}\n{"id": "x"}\n{"id": 2, "zz": 1}\n{broken\n'
    options: dict[str, Any] = {"schema": ID_AND_VALUE, "source_format": "NEWLINE_DELIMITED_JSON"}

    failed = begin(client, text, f"{dataset}.t", **options)
    with pytest.raises(BadRequest, match="line 2, column id"):
        failed.result()
    load(client, text, f"{dataset}.t", max_bad_records=2, ignore_unknown_values=True, **options)

    assert places(failed) == ["line 2, column id", "line 3, column zz", "line 4"]
    assert values(client, f"{dataset}.t") == [(1, None), (2, None)]


def test_nested_json_is_exact(client: bigquery.Client, dataset: str) -> None:
    row = '{"n": 12345678901234567.123456789, "i": 9007199254740993, "r": [{"b": "AAH/"}], "j": {"x": [1.5]}}'
    schema = [
        SchemaField("n", "NUMERIC"),
        SchemaField("i", "INTEGER"),
        SchemaField("r", "RECORD", mode="REPEATED", fields=[SchemaField("b", "BYTES")]),
        SchemaField("j", "JSON"),
    ]

    load(client, row.encode(), f"{dataset}.t", schema=schema, source_format="NEWLINE_DELIMITED_JSON")

    (found,) = values(client, f"{dataset}.t")
    assert str(found[0]) == "12345678901234567.123456789"
    assert found[1:] == (9007199254740993, [{"b": b"\x00\x01\xff"}], {"x": [1.5]})


def test_rows_given_as_json_are_loaded_and_their_columns_detected(
    client: bigquery.Client, dataset: str
) -> None:
    rows = [{"a": 1, "b": [{"c": "x"}]}, {"a": 2, "b": []}]

    client.load_table_from_json(rows, f"{dataset}.t").result()

    assert values(client, f"{dataset}.t") == [(1, [{"c": "x"}]), (2, [])]


def test_dispositions_are_obeyed(client: bigquery.Client, dataset: str) -> None:
    table = f"{dataset}.t"
    with pytest.raises(NotFound):
        load(client, b"1,1\n", table, schema=ID_AND_VALUE, create_disposition="CREATE_NEVER")
    load(client, b"1,1\n", table, schema=ID_AND_VALUE)
    load(client, b"2,2\n", table)
    with pytest.raises(Conflict):
        load(client, b"3,3\n", table, write_disposition="WRITE_EMPTY")
    appended = values(client, table)
    load(client, b"4,4\n", table, write_disposition="WRITE_TRUNCATE")

    assert appended == [(1, 1.0), (2, 2.0)]
    assert values(client, table) == [(4, 4.0)]


def test_columns_are_added_only_when_asked_for(client: bigquery.Client, dataset: str) -> None:
    table, wider = f"{dataset}.t", [*ID_AND_VALUE, SchemaField("s", "STRING")]
    load(client, b"1,1\n", table, schema=ID_AND_VALUE)

    with pytest.raises(BadRequest, match="ALLOW_FIELD_ADDITION"):
        load(client, b"2,2,x\n", table, schema=wider)
    load(client, b"2,2,x\n", table, schema=wider, schema_update_options=["ALLOW_FIELD_ADDITION"])

    assert values(client, table) == [(1, 1.0, None), (2, 2.0, "x")]


def test_a_required_column_needs_a_value(client: bigquery.Client, dataset: str) -> None:
    schema = [SchemaField("i", "INTEGER", "REQUIRED"), SchemaField("s", "STRING")]

    with pytest.raises(BadRequest, match="Required field i is NULL in row 2"):
        load(client, b"1,a\n,b\n", f"{dataset}.t", schema=schema)


def test_a_content_comes_in_several_requests(
    client: bigquery.Client, dataset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The client's own chunks are 100 MB long.
    monkeypatch.setattr("google.cloud.bigquery.client._DEFAULT_CHUNKSIZE", 1 << 20)
    text = b"".join(b"%d,%d.5\n" % (i, i) for i in range(200_000))

    job = load(client, text, f"{dataset}.t", schema=ID_AND_VALUE)

    assert job.output_rows == 200_000
    assert job.input_file_bytes == len(text)


def test_buckets_are_loaded_from_and_extracted_to(client: bigquery.Client, dataset: str) -> None:
    bucket = f"b-{uuid.uuid4().hex[:12]}"
    with storage.Client(project="local", credentials=AnonymousCredentials()) as buckets:
        made = buckets.create_bucket(bucket)
        made.blob("in/a.csv").upload_from_string("1,0.1\n")
        made.blob("in/b.csv").upload_from_string("2,-0.0\n")
        config = LoadJobConfig(schema=ID_AND_VALUE)
        client.load_table_from_uri(f"gs://{bucket}/in/*.csv", f"{dataset}.t", job_config=config).result()
        for form in ("CSV", "NEWLINE_DELIMITED_JSON", "PARQUET"):
            extract = bigquery.ExtractJobConfig(destination_format=form)
            url = f"gs://{bucket}/out/{form}-*"
            client.extract_table(f"{dataset}.t", url, job_config=extract).result()
            again = LoadJobConfig(schema=ID_AND_VALUE, source_format=form)
            if form == "CSV":
                again.skip_leading_rows = 1
            client.load_table_from_uri(url, f"{dataset}.{form}", job_config=again).result()
        names = [blob.name for blob in made.list_blobs(prefix="out/")]

    assert names == sorted(f"out/{form}-{'0' * 12}" for form in ("CSV", "NEWLINE_DELIMITED_JSON", "PARQUET"))
    for form in ("t", "CSV", "NEWLINE_DELIMITED_JSON", "PARQUET"):
        found = values(client, f"{dataset}.{form}")
        assert found == [(1, 0.1), (2, 0.0)] and math.copysign(1, found[1][1]) == -1


def test_a_missing_object_fails_the_job_by_name(client: bigquery.Client, dataset: str) -> None:
    job = client.load_table_from_uri("gs://no-such-bucket-here/x.csv", f"{dataset}.t")

    with pytest.raises(NotFound, match="no-such-bucket-here"):
        job.result()


def test_a_copy_has_the_rows_and_lives_by_itself(client: bigquery.Client, dataset: str) -> None:
    load(client, b"1,1\n2,2\n", f"{dataset}.t", schema=ID_AND_VALUE)

    client.copy_table(f"{dataset}.t", f"{dataset}.u").result()
    with pytest.raises(Conflict):
        client.copy_table(f"{dataset}.t", f"{dataset}.u").result()
    client.delete_table(f"{dataset}.t")

    assert values(client, f"{dataset}.u") == [(1, 1.0), (2, 2.0)]


def test_jobs_are_listed_with_what_they_did(client: bigquery.Client, dataset: str) -> None:
    job = load(client, b"1,1\n", f"{dataset}.t", schema=ID_AND_VALUE)

    found = client.get_job(job.job_id)
    listed = [one.job_id for one in client.list_jobs(max_results=20, state_filter="done")]

    assert (found.state, found.output_rows, found.user_email) == ("DONE", 1, "owner")
    assert job.job_id in listed
    with pytest.raises(Conflict):
        client.load_table_from_file(io.BytesIO(b"1,1\n"), f"{dataset}.t", job_id=job.job_id)


@pytest.mark.parametrize(
    "option",
    [{"hivePartitioningOptions": {"mode": "AUTO"}}, {"sourceFormat": "DATASTORE_BACKUP"}, {"typo": 1}],
)
def test_options_without_effect_are_refused_by_name(
    client: bigquery.Client, dataset: str, option: dict[str, Any]
) -> None:
    config = LoadJobConfig.from_api_repr({"load": option})

    with pytest.raises(BadRequest, match=next(iter(option))):
        client.load_table_from_file(io.BytesIO(b"1\n"), f"{dataset}.t", job_config=config)


def test_pandas_gbq_writes_a_frame(
    client: bigquery.Client, dataset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = pd.DataFrame({"x": HARD_FLOATS[:10], "s": list("abcdefghij")})

    pandas_gbq.to_gbq(
        frame, f"{dataset.split('.')[1]}.g", "local", credentials=AnonymousCredentials(), progress_bar=False
    )

    assert bits([row.x for row in client.list_rows(f"{dataset}.g")]) == bits(frame["x"])
