"""The only SQL about models and versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Connection,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    delete,
    insert,
    select,
    text,
)
from sqlalchemy import update as sql_update

from mlengine.clock import from_text, to_text
from mlengine.database import Moment, Words
from mlengine.errors import AlreadyExists, Conflict, NotFound, nearest
from mlengine.models.domain import (
    Container,
    Framework,
    MissingFields,
    Model,
    NonFinite,
    Served,
    Settings,
    State,
    Traffic,
    UnknownFields,
    Version,
)
from mlengine.names import ModelName, ObjectUrl, OperationName, VersionName

METADATA = MetaData()
MODELS = Table(
    "models",
    METADATA,
    Column("project", String(63), primary_key=True),
    Column("model", String(128), primary_key=True),
    Column("created", Moment, nullable=False),
    Column("description", Text, nullable=False),
    Column("regions", JSON, nullable=False),
    Column("labels", JSON, nullable=False),
    Column("default_version", String(128), nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("rollout", JSON(none_as_null=True)),
)
VERSIONS = Table(
    "versions",
    METADATA,
    Column("project", String(63), primary_key=True),
    Column("model", String(128), primary_key=True),
    Column("version", String(128), primary_key=True),
    Column("uid", String(32), nullable=False, unique=True),
    Column("origin", Text, nullable=False),
    Column("framework", String(32), nullable=False),
    Column("runtime", String(64), nullable=False),
    Column("runtime_version", String(64), nullable=False),
    Column("python_version", String(16), nullable=False),
    Column("created", Moment, nullable=False),
    Column("operation", String(300), nullable=False),
    Column("description", Text, nullable=False),
    Column("labels", JSON, nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("error_message", Words, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("machine_type", String(64), nullable=False, server_default=text("''")),
    # Objects, or null in what an earlier release wrote.
    Column("scaling", JSON(none_as_null=True)),
    Column("settings", JSON(none_as_null=True)),
    Column("settings_generation", Integer, nullable=False, server_default=text("1")),
    Column("code", JSON(none_as_null=True)),
    Column("request_logging", JSON(none_as_null=True)),
    Column("explanation", JSON(none_as_null=True)),
    Column("schema", JSON(none_as_null=True)),
    Column("acceleration", JSON(none_as_null=True)),
)


def add_model(db: Connection, model: Model) -> None:
    """Write a new model; AlreadyExists when the name is taken."""
    if db.execute(select(MODELS.c.model).where(_is_model(model.name))).first():
        raise AlreadyExists(
            "A model with the same name already exists.",
            hint=f"See it: mlengine models describe {model.name.model}",
            field="model.name",
        )
    db.execute(insert(MODELS).values(**_model_row(model)))


def get_model(db: Connection, name: ModelName, *, lock: bool = False) -> Model:
    """The model called `name`, or NotFound with the nearest one.

    Args:
        lock: Let nobody else change the model, its default or the list of its versions before this
            transaction ends. Whoever changes one of them must ask for it.
    """
    query = select(MODELS).where(_is_model(name))
    row = db.execute(query.with_for_update() if lock else query).first()
    if row is None:
        known = db.execute(
            select(MODELS.c.model).where(MODELS.c.project == name.project).limit(1000)
        ).scalars()
        raise NotFound(
            f"There is no model '{name.model}' in project '{name.project}'.",
            hint=nearest(name.model, [str(found) for found in known]),
            field="name",
        )
    return _model(row._mapping)


def save_model(db: Connection, model: Model) -> Model:
    """Write `model` unless someone else wrote it since it was read."""
    row = _model_row(model) | {"generation": model.generation + 1}
    unchanged = _is_model(model.name) & (MODELS.c.generation == model.generation)
    if db.execute(sql_update(MODELS).where(unchanged).values(**row)).rowcount == 0:
        raise Conflict(f"Model {model.name.model} changed meanwhile.")
    return _model(row)


def remove_model(db: Connection, name: ModelName) -> None:
    """Forget a model."""
    db.execute(delete(MODELS).where(_is_model(name)))


def page_models(db: Connection, project: str, *, after: str, limit: int) -> list[Model]:
    """Models in order of their ids, those past the id `after`."""
    query = select(MODELS).where(MODELS.c.project == project, MODELS.c.model > after)
    return [_model(row._mapping) for row in db.execute(query.order_by(MODELS.c.model).limit(limit))]


def add_version(db: Connection, version: Version) -> None:
    """Write a new version; AlreadyExists when the name is taken."""
    if db.execute(select(VERSIONS.c.uid).where(_is_version(version.name))).first():
        raise AlreadyExists(
            f"Model '{version.name.parent.model}' has a version '{version.name.version}' already.",
            hint="Choose another name, or delete that one first.",
            field="version.name",
        )
    db.execute(insert(VERSIONS).values(**_version_row(version)))


def get_version(db: Connection, name: VersionName) -> Version:
    """The version called `name`, or NotFound with the nearest one."""
    row = db.execute(select(VERSIONS).where(_is_version(name))).first()
    if row is None:
        get_model(db, name.parent)
        known = db.execute(select(VERSIONS.c.version).where(_of_model(name.parent))).scalars()
        raise NotFound(
            f"Model '{name.parent.model}' has no version '{name.version}'.",
            hint=nearest(name.version, [str(found) for found in known]),
            field="name",
        )
    return _version(row._mapping)


def save_version(db: Connection, version: Version) -> Version:
    """Write `version` unless someone else wrote it since it was read."""
    row = _version_row(version) | {"generation": version.generation + 1}
    unchanged = _is_version(version.name) & (VERSIONS.c.generation == version.generation)
    if db.execute(sql_update(VERSIONS).where(unchanged).values(**row)).rowcount == 0:
        raise Conflict(f"Version {version.name.version} changed meanwhile.")
    return _version(row)


def remove_version(db: Connection, version: Version) -> None:
    """Forget a version; a later one of the same name is another."""
    db.execute(delete(VERSIONS).where(VERSIONS.c.uid == version.uid))


def page_versions(db: Connection, parent: ModelName, *, after: str, limit: int) -> list[Version]:
    """Versions of a model in order of their ids, those past the id `after`."""
    query = select(VERSIONS).where(_of_model(parent), VERSIONS.c.version > after)
    return [_version(row._mapping) for row in db.execute(query.order_by(VERSIONS.c.version).limit(limit))]


def ready_versions(db: Connection, parent: ModelName) -> list[str]:
    """The ids of a model's versions that can answer."""
    query = select(VERSIONS.c.version).where(_of_model(parent), VERSIONS.c.state == State.READY.value)
    return list(db.execute(query).scalars())


