"""The client that blocks: names and types. What each verb does is told in `calls`, once for both clients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, Unpack, cast

from mlengine.client.http import Json
from mlengine.sdk.blocking import Blocking
from mlengine.sdk.calls import Calls
from mlengine.sdk.effects import Steps
from mlengine.sdk.options import ClientOptions, JobSettings, PredictOptions, VersionSettings, parts
from mlengine.sdk.resources import (
    JobRecord,
    LogLine,
    ModelRecord,
    OperationRecord,
    Record,
    VersionRecord,
    made_by,
)
from mlengine.sdk.waiting import OnLog

if TYPE_CHECKING:
    from mlengine.sdk.reader import TableReader

R = TypeVar("R", bound=Record)
Made = TypeVar("Made")


class Client:
    """One project on one mlengine server. Any number of threads may use it. Options: `ClientOptions`.

    Raises:
        InvalidArgument: naming the option at fault.
    """

    def __init__(self, **options: Unpack[ClientOptions]) -> None:
        made = parts(**options)
        self.endpoint = made.endpoint
        self.project = made.project
        self._lines = made.lines
        self._engine = Engine(Blocking(made.lines, made.project), made.calls)
        self.jobs = Jobs(self._engine)
        self.models = Models(self._engine)
        self.operations = Operations(self._engine)

    def predict(
        self, model: str, instances: Any, *, version: str = "", **options: Unpack[PredictOptions]
    ) -> Any:
        """Predictions for any number of instances, in their order.

        Args:
            instances: A list, an iterable, a NumPy array, a pandas DataFrame or Series, or Arrow data.
            version: "" for the model's default version.
            options: `PredictOptions`.

        Raises:
            InvalidArgument: an instance cannot be sent; by its number in the whole.
            Problem: the server's refusal of some instances, with their numbers.
        """
        return self._engine.run(self._engine.calls.predict(model, version, instances, **options))

    def table(self, name: str, *, columns: Sequence[str] = ()) -> TableReader:
        """A table's rows for training: `client.table("mnist.train").to_numpy()`.

        Args:
            name: DATASET.TABLE, with or without a project in front.
            columns: Those to read; all without.
        """
        from mlengine.sdk.reader import reader

        return reader(self._lines, self.project, name, columns)

    def upload(self, path: str | Path, url: str) -> None:
        """Store a file as the object `gs://BUCKET/NAME`. Raises NotFound when there is no such bucket."""
        self._engine.run(self._engine.calls.upload(path, url))

    def download(self, url: str, path: str | Path) -> None:
        """Write the object `gs://BUCKET/NAME` to a file, which appears only when it is whole."""
        self._engine.run(self._engine.calls.download(url, path))

    def close(self) -> None:
        """Close the connections; a later call opens others."""
        self._lines.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Engine:
    """The verbs, and what runs them; makes resources of what comes of them."""

    def __init__(self, blocking: Blocking, calls: Calls) -> None:
        self.calls = calls
        self.run = blocking.run
        self.stream = blocking.stream

    def one(self, kind: type[R], steps: Steps[Json]) -> R:
        """The resource that a verb answers with."""
        return kind.read(self.run(steps), _engine=self)

    def each(self, kind: type[R], steps: Steps[None]) -> Iterator[R]:
        """The resources that a verb gives."""
        for raw in self.stream(steps):
            yield kind.read(raw, _engine=self)


class Jobs:
    """The project's training jobs."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def submit(self, job_id: str = "auto", **settings: Unpack[JobSettings]) -> Job:
        """Pack a trainer, upload it and queue it as a job.

        Args:
            job_id: Unique for ever; "auto" makes one of module and time.
            settings: `JobSettings`.

        Raises:
            InvalidArgument: the package, the module or a setting can never work.
            NotFound: a bucket is missing.
            AlreadyExists: the job id was used before.
        """
        return self._engine.one(Job, self._engine.calls.submit(job_id, **settings))

    def get(self, job_id: str) -> Job:
        """One job. Raises NotFound."""
        return self._engine.one(Job, self._engine.calls.job(job_id))

    def list(self, *, limit: int | None = None) -> Iterator[Job]:
        """The jobs in the server's order (newest first), at most `limit`."""
        return self._engine.each(Job, self._engine.calls.jobs(limit))


