"""Versions and operations of an earlier release are taken over by this one."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, text

import mlengine.backends.database
from mlengine.backends.database import open_database
from mlengine.machines import Machine
from mlengine.models.domain import ModelChange, Settings, Traffic, VersionChange
from mlengine.models.service import ModelService
from mlengine.names import ModelName, OperationName
from mlengine.operations.service import OperationService
from tests.conftest import HandClock

MIGRATIONS = Path(mlengine.backends.database.__file__).parent / "migrations"
THEN = "2026-11-01T12:00:00.000000Z"
TITANIC = ModelName("local", "titanic")
OPERATION = OperationName("local", "create_titanic_v1-1")


def second_release(db: Connection) -> None:
    """The tables as 0002 left them, with a model, a READY version and the operation that made it."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = db
    command.upgrade(config, "0002")
    for statement in (
        "INSERT INTO models (project, model, created, description, regions, labels, default_version,"
        " generation)"
        " VALUES ('local', 'titanic', :then, '', '[]', '{}', 'v1', 2)",
        "INSERT INTO versions (project, model, version, uid, origin, framework, runtime, runtime_version,"
        " python_version, created, operation, description, labels, state, error_message, generation)"
        " VALUES ('local', 'titanic', 'v1', 'u1', 'gs://box/m', 'XGBOOST', '2026.11-xgboost', '', '', :then,"
        " 'create_titanic_v1-1', '', '{}', 'READY', '', 2)",
        "INSERT INTO operations (project, operation, kind, model, version, created, started, ended, done,"
        " response, error_status, error_message, generation) VALUES ('local', 'create_titanic_v1-1',"
        " 'CREATE_VERSION',"
        " 'projects/local/models/titanic', '{}', :then, :then, :then, true, '{}', '', '', 2)",
    ):
        db.execute(text(statement), {"then": THEN})


def test_what_an_earlier_release_made_can_be_read_and_changed(empty_url: str, clock: HandClock) -> None:
    engine = create_engine(empty_url)
    with engine.begin() as db:
        second_release(db)
    engine.dispose()

    database = open_database(empty_url)
    try:
        operations = OperationService(database, changed=lambda: None)
        models = ModelService(
            database,
            clock,
            list_files=lambda url, most: [],
            object_exists=lambda url: False,
            machine=Machine(cpus=4, memory_bytes=1 << 33),
            changed=lambda: None,
        )
        operations.cancel(OPERATION)
        operation = operations.get(OPERATION)
        models.patch_version(TITANIC.version("v1"), VersionChange(labels={"a": "b"}))
        models.patch_model(TITANIC, ModelChange(description="Old."))
        version, default = models.get_version(TITANIC.version("v1"))
        model, _ = models.get_model(TITANIC)
        traffic = models.traffic()
    finally:
        database.close()

    assert (operation.labels, operation.cancelling, operation.done) == ({}, False, True)
    assert (version.machine_type, version.labels, default) == ("", {"a": "b"}, True)
    assert (version.min_nodes, version.max_nodes, version.settings) == (1, 1, Settings())
    assert (version.packages, version.container, version.schema) == ((), None, {})
    assert (model.description, model.default_version) == ("Old.", "v1")
    assert traffic[TITANIC] == Traffic(split={"v1": 100})
