"""The URLs of jobs."""

from __future__ import annotations

from collections.abc import Callable

from mlengine.errors import Problem
from mlengine.jobs.findings_wire import findings_to_json
from mlengine.jobs.selection import selection
from mlengine.jobs.service import JobService
from mlengine.jobs.usage import UsageService
from mlengine.jobs.usage_wire import moment_from_text, samples_to_json
from mlengine.jobs.wire import (
    FILTERED,
    KEPT,
    PATCHED,
    change_from_json,
    request_from_json,
    to_json,
)
from mlengine.names import JobName
from mlengine.web.fields import nothing
from mlengine.web.masks import UPDATE_MASK, update_mask
from mlengine.web.method import Call, Json, Method, Parameter, Reply
from mlengine.web.pages import FILTER, PAGING, paged
from mlengine.web.warnings import with_warnings

_JOBS = "/v1/projects/{project}/jobs"
_JOB = _JOBS + "/{job}"
_OWN = "/mlengine" + _JOB
_SINCE = Parameter(name="since", summary="Only what was used after this moment: 2026-01-31T12:00:00Z.")


def methods(
    service: JobService,
    usage: UsageService,
    *,
    tables: Callable[[JobName], list[dict[str, str]]] = lambda _: [],
) -> list[Method]:
    """The rows of `ml.projects.jobs`, and of what jobs use.

    Args:
        tables: Which tables a job has read.
    """

    def create(call: Call) -> Json | Reply:
        warnings: list[str] = []
        request = request_from_json(call.path["project"], call.json(), warnings=warnings)
        return with_warnings(to_json(service.submit(request)), warnings)

    def check(call: Call) -> Json:
        warnings: list[str] = []
        try:
            request = request_from_json(call.path["project"], call.json(), warnings=warnings)
        except Problem as problem:  # a form that is not filled in yet, more often than not
            return findings_to_json([problem])
        problems, report = service.check(request)
        return findings_to_json(problems, report, warnings)

    def get(call: Call) -> Json:
        job, place = service.get(_name(call))
        return to_json(job, position=place.position, waits=place.waits, tables=tables(job.name))

    def list_(call: Call) -> Json:
        project = call.path["project"]
        wanted = selection(call.query.get("filter", ""), FILTERED)
        return paged(
            call.query,
            kind="jobs",
            within=project,
            fields=FILTERED,
            fetch=lambda after, limit: service.page(project, after=after, limit=limit, wanted=wanted),
            key=lambda found: found[0].uid,
            render=lambda found: to_json(found[0], position=found[1].position),
        )

    def patch(call: Call) -> Json:
        mask = update_mask(call.query, allowed=PATCHED, refused=KEPT)
        job, place = service.patch(_name(call), change_from_json(call.json(), mask))
        return to_json(job, position=place.position)

    def cancel(call: Call) -> Json:
        nothing(call.json())
        service.cancel(_name(call))
        return {}

    def metrics(call: Call) -> Json:
        since = moment_from_text(call.query.get("since", ""))
        return samples_to_json(usage.samples(_name(call), since))

    def requirements(call: Call) -> Json:
        return {"requirements": usage.requirements(_name(call))}

    return [
        Method(
            id="ml.projects.jobs.create",
            verb="POST",
            path=_JOBS,
            handler=create,
            summary="Submit a job.",
            request="Job",
            response="Job",
        ),
        Method(
            id="ml.projects.jobs.get",
            verb="GET",
            path=_JOB,
            handler=get,
            summary="How a job stands.",
            response="Job",
        ),
        Method(
            id="ml.projects.jobs.list",
            verb="GET",
            path=_JOBS,
            handler=list_,
            summary="The jobs of a project, newest first, a page at a time.",
            response="ListJobsResponse",
            parameters=(FILTER, *PAGING),
        ),
        Method(
            id="ml.projects.jobs.patch",
            verb="PATCH",
            path=_JOB,
            handler=patch,
            summary="Change a job's labels.",
            request="Job",
            response="Job",
            parameters=(UPDATE_MASK,),
        ),
        Method(
            id="ml.projects.jobs.cancel",
            verb="POST",
            path=_JOB + ":cancel",
            handler=cancel,
            summary="End a job early.",
            request="CancelJobRequest",
            response="Empty",
        ),
        Method(
            id="mlengine.jobs.check",
            verb="POST",
            path=f"/mlengine{_JOBS}:check",
            handler=check,
            summary="What submitting this job would say, without submitting it.",
        ),
        Method(
            id="mlengine.jobs.metrics",
            verb="GET",
            path=_OWN + "/metrics",
            handler=metrics,
            summary="What each replica of a job used: processors, memory, disk, network, GPUs.",
            parameters=(_SINCE,),
        ),
        Method(
            id="mlengine.jobs.requirements",
            verb="GET",
            path=_OWN + "/requirements",
            handler=requirements,
            summary="All distributions a job runs on, with versions and hashes.",
        ),
    ]


def _name(call: Call) -> JobName:
    return JobName.of(call.path["project"], call.path["job"])
