"""The URLs of jobs."""

from __future__ import annotations

from mlengine.jobs.service import JobService
from mlengine.jobs.wire import request_from_json, to_json
from mlengine.names import JobName
from mlengine.web.method import Call, Json, Method
from mlengine.web.pages import paged

_JOBS = "/v1/projects/{project}/jobs"


def methods(service: JobService) -> list[Method]:
    """The rows of `ml.projects.jobs`."""

    def create(call: Call) -> Json:
        job = service.submit(request_from_json(call.path["project"], call.json()))
        return to_json(job)

    def get(call: Call) -> Json:
        job, position = service.get(_name(call))
        return to_json(job, position=position)

    def list_(call: Call) -> Json:
        return paged(
            call.query,
            kind="jobs",
            fetch=lambda after, limit: service.page(call.path["project"], after=after, limit=limit),
            key=lambda job: job.uid,
            render=to_json,
        )

    def cancel(call: Call) -> Json:
        service.cancel(_name(call))
        return {}

    rows = [
        ("create", "POST", _JOBS, create, "Submit a job."),
        ("get", "GET", _JOBS + "/{job}", get, "How a job stands."),
        ("list", "GET", _JOBS, list_, "The jobs of a project, newest first, a page at a time."),
        ("cancel", "POST", _JOBS + "/{job}:cancel", cancel, "End a job early."),
    ]
    return [
        Method(id=f"ml.projects.jobs.{id_}", verb=verb, path=path, handler=handler, summary=summary)
        for id_, verb, path, handler, summary in rows
    ]


def _name(call: Call) -> JobName:
    return JobName.of(call.path["project"], call.path["job"])
