"""Jobs: queries, loads, copies and extracts, which run in threads and are remembered with their outcome."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mlengine.clock import Clock
from mlengine.database import Database
from mlengine.errors import AlreadyExists, Internal, InvalidArgument, NotFound, Problem
from mlengine.names import ObjectUrl
from mlengine.tables import job_store
from mlengine.tables.catalogue import May
from mlengine.tables.copies import Extractor, copy
from mlengine.tables.domain import RESULTS, Job, JobError, State, Table, check_job
from mlengine.tables.engine import Brake, Engine
from mlengine.tables.job_options import copy_options, extract_options, query_options
from mlengine.tables.load_options import load_options
from mlengine.tables.loads import Loader
from mlengine.tables.queries import Answer, QueryRunner
from mlengine.tables.reading import BadRows
from mlengine.tables.schema import Schema, TableReference
from mlengine.tables.segments import Segments
from mlengine.tables.service import TableService
from mlengine.tables.splits import Splitter, split_options
from mlengine.tables.wire import reference_json, schema_json

_LOG = logging.getLogger(__name__)
KINDS = ("query", "load", "copy", "extract", "split")
_REASONS = {
    "NOT_FOUND": "notFound",
    "ALREADY_EXISTS": "duplicate",
    "PERMISSION_DENIED": "accessDenied",
    "RESOURCE_EXHAUSTED": "resourcesExceeded",
    "DEADLINE_EXCEEDED": "timeout",
    "CANCELLED": "stopped",
    "INTERNAL": "internalError",
    "UNAVAILABLE": "backendError",
    "ABORTED": "backendError",
}
_PROMPT = 0.3  # seconds for which the answer to `insert` waits: most jobs are done by then


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """What jobs ask of buckets.

    Attributes:
        find: The objects that a URL, perhaps with a `*`, means.
        fetch: Copies one into a file.
        put: Stores pieces of bytes.
        project: The project of a bucket.
    """

    find: Callable[[str], list[ObjectUrl]]
    fetch: Callable[[ObjectUrl, Path], None]
    put: Callable[[ObjectUrl, Iterator[bytes]], object]
    project: Callable[[str], str]


@dataclass(slots=True)
class _Live:
    """A job that runs or waits for its turn."""

    brake: Brake = field(default_factory=Brake)
    future: Future[None] | None = None


class JobService:
    """Jobs. Every verb raises NotFound for one that is not there."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        service: TableService,
        segments: Segments,
        engine: Engine,
        files: Files,
        *,
        threads: int = 4,
    ) -> None:
        self._database = database
        self._clock = clock
        self._service = service
        self._segments = segments
        self._engine = engine
        self._files = files
        self._queries = QueryRunner(service, segments, engine)
        self._loader = Loader(service, segments, engine)
        self._extractor = Extractor(service, segments, engine, files.put)
        self._splitter = Splitter(service, segments, engine)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="tables")
        self._live: dict[tuple[str, str], _Live] = {}
        self._lock = threading.Lock()

    def insert(
        self,
        project: str,
        configuration: Mapping[str, Any],
        *,
        may: May,
        job_id: str = "",
        user: str = "",
        source: str = "",
        seconds: float = _PROMPT,
        note: Callable[[Mapping[TableReference, int]], None] = lambda _: None,
    ) -> Job:
        """Begin a job, and wait a moment for its end.

        Args:
            source: Of a load: the name of the file in the folder of uploads that has its content.
            seconds: How long to wait.
            note: Hears which versions of tables the job has read, before it is done.

        Raises:
            AlreadyExists: the id is taken.
            InvalidArgument: the configuration cannot be so.
        """
        kind = kind_of(configuration)
        _seconds_of(configuration)
        job_id = check_job(job_id or f"job_{uuid.uuid4().hex}")
        job = Job(
            project=project,
            job_id=job_id,
            kind=kind,
            configuration=dict(configuration) | {"jobType": kind.upper()},
            created=self._clock(),
            user=user,
            source=source,
        )
        if kind == "query" and "destinationTable" not in configuration["query"]:
            place = TableReference(project=project, dataset=RESULTS, table=job_id)
            said = dict(configuration["query"]) | {"destinationTable": reference_json(place)}
            job = replace(job, configuration=dict(job.configuration) | {"query": said})
        work = self._work(job, configuration, may)
        with self._database.begin() as db:
            if job_store.find_job(db, project, job_id):
                raise AlreadyExists(f"Already Exists: Job {project}:{job.location}.{job_id}")
            job_store.add_job(db, job)
        live = _Live()
        with self._lock:
            self._live[project, job_id] = live
        live.future = self._pool.submit(self._run, job, work, live.brake, note)
        return self.wait(project, job_id, seconds)

    def look(self, project: str, said: Mapping[str, Any], *, may: May) -> tuple[Answer, Schema]:
        """A dry run of a query."""
        return self._queries.look(query_options(said, project=project, job_id="dry_run"), may)

    def get(self, project: str, job_id: str) -> Job:
        """One job."""
        with self._database.read() as db:
            job = job_store.find_job(db, project, job_id)
        if job is None:
            raise NotFound(f"Not found: Job {project}:{job_id}")
        return job

    def find(self, project: str, job_id: str) -> Job | None:
        """One job; None if there is none."""
        with self._database.read() as db:
            return job_store.find_job(db, project, job_id)

    def wait(self, project: str, job_id: str, seconds: float) -> Job:
        """One job, after its end or so many seconds."""
        with self._lock:
            live = self._live.get((project, job_id))
        if live is not None and live.future is not None and seconds > 0:
            wait([live.future], timeout=seconds)
        return self.get(project, job_id)

    def list(self, project: str, **wanted: Any) -> list[Job]:
        """A project's, the newest first; see `job_store.list_jobs`."""
        with self._database.read() as db:
            return job_store.list_jobs(db, project, **wanted)

    def cancel(self, project: str, job_id: str) -> Job:
        """Ask for the end; one that is done stays as it is."""
        job = self.get(project, job_id)
        with self._lock:
            live = self._live.get((project, job_id))
        if live is not None:
            live.brake.stop()
        return self.wait(project, job_id, _PROMPT) if job.state is not State.DONE else job

    def delete(self, project: str, job_id: str) -> None:
        """Forget a job that is done."""
        if self.get(project, job_id).state is not State.DONE:
            raise InvalidArgument(f"Job {job_id} still runs.", hint="Cancel it first.")
        with self._database.begin() as db:
            job_store.remove_job(db, project, job_id)

    def results(self, job: Job) -> Table | None:
        """Where the rows of a query are; None if it gives none.

        Raises:
            NotFound: they were kept for a day, and that is over.
        """
        told = job.statistics.get("results")
        if not told:
            return None
        found = self._service.version(told["table"], told["version"])
        if found is None:
            raise NotFound(f"The rows of job {job.job_id} have expired.", hint="Run the query again.")
        return found

    def recover(self) -> None:
        """Jobs that ran when the server stopped have failed; nothing of what they wrote is to be seen."""
        with self._database.begin() as db:
            for job in job_store.unfinished_jobs(db):
                error = JobError(reason="backendError", message="The server was stopped while the job ran.")
                job_store.save_job(db, job.finish(self._clock(), error=error))
                self._drop_source(job)

    def close(self) -> None:
        """End what runs."""
        with self._lock:
            for live in self._live.values():
                live.brake.stop()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _run(
        self,
        job: Job,
        work: Callable[[Brake], _Done],
        brake: Brake,
        note: Callable[[Mapping[TableReference, int]], None],
    ) -> None:
        timer = threading.Timer(min(self._engine.seconds, _seconds_of(job.configuration)), brake.expire)
        timer.daemon = True
        started = replace(job, state=State.RUNNING, started=self._clock())
        try:
            with self._database.begin() as db:
                job_store.save_job(db, started)
            timer.start()
            brake.check()
            done = work(brake)
            note(done.read)
            finished = started.finish(self._clock(), warnings=done.warnings, statistics=done.statistics)
        except Problem as problem:
            finished = started.finish(self._clock(), error=_error(problem, job.kind), warnings=_all(problem))
        except Exception:
            number = uuid.uuid4().hex[:12]
            _LOG.exception("Table job %s failed, number %s", job.job_id, number)
            ours = Internal(
                f"The server made a mistake (number {number}).", hint="Its log has the traceback."
            )
            finished = started.finish(self._clock(), error=_error(ours, job.kind))
        finally:
            timer.cancel()
        try:
            with self._database.begin() as db:
                job_store.save_job(db, finished)
        finally:
            self._drop_source(job)
            with self._lock:
                self._live.pop((job.project, job.job_id), None)

    def _drop_source(self, job: Job) -> None:
        if job.source:
            (self._segments.uploads / job.source).unlink(missing_ok=True)

    def _work(self, job: Job, configuration: Mapping[str, Any], may: May) -> Callable[[Brake], _Done]:
        """What is to be done; wrong configurations are refused here, before there is a job."""
        said = configuration[job.kind]
        match job.kind:
            case "query":
                query = query_options(said, project=job.project, job_id=job.job_id)
                return lambda brake: _queried(self._queries.run(query, may, brake))
            case "load":
                return self._load(job, said, may)
            case "copy":
                return self._copy(job, said, may)
            case "split":
                return self._split(job, said, may)
        return self._extract(job, said, may)

    def _load(self, job: Job, said: Mapping[str, Any], may: May) -> Callable[[Brake], _Done]:
        options = load_options(said, project=job.project)
        may("bigquery.tables.updateData", options.destination.project)
        if bool(options.uris) == bool(job.source):
            raise InvalidArgument("A load needs sourceUris, or a content that is uploaded with it.")
        for uri in options.uris:
            bucket = ObjectUrl.parse(uri).bucket
            may("storage.objects.get", self._files.project(bucket) or job.project)

        def load(brake: Brake) -> _Done:
            with self._segments.room() as room:
                paths = [self._segments.uploads / job.source] if job.source else []
                for url in [url for uri in options.uris for url in self._files.find(uri)]:
                    paths.append(room / f"{len(paths)}")
                    self._files.fetch(url, paths[-1])
                    brake.check()
                size = sum(path.stat().st_size for path in paths)
                loaded = self._loader.load(options, paths, brake)
            figures = {
                "inputFiles": str(len(paths)),
                "inputFileBytes": str(size),
                "outputRows": str(loaded.rows),
                "outputBytes": str(loaded.size),
                "badRecords": str(loaded.bad),
            }
            return _Done(statistics={"load": figures}, warnings=loaded.warnings)

        return load

    def _copy(self, job: Job, said: Mapping[str, Any], may: May) -> Callable[[Brake], _Done]:
        options = copy_options(said, project=job.project)
        for source in options.sources:
            may("bigquery.tables.getData", source.project)
        may("bigquery.tables.updateData", options.destination.project)

        def run(_brake: Brake) -> _Done:
            table = copy(
                self._service,
                options.sources,
                options.destination,
                options.manner,
                snapshot=options.snapshot,
            )
            figures = {"copiedRows": str(table.content.rows), "copiedLogicalBytes": str(table.content.size)}
            return _Done(statistics={"copy": figures})

        return run

    def _split(self, job: Job, said: Mapping[str, Any], may: May) -> Callable[[Brake], _Done]:
        options = split_options(said, project=job.project)
        may("bigquery.tables.getData", options.source.project)
        for destination in options.destinations:
            may("bigquery.tables.updateData", destination.project)

        def run(brake: Brake) -> _Done:
            table, made = self._splitter.split(options, brake)
            rows = [str(one.content.segments[-1].rows if one.content.segments else 0) for one in made]
            read = {table.reference: table.version}
            return _Done(statistics={"split": {"version": str(table.version), "outputRows": rows}}, read=read)

        return run

    def _extract(self, job: Job, said: Mapping[str, Any], may: May) -> Callable[[Brake], _Done]:
        source, options = extract_options(said, project=job.project)
        may("bigquery.tables.export", source.project)
        may("storage.objects.create", self._files.project(options.url.bucket) or job.project)

        def extract(brake: Brake) -> _Done:
            count = self._extractor.extract(source, options, brake)
            return _Done(statistics={"extract": {"destinationUriFileCounts": [str(count)]}})

        return extract


