"""The client for event loops: the names and types of `client`, to be awaited. The verbs are in `calls`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, Unpack, cast

from mlengine.client.http import Json
from mlengine.sdk.calls import Calls
from mlengine.sdk.effects import Steps
from mlengine.sdk.nonblocking import Nonblocking
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

R = TypeVar("R", bound=Record)
Made = TypeVar("Made")


class AsyncClient:
    """One project on one mlengine server, for one event loop. Options: `ClientOptions`.

    Raises:
        InvalidArgument: naming the option at fault.
    """

    def __init__(self, **options: Unpack[ClientOptions]) -> None:
        made = parts(**options)
        self.endpoint = made.endpoint
        self.project = made.project
        self._lines = made.lines
        self._nonblocking = Nonblocking(
            made.lines,
            made.project,
            endpoint=made.endpoint,
            bearer=made.bearer,
        )
        self._engine = AsyncEngine(self._nonblocking, made.calls)
        self.jobs = AsyncJobs(self._engine)
        self.models = AsyncModels(self._engine)
        self.operations = AsyncOperations(self._engine)

    async def predict(
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
        return await self._engine.run(self._engine.calls.predict(model, version, instances, **options))

    async def upload(self, path: str | Path, url: str) -> None:
        """Store a file as the object `gs://BUCKET/NAME`. Raises NotFound when there is no such bucket."""
        await self._engine.run(self._engine.calls.upload(path, url))

    async def download(self, url: str, path: str | Path) -> None:
        """Write the object `gs://BUCKET/NAME` to a file, which appears only when it is whole."""
        await self._engine.run(self._engine.calls.download(url, path))

    async def close(self) -> None:
        """Close the connections; a later call opens others."""
        self._lines.close()
        await self._nonblocking.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class AsyncEngine:
    """The verbs, and what runs them; makes resources of what comes of them."""

    def __init__(self, nonblocking: Nonblocking, calls: Calls) -> None:
        self.calls = calls
        self.run = nonblocking.run
        self.stream = nonblocking.stream

    async def one(self, kind: type[R], steps: Steps[Json]) -> R:
        """The resource that a verb answers with."""
        return kind.read(await self.run(steps), _engine=self)

    async def each(self, kind: type[R], steps: Steps[None]) -> AsyncIterator[R]:
        """The resources that a verb gives."""
        async for raw in self.stream(steps):
            yield kind.read(raw, _engine=self)


class AsyncJobs:
    """The project's training jobs."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def submit(self, job_id: str = "auto", **settings: Unpack[JobSettings]) -> AsyncJob:
        """Pack a trainer, upload it and queue it as a job.

        Args:
            job_id: Unique for ever; "auto" makes one of module and time.
            settings: `JobSettings`.

        Raises:
            InvalidArgument: the package, the module or a setting can never work.
            NotFound: a bucket is missing.
            AlreadyExists: the job id was used before.
        """
        return await self._engine.one(AsyncJob, self._engine.calls.submit(job_id, **settings))

    async def get(self, job_id: str) -> AsyncJob:
        """One job. Raises NotFound."""
        return await self._engine.one(AsyncJob, self._engine.calls.job(job_id))

    def list(self, *, limit: int | None = None) -> AsyncIterator[AsyncJob]:
        """The jobs in the server's order (newest first), at most `limit`."""
        return self._engine.each(AsyncJob, self._engine.calls.jobs(limit))


@dataclass(frozen=True, slots=True, kw_only=True)
class AsyncJob(JobRecord):
    """A training job as it was when it was asked for."""

    _engine: AsyncEngine = field(repr=False, compare=False)

    async def refresh(self) -> AsyncJob:
        """The job as it is now. Raises NotFound."""
        return await self._engine.one(AsyncJob, self._engine.calls.job(self.id))

    async def wait(
        self, *, timeout: float | None = None, on_log: OnLog | None = None, check: bool = True
    ) -> AsyncJob:
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
        return await self._engine.one(AsyncJob, steps)

    def logs(self, *, follow: bool = False, task: str = "") -> AsyncIterator[LogLine]:
        """The lines of its log, oldest first.

        Args:
            follow: Whether to go on until the job has ended.
            task: Only of this replica ("master-replica-0").
        """
        return self._engine.stream(self._engine.calls.lines(self.id, follow=follow, task=task))

    async def cancel(self) -> None:
        """Ask for its end; a finished job stays as it is."""
        await self._engine.run(self._engine.calls.cancel_job(self.id))

    async def update(self, *, labels: Mapping[str, str]) -> AsyncJob:
        """Give it these labels. Raises Conflict when it was changed since it was read."""
        return await self._engine.one(
            AsyncJob, self._engine.calls.update_job(self.id, labels=labels, etag=self.etag)
        )