def versions_in(db: Connection, states: tuple[State, ...]) -> list[Version]:
    """All versions in one of `states`, oldest first."""
    query = select(VERSIONS).where(VERSIONS.c.state.in_([state.value for state in states]))
    return [_version(row._mapping) for row in db.execute(query.order_by(VERSIONS.c.created))]


def traffic(db: Connection) -> dict[ModelName, Traffic]:
    """Which versions get the requests of each model that has a default version."""
    query = select(MODELS).where(MODELS.c.default_version != "")
    models = (_model(row._mapping) for row in db.execute(query))
    return {model.name: model.traffic for model in models}


def _is_model(name: ModelName) -> Any:
    return (MODELS.c.project == name.project) & (MODELS.c.model == name.model)


def _of_model(name: ModelName) -> Any:
    return (VERSIONS.c.project == name.project) & (VERSIONS.c.model == name.model)


def _is_version(name: VersionName) -> Any:
    return _of_model(name.parent) & (VERSIONS.c.version == name.version)


def _model_row(model: Model) -> dict[str, Any]:
    return {
        "project": model.name.project,
        "model": model.name.model,
        "created": model.created,
        "description": model.description,
        "regions": list(model.regions),
        "labels": model.labels,
        "default_version": model.default_version,
        "generation": model.generation,
        "rollout": {
            "split": model.split,
            "shadow": model.shadow,
            "history": [_served_row(served) for served in model.history],
            "before": [_served_row(served) for served in model.before],
        },
    }


