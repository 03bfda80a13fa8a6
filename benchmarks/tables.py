"""Tables beside DuckDB itself and the BigQuery emulators of PyPI: rows a second out, seconds in.

    python -m benchmarks.tables [--rows N] [--rounds 3] [--load-mb 1000] [--no-peers] [--newer-python PATH]

Out: a table (key STRING, image STRING of 784 numbers), read whole, in turns A B C, A B C, …; medians.
"list_rows" is google-cloud-bigquery's `list_rows(table).to_arrow()` over JSON pages, the same client for each
server; "reader" is `mlengine.Client().table(…).to_arrow()`. DuckDB reads a Parquet file of the same rows.

In: a CSV and a Parquet file of mixed columns (numbers, times, words, one float of all digits) in a bucket,
loaded by `load_table_from_uri`; DuckDB makes a table of the same file in a database on the same disk, with
CHECKPOINT.

Each emulator runs in an environment of its own, with DuckDB 1.5.5, the last one for which PyPI has the
extensions they need, laid where DuckDB looks for them. What does not start is told with its last words.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery, storage

import mlengine
from benchmarks import storage_servers

_DUCKDB = "1.5.5"
_READY_SECONDS = 60.0
_PATIENCE = 300.0


@dataclass(frozen=True, kw_only=True)
class Peer:
    """An emulator of PyPI.

    Attributes:
        needs: What else its environment must have.
        python: The version it asks for.
        line: The command after its name, for a port, one for gRPC and a folder.
    """

    name: str
    python: str
    needs: tuple[str, ...]
    line: Callable[[int, int, Path], list[str]]


PEERS = (
    Peer(
        name="local-bigquery",
        python="3.13",
        needs=("duckdb-extension-ducklake", "duckdb-extension-icu", "duckdb-extension-spatial"),
        line=lambda port, grpc, folder: [
            *("serve", "--host", "127.0.0.1", "--port", str(port), "--grpc-port", str(grpc)),
            *("--data-dir", str(folder / "data")),
        ],
    ),
    Peer(
        name="bqemulator",
        python="3.11",
        needs=("duckdb-extension-spatial", "numpy"),
        line=lambda port, grpc, _folder: ["start", "--rest-port", str(port), "--grpc-port", str(grpc)],
    ),
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--load-mb", type=int, default=1000)
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--newer-python", default="", help="an interpreter of 3.13, if uv finds none")
    wanted = parser.parse_args()
    warnings.filterwarnings("ignore", message="BigQuery Storage module not found")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tables-")))
        server = stack.enter_context(storage_servers.ours(folder / "ours"))
        urls = {"mlengine": server.url}
        for peer in () if wanted.no_peers else PEERS:
            newer = wanted.newer_python if peer.python == "3.13" else ""
            try:
                urls[peer.name] = stack.enter_context(running(peer, folder / peer.name, python=newer))
            except (OSError, RuntimeError, subprocess.SubprocessError) as error:
                print(f"{peer.name} does not run here: {error}")
        _out(folder, urls, rows=wanted.rows, rounds=wanted.rounds)
        if wanted.load_mb:
            _in(folder, server.url, megabytes=wanted.load_mb, rounds=wanted.rounds)


def _out(folder: Path, urls: dict[str, str], *, rows: int, rounds: int) -> None:
    path = folder / "images.csv"
    number = "(random() * 255)::INTEGER * (random() < 0.2)::INTEGER"
    numbers = f"array_to_string(list_transform(range(784), lambda x: {number}), ',')"
    images = f"SELECT 'k' || i AS key, {numbers} AS image FROM range({rows}) AS t(i)"
    parquet = str(path.with_suffix(".parquet"))
    with duckdb.connect() as made:
        made.execute(f"COPY ({images}) TO '{parquet}' (FORMAT parquet)")
        made.execute(f"COPY (FROM '{parquet}') TO '{path}' (FORMAT csv, HEADER true)")
    readers: dict[str, Callable[[], int]] = {}

    def direct() -> int:
        with duckdb.connect() as opened:
            return int(opened.sql(f"FROM '{parquet}'").to_arrow_table().num_rows)

    readers["DuckDB"] = direct
    for name, url in urls.items():
        opened = _client(url)
        try:
            _fill(opened, path)
        except Exception as error:  # whatever an emulator dies of is its result
            print(f"{name} does not load the file: {type(error).__name__}: {str(error)[:300]}")
            continue
        readers[f"{name}, list_rows"] = lambda opened=opened: opened.list_rows("d.t").to_arrow().num_rows
        if name == "mlengine":
            ours = mlengine.Client(endpoint=url)
            readers["mlengine, reader"] = lambda ours=ours: ours.table("d.t").to_arrow().num_rows
    found: dict[str, list[float]] = {name: [] for name in readers}
    for _ in range(rounds):
        for name, read in list(readers.items()):
            began = time.perf_counter()
            try:
                if (count := read()) != rows:
                    raise RuntimeError(f"{count} rows came, not {rows}")
            except Exception as error:  # as above
                print(f"{name} does not read the table: {type(error).__name__}: {str(error)[:300]}")
                del readers[name]
                continue
            found[name].append(rows / (time.perf_counter() - began))
    best = statistics.median(found["DuckDB"])
    print(f"\n| out: {rows:,} rows | rows/s | of DuckDB |\n| --- | --- | --- |")
    for name, rates in found.items():
        if rates:
            rate = statistics.median(rates)
            print(f"| {name} | {rate:,.0f} | {rate / best:.3f} |")


def _in(folder: Path, url: str, *, megabytes: int, rounds: int) -> None:
    rows = megabytes * 1_000_000 // 97
    csv, parquet = folder / "mixed.csv", folder / "mixed.parquet"
    mixed = (
        "SELECT i AS id, 'name ' || (i % 1000) AS name, round(random() * 1e6, 2) AS price, "
        "(random() * 1e9)::BIGINT AS code, TIMESTAMP '2026-01-01' + INTERVAL (i % 1000000) SECOND AS moment, "
        "random() < 0.5 AS flag, random() AS score, round(random(), 4) AS share, 'city ' || (i % 97) AS city "
        f"FROM range({rows}) AS t(i)"
    )
    with duckdb.connect() as made:
        made.execute(f"COPY ({mixed}) TO '{csv}' (HEADER true)")
        made.execute(f"COPY (FROM '{csv}') TO '{parquet}' (FORMAT parquet)")
    opened = _client(url)
    with storage.Client(
        project="local", credentials=AnonymousCredentials(), client_options={"api_endpoint": url}
    ) as buckets:
        bucket = buckets.create_bucket("benchmark")
        for path in (csv, parquet):
            bucket.blob(path.name).upload_from_filename(str(path))
    print("\n| in | MB | DuckDB, s | mlengine, s | ratio |\n| --- | --- | --- | --- | --- |")
    for path, kind in ((csv, "CSV"), (parquet, "PARQUET")):
        pairs: list[tuple[float, float]] = []
        for _ in range(rounds):
            database = folder / "direct.db"
            database.unlink(missing_ok=True)
            began = time.perf_counter()
            with duckdb.connect(str(database)) as made:
                made.execute(f"CREATE TABLE t AS FROM '{path}'")
                made.execute("CHECKPOINT")
            between = time.perf_counter()
            config = bigquery.LoadJobConfig(
                source_format=kind, autodetect=True, write_disposition="WRITE_TRUNCATE"
            )
            job = opened.load_table_from_uri(f"gs://benchmark/{path.name}", "d.mixed", job_config=config)
            if job.result().output_rows != rows or job.errors:
                raise RuntimeError(f"{job.output_rows} rows came, not {rows}; {job.errors}")
            pairs.append((between - began, time.perf_counter() - between))
        direct, ours = (statistics.median(column) for column in zip(*pairs, strict=True))
        size = path.stat().st_size / 1e6
        ratio = statistics.median(mine / theirs for theirs, mine in pairs)
        print(f"| {kind} | {size:,.0f} | {direct:.2f} | {ours:.2f} | {ratio:.2f} |")


def _client(url: str) -> bigquery.Client:
    return bigquery.Client(
        project="local", credentials=AnonymousCredentials(), client_options={"api_endpoint": url}
    )


def _fill(opened: bigquery.Client, path: Path) -> None:
    opened.create_dataset("d", exists_ok=True, timeout=60, retry=None)
    schema = [bigquery.SchemaField("key", "STRING"), bigquery.SchemaField("image", "STRING")]
    config = bigquery.LoadJobConfig(schema=schema, source_format="CSV", skip_leading_rows=1)
    with path.open("rb") as file:
        opened.load_table_from_file(file, "d.t", job_config=config).result(timeout=_PATIENCE)


@contextmanager
def running(peer: Peer, folder: Path, *, python: str = "") -> Iterator[str]:
    """An emulator in an environment of its own.

    Args:
        python: The interpreter or version to use; empty for the version that it asks for.

    Raises:
        RuntimeError: with its last words.
    """
    home = folder / "home"
    place = home / ".duckdb" / "extensions" / f"v{_DUCKDB}" / "linux_amd64"
    place.mkdir(parents=True)
    (folder / "data").mkdir()
    install = ["uv", "pip", "install", "-q", "--python", str(folder / "env" / "bin" / "python")]
    extensions = [f"{one}=={_DUCKDB}" if one.startswith("duckdb") else one for one in peer.needs]
    for line in (
        ["uv", "venv", "-q", "--python", python or peer.python, str(folder / "env")],
        [*install, peer.name],
        [*install, f"duckdb=={_DUCKDB}", *extensions],
    ):
        done = subprocess.run(line, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr.strip()[-400:])
    for found in (folder / "env").rglob("*.duckdb_extension"):
        shutil.copy(found, place)
    port, grpc = _free(), _free()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(folder / "env" / "bin" / peer.name), *peer.line(port, grpc, folder)],
            stdout=log,
            stderr=log,
            cwd=folder,
            env=os.environ | {"HOME": str(home)},
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(process, f"{url}/bigquery/v2/projects/local/datasets", folder / "log")
        yield url
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[Any], url: str, log: Path) -> None:
    until = time.monotonic() + _READY_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"it ended: …{log.read_text(errors='replace').strip()[-400:]}")
        try:
            with urllib.request.urlopen(url, timeout=15):
                return
        except OSError:
            time.sleep(0.3)
    raise RuntimeError(f"it gives no list of datasets: …{log.read_text(errors='replace').strip()[-400:]}")


def _free() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