class AsyncModels:
    """The project's models."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def create(
        self,
        model: str,
        *,
        description: str | None = None,
        regions: Sequence[str] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> AsyncModel:
        """Make a model. Raises AlreadyExists, InvalidArgument."""
        steps = self._engine.calls.create_model(
            model, description=description, regions=regions, labels=labels
        )
        return await self._engine.one(AsyncModel, steps)

    async def get(self, model: str) -> AsyncModel:
        """One model. Raises NotFound."""
        return await self._engine.one(AsyncModel, self._engine.calls.model(model))

    def list(self, *, limit: int | None = None) -> AsyncIterator[AsyncModel]:
        """The models by name, at most `limit`."""
        return self._engine.each(AsyncModel, self._engine.calls.models(limit))


@dataclass(frozen=True, slots=True, kw_only=True)
class AsyncModel(ModelRecord):
    """A model as it was when it was asked for."""

    _engine: AsyncEngine = field(repr=False, compare=False)

    @property
    def versions(self) -> AsyncVersions:
        """Its versions."""
        return AsyncVersions(self._engine, self.id)

    async def refresh(self) -> AsyncModel:
        """The model as it is now. Raises NotFound."""
        return await self._engine.one(AsyncModel, self._engine.calls.model(self.id))

    async def predict(self, instances: Any, **options: Unpack[PredictOptions]) -> Any:
        """Predictions of its default version, as `Client.predict`."""
        return await self._engine.run(self._engine.calls.predict(self.id, "", instances, **options))

    async def update(
        self, *, description: str | None = None, labels: Mapping[str, str] | None = None
    ) -> AsyncOperation[AsyncModel]:
        """Begin to change what is given. Raises Conflict when it was changed since it was read."""
        steps = self._engine.calls.update_model(
            self.id, description=description, labels=labels, etag=self.etag
        )
        return await self._engine.one(AsyncOperation, steps)

    async def set_traffic(
        self, *, split: Mapping[str, int] | None = None, shadow: Mapping[str, float] | None = None
    ) -> AsyncModel:
        """Divide its requests between versions; the model as it is then.

        Args:
            split: Percent by version, 100 together; one version becomes the default.
            shadow: Fraction of the requests that is copied to a version, all others ended.

        Raises:
            FailedPrecondition: a version is not READY.
        """
        steps = self._engine.calls.set_traffic(self.id, split=split, shadow=shadow)
        return await self._engine.one(AsyncModel, steps)

    async def roll_back(self) -> AsyncModel:
        """Let answer what did before the last change; the model as it is then. Raises FailedPrecondition."""
        return await self._engine.one(AsyncModel, self._engine.calls.roll_back(self.id))

    async def delete(self) -> AsyncOperation[None]:
        """Begin to delete it. Raises FailedPrecondition when versions are left."""
        return await self._engine.one(AsyncOperation, self._engine.calls.delete_model(self.id))


class AsyncVersions:
    """The versions of one model."""

    def __init__(self, engine: AsyncEngine, model: str) -> None:
        self._engine = engine
        self._model = model

    async def create(self, version: str, **settings: Unpack[VersionSettings]) -> AsyncOperation[AsyncVersion]:
        """Begin to deploy an exported model; wait for the operation before predicting.

        Args:
            version: Its id.
            settings: `VersionSettings`.

        Raises:
            InvalidArgument: a setting can never work.
            AlreadyExists: the model has such a version.
        """
        return await self._engine.one(
            AsyncOperation, self._engine.calls.create_version(self._model, version, **settings)
        )

    async def get(self, version: str) -> AsyncVersion:
        """One version. Raises NotFound."""
        return await self._engine.one(AsyncVersion, self._engine.calls.version(self._model, version))

    def list(self, *, limit: int | None = None) -> AsyncIterator[AsyncVersion]:
        """The versions by name, at most `limit`."""
        return self._engine.each(AsyncVersion, self._engine.calls.versions(self._model, limit))


@dataclass(frozen=True, slots=True, kw_only=True)
class AsyncVersion(VersionRecord):
    """A version as it was when it was asked for."""

    _engine: AsyncEngine = field(repr=False, compare=False)

    async def refresh(self) -> AsyncVersion:
        """The version as it is now. Raises NotFound."""
        return await self._engine.one(AsyncVersion, self._engine.calls.version(self.model, self.id))

    async def set_default(self) -> AsyncVersion:
        """Let it answer when no version is named; the version as it is then."""
        return await self._engine.one(AsyncVersion, self._engine.calls.set_default(self.model, self.id))

    async def predict(self, instances: Any, **options: Unpack[PredictOptions]) -> Any:
        """Its predictions, as `Client.predict`."""
        return await self._engine.run(self._engine.calls.predict(self.model, self.id, instances, **options))

    async def update(
        self,
        *,
        description: str | None = None,
        labels: Mapping[str, str] | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> AsyncOperation[AsyncVersion]:
        """Begin to change what is given. Raises Conflict when it was changed since it was read.

        Args:
            config: More of a Version as the API has it: scaling, or how it treats requests.
        """
        steps = self._engine.calls.update_version(
            self.model, self.id, description=description, labels=labels, config=config, etag=self.etag
        )
        return await self._engine.one(AsyncOperation, steps)

    async def delete(self) -> AsyncOperation[None]:
        """Begin to delete it. Raises FailedPrecondition for a default one while there are others."""
        return await self._engine.one(AsyncOperation, self._engine.calls.delete_version(self.model, self.id))


class AsyncOperations:
    """The project's long operations."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def get(self, operation: str) -> AsyncOperation[Any]:
        """One operation, by its id or its whole name. Raises NotFound."""
        return await self._engine.one(AsyncOperation, self._engine.calls.operation(operation))

    def list(self, *, limit: int | None = None) -> AsyncIterator[AsyncOperation[Any]]:
        """The operations, at most `limit`."""
        return self._engine.each(AsyncOperation, self._engine.calls.operations(limit))