@dataclass(frozen=True, slots=True, kw_only=True)
class Job(JobRecord):
    """A training job as it was when it was asked for."""

    _engine: Engine = field(repr=False, compare=False)

    def refresh(self) -> Job:
        """The job as it is now. Raises NotFound."""
        return self._engine.one(Job, self._engine.calls.job(self.id))

    def wait(self, *, timeout: float | None = None, on_log: OnLog | None = None, check: bool = True) -> Job:
        """The job once it has ended. A server that is restarted meanwhile is waited for.

        Args:
            timeout: Seconds; None for as long as it takes.
            on_log: Called with each line of its log, for example `print`.
            check: Whether an end without success is an error.

        Raises:
            JobFailed: it FAILED or was CANCELLED.
            DeadlineExceeded: it still runs.
        """
        steps = self._engine.calls.wait_job(self.id, timeout=timeout, on_log=on_log, check=check)
        return self._engine.one(Job, steps)

    def logs(self, *, follow: bool = False, task: str = "") -> Iterator[LogLine]:
        """The lines of its log, oldest first.

        Args:
            follow: Whether to go on until the job has ended.
            task: Only of this replica ("master-replica-0").
        """
        return self._engine.stream(self._engine.calls.lines(self.id, follow=follow, task=task))

    def cancel(self) -> None:
        """Ask for its end; a finished job stays as it is."""
        self._engine.run(self._engine.calls.cancel_job(self.id))

    def update(self, *, labels: Mapping[str, str]) -> Job:
        """Give it these labels. Raises Conflict when it was changed since it was read."""
        return self._engine.one(Job, self._engine.calls.update_job(self.id, labels=labels, etag=self.etag))


