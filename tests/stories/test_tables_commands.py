"""Tables on the command line: made, loaded, asked, split, and read by a job whose reading is written down."""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlengine import Client
from tests.stories.conftest import Server, Shell

RUNTIME = "2026.11-sklearn"
IMAGES = np.random.default_rng(7).integers(0, 256, (50, 4, 3), dtype=np.uint8)
LABELS = np.arange(50, dtype=np.uint8) % 10


def idx(array: Any) -> bytes:
    shape = b"".join(struct.pack(">I", length) for length in array.shape)
    return bytes([0, 0, 8, array.ndim]) + shape + array.tobytes()


@pytest.fixture(scope="module")
def mnist(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A client, and a dataset `digits` with the table `all`."""
    shell = Shell(tmp_path_factory.mktemp("idx"), dict(server.shell.environment))
    (shell.cwd / "images-idx3-ubyte").write_bytes(idx(IMAGES))
    (shell.cwd / "labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(LABELS)))
    shell.run("tables", "mk", "digits", "-f")
    done = shell.run("tables", "load", "digits.all", "images-idx3-ubyte", "labels-idx1-ubyte.gz")
    assert "Loaded 50 rows" in done.stderr
    with Client(endpoint=server.endpoint) as client:
        yield client


def test_idx_files_become_arrays_of_numbers(mnist: Client) -> None:
    found = mnist.table("digits.all").to_numpy()

    assert (found["image"] == IMAGES.reshape(50, 12)).all()
    assert (found["label"] == LABELS).all()


def test_a_table_is_made_filled_asked_and_removed(shell: Shell) -> None:
    (shell.cwd / "rows.jsonl").write_text('{"id": 1, "tags": ["a", "b"]}\n{"id": 2}\n')
    shell.run("tables", "mk", "walk")
    shell.run("tables", "mk", "walk.t", "--schema", "id:INT64:REQUIRED,tags:ARRAY<STRING>")

    shell.run("tables", "insert", "walk.t", "rows.jsonl")
    shell.run("tables", "update", "walk.t", "--description", "told", "--add-columns", "x:FLOAT64")

    assert shell.run("tables", "show", "walk.t", "--schema").stdout.splitlines() == [
        "id: INTEGER REQUIRED",
        "tags: ARRAY<STRING>",
        "x: FLOAT",
    ]
    assert shell.json("tables", "head", "walk.t") == [
        {"id": 1, "tags": ["a", "b"], "x": None},
        {"id": 2, "tags": [], "x": None},
    ]
    sql = "SELECT id FROM walk.t WHERE id > @least"
    assert shell.json("tables", "query", sql, "--parameter", "least:INT64:1") == [{"id": 2}]
    assert [one["rows"] for one in shell.json("tables", "ls", "walk")] == ["2"]
    assert "still in use" in shell.run("tables", "rm", "-f", "walk", code=1).stderr
    shell.run("tables", "rm", "-r", "-f", "walk")
    assert "Not found" in shell.run("tables", "show", "walk", code=1).stderr


def test_a_query_comes_from_standard_input_and_fails_with_its_place(shell: Shell) -> None:
    done = shell.run("tables", "query", stdin="SELECT 1 AS a,\n nope AS b", code=1)

    assert "Unrecognized name: nope at [2:2]" in done.stderr


def test_a_bad_file_is_told_by_line_and_column(shell: Shell) -> None:
    shell.run("tables", "mk", "bad", "-f")
    (shell.cwd / "bad.csv").write_text("a,b\n1,x\n2.5,y\n")

    line = ("tables", "load", "bad.t", "bad.csv", "--schema", "a:INT64,b:STRING", "--skip-leading-rows", "1")
    done = shell.run(*line, code=1)

    assert "line 3, column a" in done.stderr
    assert "Not found" in shell.run("tables", "show", "bad.t", code=1).stderr


def test_digits_that_do_not_fit_are_warned_of(shell: Shell) -> None:
    shell.run("tables", "mk", "digit", "-f")
    (shell.cwd / "long.csv").write_text("0.12345678901234567890123\n1.5\n")

    done = shell.run("tables", "load", "digit.t", "long.csv", "--schema", "f:FLOAT64")

    assert "WARNING: Column f: 1 value lost digits" in done.stderr


def test_a_partition_decorator_is_refused_by_name(shell: Shell, mnist: Client) -> None:
    done = shell.run("tables", "head", "digits.all$20260101", code=1)

    assert "$ decorators are not supported" in done.stderr


def test_the_same_seed_splits_the_same_way(shell: Shell, mnist: Client) -> None:
    for into in ("digits.a,digits.b", "digits.c,digits.d"):
        shell.run("tables", "split", "digits.all", "--seed", "7", "--ratios", "0.8,0.2", "--into", into)
    shell.run("tables", "split", "digits.all", "--seed", "8", "--into", "digits.e,digits.f")

    a, b, c, e = (mnist.table(f"digits.{name}").to_numpy()["image"] for name in "abce")
    assert (len(a), len(b), len(e)) == (40, 10, 25)
    assert (a == c).all()
    assert {row.tobytes() for row in np.concatenate([a, b])} == {
        row.tobytes() for row in IMAGES.reshape(50, 12).astype(np.int64)
    }
    assert {row.tobytes() for row in a} != {row.tobytes() for row in e}


def test_a_shuffle_keeps_all_rows_in_another_order(shell: Shell, mnist: Client) -> None:
    shell.run("tables", "shuffle", "digits.all", "digits.mixed", "--seed", "3")

    found = mnist.table("digits.mixed").to_numpy()
    order = [IMAGES.reshape(50, 12).tolist().index(row) for row in found["image"].tolist()]
    assert sorted(order) == list(range(50)) != order
    assert (found["label"] == LABELS[order]).all()


def test_a_reader_gives_columns_rows_and_batches(mnist: Client) -> None:
    reader = mnist.table("digits.all", columns=["label"]).rows(10, 45)

    assert [batch.num_rows for batch in reader.batches(16)] == [16, 16, 3]
    assert reader.to_arrow().column_names == ["label"]
    assert list(reader.to_pandas()["label"]) == LABELS[10:45].tolist()


TASK = """
import sys
from google.cloud import bigquery

client = bigquery.Client()
rows = client.list_rows("digits.kept").to_arrow()
print("rows", rows.num_rows, "sum", sum(map(sum, rows["image"].to_pylist())))
print("asked", [row.n for row in client.query("SELECT COUNT(*) AS n FROM digits.all").result()])
"""


def test_what_a_job_reads_is_written_down_with_its_version(shell: Shell, mnist: Client) -> None:
    shell.run("tables", "cp", "digits.all", "digits.kept")
    package = shell.cwd / "package"
    (package / "trainer").mkdir(parents=True)
    (package / "trainer" / "__init__.py").touch()
    (package / "trainer" / "task.py").write_text(TASK)
    needs = "['google-cloud-bigquery>=3.40', 'pyarrow>=22']"
    (package / "setup.py").write_text(
        "from setuptools import setup\n"
        f"setup(name='reads', version='1', packages=['trainer'], install_requires={needs})\n"
    )

    job = mnist.jobs.submit(
        "reads_tables", package=package / "trainer", module="trainer.task", runtime_version=RUNTIME
    ).wait(timeout=600)
    read = {one["table"]: one["version"] for one in job.raw["trainingOutput"]["mlengine"]["tables"]}
    sql = "UPDATE digits.kept SET label = 0 WHERE TRUE"
    shell.run("tables", "query", sql)

    messages = [line.message for line in job.logs()]
    assert f"rows 50 sum {IMAGES.sum()}" in messages
    assert "asked [50]" in messages
    assert read == {"local.digits.kept": "1", "local.digits.all": "1"}
    then = mnist.table("digits.kept").at(int(read["local.digits.kept"])).to_numpy()
    assert (then["label"] == LABELS).all()
    assert not mnist.table("digits.kept").to_numpy()["label"].any()
    moment = job.raw["trainingOutput"]["mlengine"]["tables"][0]["readTime"]
    asked = f"SELECT SUM(label) AS s FROM digits.kept FOR SYSTEM_TIME AS OF TIMESTAMP '{moment}'"
    assert shell.json("tables", "query", asked) == [{"s": int(LABELS.sum())}]


def test_what_is_extracted_as_json_loads_again(shell: Shell, mnist: Client) -> None:
    shell.run("storage", "mb", "gs://tables-out", code=None)

    shell.run("tables", "extract", "digits.all", "gs://tables-out/all.json")

    lines = shell.run("storage", "cat", "gs://tables-out/all.json").stdout.splitlines()
    assert [int(json.loads(line)["label"]) for line in lines] == LABELS.tolist()
    shell.run(
        "tables",
        "load",
        "digits.again",
        "gs://tables-out/all.json",
        "--schema",
        "image:ARRAY<INT64>,label:INT64",
    )
    assert (mnist.table("digits.again").to_numpy()["image"] == IMAGES.reshape(50, 12)).all()


def test_a_folder_that_is_no_table_file_is_refused(shell: Shell, tmp_path: Path) -> None:
    done = shell.run("tables", "load", "digits.x", str(tmp_path), "--source-format", "csv", code=1)

    assert "There is no file" in done.stderr
