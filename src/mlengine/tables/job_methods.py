"""The URLs of BigQuery's jobs: insert with and without a content, query, results."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from mlengine.errors import InvalidArgument
from mlengine.storage.headers import upload_span
from mlengine.tables import wire
from mlengine.tables.catalogue import May
from mlengine.tables.domain import Job, State
from mlengine.tables.job_wire import dry_run_json, job_entry, job_json, results_json, with_rows
from mlengine.tables.jobs import JobService, kind_of, problem_of
from mlengine.tables.methods import PROJECT, row
from mlengine.tables.rows import Page, RowPages
from mlengine.tables.schema import TableReference
from mlengine.tables.uploads import Standing, Uploads
from mlengine.tables.wire import Json
from mlengine.web.method import Call, Method, Reply
from mlengine.web.multipart import MultipartReader, boundary_of
from mlengine.web.partial import masked, parse_mask

_JOBS = PROJECT + "/jobs"
_JOB = _JOBS + "/{job_id}"
_UPLOADS = (
    "/upload/bigquery/v2/projects/{project}/jobs",
    "/resumable/upload/bigquery/v2/projects/{project}/jobs",
)
_PATIENCE = 10.0  # seconds for which a question after results waits
_LONGEST = 200.0
_LOOK = 2.0


class JobMethods:
    """Handlers.

    Args:
        may: What the caller may.
        user: Who the caller is.
        note: Hears what a job that the caller begins has read, when it has.
    """

    def __init__(
        self,
        jobs: JobService,
        pages: RowPages,
        uploads: Uploads,
        *,
        may: Callable[[Call], May],
        user: Callable[[Call], str],
        note: Callable[[Call, Mapping[TableReference, int]], None],
    ) -> None:
        self._jobs = jobs
        self._pages = pages
        self._uploads = uploads
        self._may = may
        self._user = user
        self._note = note

    def rows(self) -> list[Method]:
        """The rows of the method table."""
        found = [
            row("bigquery.jobs.insert", "POST", _JOBS, self.insert, "Begin a query, load, copy or extract."),
            row("bigquery.jobs.list", "GET", _JOBS, self.list, "A project's jobs, the newest first."),
            row("bigquery.jobs.get", "GET", _JOB, self.get, "One job."),
            row("bigquery.jobs.cancel", "POST", _JOB + "/cancel", self.cancel, "End a job early."),
            row("bigquery.jobs.delete", "DELETE", _JOB + "/delete", self.delete, "Forget a job."),
            row("bigquery.jobs.query", "POST", PROJECT + "/queries", self.query, "Run a query and get rows."),
            row(
                "bigquery.jobs.getQueryResults",
                "GET",
                PROJECT + "/queries/{job_id}",
                self.results,
                "The rows of a query, a page at a time.",
            ),
        ]
        for path, infix in zip(_UPLOADS, ("", "resumable."), strict=True):
            name = f"bigquery.jobs.{infix}"
            found += [
                row(
                    f"{name}upload", "POST", path, self.upload, "Begin a load, with its content or before it."
                ),
                row(f"{name}send", "PUT", path, self.send, "Go on with the content of a load."),
            ]
        return found

    def insert(self, call: Call) -> Json:
        """A job without a content."""
        resource = call.json()
        configuration = _configuration(resource)
        if configuration.get("dryRun"):
            if kind_of(configuration) != "query":
                raise InvalidArgument("Only a query can be run dry.")
            project = call.path["project"]
            answer, schema = self._jobs.look(project, configuration["query"], may=self._may(call))
            return dry_run_json(configuration, project, kind=answer.kind, size=answer.size, schema=schema)
        return job_json(self._begin(call, resource, ""), call.base_url)

    def upload(self, call: Call) -> Json | Reply:
        """A job whose content comes with it, or later."""
        kind = call.query.get("uploadType", "")
        if "upload_id" in call.query:
            return self.send(call)
        if kind == "resumable":
            resource = call.json()
            _configuration(resource)
            upload_id = self._uploads.start(call.path["project"], resource)
            path = call.target.partition("?")[0]
            url = f"{call.base_url}{path}?uploadType=resumable&upload_id={upload_id}"
            return Reply(headers={"location": url, "x-guploader-uploadid": upload_id})
        if kind != "multipart":
            raise InvalidArgument(f"uploadType must be multipart or resumable, not '{kind[:40]}'.")
        reader = MultipartReader(call.body, boundary_of(call.headers.get("content-type", "")))
        if reader.next_part() is None:
            raise InvalidArgument("The body has no parts.", hint="The first is JSON, the second the content.")
        resource = Call(path={}, body=iter((reader.small(),))).json()
        _configuration(resource)
        if reader.next_part() is None:
            raise InvalidArgument("The body has one part only.", hint="The second part is the content.")

        def content() -> Any:
            yield from reader.content()
            reader.drain()

        job = self._uploads.whole(resource, content(), lambda said, key: self._begin(call, said, key))
        return job_json(job, call.base_url)

    def send(self, call: Call) -> Json | Reply:
        """The next bytes of a content, or the question how it stands."""
        standing = self._uploads.send(
            call.path["project"],
            call.query.get("upload_id", ""),
            upload_span(call.headers),
            call.body,
            lambda said, key: self._begin(call, said, key),
        )
        if standing.job:
            return job_json(standing.job, call.base_url)
        return _unfinished(standing, call)

    def get(self, call: Call) -> Json:
        """One job; one that runs is waited for a little, because clients pause between two looks."""
        job = self._jobs.wait(call.path["project"], call.path["job_id"], _LOOK)
        return job_json(job, call.base_url)

    def list(self, call: Call) -> Json:
        """A page of jobs."""
        limit = min(1000, wire.numeral(call.query, "maxResults") or 50)
        after = None
        if token := call.query.get("pageToken", ""):
            micros, _, job_id = token.partition(".")
            if not micros.isdigit():
                raise InvalidArgument("This pageToken is none of ours.", hint="Begin again without it.")
            after = (datetime.fromtimestamp(int(micros) / 1_000_000, UTC), job_id)
        earliest, latest = (wire.numeral(call.query, f"{name}CreationTime") for name in ("min", "max"))
        states = call.query.get("stateFilter", "").upper()
        found = self._jobs.list(
            call.path["project"],
            states=[states] if states else [],
            after=after,
            earliest=wire.moment(earliest) if earliest is not None else None,
            latest=wire.moment(latest) if latest is not None else None,
            limit=limit + 1,
        )
        answer: Json = {
            "kind": "bigquery#jobList",
            "jobs": [job_entry(job, call.base_url) for job in found[:limit]],
        }
        if len(found) > limit:
            last = found[limit - 1]
            answer["nextPageToken"] = f"{round(last.created.timestamp() * 1_000_000)}.{last.job_id}"
        return answer

    def cancel(self, call: Call) -> Json:
        """End a job early."""
        job = self._jobs.cancel(call.path["project"], call.path["job_id"])
        return {"kind": "bigquery#jobCancelResponse", "job": job_json(job, call.base_url)}

    def delete(self, call: Call) -> Reply:
        """Forget a job."""
        self._jobs.delete(call.path["project"], call.path["job_id"])
        return Reply(status=204)

    def query(self, call: Call) -> Json | Reply:
        """A query, and its first rows if it is quick."""
        body = call.json()
        project = call.path["project"]
        if body.get("queryResultsFormat") not in (
            None,
            "",
            "QUERY_RESULTS_FORMAT_UNSPECIFIED",
            "STRUCT_ENCODING",
        ):
            raise InvalidArgument(
                f"queryResultsFormat {body['queryResultsFormat']} is not supported.",
                hint="Leave it away: rows come as JSON.",
            )
        if wire.truth(body, "dryRun"):
            answer, schema = self._jobs.look(project, body, may=self._may(call))
            return {
                "kind": "bigquery#queryResponse",
                "jobReference": {"projectId": project, "location": "US"},
                "jobComplete": True,
                "totalBytesProcessed": str(answer.size),
                "schema": wire.schema_json(schema),
                "cacheHit": False,
            }
        kept = (
            "formatOptions",
            "kind",
            "maxResults",
            "timeoutMs",
            "jobCreationMode",
            "requestId",
            "location",
        )
        outside = {key: body[key] for key in ("jobTimeoutMs", "labels") if body.get(key)}
        said = {key: value for key, value in body.items() if key not in (*kept, *outside, "dryRun")}
        request_id = wire.word(body, "requestId")
        job_id = f"job_{request_id}" if request_id else f"job_{uuid.uuid4().hex}"
        seconds = min((wire.numeral(body, "timeoutMs") or _PATIENCE * 1000) / 1000, _LONGEST)
        # The same request once more, because its answer was lost on the way.
        job = self._jobs.find(project, job_id) or self._jobs.insert(
            project,
            {"query": said} | outside,
            may=self._may(call),
            job_id=job_id,
            user=self._user(call),
            seconds=seconds,
            note=lambda read: self._note(call, read),
        )
        micros = wire.truth(body.get("formatOptions") or {}, "useInt64Timestamp")
        return self._answer(
            self._jobs.wait(project, job.job_id, seconds),
            call,
            kind="bigquery#queryResponse",
            most=wire.numeral(body, "maxResults"),
            start=0,
            micros=micros,
        )

    def results(self, call: Call) -> Json | Reply:
        """Rows of a query."""
        project, job_id = call.path["project"], call.path["job_id"]
        asked = wire.numeral(call.query, "timeoutMs")
        seconds = _PATIENCE if asked is None else asked / 1000
        job = self._jobs.wait(project, job_id, min(seconds, _LONGEST))
        if job.kind != "query":
            raise InvalidArgument(f"Job {job_id} is a {job.kind}, and has no rows.")
        token = call.query.get("pageToken", "")
        if token and not token.isdigit():
            raise InvalidArgument("This pageToken is none of ours.", hint="Begin again without it.")
        return self._answer(
            job,
            call,
            kind="bigquery#getQueryResultsResponse",
            most=wire.numeral(call.query, "maxResults"),
            start=int(token) if token else wire.numeral(call.query, "startIndex") or 0,
            micros=wire.truth(call.query, "formatOptions.useInt64Timestamp"),
        )

    def _answer(
        self, job: Job, call: Call, *, kind: str, most: int | None, start: int, micros: bool
    ) -> Json | Reply:
        if job.state is not State.DONE:
            reference = job_json(job, call.base_url)["jobReference"]
            return {"kind": kind, "jobReference": reference, "jobComplete": False}
        if job.error:
            raise problem_of(job.error)
        table = self._jobs.results(job)
        answer = results_json(job, table, kind=kind)
        page: Page | None = None
        if table is not None:
            if most == 0:
                page = Page(rows=(), next=start if start < table.content.rows else None)
            else:
                page = self._pages.page(table, table.schema, start=start, most=most, micros=micros)
            if page.next is not None:
                answer["pageToken"] = str(page.next)
        fields = call.query.get("fields", "").strip()
        if fields:
            mask = parse_mask(fields)
            has_rows = "rows" in mask
            answer = masked(answer, mask)
            page = page if has_rows else None
        return Reply(content=with_rows(answer, page))

    def _begin(self, call: Call, resource: Json, source: str) -> Job:
        reference = resource.get("jobReference") or {}
        return self._jobs.insert(
            call.path["project"],
            _configuration(resource),
            may=self._may(call),
            job_id=str(reference.get("jobId") or ""),
            user=self._user(call),
            source=source,
            note=lambda read: self._note(call, read),
        )


def _configuration(resource: Json) -> Json:
    found = resource.get("configuration")
    if not isinstance(found, dict):
        raise InvalidArgument("Required parameter is missing: configuration")
    return found


def _unfinished(standing: Standing, call: Call) -> Reply:
    """308, or for clients that would follow that as a redirection, 200 with a note."""
    fields = {"range": f"bytes=0-{standing.received - 1}"} if standing.received else {}
    if call.headers.get("x-guploader-no-308") == "yes":
        return Reply(headers=fields | {"x-http-status-code-override": "308"})
    return Reply(status=308, headers=fields)