@dataclass(frozen=True, slots=True, kw_only=True)
class AsyncOperation(OperationRecord, Generic[Made]):
    """A long operation as it was when it was asked for."""

    _engine: AsyncEngine = field(repr=False, compare=False)

    async def refresh(self) -> AsyncOperation[Made]:
        """The operation as it is now. Raises NotFound."""
        return await self._engine.one(AsyncOperation, self._engine.calls.operation(self.name))

    async def wait(self, *, timeout: float | None = None) -> AsyncOperation[Made]:
        """The operation once it is done. A server that is restarted meanwhile is waited for.

        Args:
            timeout: Seconds; None for as long as it takes.

        Raises:
            DeadlineExceeded: it goes on.
            Problem: its own error, in the server's words.
        """
        return await self._engine.one(
            AsyncOperation, self._engine.calls.wait_operation(self.name, self.raw, timeout=timeout)
        )

    async def result(self, *, timeout: float | None = None) -> Made:
        """What it made or changed, once it is done; None after a deletion. Raises as `wait`."""
        ended = await self.wait(timeout=timeout)
        found: AsyncVersion | AsyncModel | None = None
        if (kind := made_by(ended)) == "Version":
            found = await self._engine.one(
                AsyncVersion, self._engine.calls.version(ended.model, ended.version)
            )
        elif kind == "Model":
            found = await self._engine.one(AsyncModel, self._engine.calls.model(ended.model))
        return cast(Made, found)

    async def cancel(self) -> None:
        """Ask for its end; a finished operation stays as it is."""
        await self._engine.run(self._engine.calls.cancel_operation(self.name))