@dataclass(frozen=True, slots=True, kw_only=True)
class _Done:
    """What a job has to tell."""

    statistics: Mapping[str, Any]
    warnings: tuple[JobError, ...] = ()
    read: Mapping[TableReference, int] = field(default_factory=dict)


def kind_of(configuration: Mapping[str, Any]) -> str:
    """What a configuration asks for. Raises InvalidArgument."""
    found = [kind for kind in KINDS if isinstance(configuration.get(kind), Mapping)]
    if len(found) != 1:
        raise InvalidArgument("Job configuration must contain exactly one job-specific configuration object.")
    return found[0]


def _seconds_of(configuration: Mapping[str, Any]) -> float:
    """How long the job may take by its own word."""
    said = configuration.get("jobTimeoutMs")
    try:
        seconds = float("inf") if said in (None, "", "0", 0) else int(str(said)) / 1000
    except ValueError:
        seconds = -1.0
    if seconds < 0:
        raise InvalidArgument(f"jobTimeoutMs must be a number of milliseconds, not {said!r}.")
    return seconds


def problem_of(error: JobError) -> Problem:
    """What HTTP says of a job that failed."""
    kinds = {"notFound": NotFound, "duplicate": AlreadyExists, "internalError": Internal}
    return kinds.get(error.reason, InvalidArgument)(error.message)


