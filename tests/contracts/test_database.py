"""What `mlengine.database.Database` promises, on both databases; and that migrations and stores agree."""

from __future__ import annotations

import importlib
import pkgutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, create_engine, inspect, text
from sqlalchemy import select as sql_select

import mlengine
from mlengine.backends.database import HEAD, SqlDatabase, open_database
from mlengine.errors import AlreadyExists, Conflict, FailedPrecondition, Unavailable
from mlengine.jobs import store
from mlengine.jobs.domain import Job, State, TrainingInput
from mlengine.names import JobName
from tests.postgresql import PostgreSQL

NOW = datetime(2026, 11, 2, 9, 30, 0, 123456, tzinfo=UTC)
TRAINING = TrainingInput(
    python_module="trainer.task", package_uris=("gs://box/trainer.tar.gz",), region="here", runtime="any"
)


def job(job_id: str, uid: str = "") -> Job:
    return Job(name=JobName("local", job_id), uid=uid or f"uid-{job_id}", training=TRAINING, created=NOW)


def jobs_in(database: SqlDatabase) -> set[str]:
    with database.read() as db:
        return {found.name.job for found in store.page(db, "local", after="", limit=1000)}


def together(*works: Callable[[], None]) -> None:
    """Run each in a thread of its own, and hand on what any of them raised."""
    raised: list[BaseException] = []

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if raised:
        raise raised[0]


# Transactions


def test_what_was_written_is_there_for_the_next_transaction(database: SqlDatabase) -> None:
    with database.begin() as db:
        store.add(db, job("a"))

    with database.read() as db:
        assert store.get(db, JobName("local", "a")) == job("a")


def test_a_rolled_back_transaction_leaves_nothing(database: SqlDatabase) -> None:
    with pytest.raises(ZeroDivisionError), database.begin() as db:
        store.add(db, job("a"))
        store.add(db, job("b"))
        raise ZeroDivisionError

    assert jobs_in(database) == set()


def test_what_is_written_in_a_read_is_lost(database: SqlDatabase) -> None:
    with database.read() as db:
        store.add(db, job("a"))

    assert jobs_in(database) == set()


def test_a_read_sees_one_moment_whatever_is_written_meanwhile(database: SqlDatabase) -> None:
    with database.read() as db:
        before = store.page(db, "local", after="", limit=10)
        with database.begin() as other:
            store.add(other, job("a"))
        again = store.page(db, "local", after="", limit=10)

    assert before == again == []
    assert jobs_in(database) == {"a"}


def test_of_two_writers_of_the_same_generation_exactly_one_wins(database: SqlDatabase) -> None:
    with database.begin() as db:
        store.add(db, job("a"))
    with database.read() as db:
        seen = store.get(db, JobName("local", "a"))
    both_are_ready = threading.Barrier(2)
    outcomes: list[str] = []

    def write(to: State) -> None:
        both_are_ready.wait()
        try:
            with database.begin() as db:
                store.save(db, seen.move(to, NOW))
            outcomes.append("won")
        except Conflict:
            outcomes.append("lost")

    together(lambda: write(State.PREPARING), lambda: write(State.CANCELLED))

    assert sorted(outcomes) == ["lost", "won"]
    with database.read() as db:
        assert store.get(db, seen.name).generation == seen.generation + 1


def test_many_writers_of_many_rows_all_come_through(database: SqlDatabase) -> None:
    def write(mark: int) -> None:
        for number in range(10):
            with database.begin() as db:
                store.add(db, job(f"j{mark}_{number}"))

    together(*(lambda mark=mark: write(mark) for mark in range(6)))  # type: ignore[misc]

    assert len(jobs_in(database)) == 60


def test_a_writer_that_waits_too_long_for_another_is_told_to_try_again(database_url: str) -> None:
    patient, hasty = open_database(database_url), open_database(database_url, lock_seconds=0.1)
    with patient.begin() as db:
        store.add(db, job("a"))

    with patient.begin() as holder:
        store.save(holder, store.get(holder, JobName("local", "a")).move(State.PREPARING, NOW))
        with pytest.raises(Unavailable, match="does not answer"), hasty.begin() as db:
            store.save(db, job("a").move(State.CANCELLED, NOW))

    patient.close()
    hasty.close()


def test_two_who_add_the_same_row_at_once_are_told_so(database: SqlDatabase) -> None:
    both_are_ready = threading.Barrier(2)
    outcomes: list[str] = []

    def write(uid: str) -> None:
        both_are_ready.wait()
        try:
            with database.begin() as db:
                store.add(db, job("a", uid))
            outcomes.append("won")
        except (AlreadyExists, Conflict):
            outcomes.append("lost")

    together(lambda: write("1"), lambda: write("2"))

    assert sorted(outcomes) == ["lost", "won"]


# Crashes

_WRITER = """
import sys
from mlengine.backends.database import open_database
from mlengine.jobs import store
from tests.contracts.test_database import job
database = open_database(sys.argv[1])
for number in range(100_000):
    with database.begin() as db:
        store.add(db, job(f"first_{number}"))
        store.add(db, job(f"second_{number}"))
    print(number, flush=True)
"""


