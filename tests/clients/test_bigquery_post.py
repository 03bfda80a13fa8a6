"""The third post: MNIST in tables, loaded from txt.gz, read by Google's client to NumPy; and a crash."""

from __future__ import annotations

import gzip
import io
import threading
from typing import Any

import numpy as np
import pytest
from google.api_core.exceptions import GoogleAPICallError, RetryError
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from google.cloud.bigquery import LoadJobConfig, SchemaField
from requests.exceptions import RequestException

from tests.clients.bigquery_server import NO_STORAGE_API, client, dataset, house
from tests.stories.conftest import Server, Shell

__all__ = ["client", "dataset", "house"]
pytestmark = NO_STORAGE_API

AS_IN_THE_POST = [SchemaField("key", "STRING"), SchemaField("image", "STRING")]


def images(count: int) -> Any:
    random = np.random.default_rng(3)
    return random.integers(0, 256, (count, 784)) * (random.random((count, 784)) < 0.2)


def as_text_gz(pixels: Any) -> bytes:
    lines = (f'{i:05d}_{i % 10},"{",".join(map(str, row))}"\n' for i, row in enumerate(pixels.tolist()))
    return gzip.compress("".join(lines).encode(), 1)


@pytest.mark.parametrize("count", [2000, pytest.param(60_000, marks=pytest.mark.slow)])
def test_images_come_back_exactly_as_in_the_post(client: bigquery.Client, dataset: str, count: int) -> None:
    pixels = images(count)
    job = client.load_table_from_file(
        io.BytesIO(as_text_gz(pixels)),
        f"{dataset}.train",
        job_config=LoadJobConfig(schema=AS_IN_THE_POST, source_format="CSV"),
    )
    assert job.result().output_rows == count

    table = client.get_table(f"{dataset}.train")
    found = client.list_rows(table).to_arrow().to_pydict()

    got = np.array([np.fromstring(text, dtype=np.int64, sep=",") for text in found["image"]])
    assert (got == pixels).all()
    assert [key[-1] for key in found["key"]] == [str(i % 10) for i in range(count)]


def test_normalised_images_need_no_text_and_lose_no_bit(client: bigquery.Client, dataset: str) -> None:
    normalised = (images(300) / 255).astype(np.float32).astype(np.float64)
    rows = [{"label": i % 10, "image": image.tolist()} for i, image in enumerate(normalised)]
    schema = [SchemaField("label", "INTEGER"), SchemaField("image", "FLOAT", mode="REPEATED")]

    client.load_table_from_json(rows, f"{dataset}.t", job_config=LoadJobConfig(schema=schema)).result()

    got = np.array(client.list_rows(f"{dataset}.t").to_arrow()["image"].to_pylist())
    assert (got.view(np.uint64) == normalised.view(np.uint64)).all()


@pytest.mark.slow
def test_a_server_that_is_killed_in_a_load_has_the_old_rows(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(tmp_path / "data", Shell(tmp_path))
    server.start()
    schema = [SchemaField("i", "INTEGER"), SchemaField("s", "STRING")]
    text = b"".join(b"%d,%s\n" % (i, b"x" * 200) for i in range(400_000))
    found: list[int] = []
    for round_ in range(5):
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", server.endpoint)
        opened = bigquery.Client(project="local", credentials=AnonymousCredentials())
        opened.create_dataset("d", exists_ok=True)
        if round_ == 0:
            opened.load_table_from_file(
                io.BytesIO(b"1,a\n"), "d.t", job_config=LoadJobConfig(schema=schema)
            ).result()
        timer = threading.Timer(0.05 + 0.1 * round_, server.kill)
        timer.start()
        try:
            config = LoadJobConfig(schema=schema, write_disposition="WRITE_APPEND")
            opened.load_table_from_file(
                io.BytesIO(text), "d.t", job_config=config, num_retries=0, timeout=20
            ).result(retry=None, timeout=20)
        except (GoogleAPICallError, OSError, RetryError, RequestException, TimeoutError):
            pass
        timer.join()
        server.start()
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", server.endpoint)
        again = bigquery.Client(project="local", credentials=AnonymousCredentials())
        rows = again.get_table("d.t").num_rows
        assert (rows - 1) % 400_000 == 0
        assert again.list_rows("d.t", selected_fields=schema[:1], max_results=1).to_arrow().num_rows == 1
        assert all(job.state == "DONE" for job in again.list_jobs())
        found.append(rows)
    server.stop()

    assert found == sorted(found)


@pytest.mark.slow
def test_readers_beside_loads_see_the_old_or_the_new_table(client: bigquery.Client, dataset: str) -> None:
    schema = [SchemaField("i", "INTEGER"), SchemaField("round", "INTEGER")]
    config = LoadJobConfig(schema=schema, write_disposition="WRITE_TRUNCATE")
    rows = 20_000
    seen: list[set[int]] = []
    over = threading.Event()

    def load(round_: int) -> None:
        text = b"".join(b"%d,%d\n" % (i, round_) for i in range(rows))
        client.load_table_from_file(io.BytesIO(text), f"{dataset}.t", job_config=config).result()

    def read() -> None:
        mine = bigquery.Client(project="local", credentials=AnonymousCredentials())
        while not over.is_set():
            found = mine.list_rows(f"{dataset}.t", page_size=3000).to_arrow()
            asked = [row.n for row in mine.query(f"SELECT COUNT(*) AS n FROM {dataset}.t").result()]
            seen.append({found.num_rows, *asked, *(-one for one in found["round"].unique().to_pylist())})
        mine.close()

    load(1)
    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for round_ in range(2, 8):
        load(round_)
    over.set()
    for reader in readers:
        reader.join()

    assert all(len(found) == 2 and rows in found for found in seen)
    assert len({min(found) for found in seen}) > 1