def _queried(answer: Answer) -> _Done:
    query: dict[str, Any] = {
        "statementType": answer.kind,
        "totalBytesProcessed": str(answer.size),
        "totalBytesBilled": "0",
        "cacheHit": False,
        "referencedTables": [reference_json(one) for one in answer.read],
        "mlengine": {"versions": {str(one): str(version) for one, version in answer.read.items()}},
    }
    if answer.plan:
        query["mlengine"]["plan"] = answer.plan
    if answer.affected is not None:
        query["numDmlAffectedRows"] = str(answer.affected)
        query["dmlStats"] = {name: str(count) for name, count in answer.dml.items()}
    if answer.operation:
        query["ddlOperationPerformed"] = answer.operation
        if answer.target and answer.target.table:
            query["ddlTargetTable"] = reference_json(answer.target)
    statistics: dict[str, Any] = {"query": query, "totalBytesProcessed": str(answer.size)}
    if answer.table is not None:
        statistics["results"] = {"table": answer.table.uid, "version": answer.table.version}
        query["schema"] = schema_json(answer.table.schema)
    return _Done(statistics=statistics, read=answer.read)


def _error(problem: Problem, kind: str) -> JobError:
    otherwise = "invalidQuery" if kind == "query" else "invalid"
    location = problem.errors[0].location if isinstance(problem, BadRows) else ""
    return JobError(
        reason=_REASONS.get(problem.status, otherwise), message=str(problem), location=location or "query"
    )


def _all(problem: Problem) -> tuple[JobError, ...]:
    return tuple(problem.errors[:100]) if isinstance(problem, BadRows) else ()