def test_a_writer_killed_at_any_moment_leaves_all_it_acknowledged_and_no_half_transaction(
    database_url: str, database: SqlDatabase
) -> None:
    root = Path(__file__).parents[2]
    writer = subprocess.Popen(
        [sys.executable, "-c", _WRITER, database_url],
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
    )
    assert writer.stdout
    with writer, writer.stdout as lines:
        for line in lines:
            if int(line) == 30:
                writer.send_signal(signal.SIGKILL)
                break
        acknowledged = max([30, *(int(line) for line in lines if line.endswith("\n"))])

    with database.read() as db:
        found = {row[0] for row in db.execute(sql_select(store.JOBS.c.job))}
    firsts = {name.removeprefix("first_") for name in found if name.startswith("first_")}
    seconds = {name.removeprefix("second_") for name in found if name.startswith("second_")}
    assert firsts == seconds
    assert {str(number) for number in range(acknowledged + 1)} <= firsts


def test_lost_connections_are_made_again(postgresql: PostgreSQL, postgresql_template: str) -> None:
    name = postgresql.create(template=postgresql_template)
    database = open_database(postgresql.url(name))
    with database.begin() as db:
        store.add(db, job("a"))

    postgresql.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")

    assert jobs_in(database) == {"a"}
    database.close()
    postgresql.drop(name)


def test_a_database_out_of_reach_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="does not answer"):
        open_database(f"postgresql+psycopg://nobody@/nothing?host={tmp_path}")


# The schema


def tables_of_all_stores() -> list[MetaData]:
    """The METADATA of every `store` module in the package."""
    names = [
        found.name
        for found in pkgutil.walk_packages(mlengine.__path__, "mlengine.")
        if found.name.endswith(".store")
    ]
    assert names
    return [importlib.import_module(name).METADATA for name in names]


@pytest.fixture
def migrated(database_url: str) -> Iterator[Any]:
    engine = create_engine(database_url)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def test_the_migrations_make_the_tables_of_the_stores(migrated: Any) -> None:
    context = MigrationContext.configure(
        migrated, opts={"compare_type": True, "compare_server_default": True}
    )

    assert compare_metadata(context, tables_of_all_stores()) == []


def test_the_migrations_make_the_keys_of_the_stores(migrated: Any) -> None:
    found = inspect(migrated)

    for metadata in tables_of_all_stores():
        for table in metadata.tables.values():
            assert found.get_pk_constraint(table.name)["constrained_columns"] == list(
                table.primary_key.columns.keys()
            )
            nullable = {column["name"] for column in found.get_columns(table.name) if column["nullable"]}
            assert nullable == {column.name for column in table.columns if column.nullable}


def test_an_empty_database_is_migrated_when_it_is_opened(empty_url: str) -> None:
    database = open_database(empty_url)

    with database.read() as db:
        assert db.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == HEAD
    assert jobs_in(database) == set()
    database.close()


def test_opening_again_changes_nothing(empty_url: str) -> None:
    first = open_database(empty_url)
    with first.begin() as db:
        store.add(db, job("a"))
    first.close()

    second = open_database(empty_url)

    assert jobs_in(second) == {"a"}
    second.close()


def test_two_servers_that_open_an_empty_database_at_once_both_find_the_tables(empty_url: str) -> None:
    source = "import sys, mlengine.backends.database as d; input(); d.open_database(sys.argv[1]).close()"
    command = [sys.executable, "-c", source, empty_url]
    servers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    for server in servers:
        assert server.stdin
        server.stdin.write("go\n")
        server.stdin.flush()

    said = [server.communicate(timeout=60)[1] for server in servers]

    assert [server.returncode for server in servers] == [0, 0], said


def test_a_database_of_a_newer_version_is_refused_and_left_alone(database_url: str) -> None:
    database = open_database(database_url)
    with database.begin() as db:
        db.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()

    with pytest.raises(FailedPrecondition, match="newer mlengine"):
        open_database(database_url)

    engine = create_engine(database_url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == "9999"
    engine.dispose()


# What a column keeps


@pytest.mark.parametrize(
    "moment",
    [datetime(2026, 1, 1, tzinfo=UTC), NOW, datetime(1, 1, 1, tzinfo=UTC), datetime.max.replace(tzinfo=UTC)],
)
def test_a_moment_comes_back_to_the_microsecond(database: SqlDatabase, moment: datetime) -> None:
    with database.begin() as db:
        store.add(db, Job(name=JobName("local", "a"), uid="u", training=TRAINING, created=moment))

    with database.read() as db:
        assert store.get(db, JobName("local", "a")).created == moment


@pytest.mark.parametrize("message", ["", "Ünïcode ✓ 🚂", "x" * 1_000_000, "a\tb\r\nc"])
def test_any_text_comes_back_as_it_was(database: SqlDatabase, message: str) -> None:
    with database.begin() as db:
        store.add(db, job("a"))
    with database.begin() as db:
        store.save(db, store.get(db, JobName("local", "a")).move(State.CANCELLED, NOW, error_message=message))

    with database.read() as db:
        assert store.get(db, JobName("local", "a")).error_message == message


def test_words_of_a_trainer_that_no_text_column_keeps_are_kept_in_another_spelling(
    database: SqlDatabase,
) -> None:
    with database.begin() as db:
        store.add(db, job("a"))
    with database.begin() as db:
        mine = store.get(db, JobName("local", "a"))
        store.save(db, mine.move(State.CANCELLED, NOW, error_message="zero \0, half a pair \ud83d"))

    with database.read() as db:
        assert store.get(db, JobName("local", "a")).error_message == "zero \u2400, half a pair \ufffd"