class Models:
    """The project's models."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def create(
        self,
        model: str,
        *,
        description: str | None = None,
        regions: Sequence[str] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Model:
        """Make a model. Raises AlreadyExists, InvalidArgument."""
        steps = self._engine.calls.create_model(
            model, description=description, regions=regions, labels=labels
        )
        return self._engine.one(Model, steps)

    def get(self, model: str) -> Model:
        """One model. Raises NotFound."""
        return self._engine.one(Model, self._engine.calls.model(model))

    def list(self, *, limit: int | None = None) -> Iterator[Model]:
        """The models by name, at most `limit`."""
        return self._engine.each(Model, self._engine.calls.models(limit))


@dataclass(frozen=True, slots=True, kw_only=True)
class Model(ModelRecord):
    """A model as it was when it was asked for."""

    _engine: Engine = field(repr=False, compare=False)

    @property
    def versions(self) -> Versions:
        """Its versions."""
        return Versions(self._engine, self.id)

    def refresh(self) -> Model:
        """The model as it is now. Raises NotFound."""
        return self._engine.one(Model, self._engine.calls.model(self.id))

    def predict(self, instances: Any, **options: Unpack[PredictOptions]) -> Any:
        """Predictions of its default version, as `Client.predict`."""
        return self._engine.run(self._engine.calls.predict(self.id, "", instances, **options))

    def update(
        self, *, description: str | None = None, labels: Mapping[str, str] | None = None
    ) -> Operation[Model]:
        """Begin to change what is given. Raises Conflict when it was changed since it was read."""
        steps = self._engine.calls.update_model(
            self.id, description=description, labels=labels, etag=self.etag
        )
        return self._engine.one(Operation, steps)

    def set_traffic(
        self, *, split: Mapping[str, int] | None = None, shadow: Mapping[str, float] | None = None
    ) -> Model:
        """Divide its requests between versions; the model as it is then.

        Args:
            split: Percent by version, 100 together; one version becomes the default.
            shadow: Fraction of the requests that is copied to a version, all others ended.

        Raises:
            FailedPrecondition: a version is not READY.
        """
        steps = self._engine.calls.set_traffic(self.id, split=split, shadow=shadow)
        return self._engine.one(Model, steps)

    def roll_back(self) -> Model:
        """Let answer what did before the last change; the model as it is then. Raises FailedPrecondition."""
        return self._engine.one(Model, self._engine.calls.roll_back(self.id))

    def delete(self) -> Operation[None]:
        """Begin to delete it. Raises FailedPrecondition when versions are left."""
        return self._engine.one(Operation, self._engine.calls.delete_model(self.id))


class Versions:
    """The versions of one model."""

    def __init__(self, engine: Engine, model: str) -> None:
        self._engine = engine
        self._model = model

    def create(self, version: str, **settings: Unpack[VersionSettings]) -> Operation[Version]:
        """Begin to deploy an exported model; wait for the operation before predicting.

        Args:
            version: Its id.
            settings: `VersionSettings`.

        Raises:
            InvalidArgument: a setting can never work.
            AlreadyExists: the model has such a version.
        """
        return self._engine.one(
            Operation, self._engine.calls.create_version(self._model, version, **settings)
        )

    def get(self, version: str) -> Version:
        """One version. Raises NotFound."""
        return self._engine.one(Version, self._engine.calls.version(self._model, version))

    def list(self, *, limit: int | None = None) -> Iterator[Version]:
        """The versions by name, at most `limit`."""
        return self._engine.each(Version, self._engine.calls.versions(self._model, limit))


@dataclass(frozen=True, slots=True, kw_only=True)
class Version(VersionRecord):
    """A version as it was when it was asked for."""

    _engine: Engine = field(repr=False, compare=False)

    def refresh(self) -> Version:
        """The version as it is now. Raises NotFound."""
        return self._engine.one(Version, self._engine.calls.version(self.model, self.id))

    def set_default(self) -> Version:
        """Let it answer when no version is named; the version as it is then."""
        return self._engine.one(Version, self._engine.calls.set_default(self.model, self.id))

    def predict(self, instances: Any, **options: Unpack[PredictOptions]) -> Any:
        """Its predictions, as `Client.predict`."""
        return self._engine.run(self._engine.calls.predict(self.model, self.id, instances, **options))

    def update(
        self,
        *,
        description: str | None = None,
        labels: Mapping[str, str] | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> Operation[Version]:
        """Begin to change what is given. Raises Conflict when it was changed since it was read.

        Args:
            config: More of a Version as the API has it: scaling, or how it treats requests.
        """
        steps = self._engine.calls.update_version(
            self.model, self.id, description=description, labels=labels, config=config, etag=self.etag
        )
        return self._engine.one(Operation, steps)

    def delete(self) -> Operation[None]:
        """Begin to delete it. Raises FailedPrecondition for a default one while there are others."""
        return self._engine.one(Operation, self._engine.calls.delete_version(self.model, self.id))


class Operations:
    """The project's long operations."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def get(self, operation: str) -> Operation[Any]:
        """One operation, by its id or its whole name. Raises NotFound."""
        return self._engine.one(Operation, self._engine.calls.operation(operation))

    def list(self, *, limit: int | None = None) -> Iterator[Operation[Any]]:
        """The operations, at most `limit`."""
        return self._engine.each(Operation, self._engine.calls.operations(limit))


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation(OperationRecord, Generic[Made]):
    """A long operation as it was when it was asked for."""

    _engine: Engine = field(repr=False, compare=False)

    def refresh(self) -> Operation[Made]:
        """The operation as it is now. Raises NotFound."""
        return self._engine.one(Operation, self._engine.calls.operation(self.name))

    def wait(self, *, timeout: float | None = None) -> Operation[Made]:
        """The operation once it is done. A server that is restarted meanwhile is waited for.

        Args:
            timeout: Seconds; None for as long as it takes.

        Raises:
            DeadlineExceeded: it goes on.
            Problem: its own error, in the server's words.
        """
        return self._engine.one(
            Operation, self._engine.calls.wait_operation(self.name, self.raw, timeout=timeout)
        )

    def result(self, *, timeout: float | None = None) -> Made:
        """What it made or changed, once it is done; None after a deletion. Raises as `wait`."""
        ended = self.wait(timeout=timeout)
        found: Version | Model | None = None
        if (kind := made_by(ended)) == "Version":
            found = self._engine.one(Version, self._engine.calls.version(ended.model, ended.version))
        elif kind == "Model":
            found = self._engine.one(Model, self._engine.calls.model(ended.model))
        return cast(Made, found)

    def cancel(self) -> None:
        """Ask for its end; a finished operation stays as it is."""
        self._engine.run(self._engine.calls.cancel_operation(self.name))
