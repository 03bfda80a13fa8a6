"""What a query can never do, even if the translation let it through: DuckDB itself is locked."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlengine.errors import DeadlineExceeded, InvalidArgument, Problem, ResourceExhausted
from mlengine.tables.engine import Brake, Engine, Stopped, translated
from mlengine.tables.segments import Segments


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine(Segments(tmp_path / "tables"), memory=64 << 20)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_text('{secret}')",
        "SELECT * FROM read_csv('{secret}')",
        "SELECT * FROM '{secret}'",
        "SELECT * FROM glob('{folder}/*')",
        "SELECT * FROM read_parquet('{folder}/*.parquet')",
        "SELECT * FROM read_text('{readable}/../secret')",
        "COPY (SELECT 1) TO '{folder}/out.csv'",
        "ATTACH '{folder}/x.db'",
        "EXPORT DATABASE '{folder}/x'",
        "IMPORT DATABASE '{folder}/x'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SELECT * FROM read_csv('http://127.0.0.1:1/x')",
        "SET enable_external_access = true",
        "SET allowed_paths = ['{secret}']",
        "SET allowed_directories = ['{folder}']",
        "SET memory_limit = '100GB'",
        "SET lock_configuration = false",
        "RESET allowed_paths",
        "SET temp_directory = '{folder}'",
    ],
)
def test_only_the_files_that_were_given_are_open(engine: Engine, tmp_path: Path, statement: str) -> None:
    secret, readable = tmp_path / "secret", tmp_path / "readable.parquet"
    secret.write_text("hidden")
    with engine.reader() as connection:
        connection.execute(f"COPY (SELECT 1 AS one) TO '{readable}'")

    with engine.sandbox(readable=[readable]) as sandbox:
        sandbox.prepare([])
        assert sandbox.rows(f"SELECT * FROM read_parquet('{readable}')") == [(1,)]
        with pytest.raises(Problem), translated():
            sandbox.rows(statement.format(secret=secret, folder=tmp_path, readable=readable))

    assert {path.name for path in tmp_path.iterdir()} == {"secret", "readable.parquet", "tables"}


def test_memory_is_bounded(engine: Engine) -> None:
    with pytest.raises(ResourceExhausted, match="Resources exceeded"), engine.sandbox() as sandbox:
        sandbox.prepare([])
        sandbox.rows("SELECT list(repeat('x', 1000) || range) FROM range(10000000)")


def test_time_is_bounded(tmp_path: Path) -> None:
    engine = Engine(Segments(tmp_path / "tables"), seconds=0.3)
    brake, cancel = engine.brake()

    with pytest.raises(DeadlineExceeded), engine.sandbox(brake=brake) as sandbox:
        sandbox.rows(
            "SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE a.range * b.range % 7 = 3"
        )

    cancel()


def test_a_stopped_job_does_not_begin(engine: Engine) -> None:
    brake = Brake()
    brake.stop()

    with pytest.raises(Stopped), engine.sandbox(brake=brake):
        pass


def test_errors_name_no_path_of_the_server(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / ("0" * 32 + ".parquet")
    path.write_bytes(b"no parquet at all")

    with pytest.raises(InvalidArgument) as caught, engine.reader() as connection:
        connection.execute(f"SELECT * FROM read_parquet('{path}')")

    assert str(tmp_path) not in str(caught.value)
