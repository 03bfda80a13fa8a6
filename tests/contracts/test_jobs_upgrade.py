"""Jobs of an earlier release are taken over by this one."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, text

import mlengine.backends.database
from mlengine.backends.database import open_database
from mlengine.jobs import store
from mlengine.jobs.domain import State
from mlengine.jobs.selection import selection
from mlengine.jobs.wire import FILTERED
from mlengine.names import JobName

MIGRATIONS = Path(mlengine.backends.database.__file__).parent / "migrations"
TRAINING = (
    '{"python_module": "trainer.task", "package_uris": ["gs://box/t.tar.gz"], "region": "here",'
    ' "runtime": "2026.11-sklearn", "args": [], "job_dir": "", "runtime_version": "", "python_version": "",'
    ' "scale_tier": "BASIC", "master_type": "", "max_running_seconds": 604800.0}'
)


def earlier_release(db: Connection) -> None:
    """The tables as 0005 left them, with a job that runs and one that waits."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = db
    command.upgrade(config, "0005")
    for job, state, labels in (("old", "RUNNING", '{"team": "a"}'), ("waiting", "QUEUED", "{}")):
        db.execute(
            text(
                "INSERT INTO jobs (project, job, uid, training, created, state, started, ended,"
                " error_message, labels, notes, generation) VALUES ('local', :job, :uid, :training,"
                " '2026-11-01T12:00:00.000000Z', :state, NULL, NULL, '', :labels, '[]', 2)"
            ),
            {"job": job, "uid": f"u-{job}", "training": TRAINING, "state": state, "labels": labels},
        )


def test_jobs_of_an_earlier_release_go_on_and_are_found_by_their_labels(empty_url: str) -> None:
    engine = create_engine(empty_url)
    with engine.begin() as db:
        earlier_release(db)
    engine.dispose()

    database = open_database(empty_url)
    try:
        with database.begin() as db:
            old = store.get(db, JobName("local", "old"))
            found = store.page(
                db, "local", after="", limit=9, wanted=selection("labels.team=a state=RUNNING", FILTERED)
            )
            queue = store.queue(db, limit=9)
            store.save(db, old.move(State.SUCCEEDED, old.created))
    finally:
        database.close()

    assert [job.name.job for job in found] == ["old"]
    assert [job.name.job for job in queue] == ["waiting"]
    # Its one task is known by the same id as before.
    assert old.task_ids == {"master-replica-0": "u-old.master-replica-0"}
    assert old.demand.memory_bytes == 0
