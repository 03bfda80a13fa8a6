"""What can be done with models and versions. Serving them is the serving loop's work, which calls
`ready`, `fail`, `cancelled` and `gone`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace

from sqlalchemy import Connection

from mlengine.clock import Clock
from mlengine.database import Database
from mlengine.environments import resolve
from mlengine.errors import Conflict, FailedPrecondition, NotFound, Problem, Unavailable
from mlengine.models import store
from mlengine.models.domain import (
    Model,
    ModelChange,
    State,
    Version,
    VersionChange,
    VersionRequest,
    detect_framework,
)
from mlengine.models.wire import model_to_json, version_to_json
from mlengine.names import ModelName, ObjectUrl, OperationName, VersionName
from mlengine.operations import service as operations
from mlengine.operations.domain import Kind, Operation
from mlengine.web.fields import stamp

MOST_FILES = 1000


class ModelService:
    """Models and versions.

    Args:
        list_files: Lists the paths below a bucket folder, relative to it; at most a given number.
        changed: Called after a change that the serving loop should look at.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        list_files: Callable[[ObjectUrl, int], list[str]],
        changed: Callable[[], None],
    ) -> None:
        self._database = database
        self._clock = clock
        self._list_files = list_files
        self._changed = changed

    def create_model(self, model: Model) -> Model:
        """Make a model; AlreadyExists when the name is taken."""
        with self._database.begin() as db:
            store.add_model(db, model)
        return model

    def get_model(self, name: ModelName) -> tuple[Model, Version | None]:
        """A model and its default version."""
        with self._database.read() as db:
            model = store.get_model(db, name)
            if not model.default_version:
                return model, None
            return model, store.get_version(db, name.version(model.default_version))

    def page_models(self, project: str, *, after: str, limit: int) -> list[tuple[Model, Version | None]]:
        """Models and their default versions, those past the id `after`."""
        with self._database.read() as db:
            found = store.page_models(db, project, after=after, limit=limit)
            return [
                (model, store.get_version(db, model.name.version(model.default_version)))
                if model.default_version
                else (model, None)
                for model in found
            ]

    def delete_model(self, name: ModelName) -> Operation:
        """Forget a model that has no versions.

        Raises:
            FailedPrecondition: it has some; they are named.
        """
        now = self._clock()
        with self._database.begin() as db:
            store.get_model(db, name, lock=True)
            versions = store.page_versions(db, name, after="", limit=4)
            if versions:
                named = ", ".join(version.name.version for version in versions[:3])
                more = " and more" if len(versions) > 3 else ""
                raise FailedPrecondition(
                    f"Model '{name.model}' still has versions: {named}{more}.",
                    hint="Delete them first.",
                    field="name",
                )
            store.remove_model(db, name)
            operation = operations.start(
                db,
                Kind.DELETE_MODEL,
                project=name.project,
                subject=name.model,
                model=str(name),
                version={},
                now=now,
            )
            return operations.succeed(db, operation.name, {}, now)

    def patch_model(self, name: ModelName, change: ModelChange) -> Operation:
        """Change a model; it is done when this returns.

        Raises:
            Conflict: it is not the one that the client knew.
            FailedPrecondition: the new default version is not READY.
        """
        now = self._clock()
        with self._database.begin() as db:
            model = store.get_model(db, name, lock=True)
            _must_be(model, change.stamp, f"Model '{name.model}'")
            if change.default_version is not None:
                _must_be_ready(store.get_version(db, name.version(change.default_version)))
            changed = replace(
                model,
                description=model.description if change.description is None else change.description,
                labels=model.labels if change.labels is None else change.labels,
                default_version=change.default_version or model.default_version,
            )
            model = store.save_model(db, changed) if changed != model else model
            operation = operations.start(
                db,
                Kind.UPDATE_MODEL,
                project=name.project,
                subject=name.model,
                model=str(name),
                version={},
                labels=model.labels,
                now=now,
            )
            default = model.default_version
            shown = model_to_json(model, store.get_version(db, name.version(default)) if default else None)
            operation = operations.succeed(db, operation.name, shown, now)
        if change.default_version is not None:
            self._changed()
        return operation

    def create_version(self, request: VersionRequest) -> Operation:
        """Ask for a version: checked here, deployed by the serving loop.

        Raises:
            NotFound: no such model or bucket.
            FailedPrecondition: there is no model at the origin.
        """
        with self._database.read() as db:
            store.get_model(db, request.name.parent)
        files = self._list_files(request.origin, MOST_FILES + 1)
        if len(files) > MOST_FILES:
            raise FailedPrecondition(
                f"{request.origin} holds more than {MOST_FILES} files.", field="version.deployment_uri"
            )
        framework = request.framework or detect_framework(request.origin, files)
        resolution = resolve(request.runtime_version, request.python_version, framework.word)
        now = self._clock()
        with self._database.begin() as db:
            model = store.get_model(db, request.name.parent, lock=True)
            version = Version(
                name=request.name,
                uid=uuid.uuid4().hex[:16],
                origin=request.origin,
                framework=framework,
                runtime=resolution.runtime.name,
                runtime_version=request.runtime_version,
                python_version=request.python_version,
                machine_type=request.machine_type,
                description=request.description,
                labels=request.labels,
                created=now,
                operation=OperationName(request.name.parent.project, ""),
            )
            operation = operations.start(
                db,
                Kind.CREATE_VERSION,
                project=request.name.parent.project,
                subject=f"{model.name.model}_{request.name.version}",
                model=str(model.name),
                version=version_to_json(version, default=False),
                labels=version.labels,
                now=now,
            )
            version = replace(version, operation=operation.name)
            store.add_version(db, version)
        self._changed()
        return operation

    def get_version(self, name: VersionName) -> tuple[Version, bool]:
        """A version, and whether it is the default."""
        with self._database.read() as db:
            return store.get_version(db, name), store.get_model(
                db, name.parent
            ).default_version == name.version

    def page_versions(self, parent: ModelName, *, after: str, limit: int) -> list[tuple[Version, bool]]:
        """Versions past the id `after`, each with whether it is the default."""
        with self._database.read() as db:
            default = store.get_model(db, parent).default_version
            found = store.page_versions(db, parent, after=after, limit=limit)
            return [(version, version.name.version == default) for version in found]

    def set_default(self, name: VersionName) -> Version:
        """Let `name` answer when no version is named.

        Raises:
            FailedPrecondition: it is not READY.
        """
        with self._database.begin() as db:
            model = store.get_model(db, name.parent, lock=True)
            version = store.get_version(db, name)
            _must_be_ready(version)
            if model.default_version != name.version:
                store.save_model(db, replace(model, default_version=name.version))
        self._changed()
        return version

    def patch_version(self, name: VersionName, change: VersionChange) -> Operation:
        """Change what is said about a version; it is done when this returns.

        Raises:
            Conflict: it is not the one that the client knew.
            FailedPrecondition: it is being created or deleted.
        """
        now = self._clock()
        with self._database.begin() as db:
            model = store.get_model(db, name.parent, lock=True)
            version = store.get_version(db, name)
            _must_be(version, change.stamp, f"Version '{name.version}'")
            version.must_rest("changed")
            changed = replace(
                version,
                description=version.description if change.description is None else change.description,
                labels=version.labels if change.labels is None else change.labels,
            )
            version = store.save_version(db, changed) if changed != version else version
            shown = version_to_json(version, default=model.default_version == name.version)
            operation = operations.start(
                db,
                Kind.UPDATE_VERSION,
                project=name.parent.project,
                subject=f"{name.parent.model}_{name.version}",
                model=str(name.parent),
                version=shown,
                labels=version.labels,
                now=now,
            )
            return operations.succeed(db, operation.name, shown, now)

    def delete_version(self, name: VersionName) -> Operation:
        """Ask for the end of a version; the serving loop stops its worker and removes its files.

        Raises:
            FailedPrecondition: it is the default and there are others, or it is being created or deleted.
        """
        now = self._clock()
        with self._database.begin() as db:
            model = store.get_model(db, name.parent, lock=True)
            version = store.get_version(db, name)
            version.must_rest("deleted")
            if model.default_version == name.version:
                _must_be_last(db, name)
            operation = operations.start(
                db,
                Kind.DELETE_VERSION,
                project=name.parent.project,
                subject=f"{model.name.model}_{name.version}",
                model=str(model.name),
                version=version_to_json(version, default=False),
                labels=version.labels,
                now=now,
            )
            store.save_version(db, replace(version.move(State.DELETING), operation=operation.name))
            if model.default_version == name.version:
                store.save_model(db, replace(model, default_version=""))
        self._changed()
        return operation

    # What the serving loop says and asks.

    def to_deploy(self) -> list[Version]:
        """Versions that are to be made, kept running, or taken away."""
        with self._database.read() as db:
            return store.versions_in(db, (State.CREATING, State.READY, State.DELETING))

    def to_cancel(self) -> set[str]:
        """The uids of versions that nobody wants made any more."""
        with self._database.read() as db:
            unwanted = operations.cancelling(db)
            if not unwanted:
                return set()
            made = store.versions_in(db, (State.CREATING,))
            return {version.uid for version in made if version.operation in unwanted}

    def defaults(self) -> dict[ModelName, str]:
        """The default version of each model."""
        with self._database.read() as db:
            return store.defaults(db)

    def ready(self, version: Version) -> None:
        """`version` has answered a prediction; Conflict when nobody wants it any more."""
        self._end(version, State.READY)

    def fail(self, version: Version, message: str) -> None:
        """`version` cannot be served, and why."""
        self._end(version, State.FAILED, message)

    def cancelled(self, version: Version) -> None:
        """Nothing of `version` runs any more, since nobody wants it made."""
        now = self._clock()
        message = "The creation was cancelled."
        with self._database.begin() as db:
            store.get_model(db, version.name.parent, lock=True)
            store.save_version(db, version.move(State.FAILED, error_message=message))
            operations.fail(db, version.operation, status="CANCELLED", message=message, now=now)

    def gone(self, version: Version) -> None:
        """Everything of `version` is taken away."""
        now = self._clock()
        with self._database.begin() as db:
            store.remove_version(db, version)
            operations.succeed(db, version.operation, {}, now)

    def _end(self, version: Version, state: State, message: str = "") -> None:
        now = self._clock()
        with self._database.begin() as db:
            model = store.get_model(db, version.name.parent, lock=True)
            if state is State.READY and operations.is_cancelling(db, version.operation):
                raise Conflict(f"The creation of {version.name} was cancelled.")
            moved = store.save_version(db, version.move(state, error_message=message))
            if state is State.FAILED:
                operations.fail(db, version.operation, status="FAILED_PRECONDITION", message=message, now=now)
                return
            # The first version that can answer becomes the default; later ones leave it alone.
            first = not model.default_version
            if first:
                store.save_model(db, replace(model, default_version=version.name.version))
            operations.succeed(db, version.operation, version_to_json(moved, default=first), now)

    def explain_unserved(self, name: ModelName, version_id: str) -> Problem:
        """Why a prediction found no worker: the error to answer with."""
        try:
            version = self._meant(name, version_id)
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
        return Unavailable(
            f"Version '{version.name.version}' is not serving yet.", hint="Try again in a moment."
        )

    def meant(self, name: ModelName, version_id: str) -> Version:
        """The version that a prediction is for: the named one, else the default.

        Raises:
            NotFound: there is no such model or version.
            FailedPrecondition: the model has no version yet.
        """
        version = self._meant(name, version_id)
        if version is None:
            raise _no_version(name)
        return version

    def _meant(self, name: ModelName, version_id: str) -> Version | None:
        with self._database.read() as db:
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


def _must_be(found: Model | Version, known: int | None, noun: str) -> None:
    """Refuse a change by somebody who knows another state than this."""
    if known is not None and known != stamp(found.generation, found.created):
        raise Conflict(
            f"{noun} has changed since its etag was read.",
            hint="Read it again, and send the etag it has now.",
            field="etag",
        )


def _must_be_ready(version: Version) -> None:
    if version.state is not State.READY:
        raise FailedPrecondition(
            f"Version '{version.name.version}' is {version.state}; only a READY one can be the default.",
            hint=version.error_message,
            field="name",
        )


def _must_be_last(db: Connection, default: VersionName) -> None:
    """Refuse to take a default version away while there are others."""
    others = [
        found
        for found in store.page_versions(db, default.parent, after="", limit=100)
        if found.name != default
    ]
    if not others:
        return
    hint = f"It can go when it is the last one: delete {others[0].name.version} first."
    ready = [other.name.version for other in others if other.state is State.READY]
    if ready:
        verb = f"mlengine versions set-default {ready[0]} --model {default.parent.model}"
        hint = f"Make another the default first: {verb}"
    raise FailedPrecondition(
        f"Version '{default.version}' is the default of model '{default.parent.model}'.",
        hint=hint,
        field="name",
    )
