"""JSON of jobs and of what queries give, in the words of BigQuery's REST API."""

from __future__ import annotations

import json
from typing import Any

from mlengine.tables.domain import Job, JobError, State, Table
from mlengine.tables.rows import Page
from mlengine.tables.schema import Schema
from mlengine.tables.wire import Json, millis, schema_json


def job_json(job: Job, base_url: str) -> Json:
    """The resource."""
    status: Json = {"state": job.state.value}
    if job.error:
        status["errorResult"] = _error_json(job.error)
    entries = [*([job.error] if job.error else []), *job.warnings]
    if entries:
        status["errors"] = [_error_json(one) for one in entries]
    statistics: Json = {key: value for key, value in job.statistics.items() if key != "results"}
    statistics["creationTime"] = millis(job.created)
    if job.started:
        statistics["startTime"] = millis(job.started)
    if job.ended:
        statistics["endTime"] = millis(job.ended)
    return {
        "kind": "bigquery#job",
        "etag": f"{job.state}{millis(job.ended or job.started or job.created)}",
        "id": f"{job.project}:{job.location}.{job.job_id}",
        "selfLink": f"{base_url}/bigquery/v2/projects/{job.project}/jobs/{job.job_id}",
        "user_email": job.user,
        "jobReference": job_reference(job),
        "configuration": dict(job.configuration),
        "status": status,
        "statistics": statistics,
    }


def job_entry(job: Job, base_url: str) -> Json:
    """A job in a list."""
    found = job_json(job, base_url)
    found["state"] = job.state.value
    if job.error:
        found["errorResult"] = _error_json(job.error)
    return found


def job_reference(job: Job) -> Json:
    """A job reference."""
    return {"projectId": job.project, "jobId": job.job_id, "location": job.location}


def dry_run_json(
    configuration: Json, project: str, *, kind: str, size: int, schema: Schema, location: str = "US"
) -> Json:
    """What a dry run is answered: a job that never was."""
    query: Json = {"statementType": kind, "totalBytesProcessed": str(size), "cacheHit": False}
    if schema:
        query["schema"] = schema_json(schema)
    return {
        "kind": "bigquery#job",
        "jobReference": {"projectId": project, "location": location},
        "configuration": configuration | {"jobType": "QUERY"},
        "status": {"state": State.DONE.value},
        "statistics": {"totalBytesProcessed": str(size), "query": query},
    }


def results_json(job: Job, table: Table | None, *, kind: str) -> Json:
    """What is said about the rows of a query that is done, without the rows."""
    query: Any = job.statistics.get("query", {})
    found: Json = {
        "kind": kind,
        "jobReference": job_reference(job),
        "jobComplete": True,
        "cacheHit": False,
        "totalBytesProcessed": query.get("totalBytesProcessed", "0"),
        "location": job.location,
    }
    if table is not None:
        found["schema"] = schema_json(table.schema)
        found["totalRows"] = str(table.content.rows)
    for key in ("numDmlAffectedRows", "dmlStats", "ddlOperationPerformed", "ddlTargetTable", "statementType"):
        if key in query:
            found[key] = query[key]
    return found


def with_rows(answer: Json, page: Page | None) -> bytes:
    """An answer, and the rows that DuckDB wrote as JSON already."""
    text = json.dumps(answer, ensure_ascii=False)
    if page is None or not page.rows:
        return text.encode()
    return b"".join((text[:-1].encode(), b',"rows":[', ",".join(page.rows).encode(), b"]}"))


def _error_json(error: JobError) -> Json:
    found = {"reason": error.reason, "message": error.message}
    return found | ({"location": error.location} if error.location else {})
