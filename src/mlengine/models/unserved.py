"""Which version a prediction is for, and why nobody answered it. Apart: only what the gateway cannot answer
comes here."""

from __future__ import annotations

from mlengine.database import Database
from mlengine.errors import FailedPrecondition, NotFound, Problem, Unavailable
from mlengine.models import store
from mlengine.models.domain import State, Version
from mlengine.names import ModelName


def explain_unserved(database: Database, name: ModelName, version_id: str) -> Problem:
    """Why a prediction found no worker: the error to answer with."""
    try:
        version = _meant(database, name, version_id)
    except NotFound as missing:
        return missing
    if version is None:
        return _no_version(name)
    if version.state is State.FAILED:
        return FailedPrecondition(f"Version '{version.name.version}' FAILED. {version.error_message}")
    if version.state is State.DELETING:
        return NotFound(f"Version '{version.name.version}' is being deleted.")
    if version.state is State.READY:
        # Its worker was lost, or the gateway has just begun and not heard of it.
        return Unavailable(
            f"Version '{version.name.version}' is READY, but has no worker at this moment.",
            hint="Try again in a moment.",
        )
    return Unavailable(f"Version '{version.name.version}' is not serving yet.", hint="Try again in a moment.")


def meant(database: Database, name: ModelName, version_id: str) -> Version:
    """The version that a prediction is for: the named one, else the default.

    Raises:
        NotFound: there is no such model or version.
        FailedPrecondition: the model has no version yet.
    """
    version = _meant(database, name, version_id)
    if version is None:
        raise _no_version(name)
    return version


def _meant(database: Database, name: ModelName, version_id: str) -> Version | None:
    with database.read() as db:
        model = store.get_model(db, name)
        if wanted := version_id or model.default_version:
            return store.get_version(db, name.version(wanted))
        return next(iter(store.page_versions(db, name, after="", limit=1)), None)


def _no_version(name: ModelName) -> FailedPrecondition:
    return FailedPrecondition(
        f"Model '{name.model}' has no version yet.",
        hint=f"Make one: mlengine versions create v1 --model {name.model} --origin gs://BUCKET/FOLDER",
        field="name",
    )