def _model(row: Any) -> Model:
    values = dict(row)
    name = ModelName(values.pop("project"), values.pop("model"))
    rollout = values.pop("rollout") or {}
    return Model(
        name=name,
        regions=tuple(values.pop("regions")),
        split=dict(rollout.get("split", {})),
        shadow=dict(rollout.get("shadow", {})),
        history=tuple(map(_served, rollout.get("history", ()))),
        before=tuple(map(_served, rollout.get("before", ()))),
        **values,
    )


def _served_row(served: Served) -> dict[str, Any]:
    return {"version": served.version, "since": to_text(served.since), "split": served.split}


def _served(row: Mapping[str, Any]) -> Served:
    return Served(version=row["version"], since=from_text(row["since"]), split=dict(row["split"]))


def _version_row(version: Version) -> dict[str, Any]:
    return {
        "project": version.name.parent.project,
        "model": version.name.parent.model,
        "version": version.name.version,
        "uid": version.uid,
        "origin": str(version.origin) if version.origin else "",
        "framework": version.framework.value,
        "runtime": version.runtime,
        "runtime_version": version.runtime_version,
        "python_version": version.python_version,
        "created": version.created,
        "operation": version.operation.operation,
        "description": version.description,
        "labels": version.labels,
        "state": version.state.value,
        "error_message": version.error_message,
        "generation": version.generation,
        "machine_type": version.machine_type,
        "scaling": {
            "nodes": version.nodes,
            "min_nodes": version.min_nodes,
            "max_nodes": version.max_nodes,
            "scales": version.scales,
        },
        "settings": asdict(version.settings) | {"accelerate": version.accelerate},
        "settings_generation": version.settings_generation,
        "code": {
            "packages": [str(package) for package in version.packages],
            "prediction_class": version.prediction_class,
            "container": asdict(version.container) if version.container else None,
        },
        "request_logging": version.request_logging or None,
        "explanation": version.explanation or None,
        "schema": version.schema or None,
        "acceleration": version.acceleration or None,
    }


def _version(row: Any) -> Version:
    values = dict(row)
    parent = ModelName(values.pop("project"), values.pop("model"))
    settings = dict(values.pop("settings") or {})
    accelerate = settings.pop("accelerate", True)
    code = dict(values.pop("code") or {})
    return Version(
        name=VersionName(parent, values.pop("version")),
        origin=ObjectUrl.parse(origin) if (origin := values.pop("origin")) else None,
        framework=Framework(values.pop("framework")),
        state=State(values.pop("state")),
        operation=OperationName(parent.project, values.pop("operation")),
        settings=_settings(settings),
        accelerate=accelerate,
        packages=tuple(map(ObjectUrl.parse, code.get("packages", ()))),
        prediction_class=code.get("prediction_class", ""),
        container=_container(code.get("container")),
        request_logging=values.pop("request_logging") or {},
        explanation=values.pop("explanation") or {},
        schema=values.pop("schema") or {},
        acceleration=values.pop("acceleration") or {},
        **(values.pop("scaling") or {}),
        **values,
    )


def _settings(row: Mapping[str, Any]) -> Settings:
    if not row:
        return Settings()
    return Settings(
        max_batch_size=row["max_batch_size"],
        max_latency_ms=row["max_latency_ms"],
        unknown_fields=UnknownFields(row["unknown_fields"]),
        missing_fields=MissingFields(row["missing_fields"]),
        non_finite=NonFinite(row["non_finite"]),
    )


def _container(row: Mapping[str, Any] | None) -> Container | None:
    if row is None:
        return None
    lists = {name: tuple(row[name]) for name in ("command", "args", "ports")}
    return Container(**{**row, **lists, "env": tuple((name, value) for name, value in row["env"])})
