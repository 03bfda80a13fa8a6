"""What can be done with models and versions. Serving them is the serving loop's work, which calls
`ready`, `fail`, `cancelled` and `gone`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from mlengine.clock import Clock
from mlengine.database import Database
from mlengine.errors import Conflict, FailedPrecondition, Problem
from mlengine.machines import Machine
from mlengine.models import intake, rollout, store, unserved
from mlengine.models.domain import (
    Model,
    ModelChange,
    Stage,
    Standing,
    State,
    Traffic,
    Version,
    VersionChange,
    VersionRequest,
)
from mlengine.models.refusals import (
    must_be,
    must_be_last,
    must_be_ready,
    must_have_effect,
    must_have_no_share,
)
from mlengine.models.scaling import scaled
from mlengine.models.version_wire import version_to_json
from mlengine.models.wire import model_to_json
from mlengine.names import ModelName, ObjectUrl, VersionName
from mlengine.operations import service as operations
from mlengine.operations.domain import Kind, Operation


class ModelService:
    """Models and versions.

    Args:
        list_files: Lists the paths below a bucket folder, relative to it; at most a given number.
        object_exists: Whether there is such an object.
        machine: What versions are served by.
        changed: Called after a change that the serving loop should look at.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        list_files: Callable[[ObjectUrl, int], list[str]],
        object_exists: Callable[[ObjectUrl], bool],
        machine: Machine,
        changed: Callable[[], None],
    ) -> None:
        self._database = database
        self._clock = clock
        self._list_files = list_files
        self._object_exists = object_exists
        self._machine = machine
        self._changed = changed
        # What the serving loop says of the moment, by uid. It is worth nothing after a restart.
        self._stages: dict[str, Stage] = {}
        self._standing: dict[str, Standing] = {}
        # When requests last came, as monitoring says, by PROJECT/MODEL/VERSION.
        self._used: dict[str, datetime] = {}

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
            must_be(model, change.stamp, f"Model '{name.model}'")
            if change.default_version is not None:
                must_be_ready(store.get_version(db, name.version(change.default_version)))
            changed = replace(
                model,
                description=model.description if change.description is None else change.description,
                labels=model.labels if change.labels is None else change.labels,
            )
            if change.default_version is not None:
                changed = rollout.with_default(changed, change.default_version, now)
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
        framework = intake.framework_of(request, self._list_files)
        intake.check_packages(request, self._object_exists)
        now = self._clock()
        version = intake.version_of(request, framework, cores=self._machine.cpus, now=now)
        with self._database.begin() as db:
            model = store.get_model(db, request.name.parent, lock=True)
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
            store.add_version(db, replace(version, operation=operation.name))
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
        """Let `name` answer all requests that name no version.

        Raises:
            FailedPrecondition: it is not READY.
        """
        now = self._clock()
        with self._database.begin() as db:
            model = store.get_model(db, name.parent, lock=True)
            version = store.get_version(db, name)
            must_be_ready(version)
            changed = rollout.with_default(model, name.version, now)
            if changed != model:
                store.save_model(db, changed)
        self._changed()
        return version

    def set_traffic(
        self, name: ModelName, split: Mapping[str, int], shadow: Mapping[str, float] | None
    ) -> tuple[Model, Version | None]:
        """Divide a model's requests between versions, and copy some of them to others.

        Args:
            split: Percent by version; empty leaves it as it is.
            shadow: Fraction by version; None leaves it as it is.

        Raises:
            NotFound: there is no such model or version.
            FailedPrecondition: a version is not READY.
            InvalidArgument: shares that make no whole.
        """
        now = self._clock()
        with self._database.begin() as db:
            model = store.get_model(db, name, lock=True)
            for version_id in {**split, **(shadow or {})}:
                must_be_ready(store.get_version(db, name.version(version_id)), "get requests")
            changed = rollout.with_traffic(model, split, shadow, now)
            model = store.save_model(db, changed) if changed != model else model
            default = (
                store.get_version(db, name.version(model.default_version)) if model.default_version else None
            )
        self._changed()
        return model, default

    def roll_back(self, name: ModelName) -> tuple[Model, Version | None]:
        """Let answer what did before the last change of default or split.

        Raises:
            FailedPrecondition: there is nothing to go back to.
        """
        now = self._clock()
        with self._database.begin() as db:
            model = store.get_model(db, name, lock=True)
            ready = frozenset(store.ready_versions(db, name))
            model = store.save_model(db, rollout.rolled_back(model, now, ready=ready))
            default = store.get_version(db, name.version(model.default_version))
        self._changed()
        return model, default

    def patch_version(self, name: VersionName, change: VersionChange) -> Operation:
        """Change what is said about a version, or how it is served; its workers follow one by one.

        Raises:
            Conflict: it is not the one that the client knew.
            FailedPrecondition: it is being created or deleted.
            InvalidArgument: more processes than the machine can give.
        """
        now = self._clock()
        with self._database.begin() as db:
            model = store.get_model(db, name.parent, lock=True)
            version = store.get_version(db, name)
            must_be(version, change.stamp, f"Version '{name.version}'")
            version.must_rest("changed")
            changed = replace(
                version,
                description=version.description if change.description is None else change.description,
                labels=version.labels if change.labels is None else change.labels,
                settings=replace(version.settings, **change.settings),
            )
            if change.request_logging is not None:
                changed = replace(changed, request_logging=change.request_logging)
            if change.scaling is not None:
                changed = scaled(changed, change.scaling, cores=self._machine.cpus)
            if changed.settings != version.settings:
                must_have_effect(version, changed.settings)
                changed = replace(changed, settings_generation=version.settings_generation + 1)
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
            operation = operations.succeed(db, operation.name, shown, now)
        self._changed()
        return operation

    def delete_version(self, name: VersionName) -> Operation:
        """Ask for the end of a version; the serving loop stops its worker and removes its files.

        Raises:
            FailedPrecondition: it has traffic, it is the default and there are others, or it is being created
                or deleted.
        """
        now = self._clock()
        with self._database.begin() as db:
            model = store.get_model(db, name.parent, lock=True)
            version = store.get_version(db, name)
            version.must_rest("deleted")
            must_have_no_share(model, name.version)
            if model.default_version == name.version:
                must_be_last(db, name)
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
            if (left := rollout.without(model, name.version)) != model:
                store.save_model(db, left)
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

    def traffic(self) -> dict[ModelName, Traffic]:
        """Which versions get the requests of each model that has a default version."""
        with self._database.read() as db:
            return store.traffic(db)

    def ready(self, version: Version, description: Mapping[str, Any] | None = None) -> None:
        """`version` has answered a prediction; Conflict when nobody wants it any more.

        Args:
            description: What its worker tells about it: its schema, and what came of its acceleration.
        """
        schema = dict(description or {})
        acceleration = schema.pop("acceleration", None) or {}
        self._end(replace(version, schema=schema, acceleration=acceleration), State.READY)

    def stage(self, uid: str, stage: Stage) -> None:
        """What is being done now for a version that is CREATING."""
        self._stages[uid] = stage

    def stands(self, uid: str, standing: Standing) -> None:
        """How many processes a version has now."""
        self._standing[uid] = standing

    def moment(self, uid: str) -> tuple[Stage | None, Standing | None]:
        """What the serving loop said last of a version."""
        return self._stages.get(uid), self._standing.get(uid)

    def used(self, key: str, moment: datetime) -> None:
        """A request for a version, as PROJECT/MODEL/VERSION, came last at this moment."""
        self._used[key] = moment

    def last_use(self, version: Version) -> datetime | None:
        """When a request for it last came, if one did; some seconds old."""
        moment = self._used.get(version.name.key)
        return moment if moment and moment >= version.created else None

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
        self._standing.pop(version.uid, None)

    def _end(self, version: Version, state: State, message: str = "") -> None:
        now = self._clock()
        self._stages.pop(version.uid, None)
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
                store.save_model(db, rollout.with_default(model, version.name.version, now))
            operations.succeed(db, version.operation, version_to_json(moved, default=first), now)

    def explain_unserved(self, name: ModelName, version_id: str) -> Problem:
        """Why a prediction found no worker: the error to answer with."""
        return unserved.explain_unserved(self._database, name, version_id)

    def meant(self, name: ModelName, version_id: str) -> Version:
        """The version that a prediction is for: the named one, else the default.

        Raises:
            NotFound: there is no such model or version.
            FailedPrecondition: the model has no version yet.
        """
        return unserved.meant(self._database, name, version_id)
